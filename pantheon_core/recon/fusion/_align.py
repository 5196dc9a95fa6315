"""Scale, and constant, of every view by robust least squares over the overlaps on the sphere.

Unknowns are a factor and, for affine kinds, a constant of each view. A constant in z-depth is not the same
for views that are turned against each other, which is why the overlaps fix it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._overlap import MIN_SAMPLES, Pairs, find_pairs, groups, judge, median, sample
from ._types import CropDepths, FusionSettings, Overlap

__all__ = ["Alignment", "align"]

# Constants are pulled to zero by the square of what the views contradict each other, times this, per unit of
# sample weight: exact views decide alone, and errors of the views are not explained away by constants.
_PRIOR = 60.0
_PRIOR_FLOOR = 1e-6
# Views that contradict each other much can be "explained" by turning one over; then the pull is raised.
_CAUTION = (1.0, 30.0, 1e3, 1e8)
# Differences below this are noise that no weight needs to tell apart (log distance).
_FLOOR = 0.01


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Alignment:
    """Result of `align`, in the canonical form of `canonical`.

    Attributes:
        scale: (V,) float64.
        shift: (V,) float64.
        residual: (V,) median |log difference| to the others.
        group: (V,) int.
        used: (V,) bool.
        overlaps: pairs of views.
    """

    scale: Tensor
    shift: Tensor
    residual: Tensor
    group: Tensor
    used: Tensor
    overlaps: tuple[Overlap, ...]


def align(
    values: Tensor,
    crops: CropDepths,
    *,
    inverse: bool,
    along_ray: bool,
    height: int,
    settings: FusionSettings,
) -> Alignment:
    """Align the views.

    Args:
        values: (V, h, w) canonical values.
        crops: where they look.
        inverse: the values are inverse ones.
        along_ray: they run along the ray, not along the axis.
        height: of the panorama.
        settings: see FusionSettings.
    """
    affine = crops.freedom == "affine"
    table, factor, weight = sample(values, crops, inverse, along_ray, affine, height)
    pairs, edges = find_pairs(table, factor, weight)
    seen = (weight > 0).sum(1) >= MIN_SAMPLES
    group = groups(len(values), edges)
    scale, shift = torch.ones(len(values), dtype=torch.float64), torch.zeros(len(values), dtype=torch.float64)
    used = seen.clone()
    for number in group.unique().tolist():
        members = (group == number).nonzero()[:, 0]
        own = torch.isin(pairs.view[0], members)
        some = Pairs(
            view=pairs.view[:, own],
            value=pairs.value[:, own],
            factor=pairs.factor[:, own],
            weight=pairs.weight[own],
        )
        if affine:
            scale, shift = _affine(some, members, scale, shift, settings.iterations)
        else:
            scale = _scales(some, members, scale, settings.iterations)
        scale, shift = _gauge(scale, shift, members, table, factor, weight, affine)
    used &= scale > 0
    residual, overlaps = judge(pairs, edges, scale, shift, used, settings)
    return Alignment(scale=scale, shift=shift, residual=residual, group=group, used=used, overlaps=overlaps)


def _robust(residual: Tensor, weight: Tensor) -> Tensor:
    """Geman-McClure weights, their width from the residuals' own median."""
    width = max(_FLOOR, 3 * 1.4826 * float(median(residual.abs(), weight)))
    return weight / (1 + (residual / width) ** 2) ** 2


def _scales(pairs: Pairs, members: Tensor, scale: Tensor, iterations: int) -> Tensor:
    """Factors of the members: least squares in log distance, started from the pairs' medians."""
    if not len(pairs.weight):
        return scale
    gap = (pairs.value * pairs.factor).log()
    gap = gap[0] - gap[1]
    logs = torch.zeros(len(scale), dtype=torch.float64)
    start = gap.clone()
    key = pairs.view[0] * len(scale) + pairs.view[1]
    for pair in key.unique():
        start[key == pair] = median(gap[key == pair], pairs.weight[key == pair])
    for iteration in range(iterations):
        residual = gap + logs[pairs.view[0]] - logs[pairs.view[1]]
        weight = pairs.weight if iteration == 0 else _robust(residual, pairs.weight)
        wanted = start if iteration == 0 else gap
        new = torch.zeros_like(logs)
        new[members] = _laplacian_solve(pairs.view, weight, wanted, members, len(scale))
        change = float((new - logs).abs().max())
        logs = new
        if change < 1e-6:
            break
    out = scale.clone()
    out[members] = logs[members].exp()
    return out


def _laplacian_solve(view: Tensor, weight: Tensor, gap: Tensor, members: Tensor, count: int) -> Tensor:
    """Minimise the sum of weight · (gap + x_first − x_second)², the mean of x being 0."""
    matrix = torch.zeros(count * count, dtype=torch.float64)
    right = torch.zeros(count, dtype=torch.float64)
    for a, sign_a in ((0, 1.0), (1, -1.0)):
        right.index_add_(0, view[a], -sign_a * weight * gap)
        for b, sign_b in ((0, 1.0), (1, -1.0)):
            matrix.index_add_(0, view[a] * count + view[b], sign_a * sign_b * weight)
    matrix = matrix.reshape(count, count)[members][:, members]
    return torch.linalg.solve(matrix + matrix.diagonal().mean() / len(members), right[members])


