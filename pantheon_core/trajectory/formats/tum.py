"""TUM RGB-D trajectories: `timestamp tx ty tz qx qy qz qw`, one pose a line.

Camera to world, OpenCV camera axes; the world is taken as it is. Seconds, metres, quaternion x, y, z, w.

Source: https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats
"""

from __future__ import annotations

from pathlib import Path

import torch

from ...errors import InputError
from ...geometry import quaternion_wxyz_from_rotation
from .._keyframes import Trajectory
from ._files import data_lines, floats, line, read_text
from ._samples import Lens, Samples, rigid_from_quaternions


def read(path: Path) -> Samples:
    """Read a TUM file."""
    lines = data_lines(read_text(path))
    rows = []
    for number, text in lines:
        words = text.replace(",", " ").split()
        if len(words) != 8:
            raise InputError(
                f"line {number}: expected 8 numbers (timestamp tx ty tz qx qy qz qw), got {len(words)}"
            )
        rows.append(floats(f"line {number}", words))

    def where(i: int) -> str:
        return f"line {lines[i][0]}"

    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 8)
    T_world_cam = rigid_from_quaternions(table[:, [7, 4, 5, 6]], table[:, 1:4], where)
    return Samples(T_world_cam=T_world_cam, where=where, times=table[:, 0].contiguous())


def encode(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The text of a TUM file; the first frame is at 0 seconds."""
    poses = trajectory.T_world_cam.double().cpu()
    quaternions = quaternion_wxyz_from_rotation(poses[:, :3, :3])[:, [1, 2, 3, 0]]
    rows = ["# timestamp tx ty tz qx qy qz qw"]
    for i, (place, turn) in enumerate(zip(poses[:, :3, 3].tolist(), quaternions.tolist(), strict=True)):
        rows.append(f"{i / trajectory.fps:.9f} {line(place)} {line(turn)}")
    return {path: ("\n".join(rows) + "\n").encode()}
