"""Point clouds of other programs, turned into the project's axes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import torch

from ...cache import PointCache, load_ply
from ...errors import InputError

__all__ = ["CloudAxes", "cloud_as_cache"]

CloudAxes: TypeAlias = Literal["auto", "y down", "y up", "z up"]
"""Which way a file's axes point: "y down" is ours, +x right and +z forward; "y up" is glTF's and ComfyUI's
viewers', +x right and -z forward; "z up" is +x right and +y forward. "auto" takes files of this project as
they are, all others as "y up"."""

_TURNS: dict[str, tuple[tuple[float, ...], ...]] = {
    "y down": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "y up": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "z up": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


def cloud_as_cache(path: str | Path, *, axes: CloudAxes = "auto", scale: float = 1.0) -> PointCache:
    """A PLY file as a 3D cache, whose world frame is the file's frame in our axes.

    A sky that the file holds is kept where the axes are ours already.

    Args:
        path: of the file.
        axes: which way the file's axes point.
        scale: multiplies all coordinates.

    Raises:
        MediaError: not there, damaged, or not a point cloud.
        InputError: unknown axes, a scale that is not above 0, or a cloud without points.
    """
    if axes not in get_args(CloudAxes):
        raise InputError(f"axes: expected one of {', '.join(get_args(CloudAxes))}, got {axes!r}")
    if not scale > 0:
        raise InputError(f"scale: expected a number above 0, got {scale}")
    cache = load_ply(path)
    if not len(cache.points):
        raise InputError(f"point_cloud: {path} has no points")
    if axes == "auto":
        # a file of another program has nothing in its provenance but its name
        axes = "y up" if cache.provenance.keys() <= {"source"} else "y down"
    turn = torch.tensor(_TURNS[axes], dtype=torch.float64)
    poses = cache.T_world_anchor.double().clone()
    poses[:, :3, 3] = poses[:, :3, 3] @ turn.T * scale
    return dataclasses.replace(
        cache,
        sky=cache.sky if axes == "y down" else None,
        points=(cache.points.double() @ turn.T * scale).float(),
        T_world_anchor=poses.float(),
        origin=cache.origin @ turn.T * scale,
    )
