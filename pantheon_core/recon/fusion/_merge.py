"""Aligned views -> one field of log distance without seams."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...geometry import erp_rays
from ._align import Alignment
from ._solve import SphereSystem, solve
from ._types import CropDepths, FusionSettings
from ._warp import look, mean_at, surface_at

__all__ = ["Merged", "merge"]

# A constraint counts almost in full from a weight of a few times this on.
_SOFT = 0.1
# An edge counts as seen from this share of the weight of the views that see none.
_BROKEN = 0.2
_FILL = 0.1
# Views that differ by more (log distance) see different surfaces.
_AGREE = 0.3
# Standard deviation of the views at which their mean counts half, and at which they are trusted half: the
# merge evens out what differs smoothly, so a little of it is no reason to drop points.
_SPREAD = 0.15
_DISTRUST = 0.35


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Merged:
    """(H, W) log distance (0 where not valid), confidence and valid; share filled; steps of the solver."""

    log_distance: Tensor
    confidence: Tensor
    valid: Tensor
    filled: float
    steps: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _View:
    """One view on the panorama: log distance, weight and confidence (H, W), 0 where it does not look."""

    field: Tensor
    weight: Tensor
    trust: Tensor


class _Steps:
    """Steps between neighbours along one axis, summed over the views that see both on one surface."""

    def __init__(self, like: Tensor) -> None:
        self.step, self.kept, self.broken = (torch.zeros_like(like) for _ in range(3))

    def add(self, view: _View, edges: Tensor, dim: int) -> None:
        weight = torch.minimum(view.weight, view.weight.roll(-1, dim))
        keep = weight * ~edges
        self.step += keep * (view.field.roll(-1, dim) - view.field)
        self.kept += keep
        self.broken += weight * edges

    def wanted(self) -> tuple[Tensor, Tensor]:
        """(H, W) mean steps and weights 0..1.

        An edge that one view sees breaks the tie for all: views see it a pixel apart, and if each gave its
        step where the other has the edge, the jump would be lost and spread over the surfaces.
        """
        kept = self.kept * (self.broken <= _BROKEN * self.kept)
        return self.step / self.kept.clamp(min=1e-9), kept / (kept + _SOFT)


def merge(
    inverse_z: Tensor,
    good: Tensor,
    crops: CropDepths,
    *,
    alignment: Alignment,
    height: int,
    exclude: Tensor | None,
    settings: FusionSettings,
) -> Merged:
    """Merge the views.

    Gradients come from within the views, never over a view's border or a depth edge, the mean of the views
    holds the scale; both weigh by confidence and closeness to the view's centre.

    Args:
        inverse_z: (V, h, w) aligned inverse z-depth.
        good: (V, h, w) bool.
        crops: where they look and how sure they are.
        alignment: which views are used.
        height: of the panorama.
        exclude: (H, W) bool, directions to leave out.
        settings: see FusionSettings.
    """
    rays = erp_rays(height).reshape(-1, 3)
    across, down = _Steps(torch.zeros(height, 2 * height)), _Steps(torch.zeros(height, 2 * height))
    rejected = torch.zeros(height, 2 * height, dtype=torch.bool)
    views = []
    for number in alignment.used.nonzero()[:, 0].tolist():
        view = _on_sphere(inverse_z[number].float(), good[number], crops, number, rays, settings)
        if exclude is not None:
            view = replace(view, weight=view.weight * ~exclude)
        edges = [_edges(view.field, view.weight, settings.edge_step, dim) for dim in (0, 1)]
        edges[0][-1] = True  # the last row has no next one
        lonely = _lonely(view.weight, *edges)
        rejected |= lonely
        view = replace(view, weight=view.weight * ~lonely)
        down.add(view, edges[0], 0)
        across.add(view, edges[1], 1)
        views.append(view)
    return _finish(views, across, down, rejected, settings)


def _on_sphere(
    inverse_z: Tensor, good: Tensor, crops: CropDepths, number: int, rays: Tensor, settings: FusionSettings
) -> _View:
    """A view looked up along the panorama's rays (N, 3)."""
    taps = look(rays, crops.rotations[number].cpu(), crops.fovs[number], (good.shape[0], good.shape[1]))
    inverse, fine = surface_at(inverse_z, good, taps)
    fall = (taps.closeness / settings.falloff).clamp(max=1)
    trust = torch.ones_like(inverse)
    if crops.confidence is not None:
        trust = mean_at(crops.confidence[number].cpu().float().clamp(0, 1), good, taps)[0]
    # not quite zero: where one view alone looks, little trust is better than a hole
    weight = fall * fall * (3 - 2 * fall) * trust.clamp(min=1e-3)
    fields = torch.stack((-(inverse.clamp(min=1e-12) * taps.cosine).log(), weight, trust))
    whole = torch.zeros(3, len(rays))
    whole[:, taps.where] = torch.where(fine, fields, 0.0)
    field, weight, trust = whole.reshape(3, math.isqrt(len(rays) // 2), -1)
    return _View(field=field, weight=weight, trust=trust)


def _values(views: list[_View]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(H, W) log distance, its weight, the views' variance and their confidence.

    The value follows the view with the largest weight and those that agree with it: where one sees the front
    and another the back of an edge, their mean would be a surface in the air.
    """
    best_weight, best = torch.zeros_like(views[0].weight), torch.zeros_like(views[0].weight)
    for view in views:
        better = view.weight > best_weight
        best_weight = torch.where(better, view.weight, best_weight)
        best = torch.where(better, view.field, best)
    value, agreeing, total, trust, mean, square = (torch.zeros_like(best) for _ in range(6))
    for view in views:
        off = view.field - best
        weight = view.weight / (1 + (off / _AGREE).square()).square()
        value += weight * view.field
        agreeing += weight
        total += view.weight
        trust += view.weight * view.trust
        mean += view.weight * off
        square += view.weight * off.square()
    whole = total.clamp(min=1e-9)
    variance = (square / whole - (mean / whole).square()).clamp(min=0)
    return value / agreeing.clamp(min=1e-9), total, variance, trust / whole


def _finish(
    views: list[_View], across: _Steps, down: _Steps, rejected: Tensor, settings: FusionSettings
) -> Merged:
    """Solve for the field whose steps and values are the wanted ones."""
    value, weight, spread, trust = _values(views)
    known = weight > 0
    filled = rejected & ~known
    if not bool(known.any()):
        nothing = torch.zeros_like(value)
        return Merged(log_distance=nothing, confidence=nothing, valid=known, filled=0.0, steps=0)
    gx, tie_across = across.wanted()
    gy, tie_down = down.wanted()
    # what was thrown out as an outlier continues its surroundings
    inside = known | filled
    for tie, dim in ((tie_across, 1), (tie_down, 0)):
        bridge = (filled | filled.roll(-1, dim)) & inside & inside.roll(-1, dim)
        tie.masked_fill_(bridge & (tie == 0), _FILL)
    # where views contradict each other their mean says little, their steps more
    data = weight / (weight + _SOFT) / (1 + spread / _SPREAD**2)
    data = torch.where(known, data.clamp(min=1e-6), 0.0)
    system = SphereSystem(tie_across, tie_down[:-1], data, settings.reach)
    centre = value[known].median()
    wanted = torch.where(known, value - centre, 0.0).double()
    right = system.right_side(gx.double(), gy[:-1].double(), wanted)
    field, steps = solve(system, right, wanted, settings.tolerance)
    valid = inside & system.known
    trust = torch.where(filled, 0.5 * trust[known].median(), trust / (1 + spread / _DISTRUST**2))
    area = system.cos.float().expand_as(trust)
    return Merged(
        log_distance=torch.where(valid, (field + centre).float(), 0.0),
        confidence=torch.where(valid, trust.clamp(0, 1), 0.0),
        valid=valid,
        filled=float((area * filled).sum() / area.sum()),
        steps=steps,
    )


def _edges(field: Tensor, weight: Tensor, step: float, dim: int) -> Tensor:
    """(H, W) bool: the step from a pixel to the next is a depth edge of this view.

    A steep floor also steps; but its inverse distance goes on almost linearly on both sides, which that of an
    edge does on neither.
    """
    after = field.roll(-1, dim)
    jump = (after - field).abs() > step
    inverse = (-field).exp() * (weight > 0)
    next_one = inverse.roll(-1, dim)
    low = torch.minimum(inverse, next_one)
    before, beyond = inverse.roll(1, dim), inverse.roll(-2, dim)
    bend_here = (before - 2 * inverse + next_one).abs() > step * low
    bend_there = (inverse - 2 * next_one + beyond).abs() > step * low
    return jump & (bend_here | (before == 0)) & (bend_there | (beyond == 0))


def _lonely(weight: Tensor, edges_down: Tensor, edges_across: Tensor) -> Tensor:
    """(H, W) bool: pixels that share no surface with any of their four neighbours, though there are some."""
    seen = weight > 0
    ties, neighbours = torch.zeros_like(weight), torch.zeros_like(weight)
    for edges, dim in ((edges_down, 0), (edges_across, 1)):
        pair = seen & seen.roll(-1, dim)
        if dim == 0:
            pair[-1] = False
        neighbours += pair.float() + pair.roll(1, dim)
        tie = pair & ~edges
        ties += tie.float() + tie.roll(1, dim)
    return seen & (ties == 0) & (neighbours >= 2)
