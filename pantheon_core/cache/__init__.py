"""The 3D cache: points with colours, a surface where the source is dense, and the sky."""

from __future__ import annotations

from ._coarse import coarse_cache
from ._from_erp import cache_from_erp
from ._merge import merge_caches
from ._ply import load_ply, save_ply
from ._pull_push import pull_push
from ._types import CacheSettings, PointCache, SkyLayer

__all__ = [
    "CacheSettings",
    "PointCache",
    "SkyLayer",
    "cache_from_erp",
    "coarse_cache",
    "load_ply",
    "merge_caches",
    "pull_push",
    "save_ply",
]
