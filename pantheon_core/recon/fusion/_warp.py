"""Where a view's pixels lie on the sphere, and its values there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Taps", "look", "mean_at", "surface_at"]

# Within this ratio the four pixels around a direction are one surface.
_ONE_SURFACE = 1.2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Taps:
    """Directions that a view sees.

    Attributes:
        where: (n,) indices of the directions seen.
        pixels: (4, n) flat indices of the pixels around each.
        weights: (4, n) bilinear weights.
        cosine: (n,) of the angle to the view's axis.
        closeness: (n,) 0 at the view's border to 1 at its centre, the smaller of both axes.
    """

    where: Tensor
    pixels: Tensor
    weights: Tensor
    cosine: Tensor
    closeness: Tensor


def look(rays: Tensor, rotation: Tensor, fov_x: float, size: tuple[int, int]) -> Taps:
    """Find unit directions (N, 3) of the panorama in a view of (h, w) pixels."""
    height, width = size
    focal = width / 2 / math.tan(fov_x / 2)
    x, y, z = (rays @ rotation.to(rays)).unbind(-1)
    near = (z > 0).nonzero()[:, 0]
    x, y, z = x[near], y[near], z[near]
    x, y = x / z * focal, y / z * focal
    inside = (x.abs() < width / 2) & (y.abs() < height / 2)
    where, x, y, z = near[inside], x[inside], y[inside], z[inside]
    closeness = torch.minimum(1 - x.abs() / (width / 2), 1 - y.abs() / (height / 2))
    column = (x + width / 2 - 0.5).clamp(0, width - 1)
    row = (y + height / 2 - 0.5).clamp(0, height - 1)
    left = column.floor().clamp(max=max(width - 2, 0))
    top = row.floor().clamp(max=max(height - 2, 0))
    fx, fy = column - left, row - top
    right, below = min(1, width - 1), min(1, height - 1) * width
    corner = top.long() * width + left.long()
    pixels = torch.stack((corner, corner + right, corner + below, corner + below + right))
    weights = torch.stack(((1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy))
    return Taps(where=where, pixels=pixels, weights=weights, cosine=z, closeness=closeness)


def mean_at(values: Tensor, good: Tensor, taps: Taps) -> tuple[Tensor, Tensor]:
    """Bilinear values (n,) of a view (h, w), and where all four pixels are good."""
    found = (values.flatten()[taps.pixels] * taps.weights).sum(0)
    return found, good.flatten()[taps.pixels].all(0)


def surface_at(inverse: Tensor, good: Tensor, taps: Taps) -> tuple[Tensor, Tensor]:
    """Inverse depths (n,) of a view (h, w), and where they are good.

    Linear on one surface; across an edge or beside a hole the nearest pixel: an average would stand in the
    air between two surfaces.
    """
    values = inverse.flatten()[taps.pixels]
    fine = good.flatten()[taps.pixels]
    smooth = fine.all(0) & (values.amax(0) < _ONE_SURFACE * values.amin(0))
    nearest = taps.weights.argmax(0, keepdim=True)
    mean = (values * taps.weights).sum(0)
    return (
        torch.where(smooth, mean, values.gather(0, nearest)[0]),
        fine.gather(0, nearest)[0],
    )
