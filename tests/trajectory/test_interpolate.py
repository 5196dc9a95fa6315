from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pantheon_core.errors import ConventionError, InputError, ShapeError
from pantheon_core.geometry import rotation_from_quaternion_wxyz, rotation_from_yaw_pitch_roll
from pantheon_core.trajectory import EASINGS, Keyframe, KeyframePath, Trajectory, interpolate, retime


def yaw_key(time, position, yaw=0.0, easing="linear", sign=1.0):
    quaternion = (sign * math.cos(yaw / 2), 0.0, sign * math.sin(yaw / 2), 0.0)
    return Keyframe(time=time, position=position, quaternion_wxyz=quaternion, easing=easing)


coordinates = st.integers(-3, 3).map(float)
components = st.floats(-1, 1, allow_nan=False).map(lambda v: round(v, 3))
quaternions = (
    st.tuples(components, components, components, components)
    .filter(lambda q: math.hypot(*q) > 0.2)
    .map(lambda q: tuple(c / math.hypot(*q) for c in q))
)


@st.composite
def paths(draw):
    gaps = draw(st.lists(st.integers(1, 4), min_size=0, max_size=4))
    times = [sum(gaps[:i]) for i in range(len(gaps) + 1)]
    keys = tuple(
        Keyframe(
            time=t / 8,
            position=draw(st.tuples(coordinates, coordinates, coordinates)),
            quaternion_wxyz=draw(quaternions),
            easing=draw(st.sampled_from(EASINGS)),
        )
        for t in times
    )
    return KeyframePath(
        keyframes=keys,
        fps=8.0,
        frames=times[-1] + 2,
        spline=draw(st.sampled_from(["catmull_rom", "linear"])),
        orientation=draw(st.sampled_from(["squad", "slerp"])),
    )


@settings(max_examples=60, deadline=None)
@given(paths())
def test_frames_at_keys_have_the_keys_poses(path):
    poses = interpolate(path).T_world_cam
    assert poses.shape == (path.frames, 4, 4)
    for key in path.keyframes:
        pose = poses[round(key.time * 8)]
        wanted = rotation_from_quaternion_wxyz(torch.tensor(key.quaternion_wxyz, dtype=torch.float64))
        torch.testing.assert_close(pose[:3, 3], torch.tensor(key.position), atol=1e-6, rtol=0)
        torch.testing.assert_close(pose[:3, :3].double(), wanted, atol=1e-6, rtol=0)
    # the camera holds after the last key
    torch.testing.assert_close(poses[-1], poses[-2])


@settings(max_examples=30, deadline=None)
@given(paths())
def test_paths_have_no_jumps(path):
    fine = interpolate(retime(path, frames=2001, fps=60.0)).T_world_cam
    extent = max(math.dist(a.position, b.position) for a in path.keyframes for b in path.keyframes)
    step = fine[:, :3, 3].diff(dim=0).norm(dim=-1).max()
    assert step <= 0.05 * extent + 1e-6


def test_speed_is_continuous_at_keys():
    keys = tuple(yaw_key(t, p) for t, p in [(0, (0, 0, 0)), (1, (1, 0, 0)), (1.5, (1, 0, 2)), (4, (3, 0, 2))])
    positions = interpolate(KeyframePath(keyframes=keys, fps=1000, frames=4001)).positions.double()
    velocity = positions.diff(dim=0) * 1000
    for key in (1000, 1500):
        assert (velocity[key] - velocity[key - 1]).norm() < 0.05


def test_centripetal_spline_stays_near_a_sharp_corner():
    # The uniform spline overshoots the short segment here; the centripetal one does not loop.
    positions = [(0, 0, 0), (4, 0, 0), (4, 0, 0.1), (0, 0, 0.1)]
    keys = tuple(yaw_key(float(i), p) for i, p in enumerate(positions))
    way = interpolate(KeyframePath(keyframes=keys, fps=100, frames=301)).positions
    assert way[:, 0].max() < 4.2


def test_coincident_keys_are_a_stop():
    keys = tuple(
        yaw_key(t, p, yaw)
        for t, p, yaw in [(0, (0, 0, 0), 0), (1, (0, 0, 1), 0), (2, (0, 0, 1), 1), (3, (1, 0, 1), 1)]
    )
    poses = interpolate(KeyframePath(keyframes=keys, fps=10, frames=31)).T_world_cam
    assert torch.isfinite(poses).all()
    assert (poses[10:21, :3, 3] - torch.tensor([0.0, 0, 1])).abs().max() < 1e-6
    assert (poses[15, :3, :3] - poses[10, :3, :3]).norm() > 0.2


def test_the_turn_goes_the_short_way_whatever_the_signs():
    for orientation in ("slerp", "squad"):
        keys = (yaw_key(0, (0, 0, 0), 0.0), yaw_key(1, (0, 0, 0), 0.4, sign=-1.0), yaw_key(2, (0, 0, 0), 0.8))
        poses = interpolate(
            KeyframePath(keyframes=keys, fps=4, frames=9, orientation=orientation)
        ).T_world_cam
        wanted = rotation_from_yaw_pitch_roll(torch.linspace(0, 0.8, 9))
        torch.testing.assert_close(poses[:, :3, :3], wanted, atol=1e-5, rtol=0)


def test_easing_shapes_the_time():
    def middle(easing):
        path = KeyframePath(
            keyframes=(yaw_key(0, (0, 0, 0), easing=easing), yaw_key(1, (0, 0, 1))), fps=4, frames=5
        )
        return interpolate(path).positions[:, 2].tolist()

    assert middle("linear") == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-6)
    assert middle("ease_in") == pytest.approx([0, 0.0625, 0.25, 0.5625, 1], abs=1e-6)
    assert middle("ease_out") == pytest.approx([0, 0.4375, 0.75, 0.9375, 1], abs=1e-6)
    assert middle("ease_in_out") == pytest.approx([0, 0.15625, 0.5, 0.84375, 1], abs=1e-6)


