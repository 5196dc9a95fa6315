from __future__ import annotations

import json
import math
import time

import pytest
import torch

from pantheon_core.errors import ConventionError, InputError, ShapeError
from pantheon_core.geometry import yaw_pitch_roll_from_rotation
from pantheon_core.trajectory import (
    PRESETS,
    Keyframe,
    KeyframePath,
    Trajectory,
    clearance,
    interpolate,
    path_from_json,
    path_to_json,
    preset_path,
)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("easing", ["linear", "ease_in_out"])
@pytest.mark.parametrize("frames", [1, 2, 25])
def test_presets_start_at_the_anchor_and_fill_their_frames(name, easing, frames):
    path = preset_path(name, frames=frames, fps=7, easing=easing)
    poses = interpolate(path).T_world_cam
    assert len(poses) == frames
    torch.testing.assert_close(poses[0], torch.eye(4), atol=1e-6, rtol=0)
    if frames > 1:
        assert path.keyframes[-1].time == pytest.approx((frames - 1) / 7)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("forward", (0, 0, 2)),
        ("back", (0, 0, -2)),
        ("left", (-2, 0, 0)),
        ("right", (2, 0, 0)),
        ("up", (0, -2, 0)),
        ("down", (0, 2, 0)),
    ],
)
def test_straight_presets(name, end):
    positions = interpolate(preset_path(name, frames=9, fps=7, distance=2.0)).positions
    torch.testing.assert_close(positions[-1], torch.tensor(end, dtype=torch.float32))
    steps = positions.diff(dim=0).norm(dim=-1)
    torch.testing.assert_close(steps, torch.full((8,), 0.25))


def test_orbit_faces_its_centre():
    path = preset_path("orbit", frames=81, fps=8, radius=2.0)
    poses = interpolate(path).T_world_cam
    to_centre = torch.tensor([0.0, 0.0, 2.0]) - poses[:, :3, 3]
    torch.testing.assert_close(to_centre.norm(dim=-1), torch.full((81,), 2.0), atol=5e-3, rtol=0)
    assert (torch.cosine_similarity(to_centre, poses[:, :3, 2], dim=-1) > 0.99999).all()
    assert path.loop
    assert not preset_path("orbit", frames=81, fps=8, angle=1.0).loop


def test_arc_looks_along_its_way_and_turns_left_with_a_negative_angle():
    for angle in (1.2, -1.2):
        poses = interpolate(preset_path("arc", frames=49, fps=8, radius=3.0, angle=angle)).T_world_cam
        way = torch.nn.functional.normalize(poses[2:, :3, 3] - poses[:-2, :3, 3], dim=-1)
        along = (way * poses[1:-1, :3, 2]).sum(-1)
        assert (along[8:-8] > 0.998).all()
        assert (along > 0.99).all()  # at its open ends the spline leaves along the chord: 6 degrees
        assert math.copysign(1, float(poses[-1, 0, 3])) == math.copysign(1, angle)
        yaw, _, _ = yaw_pitch_roll_from_rotation(poses[-1, :3, :3])
        assert float(yaw) == pytest.approx(angle, abs=1e-5)


def test_turning_presets():
    turn = interpolate(preset_path("forward_turn", frames=25, fps=7, distance=1.5, angle=1.0)).T_world_cam
    yaw, _, _ = yaw_pitch_roll_from_rotation(turn[:, :3, :3])
    torch.testing.assert_close(yaw, torch.linspace(0, 1, 25), atol=1e-4, rtol=0)
    assert turn[-1, 2, 3] == pytest.approx(1.5)
    look = interpolate(preset_path("look_around", frames=25, fps=7)).T_world_cam
    assert look[:, :3, 3].abs().max() == 0
    yaw, _, _ = yaw_pitch_roll_from_rotation(look[:, :3, :3])
    steps = torch.remainder(yaw.diff(), 2 * math.pi)
    torch.testing.assert_close(steps, torch.full((24,), 2 * math.pi / 24), atol=1e-4, rtol=0)
    spiral = interpolate(preset_path("spiral", frames=49, fps=7, radius=2.0, distance=1.0)).T_world_cam
    assert spiral[-1, :3, 3].tolist() == pytest.approx([0, -1, 2], abs=1e-5)
    assert (spiral[:, :3, :3] == torch.eye(3)).all()


