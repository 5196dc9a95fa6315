"""The 3D cache and its settings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import InputError

__all__ = ["CacheSettings", "PointCache", "Provenance", "SkyLayer"]

Provenance: TypeAlias = dict[str, str | float | int | bool]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SkyLayer:
    """What lies at infinity: it turns with the camera and never moves.

    Attributes:
        rgb: (3, h, w) ERP in world orientation, 0..1; filled smoothly where `mask` is False.
        mask: (h, w) bool, True where an anchor saw sky.
    """

    rgb: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        height, width = check_erp("sky.rgb", self.rgb)
        check_shape("sky.rgb", self.rgb, "3 H W")
        check_shape("sky.mask", self.mask, "H W", H=height, W=width)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PointCache:
    """Points of the scene, a surface over those that came from a dense panorama, and the sky.

    The world frame is that of the first anchor's camera (docs/conventions.md). Points keep the order of
    the image they came from: a shuffled cache renders about four times slower.

    Attributes:
        points: (N, 3) float32, world frame, metres when `metric`.
        colors: (N, 3) uint8 sRGB.
        confidence: (N,) float32, 0..1.
        anchor: (N,) int16, which anchor saw the point: a row of `T_world_anchor`.
        triangles: (M, 3) int32 indices into the points, or None for a cloud without a surface.
        edge: (M,) bool, triangles over a depth edge: they are not drawn. Cleaning may make them surface.
        sky: the layer at infinity, or None when no sky was seen.
        T_world_anchor: (A, 4, 4) float32, cameras of the anchors.
        anchor_pixel_angle: (A,) float32 radians between neighbouring pixels of the anchor's panorama, 0
            where unknown; or None. Bare points are drawn at least so wide, surfaces to their pixels' borders.
        origin: (3,) float64: the world frame's zero in the coordinates of the file the points came from.
        metric: True when a unit is a metre.
        provenance: what made the cache: backend, version, settings.
    """

    points: Tensor
    colors: Tensor
    confidence: Tensor
    anchor: Tensor
    T_world_anchor: Tensor
    triangles: Tensor | None = None
    edge: Tensor | None = None
    sky: SkyLayer | None = None
    anchor_pixel_angle: Tensor | None = None
    origin: Tensor = field(default_factory=lambda: torch.zeros(3, dtype=torch.float64))
    metric: bool = False
    provenance: Provenance = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = check_shape("cache.points", self.points, "N 3")["N"]
        check_shape("cache.colors", self.colors, "N 3", N=n)
        check_shape("cache.confidence", self.confidence, "N", N=n)
        check_shape("cache.anchor", self.anchor, "N", N=n)
        anchors = check_shape("cache.T_world_anchor", self.T_world_anchor, "A 4 4")["A"]
        check_shape("cache.origin", self.origin, "3")
        if self.anchor_pixel_angle is not None:
            check_shape("cache.anchor_pixel_angle", self.anchor_pixel_angle, "A", A=anchors)
        if n and not 0 <= int(self.anchor.min()) <= int(self.anchor.max()) < anchors:
            raise InputError(
                f"cache.anchor: expected indices into the {anchors} rows of T_world_anchor, got "
                f"{int(self.anchor.min())}..{int(self.anchor.max())}"
            )
        self._check_triangles(n)

    def _check_triangles(self, n: int) -> None:
        if (self.triangles is None) != (self.edge is None):
            raise InputError(
                "cache.edge: expected one flag for every triangle, or neither; give both or none"
            )
        if self.triangles is None or self.edge is None:
            return
        m = check_shape("cache.triangles", self.triangles, "M 3")["M"]
        check_shape("cache.edge", self.edge, "M", M=m)
        if m and not 0 <= int(self.triangles.min()) <= int(self.triangles.max()) < n:
            raise InputError(
                f"cache.triangles: expected indices below the {n} points, got "
                f"{int(self.triangles.min())}..{int(self.triangles.max())}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheSettings:
    """How a panorama with distances becomes a cache.

    Attributes:
        confidence_threshold: points below this confidence (0..1) are left out; 0.25 is the paper's value.
        surface: False keeps a cloud of points only.
        edge_rtol: a step of the distance between neighbouring pixels above this fraction may be a depth edge.
        edge_rule: "plane" flags steps that no straight surface on either side explains, so that slanted
            floors stay whole; "range" flags every step in the 3x3 neighbourhood, for depth maps that smear
            their edges over several pixels.
        sky_fill: True fills the sky layer smoothly where the source saw something else.
    """

    confidence_threshold: float = 0.25
    surface: bool = True
    edge_rtol: float = 0.05
    edge_rule: Literal["plane", "range"] = "plane"
    sky_fill: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (
            ("confidence_threshold", 0, 1),
            ("edge_rtol", 0, math.inf),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"CacheSettings.{name}: expected {low} to {high}, got {value}")
        if self.edge_rule not in ("plane", "range"):
            raise InputError(f'CacheSettings.edge_rule: expected "plane" or "range", got {self.edge_rule!r}')
