"""Keyframes from a track of poses."""

from __future__ import annotations

import math

import pytest
import torch

from pantheon_core.errors import InputError
from pantheon_core.geometry import rotation_from_yaw_pitch_roll, se3_from
from pantheon_core.trajectory import Trajectory, interpolate, preset_path, simplify


def off(made, track):
    metres = (made.positions - track.positions).norm(dim=-1).max()
    relative = made.T_world_cam[:, :3, :3].mT @ track.T_world_cam[:, :3, :3]
    cosine = ((relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1)
    return float(metres), float(cosine.acos().max())


def test_a_straight_walk_has_two_keys():
    track = interpolate(preset_path("forward", frames=40, fps=10.0))
    assert len(simplify(track).keyframes) == 2


@pytest.mark.parametrize("name", ["orbit", "spiral", "forward_turn"])
def test_few_keys_stay_within_the_tolerance(name):
    track = interpolate(preset_path(name, frames=120, fps=24.0))
    path = simplify(track, tolerance=0.01, angle_tolerance=math.radians(1))
    metres, angle = off(interpolate(path), track)
    assert metres <= 0.01 + 1e-5
    assert angle <= math.radians(1) + 2e-3  # acos of a float32 trace
    assert len(path.keyframes) <= 24
    assert (path.frames, path.fps) == (120, 24.0)


def test_a_shaking_hand_keeps_every_frame_that_it_needs():
    random = torch.Generator().manual_seed(3)
    places = torch.randn(30, 3, generator=random, dtype=torch.float64)
    turns = rotation_from_yaw_pitch_roll(*(torch.randn(3, 30, generator=random, dtype=torch.float64)))
    track = Trajectory(T_world_cam=se3_from(turns, places).float(), fps=5.0)
    metres, _ = off(interpolate(simplify(track, tolerance=0.001)), track)
    assert metres < 0.002


def test_one_frame_is_one_key():
    track = interpolate(preset_path("forward", frames=1, fps=5.0))
    assert len(simplify(track).keyframes) == 1


def test_a_tolerance_of_nothing_is_refused():
    track = interpolate(preset_path("forward", frames=3, fps=5.0))
    with pytest.raises(InputError, match="tolerance"):
        simplify(track, tolerance=0.0)
