"""The renderer on NVIDIA Warp."""

from __future__ import annotations

import logging
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..warp_runtime import load_warp, quiet_warp
from ._layers import Layer, blend_layers
from ._scene import (
    BLEND_DEPTH,
    CAP_CORE,
    CAP_MAX,
    EDGE_BIAS,
    FARTHEST,
    ON_EDGE,
    SKIN_REACH,
    Part,
    RenderedFrame,
    Scene,
    direction_tables,
)

__all__ = ["WarpRenderer"]

_EMPTY = torch.iinfo(torch.int64).max
_log = logging.getLogger(__name__)


class _Arrays:
    """A part's tensors as Warp arrays."""

    def __init__(self, wp: ModuleType, part: Part) -> None:
        self.triangles, self.edge = wp.from_torch(part.triangles), wp.from_torch(part.edge)
        self.bare, self.radius = wp.from_torch(part.bare), wp.from_torch(part.bare_radius)
        self.scale = wp.from_torch(part.bare_scale)
        self.triangle_count, self.bare_count = len(part.triangles), len(part.bare)


class WarpRenderer:
    """Frames of one scene; safe to call from several threads at once.

    On the CPU a launch runs in the calling thread and releases Python's lock, and Warp's minimum is not
    atomic there: so every call has its own depth buffers.
    """

    def __init__(self, scene: Scene, height: int) -> None:
        wp = load_warp()
        device = scene.points.device
        with quiet_warp(wp):
            from . import _warp_kernels as kernels

            self._device = wp.device_from_torch(device)
            _log.debug("loading the Warp kernels; the first time on a machine compiles them")
            wp.load_module(kernels, device=self._device)
        self._wp, self._k = wp, kernels
        self._scene, self._height, self._torch_device = scene, height, device
        columns, rows = direction_tables(height, device)
        self._tables = (wp.from_torch(columns, dtype=wp.vec2), wp.from_torch(rows, dtype=wp.vec2))
        self._points = wp.from_torch(scene.points, dtype=wp.vec3)
        self._colors, self._anchor = wp.from_torch(scene.colors), wp.from_torch(scene.anchor)
        self._parts = [_Arrays(wp, part) for part in scene.parts]
        if scene.sky_rgb is not None and scene.sky_mask is not None:
            self._sky = (wp.from_torch(scene.sky_rgb), wp.from_torch(scene.sky_mask.to(torch.uint8)))

    def __call__(self, T_world_cam: Tensor) -> RenderedFrame:
        """Render from a (4, 4) camera."""
        if self._torch_device.type != "cuda":
            return self._frame(T_world_cam)
        stream = self._wp.stream_from_torch(torch.cuda.current_stream(self._torch_device))
        with self._wp.ScopedStream(stream):
            return self._frame(T_world_cam)

    def _launch(self, kernel: Any, dim: int, inputs: list[Any]) -> None:
        if dim:
            self._wp.launch(kernel, dim=dim, inputs=inputs, device=self._device, record_tape=False)

    def _new(self, shape: tuple[int, ...], value: float, dtype: torch.dtype) -> Tensor:
        return torch.full(shape, value, dtype=dtype, device=self._torch_device)

    def _frame(self, T_world_cam: Tensor) -> RenderedFrame:
        wp, scene = self._wp, self._scene
        height, width = self._height, 2 * self._height
        pose = T_world_cam.detach().cpu().float()
        count = len(scene.points)
        cam = wp.from_torch(self._new((count, 3), 0, torch.float32), dtype=wp.vec3)
        pixel = wp.from_torch(self._new((count, 2), 0, torch.float32), dtype=wp.vec2)
        to_camera = [wp.mat33(*pose[:3, :3].T.reshape(-1).tolist()), wp.vec3(*pose[:3, 3].tolist())]
        size = [float(width), float(height)]
        self._launch(self._k.project, count, [self._points, *to_camera, *size, cam, pixel])
        sources = [(part.center.cpu() - pose[:3, 3]) @ pose[:3, :3] for part in scene.parts]
        layers = [
            self._layer(part, cam, pixel, wp.vec3(*source.tolist()))
            for part, source in zip(self._parts, sources, strict=True)
        ]
        layer = blend_layers(layers, scene.parts, pose[:3, 3].to(self._torch_device))
        coverage = layer.coverage.view(torch.uint8)
        if scene.sky_rgb is not None:
            to_world = wp.mat33(*pose[:3, :3].reshape(-1).tolist())
            out = [wp.from_torch(layer.rgb), wp.from_torch(coverage)]
            limit = wp.from_torch(layer.limit)
            self._launch(
                self._k.sky, height * width, [limit, FARTHEST, *self._tables, to_world, *self._sky, *out]
            )
        return RenderedFrame(
            rgb=layer.rgb.view(3, height, width),
            distance=layer.distance.view(height, width),
            coverage=coverage.view(torch.bool).view(height, width),
            anchor=layer.anchor.clamp_min(-1).view(height, width),
        )

    def _layer(self, part: _Arrays, cam: Any, pixel: Any, source: Any) -> Layer:
        """Surface and bare points of one part."""
        wp, k, pixels = self._wp, self._k, 2 * self._height * self._height
        layer = Layer(
            rgb=self._new((3, pixels), 0, torch.float32),
            distance=self._new((pixels,), 0, torch.float32),
            coverage=self._new((pixels,), 0, torch.bool),
            anchor=self._new((pixels,), -1, torch.int16),
            limit=self._new((pixels,), FARTHEST, torch.float32),
        )
        coverage = layer.coverage.view(torch.uint8)
        out = [wp.from_torch(x) for x in (layer.rgb, layer.distance, coverage, layer.anchor)]
        limit = wp.from_torch(layer.limit)
        if part.triangle_count:
            keys = wp.from_torch(self._new((pixels,), _EMPTY, torch.int64))
            mesh = [cam, pixel, part.triangles, part.edge, *self._tables]
            rules = [ON_EDGE, EDGE_BIAS, source, SKIN_REACH]
            self._launch(k.raster, part.triangle_count, [*mesh, *rules, keys])
            mesh = [keys, cam, part.triangles, part.edge, self._colors, self._anchor]
            self._launch(k.surface, pixels, [*mesh, *self._tables, BLEND_DEPTH, *out, limit])
        if part.bare_count:
            self._caps(part, [cam, pixel], limit, out)
        return layer

    def _caps(self, part: _Arrays, vertices: list[Any], limit: Any, out: list[Any]) -> None:
        """Draw the bare points over what is there."""
        wp, k, pixels = self._wp, self._k, 2 * self._height * self._height
        keys = wp.from_torch(self._new((pixels,), _EMPTY, torch.int64))
        total = wp.from_torch(self._new((pixels, 4), 0, torch.float32), dtype=wp.vec4)
        total_t = wp.from_torch(self._new((pixels,), 0, torch.float32))
        caps = [part.bare, part.radius, part.scale, *vertices]
        shape = [*self._tables, CAP_MAX, CAP_CORE, limit]
        self._launch(k.caps_depth, part.bare_count, [*caps, *shape, keys])
        blend = [*shape, BLEND_DEPTH, keys, total, total_t]
        self._launch(k.caps_blend, part.bare_count, [*caps, self._colors, *blend])
        self._launch(k.caps_show, pixels, [part.bare, self._anchor, keys, total, total_t, *out])
