"""What the views say of the directions that they share.

Distances along the ray (or their inverses) do not depend on the view, so they can be compared. Samples are
pixels of a coarse panorama and count by solid angle; a turn by whole samples changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...geometry import erp_rays
from ._types import CropDepths, FusionSettings, Overlap
from ._warp import look, mean_at

__all__ = ["Pairs", "find_pairs", "groups", "judge", "median", "sample"]

_SAMPLE_ROWS = 96
MIN_SAMPLES = 24


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pairs:
    """Directions seen by two views: indices (P,), values and factors (2, P), weights (P,)."""

    view: Tensor
    value: Tensor
    factor: Tensor
    weight: Tensor


def sample(
    values: Tensor, crops: CropDepths, inverse: bool, along_ray: bool, affine: bool, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(V, N) values, factors that turn them into (inverse) distance, and weights, 0 where nothing is seen."""
    stride = max(1, height // _SAMPLE_ROWS)
    rays = erp_rays(height, dtype=torch.float64)[stride // 2 :: stride, ::stride].reshape(-1, 3)
    area = torch.hypot(rays[:, 0], rays[:, 2])
    table = torch.zeros(len(values), len(rays), dtype=torch.float64)
    factor, weight = torch.ones_like(table), torch.zeros_like(table)
    good = crops.good.cpu() & (torch.ones((), dtype=torch.bool) if affine else values > 0)
    for view, (rotation, fov) in enumerate(zip(crops.rotations.cpu(), crops.fovs, strict=True)):
        taps = look(rays, rotation, fov, (values.shape[1], values.shape[2]))
        found, fine = mean_at(values[view].double(), good[view], taps)
        # estimators know least about their borders
        trust = fine * area[taps.where] * (taps.closeness / 0.2).clamp(max=1)
        if crops.confidence is not None:
            trust = trust * mean_at(crops.confidence[view].cpu().double().clamp(0, 1), good[view], taps)[0]
        table[view, taps.where] = found
        weight[view, taps.where] = trust
        if not along_ray:
            factor[view, taps.where] = taps.cosine if inverse else 1 / taps.cosine
    return table, factor, weight


def find_pairs(
    table: Tensor, factor: Tensor, weight: Tensor
) -> tuple[Pairs, list[tuple[int, int, int, int]]]:
    """Pairs of values in one direction, and (first, second, start, stop) of each pair of views in them."""
    views, where, edges, count = [], [], [], 0
    for first in range(len(table)):
        for second in range(first + 1, len(table)):
            both = ((weight[first] > 0) & (weight[second] > 0)).nonzero()[:, 0]
            if len(both) < MIN_SAMPLES:
                continue
            views.append(torch.tensor([[first], [second]]).expand(2, len(both)))
            where.append(both)
            edges.append((first, second, count, count + len(both)))
            count += len(both)
    view = torch.cat(views, 1) if views else torch.zeros(2, 0, dtype=torch.long)
    at = torch.cat(where) if where else torch.zeros(0, dtype=torch.long)
    pairs = Pairs(
        view=view,
        value=table[view, at],
        factor=factor[view, at],
        weight=(weight[view[0], at] * weight[view[1], at]).sqrt(),
    )
    return pairs, edges


def groups(count: int, edges: list[tuple[int, int, int, int]]) -> Tensor:
    """(V,) smallest index of the views that each hangs together with, counted from 0."""
    group = list(range(count))
    for _ in range(count):
        for first, second, *_ in edges:
            group[first] = group[second] = min(group[first], group[second])
    names = {name: number for number, name in enumerate(sorted(set(group)))}
    return torch.tensor([names[name] for name in group])


def judge(
    pairs: Pairs,
    edges: list[tuple[int, int, int, int]],
    scale: Tensor,
    shift: Tensor,
    used: Tensor,
    settings: FusionSettings,
) -> tuple[Tensor, tuple[Overlap, ...]]:
    """Residuals of the views and of their overlaps, in log distance."""
    x = pairs.factor * (pairs.value * scale[pairs.view] + shift[pairs.view])
    # a value that became negative disagrees with everything
    gap = torch.where((x > 0).all(0), (x.clamp(min=1e-12).log().diff(dim=0)[0]).abs(), 10.0)
    residual = torch.full((len(scale),), torch.nan, dtype=torch.float64)
    for view in range(len(scale)):
        own = (pairs.view == view).any(0)
        if bool(own.any()):
            residual[view] = median(gap[own], pairs.weight[own])
    overlaps = []
    for first, second, start, stop in edges:
        difference = float(median(gap[start:stop], pairs.weight[start:stop]))
        overlaps.append(
            Overlap(
                first=first,
                second=second,
                samples=stop - start,
                difference=difference,
                agrees=difference <= settings.disagree and bool(used[first] & used[second]),
            )
        )
    return residual, tuple(overlaps)


def median(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted median of (N,): the mean of the lower and the upper one, so that it has no direction."""
    order = values.argsort()
    total = weight[order].cumsum(0)
    half = total[-1] / 2
    last = len(values) - 1
    low = torch.searchsorted(total, half * (1 - 1e-9)).clamp(max=last)
    high = torch.searchsorted(total, half * (1 + 1e-9), right=True).clamp(max=last)
    return (values[order[low]] + values[order[high]]) / 2
