"""What several anchors saw alike is kept once: from the anchor that saw it best."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import InputError, Progress
from ...geometry import rays_to_erp_pixels
from .._types import PointCache
from ._grid import AnchorGrid, anchor_grid, around
from ._select import select_points

__all__ = ["merge_overlaps"]

_RIVALS = 8  # the nearest other anchors that each is compared with: the work grows with the anchors alone
_BLOCK = 1 << 19
_BLUR = 4  # pixels on each side


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Anchor:
    grid: AnchorGrid | None
    T_world_cam: Tensor
    pixel_angle: float


@torch.no_grad()
def merge_overlaps(
    cache: PointCache,
    *,
    rtol: float = 0.03,
    band: float = 0.25,
    duplicates: bool = True,
    conflicts: bool = True,
    progress: Progress | None = None,
) -> PointCache:
    """Leave out points of a surface that another anchor saw more finely.

    A point is looked up in the panoramas of the other anchors. Where one of them has the same surface there
    (all four pixels around agree in distance), the anchor whose pixels are finer on it, as a rule the
    nearest, keeps it. Within `band` of equal fineness both keep theirs: the renderer blends them, and towards
    the end of the band the coarser one's colours pass to the other's (their smooth part, so that nothing is
    blurred), so that no seam is seen. What only one anchor sees stays, however far it is, and so does one
    pixel around it.

    Args:
        cache: of several anchors; those without a known panorama size are left as they are.
        rtol: relative difference of distance up to which two surfaces are the same one.
        band: a point goes where another anchor saw it more than 1 + `band` times as finely.
        duplicates: leave out what a finer anchor saw alike; the renderer blends it otherwise, which is a
            little better (0 to 0.25 dB) and slower.
        conflicts: leave out points that hang in mid-air before what such a finer anchor sees, by more
            than three times `rtol`: the double walls of panoramas whose distances disagree.
        progress: called with (anchors done, anchors).

    Raises:
        InputError: `rtol` or `band` is not positive.
    """
    if rtol <= 0 or band <= 0:
        raise InputError(f"rtol, band: expected numbers above 0, got {rtol} and {band}")
    count = len(cache.T_world_anchor)
    if count < 2 or cache.anchor_pixel_angle is None:
        return cache
    anchors = [
        _Anchor(
            grid=anchor_grid(cache, index),
            T_world_cam=cache.T_world_anchor[index].to(cache.points),
            pixel_angle=float(cache.anchor_pixel_angle[index]),
        )
        for index in range(count)
    ]
    drop = torch.zeros(len(cache.points), dtype=torch.bool, device=cache.points.device)
    change = torch.zeros(cache.colors.shape, device=cache.points.device)
    places = cache.T_world_anchor[:, :3, 3]
    for index, own in enumerate(anchors):
        nearby = (places - places[index]).norm(dim=-1).argsort(stable=True).tolist()
        rivals = [anchors[k] for k in nearby if k != index][:_RIVALS]
        if own.pixel_angle > 0:
            for mine in (cache.anchor == index).nonzero()[:, 0].split(_BLOCK):
                found = _against(cache, mine, own, rivals, rtol)
                if duplicates:
                    drop[mine] |= found.same > 1 + band
                    change[mine] = found.change * _share(found.same, band)
                if conflicts:
                    drop[mine] |= found.through > 1 + band
        if own.grid is not None:
            change[own.grid.number[own.grid.valid]] = _smooth(change, own.grid)
            _spare_borders(drop, own.grid)
        if progress:
            progress(index + 1, count)
    colors = (cache.colors.float() + change).round().clamp(0, 255).to(torch.uint8)
    return select_points(replace(cache, colors=colors), ~drop)


def _share(finer: Tensor, band: float) -> Tensor:
    """(n, 1) how far colours have passed to the finer anchor's: 0 at equal fineness, 1 at the band's end."""
    return (finer.clamp_min(1.0).log() / math.log1p(band)).clamp(0, 1)[:, None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Found:
    """What the other anchors say of n points.

    Attributes:
        same: (n,) how many times finer the finest of those that have the point's surface saw it; 0 if none.
        through: (n,) the same of those that saw through the point, at what is behind it.
        change: (n, 3) what has to be added to the points' colours to get those of the finest that has them.
    """

    same: Tensor
    through: Tensor
    change: Tensor


def _against(cache: PointCache, mine: Tensor, own: _Anchor, rivals: list[_Anchor], rtol: float) -> _Found:
    points = cache.points[mine]
    footprint = (points - own.T_world_cam[:3, 3]).norm(dim=-1) * own.pixel_angle
    finest, through = torch.zeros_like(footprint), torch.zeros_like(footprint)
    own_color = cache.colors[mine].float()
    change = torch.zeros_like(own_color)
    for rival in rivals:
        if rival.grid is None:
            continue
        local = (points - rival.T_world_cam[:3, 3]) @ rival.T_world_cam[:3, :3]
        far = local.norm(dim=-1)
        same, before, color = _seen(rival.grid, cache.colors, local, far, rtol)
        ratio = footprint / (far * rival.pixel_angle).clamp_min(1e-12)
        better = same & (ratio > finest)
        finest = torch.where(better, ratio, finest)
        change = torch.where(better[:, None], color - own_color, change)
        through = torch.maximum(through, torch.where(before, ratio, 0.0))
    return _Found(same=finest, through=through, change=change)


def _seen(
    grid: AnchorGrid, colors: Tensor, local: Tensor, far: Tensor, rtol: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What the four pixels around each direction show: the point's surface, or only what is behind it.

    Returns:
        (n,) bool, all four at the point's distance; (n,) bool, all four farther; (n, 3) their mean colour.
    """
    height = grid.height
    xy = rays_to_erp_pixels(local, height)
    base = xy.floor().long()
    part = xy - base
    same = far > 0
    before = same.clone()
    mean = torch.zeros_like(far)
    color = torch.zeros(len(far), 3, device=far.device)
    for dy in (0, 1):
        for dx in (0, 1):
            # beyond a pole the row at the pole stands for its neighbour over it: they are next to each other
            at = (base[:, 1] + dy).clamp(0, height - 1), (base[:, 0] + dx) % (2 * height)
            number, distance = grid.number[at], grid.distance[at]
            same = same & (number >= 0) & ((distance - far).abs() < 2 * rtol * far)
            before = before & (number >= 0) & (distance > (1 + 3 * rtol) * far)
            weight = (part[:, 0] if dx else 1 - part[:, 0]) * (part[:, 1] if dy else 1 - part[:, 1])
            mean = mean + weight * distance
            color = color + weight[:, None] * colors[number.clamp_min(0)].float()
    return same & ((mean - far).abs() < rtol * far), before, color


def _smooth(change: Tensor, grid: AnchorGrid) -> Tensor:
    """The colour changes of a grid's points, averaged over 9x9 pixels: (n, 3) in the order of the pixels."""
    there = grid.valid
    picture = torch.zeros(4, *there.shape, device=change.device)
    values = change[grid.number[there]]
    picture[:3, there] = values.T
    picture[3, there] = (values != 0).any(-1).float()
    wide = F.avg_pool2d(around(picture, _BLUR)[None], 2 * _BLUR + 1, 1)[0]
    mean = wide[:3] / wide[3].clamp_min(1e-6)
    return (mean * picture[3])[:, there].T


def _spare_borders(drop: Tensor, grid: AnchorGrid) -> None:
    """Keep dropped points next to kept ones, so that two surfaces overlap where one takes over."""
    there = grid.valid
    number = grid.number[there]
    gone = torch.zeros_like(there)
    gone[there] = drop[number]
    kept = (there & ~gone).float()
    near_kept = F.max_pool2d(around(kept, 1)[None, None], 3, 1)[0, 0] > 0
    drop[number] = gone[there] & ~near_kept[there]
