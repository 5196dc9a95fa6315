"""Cameras of the host: LOAD3D_CAMERA and WAN_CAMERA_EMBEDDING, to and from a trajectory.

LOAD3D_CAMERA is what ComfyUI's 3D viewer gives and takes: one camera as a dict with `position`, `target` and,
on newer frontends, `quaternion` {x, y, z, w}; three.js axes: y up, the camera looks along -z, degrees.

WAN_CAMERA_EMBEDDING is a tensor (1, 24, (T + 3) / 4, H, W) with the rays of every frame: moment o x d and
direction d of every pixel, OpenCV axes, relative to the first frame, which is repeated three times so that
four frames share one latent step; channel 4 c + j has component c of frame j of the four.

Source: CameraManager.getCameraState of ComfyUI's frontend 1.58; comfy_extras/nodes_camera_trajectory.py;
https://docs.comfy.org/built-in-nodes/CreateCameraInfo. Pluecker rays: Sitzmann et al., 2021.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...check import check_shape
from ...errors import InputError
from ...geometry import look_at, quaternion_wxyz_from_rotation, se3_inverse
from .._keyframes import Trajectory, as_number, as_rate
from ._samples import rigid, rigid_from_quaternions

__all__ = ["load3d_cameras", "trajectory_from_load3d", "trajectory_from_wan_camera", "wan_camera_embedding"]

_FLIP = (1.0, -1.0, -1.0, 1.0)
_REPEATS = 4
_MOST_RAYS = 32


def load3d_cameras(
    trajectory: Trajectory, *, fov: float = math.radians(75), distance: float = 1.0
) -> list[dict[str, Any]]:
    """One LOAD3D_CAMERA dict per frame.

    Args:
        trajectory: T frames.
        fov: vertical angle of view, radians.
        distance: metres from the camera to its `target`, above 0.

    Raises:
        InputError: fov or distance is out of range.
    """
    fov, distance = as_number("fov", fov), as_number("distance", distance)
    if not 0 < fov < math.pi or distance <= 0:
        raise InputError(f"expected 0 < fov < pi and a distance above 0, got {fov:g} and {distance:g}")
    poses = trajectory.T_world_cam.double().cpu()
    flip = poses.new_tensor(_FLIP)
    poses = flip[:, None] * poses * flip
    turns = quaternion_wxyz_from_rotation(poses[:, :3, :3])[:, [1, 2, 3, 0]].tolist()
    return [
        {
            "position": _xyz(pose[:3, 3]),
            "target": _xyz(pose[:3, 3] - distance * pose[:3, 2]),
            "zoom": 1,
            "cameraType": "perspective",
            "quaternion": dict(zip("xyzw", turn, strict=True)),
            # The viewer looks at the target with this side up; without it, it would lose the roll.
            "useCustomUp": True,
            "customUp": _xyz(pose[:3, 1]),
            "fov": math.degrees(fov),
        }
        for pose, turn in zip(poses, turns, strict=True)
    ]


def trajectory_from_load3d(
    cameras: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, fps: float
) -> Trajectory:
    """A trajectory with one frame per LOAD3D_CAMERA dict; the lens, zoom and target are not carried.

    The quaternion counts where there is one, else the camera looks at its target, upright (or with `customUp`
    where `useCustomUp` says so).

    Raises:
        InputError: no cameras, a missing or wrong field; the message says which.
        ConventionError: a quaternion is not of unit length.
    """
    given = [cameras] if isinstance(cameras, Mapping) else list(cameras)
    if not given:
        raise InputError("cameras: expected at least one camera, got none")
    poses = torch.stack([_from_load3d(f"cameras[{i}]", camera) for i, camera in enumerate(given)])
    flip = poses.new_tensor(_FLIP)
    return Trajectory(T_world_cam=(flip[:, None] * poses * flip).float(), fps=as_rate("fps", fps))


def _from_load3d(place: str, camera: Mapping[str, Any]) -> Tensor:
    """The camera's motion in three.js axes (4, 4), float64."""
    position = _axes(place, camera, "position", "xyz")
    if camera.get("quaternion") is not None:
        turn = _axes(place, camera, "quaternion", "wxyz")
        return rigid_from_quaternions(turn[None], position[None], lambda i: f"{place}.quaternion")[0]
    custom = camera.get("useCustomUp") is True and camera.get("customUp") is not None
    up = _axes(place, camera, "customUp", "xyz") if custom else position.new_tensor([0.0, 1.0, 0.0])
    try:
        facing = look_at(position, _axes(place, camera, "target", "xyz"), up)
    except InputError as error:
        raise InputError(f"{place}.{error}") from error
    return facing * position.new_tensor(_FLIP)


def _axes(place: str, camera: Mapping[str, Any], field: str, axes: str) -> Tensor:
    value = camera.get(field)
    if not isinstance(value, Mapping) or any(axis not in value for axis in axes):
        raise InputError(f"{place}.{field}: expected an object with {', '.join(axes)}, got {value!r:.60}")
    read = [as_number(f"{place}.{field}.{axis}", value[axis]) for axis in axes]
    return torch.tensor(read, dtype=torch.float64)


