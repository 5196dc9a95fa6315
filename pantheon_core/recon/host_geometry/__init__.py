"""Geometry of ComfyUI's own nodes -> distances of panoramas."""

from __future__ import annotations

from ._clouds import CloudAxes, cloud_as_cache
from ._da3 import estimates_from_da3
from ._moge import MOGE_FROM_PANORAMA, estimates_from_moge
from ._views import PinholeViews, estimate_of_views

__all__ = [
    "MOGE_FROM_PANORAMA",
    "CloudAxes",
    "PinholeViews",
    "cloud_as_cache",
    "estimate_of_views",
    "estimates_from_da3",
    "estimates_from_moge",
]
