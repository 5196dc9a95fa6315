"""Poses of all frames: interpolated between key frames, then fitted to the sparse points each frame shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import Progress
from ...geometry import quaternion_wxyz_from_rotation, rotation_from_quaternion_wxyz, se3_from, slerp
from ..poses import PanoramaPoses
from ._flow import Patches, cut_patches, follow
from ._gray import Pyramid, make_pyramid, to_gray
from ._pnp import place_camera
from ._types import TrackSettings

__all__ = ["Anchor", "interpolate_poses", "refine_poses"]

_GOOD = 0.75
_MOST_POINTS = 500
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
    """What the registered key frames saw; `keys` are their rows in `poses`."""
    anchors = []
    for row, T_world_cam, key, gray in zip(rows.tolist(), T_world_key, keys, grays, strict=True):
        seen = poses.observation_point[poses.observation_panorama == key].unique()
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
    refined = T_world_cam.clone()
    residual = torch.full((len(refined),), math.nan)
    places = torch.tensor([anchor.row for anchor in anchors])
    last: int | None = None
    for row, rgb in enumerate(frames):
        if row >= len(refined):
            break
        after = int(torch.searchsorted(places, row, right=True))
        near = [anchors[i] for i in (after - 1, after) if 0 <= i < len(anchors)]
        start = _start(T_world_cam, refined, row, last, near)
        picture = make_pyramid(to_gray(rgb), settings.tracking_height)
        placed = _fit(picture, start, near)
        if placed is not None:
            refined[row], residual[row] = placed
            last = row
        if progress:
            progress(row + 1, len(refined))
    return _fill(refined, T_world_cam, residual.isfinite()), residual


def _start(T_world_cam: Tensor, refined: Tensor, row: int, last: int | None, near: list[Anchor]) -> Tensor:
    """Where the search begins: beside the frame before, going on to the next key frame."""
    if last is None or last < near[0].row:
        return T_world_cam[row]
    start = T_world_cam[row].clone()
    drift = refined[last, :3, 3] - T_world_cam[last, :3, 3]
    # The difference to the straight line fades to nothing at the next key frame.
    ahead = near[-1].row - last
    fade = (near[-1].row - row) / ahead if near[-1].row > row and ahead > 0 else 1.0
    start[:3, 3] += drift * fade
    return start


def _fit(picture: Pyramid, start: Tensor, near: list[Anchor]) -> tuple[Tensor, float] | None:
    points, rays, weights = [], [], []
    for anchor in near:
        if not len(anchor.points):
            continue
        expected = torch.nn.functional.normalize((anchor.points - start[:3, 3]) @ start[:3, :3], dim=-1)
        R_frame_anchor = start[:3, :3].T @ anchor.T_world_cam[:3, :3]
        found, score = follow(anchor.patches, picture, expected.float(), R_frame_anchor)
        points.append(anchor.points)
        rays.append(found)
        weights.append(torch.where(score > _GOOD, score.clamp(min=0), 0.0))
    if not points:
        return None
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