def _xyz(vector: Tensor) -> dict[str, float]:
    return dict(zip("xyz", (vector + 0.0).tolist(), strict=True))


def wan_camera_embedding(
    trajectory: Trajectory, *, height: int, width: int, fov: float = math.radians(90)
) -> Tensor:
    """The WAN_CAMERA_EMBEDDING of a perspective camera on the trajectory.

    Args:
        trajectory: T frames, T = 4 k + 1 (81 for Wan 2.1).
        height: pixels of the video.
        width: pixels of the video.
        fov: vertical angle of view, radians; pixels are square.

    Returns:
        (1, 24, (T + 3) / 4, height, width) float32. Positions keep their metres.

    Raises:
        InputError: the number of frames, the size or fov is out of range.
    """
    if len(trajectory) % _REPEATS != 1:
        raise InputError(f"trajectory: expected 4 k + 1 frames (5, 9, ..., 81), got {len(trajectory)}")
    if height < 1 or width < 1 or not 0 < as_number("fov", fov) < math.pi:
        raise InputError(f"expected a size in pixels and 0 < fov < pi, got {height} x {width} and {fov:g}")
    poses = trajectory.T_world_cam.double().cpu()
    poses = se3_inverse(poses[0]) @ poses
    focal = 0.5 * height / math.tan(fov / 2)
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - width / 2) / focal
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - height / 2) / focal
    rays = torch.stack((x.expand(height, -1), y[:, None].expand(-1, width), x.new_ones(height, width)))
    rays = torch.nn.functional.normalize(rays, dim=0)
    out = torch.empty(6, _REPEATS - 1 + len(poses), height, width)
    # Frame by frame: a video's rays in float64 at once would be gigabytes.
    for i, pose in enumerate(poses):
        direction = torch.einsum("ij,jhw->ihw", pose[:3, :3], rays)
        moment = torch.linalg.cross(pose[:3, 3, None, None].expand_as(direction), direction, dim=0)
        out[:, i + _REPEATS - 1] = torch.cat((moment, direction)).float()
    out[:, : _REPEATS - 1] = out[:, _REPEATS - 1 : _REPEATS]
    steps = out.shape[1] // _REPEATS
    grouped = out.reshape(6, steps, _REPEATS, height, width).transpose(1, 2)
    return grouped.reshape(1, 6 * _REPEATS, steps, height, width).contiguous()


def trajectory_from_wan_camera(embedding: Tensor, *, fps: float) -> Trajectory:
    """The path in a WAN_CAMERA_EMBEDDING, relative to its first frame; the lens is not carried.

    Turns are those that bring the first frame's rays onto each frame's; positions solve o x d = moment.

    Raises:
        ShapeError: the tensor is not (1, 24, k, H, W).
        InputError: a number is not finite.
        ConventionError: a frame's rays are no turn of the first frame's, e.g. because the lens changes.
    """
    size = check_shape("embedding", embedding, "1 24 K H W")
    steps, height, width = size["K"], size["H"], size["W"]
    # A few rays say it all; they are spread over the picture, corners included.
    rows = torch.linspace(0, height - 1, min(height, _MOST_RAYS)).round().long()
    columns = torch.linspace(0, width - 1, min(width, _MOST_RAYS)).round().long()
    few = embedding[0].cpu()[..., rows, :][..., columns].double()
    frames = few.reshape(6, _REPEATS, steps, -1).transpose(1, 2).reshape(6, steps * _REPEATS, -1)
    frames = frames[:, _REPEATS - 1 :].permute(1, 2, 0)
    if not bool(frames.isfinite().all()):
        raise InputError("embedding: expected finite numbers, got NaN or infinity")
    moment, direction = frames[..., :3], frames[..., 3:]
    # R with R d0 = d for all rays; least squares show, unlike Kabsch's way, whether it is a rotation.
    turn = torch.linalg.lstsq(direction[:1].expand_as(direction), direction).solution.mT
    # o x d = moment, stacked over rays: the matrix of v -> v x d is the transpose of that of v -> d x v.
    cross = torch.linalg.cross(
        torch.eye(3, dtype=torch.float64).expand(*direction.shape[:2], 3, 3),
        direction[..., None, :].expand(*direction.shape[:2], 3, 3),
        dim=-1,
    ).mT
    system = cross.reshape(len(frames), -1, 3)
    place = torch.linalg.lstsq(system, moment.reshape(len(frames), -1, 1)).solution.squeeze(-1)
    last = turn.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(frames), 1, 4)
    T = torch.cat((torch.cat((turn, place[..., None]), dim=2), last), dim=1)
    T = rigid(T, lambda i: f"embedding, frame {i}")
    return Trajectory(T_world_cam=T.float(), fps=as_rate("fps", fps))
