"""The renderer on NVIDIA Warp."""

from __future__ import annotations

import logging
import math
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError
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

_MOST = 16383  # rows: `_places` packs twice as many into 15 bits
_EMPTY = torch.iinfo(torch.int64).max
_BLOCK = 8  # pixels: the kernels' BLOCK
_NEAR = 2  # pixels: how far triangles of the kernel `far_from_samples` reach from their first corner
_log = logging.getLogger(__name__)


def _packed(color: Tensor) -> Tensor:
    """(..., 3) 0 to 255 -> (...) int32: a kernel then loads a colour at once."""
    r, g, b = color.to(torch.int32).unbind(-1)
    return (r | g << 8 | b << 16).contiguous()


def _packed_pairs(part: Part) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of triangles abc and dcb, in few bytes: the kernels wait for memory more than they reckon.

    Returns:
        (P, 4) int32 corners a, b, c, d, d = -1 where abc is alone; (P,) uint8 edge flags, bit k that
        of triangle k; (P, 4) int32 bends: of the sides bc, ca, ab and bd in the low three bytes, of dc over
        the high bytes of the first three.
    """
    alone = part.pairs < 0
    first = torch.where(alone, -1 - part.pairs, part.pairs).long()
    second = torch.where(alone, first, first + 1)
    other = torch.where(alone, -1, part.triangles[second, 0])
    corners = torch.cat((part.triangles[first], other[:, None]), 1)
    edge = part.edge[first] | torch.where(alone, 0, part.edge[second] << 1)
    bend = part.bend.to(torch.int32) + 128
    low = _packed(torch.cat((bend[first], bend[second, 1:2]), 1))
    low[:, :3] |= bend[second, 2] << 24
    return corners.contiguous(), edge, low


class _Arrays:
    """A part's tensors as Warp arrays."""

    def __init__(self, wp: ModuleType, part: Part) -> None:
        corners, edge, bend = _packed_pairs(part)
        self.corners, self.edge = wp.from_torch(corners, dtype=wp.vec4i), wp.from_torch(edge)
        self.bend = wp.from_torch(bend, dtype=wp.vec4i)
        self.bare, self.radius = wp.from_torch(part.bare), wp.from_torch(part.bare_radius)
        self.scale = wp.from_torch(part.bare_scale)
        self.anchor = part.anchor
        self.pair_count, self.bare_count = len(part.pairs), len(part.bare)


