"""`trace`: the exact panorama of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from ..check import check_rotation, check_shape
from ..errors import InputError
from ..geometry import erp_rays
from ..warp_runtime import warp_available
from ._scene import Scene

__all__ = ["TracedFrame", "trace"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TracedFrame:
    """What a camera in a scene sees, without error.

    Attributes:
        rgb: (3, H, W) 0..1.
        distance: (H, W) along the ray through the pixel's centre, metres; 0 on the sky.
        valid: (H, W) bool, False on the sky.
        sky: (H, W) bool, the complement of `valid`.
    """

    rgb: Tensor
    distance: Tensor
    valid: Tensor
    sky: Tensor


def trace(
    scene: Scene,
    T_world_cam: Tensor,
    height: int,
    *,
    samples: int = 1,
    device: torch.device | str | None = None,
    backend: str = "auto",
) -> TracedFrame:
    """Ray-trace an equirectangular frame.

    Args:
        scene: from `generate_scene`.
        T_world_cam: (4, 4) camera in the scene's world, metres, OpenCV axes (docs/conventions.md).
        height: of the frame in pixels; the width is twice that.
        samples: per axis and pixel for rgb, on a regular grid; distance and sky are of the pixel's centre.
        device: where to trace; None is where the scene's arrays are.
        backend: "warp", "torch", or "auto" for Warp where it is installed.

    Raises:
        InputError: height or samples below 1, or an unknown backend.
        ShapeError: T_world_cam is not (4, 4).
        ConventionError: its rotation is not a rotation.
        BackendUnavailableError: backend="warp" without warp-lang.
    """
    check_shape("T_world_cam", T_world_cam, "4 4")
    check_rotation("T_world_cam[:3, :3]", T_world_cam[:3, :3])
    if height < 1 or samples < 1:
        raise InputError(f"height, samples: expected whole numbers from 1, got {height} and {samples}")
    if device is not None and torch.device(device) != scene.device:
        scene = scene.to(device)
    run = _backend(backend)
    pose = T_world_cam.detach().to("cpu", torch.float32)
    rays = erp_rays(height, device=scene.device).reshape(-1, 3)
    rgb, distance = run(scene, rays, pose, pi / height, samples == 1)
    distance = distance.reshape(height, 2 * height)
    if samples > 1:
        fine = erp_rays(height * samples, device=scene.device).reshape(-1, 3)
        colour, _ = run(scene, fine, pose, pi / (height * samples), True)
        # The mean of the light, not of the display values: then it agrees with the texture filter.
        light = colour.reshape(height, samples, 2 * height, samples, 3) ** 2.2
        rgb = light.mean((1, 3)) ** (1 / 2.2)
    valid = distance > 0
    image = rgb.reshape(height, 2 * height, 3).permute(2, 0, 1).contiguous()
    return TracedFrame(rgb=image, distance=distance, valid=valid, sky=~valid)


def _backend(name: str):
    if name == "warp" or (name == "auto" and warp_available()):
        from ._warp_tracer import trace_rays

        return trace_rays
    if name in ("auto", "torch"):
        from ._torch_tracer import trace_rays as torch_trace_rays

        return torch_trace_rays
    raise InputError(f'backend: expected "auto", "warp" or "torch", got {name!r}')
