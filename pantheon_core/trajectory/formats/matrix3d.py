"""Matrix-3D camera paths: a JSON list of 4x4 matrices.

World to camera, OpenCV camera axes, the world as it is; no times, no lens. The unit is free: Matrix-3D scales
the path to the scene itself. It takes 81 frames.

Source: https://github.com/SkyworkAI/Matrix-3D, README and code/generate_example_camera.py.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ...geometry import se3_inverse
from .._keyframes import Trajectory
from ._files import entries, json_bytes, matrix, nested, read_json
from ._samples import Lens, Samples, rigid


def read(path: Path) -> Samples:
    """Read a Matrix-3D path."""

    def where(i: int) -> str:
        return f"entry {i}"

    rows = [matrix(where(i), item) for i, item in enumerate(entries("the file", read_json(path)))]
    T_cam_world = rigid(torch.tensor(rows, dtype=torch.float64), where)
    return Samples(T_world_cam=se3_inverse(T_cam_world), where=where)


def encode(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The JSON of a Matrix-3D path."""
    return {path: json_bytes(nested(se3_inverse(trajectory.T_world_cam.double().cpu())))}