def _affine(
    pairs: Pairs, members: Tensor, scale: Tensor, shift: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """Factors and constants: least squares of relative differences, at a fixed mean.

    Without the fixed mean all zeros would be the best solution. The relative differences are those to the
    mean of both views at the last iteration, so that near and far count alike.
    """
    if not len(pairs.weight):
        return scale, shift
    count = len(scale)
    # work in units of the view's typical value, else the constants of large values would be free of the ridge
    unit = torch.ones(count, dtype=torch.float64)
    for member in members.tolist():
        own = pairs.value[pairs.view == member]
        unit[member] = own.abs().median().clamp(min=1e-12) if len(own) else 1.0
    value = pairs.value / unit[pairs.view]
    columns = torch.cat((pairs.view, pairs.view + count))  # (4, P): two factors, two constants
    entries = torch.cat((value * pairs.factor, pairs.factor))
    theta = torch.zeros(2 * count, dtype=torch.float64)
    for caution in _CAUTION:
        theta = _fit_affine(pairs.weight, columns, entries, members, iterations, caution)
        if bool((theta[members] > 0).all()):
            break
    scale, shift = scale.clone(), shift.clone()
    scale[members] = theta[members] / unit[members]
    shift[members] = theta[members + count]
    return scale, shift


def _fit_affine(
    trust: Tensor, columns: Tensor, entries: Tensor, members: Tensor, iterations: int, caution: float
) -> Tensor:
    """(2V,) factors and constants of the members, in the views' own units."""
    count = int(columns[2, 0] - columns[0, 0])
    sign = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]], dtype=torch.float64)
    both = torch.cat((members, members + count))
    mean, weight = torch.ones_like(trust), trust
    theta = torch.zeros(2 * count, dtype=torch.float64)
    key = (columns[0] * count + columns[1]).unique(return_inverse=True)[1]
    contradiction = 0.0
    for _ in range(iterations):
        ridge = caution * (_PRIOR_FLOOR + _PRIOR * contradiction)
        relative = entries / mean
        # noise is added to the value, so what is very far is known badly
        matter = weight * (mean / (mean + 0.2 * mean.median())) ** 2
        new = _fixed_mean(columns, relative, sign, matter, both, ridge)
        x = (new[columns] * entries).reshape(2, 2, -1).sum(0)
        middle = x.mean(0)
        mean = middle.clamp(min=0.02 * float(middle.median().abs().clamp(min=1e-12)))
        residual = (x[0] - x[1]) / mean
        weight = _robust(residual, trust)
        contradiction = _contradiction(residual, weight, key)
        change = float((new - theta).abs().max() / new.abs().max())
        theta = new
        if change < 1e-7:
            break
    return theta


def _contradiction(residual: Tensor, weight: Tensor, key: Tensor) -> float:
    """Mean square of what is left of each pair of views on average; the noise of pixels averages out."""
    total = torch.zeros(int(key.max()) + 1, dtype=torch.float64)
    mean = total.index_add(0, key, weight * residual)
    total = total.index_add(0, key, weight)
    return float((mean.square() / total.clamp(min=1e-12)).sum() / total.sum())


def _fixed_mean(
    columns: Tensor, entries: Tensor, sign: Tensor, weight: Tensor, members: Tensor, ridge: float
) -> Tensor:
    """Minimise the sum of weight · (Σ sign entry θ)² at Σ weight · Σ entry θ = 2 Σ weight; (2V,)."""
    size = 2 * int(columns[2, 0] - columns[0, 0])
    count = size // 2
    rows = entries * sign
    matrix = torch.zeros(size * size, dtype=torch.float64)
    mean = torch.zeros(size, dtype=torch.float64)
    for a in range(4):
        mean.index_add_(0, columns[a], weight * entries[a])
        for b in range(4):
            matrix.index_add_(0, columns[a] * size + columns[b], weight * rows[a] * rows[b])
    matrix = matrix.reshape(size, size)
    matrix[range(count, size), range(count, size)] += ridge * weight.sum() / len(members)
    part = matrix[members][:, members]
    # a trace of the identity keeps the exact case, whose matrix is singular along the solution, solvable
    part = part + 1e-12 * part.diagonal().mean() * torch.eye(len(members), dtype=torch.float64)
    found = torch.linalg.solve(part, mean[members])
    theta = torch.zeros(size, dtype=torch.float64)
    theta[members] = found * (2 * weight.sum() / (mean[members] @ found))
    return theta


def _gauge(
    scale: Tensor,
    shift: Tensor,
    members: Tensor,
    table: Tensor,
    factor: Tensor,
    weight: Tensor,
    affine: bool,
) -> tuple[Tensor, Tensor]:
    """Fix the factor that the overlaps leave open.

    The typical view (median, by what it sees) keeps its scale; for affine kinds, whose unit means nothing,
    the median becomes 1.
    """
    scale, shift = scale.clone(), shift.clone()
    trust = weight[members].sum(1)
    if not float(trust.sum()):
        return scale, shift
    if affine:
        x = factor[members] * (table[members] * scale[members, None] + shift[members, None])
        seen = weight[members] > 0
        unit = median(x[seen], weight[members][seen])
        if unit > 0:
            scale[members] /= unit
            shift[members] /= unit
    else:
        scale[members] /= median(scale[members].log(), trust).exp()
    return scale, shift
