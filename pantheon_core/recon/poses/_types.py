"""Where several panoramas of one scene were taken, and the sparse points they share."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...check import check_rotation, check_shape
from ...errors import InputError

__all__ = ["PanoramaPoses"]


def _no_points() -> Tensor:
    return torch.zeros(0, 3)


def _no_colours() -> Tensor:
    return torch.zeros(0, 3, dtype=torch.uint8)


def _no_indices() -> Tensor:
    return torch.zeros(0, dtype=torch.int64)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PanoramaPoses:
    """Cameras of P panoramas in one world (docs/conventions.md), whichever way they were found.

    The world is the first registered panorama's camera. Every way of finding poses gives this: structure
    from motion, multi-view networks, GPS, files and importers.

    Attributes:
        T_world_cam: (P, 4, 4) float32; the identity, without meaning, where not `registered`.
        registered: (P,) bool, False where no place was found; `warnings` says why.
        points: (N, 3) float32 sparse points of the scene in the world frame; N may be 0.
        colors: (N, 3) uint8 sRGB of the points.
        observation_panorama: (M,) int64, with `observation_point` the pairs that say which panorama saw
            which point: a row of `T_world_cam`.
        observation_point: (M,) int64, a row of `points`.
        metric: True when a unit is a metre.
        warnings: sentences for the user: what was left out, what is doubtful.
        method: what found them: "sfm", "gps", "file", or a network's name.
    """

    T_world_cam: Tensor
    registered: Tensor
    points: Tensor = field(default_factory=_no_points)
    colors: Tensor = field(default_factory=_no_colours)
    observation_panorama: Tensor = field(default_factory=_no_indices)
    observation_point: Tensor = field(default_factory=_no_indices)
    metric: bool = False
    warnings: tuple[str, ...] = ()
    method: str = ""

    def __post_init__(self) -> None:
        count = check_shape("poses.T_world_cam", self.T_world_cam, "P 4 4")["P"]
        check_shape("poses.registered", self.registered, "P", P=count)
        check_rotation("poses.T_world_cam[:, :3, :3]", self.T_world_cam[:, :3, :3])
        points = check_shape("poses.points", self.points, "N 3")["N"]
        check_shape("poses.colors", self.colors, "N 3", N=points)
        pairs = check_shape("poses.observation_panorama", self.observation_panorama, "M")["M"]
        check_shape("poses.observation_point", self.observation_point, "M", M=pairs)
        for name, limit in (("observation_panorama", count), ("observation_point", points)):
            index = getattr(self, name)
            if pairs and not 0 <= int(index.min()) <= int(index.max()) < limit:
                raise InputError(
                    f"poses.{name}: expected indices below {limit}, got "
                    f"{int(index.min())}..{int(index.max())}"
                )
