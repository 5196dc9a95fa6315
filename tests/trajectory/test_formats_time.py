"""Times, curves, origins and scale of what is read."""

from __future__ import annotations

import base64
import json
import math
import struct

import numpy as np
import pytest
import torch

from pantheon_core.errors import InputError
from pantheon_core.geometry import yaw_pitch_roll_from_rotation
from pantheon_core.trajectory import Trajectory, path_to_json, preset_path, read_trajectory, write_trajectory


def tum(*rows):
    return "".join(f"{time} {x} 0 0 0 0 0 1\n" for time, x in rows)


def test_uneven_times_are_an_error_without_fps_and_interpolated_with_it(tmp_path):
    path = tmp_path / "a.tum"
    path.write_text(tum((5.0, 0), (5.1, 1), (5.2, 2), (5.5, 5), (5.6, 4)))
    with pytest.raises(InputError, match=r"a\.tum: fps: .*line 4 comes 0\.3 s after line 3.*0\.1 s"):
        read_trajectory(path)
    read = read_trajectory(path, fps=20)
    assert read.positions[:, 0].tolist() == pytest.approx([*np.arange(0, 5.25, 0.5), 4.5, 4])
    assert read.fps == 20


def test_even_times_with_rounding_give_the_round_rate_and_the_poses_as_they_are(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(tum(*((f"{i / 30:.3f}", i) for i in range(31))))
    read = read_trajectory(path)
    assert read.fps == 30
    assert read.positions[:, 0].tolist() == list(range(31))
    assert read_trajectory(path, fps=15).positions[:, 0].tolist() == pytest.approx(range(0, 31, 2), abs=0.02)


def test_a_file_without_times_needs_fps_and_keeps_its_frames(tmp_path):
    path = tmp_path / "a.npy"
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 2, 3] = [0, 1, 5]
    np.save(path, poses)
    with pytest.raises(InputError, match=r"a\.npy: fps: the file does not say its frame rate"):
        read_trajectory(path)
    read = read_trajectory(path, fps=12)
    assert (read.fps, read.positions[:, 2].tolist()) == (12, [0, 1, 5])


def test_frames_that_vipe_left_out_are_filled(tmp_path):
    path = tmp_path / "a.npz"
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 0, 3] = [2, 3, 6]
    np.savez(path, data=poses, inds=np.array([2, 3, 6]))
    read = read_trajectory(path, fps=10)
    assert read.positions[:, 0].tolist() == pytest.approx([2, 3, 4, 5, 6])


def test_turns_between_poses_are_even(tmp_path):
    path = tmp_path / "a.tum"
    half = math.sqrt(0.5)
    path.write_text(f"0 0 0 0 0 0 0 1\n1 0 0 0 0 {half} 0 {half}\n")
    yaw, _, _ = yaw_pitch_roll_from_rotation(read_trajectory(path, fps=3).T_world_cam[:, :3, :3])
    torch.testing.assert_close(yaw, torch.linspace(0, math.pi / 2, 4))


