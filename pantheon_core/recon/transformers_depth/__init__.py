"""Depth networks of transformers as backends: Depth Anything V2, Depth Pro, ZoeDepth."""

from __future__ import annotations

from ._backend import (
    DepthAnythingV2Backend,
    DepthAnythingV2IndoorBackend,
    DepthAnythingV2OutdoorBackend,
    DepthProBackend,
    SkySource,
    ZoeDepthBackend,
    release_networks,
)
from ._models import DEPTH_MODELS, DepthModel, Variant

__all__ = [
    "DEPTH_MODELS",
    "DepthAnythingV2Backend",
    "DepthAnythingV2IndoorBackend",
    "DepthAnythingV2OutdoorBackend",
    "DepthModel",
    "DepthProBackend",
    "SkySource",
    "Variant",
    "ZoeDepthBackend",
    "release_networks",
]
