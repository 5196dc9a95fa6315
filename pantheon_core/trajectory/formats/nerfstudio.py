"""nerfstudio: transforms.json of a data set, and camera_path.json of its viewer.

Camera to world, OpenGL camera axes (+x right, +y up, looks along -z); in the world +z is up. Here the file's
x, y, z become x, -z, y: its z axis is up and its y axis ahead. The unit is free. transforms.json has no
times, and its frames go by file name as in nerfstudio (numbers counted as numbers); camera_path.json has
`fps`, or `seconds` for all frames together. `applied_transform` and `applied_scale` are not undone.

Source: https://docs.nerf.studio/quickstart/data_conventions.html; nerfstudio/viewer/render_panel.py and
nerfstudio/cameras/camera_paths.py.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._keyframes import Trajectory, as_rate
from ._files import entries, entry, json_bytes, matrix, natural, nested, number, read_json
from ._samples import Lens, Samples, rigid

# The world of this project from a world with z up.
_WORLD = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, -1.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
_CAMERA = (1.0, -1.0, -1.0, 1.0)


def read_transforms(path: Path) -> Samples:
    """Read transforms.json."""
    frames = entries("frames", entry("the file", read_json(path), "frames"))
    order = list(range(len(frames)))
    if all(isinstance(frame, dict) and isinstance(frame.get("file_path"), str) for frame in frames):
        order.sort(key=lambda i: natural(frames[i]["file_path"]))

    def where(i: int) -> str:
        return f"frames[{order[i]}]"

    rows = [
        matrix(f"{where(i)}.transform_matrix", entry(where(i), frames[n], "transform_matrix"))
        for i, n in enumerate(order)
    ]
    return Samples(T_world_cam=_ours(rigid(torch.tensor(rows, dtype=torch.float64), where)), where=where)


def read_camera_path(path: Path) -> Samples:
    """Read camera_path.json: the finished frames, not the viewer's keyframes."""
    data = read_json(path)
    cameras = entries("camera_path", entry("the file", data, "camera_path"))

    def where(i: int) -> str:
        return f"camera_path[{i}]"

    rows = [
        matrix(f"{where(i)}.camera_to_world", entry(where(i), camera, "camera_to_world"))
        for i, camera in enumerate(cameras)
    ]
    T_world_cam = _ours(rigid(torch.tensor(rows, dtype=torch.float64), where))
    return Samples(T_world_cam=T_world_cam, where=where, rate=_rate(data, len(rows)))


def _rate(data: dict[str, Any], frames: int) -> float | None:
    if data.get("fps") is not None:
        return as_rate("fps of the file", number("fps", data["fps"]))
    if data.get("seconds"):
        return as_rate("frames / seconds of the file", frames / number("seconds", data["seconds"]))
    return None


def _ours(T: Tensor) -> Tensor:
    """This project's poses of nerfstudio's."""
    return T.new_tensor(_WORLD) @ T * T.new_tensor(_CAMERA)


def _theirs(trajectory: Trajectory) -> Tensor:
    """Their poses of this project's, float64."""
    T = trajectory.T_world_cam.double().cpu()
    return T.new_tensor(_WORLD).T @ T * T.new_tensor(_CAMERA)


def encode_transforms(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The JSON of transforms.json with equirectangular frames."""
    data = {
        "camera_model": "EQUIRECTANGULAR",
        "fl_x": lens.height,
        "fl_y": lens.height,
        "cx": lens.height,
        "cy": lens.height / 2,
        "w": 2 * lens.height,
        "h": lens.height,
        "frames": [
            {"file_path": f"images/frame_{i:05d}.png", "transform_matrix": nested(T)}
            for i, T in enumerate(_theirs(trajectory))
        ],
    }
    return {path: json_bytes(data)}


def encode_camera_path(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The JSON of camera_path.json for equirectangular renders, with one key a frame for the viewer."""
    fov = round(math.degrees(lens.fov), 6)
    poses = [nested(T.flatten()) for T in _theirs(trajectory)]
    keyframe = {
        "fov": fov,
        "aspect": 2.0,
        "override_transition_enabled": False,
        "override_transition_sec": None,
    }
    data = {
        "default_fov": fov,
        "default_transition_sec": 1 / trajectory.fps,
        "keyframes": [{"matrix": pose, **keyframe} for pose in poses],
        "camera_type": "equirectangular",
        "render_height": lens.height,
        "render_width": 2 * lens.height,
        "fps": trajectory.fps,
        "seconds": len(poses) / trajectory.fps,
        "is_cycle": False,
        "smoothness_value": 0.0,
        "camera_path": [{"camera_to_world": pose, "fov": fov, "aspect": 2.0} for pose in poses],
    }
    return {path: json_bytes(data)}
