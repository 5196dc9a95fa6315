"""The renderer on NVIDIA Warp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import BackendUnavailableError
from ._scene import (
    BLEND_DEPTH,
    CAP_CORE,
    CAP_MAX,
    CAP_SCALE,
    EDGE_BIAS,
    FARTHEST,
    ON_EDGE,
    RenderedFrame,
    Scene,
    direction_tables,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WarpRenderer", "warp_available"]

_EMPTY = torch.iinfo(torch.int64).max


def warp_available() -> bool:
    """True when warp-lang can be imported."""
    try:
        import warp  # noqa: F401
    except ImportError:
        return False
    return True


class WarpRenderer:
    """Frames of one scene; safe to call from several threads at once.

    On the CPU a launch runs in the calling thread and releases Python's lock, and Warp's minimum is not
    atomic there: so every call has its own depth buffers.
    """

    def __init__(self, scene: Scene, height: int) -> None:
        try:
            import warp as wp
        except ImportError as error:
            raise BackendUnavailableError(
                'backend "warp" needs the package warp-lang: pip install warp-lang, or choose backend="torch"'
            ) from error
        from . import _warp_kernels as kernels

        wp.init()
        self._wp, self._k = wp, kernels
        self._scene, self._height = scene, height
        device = scene.points.device
        self._torch_device = device
        self._device = wp.device_from_torch(device)
        wp.load_module(kernels, device=self._device)
        self._columns, self._rows = direction_tables(height, device)
        self._points = wp.from_torch(scene.points, dtype=wp.vec3)
        self._tables = (wp.from_torch(self._columns, dtype=wp.vec2), wp.from_torch(self._rows, dtype=wp.vec2))
        none = torch.zeros
        self._sky_rgb = wp.from_torch(
            none((3, 0, 0), device=device) if scene.sky_rgb is None else scene.sky_rgb
        )
        mask = none((0, 0), dtype=torch.bool, device=device) if scene.sky_mask is None else scene.sky_mask
        self._sky_mask = wp.from_torch(mask.to(torch.uint8))
        self._colors = wp.from_torch(scene.colors)
        self._anchor = wp.from_torch(scene.anchor)
        self._triangles, self._edge = wp.from_torch(scene.triangles), wp.from_torch(scene.edge)
        self._bare, self._radius = wp.from_torch(scene.bare), wp.from_torch(scene.bare_radius)

    def __call__(self, T_world_cam: Tensor) -> RenderedFrame:
        """Render from a (4, 4) camera."""
        if self._torch_device.type != "cuda":
            return self._frame(T_world_cam)
        stream = self._wp.stream_from_torch(torch.cuda.current_stream(self._torch_device))
        with self._wp.ScopedStream(stream):
            return self._frame(T_world_cam)

    def _launch(self, kernel: Callable[..., None], dim: int, inputs: list[object]) -> None:
        if dim:
            self._wp.launch(kernel, dim=dim, inputs=inputs, device=self._device, record_tape=False)

    def _new(self, shape: tuple[int, ...], value: float, dtype: torch.dtype) -> Tensor:
        return torch.full(shape, value, dtype=dtype, device=self._torch_device)

    def _frame(self, T_world_cam: Tensor) -> RenderedFrame:
        wp, k, scene = self._wp, self._k, self._scene
        height, width = self._height, 2 * self._height
        pose = T_world_cam.detach().cpu().double()
        R_world_cam = wp.mat33(*pose[:3, :3].reshape(-1).tolist())
        R_cam_world = wp.mat33(*pose[:3, :3].T.reshape(-1).tolist())
        count, pixels = len(scene.points), height * width
        cam = wp.from_torch(self._new((count, 3), 0, torch.float32), dtype=wp.vec3)
        pixel = wp.from_torch(self._new((count, 2), 0, torch.float32), dtype=wp.vec2)
        center = wp.vec3(*pose[:3, 3].tolist())
        size = [float(width), float(height)]
        self._launch(k.project, count, [self._points, R_cam_world, center, *size, cam, pixel])
        keys = wp.from_torch(self._new((pixels,), _EMPTY, torch.int64))
        mesh = [cam, pixel, self._triangles, self._edge]
        self._launch(k.raster, len(scene.triangles), [*mesh, *self._tables, ON_EDGE, EDGE_BIAS, keys])
        rgb = self._new((3, height, width), 0, torch.float32)
        distance = self._new((height, width), 0, torch.float32)
        coverage = self._new((height, width), 0, torch.uint8)
        anchor = self._new((height, width), -1, torch.int16)
        out = [
            wp.from_torch(x) for x in (rgb.view(3, -1), distance.view(-1), coverage.view(-1), anchor.view(-1))
        ]
        limit = wp.from_torch(self._new((pixels,), FARTHEST, torch.float32))
        if len(scene.triangles):
            mesh = [keys, cam, self._triangles, self._edge, self._colors, self._anchor]
            self._launch(k.surface, pixels, [*mesh, *self._tables, BLEND_DEPTH, *out, limit])
        if len(scene.bare):
            self._caps(cam, pixel, limit, out, pixels)
        if scene.sky_rgb is not None:
            sky = [R_world_cam, self._sky_rgb, self._sky_mask]
            self._launch(k.sky, pixels, [limit, FARTHEST, *self._tables, *sky, out[0], out[2]])
        return RenderedFrame(rgb=rgb, distance=distance, coverage=coverage.view(torch.bool), anchor=anchor)

    def _caps(self, cam: object, pixel: object, limit: object, out: list[object], pixels: int) -> None:
        """Draw the bare points over what is there."""
        wp, k, count = self._wp, self._k, len(self._scene.bare)
        keys = wp.from_torch(self._new((pixels,), _EMPTY, torch.int64))
        total = wp.from_torch(self._new((pixels, 4), 0, torch.float32), dtype=wp.vec4)
        total_t = wp.from_torch(self._new((pixels,), 0, torch.float32))
        caps = [self._bare, self._radius, cam, pixel]
        shape = [*self._tables, CAP_SCALE, CAP_MAX, CAP_CORE, limit]
        self._launch(k.caps_depth, count, [*caps, *shape, keys])
        self._launch(k.caps_blend, count, [*caps, self._colors, *shape, BLEND_DEPTH, keys, total, total_t])
        self._launch(k.caps_show, pixels, [self._bare, self._anchor, keys, total, total_t, *out])
