"""Depth edges: pixels at them, pixels that hang in the air between two surfaces, and where those belong."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check import check_shape
from ...geometry import erp_rays
from ._grid import around, log_slope, range_3x3, window

__all__ = ["between_surfaces", "edge_mask", "nearest_surface", "noise_level"]

_REACH = 3  # pixels: how far a smeared edge is from the surfaces on its sides
_AGREES = 0.05  # a surface within this fraction of a pixel's distance holds it up
_NOISE_FACTOR = 6.0
_BENDS = 0.3  # a second difference below this share of the first is no bend


def noise_level(distance: Tensor, valid: Tensor) -> float:
    """Relative scatter of neighbouring distances: a robust standard deviation of their second differences."""
    log = torch.where(valid, distance.clamp_min(1e-12).log(), float("nan"))
    bend = log - 0.5 * (log.roll(1, -1) + log.roll(-1, -1))
    known = bend[~bend.isnan()].abs()
    return 1.4826 * float(known.median()) / math.sqrt(1.5) if len(known) else 0.0


def edge_mask(
    distance: Tensor, valid: Tensor, *, rtol: float = 0.03, normal_edge: float = math.radians(5)
) -> Tensor:
    """Pixels at a depth edge: the distance jumps within 3x3 pixels, and the surface turns there or beside it.

    A floor that recedes jumps as well but does not turn; a wall's corner turns but does not jump. Where the
    distances scatter, a jump must be six times the scatter.

    Args:
        distance: (H, W) along the ray; valid: (H, W) bool.
        rtol: (largest - least) / distance that is a jump.
        normal_edge: radians between the normals of neighbours that are a turn.

    Returns:
        (H, W) bool, False where not valid.

    Source: the rule that Pi3's examples apply to its points, here on the sphere.
    """
    check_shape("distance", distance, "H W")
    check_shape("valid", valid, "H W", H=distance.shape[0], W=distance.shape[1])
    rtol = max(rtol, _NOISE_FACTOR * noise_level(distance, valid))
    low, high = range_3x3(distance, valid)
    jump = valid & ((high - low) > rtol * distance)
    turn = _turns(distance, valid, math.cos(normal_edge)).float()
    return jump & (F.max_pool2d(around(turn, 1)[None, None], 3, 1)[0, 0] > 0)


def _turns(distance: Tensor, valid: Tensor, least_cosine: float) -> Tensor:
    """True where a neighbour's normal is farther off than allowed, or a normal is not known."""
    points = erp_rays(distance.shape[0], device=distance.device) * distance[..., None]
    padded = around(torch.where(valid[..., None], points, float("nan")).movedim(-1, 0), 1)
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    normal = torch.linalg.cross(across, down, dim=0)
    normal = normal / normal.norm(dim=0).clamp_min(1e-30)
    least = torch.ones_like(distance)
    for other in window(normal, 1):
        least = torch.minimum(least, (normal * other).sum(0))  # minimum hands NaN on
    return ~(least >= least_cosine)


def between_surfaces(distance: Tensor, valid: Tensor, edge: Tensor) -> Tensor:
    """Pixels at a depth edge that hang in the air between what is before and what is behind them.

    Such a pixel has something nearer and something farther within three pixels, no surface at its own
    distance there, and is no patch of its own: along one axis both of its neighbours are elsewhere.
    Surfaces that are seen flat, whose pixels are far apart, are spared: level ground is known by its height,
    a wall that recedes by its inverse distances, which lie on a line over seven pixels.

    Args:
        distance, valid: (H, W) of a levelled panorama.
        edge: (H, W) bool, from `edge_mask`.
    """
    log = distance.clamp_min(1e-12).log()
    slope = log_slope(len(log), log.device)
    # NaN compares false: what is missing neither agrees nor lies before or behind
    known, solid = torch.where(valid, log, float("nan")), torch.where(valid & ~edge, log, float("nan"))
    row = _is_patch(known)
    agrees = torch.zeros_like(valid)
    before, behind = torch.zeros_like(valid), torch.zeros_like(valid)
    sides = (window(known, _REACH), window(solid, _REACH), window(slope.expand_as(log), _REACH))
    for other, firm, steep in zip(*sides, strict=True):
        step, firm_step = other - log, firm - log
        agrees |= (firm_step.abs() < _AGREES) | (row & ((firm_step + (steep - slope)).abs() < _AGREES))
        before |= step < -_AGREES
        behind |= step > _AGREES
    column, ground = _is_patch(known.T).T, _is_patch((known + slope).T).T
    inverse = torch.where(valid, 1 / distance.clamp_min(1e-12), float("nan"))
    flat = _on_line(inverse) | _on_line(inverse.T).T
    return edge & before & behind & ~agrees & ~(row & (column | ground)) & ~flat


def _is_patch(log: Tensor) -> Tensor:
    """True where the pixel before or after in its row is about the same."""
    padded = torch.cat((log[:, -1:], log, log[:, :1]), 1)
    return ((padded[:, :-2] - log).abs() < _AGREES) | ((padded[:, 2:] - log).abs() < _AGREES)


def _on_line(inverse: Tensor) -> Tensor:
    """True in runs of seven pixels of a row whose values lie on a line."""
    before, after = inverse.roll(1, 1), inverse.roll(-1, 1)
    straight = (before - 2 * inverse + after).abs() < _BENDS * 0.5 * (after - before).abs()
    run = straight.clone()
    for step in (-2, -1, 1, 2):
        run &= straight.roll(step, 1)
    wide = run.clone()
    for step in (-3, -2, -1, 1, 2, 3):
        wide |= run.roll(step, 1)
    return wide


def nearest_surface(distance: Tensor, solid: Tensor, wanted: Tensor) -> Tensor:
    """Where pixels belong: the nearer in log distance of the surfaces before and behind, (H, W); 0 if none.

    The smallest window with something solid in it counts, up to three pixels away.

    Args:
        distance: (H, W); solid: (H, W) bool, surfaces to choose from; wanted: (H, W) bool, pixels to place.
    """
    log = distance.clamp_min(1e-12).log()
    infinity = log.new_tensor(float("inf"))
    low, high = torch.where(solid, log, infinity), torch.where(solid, log, -infinity)
    placed = torch.zeros_like(distance)
    missing = wanted.clone()
    for _ in range(_REACH):
        low, high = range_3x3(low, low.isfinite())[0], range_3x3(high, high.isfinite())[1]
        found = missing & low.isfinite()
        behind = (high - log).abs() < (log - low).abs()
        placed = torch.where(found, torch.where(behind, high, low).exp(), placed)
        missing &= ~found
    return placed
