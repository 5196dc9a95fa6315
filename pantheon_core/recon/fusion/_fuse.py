"""Views -> panorama."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ...check import check_shape
from ...errors import InputError
from ...geometry import erp_rays, perspective_rays
from ._align import Alignment, align
from ._merge import Merged, merge
from ._overlap import median
from ._types import CropDepths, FusedSphere, FusionReport, FusionSettings, canonical

__all__ = ["fuse_crops"]


def fuse_crops(
    crops: CropDepths, height: int, *, exclude: Tensor | None = None, settings: FusionSettings | None = None
) -> FusedSphere:
    """Fuse depths of pinhole views into one panorama of distances.

    First each view gets a factor (and, for affine kinds, a constant) by robust least squares over all
    overlaps. Then the views are merged in log distance: the result's gradients are those of the views, its
    values their mean, as far as both can be had. Runs on the CPU.

    Args:
        crops: the views.
        height: of the panorama, pixels; its width is twice that.
        exclude: (H, W) bool, directions to leave out, e.g. the sky.
        settings: see FusionSettings.

    Raises:
        ShapeError: `exclude` has another size.
        InputError: no view has anything valid, or the height is below 4.
    """
    settings = settings or FusionSettings()
    if height < 4:
        raise InputError(f"height: expected at least 4 pixels, got {height}")
    if exclude is not None:
        check_shape("exclude", exclude, "H W", H=height, W=2 * height)
        exclude = exclude.detach().cpu().bool()
    values, inverse, along_ray = canonical(crops)
    alignment = align(values, crops, inverse=inverse, along_ray=along_ray, height=height, settings=settings)
    if not bool(alignment.used.any()):
        raise InputError(
            "crops: expected some valid depths, got none in any view; check the quantity and valid"
        )
    aligned = values * alignment.scale[:, None, None] + alignment.shift[:, None, None]
    if along_ray:
        cosine = torch.stack(
            [perspective_rays(values.shape[1], values.shape[2], fov)[..., 2] for fov in crops.fovs]
        )
        aligned = aligned / cosine if inverse else aligned * cosine
    good = crops.good.cpu() & (aligned > 0)
    if crops.freedom != "affine":
        good &= values > 0
    if not inverse:
        aligned = torch.where(good, 1 / aligned.clamp(min=1e-12), 0.0)
    merged = merge(
        aligned, good, crops, alignment=alignment, height=height, exclude=exclude, settings=settings
    )
    distance = torch.where(merged.valid, merged.log_distance.exp(), 0.0)
    if crops.freedom == "affine":
        unit = _median_distance(distance, merged.valid)
        distance = distance / unit
        factor = unit if inverse else 1 / unit
        alignment = replace(alignment, scale=alignment.scale * factor, shift=alignment.shift * factor)
    return FusedSphere(
        distance=distance,
        confidence=merged.confidence,
        valid=merged.valid,
        report=_report(crops, alignment, merged),
    )


def _median_distance(distance: Tensor, valid: Tensor) -> float:
    """Median by solid angle."""
    rays = erp_rays(distance.shape[0])
    area = torch.hypot(rays[..., 0], rays[..., 2])[valid]
    return float(median(distance[valid].double(), area.double())) if bool(valid.any()) else 1.0


def _report(crops: CropDepths, alignment: Alignment, merged: Merged) -> FusionReport:
    # the canonical form inverted depths of the other kinds: their factor is the inverse one
    turned = crops.freedom != "affine" and not crops.quantity.startswith("inverse")
    return FusionReport(
        scale=1 / alignment.scale if turned else alignment.scale,
        shift=alignment.shift,
        residual=alignment.residual,
        group=alignment.group,
        used=alignment.used,
        overlaps=alignment.overlaps,
        filled=merged.filled,
        steps=merged.steps,
        warnings=tuple(_warnings(alignment, merged)),
    )


def _warnings(alignment: Alignment, merged: Merged) -> list[str]:
    found = []
    unused = (~alignment.used).nonzero()[:, 0].tolist()
    if unused:
        found.append(f"Views left out, as they hold nothing usable: {_list(unused)}.")
    groups = alignment.group[alignment.used].unique().tolist()
    if len(groups) > 1:
        parts = "; ".join(
            _list(((alignment.group == group) & alignment.used).nonzero()[:, 0].tolist()) for group in groups
        )
        found.append(f"Views that share no directions, so that their scales cannot be compared: {parts}.")
    apart = [overlap for overlap in alignment.overlaps if not overlap.agrees]
    if apart:
        worst = max(apart, key=lambda overlap: overlap.difference)
        found.append(
            f"{len(apart)} of {len(alignment.overlaps)} overlaps disagree, most views {worst.first} and "
            f"{worst.second} (by a factor of {math.exp(worst.difference):.2f})."
        )
    if merged.filled > 0.05:
        found.append(f"{merged.filled:.0%} of the sphere were outliers and are filled from around them.")
    return found


def _list(views: list[int]) -> str:
    return ", ".join(str(view) for view in views)
