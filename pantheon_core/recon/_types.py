"""What every reconstruction backend takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor

from ..cache import CacheSettings
from ..check import check_shape
from ..errors import InputError, Progress

__all__ = ["DistanceEstimate", "ReconBackend", "ReconSettings"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DistanceEstimate:
    """Distances of one panorama.

    Attributes:
        distance: (H, W) float32 along the ray, metres when `metric`; 0 where not `valid`.
        confidence: (H, W) float32 0..1.
        sky: (H, W) float32 0..1, how surely the pixel is sky.
        valid: (H, W) bool, False where there is no distance (sky and missing).
        metric: True when a unit is a metre.
    """

    distance: Tensor
    confidence: Tensor
    sky: Tensor
    valid: Tensor
    metric: bool

    def __post_init__(self) -> None:
        sizes = check_shape("estimate.distance", self.distance, "H W")
        for name in ("confidence", "sky", "valid"):
            check_shape(f"estimate.{name}", getattr(self, name), "H W", **sizes)


@runtime_checkable
class ReconBackend(Protocol):
    """A way to get the distances of a panorama."""

    @property
    def name(self) -> str:
        """Key in the registry, kept in the cache's provenance."""
        ...

    def estimate(self, rgb: Tensor, *, progress: Progress | None = None) -> DistanceEstimate:
        """Distances of one panorama (3, H, W), float 0..1, W = 2 H, levelled."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconSettings:
    """From distances to the cache.

    Attributes:
        confidence_threshold: points below this confidence (0..1) are left out; 0.25 is the paper's value.
        remove_sky: sky becomes the layer at infinity; False keeps the backend's distances there, where it
            has any.
        sky_threshold: a pixel is sky from this value of `DistanceEstimate.sky` on.
        max_distance: points farther than this (metres) are left out; 0 keeps all.
        cache: how pixels become a surface; its confidence threshold is replaced by the one here.
    """

    confidence_threshold: float = 0.25
    remove_sky: bool = True
    sky_threshold: float = 0.5
    max_distance: float = 0.0
    cache: CacheSettings = field(default_factory=CacheSettings)

    def __post_init__(self) -> None:
        for name in ("confidence_threshold", "sky_threshold"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"ReconSettings.{name}: expected 0 to 1, got {value}")
        if self.max_distance < 0:
            raise InputError(
                f"ReconSettings.max_distance: expected metres, 0 for no limit, got {self.max_distance}"
            )
