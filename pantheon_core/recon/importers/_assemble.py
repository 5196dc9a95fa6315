"""From the cameras and points of a folder to a scene in one world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...cache import PointCache
from ...errors import InputError
from ...geometry import se3_inverse, transform_points
from ...trajectory import Trajectory
from ..poses import PanoramaPoses
from ._types import ImportedPanorama, ImportedScene, ImportOptions

__all__ = ["SparsePoints", "assemble"]

_MAX_ANCHORS = 32_000
_BLOCK = 1 << 18


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SparsePoints:
    """Points of a folder, in its own world and unit.

    Attributes:
        points: (N, 3) float64.
        colors: (N, 3) uint8.
        frame: (M,) int64, with `point` the pairs that say which camera saw which point.
        point: (M,) int64, a row of `points`.
    """

    points: Tensor
    colors: Tensor
    frame: Tensor
    point: Tensor


def assemble(
    kind: str,
    T_file_cam: Tensor,
    panoramas: Sequence[ImportedPanorama],
    sparse: SparsePoints | None,
    options: ImportOptions,
    *,
    fps: float,
    warnings: Sequence[str] = (),
) -> ImportedScene:
    """Put everything into the world of the first panorama, or of the first frame without one.

    Args:
        kind: of the folder.
        T_file_cam: (T, 4, 4) float64, all cameras, in the folder's world and unit.
        panoramas: what was kept; `frame` is a row of `T_file_cam`.
        sparse: points, or None.
        options: for the unit.
        fps: frames per second of the cameras.
        warnings: of the importer.

    Raises:
        InputError: points that are not finite.
    """
    first = panoramas[0].frame if panoramas else 0
    # In float64 until the world is near the cameras: geo-referenced scenes are a million metres from zero.
    T_world_file = se3_inverse(T_file_cam[first])
    T_world_cam = T_world_file @ T_file_cam
    T_world_cam[:, :3, 3] *= options.factor
    rows = T_world_cam[[one.frame for one in panoramas]].reshape(-1, 4, 4).float()
    points, colors, seen_by, seen = _points(sparse, T_world_file, panoramas, options)
    cache = None
    if len(points):
        anchors = rows if 0 < len(rows) <= _MAX_ANCHORS else T_world_cam[first][None].float()
        cache = PointCache(
            points=points,
            colors=colors,
            confidence=torch.ones(len(points)),
            anchor=_anchors(points, anchors, seen_by, seen),
            T_world_anchor=anchors,
            metric=options.metric,
            provenance={"source": kind, "points": len(points)},
        )
    poses = PanoramaPoses(
        T_world_cam=rows,
        registered=torch.ones(len(rows), dtype=torch.bool),
        points=points,
        colors=colors,
        observation_panorama=seen_by,
        observation_point=seen,
        metric=options.metric,
        warnings=tuple(warnings),
        method="file",
    )
    return ImportedScene(
        kind=kind,
        panoramas=tuple(panoramas),
        poses=poses,
        trajectory=Trajectory(T_world_cam=T_world_cam.float(), fps=fps),
        points=cache,
        warnings=tuple(warnings),
    )


def _points(
    sparse: SparsePoints | None,
    T_world_file: Tensor,
    panoramas: Sequence[ImportedPanorama],
    options: ImportOptions,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points and colours in the world, and the observations by the panoramas that were kept."""
    none = torch.zeros(0, dtype=torch.int64)
    if sparse is None or not len(sparse.points):
        return torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.uint8), none, none
    bad = ~sparse.points.isfinite().all(1)
    if bool(bad.any()):
        raise InputError(
            f"points: expected finite coordinates, got {int(bad.sum())} of {len(bad)} points with NaN or "
            "infinity; the file is damaged"
        )
    points = (transform_points(T_world_file, sparse.points) * options.factor).float()
    if not len(panoramas) or not len(sparse.frame):
        return points, sparse.colors, none, none
    row = torch.full((int(sparse.frame.max()) + 1,), -1, dtype=torch.int64)
    for i, one in enumerate(panoramas):
        if one.frame < len(row):
            row[one.frame] = i
    seen_by = row[sparse.frame]
    kept = seen_by >= 0
    return points, sparse.colors, seen_by[kept], sparse.point[kept]


def _anchors(points: Tensor, T_world_anchor: Tensor, seen_by: Tensor, seen: Tensor) -> Tensor:
    """(N,) int16: the first panorama that saw a point; the nearest one where none of those kept did."""
    centres = T_world_anchor[:, :3, 3]
    anchor = torch.cat([torch.cdist(part, centres).argmin(1) for part in points.split(_BLOCK)])
    if len(seen):
        first = torch.full((len(points),), len(centres), dtype=torch.int64)
        first.scatter_reduce_(0, seen, seen_by, "amin")
        anchor = torch.where(first < len(centres), first, anchor)
    return anchor.to(torch.int16)
