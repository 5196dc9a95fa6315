"""Depth networks of transformers as backends: Depth Anything V2, Depth Pro, ZoeDepth."""

from __future__ import annotations

from ._backend import (
    VIEW_FOV,
    DepthAnythingV2Backend,
    DepthAnythingV2IndoorBackend,
    DepthAnythingV2OutdoorBackend,
    DepthProBackend,
    SkySource,
    ViewBackend,
    ZoeDepthBackend,
    release_networks,
)
from ._models import DEPTH_MODELS, DepthModel, Variant

__all__ = [
    "DEPTH_MODELS",
    "VIEW_FOV",
    "DepthAnythingV2Backend",
    "DepthAnythingV2IndoorBackend",
    "DepthAnythingV2OutdoorBackend",
    "DepthModel",
    "DepthProBackend",
    "SkySource",
    "Variant",
    "ViewBackend",
    "ZoeDepthBackend",
    "release_networks",
]
