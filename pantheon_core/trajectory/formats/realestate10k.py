"""RealEstate10K and CameraCtrl text: a header line, then 19 numbers a frame.

`timestamp fx fy cx cy 0 0` and the world-to-camera matrix, 3x4, row by row; OpenCV camera axes, the world as
it is. Microseconds; focal lengths and centre in parts of the picture's width and height. Files with one and
the same time in every line, as tools for CameraCtrl write them, are read as having no time.

Source: https://google.github.io/realestate10k/download.html; CameraCtrl (arXiv 2404.02101), its data loader.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import torch

from ...errors import InputError
from ...geometry import se3_inverse
from .._keyframes import Trajectory
from ._files import data_lines, floats, line, read_text
from ._samples import Lens, Samples, rigid

_COLUMNS = 19


def read(path: Path) -> Samples:
    """Read a RealEstate10K file; lines before the first that starts with a number are its header."""
    lines = list(
        itertools.dropwhile(lambda item: not _is_number(item[1].split()[0]), data_lines(read_text(path)))
    )
    rows = []
    for number, text in lines:
        words = text.replace(",", " ").split()
        if len(words) != _COLUMNS:
            raise InputError(
                f"line {number}: expected 19 numbers (timestamp fx fy cx cy 0 0, then 12 of the "
                f"world-to-camera matrix), got {len(words)}"
            )
        rows.append(floats(f"line {number}", words))

    def where(i: int) -> str:
        return f"line {lines[i][0]}"

    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, _COLUMNS)
    last = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64).expand(len(table), 1, 4)
    T_cam_world = rigid(torch.cat((table[:, 7:].reshape(-1, 3, 4), last), dim=1), where)
    stamps = table[:, 0]
    untimed = len(stamps) > 1 and bool((stamps == stamps[0]).all())
    return Samples(T_world_cam=se3_inverse(T_cam_world), where=where, times=None if untimed else stamps / 1e6)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def encode(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The text of a RealEstate10K file of a square perspective view."""
    T_cam_world = se3_inverse(trajectory.T_world_cam.double().cpu())
    focal = 0.5 / math.tan(lens.fov / 2)
    rows = ["pantheon360"]
    for i, motion in enumerate(T_cam_world[:, :3].flatten(1).tolist()):
        stamp = round(i / trajectory.fps * 1e6)
        rows.append(f"{stamp} {line((focal, focal, 0.5, 0.5, 0.0, 0.0))} {line(motion)}")
    return {path: ("\n".join(rows) + "\n").encode()}
