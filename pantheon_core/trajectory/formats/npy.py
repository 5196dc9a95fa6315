"""An array (T, 4, 4) or (T, 3, 4) in NumPy's NPY form.

Camera to world, OpenCV camera axes, the world as it is, metres; no times. The file cannot say what it holds:
world-to-camera matrices have to be inverted first.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from .._keyframes import Trajectory
from ._files import parse_npy, read_bytes, stack_of_matrices
from ._samples import Lens, Samples, rigid


def read(path: Path) -> Samples:
    """Read an NPY file."""

    def where(i: int) -> str:
        return f"matrix {i}"

    T_world_cam = stack_of_matrices("array", parse_npy(read_bytes(path)))
    return Samples(T_world_cam=rigid(T_world_cam, where), where=where)


def encode(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The content of an NPY file, float32."""
    buffer = io.BytesIO()
    np.save(buffer, trajectory.T_world_cam.cpu().numpy())
    return {path: buffer.getvalue()}
