"""Panoramas -> cache: one protocol, one literal registry, one file per backend."""

from __future__ import annotations

from ._reconstruct import BACKENDS, cache_from_estimate, get_backend, reconstruct
from ._types import DistanceEstimate, ReconBackend, ReconSettings

__all__ = [
    "BACKENDS",
    "DistanceEstimate",
    "ReconBackend",
    "ReconSettings",
    "cache_from_estimate",
    "get_backend",
    "reconstruct",
]
