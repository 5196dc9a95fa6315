"""GEN3C: the camera path of its GUI (JSON), and the path of its multi-view data (NPZ).

OpenCV camera axes; the world is the seed view's camera, as here; the unit is that of GEN3C's depth.

The JSON is camera to world, quaternions x, y, z, w, `fov` vertical in degrees, and a curve: `spline_order` 3
is a uniform B-spline, which does not pass through its keys, 2 a quadratic one, 1 straight lines, 0 steps. A
key's `timestamp` is the second at which the next key is reached: key 0 is at 0 s. The last timestamp times
fps is the number of frames, which are spread over the curve. The file has no frame rate (the GUI's own is
24), except that with order 1 and even timestamps its keys are taken as the frames.

The NPZ has `w2cs_all` (T, 4, 4), world to camera, and no times; `w2c` is read as well (camera.npz).

Source: https://github.com/nv-tlabs/GEN3C, gui/src/camera_path.cu, gui/include/tiny-cuda-nn/vec_json.h,
gui/api/client.py, cosmos_predict1/diffusion/inference/gen3c_multiview.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ...errors import InputError
from ...geometry import quaternion_wxyz_from_rotation, rotation_from_quaternion_wxyz, se3_from, se3_inverse
from .._keyframes import Trajectory, as_frames
from ._files import (
    entries,
    entry,
    json_bytes,
    nested,
    npz_bytes,
    number,
    numbers,
    read_json,
    read_npz,
    short,
    stack_of_matrices,
)
from ._samples import Lens, Samples, rigid, rigid_from_quaternions

_DEFAULT_SECONDS = 3.0
_EVEN = 1e-4


def read_json_path(path: Path) -> Samples:
    """Read a path of the GUI."""
    data = read_json(path)
    keys = entries("path", entry("the file", data, "path"))

    def where(i: int) -> str:
        return f"path[{i}]"

    turns = [numbers(f"{where(i)}.R", entry(where(i), key, "R"), 4) for i, key in enumerate(keys)]
    places = [numbers(f"{where(i)}.T", entry(where(i), key, "T"), 3) for i, key in enumerate(keys)]
    quaternions = torch.tensor(turns, dtype=torch.float64)[:, [3, 0, 1, 2]]
    positions = torch.tensor(places, dtype=torch.float64)
    T_world_cam = rigid_from_quaternions(quaternions, positions, where)
    stamps = _timestamps(keys, where)
    order, loop = data.get("spline_order", 3), data.get("loop", False)
    if not isinstance(order, int) or order not in _WEIGHTS or not isinstance(loop, bool):
        raise InputError(f"expected spline_order 0 to 3 and loop true or false, got {order!r} and {loop!r}")
    steps = stamps.diff(prepend=stamps.new_zeros(1))
    even = bool(((steps - steps.mean()).abs() <= _EVEN * steps.mean()).all())

    def curve(fps: float) -> Tensor:
        return _walk(quaternions, positions, stamps, order=order, loop=loop, fps=fps)

    return Samples(
        T_world_cam=T_world_cam,
        where=where,
        times=stamps - stamps[0] if order == 1 and even and not loop else None,
        curve=curve,
    )


def _timestamps(keys: list, where: Callable[[int], str]) -> Tensor:
    """Rising seconds (K,); without any, all keys over 3 seconds, as GEN3C does."""
    if all("timestamp" not in key for key in keys):
        return _DEFAULT_SECONDS * torch.arange(1, len(keys) + 1, dtype=torch.float64) / len(keys)
    stamps = [
        number(f"{where(i)}.timestamp", entry(where(i), key, "timestamp")) for i, key in enumerate(keys)
    ]
    for i, (before, stamp) in enumerate(zip([0.0, *stamps], stamps, strict=False)):
        if stamp <= before:
            raise InputError(f"{where(i)}.timestamp: expected a time after {before:g} s, got {stamp:g}")
    return torch.tensor(stamps, dtype=torch.float64)


def _steps(u: Tensor) -> tuple[Tensor, ...]:
    late = (u >= 0.5).to(u.dtype)
    return 1 - late, late


def _linear(u: Tensor) -> tuple[Tensor, ...]:
    return 1 - u, u


def _quadratic(u: Tensor) -> tuple[Tensor, ...]:
    return (1 - u) ** 2 / 2, (1 + 2 * u - 2 * u**2) / 2, u**2 / 2


def _cubic(u: Tensor) -> tuple[Tensor, ...]:
    return (1 - u) ** 3 / 6, (3 * u**3 - 6 * u**2 + 4) / 6, (1 + 3 * u + 3 * u**2 - 3 * u**3) / 6, u**3 / 6


_WEIGHTS = {0: (0, _steps), 1: (0, _linear), 2: (-1, _quadratic), 3: (-1, _cubic)}
"""Per spline order: the first key relative to the segment, and the weights of the keys from there on."""


def _walk(
    quaternions: Tensor, positions: Tensor, stamps: Tensor, *, order: int, loop: bool, fps: float
) -> Tensor:
    """The frames (m, 4, 4) that GEN3C makes of a path."""
    keys = len(stamps)
    frames = as_frames("number of frames at this fps", max(1, math.ceil(float(stamps[-1]) * fps - 1e-3)))
    segments = keys if loop else max(1, keys - 1)
    starts = torch.cat((stamps.new_zeros(1), stamps[: segments - 1]))
    length = stamps[segments - 1] - starts[-1]
    at = torch.linspace(0.0, float(stamps[segments - 1]), frames, dtype=torch.float64)
    segment = (torch.searchsorted(starts, at, right=True) - 1).clamp(0, segments - 1)
    ends = torch.cat((starts[1:], starts[-1:] + length))
    u = (at - starts[segment]) / (ends[segment] - starts[segment])
    first, weigh = _WEIGHTS[order]
    place = positions.new_zeros(frames, 3)
    turn = positions.new_zeros(frames, 4)
    for offset, weight in enumerate(weigh(u), start=first):
        index = segment + offset
        index = index % keys if loop else index.clamp(0, keys - 1)
        place = place + weight[:, None] * positions[index]
        other = weight[:, None] * quaternions[index]
        turn = turn + torch.where((turn * other).sum(1, keepdim=True) < 0, -other, other)
    return se3_from(rotation_from_quaternion_wxyz(turn), place)


def encode_json_path(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The JSON of a path of straight lines with one key a frame: GEN3C at this rate makes the same frames."""
    poses = trajectory.T_world_cam.double().cpu()
    turns = quaternion_wxyz_from_rotation(poses[:, :3, :3])[:, [1, 2, 3, 0]]
    fov = short(math.degrees(lens.fov))
    data = {
        "loop": False,
        "time": 0.0,
        "path": [
            {"R": nested(turn), "T": nested(pose[:3, 3]), "fov": fov, "timestamp": (i + 1) / trajectory.fps}
            for i, (turn, pose) in enumerate(zip(turns, poses, strict=True))
        ],
        "duration_seconds": len(poses) / trajectory.fps,
        "spline_order": 1,
    }
    return {path: json_bytes(data)}


def read_npz_path(path: Path) -> Samples:
    """Read the path of multi-view data, `w2cs_all`, or of camera.npz, `w2c`."""
    arrays = read_npz(path)
    name = next((name for name in ("w2cs_all", "w2c") if name in arrays), None)
    if name is None:
        raise InputError(f"expected the array w2cs_all or w2c, got {', '.join(arrays) or 'none'}")

    def where(i: int) -> str:
        return f"{name}[{i}]"

    T_cam_world = rigid(stack_of_matrices(name, arrays[name]), where)
    return Samples(T_world_cam=se3_inverse(T_cam_world), where=where)


def encode_npz_path(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The content of an NPZ with `w2cs_all` alone: GEN3C then uses its key frames' lens."""
    T_cam_world = se3_inverse(trajectory.T_world_cam.double().cpu())
    return {path: npz_bytes(w2cs_all=T_cam_world.float().numpy())}