@pytest.mark.parametrize("spline", ["catmull_rom", "linear"])
def test_constant_speed(spline):
    keys = tuple(yaw_key(t, p) for t, p in [(0, (0, 0, 0)), (1, (2, 0, 0)), (2, (2, 0, 1)), (5, (5, 1, 1))])
    path = KeyframePath(keyframes=keys, fps=20, frames=101, spline=spline, constant_speed=True)
    positions = interpolate(path).positions.double()
    speed = positions.diff(dim=0).norm(dim=-1)
    # a chord across a corner is shorter than the way: the median is the speed
    assert ((speed / speed.median() - 1).abs() < 5e-3).float().mean() > 0.97
    torch.testing.assert_close(
        positions[-1], torch.tensor([5.0, 1, 1], dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_constant_speed_keeps_the_time_of_a_stop():
    keys = tuple(
        yaw_key(t, p, yaw)
        for t, p, yaw in [(0, (0, 0, 0), 0), (1, (0, 0, 3), 0), (3, (0, 0, 3), 1), (4, (0, 0, 4), 1)]
    )
    path = KeyframePath(keyframes=keys, fps=100, frames=401, constant_speed=True)
    poses = interpolate(path).T_world_cam
    still = (poses[:, :3, 3] - torch.tensor([0.0, 0, 3])).norm(dim=-1) < 1e-3
    assert 198 <= int(still.sum()) <= 206
    assert bool(still[152:348].all())
    turning_only = KeyframePath(keyframes=keys[1:3], fps=4, frames=9, constant_speed=True)
    turned = interpolate(turning_only).T_world_cam
    torch.testing.assert_close(turned[:, :3, :3], rotation_from_yaw_pitch_roll(torch.linspace(0, 1, 9)))


def test_loop_goes_on_smoothly():
    corners = [(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1), (0, 0, 0)]
    keys = tuple(yaw_key(float(i), p, i * math.pi / 2) for i, p in enumerate(corners))
    path = KeyframePath(keyframes=keys, fps=200, frames=801, loop=True)
    poses = interpolate(path).T_world_cam.double()
    step = poses.diff(dim=0)
    assert (step[0] - step[-1]).abs().max() < 1e-4
    torch.testing.assert_close(poses[0], poses[-1], atol=1e-6, rtol=0)
    with pytest.raises(InputError, match=r"loop.*append a copy"):
        KeyframePath(keyframes=keys[:4], fps=1, frames=4, loop=True)
    with pytest.raises(InputError, match="loop: expected at least 3"):
        KeyframePath(keyframes=keys[:2], fps=1, frames=4, loop=True)


def test_one_key_is_a_still_camera():
    path = KeyframePath(keyframes=(yaw_key(2.0, (1, 2, 3), 0.5),), fps=7, frames=4)
    poses = interpolate(path).T_world_cam
    assert (poses == poses[:1]).all()
    assert poses[0, :3, 3].tolist() == [1, 2, 3]


def test_a_path_longer_than_its_frames_is_said(caplog):
    path = KeyframePath(keyframes=(yaw_key(0, (0, 0, 0)), yaw_key(4, (0, 0, 4))), fps=2, frames=5)
    assert interpolate(path).positions[-1, 2] == 2
    assert "cut off" in caplog.text
    caplog.clear()
    assert interpolate(retime(path, frames=5, fps=30)).positions[-1, 2] == pytest.approx(4, abs=1e-6)
    assert not caplog.text


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"time": -1.0}, InputError, "time: expected seconds"),
        ({"time": float("nan")}, InputError, "time: expected a finite"),
        ({"position": (0, 0)}, InputError, "position: expected a list of 3"),
        ({"position": (0, 0, float("inf"))}, InputError, r"position\[2\]"),
        ({"quaternion_wxyz": (1, 1, 0, 0)}, ConventionError, "unit quaternion"),
        ({"easing": "bouncy"}, InputError, "easing: expected one of linear"),
    ],
)
def test_wrong_keyframes_are_refused(change, error, match):
    with pytest.raises(error, match=match):
        Keyframe(**{"time": 0.0, "position": (0, 0, 0), **change})


def test_wrong_paths_are_refused():
    keys = (yaw_key(0, (0, 0, 0)), yaw_key(1, (0, 0, 1)))
    with pytest.raises(InputError, match="at least one"):
        KeyframePath(keyframes=(), fps=7, frames=3)
    with pytest.raises(InputError, match=r"keyframes\[1\].time.*sort"):
        KeyframePath(keyframes=keys[::-1], fps=7, frames=3)
    with pytest.raises(InputError, match=r"keyframes\[1\].time.*its own time"):
        KeyframePath(keyframes=(keys[0], keys[0]), fps=7, frames=3)
    for frames in (0, 100_001, 2.0, True):
        with pytest.raises(InputError, match="frames: expected a whole number"):
            KeyframePath(keyframes=keys, fps=7, frames=frames)
    with pytest.raises(InputError, match="fps"):
        KeyframePath(keyframes=keys, fps=0, frames=3)


def test_trajectories_are_checked():
    assert len(Trajectory(T_world_cam=torch.eye(4).repeat(3, 1, 1), fps=7)) == 3
    with pytest.raises(ShapeError):
        Trajectory(T_world_cam=torch.eye(4), fps=7)
    with pytest.raises(ConventionError):
        Trajectory(T_world_cam=2 * torch.eye(4)[None], fps=7)
