"""Depth keys to colours, in plain torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._layers import BACK, Layer
from ._scene import BLEND_DEPTH, FARTHEST, Part
from ._torch_raster import MISSED
from ._torch_samples import SampleGrid
from ._torch_vectors import cross, dot, minus, side, take

__all__ = ["Paint", "surface"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Paint:
    """What the M triangles of a part look like.

    Attributes:
        corners: (3, M) int32.
        bend: (9, M) int8, the three channels of side 0, those of side 1, those of side 2.
        colors: (3, N) uint8 of the scene's points.
        anchor: the part's.
    """

    corners: Tensor
    bend: Tensor
    colors: Tensor
    anchor: int

    @staticmethod
    def of(part: Part, colors: Tensor) -> Paint:
        """A part's triangles, with the (3, N) colours of all points."""
        return Paint(
            corners=part.triangles.T.contiguous(),
            bend=part.bend.view(-1, 9).T.contiguous(),
            colors=colors,
            anchor=part.anchor,
        )


def surface(paint: Paint, grid: SampleGrid, cam: Tensor, keys: Tensor) -> Layer:
    """What is seen of a part's triangles.

    Args:
        paint: their looks.
        grid: S samples.
        cam: (3, N) points in the camera's frame.
        keys: (S,) int64, see `raster`.
    """
    samples = len(keys)
    layer = Layer(
        rgb=cam.new_zeros(3, samples),
        distance=cam.new_zeros(samples),
        coverage=torch.zeros(samples, dtype=torch.bool, device=cam.device),
        anchor=torch.full((samples,), -1, dtype=torch.int16, device=cam.device),
        limit=cam.new_full((samples,), FARTHEST),
    )
    for first in range(0, samples, grid.block):
        at = (keys[first : first + grid.block] < MISSED).nonzero()[:, 0] + first
        if len(at):
            _show(paint, grid, cam, keys.index_select(0, at), at, layer)
    return layer


def _show(paint: Paint, grid: SampleGrid, cam: Tensor, keys: Tensor, at: Tensor, layer: Layer) -> None:
    t, face = (keys >> 32).int().view(torch.float32), keys & 0xFFFFFFFF
    ray = take(grid.rays, at)
    corners = take(paint.corners, face)
    a, b, c = (take(cam, corner) for corner in corners)
    turned = dot(cross(minus(b, a), minus(c, a)), a)
    solid = turned > 0
    u, v, w = (dot(side(p, q), ray).clamp_min(0) for p, q in ((b, c), (c, a), (a, b)))
    whole = (u + v + w).clamp_min(torch.finfo(t.dtype).tiny)
    sides = v * w, w * u, u * v
    shown = solid / (255 * whole)
    for channel in range(3):
        first, second, third = (paint.colors[channel].index_select(0, corner) for corner in corners)
        straight = dot((u, v, w), (first, second, third))
        bent = dot(sides, take(paint.bend[channel::3], face))
        layer.rgb[channel].index_copy_(0, at, ((straight + bent / whole) * shown).clamp_(0, 1))
    layer.distance.index_copy_(0, at, t * solid)
    layer.coverage.index_copy_(0, at, solid)
    layer.limit.index_copy_(0, at, t * torch.where(solid, BLEND_DEPTH - 1, BLEND_DEPTH + 1))
    unseen = torch.where(turned < 0, BACK, -1)
    layer.anchor.index_copy_(0, at, torch.where(solid, paint.anchor, unseen).to(torch.int16))
