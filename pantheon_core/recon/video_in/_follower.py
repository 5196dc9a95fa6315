"""Following a key frame's corners through the frames after it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...geometry import rotate_vectors
from ._flow import cut_patches, find_corners, follow
from ._gray import Pyramid
from ._rotation import angles, fit_rotation

__all__ = ["Follower", "Motion", "same_scene"]

_GOOD = 0.8
"""Correlation from which a patch counts as found."""
_FEWEST = 12
_SAME_SHARE = 0.3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Motion:
    """How a frame differs from its key frame.

    Attributes:
        share: 0..1 of the key frame's corners that were found.
        parallax: radians, median angle that corners moved beside the rotation.
        R_frame_key: (3, 3) float64, frame's camera from key frame's camera, for things far away.
    """

    share: float
    parallax: float
    R_frame_key: Tensor


class Follower:
    """The corners of one key frame and where they were seen last."""

    def __init__(self, key: Pyramid, *, corners: int, lowest: float) -> None:
        self._patches = cut_patches(key, find_corners(key, corners, lowest=lowest))
        self.rewind()

    def rewind(self) -> None:
        """Start again at the key frame."""
        self._rays = self._patches.rays
        self._rotation = torch.eye(3, dtype=torch.float64)
        self._before = self._rays, self._rotation

    def undo(self) -> None:
        """Forget the last frame: the next one is searched for from the one before it."""
        self._rays, self._rotation = self._before

    def advance(self, frame: Pyramid) -> Motion:
        """Find the corners in a frame close to the one before."""
        self._before = self._rays, self._rotation
        if len(self._patches) < _FEWEST:
            return Motion(share=0.0, parallax=0.0, R_frame_key=self._rotation)
        start = self._rays
        rays, score = follow(self._patches, frame, start, self._rotation)
        good = score > _GOOD
        # A quick turn throws many out of reach; what was found says how the camera turned.
        turn = (
            fit_rotation(start, rays, good.float()) if int(good.sum()) >= _FEWEST else torch.eye(3).double()
        )
        lost = ~good
        if bool(lost.any()):
            again = rotate_vectors(turn.float(), start)
            second, second_score = follow(self._patches, frame, again, turn @ self._rotation)
            better = second_score > score
            rays = torch.where(better[:, None], second, rays)
            score = torch.where(better, second_score, score)
            good = score > _GOOD
            # What is hidden now may come back: it goes along with the camera's turn.
            rays = torch.where(good[:, None], rays, again)
        self._rays = rays
        share = float(good.float().mean())
        if int(good.sum()) < _FEWEST:
            self._rotation = turn @ self._rotation
            return Motion(share=share, parallax=0.0, R_frame_key=self._rotation)
        self._rotation = fit_rotation(self._patches.rays, rays, good.float())
        moved = angles((self._patches.rays.double() @ self._rotation.T)[good], rays.double()[good])
        return Motion(share=share, parallax=float(moved.median()), R_frame_key=self._rotation)


def same_scene(first: Pyramid, second: Pyramid, *, lowest: float) -> bool:
    """Whether two frames in a row show the same place; False at a cut."""
    follower = Follower(first, corners=150, lowest=lowest)
    return follower.advance(second).share >= _SAME_SHARE
