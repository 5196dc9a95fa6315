"""What is wrong with a file is said with its name and the line or entry, and nothing is half written."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
import torch

from pantheon_core.errors import ConventionError, InputError, MediaError
from pantheon_core.trajectory import Trajectory, read_trajectory, write_trajectory

RE10K_LINE = "0.5 0.5 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 0"
EYE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def changed(row, column, value):
    matrix = [list(r) for r in EYE]
    matrix[row][column] = value
    return matrix


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def key(**change):
    return {"R": [0, 0, 0, 1], "T": [0, 0, 0], "fov": 50, "timestamp": 1, **change}


def gltf(**change):
    animation = {
        "samplers": [{"input": 0, "output": 1}],
        "channels": [{"sampler": 0, "target": {"node": 0, "path": "translation"}}],
    }
    data = {
        "nodes": [{"camera": 0}],
        "animations": [animation],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 2, "type": "SCALAR"}],
        "bufferViews": [{"buffer": 0, "byteLength": 8}],
        "buffers": [{"uri": "data:,AAAAAAAAgD8="}],
    }
    return json.dumps({**data, **change})


CASES = [
    ("a.txt", "", "got an empty file"),
    ("a.txt", "# only a comment\n", "format is not clear .* give format as one of colmap, tum"),
    ("a.json", "{oops", "line 1, column 2: expected JSON"),
    ("a.json", "[" * 100_000, "expected JSON, got brackets within brackets"),
    ("a.json", '{"frames": [{"transform_matrix": NaN}]}', "expected finite numbers, got NaN"),
    ("a.json", '{"other": 1}', "format is not clear .* pantheon, nerfstudio, nerfstudio_path"),
    ("a.csv", "1,2,3", "format is not clear .* pantheon, .*gltf"),
    ("a.txt", b"\xff\xfe1 2 3", "expected a text file, got byte 0xff"),
    # TUM
    ("a.txt", "0 0 0 0 0 0 0 1\n1 0 0 0 0 0 0\n", "line 2: expected 8 numbers .* got 7"),
    ("a.txt", "0 0 0 0 0 0 0 1\n1 0 x 0 0 0 0 1\n", "line 2: expected a number, got 'x'"),
    ("a.txt", "0 0 0 0 0 0 0 1\n\n1 0 nan 0 0 0 0 1\n", "line 3: expected finite numbers, got nan"),
    ("a.txt", "0 0 0 0 0 0 0 1.02\n", r"line 1: expected a unit quaternion, .* off by 0\.02 "),
    ("a.txt", "1 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1\n", "line 2: expected a time after 1 of line 1, got 1"),
    # RealEstate10K
    ("a.txt", f"url\n0 {RE10K_LINE}\n1 0.5\n", "line 3: expected 19 numbers .* got 2"),
    ("a.txt", f"url\n\ncaption\n0 {RE10K_LINE}\n1 {RE10K_LINE} 1", "line 5: expected 19 numbers .* got 20"),
    ("a.txt", f"url\n0 {RE10K_LINE.replace('1 0 0 0 0 1', '1.01 0 0 0 0 1')}", r"line 2: .* off by 0\.0201 "),
    ("a.txt", f"url\n0 {RE10K_LINE.replace('1 0 0 0 0 1', '-1 0 0 0 0 1')}", "line 2: .* a mirrored one"),
    # COLMAP
    ("images.txt", "1 1 0 0 0 0 0 0 1\n", "line 1: expected IMAGE_ID QW .* got 9 words"),
    ("images.txt", "1 1 0 0 0 0 0 0 1 a.png\n\n2 2 0 0 0 0 0 0 1 b.png", r"line 3 \(b.png\): .* off by 1 "),
    ("images.txt", "# none\n", "expected at least one pose, got none"),
    # nerfstudio
    ("a.json", '{"frames": []}', "frames: expected at least one entry"),
    ("a.json", '{"frames": [{}]}', r"frames\[0\]: expected the field 'transform_matrix'"),
    (
        "a.json",
        json.dumps({"frames": [{"transform_matrix": EYE}, {"transform_matrix": changed(0, 0, 1.2)}]}),
        r"frames\[1\]: expected a rotation matrix, got one that is off by 0\.44",
    ),
    (
        "a.json",
        json.dumps({"frames": [{"transform_matrix": changed(3, 0, 2)}]}),
        r"frames\[0\]: expected the last row 0 0 0 1, got \[2.0, 0.0, 0.0, 1.0\]; the matrix may be tr",
    ),
    (
        "a.json",
        json.dumps({"frames": [{"transform_matrix": changed(1, 2, "1")}]}),
        r"frames\[0\].transform_matrix\[1\]\[2\]: expected a number, got '1'",
    ),
    (
        "a.json",
        '{"camera_path": [{"camera_to_world": [1, 2]}]}',
        r"camera_path\[0\].camera_to_world: expected a 4x4",
    ),
    ("a.json", json.dumps({"camera_path": [{"camera_to_world": EYE}], "fps": 0}), "fps of the file: "),
    # GEN3C
    ("a.json", json.dumps({"path": [key(R=[0, 0, 0])]}), r"path\[0\].R: expected a list of 4 numbers"),
    ("a.json", json.dumps({"path": [key(), key(R=[0, 0, 0, 2])]}), r"path\[1\]: .*length is off by 1 "),
    (
        "a.json",
        json.dumps({"path": [key(), key()]}),
        r"path\[1\].timestamp: expected a time after 1 s, got 1",
    ),
    ("a.json", json.dumps({"path": [key()], "spline_order": 4}), "expected spline_order 0 to 3 .* got 4"),
    (
        "a.npz",
        npz(w2cs_all=np.zeros((2, 4))),
        r"w2cs_all: .* shape \(T, 4, 4\), got float64 of shape \(2, 4\)",
    ),
    ("a.npz", npz(w2cs_all=np.full((1, 4, 4), np.nan)), r"w2cs_all\[0\]: expected finite numbers"),
    ("a.npz", npz(other=np.eye(4)), "format is not clear .* gen3c_npz, vipe"),
    ("a.npz", b"not a zip", "format is not clear"),
    # Matrix-3D, ViPE, NPY
    ("a.json", json.dumps([EYE, changed(2, 2, -1)]), r"entry 1: .* a mirrored one"),
    ("a.json", json.dumps([EYE, [1, 2]]), "entry 1: expected a 4x4 matrix"),
    (
        "a.npz",
        npz(data=np.array([EYE, EYE]), inds=np.array([3, 2])),
        r"data\[1\]: expected a frame number after 3",
    ),
    ("a.npz", npz(data=np.array([EYE]), inds=np.array([0.5])), "inds: expected one whole number for each"),
    ("a.npy", npy(np.zeros((0, 4, 4))), "expected at least one pose, got none"),
    ("a.npy", npy(np.array([None]), allow_pickle=True), "expected an array of numbers in NPY form"),
    ("a.npy", b"not an array", "expected an array of numbers in NPY form"),
    ("a.npy", b"PK\x03\x04 not a ZIP", "expected an array of numbers in NPY form"),
    # glTF
    ("a.gltf", gltf(nodes=[{}]), "expected a node with a camera, got none"),
    (
        "a.gltf",
        gltf(nodes=[{"camera": 0, "name": "A"}, {"camera": 0, "name": "B"}], animations=[]),
        "got A, B; ",
    ),
    ("a.gltf", gltf(nodes=[{"camera": 0, "children": [0]}]), "expected a tree of nodes, got a circle"),
    ("a.gltf", gltf(), r"accessors\[1\]: expected one of the file's 1 accessors"),
    (
        "a.gltf",
        gltf(bufferViews=[{"buffer": 0, "byteLength": 4}]),
        r"accessors\[0\]: its numbers are not all in",
    ),
    ("a.gltf", gltf(buffers=[{"uri": "../secret.bin"}]), r"buffers\[0\].uri: expected a file beside"),
    ("a.gltf", gltf(buffers=[{"uri": "gone.bin"}]), "cannot be read"),
    ("a.gltf", gltf(buffers=[{}]), r"buffers\[0\]: expected a uri"),
    (
        "a.glb",
        b"glTF" + struct.pack("<IIII", 2, 24, 999, 0) + b"JSON",
        "expected a chunk of 999 bytes at byte 12",
    ),
    ("a.glb", b"glTF" + struct.pack("<IIII", 1, 24, 999, 0), "expected a GLB file of version 2"),
]


@pytest.mark.parametrize(("name", "content", "says"), CASES)
def test_wrong_files(name, content, says, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((InputError, MediaError), match=says) as caught:
        read_trajectory(path, fps=10)
    assert str(caught.value).startswith(f"{path}: ")


def test_the_kind_of_error_is_kept(tmp_path):
    with pytest.raises(MediaError, match=r"gone\.txt: cannot be read"):
        read_trajectory(tmp_path / "gone.txt")
    (tmp_path / "a.json").write_text(json.dumps([changed(0, 0, 2)]))
    with pytest.raises(ConventionError):
        read_trajectory(tmp_path / "a.json", fps=10)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"format": "usd"}, "format: expected one of pantheon, .*gltf; got 'usd'"),
        ({"fps": 0}, "fps: "),
        ({"scale": -1}, "scale: expected metres per unit above 0"),
    ],
)
def test_wrong_options(options, says, tmp_path):
    path = tmp_path / "a.tum"
    path.write_text("0 0 0 0 0 0 0 1\n")
    with pytest.raises(InputError, match=says):
        read_trajectory(path, **{"fps": 10, **options})


def test_too_many_frames_are_refused(tmp_path):
    path = tmp_path / "a.tum"
    path.write_text("0 0 0 0 0 0 0 1\n900000 0 0 0 0 0 0 1\n")
    with pytest.raises(InputError, match="number of frames at this fps: expected a whole number from 1 to"):
        read_trajectory(path, fps=30)


def still():
    return Trajectory(T_world_cam=torch.eye(4)[None], fps=7)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        (
            "a.json",
            {},
            "does not say the format; .* pantheon, nerfstudio, nerfstudio_path, gen3c_json, matrix3d$",
        ),
        ("a.npz", {}, "one of gen3c_npz, vipe$"),
        ("a.mp4", {}, "one of pantheon, .*gltf$"),
        ("a.npy", {"format": "usd"}, "format: expected one of"),
        ("a.npy", {"fov": 4}, "fov: expected radians between 0 and pi"),
        ("a.npy", {"height": 0}, "height: expected a whole number"),
    ],
)
def test_wrong_writes_leave_nothing(name, options, says, tmp_path):
    with pytest.raises(InputError, match=says):
        write_trajectory(still(), tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_another_colmap_model_is_kept(tmp_path):
    cameras = tmp_path / "cameras.txt"
    cameras.write_text("1 PINHOLE 640 480 500 500 320 240\n")
    with pytest.raises(InputError, match=r"cameras\.txt: already there, from another model"):
        write_trajectory(still(), tmp_path / "images.txt")
    assert list(tmp_path.iterdir()) == [cameras]
    cameras.unlink()
    write_trajectory(still(), tmp_path / "images.txt")
    write_trajectory(still(), tmp_path / "images.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cameras.txt", "images.txt", "points3D.txt"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="cannot be written"):
        write_trajectory(still(), tmp_path / "file" / "a.npy")
