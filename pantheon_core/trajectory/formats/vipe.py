"""ViPE pose files: NPZ with `data` (n, 4, 4) and `inds` (n,).

Camera to world, OpenCV camera axes, the world as it is, the scale arbitrary. `inds` are the frame numbers of
the video; frames without a pose are left out in the file, and filled by interpolation when it is read.

Source: https://github.com/nv-tlabs/vipe, vipe/utils/io.py (save_pose_artifacts).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ...errors import InputError
from .._keyframes import Trajectory
from ._files import npz_bytes, read_npz, stack_of_matrices
from ._samples import Lens, Samples, rigid


def read(path: Path) -> Samples:
    """Read a ViPE pose file."""
    arrays = read_npz(path)
    for name in ("data", "inds"):
        if name not in arrays:
            raise InputError(f"expected the arrays data and inds, got {', '.join(arrays) or 'none'}")
    inds = arrays["inds"]
    if inds.shape != arrays["data"].shape[:1] or inds.dtype.kind not in "iu":
        raise InputError(
            f"inds: expected one whole number for each of the {len(arrays['data'])} poses, got {inds.dtype} "
            f"of shape {inds.shape}"
        )

    def where(i: int) -> str:
        return f"data[{i}]"

    T_world_cam = rigid(stack_of_matrices("data", arrays["data"]), where)
    numbers = torch.from_numpy(inds.astype(np.int64))
    return Samples(T_world_cam=T_world_cam, where=where, numbers=numbers)


def encode(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The content of a ViPE pose file."""
    poses = trajectory.T_world_cam.cpu().numpy()
    return {path: npz_bytes(data=poses, inds=np.arange(len(poses)))}
