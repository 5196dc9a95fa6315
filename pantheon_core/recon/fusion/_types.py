"""What the fusion takes and gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ...check import check_rotation, check_shape
from ...errors import InputError

__all__ = [
    "CropDepths",
    "DepthFreedom",
    "DepthQuantity",
    "FusedSphere",
    "FusionReport",
    "FusionSettings",
    "Overlap",
]

DepthQuantity = Literal["distance", "z_depth", "inverse_distance", "inverse_z"]
DepthFreedom = Literal["metric", "scale", "affine"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CropDepths:
    """Depths of pinhole views that share one centre.

    Attributes:
        values: (V, h, w) what the estimator gave; NaN and infinity are missing.
        rotations: (V, 3, 3) panorama camera from view camera.
        fov_x: horizontal field of view, radians; one for all views, or (V,).
        quantity: what a value is: along the ray or along the view's axis, or the inverse of these.
        freedom: "metric" is in metres up to the estimator's error, so that the typical view keeps its scale;
            "scale" is known up to a factor of each view; "affine" up to a factor and a constant.
        valid: (V, h, w) bool, None where all is.
        confidence: (V, h, w) 0..1, None for 1 everywhere.
    """

    values: Tensor
    rotations: Tensor
    fov_x: float | Tensor
    quantity: DepthQuantity
    freedom: DepthFreedom
    valid: Tensor | None = None
    confidence: Tensor | None = None

    def __post_init__(self) -> None:
        sizes = check_shape("crops.values", self.values, "V h w")
        check_shape("crops.rotations", self.rotations, "V 3 3", V=sizes["V"])
        check_rotation("crops.rotations", self.rotations.detach().cpu())
        for name in ("valid", "confidence"):
            if (given := getattr(self, name)) is not None:
                check_shape(f"crops.{name}", given, "V h w", **sizes)
        if isinstance(self.fov_x, Tensor):
            check_shape("crops.fov_x", self.fov_x, "V", V=sizes["V"])
        if not all(0 < fov < math.pi for fov in self.fovs):
            raise InputError(f"crops.fov_x: expected radians between 0 and pi, got {self.fov_x}")
        for name, options in (("quantity", DepthQuantity), ("freedom", DepthFreedom)):
            if getattr(self, name) not in get_args(options):
                raise InputError(
                    f"crops.{name}: expected one of {', '.join(get_args(options))}, "
                    f"got {getattr(self, name)!r}"
                )

    @property
    def fovs(self) -> list[float]:
        """Field of view of each view, radians."""
        if isinstance(self.fov_x, Tensor):
            return [float(fov) for fov in self.fov_x]
        return [float(self.fov_x)] * len(self.values)

    @property
    def good(self) -> Tensor:
        """(V, h, w) bool: valid and finite."""
        finite = self.values.isfinite()
        return finite if self.valid is None else finite & self.valid.bool()


@dataclass(frozen=True, kw_only=True, slots=True)
class FusionSettings:
    """How views become one sphere.

    Attributes:
        reach: radians over which the views' own gradients rule; over more than that the mean of the aligned
            views does. Small values let steps between views through, large ones let errors of the gradients
            add up.
        edge_step: a jump between neighbouring pixels above this (in log distance) that no plane explains is
            a depth edge, over which no gradient is taken.
        falloff: share of a view, from its border on, over which its weight falls to zero.
        disagree: an overlap whose median difference (in log distance) is larger is reported.
        iterations: of the robust alignment.
        tolerance: of the merge, relative.
    """

    reach: float = 0.5
    edge_step: float = 0.1
    falloff: float = 0.35
    disagree: float = 0.2
    iterations: int = 30
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("reach", "edge_step", "disagree", "tolerance"):
            if not getattr(self, name) > 0:
                raise InputError(
                    f"FusionSettings.{name}: expected a number above 0, got {getattr(self, name)}"
                )
        if not 0 < self.falloff <= 1:
            raise InputError(f"FusionSettings.falloff: expected above 0, at most 1, got {self.falloff}")
        if self.iterations < 1:
            raise InputError(f"FusionSettings.iterations: expected at least 1, got {self.iterations}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Two views where they see the same directions, after the alignment.

    Attributes:
        first: index of a view.
        second: index of another.
        samples: directions compared.
        difference: median of |log distance of first − of second|.
        agrees: False where that is above `FusionSettings.disagree`.
    """

    first: int
    second: int
    samples: int
    difference: float
    agrees: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FusionReport:
    """What the fusion found.

    Attributes:
        scale: (V,) factor of each view's values: aligned = scale · value + shift, in the view's quantity.
        shift: (V,) constant of each view, 0 unless the freedom is "affine".
        residual: (V,) median |log distance − other views'| over the overlaps, NaN without any.
        group: (V,) number of the group that the view hangs together with; scales of different groups cannot
            be compared.
        used: (V,) bool, False for views left out (nothing valid, or a negative scale).
        overlaps: every pair of views that share directions.
        filled: share of the sphere where outliers were replaced from their surroundings.
        steps: iterations of the merge.
        warnings: in words.
    """

    scale: Tensor
    shift: Tensor
    residual: Tensor
    group: Tensor
    used: Tensor
    overlaps: tuple[Overlap, ...]
    filled: float
    steps: int
    warnings: tuple[str, ...]

    @property
    def disagreeing(self) -> tuple[Overlap, ...]:
        """Overlaps that do not agree."""
        return tuple(overlap for overlap in self.overlaps if not overlap.agrees)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FusedSphere:
    """One panorama of distances.

    Attributes:
        distance: (H, W) float32 along the ray, 0 where not valid. Metres for "metric"; the typical view's
            unit for "scale"; for "affine" the unit is the median distance.
        confidence: (H, W) float32 0..1: the views' own, less where they disagree.
        valid: (H, W) bool.
        report: see FusionReport.
    """

    distance: Tensor
    confidence: Tensor
    valid: Tensor
    report: FusionReport


def canonical(crops: CropDepths) -> tuple[Tensor, bool, bool]:
    """Values in a form that is linear in the unknowns and smooth on planes.

    Returns:
        (V, h, w) float32 values, whether they are inverse, whether they run along the ray. Without an unknown
        constant all kinds become inverse ones, because the inverse depth of a plane is linear in the image.
    """
    values = crops.values.detach().to("cpu", torch.float32)
    values = torch.where(crops.good.cpu(), values, 0.0)
    inverse = crops.quantity.startswith("inverse")
    if crops.freedom != "affine" and not inverse:
        values, inverse = torch.where(values > 0, 1 / values.clamp(min=1e-30), 0.0), True
    return values, inverse, crops.quantity.endswith("distance")
