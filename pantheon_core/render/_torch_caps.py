"""Bare points as round caps over what is there, in plain torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._layers import Layer
from ._scene import BLEND_DEPTH, CAP_CORE, CAP_MAX, Part, Scene
from ._torch_boxes import cap_boxes
from ._torch_samples import SampleGrid
from ._torch_vectors import dot, minus, take

__all__ = ["caps"]

_EMPTY = torch.iinfo(torch.int64).max


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Caps:
    """K caps: (3, K) directions, (K,) distances, squared chords of the radii, parts of u that are core."""

    ahead: Tensor
    far: Tensor
    chord: Tensor
    core: Tensor

    def at(self, rays: Tensor, limit: Tensor, item: Tensor, where: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of pairs of a cap and a sample those that show: (cap, sample, squared part of the radius)."""
        off = minus(take(rays, where), take(self.ahead, item))
        u = dot(off, off) / self.chord.index_select(0, item)
        free = limit.index_select(0, where)
        reach = torch.where(free > 0, 1.0, self.core.index_select(0, item))
        near = ((self.far.index_select(0, item) < free.abs()) & (u < reach)).nonzero()[:, 0]
        return item.index_select(0, near), where.index_select(0, near), u.index_select(0, near)


def caps(
    scene: Scene, part: Part, grid: SampleGrid, cam: Tensor, pixel: Tensor, step: float, layer: Layer
) -> None:
    """Draw the bare points of a part over its layer.

    Over a surface (a limit below 0) only the core of a cap shows.

    Args:
        scene: colours and anchors of the points.
        part: its bare points.
        grid: S samples.
        cam: (3, N) points in the camera's frame.
        pixel: (2, N) their x and y in pixels of the frame.
        step: one pixel of the frame in radians.
        layer: S samples; changed in place.
    """
    found, box = _caps(part, grid, cam, pixel, step)
    keys = torch.full((len(layer.limit),), _EMPTY, dtype=torch.int64, device=cam.device)
    shown = []
    for item, where in grid.expand(box):
        item, where, u = found.at(grid.rays, layer.limit, item, where)
        depth = found.far.index_select(0, item).view(torch.int32).long()
        keys.scatter_reduce_(0, where, (depth << 32) | item, "amin")
        shown.append((item, where, u))
    nearest = (keys >> 32).int().view(torch.float32)
    colors = scene.colors.index_select(0, part.bare).float() / 255
    total = cam.new_zeros(5, len(keys))
    for item, where, u in shown:
        far = found.far.index_select(0, item)
        near = (far <= nearest.index_select(0, where) * (1 + BLEND_DEPTH)).nonzero()[:, 0]
        item, where, far = (x.index_select(0, near) for x in (item, where, far))
        weight = (1 - u.index_select(0, near)).square() + 1e-6
        for row, value in zip(total[:3], colors.T, strict=True):
            row.index_add_(0, where, value[item] * weight)
        total[3].index_add_(0, where, far * weight)
        total[4].index_add_(0, where, weight)
    at = (keys != _EMPTY).nonzero()[:, 0]
    layer.rgb[:, at] = total[:3, at] / total[4, at]
    layer.distance[at] = total[3, at] / total[4, at]
    layer.coverage[at] = True
    layer.anchor[at] = scene.anchor[part.bare[keys[at] & 0xFFFFFFFF].long()]


def _caps(part: Part, grid: SampleGrid, cam: Tensor, pixel: Tensor, step: float) -> tuple[_Caps, Tensor]:
    """(the caps, (4, K) boxes of the pixels of the grid that they can reach)."""
    center, scale = take(cam, part.bare), part.bare_scale
    far = dot(center, center).sqrt()
    least = torch.where(scale < 1, math.pi / grid.height, step)  # rims go by the grid, not by the frame
    angle = scale * torch.maximum(least, part.bare_radius / far)
    angle = torch.minimum(angle, (scale * step).clamp_min(CAP_MAX))
    box = cap_boxes(grid.pixels(pixel).index_select(1, part.bare), angle, grid.height)
    box[1] = torch.where(far > 0, box[1], box[0] - 1)  # a point in the camera has no direction
    found = _Caps(
        ahead=torch.stack(center) / far,
        far=far,
        chord=(2 * torch.sin(0.5 * angle)).square(),
        core=(CAP_CORE / scale).square().clamp_max(1),
    )
    return found, box
