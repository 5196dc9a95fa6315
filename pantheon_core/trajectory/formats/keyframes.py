"""Pantheon360's own keyframe path, as workflows and the editor keep it.

Camera to world, OpenCV camera and world axes, metres, seconds, quaternion w, x, y, z. A curve: it is read at
any frame rate. A trajectory is written as one key a frame, straight lines and even turns between.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ...geometry import quaternion_wxyz_from_rotation
from .._interpolate import interpolate
from .._json import path_from_json, path_to_json
from .._keyframes import Keyframe, KeyframePath, Trajectory
from ._files import read_text
from ._samples import Lens, Samples


def read(path: Path) -> Samples:
    """Read a keyframe path and walk along it."""
    keys = path_from_json(read_text(path))

    def curve(fps: float) -> Tensor:
        frames = round((keys.frames - 1) / keys.fps * fps) + 1
        return interpolate(replace(keys, frames=frames, fps=fps)).T_world_cam.double()

    return Samples(T_world_cam=curve(keys.fps), where=lambda i: f"frame {i}", rate=keys.fps, curve=curve)


def encode(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The JSON of a path with one key a frame."""
    poses = trajectory.T_world_cam.double().cpu()
    turns = quaternion_wxyz_from_rotation(poses[:, :3, :3]).tolist()
    keys = tuple(
        Keyframe(time=i / trajectory.fps, position=tuple(place), quaternion_wxyz=tuple(turn))
        for i, (place, turn) in enumerate(zip(poses[:, :3, 3].tolist(), turns, strict=True))
    )
    made = KeyframePath(
        keyframes=keys, fps=trajectory.fps, frames=len(keys), spline="linear", orientation="slerp"
    )
    return {path: path_to_json(made).encode()}
