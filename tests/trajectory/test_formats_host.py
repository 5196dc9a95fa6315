"""The host's camera sockets, against numbers by hand and back."""

from __future__ import annotations

import math

import pytest
import torch

from pantheon_core.errors import ConventionError, InputError, ShapeError
from pantheon_core.geometry import rotation_from_yaw_pitch_roll, se3_from
from pantheon_core.trajectory import Trajectory
from pantheon_core.trajectory.formats import (
    load3d_cameras,
    trajectory_from_load3d,
    trajectory_from_wan_camera,
    wan_camera_embedding,
)

LEFT = torch.tensor([[0.0, 0.0, -1.0, 1.0], [0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
HALF = math.sqrt(0.5)


def walk(frames):
    steps = torch.linspace(-1, 1, frames, dtype=torch.float64)
    turns = rotation_from_yaw_pitch_roll(3 * steps, 1.4 * steps, 2 * steps)
    return Trajectory(T_world_cam=se3_from(turns, torch.stack((5 * steps, steps**2, 1 - steps), -1)), fps=7)


def test_load3d_by_hand():
    (camera,) = load3d_cameras(Trajectory(T_world_cam=LEFT[None], fps=7), fov=math.pi / 3)
    assert camera["position"] == {"x": 1, "y": 0, "z": 0}
    assert camera["target"] == pytest.approx({"x": 0, "y": 0, "z": 0})
    assert camera["quaternion"] == pytest.approx({"x": 0, "y": HALF, "z": 0, "w": HALF})
    assert camera["customUp"] == pytest.approx({"x": 0, "y": 1, "z": 0})
    assert (camera["zoom"], camera["cameraType"], camera["fov"]) == (1, "perspective", pytest.approx(60))


def test_load3d_of_the_viewer():
    seen = {
        "position": {"x": 1, "y": 0, "z": 0},
        "target": {"x": -3, "y": 0, "z": 0},
        "zoom": 2,
        "cameraType": "perspective",
    }
    with_turn = {
        **seen,
        "target": {"x": 9, "y": 9, "z": 9},
        "quaternion": {"x": 0, "y": HALF, "z": 0, "w": HALF},
    }
    # Rolled upside down: the custom side up is the world's down.
    over = {**seen, "useCustomUp": True, "customUp": {"x": 0, "y": -1, "z": 0}}
    read = trajectory_from_load3d([seen, with_turn, over], fps=7).T_world_cam
    torch.testing.assert_close(read[:2], LEFT.expand(2, 4, 4), atol=1e-6, rtol=0)
    torch.testing.assert_close(read[2, :3, 1], torch.tensor([0.0, -1.0, 0.0]))
    torch.testing.assert_close(trajectory_from_load3d(seen, fps=7).T_world_cam[0], LEFT)


def test_load3d_round_trip():
    path = walk(9)
    cameras = load3d_cameras(path, distance=2)
    torch.testing.assert_close(
        trajectory_from_load3d(cameras, fps=7).T_world_cam, path.T_world_cam, atol=1e-5, rtol=0
    )
    for camera in cameras:
        del camera["quaternion"]  # target and side up say it too
    torch.testing.assert_close(
        trajectory_from_load3d(cameras, fps=7).T_world_cam, path.T_world_cam, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"position": None}, r"cameras\[0\].position: expected an object with x, y, z"),
        ({"position": {"x": 0, "y": "1", "z": 0}}, r"cameras\[0\].position.y: expected a number"),
        ({"quaternion": {"x": 0, "y": 0, "z": 0, "w": 2}}, r"cameras\[0\].quaternion: .* off by 1 "),
        ({"target": {"x": 0, "y": 5, "z": 0}}, r"cameras\[0\].up: "),
        ({"target": {"x": 0, "y": 0, "z": 0}}, r"cameras\[0\].target: "),
    ],
)
def test_wrong_load3d(change, says):
    origin = {"x": 0, "y": 0, "z": 0}
    with pytest.raises(InputError, match=says):
        trajectory_from_load3d({"position": origin, "target": {"x": 0, "y": 0, "z": -1}, **change}, fps=7)
    with pytest.raises(InputError, match="at least one camera"):
        trajectory_from_load3d([], fps=7)


def test_wan_camera_by_hand():
    poses = torch.eye(4).repeat(5, 1, 1)
    poses[4] = LEFT
    rays = wan_camera_embedding(Trajectory(T_world_cam=poses, fps=16), height=2, width=2, fov=math.pi / 2)
    assert rays.shape == (1, 24, 2, 2, 2)
    # Pixel centres lie half way to the edges: the upper right ray is (1/2, -1/2, 1), of length sqrt(3/2).
    long = math.sqrt(1.5)
    ahead, left = rays[0, 0::4, 0, 0, 1], rays[0, 3::4, 1, 0, 1]
    assert ahead.tolist() == pytest.approx([0, 0, 0, 0.5 / long, -0.5 / long, 1 / long])
    # Looking left, right is ahead: (-1, -1/2, 1/2); from (1, 0, 0) the moment is (0, -1/2, -1/2).
    assert left.tolist() == pytest.approx([v / long for v in (0, -0.5, -0.5, -1, -0.5, 0.5)])
    for j in range(4):
        torch.testing.assert_close(rays[0, j::4, 0], rays[0, 0::4, 0])  # the first frame, four times


def test_wan_camera_round_trip_is_relative_to_the_first_frame():
    path = walk(9)
    rays = wan_camera_embedding(path, height=24, width=40, fov=1.0)
    read = trajectory_from_wan_camera(rays, fps=16)
    relative = torch.linalg.inv(path.T_world_cam[0]) @ path.T_world_cam
    torch.testing.assert_close(read.T_world_cam, relative, atol=1e-4, rtol=0)
    assert read.fps == 16


def test_wrong_wan_cameras():
    with pytest.raises(InputError, match=r"expected 4 k \+ 1 frames"):
        wan_camera_embedding(walk(8), height=8, width=8)
    with pytest.raises(InputError, match="0 < fov < pi"):
        wan_camera_embedding(walk(5), height=8, width=8, fov=4)
    with pytest.raises(ShapeError):
        trajectory_from_wan_camera(torch.zeros(1, 6, 2, 8, 8), fps=16)
    rays = wan_camera_embedding(walk(5), height=8, width=8)
    rays[0, 15::4, 1] *= 1.5
    with pytest.raises(ConventionError, match=r"embedding, frame 4: .* off by"):
        trajectory_from_wan_camera(rays, fps=16)
