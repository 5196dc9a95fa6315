"""Anchors drawn apart and put together: the nearest surface wins, surfaces that agree are blended."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._scene import BLEND_DEPTH, FARTHEST, Part

__all__ = ["BACK", "Layer", "blend_layers"]

BACK = -2  # in `Layer.anchor`: the far side of something, which hides what every anchor saw behind it


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layer:
    """What one part shows: (3, P) rgb, (P,) distance, bool coverage, int16 anchor (-1 none, BACK), and limit.

    `limit` is FARTHEST where the part has nothing, else how near a cap had to be, negative over a surface.
    """

    rgb: Tensor
    distance: Tensor
    coverage: Tensor
    anchor: Tensor
    limit: Tensor


def blend_layers(layers: list[Layer], parts: tuple[Part, ...], position: Tensor) -> Layer:
    """Put the layers of several anchors together for a camera at `position` (3,).

    Surfaces within BLEND_DEPTH of the nearest one are blended, each weighted by the inverse square of its
    anchor's distance.
    """
    if len(layers) == 1:
        return layers[0]
    rgb, covered = torch.stack([x.rgb for x in layers]), torch.stack([x.coverage for x in layers])
    t, anchor = torch.stack([x.distance for x in layers]), torch.stack([x.anchor for x in layers])
    limit = torch.stack([x.limit for x in layers])
    infinity = t.new_tensor(float("inf"))
    nearest = torch.where(covered, t, infinity).amin(0)
    back = torch.where((anchor == BACK) & ~covered, limit.abs(), infinity).amin(0)
    seen = covered.any(0) & (nearest <= back)
    far = torch.stack([part.center.to(position) - position for part in parts]).norm(dim=-1)
    close = 1 / (far / far.max().clamp_min(1e-6)).clamp_min(1e-3).square()
    # Full weight up to half the way, then less and less: a surface that drifts apart fades, it does not pop.
    agree = ((1 + BLEND_DEPTH - t / nearest.clamp_min(1e-12)) / (0.5 * BLEND_DEPTH)).clamp(0, 1)
    weight = torch.where(covered, agree * close[:, None], 0.0)
    part_of = (weight / weight.sum(0).clamp_min(1e-12)) * seen
    best = weight.argmax(0, keepdim=True)
    return Layer(
        rgb=(part_of[:, None] * rgb).sum(0),
        distance=(part_of * t).sum(0),
        coverage=seen,
        anchor=torch.where(seen, anchor.gather(0, best)[0], -1).to(torch.int16),
        limit=torch.where((limit == FARTHEST).all(0) & ~seen, limit[0], 1.0),
    )
