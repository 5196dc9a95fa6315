"""What an importer gives, and what it is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ...cache import PointCache
from ...check import check_erp, check_shape
from ...errors import InputError, Progress
from ...trajectory import Trajectory
from .._types import DistanceEstimate

if TYPE_CHECKING:
    # The whole of pose estimation; a listing of folders needs none of it.
    from ..poses import PanoramaPoses

__all__ = ["ImportOptions", "ImportedPanorama", "ImportedScene"]

_LARGEST_SIZE = 8192


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImportedPanorama:
    """A panorama of an imported scene.

    Attributes:
        name: for messages and previews.
        frame: number of the frame of `ImportedScene.trajectory` that it is, from 0.
        rgb: (3, H, W) float32 0..1, W = 2 H; None where the folder has the pose but no picture.
        valid: (H, W) bool, False where the picture shows nothing (views that do not close the sphere).
        estimate: its distances at the size of `rgb`, where the folder has any; else None.
    """

    name: str
    frame: int
    rgb: Tensor | None = None
    valid: Tensor | None = None
    estimate: DistanceEstimate | None = None

    def __post_init__(self) -> None:
        if (self.rgb is None) != (self.valid is None):
            raise InputError("panorama.valid: expected a mask with a picture, and none without; give both")
        if self.rgb is not None and self.valid is not None:
            height, width = check_erp("panorama.rgb", self.rgb)
            check_shape("panorama.valid", self.valid, "H W", H=height, W=width)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImportedScene:
    """A scene that another program reconstructed, in this project's axes (docs/importers.md).

    The world is the camera of the first panorama, or of the first frame where there are no panoramas.

    Attributes:
        kind: "vipe", "matrix3d" or "colmap".
        panoramas: P panoramas in the order of the frames; P may be 0 for perspective pictures.
        poses: of the panoramas, with the sparse points that the folder has; P rows.
        trajectory: every camera of the folder in the same world, in the order of time or of the names.
        points: the sparse points as a cache, or None where the folder has none.
        warnings: sentences for the user: what was left out and what is doubtful.
    """

    kind: str
    panoramas: tuple[ImportedPanorama, ...]
    poses: PanoramaPoses
    trajectory: Trajectory
    points: PointCache | None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_shape("scene.poses.T_world_cam", self.poses.T_world_cam, "P 4 4", P=len(self.panoramas))

    def report(self) -> str:
        """What there is, in words."""
        pictures = sum(one.rgb is not None for one in self.panoramas)
        depths = sum(one.estimate is not None for one in self.panoramas)
        way = float(self.trajectory.positions.diff(dim=0).norm(dim=1).sum())
        unit = "m" if self.poses.metric else "units (the scale is not known)"
        text = (
            f"{self.kind}: {len(self.trajectory)} cameras at {self.trajectory.fps:g} per second, path "
            f"{way:.3g} {unit}; {len(self.panoramas)} panoramas taken, {pictures} with pictures, {depths} "
            f"with distances; {len(self.poses.points)} sparse points."
        )
        return "\n".join((text, *(f"Warning: {one}" for one in self.warnings)))


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOptions:
    """How much of a scene is taken, and in which unit.

    Attributes:
        panoramas: how many panoramas are kept at most, spread evenly over the frames; 0 keeps all. Pictures
            and distances of the others are never in memory.
        height: pixels of the panoramas kept, resized where the folder has another size; 0 keeps its size.
        scale: metres per unit of the folder. 0 means unknown: units stay, and nothing is called metric.
        fps: frames per second where the folder has no video that says it.
    """

    panoramas: int = 8
    height: int = 512
    scale: float = 0.0
    fps: float = 24.0

    def __post_init__(self) -> None:
        if self.panoramas < 0:
            raise InputError(f"panoramas: expected how many to keep, 0 for all, got {self.panoramas}")
        if not 0 <= self.height <= _LARGEST_SIZE:
            raise InputError(
                f"height: expected pixels up to {_LARGEST_SIZE}, 0 for the folder's own, got {self.height}"
            )
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise InputError(f"scale: expected metres per unit, 0 where unknown, got {self.scale}")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"fps: expected frames per second above 0, got {self.fps}")

    @property
    def metric(self) -> bool:
        """The user knows the unit."""
        return self.scale > 0

    @property
    def factor(self) -> float:
        """What lengths of the folder are multiplied by."""
        return self.scale or 1.0


def step(progress: Progress | None, done: int, total: int) -> None:
    """Report, where somebody listens."""
    if progress:
        progress(done, total)