def _block_sums(samples: Samples) -> Tensor:
    """(R + 1, C + 1) int32 blocks that hold samples, summed over all blocks above and left."""
    height, fine = samples.height, samples.zoom > 1
    rows, columns = -(-height // _BLOCK), -(-2 * height // _BLOCK)
    has = samples.slot.new_zeros(rows, columns)
    if fine:
        pixel = (samples.slot >= 0).nonzero()[:, 0]
        has[pixel // (2 * height) // _BLOCK, pixel % (2 * height) // _BLOCK] = 1
    return F.pad(has.cumsum(0).cumsum(1), (1, 0, 1, 0)).to(torch.int32)


def _places(samples: Samples) -> Tensor:
    """(P,) int32 y << 16 | x of the samples in their grid: kernels then need no division."""
    width = 2 * samples.height * samples.zoom
    return ((samples.where // width) << 16) | (samples.where % width)


class _Rays:
    """Samples as Warp arrays, with the tables of their grid's directions."""

    def __init__(self, wp: ModuleType, samples: Samples, tables: tuple[Tensor, Tensor]) -> None:
        self.count, self.fine = len(samples.where), int(samples.zoom > 1)
        self.slot, self.where = wp.from_torch(samples.slot), wp.from_torch(_places(samples))
        near = samples.slot if samples.zoom == 1 else within(samples.slot >= 0, samples.height, _NEAR)
        self.near = wp.from_torch(near.view(torch.uint8))
        self.blocks = wp.from_torch(_block_sums(samples))
        self.tables = tuple(wp.from_torch(table, dtype=wp.vec2) for table in tables)


class WarpRenderer:
    """Frames of one scene; safe to call from several threads at once.

    On the CPU a launch runs in the calling thread and releases Python's lock, and Warp's minimum is not
    atomic there: so every call has its own depth buffers.
    """

    def __init__(self, scene: Scene, height: int) -> None:
        if height > _MOST:
            raise InputError(
                f'height: expected at most {_MOST} with backend "warp", got {height}; use "torch"'
            )
        wp = load_warp()
        device = scene.points.device
        with quiet_warp(wp):
            from . import _warp_caps as caps
            from . import _warp_kernels as kernels
            from . import _warp_surface as paint

            self._device = wp.device_from_torch(device)
            _log.debug("loading the Warp kernels; the first time on a machine compiles them")
            for module in (kernels, paint, caps):
                wp.load_module(module, device=self._device)
        self._wp, self._k, self._paint_k, self._caps_k = wp, kernels, paint, caps
        self._scene, self._height, self._torch_device = scene, height, device
        self._rays = _Rays(wp, every_pixel(height, device), direction_tables(height, device))
        self._fine_tables = direction_tables(2 * height, device)
        self._points = wp.from_torch(scene.points, dtype=wp.vec3)
        self._colors, self._anchor = wp.from_torch(_packed(scene.colors)), wp.from_torch(scene.anchor)
        self._parts = [_Arrays(wp, part) for part in scene.parts]
        self._centers = [part.center.cpu() for part in scene.parts]  # here, so that no frame waits for them
        if scene.sky_rgb is not None and scene.sky_mask is not None:
            layer = torch.cat((scene.sky_rgb, scene.sky_mask[None].float())).permute(1, 2, 0).contiguous()
            self._sky = wp.from_torch(layer, dtype=wp.vec4)

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
        sources = [(center - pose[:3, 3]) @ pose[:3, :3] for center in self._centers]
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
                self._paint_k.sky, rays.count, [wp.from_torch(layer.limit), FARTHEST, *view, self._sky, *out]
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
        view = self._view(rays, source)
        if part.pair_count:
            keys = wp.from_torch(self._new((count,), _EMPTY, torch.int64))
            mesh = [part.corners, part.edge, vertices[1], vertices[0]]
            self._launch(k.raster, part.pair_count, [*mesh, view, keys])
            mesh = [keys, vertices[0], part.corners, part.edge, part.bend, self._colors, part.anchor]
            self._launch(
                self._paint_k.surface, count, [*mesh, *rays.tables, rays.where, BLEND_DEPTH, *out, limit]
            )
        if part.bare_count:
            self._caps(part, view, vertices, limit, out)
        return layer

    def _view(self, rays: _Rays, source: Any) -> Any:
        """The kernels' View."""
        view = self._k.View()
        view.columns, view.rows = rays.tables
        view.slot, view.near, view.blocks, view.fine = rays.slot, rays.near, rays.blocks, rays.fine
        view.slack, view.bias, view.skin, view.source = ON_EDGE, EDGE_BIAS, SKIN_REACH, source
        return view

    def _caps(self, part: _Arrays, view: Any, vertices: list[Any], limit: Any, out: list[Any]) -> None:
        """Draw the bare points over what is there."""
        wp, k, count = self._wp, self._caps_k, len(limit)
        keys = wp.from_torch(self._new((count,), _EMPTY, torch.int64))
        total = wp.from_torch(self._new((count, 4), 0, torch.float32), dtype=wp.vec4)
        total_t = wp.from_torch(self._new((count,), 0, torch.float32))
        caps = self._caps_k.Caps()
        caps.bare, caps.radius, caps.scale = part.bare, part.radius, part.scale
        caps.most, caps.core, caps.step = CAP_MAX, CAP_CORE, math.pi / self._height
        where = [caps, *vertices, view, limit, keys]
        self._launch(k.caps_depth, part.bare_count, where)
        self._launch(k.caps_blend, part.bare_count, [*where, self._colors, BLEND_DEPTH, total, total_t])
        self._launch(k.caps_show, count, [part.bare, self._anchor, keys, total, total_t, *out])
