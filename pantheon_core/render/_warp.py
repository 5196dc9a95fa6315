"""The renderer on NVIDIA Warp."""

from __future__ import annotations

import logging
import math
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..warp_runtime import load_warp, quiet_warp
from ._layers import Layer, blend_layers
from ._samples import Samples, direction_tables, every_pixel, mix_samples, quarters, silhouettes, within
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
)

__all__ = ["WarpRenderer"]

_EMPTY = torch.iinfo(torch.int64).max
_NEAR = 2  # pixels: how far a triangle of the kernel `far_from_samples` reaches from its first corner
_log = logging.getLogger(__name__)


class _Arrays:
    """A part's tensors as Warp arrays."""

    def __init__(self, wp: ModuleType, part: Part) -> None:
        self.triangles, self.edge = wp.from_torch(part.triangles), wp.from_torch(part.edge)
        self.bare, self.radius = wp.from_torch(part.bare), wp.from_torch(part.bare_radius)
        self.scale, self.bend = wp.from_torch(part.bare_scale), wp.from_torch(part.bend)
        self.triangle_count, self.bare_count = len(part.triangles), len(part.bare)


class _Rays:
    """Samples as Warp arrays, with the tables of their grid's directions."""

    def __init__(self, wp: ModuleType, samples: Samples, tables: tuple[Tensor, Tensor]) -> None:
        self.count, self.fine = len(samples.where), int(samples.zoom > 1)
        self.slot, self.where = wp.from_torch(samples.slot), wp.from_torch(samples.where)
        near = samples.slot if samples.zoom == 1 else within(samples.slot >= 0, samples.height, _NEAR)
        self.near = wp.from_torch(near.view(torch.uint8))
        self.tables = tuple(wp.from_torch(table, dtype=wp.vec2) for table in tables)


class WarpRenderer:
    """Frames of one scene; safe to call from several threads at once.

    On the CPU a launch runs in the calling thread and releases Python's lock, and Warp's minimum is not
    atomic there: so every call has its own depth buffers.
    """

    def __init__(self, scene: Scene, height: int) -> None:
        wp = load_warp()
        device = scene.points.device
        with quiet_warp(wp):
            from . import _warp_caps as caps
            from . import _warp_kernels as kernels

            self._device = wp.device_from_torch(device)
            _log.debug("loading the Warp kernels; the first time on a machine compiles them")
            for module in (kernels, caps):
                wp.load_module(module, device=self._device)
        self._wp, self._k, self._caps_k = wp, kernels, caps
        self._scene, self._height, self._torch_device = scene, height, device
        self._rays = _Rays(wp, every_pixel(height, device), direction_tables(height, device))
        self._fine_tables = direction_tables(2 * height, device)
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
        layer = self._paint(self._rays, [cam, pixel], pose)
        chosen = silhouettes(layer, height)
        if bool(chosen.any()):
            fine = _Rays(wp, quarters(chosen, height), self._fine_tables)
            mix_samples(layer, chosen, self._paint(fine, [cam, pixel], pose))
        return RenderedFrame(
            rgb=layer.rgb.view(3, height, width),
            distance=layer.distance.view(height, width),
            coverage=layer.coverage.view(height, width),
            anchor=layer.anchor.clamp_min(-1).view(height, width),
        )

    def _paint(self, rays: _Rays, vertices: list[Any], pose: Tensor) -> Layer:
        """All parts and the sky, at one set of samples."""
        wp, scene = self._wp, self._scene
        sources = [(part.center.cpu() - pose[:3, 3]) @ pose[:3, :3] for part in scene.parts]
        layers = [
            self._layer(part, rays, vertices, wp.vec3(*source.tolist()))
            for part, source in zip(self._parts, sources, strict=True)
        ]
        layer = blend_layers(layers, scene.parts, pose[:3, 3].to(self._torch_device))
        if scene.sky_rgb is not None:
            to_world = wp.mat33(*pose[:3, :3].reshape(-1).tolist())
            out = [wp.from_torch(layer.rgb), wp.from_torch(layer.coverage.view(torch.uint8))]
            view = [*rays.tables, rays.where, to_world]
            self._launch(
                self._k.sky, rays.count, [wp.from_torch(layer.limit), FARTHEST, *view, *self._sky, *out]
            )
        return layer

    def _layer(self, part: _Arrays, rays: _Rays, vertices: list[Any], source: Any) -> Layer:
        """Surface and bare points of one part."""
        wp, k, count = self._wp, self._k, rays.count
        layer = Layer(
            rgb=self._new((3, count), 0, torch.float32),
            distance=self._new((count,), 0, torch.float32),
            coverage=self._new((count,), 0, torch.bool),
            anchor=self._new((count,), -1, torch.int16),
            limit=self._new((count,), FARTHEST, torch.float32),
        )
        coverage = layer.coverage.view(torch.uint8)
        out = [wp.from_torch(x) for x in (layer.rgb, layer.distance, coverage, layer.anchor)]
        limit = wp.from_torch(layer.limit)
        if part.triangle_count:
            keys = wp.from_torch(self._new((count,), _EMPTY, torch.int64))
            mesh = [*vertices, part.triangles, part.edge, *rays.tables]
            rules = [ON_EDGE, EDGE_BIAS, source, SKIN_REACH, rays.fine, rays.slot, rays.near]
            self._launch(k.raster, part.triangle_count, [*mesh, *rules, keys])
            mesh = [keys, vertices[0], part.triangles, part.edge, part.bend, self._colors, self._anchor]
            self._launch(k.surface, count, [*mesh, *rays.tables, rays.where, BLEND_DEPTH, *out, limit])
        if part.bare_count:
            self._caps(part, rays, vertices, limit, out)
        return layer

    def _caps(self, part: _Arrays, rays: _Rays, vertices: list[Any], limit: Any, out: list[Any]) -> None:
        """Draw the bare points over what is there."""
        wp, k, count = self._wp, self._caps_k, rays.count
        keys = wp.from_torch(self._new((count,), _EMPTY, torch.int64))
        total = wp.from_torch(self._new((count, 4), 0, torch.float32), dtype=wp.vec4)
        total_t = wp.from_torch(self._new((count,), 0, torch.float32))
        caps = [part.bare, part.radius, part.scale, *vertices]
        step = math.pi / self._height
        shape = [*rays.tables, CAP_MAX, CAP_CORE, step, rays.fine, rays.slot, limit]
        self._launch(k.caps_depth, part.bare_count, [*caps, *shape, keys])
        blend = [*shape, BLEND_DEPTH, keys, total, total_t]
        self._launch(k.caps_blend, part.bare_count, [*caps, self._colors, *blend])
        self._launch(k.caps_show, count, [part.bare, self._anchor, keys, total, total_t, *out])
