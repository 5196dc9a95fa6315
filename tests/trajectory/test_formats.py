"""Every format against numbers written by hand, and back from its own writer.

The hand-written path has two cameras: one at the origin looking ahead, one a metre to the right of it looking
left, so back at the first one. Looking left, ahead is on the right-hand side.
"""

from __future__ import annotations

import base64
import io
import json
import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantheon_core.geometry import rotation_from_quaternion_wxyz, se3_from
from pantheon_core.trajectory import Trajectory, read_trajectory, write_trajectory
from pantheon_core.trajectory.formats import FORMATS

AHEAD = torch.eye(4)
LEFT = torch.tensor([[0.0, 0.0, -1.0, 1.0], [0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
HALF = 0.70710678
# World to camera of LEFT: the origin lies a metre ahead of it, at (0, 0, 1).
LEFT_W2C = [[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 1], [0, 0, 0, 1]]
AHEAD_W2C = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]

PANTHEON = """{"version": 1, "convention": "opencv_c2w", "units": "m", "fps": 10, "frames": 2,
 "spline": "linear", "orientation": "slerp", "constant_speed": false, "keyframes": [
 {"t": 0, "position": [0, 0, 0], "quaternion_wxyz": [1, 0, 0, 0]},
 {"t": 0.1, "position": [1, 0, 0], "quaternion_wxyz": [0.70710678, 0, -0.70710678, 0]}]}"""

# z is up, the camera's columns are right, up and back.
TRANSFORMS = """{"camera_model": "OPENCV", "frames": [
 {"file_path": "images/frame_10.png", "transform_matrix":
  [[0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]},
 {"file_path": "images/frame_9.png", "transform_matrix":
  [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]}]}"""

CAMERA_PATH = """{"camera_type": "equirectangular", "fps": 10, "seconds": 0.2, "camera_path": [
 {"camera_to_world": [1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 1], "fov": 50, "aspect": 2},
 {"camera_to_world": [0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1], "fov": 50, "aspect": 2}]}"""

COLMAP = """# Image list with two lines of data per image:
#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME
7 0.70710678 0 0.70710678 0 0 0 1 1 a walk/frame_10.png
2362.39 248.498 58396 1784.7 268.254 -1
3 1 0 0 0 0 0 0 1 a walk/frame_9.png

"""

TUM = """# timestamp tx ty tz qx qy qz qw
1311868164.3 0 0 0 0 0 0 1
1311868164.4 1 0 0 0 -0.70710678 0 0.70710678
"""

REALESTATE10K = """https://www.youtube.com/watch?v=abc
5000000 0.5 0.9 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 0
5100000 0.5 0.9 0.5 0.5 0 0 0 0 1 0 0 1 0 0 -1 0 0 1
"""

GEN3C = """{"loop": false, "time": 0, "path": [
 {"R": [0, 0, 0, 1], "T": [0, 0, 0], "fov": 50.6, "timestamp": 0.1},
 {"R": [0, -0.70710678, 0, 0.70710678], "T": [1, 0, 0], "fov": 50.6, "timestamp": 0.2}],
 "duration_seconds": 0.2, "spline_order": 1}"""


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


# y is up, the camera looks along -z; turning left is a right-hand turn about y.
GLTF_NUMBERS = struct.pack("<16f", 0, 0.1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, HALF, 0, HALF)


def gltf_json(**buffer):
    views = [(0, 8, "SCALAR"), (8, 24, "VEC3"), (32, 32, "VEC4")]
    return json.dumps(
        {
            "asset": {"version": "2.0"},
            "cameras": [{"type": "perspective", "perspective": {"yfov": 1, "znear": 0.1}}],
            "nodes": [{"camera": 0}],
            "animations": [
                {
                    "samplers": [{"input": 0, "output": 1}, {"input": 0, "output": 2}],
                    "channels": [
                        {"sampler": 0, "target": {"node": 0, "path": "translation"}},
                        {"sampler": 1, "target": {"node": 0, "path": "rotation"}},
                    ],
                }
            ],
            "accessors": [
                {"bufferView": i, "componentType": 5126, "count": 2, "type": view[2]}
                for i, view in enumerate(views)
            ],
            "bufferViews": [{"buffer": 0, "byteOffset": o, "byteLength": n} for o, n, _ in views],
            "buffers": [{"byteLength": 64, **buffer}],
        }
    )


def glb():
    text = gltf_json().encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", 64, b"BIN\0") + GLTF_NUMBERS
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


BY_HAND = {
    "pantheon": ("path.json", PANTHEON),
    "nerfstudio": ("transforms.json", TRANSFORMS),
    "nerfstudio_path": ("walk.json", CAMERA_PATH),
    "colmap": ("images.txt", COLMAP),
    "tum": ("groundtruth.txt", TUM),
    "realestate10k": ("0bf152ef84195293.txt", REALESTATE10K),
    "gen3c_json": ("cam_path.json", GEN3C),
    "gen3c_npz": ("data.npz", npz(w2cs_all=np.array([AHEAD_W2C, LEFT_W2C], np.float32))),
    "matrix3d": ("test_cam.json", json.dumps([AHEAD_W2C, LEFT_W2C], indent=4)),
    "vipe": ("clip.npz", npz(data=np.stack([AHEAD.numpy(), LEFT.numpy()]), inds=np.array([4, 5]))),
    "npy": ("poses.npy", npy(np.stack([AHEAD.numpy(), LEFT.numpy()])[:, :3])),
    "gltf": (
        "camera.gltf",
        gltf_json(uri="data:application/octet-stream;base64," + base64.b64encode(GLTF_NUMBERS).decode()),
    ),
}
UNTIMED = {"nerfstudio", "colmap", "gen3c_npz", "matrix3d", "vipe", "npy"}


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_every_format_has_a_file_by_hand():
    assert set(BY_HAND) == set(FORMATS)


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("said", [False, True])
def test_a_metre_to_the_right_looking_left(name, said, tmp_path):
    path = put(tmp_path, *BY_HAND[name])
    read = read_trajectory(path, format=name if said else None, fps=10 if name in UNTIMED else None)
    torch.testing.assert_close(read.T_world_cam, torch.stack([AHEAD, LEFT]), atol=1e-6, rtol=0)
    assert read.fps == pytest.approx(10, rel=1e-6)


def test_glb_and_a_buffer_beside(tmp_path):
    put(tmp_path, "a b.bin", GLTF_NUMBERS)
    for path in (put(tmp_path, "a.glb", glb()), put(tmp_path, "b.gltf", gltf_json(uri="a%20b.bin"))):
        read = read_trajectory(path)
        torch.testing.assert_close(read.T_world_cam, torch.stack([AHEAD, LEFT]), atol=1e-6, rtol=0)


def test_a_colmap_folder_and_camera_npz(tmp_path):
    put(tmp_path, *BY_HAND["colmap"])
    assert len(read_trajectory(tmp_path, fps=5)) == 2
    path = put(tmp_path, "camera.npz", npz(w2c=np.array([LEFT_W2C], float), intrinsics=np.zeros((1, 3, 3))))
    torch.testing.assert_close(read_trajectory(path, fps=5).T_world_cam[0], LEFT)


numbers = st.floats(-1, 1, allow_nan=False).map(lambda v: round(v, 4))
quaternions = st.tuples(numbers, numbers, numbers, numbers).filter(lambda q: math.hypot(*q) > 0.1)
positions = st.tuples(*[st.floats(-10, 10, allow_nan=False, width=32)] * 3)


@st.composite
def trajectories(draw):
    poses = draw(st.lists(st.tuples(quaternions, positions), min_size=1, max_size=4))
    turns = rotation_from_quaternion_wxyz(torch.tensor([turn for turn, _ in poses], dtype=torch.float64))
    T = se3_from(turns, torch.tensor([place for _, place in poses], dtype=torch.float64))
    return Trajectory(T_world_cam=T, fps=draw(st.sampled_from([7, 12.5, 24, 29.97, 30000 / 1001])))


FILES = {
    **{name: "path" + one.suffixes[0] for name, one in FORMATS.items()},
    "colmap": "images.txt",
    "glb": "path.glb",
}


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trajectory=trajectories())
def test_round_trip(name, tmp_path, trajectory):
    path = tmp_path / FILES[name]
    kind = "gltf" if name == "glb" else name
    write_trajectory(trajectory, path, format=kind)
    ask = kind in UNTIMED or len(trajectory) == 1
    read = read_trajectory(path, fps=trajectory.fps if ask else None)
    torch.testing.assert_close(read.T_world_cam, trajectory.T_world_cam, atol=2e-5, rtol=0)
    assert read.fps == pytest.approx(trajectory.fps, rel=1e-4)
    assert not list(tmp_path.glob(".*"))


def test_what_is_written_says_the_lens(tmp_path):
    trajectory = Trajectory(T_world_cam=LEFT[None], fps=10)
    write_trajectory(trajectory, tmp_path / "images.txt", height=512)
    assert (tmp_path / "cameras.txt").read_text().endswith("1 EQUIRECTANGULAR 1024 512 1024 512\n")
    assert "1 0.707106781 0 0.707106781 0 0 0 1 1 frame_00000.png" in (tmp_path / "images.txt").read_text()
    write_trajectory(trajectory, tmp_path / "transforms.json", height=512)
    data = json.loads((tmp_path / "transforms.json").read_text())
    assert (data["camera_model"], data["w"], data["h"], data["fl_x"]) == ("EQUIRECTANGULAR", 1024, 512, 512)
    write_trajectory(trajectory, tmp_path / "a.txt", format="realestate10k", fov=math.pi / 2)
    assert (tmp_path / "a.txt").read_text().split("\n")[1] == "0 0.5 0.5 0.5 0.5 0 0 0 0 1 0 0 1 0 0 -1 0 0 1"
