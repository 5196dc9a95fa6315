"""Launches the Warp kernel on torch arrays."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..warp_runtime import load_warp, quiet_warp
from ._scene import Scene
from ._textures import SIZE

__all__ = ["trace_rays"]


def trace_rays(
    scene: Scene, rays: Tensor, T_world_cam: Tensor, pixel: float, shaded: bool
) -> tuple[Tensor, Tensor]:
    """Colours (N, 3) (zero unless `shaded`) and distances (N,) (0 on the sky) of rays (N, 3) in the camera.

    `pixel` is the angle between neighbouring rays in radians, for the texture filter.
    """
    wp = load_warp()
    with quiet_warp(wp):
        return _launch(wp, scene, rays, T_world_cam, pixel, shaded)


def _launch(
    wp: Any, scene: Scene, rays: Tensor, T_world_cam: Tensor, pixel: float, shaded: bool
) -> tuple[Tensor, Tensor]:
    from ._warp_kernels import SceneArrays, trace_kernel

    device = wp.device_from_torch(scene.device)
    origin = T_world_cam[:3, 3].to(scene.device)
    near = (scene.center - origin).norm(dim=-1) - scene.radius
    near, order = near.sort(stable=True)
    held: list[Tensor] = []

    def give(tensor: Tensor, dtype: Any) -> Any:
        held.append(tensor.contiguous())
        return wp.from_torch(held[-1], dtype=dtype)

    arrays = SceneArrays()
    for name, dtype in (
        *(("shape", wp.int32), ("center", wp.vec3), ("half", wp.vec3), ("turn", wp.vec2)),
        *(("radius", wp.float32), ("material", wp.vec2i), ("tint", wp.vec3), ("uv_offset", wp.vec2)),
    ):
        setattr(arrays, name, give(getattr(scene, name)[order], dtype))
    arrays.near = give(near, wp.float32)
    arrays.materials = give(scene.materials, wp.float32)
    arrays.textures = give(scene.textures, wp.vec3)
    arrays.sky = give(scene.sky, wp.vec3)
    arrays.lights = give(scene.lights, wp.float32)
    arrays.ambient = give(scene.ambient, wp.vec3)
    arrays.count, arrays.light_count, arrays.texture_size = len(order), len(scene.lights), SIZE
    arrays.haze, arrays.contact, arrays.exposure = scene.atmosphere.tolist()
    rgb = torch.zeros(len(rays), 3, device=scene.device)
    distance = torch.zeros(len(rays), device=scene.device)
    wp.launch(
        trace_kernel,
        dim=len(rays),
        inputs=[
            *(arrays, give(rays.float(), wp.vec3), wp.mat33(*T_world_cam[:3, :3].flatten().tolist())),
            *(wp.vec3(*T_world_cam[:3, 3].tolist()), float(pixel), int(shaded)),
        ],
        outputs=[give(rgb, wp.vec3), give(distance, wp.float32)],
        device=device,
        stream=wp.stream_from_torch(torch.cuda.current_stream(scene.device)) if device.is_cuda else None,
    )
    return rgb, distance
