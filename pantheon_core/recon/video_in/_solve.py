"""The key frames' poses by structure from motion."""

from __future__ import annotations

from torch import Tensor

from ...errors import Progress
from ..poses import PanoramaPoses, poses_from_pictures
from ._types import Solver

__all__ = ["structure_from_motion"]


def structure_from_motion(frames: list[int]) -> Solver:
    """A solver for key frames with these numbers, which its messages name."""

    def solve(rgb: list[Tensor], valid: list[Tensor], progress: Progress | None) -> PanoramaPoses:
        names = [f"frame {number}" for number in frames]
        return poses_from_pictures(rgb, valid=valid, names=names, progress=progress)

    return solve
