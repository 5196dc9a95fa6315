"""Points that nothing holds up: specks on a panorama's grid, and stray points of a cloud."""

from __future__ import annotations

import torch
from torch import Tensor

from .._types import PointCache
from ._grid import around, components, log_slope, row_weight, window

__all__ = ["floating_pixels", "stray_points"]

_AGREES = 0.05
_LEAST_NEIGHBOURS = 2
_PER_CELL = 8.0  # points of an ordinary cell, from which the cells' size follows


def floating_pixels(distance: Tensor, valid: Tensor, *, pixels: float, rtol: float = _AGREES) -> Tensor:
    """Pixels of patches so small that they are noise.

    Neighbours whose distances, or heights above or below the camera, differ by less than `rtol` belong
    together: rows of ground that is seen flat are far apart and yet one surface. Patches of fewer pixels than
    `pixels` float, counted as at the equator; also pixels with fewer than two like neighbours in the 5x5
    around them.

    Args:
        distance, valid: (H, W) of a levelled panorama.
        pixels: the smallest patch that stays.
        rtol: relative step within a patch.

    Returns:
        (H, W) bool.
    """
    log = torch.where(valid, distance.clamp_min(1e-12).log(), float("nan"))
    height = log + log_slope(*_size(log))
    support = torch.zeros_like(log)
    for other, level in zip(window(log, 2), window(height, 2), strict=True):
        support += ((other - log).abs() < rtol) | ((level - height).abs() < rtol)
    label = _patches(log, height, rtol)
    weight = (row_weight(*_size(log)) * valid).reshape(-1)
    area = torch.zeros_like(weight).index_add_(0, label, weight)[label].view_as(log)
    return valid & ((support < _LEAST_NEIGHBOURS) | (area < pixels))


def _size(field: Tensor) -> tuple[int, torch.device]:
    return field.shape[0], field.device


def _patches(log: Tensor, level: Tensor, rtol: float) -> Tensor:
    """(H W,) the patch of each pixel; the eight neighbours count, over the poles too."""
    height, width = log.shape
    number = torch.arange(height * width, device=log.device).view(height, width)
    pairs = []
    padded, padded_level, padded_number = around(log, 1), around(level, 1), around(number, 1)
    for y, x in ((1, 2), (2, 0), (2, 1), (2, 2), (0, 1)):
        # the last one meets its own pixels again except in the first row, where it goes over the pole
        rows = slice(0, 1) if (y, x) == (0, 1) else slice(0, height)
        other = padded[y : y + height, x : x + width][rows]
        other_level = padded_level[y : y + height, x : x + width][rows]
        joined = ((other - log[rows]).abs() < rtol) | ((other_level - level[rows]).abs() < rtol)
        pairs.append((number[rows][joined], padded_number[y : y + height, x : x + width][rows][joined]))
    first, second = (torch.cat(side) for side in zip(*pairs, strict=True))
    return components(height * width, first, second)


def stray_points(cache: PointCache, which: Tensor) -> Tensor:
    """(N,) bool: points of a cloud with hardly anything around them.

    Space is cut into cells that hold eight points on average where there are any. A point is stray when its
    cell and the 26 around it hold fewer than three points, or fewer than 3 % of what is usual.

    Args:
        cache: the cache.
        which: (N,) bool, the points to judge; all points hold them up.
    """
    out = torch.zeros_like(which)
    if int(which.sum()) < 10:
        return out
    points = cache.points.double()
    points = points - points.amin(0)
    cell = _cell_size(points)
    if cell <= 0:
        return out
    place = (points / cell).floor().long()
    sizes = place.amax(0) + 3
    strides = torch.stack((sizes[1] * sizes[2], sizes[2], torch.ones_like(sizes[2])))
    keys, member, count = torch.unique(
        ((place + 1) * strides).sum(-1), return_inverse=True, return_counts=True
    )
    around_it = torch.zeros_like(count)
    for x in (-1, 0, 1):
        for y in (-1, 0, 1):
            for z in (-1, 0, 1):
                wanted = keys + int((strides * strides.new_tensor([x, y, z])).sum())
                at = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
                around_it += torch.where(keys[at] == wanted, count[at], 0)
    held = around_it[member]
    usual = held[which].double().median()
    out[which] = held[which] < torch.clamp(usual * 0.03, min=3.0)
    return out


def _cell_size(points: Tensor) -> float:
    """Edge of the cells that hold `_PER_CELL` points on average where there are any."""
    wide = float(points.amax())
    low, high = wide / 2**20, wide
    if wide <= 0 or not len(points):
        return 0.0
    for _ in range(14):
        middle = (low * high) ** 0.5
        place = (points / middle).floor().long()
        sizes = place.amax(0) + 1
        key = (place[:, 0] * sizes[1] + place[:, 1]) * sizes[2] + place[:, 2]
        occupied = len(torch.unique(key))
        if len(points) / occupied < _PER_CELL:
            low = middle
        else:
            high = middle
    return high
