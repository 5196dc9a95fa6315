"""Poses of all frames: interpolated between key frames, then fitted to the sparse points each frame shows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import Progress
from ...geometry import (
    quaternion_wxyz_from_rotation,
    rotation_from_quaternion_wxyz,
    se3_from,
    se3_inverse,
    slerp,
)
from ..poses import PanoramaPoses
from ._flow import Patches, cut_patches, follow
from ._gray import Pyramid, make_pyramid, to_gray
from ._pnp import place_camera
from ._types import TrackSettings

__all__ = ["Anchor", "interpolate_poses", "refine_poses"]

_GOOD = 0.75
_MOST_POINTS = 500
_REACH = 6
"""Frames within which a fitted one says where the search beyond the key frames goes on."""
_MOST_EARLY = 60
"""Frames before the first registered key frame that are held until it comes."""
_TOLERANCE = 1.5
"""Pixels of the tracking size within which a point agrees with a pose."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Anchor:
    """A registered key frame.

    Attributes:
        row: in the shot, from 0.
        T_world_cam: (4, 4) float64.
        points: (N, 3) float64 sparse points that it saw.
        patches: what they look like there.
    """

    row: int
    T_world_cam: Tensor
    points: Tensor
    patches: Patches


def interpolate_poses(rows: Tensor, T_world_key: Tensor, R_frame_start: Tensor) -> Tensor:
    """A pose for every frame of a shot: rotations as they were measured, positions between those of the keys.

    The measured rotations drift; at each key frame they are put right, and the correction changes evenly
    from key to key. Before the first and after the last key the camera keeps its place.

    Args:
        rows: (K,) int64 frames of the registered keys, rising, K >= 1.
        T_world_key: (K, 4, 4) float64.
        R_frame_start: (T, 3, 3) float64 of all frames, from the first pass.

    Returns:
        (T, 4, 4) float64.
    """
    count = len(R_frame_start)
    # World from the shot's start, as each key frame says it.
    turn = quaternion_wxyz_from_rotation(T_world_key[:, :3, :3] @ R_frame_start[rows])
    time = torch.arange(count)
    after = torch.searchsorted(rows, time, right=True).clamp(1, max(1, len(rows) - 1))
    if len(rows) == 1:
        R_world_start = rotation_from_quaternion_wxyz(turn).expand(count, 3, 3)
        centre = T_world_key[:, :3, 3].expand(count, 3)
    else:
        before = after - 1
        part = ((time - rows[before]).double() / (rows[after] - rows[before]).double()).clamp(0, 1)
        R_world_start = rotation_from_quaternion_wxyz(slerp(turn[before], turn[after], part))
        place = T_world_key[:, :3, 3]
        centre = place[before] + part[:, None] * (place[after] - place[before])
    return se3_from(R_world_start @ R_frame_start.mT, centre)


def make_anchors(
    rows: Tensor, T_world_key: Tensor, keys: list[int], grays: list[Pyramid], poses: PanoramaPoses
) -> list[Anchor]:
    """What the registered key frames saw, where they saw anything; `keys` are their rows in `poses`."""
    anchors = []
    for row, T_world_cam, key, gray in zip(rows.tolist(), T_world_key, keys, grays, strict=True):
        seen = poses.observation_point[poses.observation_panorama == key].unique()
        if not len(seen):  # its place comes from another one's: from the same spot, or from GPS
            continue
        # Evenly through the list, whose order has nothing to do with where the points are.
        seen = seen[torch.linspace(0, len(seen) - 1, min(len(seen), _MOST_POINTS)).round().long()]
        points = poses.points[seen].double()
        rays = torch.nn.functional.normalize((points - T_world_cam[:3, 3]) @ T_world_cam[:3, :3], dim=-1)
        anchors.append(
            Anchor(row=row, T_world_cam=T_world_cam, points=points, patches=cut_patches(gray, rays))
        )
    return anchors