def test_eased_presets_start_and_end_slowly():
    positions = interpolate(preset_path("arc", frames=49, fps=8, easing="ease_in_out")).positions
    speed = positions.diff(dim=0).norm(dim=-1)
    assert speed[0] < 0.3 * speed[24]
    assert speed[-1] < 0.3 * speed[24]


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "teleport"},
        {"distance": 0.0},
        {"angle": 0.0},
        {"radius": -1.0},
        {"frames": 0},
        {"easing": "x"},
    ],
)
def test_wrong_presets_are_refused(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        preset_path(**{"name": "arc", "frames": 5, "fps": 7, **arguments})


def a_path():
    return KeyframePath(
        keyframes=(
            Keyframe(time=0.0, position=(0, 0, 0), easing="ease_in"),
            Keyframe(time=1 / 3, position=(0.1, -2, 3e-7), quaternion_wxyz=(0.6, 0.0, -0.8, 0.0)),
        ),
        fps=29.97,
        frames=11,
        spline="linear",
        orientation="slerp",
        constant_speed=True,
    )


def test_json_round_trip_is_exact():
    path = a_path()
    text = path_to_json(path)
    back = path_from_json(text)
    assert path_to_json(back) == text
    assert [(k.time, k.position, k.quaternion_wxyz, k.easing) for k in back.keyframes] == [
        (k.time, k.position, k.quaternion_wxyz, k.easing) for k in path.keyframes
    ]
    assert (back.fps, back.frames, back.spline, back.orientation) == (29.97, 11, "linear", "slerp")
    assert back.constant_speed
    data = json.loads(text)
    assert (data["version"], data["convention"], data["units"]) == (1, "opencv_c2w", "m")
    assert data["keyframes"][1]["t"] == 1 / 3


def edited(edit):
    data = json.loads(path_to_json(a_path()))
    edit(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda d: d.pop("units"), "^units: missing"),
        (lambda d: d.update(version=2), "^version: expected 1, got 2.*update"),
        (lambda d: d.update(convention="opengl_c2w"), "^convention: .*convert the poses"),
        (lambda d: d.update(units="ft"), "^units: "),
        (lambda d: d.update(splin="linear"), "^splin: unknown field"),
        (lambda d: d.update(spline="bezier"), "^spline: expected one of catmull_rom, linear"),
        (lambda d: d.update(constant_speed=1), "^constant_speed: expected true or false"),
        (lambda d: d.update(frames=10**6), "^frames: "),
        (lambda d: d.update(fps=-1), "^fps: "),
        (lambda d: d.update(keyframes={}), "^keyframes: expected a list"),
        (lambda d: d.update(keyframes=[]), "^keyframes: expected at least one"),
        (lambda d: d["keyframes"].append(3), r"^keyframes\[2\]: expected an object"),
        (lambda d: d["keyframes"].reverse(), r"^keyframes\[1\].time: .* sort the keys"),
        (lambda d: d["keyframes"][1].update(t=0), r"^keyframes\[1\].time: .*its own time"),
        (lambda d: d["keyframes"][1].update(t=-1), r"^keyframes\[1\].time: expected seconds"),
        (lambda d: d["keyframes"][1].pop("position"), r"^keyframes\[1\].position: missing"),
        (lambda d: d["keyframes"][1].update(roll=1), r"^keyframes\[1\].roll: unknown field"),
        (lambda d: d["keyframes"][1].update(position=[0, "1", 2]), r"^keyframes\[1\].position\[1\]: "),
        (lambda d: d["keyframes"][1].update(position=[0, 10**400, 2]), r"^keyframes\[1\].position\[1\]: "),
        (
            lambda d: d["keyframes"][0].update(quaternion_wxyz=[1, 1, 0, 0]),
            r"^keyframes\[0\].quaternion_wxyz: ",
        ),
        (lambda d: d["keyframes"][0].update(position=[0, 0, float("nan")]), "got NaN; replace"),
    ],
)
def test_wrong_json_is_named(edit, match):
    with pytest.raises(InputError, match=match):
        path_from_json(edited(edit))


def test_what_is_not_json_is_said():
    with pytest.raises(InputError, match="not valid JSON at line 1, column 2"):
        path_from_json("{oops")
    with pytest.raises(InputError, match="expected an object"):
        path_from_json("[1]")


def test_extra_is_for_others():
    def add(data):
        data["extra"] = {"editor": "x"}
        data["keyframes"][0]["extra"] = 3

    assert path_to_json(path_from_json(edited(add))) == path_to_json(a_path())


def test_convention_errors_keep_their_class():
    with pytest.raises(ConventionError):
        path_from_json(edited(lambda d: d["keyframes"][0].update(quaternion_wxyz=[2, 0, 0, 0])))


def line(frames):
    poses = torch.eye(4).repeat(frames, 1, 1)
    poses[:, 2, 3] = torch.arange(frames)
    return Trajectory(T_world_cam=poses, fps=7)


def test_clearance_names_the_frames():
    points = torch.tensor([[0.2, 0.0, 2.0], [0.0, 0.1, 3.0], [0.0, 0.0, 100.0]])
    report = clearance(line(6), points, minimum=0.5)
    assert report.below == (2, 3)
    assert report.distance[[2, 3]].tolist() == pytest.approx([0.2, 0.1])
    assert "2 of 6 frames (2-3); nearest is frame 3 with 0.1 m" in (report.warning or "")
    assert clearance(line(6), points, minimum=0.05).warning is None


def test_clearance_is_exact_far_from_the_origin():
    offset = torch.tensor([4096.0, 0.0, -4096.0])
    poses = torch.eye(4).repeat(30, 1, 1)
    poses[:, :3, 3] = offset
    points = offset + torch.tensor([[0.25, 0.0, 0.0]]).repeat(40, 1)
    report = clearance(Trajectory(T_world_cam=poses, fps=7), points, minimum=1.0)
    torch.testing.assert_close(report.distance, torch.full((30,), 0.25))


def test_clearance_of_half_a_million_points_is_quick():
    points = torch.rand(500_000, 3, generator=torch.Generator().manual_seed(0)) * 4 + 10
    start = time.perf_counter()
    report = clearance(line(25), points, minimum=1.0)
    assert time.perf_counter() - start < 5.0  # 0.2 s on an idle core
    brute = (points - line(25).positions[24]).norm(dim=-1).min()
    torch.testing.assert_close(report.distance[24], brute)


def test_wrong_clearance_arguments():
    with pytest.raises(InputError, match="at least one point"):
        clearance(line(2), torch.zeros(0, 3), minimum=1.0)
    with pytest.raises(ShapeError):
        clearance(line(2), torch.zeros(4, 2), minimum=1.0)
    with pytest.raises(InputError, match="minimum"):
        clearance(line(2), torch.zeros(4, 3), minimum=-1.0)
