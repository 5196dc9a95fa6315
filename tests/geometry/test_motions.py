"""Rotations, quaternions and rigid motions: axioms and signs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pantheon_core.errors import InputError, ShapeError
from pantheon_core.geometry import (
    crop_rotations,
    look_at,
    nearest_rotation,
    quaternion_wxyz_from_rotation,
    rotate_vectors,
    rotation_from_quaternion_wxyz,
    rotation_from_yaw_pitch_roll,
    se3_from,
    se3_inverse,
    slerp,
    squad,
    squad_control,
    transform_points,
    yaw_pitch_roll_from_rotation,
)

ANGLES = st.floats(-math.pi, math.pi, allow_nan=False)
FAST = settings(max_examples=40, deadline=None)
F64 = torch.float64


def rotation(yaw: float, pitch: float, roll: float) -> Tensor:
    return rotation_from_yaw_pitch_roll(*(torch.tensor(a, dtype=F64) for a in (yaw, pitch, roll)))


def quaternion(yaw: float, pitch: float, roll: float) -> Tensor:
    return quaternion_wxyz_from_rotation(rotation(yaw, pitch, roll))


def test_signs_of_yaw_pitch_and_roll() -> None:
    small, forward = 0.1, torch.tensor([0.0, 0.0, 1.0], dtype=F64)
    assert (rotation(small, 0, 0) @ forward)[0] > 0.09, "yaw+ turns right"
    assert (rotation(0, small, 0) @ forward)[1] < -0.09, "pitch+ looks up (y points down)"
    right = rotation(0, 0, small) @ torch.tensor([1.0, 0.0, 0.0], dtype=F64)
    assert right[1] > 0.09, "roll+ is clockwise: the right hand goes down"


@FAST
@given(yaw=ANGLES, pitch=ANGLES, roll=ANGLES)
def test_rotations_are_a_group(yaw: float, pitch: float, roll: float) -> None:
    whole = rotation(yaw, pitch, roll)
    torch.testing.assert_close(whole @ whole.T, torch.eye(3, dtype=F64))
    assert float(whole.det()) == pytest.approx(1)
    parts = rotation(yaw, 0, 0) @ rotation(0, pitch, 0) @ rotation(0, 0, roll)
    torch.testing.assert_close(whole, parts)
    vector = torch.tensor([0.3, -0.5, 2.0], dtype=F64)
    torch.testing.assert_close(rotate_vectors(whole, vector), whole @ vector)


@FAST
@given(yaw=ANGLES, pitch=ANGLES, roll=ANGLES)
def test_angles_and_quaternions_round_trip(yaw: float, pitch: float, roll: float) -> None:
    whole = rotation(yaw, pitch, roll)
    torch.testing.assert_close(rotation(*map(float, yaw_pitch_roll_from_rotation(whole))), whole)
    q = quaternion_wxyz_from_rotation(whole)
    assert float(q.norm()) == pytest.approx(1)
    assert float(q[0]) >= 0
    torch.testing.assert_close(rotation_from_quaternion_wxyz(q), whole)
    torch.testing.assert_close(rotation_from_quaternion_wxyz(-3 * q), whole)


@FAST
@given(yaw=st.floats(-3.1, 3.1), pitch=st.floats(-1.5, 1.5), roll=st.floats(-3.1, 3.1))
def test_angles_are_recovered(yaw: float, pitch: float, roll: float) -> None:
    got = torch.stack(yaw_pitch_roll_from_rotation(rotation(yaw, pitch, roll)))
    torch.testing.assert_close(got, torch.tensor([yaw, pitch, roll], dtype=F64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("pitch", [math.pi / 2, -math.pi / 2])
def test_straight_up_and_down_have_no_roll(pitch: float) -> None:
    whole = rotation(0.4, pitch, 0.0)
    yaw, _, roll = yaw_pitch_roll_from_rotation(whole)
    assert float(roll) == 0
    assert float(yaw) == pytest.approx(0.4)


def test_quaternion_order_is_wxyz() -> None:
    got = quaternion_wxyz_from_rotation(rotation(math.pi / 2, 0, 0))
    half = math.sqrt(0.5)
    torch.testing.assert_close(got, torch.tensor([half, 0, half, 0], dtype=F64))


def test_crop_rotations_turn_right_by_equal_steps() -> None:
    yaw, pitch, _ = yaw_pitch_roll_from_rotation(crop_rotations(8))
    torch.testing.assert_close(yaw[:4], torch.arange(4) * math.pi / 4)
    assert float(pitch.abs().max()) == 0


@FAST
@given(yaw=ANGLES, pitch=ANGLES, roll=ANGLES, t=st.floats(0, 1))
def test_slerp_is_a_constant_turn(yaw: float, pitch: float, roll: float, t: float) -> None:
    start, end = quaternion(0.3, 0.1, -0.2), quaternion(yaw, pitch, roll)
    middle = slerp(start, end, t)
    assert float(middle.norm()) == pytest.approx(1)

    def angle(a: Tensor, b: Tensor) -> float:
        b = torch.where((a * b).sum() < 0, -b, b)
        return float(4 * torch.atan2((a - b).norm(), (a + b).norm()))

    whole = angle(start, end)
    assert angle(start, middle) == pytest.approx(t * whole, abs=1e-6)
    assert angle(middle, end) == pytest.approx((1 - t) * whole, abs=1e-6)


def test_slerp_takes_the_short_way_and_many_times() -> None:
    start, end = quaternion(0, 0, 0), -quaternion(0.2, 0, 0)
    yaw = yaw_pitch_roll_from_rotation(
        rotation_from_quaternion_wxyz(slerp(start, end, torch.linspace(0, 1, 5, dtype=F64)))
    )[0]
    torch.testing.assert_close(yaw, torch.linspace(0, 0.2, 5, dtype=F64))


def test_squad_passes_the_keys_with_continuous_velocity() -> None:
    keys = torch.stack([quaternion(*a) for a in ((0, 0, 0), (0.5, 0.2, 0), (0.7, -0.3, 0.4), (1.5, 0, 0))])
    controls = [squad_control(keys[max(i - 1, 0)], keys[i], keys[min(i + 1, 3)]) for i in range(4)]

    def at(time: float) -> Tensor:
        i = min(int(time), 2)
        return squad(keys[i], keys[i + 1], controls[i], controls[i + 1], time - i)

    for i in range(4):
        torch.testing.assert_close(at(float(i)), keys[i])
    h = 1e-5
    for knot in (1, 2):
        before, after = (at(knot) - at(knot - h)) / h, (at(knot + h) - at(knot)) / h
        torch.testing.assert_close(before, after, atol=1e-3, rtol=0)


def test_squad_at_constant_speed_is_slerp() -> None:
    keys = [quaternion(0.4 * i, 0, 0) for i in range(4)]
    inner = [squad_control(keys[i - 1], keys[i], keys[i + 1]) for i in (1, 2)]
    torch.testing.assert_close(squad(keys[1], keys[2], *inner, 0.3), slerp(keys[1], keys[2], 0.3))


@FAST
@given(yaw=ANGLES, pitch=ANGLES, x=st.floats(-5, 5), y=st.floats(-5, 5))
def test_rigid_motions_are_a_group(yaw: float, pitch: float, x: float, y: float) -> None:
    motion = se3_from(rotation(yaw, pitch, 0.3), torch.tensor([x, y, 1.0], dtype=F64))
    eye = torch.eye(4, dtype=F64)
    torch.testing.assert_close(motion @ se3_inverse(motion), eye)
    points = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 0.5]], dtype=F64)
    moved = transform_points(motion, points)
    torch.testing.assert_close(transform_points(se3_inverse(motion), moved), points)
    homogeneous = torch.cat((points, torch.ones(2, 1, dtype=F64)), 1) @ motion.T
    torch.testing.assert_close(moved, homogeneous[:, :3])


def test_transform_points_shapes() -> None:
    motions = torch.eye(4).repeat(3, 1, 1)
    motions[:, 0, 3] = torch.tensor([1.0, 2.0, 3.0])
    assert transform_points(motions, torch.zeros(3, 4, 5, 3))[2, 1, 1].tolist() == [3, 0, 0]
    assert transform_points(motions, torch.zeros(3, 3))[1].tolist() == [2, 0, 0]
    assert transform_points(motions[0], torch.zeros(3)).tolist() == [1, 0, 0]
    with pytest.raises(ShapeError, match="leading axes"):
        transform_points(motions, torch.zeros(2, 3))


@FAST
@given(x=st.floats(-5, 5), y=st.floats(-5, 5), z=st.floats(0.5, 5))
def test_look_at_points_forward_and_stays_upright(x: float, y: float, z: float) -> None:
    position, target = torch.tensor([1.0, 2.0, 3.0], dtype=F64), torch.tensor([x, y, 3 + z], dtype=F64)
    motion = look_at(position, target)
    local = transform_points(se3_inverse(motion), target)
    torch.testing.assert_close(local[:2], torch.zeros(2, dtype=F64), atol=1e-9, rtol=0)
    assert float(local[2]) > 0
    assert float(motion[1, 0].abs()) < 1e-12, "the right hand is level"
    assert float(motion[1, 1]) > 0, "the camera's down is the world's down"
    assert float(motion[:3, :3].det()) == pytest.approx(1)


def test_look_at_refuses_what_has_no_answer() -> None:
    origin = torch.zeros(3)
    with pytest.raises(InputError, match="target"):
        look_at(origin, origin)
    with pytest.raises(InputError, match="up"):
        look_at(origin, torch.tensor([0.0, 3.0, 0.0]))
    with pytest.raises(InputError, match="quaternion"):
        rotation_from_quaternion_wxyz(torch.zeros(4))


def test_the_nearest_rotation_is_one_even_for_mirrored_matrices() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(64, 3, 3, generator=generator, dtype=torch.float64)
    assert bool((torch.linalg.det(matrix) < 0).any())
    found = nearest_rotation(matrix)
    torch.testing.assert_close(found @ found.mT, torch.eye(3).double().expand(64, 3, 3))
    assert bool((torch.linalg.det(found) > 0.99).all())
    # No other rotation is closer; a rotation is its own.
    others = nearest_rotation(torch.randn(64, 3, 3, generator=generator, dtype=torch.float64))
    assert bool(((found - matrix).norm(dim=(1, 2)) <= (others - matrix).norm(dim=(1, 2)) + 1e-12).all())
    torch.testing.assert_close(nearest_rotation(found), found)
