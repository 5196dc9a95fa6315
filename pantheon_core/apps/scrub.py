"""Quick looks at a scaffold while its path is being made: single frames, and how much of each is covered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from ..cache import PointCache, coarse_cache
from ..check import check_erp
from ..errors import InputError, Progress
from ..geometry import resize_erp
from ..render import Backend, PreparedCache
from ..trajectory import Trajectory
from .scaffold import Anchor, anchor_at, put_photograph, seen_from

__all__ = ["Detail", "ScrubFrame", "ScrubReport", "ScrubScene", "covered_fraction", "hole_heat"]

Detail: TypeAlias = Literal["quick", "full"]

# Points that a level of detail may have. Quick frames are off by 28 to 32 dB (benchmarks/scrub.py).
_BUDGETS = {"report": 28_000, "quick": 100_000, "full": 600_000}
# A pixel counts as covered when any part of it is, so coverage comes out too high, the more the larger the
# pixels: against 256 rows by up to 1.6 % of the sphere at 128 and 3.1 % at 64, where a tenth is missing.
_REPORT_HEIGHT = 128
_HEAT_REACH = math.radians(12)
_CHUNK_PAIRS = 4_000_000
_MOST_NEAR = 2_000_000  # points that are searched for the nearest; a larger cache is thinned out to so many


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScrubFrame:
    """One frame of the scaffold and what is to be said of it.

    Attributes:
        index: its number in the path, from 0.
        rgb: (3, H, W) 0 to 1, black in holes.
        coverage: (H, W) bool.
        covered: fraction of the sphere that the scaffold shows, by solid angle.
        clearance: distance from the camera to the nearest point, in the cache's unit; None without points.
        T_world_cam: (4, 4) the camera.
    """

    index: int
    rgb: Tensor
    coverage: Tensor
    covered: float
    clearance: float | None
    T_world_cam: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScrubReport:
    """How much of every frame is covered, and how near each comes to the scene.

    Attributes:
        covered: (T,) float32, fraction of the sphere, by solid angle.
        clearance: (T,) float32, to the nearest point, in the cache's unit; None without points.
        below: numbers of the frames that are nearer than `minimum`.
        minimum: the distance that was asked for.
    """

    covered: Tensor
    clearance: Tensor | None
    below: tuple[int, ...]
    minimum: float


def covered_fraction(coverage: Tensor) -> float:
    """The part of the sphere that is true in an ERP mask (H, W), by solid angle."""
    height, _ = check_erp("coverage", coverage)
    row = torch.arange(height, dtype=torch.float64, device=coverage.device)
    weight = torch.cos((row + 0.5 - height / 2) * math.pi / height)
    return float((coverage.double().mean(-1) * weight).sum() / weight.sum())


def hole_heat(coverage: Tensor) -> Tensor:
    """How little of its surroundings a hole has to go by.

    Args:
        coverage: (H, W) bool ERP.

    Returns:
        (H, W) float32: 0 where covered; in a hole, the part of the 12° around it that is a hole too. So
        cracks are near 0 and the inside of what was hidden is 1.
    """
    height, _ = check_erp("coverage", coverage)
    holes = (~coverage).float()
    reach = max(1, round(_HEAT_REACH / 2 / math.pi * height))
    wrapped = torch.nn.functional.pad(holes[None, None], (reach, reach, 0, 0), mode="circular")
    mean = torch.nn.functional.avg_pool2d(
        wrapped, 2 * reach + 1, stride=1, padding=(reach, 0), count_include_pad=False
    )
    return holes * mean[0, 0]


class ScrubScene:
    """A cache made ready for quick looks along paths that change.

    Levels of detail are made when they are first needed and kept: at most 0.73 M points beside the cache's
    own, whatever its size. Calls must come from one thread at a time.
    """

    def __init__(self, cache: PointCache, anchors: Sequence[Anchor], *, backend: Backend = "auto") -> None:
        """Keep the cache and the panoramas that it was built from.

        Raises:
            InputError: no anchor.
        """
        if not anchors:
            raise InputError("anchors: expected at least one panorama, got none; pass the ones of the cache")
        self._cache, self._anchors = cache, tuple(anchors)
        self._backend: Backend = backend
        self._levels: dict[str, PreparedCache] = {}
        self._small: dict[int, tuple[Anchor, ...]] = {}
        self._near: Tensor | None = None

    def frame(
        self, trajectory: Trajectory, index: int, *, height: int, detail: Detail = "full"
    ) -> ScrubFrame:
        """One frame, as `render_scaffold` makes it: a true panorama where the path's ends stand on one.

        Args:
            trajectory: the whole path.
            index: number of the frame, from 0.
            height: H of the frame; W = 2 H.
            detail: "full" shows the cache (thinned out to 0.6 M points where it has more), "quick" a coarser
                surface for a picture while something moves.

        Raises:
            InputError: there is no such frame or detail, or the height is below 2.
        """
        if not 0 <= index < len(trajectory):
            raise InputError(f"frame: expected 0 to {len(trajectory) - 1}, got {index}")
        if detail not in ("quick", "full"):
            raise InputError(f'detail: expected "quick" or "full", got {detail!r}')
        pose = trajectory.T_world_cam[index]
        rgb, coverage = self._seen(trajectory, index, height, detail)
        nearest = self._distance(trajectory.positions[index : index + 1])
        return ScrubFrame(
            index=index,
            rgb=rgb,
            coverage=coverage,
            covered=covered_fraction(coverage),
            clearance=None if nearest is None else float(nearest[0]),
            T_world_cam=pose,
        )

    def report(
        self, trajectory: Trajectory, *, minimum: float, progress: Progress | None = None
    ) -> ScrubReport:
        """Coverage and clearance of every frame.

        Args:
            trajectory: the path.
            minimum: the distance below which a frame is listed, from 0 on.
            progress: called with (frames done, frames) after each frame; may raise to stop.

        Raises:
            InputError: `minimum` is negative or not finite.
        """
        if not (math.isfinite(minimum) and minimum >= 0):
            raise InputError(f"minimum: expected a finite distance from 0 on, got {minimum!r}")
        nearest = self._distance(trajectory.positions)
        below = () if nearest is None else tuple((nearest < minimum).nonzero()[:, 0].tolist())
        covered = torch.zeros(len(trajectory))
        for index in range(len(trajectory)):
            _, coverage = self._seen(trajectory, index, _REPORT_HEIGHT, "report")
            covered[index] = covered_fraction(coverage)
            if progress:
                progress(index + 1, len(trajectory))
        return ScrubReport(covered=covered, clearance=nearest, below=below, minimum=float(minimum))

    def _seen(self, trajectory: Trajectory, index: int, height: int, level: str) -> tuple[Tensor, Tensor]:
        pose = trajectory.T_world_cam[index]
        ends = index in (0, len(trajectory) - 1)
        anchor = anchor_at(self._small_anchors(height), pose) if ends else None
        if anchor is not None and bool(anchor.valid.all()):
            return seen_from(anchor, pose, height)
        frame = self._level(level).render(pose, height)
        if anchor is not None:
            return put_photograph(anchor, pose, frame.rgb, frame.coverage)
        return frame.rgb, frame.coverage

    def _level(self, name: str) -> PreparedCache:
        budget = _BUDGETS[name]
        # Levels that the whole cache fits into are one.
        key = "whole" if len(self._cache.points) <= budget else name
        if key not in self._levels:
            self._levels[key] = PreparedCache(coarse_cache(self._cache, budget), backend=self._backend)
        return self._levels[key]

    def _small_anchors(self, height: int) -> tuple[Anchor, ...]:
        """The panoramas at the frame's size; `seen_from` then has nothing left to shrink."""
        if height not in self._small:
            if len(self._small) >= 4:
                del self._small[next(iter(self._small))]
            self._small[height] = tuple(_shrunk(anchor, height) for anchor in self._anchors)
        return self._small[height]

    def _distance(self, positions: Tensor) -> Tensor | None:
        """(T,) to the nearest point, as `trajectory.clearance` measures it, which also writes a warning."""
        if not len(self._cache.points):
            return None
        if self._near is None:
            bare = replace(self._cache, triangles=None, edge=None)
            self._near = coarse_cache(bare, _MOST_NEAR).points.float()
        points = self._near
        positions = positions.to(points)
        nearest = torch.full((len(positions),), math.inf, device=points.device)
        for chunk in points.split(max(1, _CHUNK_PAIRS // len(positions))):
            pairs = torch.cdist(positions, chunk, compute_mode="donot_use_mm_for_euclid_dist")
            nearest = torch.minimum(nearest, pairs.amin(dim=1))
        return nearest.cpu()


def _shrunk(anchor: Anchor, height: int) -> Anchor:
    if anchor.rgb.shape[-2] == height:
        return anchor
    stacked = resize_erp(torch.cat([anchor.rgb, anchor.valid[None].to(anchor.rgb)]), height)
    # `valid` keeps its fractions here: they are cut at the same value as in the scaffold, after the turn.
    return replace(anchor, rgb=stacked[:3], valid=stacked[3])
