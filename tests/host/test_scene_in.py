"""Scenes and videos from outside: their lists, their nodes, what is said where a package is missing."""

from __future__ import annotations

import math

import host_session
import numpy as np
import pytest
import torch
from PIL import Image

from pantheon_core.geometry import rotate_erp, rotation_from_yaw_pitch_roll
from pantheon_core.video import write_video


@pytest.fixture(scope="module")
def scene(host):
    """A COLMAP model of two panoramas and two points, in the input folder."""
    folder = host.base / "input" / "walk"
    (folder / "images").mkdir(parents=True)
    (folder / "cameras.txt").write_text("1 EQUIRECTANGULAR 128 64 128 64\n")
    (folder / "images.txt").write_text("1 1 0 0 0 0 0 0 1 a.png\n\n2 1 0 0 0 0 0 -1 1 b.png\n\n")
    (folder / "points3D.txt").write_text("1 1 0 3 255 0 0 0.1 1 0 2 0\n2 -1 0 3 0 255 0 0.1 1 1\n")
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((64, 128, 3), 90, np.uint8)).save(folder / "images" / name)
    return "walk"


def importing(folder: str) -> dict:
    inputs = {"folder": folder, "panoramas": 8, "height": 64, "scale": 1.0, "fps": 24.0, "name": ""}
    return {
        "scene": {"class_type": "PantheonImportScene", "inputs": inputs},
        "report": {"class_type": "PreviewAny", "inputs": {"source": ["scene", 3]}},
    }


def tracking(video: str) -> dict:
    inputs = {
        "video": video,
        "height": 128,
        "parallax_deg": 5.0,
        "max_keys": 40,
        "path_length": 0.0,
        "lowest_deg": -60.0,
        "tracking_height": 64,
    }
    return {
        "track": {"class_type": "PantheonLoadPanoramaVideo", "inputs": inputs},
        "keys": {"class_type": "PreviewImage", "inputs": {"images": ["track", 2]}},
        "report": {"class_type": "PreviewAny", "inputs": {"source": ["track", 3]}},
    }


def test_scene_is_listed_and_imported(host, scene):
    listed = host.get("/object_info/PantheonImportScene")["PantheonImportScene"]["input"]["required"]
    assert scene in str(listed["folder"])
    prompt = importing(scene)
    prompt["scaffold"] = {
        "class_type": "RenderERPScaffold",
        "inputs": {
            "cache": ["scene", 1],
            "trajectory": ["scene", 2],
            "height": 64,
            "renderer": "auto",
        },
    }
    prompt["seen"] = {"class_type": "PreviewImage", "inputs": {"images": ["scaffold", 1]}}
    result = host.run(prompt)
    assert result.ok, result.error
    assert "2 cameras at 24 per second, path 1 m; 2 panoramas taken" in str(result.outputs["report"])


def test_folders_outside_the_input_folder_are_refused(host, scene):
    for name in ("../walk", "/etc", ""):
        with pytest.raises(host_session.HostError) as refused:
            host.run(importing(name))
        assert "input folder" in str(refused.value.body)


@pytest.fixture(scope="module")
def turning(host):
    """A video of a camera that turns on the spot, in the input folder."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 16, 32, generator=generator)
    rgb = torch.nn.functional.interpolate(coarse, (128, 256), mode="bicubic", align_corners=False)[0]
    frames = [
        rotate_erp(rgb.clamp(0, 1), rotation_from_yaw_pitch_roll(math.radians(3.0 * i))) for i in range(12)
    ]
    write_video(host.base / "input" / "turn.mp4", iter(frames), fps=12, crf=12)
    return "turn.mp4"


def test_a_camera_that_turns_needs_no_package(host, turning):
    """Without motion there is nothing to reconstruct: the rotation alone is the answer."""
    result = host.run(tracking(turning))
    assert result.ok, result.error
    assert "12 of 12 frames placed" in str(result.outputs["report"])
    assert "hardly moves" in str(result.outputs["report"])
    assert len(result.outputs["keys"]["images"]) == 1


def test_a_video_of_another_node_is_taken(host, turning):
    prompt = tracking("")
    prompt["loaded"] = {"class_type": "LoadVideo", "inputs": {"file": turning}}
    prompt["track"]["inputs"]["video_input"] = ["loaded", 0]
    result = host.run(prompt)
    assert result.ok, result.error
    assert "12 of 12 frames placed" in str(result.outputs["report"])


def test_a_missing_video_is_said(host):
    with pytest.raises(host_session.HostError) as refused:
        host.run(tracking("none.mp4"))
    assert "not in the input folder" in str(refused.value.body)
