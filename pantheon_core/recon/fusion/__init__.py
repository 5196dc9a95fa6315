"""Depths of perspective views -> distances of one panorama: alignment, then a merge without seams."""

from __future__ import annotations

from ._fuse import fuse_crops
from ._types import (
    CropDepths,
    DepthFreedom,
    DepthQuantity,
    FusedSphere,
    FusionReport,
    FusionSettings,
    Overlap,
)
from ._views import sphere_views

__all__ = [
    "CropDepths",
    "DepthFreedom",
    "DepthQuantity",
    "FusedSphere",
    "FusionReport",
    "FusionSettings",
    "Overlap",
    "fuse_crops",
    "sphere_views",
]