def test_our_own_path_at_its_rate_and_at_another(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(path_to_json(preset_path("right", frames=5, fps=29.97, distance=2)))
    assert read_trajectory(path).fps == 29.97
    read = read_trajectory(path, fps=2 * 29.97)
    assert read.positions[:, 0].tolist() == pytest.approx(np.linspace(0, 2, 9), abs=1e-6)


def test_rebase_and_scale(tmp_path):
    path = tmp_path / "a.npy"
    looks_left = np.array([[0, 0, -1, 1e7], [0, 1, 0, 5], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    ahead = looks_left.copy()
    ahead[0, 3] -= 0.25
    np.save(path, np.stack([looks_left, ahead]))
    read = read_trajectory(path, fps=1, rebase=True, scale=2)
    wanted = torch.eye(4).repeat(2, 1, 1)
    wanted[1, 2, 3] = 0.5
    torch.testing.assert_close(read.T_world_cam, wanted)


def gen3c(order, *, loop=False, stamps=(1, 2, 3)):
    keys = [
        {"R": [0, 0, 0, 1], "T": [x, 0, 0], "fov": 50, **({"timestamp": t} if t else {})}
        for x, t in zip((0, 6, 12), stamps, strict=True)
    ]
    return json.dumps({"path": keys, "spline_order": order, "loop": loop})


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        # The two segments are walked in three seconds, ends included; keys beyond the ends repeat them.
        # Weights at a key and half a segment on: cubic 1 4 1 / 6 and 1 23 23 1 / 48,
        (3, [1, (23 * 6 + 12) / 48, 6, (23 * 6 + 23 * 12 + 12) / 48, 11]),
        # quadratic 1 1 / 2 and 1 6 1 / 8.
        (2, [0, 6 / 8, 3, (6 * 6 + 12) / 8, 9]),
        (1, [0, 3, 6, 9, 12]),
        (0, [0, 6, 6, 12, 12]),
    ],
)
def test_the_curves_of_gen3c(order, wanted, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(gen3c(order))
    read = read_trajectory(path, fps=5 / 3)
    assert read.positions[:, 0].tolist() == pytest.approx(wanted)


def test_gen3c_needs_a_rate_for_curves_and_closes_loops(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(gen3c(3))
    with pytest.raises(InputError, match="fps: the file holds a curve"):
        read_trajectory(path)
    path.write_text(gen3c(1, loop=True))
    read = read_trajectory(path, fps=7 / 3)
    assert read.positions[:, 0].tolist() == pytest.approx([0, 3, 6, 9, 12, 6, 0])
    path.write_text(gen3c(1, stamps=(None, None, None)))
    assert len(read_trajectory(path, fps=10)) == 30  # GEN3C's three seconds
    path.write_text(gen3c(1))
    assert (read_trajectory(path).fps, len(read_trajectory(path))) == (1, 3)


def gltf(nodes, interpolation, values, times=(0.0, 1.0, 3.0), path="translation"):
    """A glTF file whose first node is moved by float keys."""
    kind = {"translation": "VEC3", "rotation": "VEC4"}[path]
    numbers = struct.pack(f"<{len(times)}f", *times) + struct.pack(f"<{len(values)}f", *values)
    count = len(values) // int(kind[-1])
    return json.dumps(
        {
            "asset": {"version": "2.0"},
            "nodes": nodes,
            "animations": [
                {
                    "samplers": [{"input": 0, "output": 1, "interpolation": interpolation}],
                    "channels": [{"sampler": 0, "target": {"node": 0, "path": path}}],
                }
            ],
            "accessors": [
                {"bufferView": 0, "componentType": 5126, "count": len(times), "type": "SCALAR"},
                {
                    "bufferView": 0,
                    "byteOffset": 4 * len(times),
                    "componentType": 5126,
                    "count": count,
                    "type": kind,
                },
            ],
            "bufferViews": [{"buffer": 0, "byteLength": len(numbers)}],
            "buffers": [{"uri": "data:;base64," + base64.b64encode(numbers).decode()}],
        }
    )


def test_gltf_steps_and_cubics(tmp_path):
    path = tmp_path / "a.gltf"
    camera = [{"camera": 0}]
    path.write_text(gltf(camera, "STEP", [0, 0, 0, 1, 0, 0, 2, 0, 0]))
    assert read_trajectory(path, fps=2).positions[:, 0].tolist() == [0, 0, 1, 1, 1, 1, 2]
    with pytest.raises(InputError, match=r"fps: .*camera key 2 comes 2 s after camera key 1"):
        read_trajectory(path)
    # In-tangent, value, out-tangent: x = t^2 has the slopes 0, 2, 6 at 0, 1, 3 and is a cubic.
    keys = [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 2, 0, 0, 6, 0, 0, 9, 0, 0, 6, 0, 0]
    path.write_text(gltf(camera, "CUBICSPLINE", keys))
    at = np.arange(0, 3.1, 0.5)
    assert read_trajectory(path, fps=2).positions[:, 0].tolist() == pytest.approx(at**2, abs=1e-5)


def test_gltf_parents_carry_the_camera(tmp_path):
    path = tmp_path / "a.gltf"
    half = math.sqrt(0.5)
    # An arm that turns left by a right angle in one second, twice life size, the camera 1 m ahead on it.
    nodes = [
        {"children": [1], "scale": [2, 2, 2], "translation": [0, 3, 0]},
        {"camera": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, -1, 1]},
    ]
    turn = [0, 0, 0, 1, 0, half, 0, half]
    path.write_text(gltf(nodes, "LINEAR", turn, times=(0.0, 1.0), path="rotation"))
    read = read_trajectory(path, fps=2)
    wanted = torch.tensor([[0, -3, 2], [-math.sqrt(2), -3, math.sqrt(2)], [-2, -3, 0]])
    torch.testing.assert_close(read.positions, wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(read.T_world_cam[2, :3, 2], torch.tensor([-1.0, 0, 0]), atol=1e-6, rtol=0)
    nodes[0]["scale"] = [2, 1, 1]
    path.write_text(gltf(nodes, "LINEAR", turn, times=(0.0, 1.0), path="rotation"))
    with pytest.raises(InputError, match=r"off by .* remove scale and shear"):
        read_trajectory(path, fps=2)


def test_a_gltf_camera_that_stands_still(tmp_path):
    path = tmp_path / "a.gltf"
    path.write_text(json.dumps({"nodes": [{"camera": 0, "translation": [1, 2, 3]}]}))
    assert read_trajectory(path, fps=5).positions.tolist() == [[1, -2, -3]]


def test_gen3c_makes_the_frames_that_were_written(tmp_path):
    poses = torch.eye(4).repeat(6, 1, 1)
    poses[:, 2, 3] = torch.tensor([0, 1, 3, 3, 2, 7.0])
    path = tmp_path / "a.json"
    write_trajectory(Trajectory(T_world_cam=poses, fps=12.5), path, format="gen3c_json")
    assert json.loads(path.read_text())["duration_seconds"] == 6 / 12.5
    data = json.loads(path.read_text())
    data["path"][0]["timestamp"] *= 1.001  # no longer even: walked as GEN3C does, not taken as frames
    path.write_text(json.dumps(data))
    torch.testing.assert_close(read_trajectory(path, fps=12.5).T_world_cam, poses, atol=5e-3, rtol=0)