def refine_poses(
    frames: Iterator[Tensor],
    T_world_cam: Tensor,
    anchors: list[Anchor],
    settings: TrackSettings,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Fit every frame to the points of the key frames on both sides of it.

    Args:
        frames: the shot's frames (3, H, W), in order.
        T_world_cam: (T, 4, 4) float64 from `interpolate_poses`.
        anchors: of the registered key frames, rising.
        settings: for the size.
        progress: called with (frames done, frames).

    Returns:
        (T, 4, 4) float64 and (T,) residuals in radians, NaN where a frame could not be fitted and follows
        its neighbours.
    """
    if not anchors:
        return T_world_cam, torch.full((len(T_world_cam),), math.nan)
    path = _Path(T_world_cam, anchors)
    early: list[tuple[int, Pyramid]] = []
    count = len(T_world_cam)
    for row, rgb in enumerate(itertools.islice(frames, count)):
        picture = make_pyramid(to_gray(rgb), settings.tracking_height)
        if row < anchors[0].row:
            # From the first key frame backwards: each frame begins where the one after it was found.
            early = [*early, (row, picture)][-_MOST_EARLY:]
        else:
            path.fit(row, picture)
            while early:
                path.fit(*early.pop())
        if progress:
            progress(row + 1, count)
    return _fill(path.refined, T_world_cam, path.residual.isfinite()), path.residual


class _Path:
    """Poses on their way from interpolated to fitted."""

    def __init__(self, rough: Tensor, anchors: list[Anchor]) -> None:
        self.rough, self.anchors = rough, anchors
        self.refined = rough.clone()
        self.residual = torch.full((len(rough),), math.nan)
        self.rows = torch.tensor([anchor.row for anchor in anchors])

    def fit(self, row: int, picture: Pyramid) -> None:
        """Fit one frame; it stays as it is where that fails."""
        after = int(torch.searchsorted(self.rows, row, right=True))
        near = [self.anchors[i] for i in (after - 1, after) if 0 <= i < len(self.anchors)]
        inside = self.rows[0] <= row <= self.rows[-1]
        start = self._between(row, near) if inside else self._beyond(row, 1 if row > self.rows[-1] else -1)
        placed = _fit(picture, start, near)
        if placed is not None:
            self.refined[row], self.residual[row] = placed

    def _fitted(self, row: int) -> bool:
        return 0 <= row < len(self.residual) and bool(self.residual[row].isfinite())

    def _between(self, row: int, near: list[Anchor]) -> Tensor:
        """Between two key frames: off the straight line as the last frame was, less and less."""
        last = next((i for i in range(row - 1, near[0].row - 1, -1) if self._fitted(i)), None)
        start = self.rough[row].clone()
        if last is not None and near[-1].row > last:
            fade = (near[-1].row - row) / (near[-1].row - last)
            start[:3, 3] += fade * (self.refined[last, :3, 3] - self.rough[last, :3, 3])
        return start

    def _beyond(self, row: int, way: int) -> Tensor:
        """Before the first, after the last key frame: on from the nearest fitted frame as fast as there."""
        nearest = [i for i in (row - way * k for k in range(1, _REACH + 1)) if self._fitted(i)]
        if not nearest:
            return self.rough[row]
        beside = nearest[0]
        start = self.refined[beside] @ se3_inverse(self.rough[beside]) @ self.rough[row]
        start[:3, 3] = self.refined[beside, :3, 3]
        if len(nearest) > 1:
            moved = self.refined[beside, :3, 3] - self.refined[nearest[1], :3, 3]
            start[:3, 3] += moved * ((row - beside) / (beside - nearest[1]))
        return start


def _fit(picture: Pyramid, start: Tensor, near: list[Anchor]) -> tuple[Tensor, float] | None:
    points, rays, weights = [], [], []
    for anchor in near:
        expected = torch.nn.functional.normalize((anchor.points - start[:3, 3]) @ start[:3, :3], dim=-1)
        R_frame_anchor = start[:3, :3].T @ anchor.T_world_cam[:3, :3]
        found, score = follow(anchor.patches, picture, expected.float(), R_frame_anchor)
        points.append(anchor.points)
        rays.append(found)
        weights.append(torch.where(score > _GOOD, score.clamp(min=0), 0.0))
    weight = torch.cat(weights)
    good = weight > 0
    placed = place_camera(
        torch.cat(points)[good],
        torch.cat(rays)[good],
        weight[good],
        start,
        tolerance=_TOLERANCE * math.pi / picture.levels[0].shape[0],
    )
    return None if placed is None else (placed.T_world_cam, placed.residual)


def _fill(refined: Tensor, rough: Tensor, good: Tensor) -> Tensor:
    """Frames that could not be fitted get their neighbours' correction of the position."""
    if not bool(good.any()) or bool(good.all()):
        return refined
    rows = good.nonzero()[:, 0]
    shift = refined[rows, :3, 3] - rough[rows, :3, 3]
    out = refined.clone()
    for row in (~good).nonzero()[:, 0].tolist():
        after = int(torch.searchsorted(rows, row))
        a, b = max(after - 1, 0), min(after, len(rows) - 1)
        span = int(rows[b] - rows[a])
        part = (row - int(rows[a])) / span if span else 0.0
        out[row, :3, 3] += shift[a] + part * (shift[b] - shift[a])
    return out
