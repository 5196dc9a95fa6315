"""How near a path comes to the scene."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..check import check_finite, check_shape
from ..errors import InputError
from ._keyframes import Trajectory

_CHUNK_PAIRS = 4_000_000
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClearanceReport:
    """Distance from each camera to the nearest point of the scene.

    Attributes:
        distance: (T,) float32, metres of the cache.
        minimum: the distance that was asked for, metres.
        below: numbers of the frames that are nearer than `minimum`, counted from 0.
        warning: a sentence for the user, or None where every frame keeps the distance.
    """

    distance: Tensor
    minimum: float
    below: tuple[int, ...]
    warning: str | None


def clearance(trajectory: Trajectory, cache_points: Tensor, *, minimum: float) -> ClearanceReport:
    """Measure how near a path comes to a point cloud; a warning is also logged.

    Args:
        trajectory: T frames.
        cache_points: (N, 3) in the world frame.
        minimum: smallest distance that is acceptable, from 0 on, in the points' unit.

    Raises:
        InputError: there are no points, a value is not finite, or `minimum` is negative.
        ShapeError: the points are not (N, 3).
    """
    check_shape("cache_points", cache_points, "N 3")
    if cache_points.shape[0] == 0:
        raise InputError("cache_points: expected at least one point, got none; build the cache first")
    if not (math.isfinite(minimum) and minimum >= 0):
        raise InputError(f"minimum: expected a finite distance from 0 on, got {minimum!r}")
    check_finite("cache_points", cache_points)
    centres = trajectory.positions.to(cache_points.device)
    points = cache_points.to(torch.float32)
    distance = torch.full((len(trajectory),), math.inf, device=points.device)
    for chunk in points.split(max(1, _CHUNK_PAIRS // len(trajectory))):
        # The matrix-product form of cdist cancels for near points far from the origin: exactly what matters.
        pairs = torch.cdist(centres, chunk, compute_mode="donot_use_mm_for_euclid_dist")
        distance = torch.minimum(distance, pairs.amin(dim=1))
    distance = distance.cpu()
    below = tuple(torch.nonzero(distance < minimum).flatten().tolist())
    warning = _sentence(distance, below, minimum) if below else None
    if warning:
        _logger.warning(warning)
    return ClearanceReport(distance=distance, minimum=float(minimum), below=below, warning=warning)


def _sentence(distance: Tensor, below: tuple[int, ...], minimum: float) -> str:
    nearest = int(distance.argmin())
    return (
        f"The path comes nearer than {minimum:g} m to the scene in {len(below)} of {distance.numel()} frames "
        f"({_ranges(below)}); nearest is frame {nearest} with {float(distance[nearest]):.3g} m. "
        "Move those keys away, or shorten the path."
    )


def _ranges(numbers: tuple[int, ...], limit: int = 6) -> str:
    """Rising numbers as "3-5, 9", cut after `limit` runs."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    text = ", ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in runs[:limit])
    return f"{text}, ..." if len(runs) > limit else text
