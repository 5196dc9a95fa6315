"""Following a key frame's corners through the frames after it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...geometry import rotate_vectors, rotation_from_yaw_pitch_roll
from ._flow import cut_patches, find_corners, follow
from ._gray import Pyramid
from ._rotation import angles, fit_rotation

__all__ = ["Follower", "Motion", "same_scene"]

_GOOD = 0.8
"""Correlation from which a patch counts as found."""
_DOUBTFUL = 0.6
"""Share of corners found below which a larger turn is tried."""
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
        self._picture = key
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
        rays, score, turned = self._search(frame, self._rays, self._rotation)
        if float((score > _GOOD).float().mean()) < _DOUBTFUL:
            # A turn of more than a patch's width: ask the whole picture, whatever came before.
            guess = _turn_about_y(self._picture, frame)
            again = self._search(frame, rotate_vectors(guess.float(), self._patches.rays), guess)
            if int((again[1] > _GOOD).sum()) > int((score > _GOOD).sum()):
                rays, score, turned = again
        good = score > _GOOD
        share = float(good.float().mean())
        self._rays = rays
        if int(good.sum()) < _FEWEST:
            self._rotation = turned
            return Motion(share=share, parallax=0.0, R_frame_key=self._rotation)
        self._rotation = fit_rotation(self._patches.rays, rays, good.float())
        moved = angles((self._patches.rays.double() @ self._rotation.T)[good], rays.double()[good])
        return Motion(share=share, parallax=float(moved.median()), R_frame_key=self._rotation)

    def _search(self, frame: Pyramid, start: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Directions (N, 3) in a frame, correlations (N,), and about how it is turned from the key frame."""
        rays, score = follow(self._patches, frame, start, rotation)
        good = score > _GOOD
        if bool(good.all()) or int(good.sum()) < _FEWEST:
            return rays, score, rotation
        # What was found says how the camera turned: the others are looked for again from there.
        turn = fit_rotation(start, rays, good.float())
        again = rotate_vectors(turn.float(), start)
        second, second_score = follow(self._patches, frame, again, turn @ rotation)
        better = second_score > score
        rays = torch.where(better[:, None], second, rays)
        score = torch.where(better, second_score, score)
        # What is hidden now may come back: it goes along with the camera's turn.
        return torch.where((score > _GOOD)[:, None], rays, again), score, turn @ rotation


def _turn_about_y(key: Pyramid, frame: Pyramid) -> Tensor:
    """R_frame_key (3, 3) float64 of the turn about the vertical under which two pictures agree best."""
    first, second = key.levels[-1], frame.levels[-1]
    height, width = first.shape
    row = (torch.arange(height) + 0.5) * (math.pi / height)
    weight = row.sin()[:, None]
    spectra = [torch.fft.rfft((one - one.mean(1, keepdim=True)) * weight, dim=1) for one in (first, second)]
    agreement = torch.fft.irfft((spectra[0] * spectra[1].conj()).sum(0), n=width)
    # The picture of a camera that turned to the right is shifted to the left.
    return rotation_from_yaw_pitch_roll(2 * math.pi * int(agreement.argmax()) / width).double().T


def same_scene(first: Pyramid, second: Pyramid, *, lowest: float) -> bool:
    """Whether two frames in a row show the same place; False at a cut."""
    follower = Follower(first, corners=150, lowest=lowest)
    return follower.advance(second).share >= _SAME_SHARE
