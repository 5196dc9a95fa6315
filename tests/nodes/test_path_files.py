"""Camera paths of other programs for the path editor. Over HTTP: tests/host/test_editor.py."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest


@pytest.fixture(scope="module")
def pack(part_of_pack):
    return part_of_pack("nodes.path_files")


@pytest.fixture(scope="module")
def errors(part_of_pack):
    return part_of_pack("pantheon_core.errors")


def walk(frames=21, fps=10.0):
    """Straight ahead, one metre a second."""
    return {
        "version": 1,
        "convention": "opencv_c2w",
        "units": "m",
        "fps": fps,
        "frames": frames,
        "spline": "catmull_rom",
        "orientation": "squad",
        "constant_speed": False,
        "keyframes": [
            {"t": 0.0, "position": [0, 0, 0], "quaternion_wxyz": [1, 0, 0, 0]},
            {"t": (frames - 1) / fps, "position": [0, 0, 2], "quaternion_wxyz": [1, 0, 0, 0]},
        ],
    }


@pytest.mark.parametrize("format", ["tum", "nerfstudio", "gltf", "gen3c_npz", "npy", "vipe", "matrix3d"])
def test_what_is_written_is_read_back_as_two_keyframes(pack, format):
    name, content = pack.write_path_file(walk(), format)
    path = pack.read_path_file(name, content, 10.0)
    assert [key["position"] for key in path["keyframes"]] == [[0, 0, 0], pytest.approx([0, 0, 2], abs=1e-4)]


def test_a_file_from_elsewhere_starts_at_the_panorama(pack):
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, 0, 3] = 100 + np.arange(5) * 0.1
    content = io.BytesIO()
    np.save(content, poses)
    path = pack.read_path_file("camera.npy", content.getvalue(), 5.0)
    assert path["keyframes"][0]["position"] == [0, 0, 0]
    assert path["keyframes"][-1]["position"] == pytest.approx([0.4, 0, 0], abs=1e-4)


def test_several_files_come_in_one(pack):
    name, content = pack.write_path_file(walk(), "colmap")
    assert name.endswith(".zip")
    assert "images.txt" in zipfile.ZipFile(io.BytesIO(content)).namelist()


@pytest.mark.parametrize("name", ["walk.txt", "../../walk.txt", "..\\walk.txt", "", "/etc/passwd", ".."])
def test_a_broken_file_is_named_whatever_it_is_called(pack, errors, name):
    with pytest.raises(errors.PantheonError) as refused:
        pack.read_path_file(name, b"this is no path\n", 5.0)
    assert "/tmp" not in str(refused.value)


def test_a_path_or_a_format_that_is_none_is_refused(pack, errors):
    with pytest.raises(errors.InputError, match="format"):
        pack.write_path_file(walk(), "usd")
    with pytest.raises(errors.InputError, match="fps"):
        pack.write_path_file({**walk(), "fps": -1}, "tum")
    with pytest.raises(errors.InputError):
        pack.write_path_file(json.loads("[]"), "tum")
