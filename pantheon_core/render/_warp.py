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
from ._samples import direction_tables, mix_samples
from ._scene import (
    BACK_BIAS,
    BLEND_DEPTH,
    CAP_CORE,
    CAP_MAX,
    FARTHEST,
    ON_EDGE,
    Part,
    RenderedFrame,
    Scene,
)

__all__ = ["WarpRenderer"]

_MOST = 16383  # rows: `_places` packs twice as many into 15 bits
_EMPTY = torch.iinfo(torch.int64).max
_BLOCK = 8  # pixels: the kernels' BLOCK
_log = logging.getLogger(__name__)


def _packed(color: Tensor) -> Tensor:
    """(..., 3) 0 to 255 -> (...) int32: a kernel then loads a colour at once."""
    r, g, b = color.to(torch.int32).unbind(-1)
    return (r | g << 8 | b << 16).contiguous()


def _packed_pairs(part: Part) -> tuple[Tensor, Tensor]:
    """Pairs of triangles abc and dcb, in few bytes: the kernels wait for memory more than they reckon.

    Returns:
        (P, 4) int32 corners a, b, c, d, d = -1 where abc is alone; (P, 4) int32 bends: of the sides bc, ca,
        ab and bd in the low three bytes, of dc over the high bytes of the first three.
    """
    alone = part.pairs < 0
    first = torch.where(alone, -1 - part.pairs, part.pairs).long()
    second = torch.where(alone, first, first + 1)
    other = torch.where(alone, -1, part.triangles[second, 0])
    corners = torch.cat((part.triangles[first], other[:, None]), 1)
    bend = part.bend.to(torch.int32) + 128
    low = _packed(torch.cat((bend[first], bend[second, 1:2]), 1))
    low[:, :3] |= bend[second, 2] << 24
    return corners.contiguous(), low


class _Arrays:
    """A part's tensors as Warp arrays."""

    def __init__(self, wp: ModuleType, part: Part) -> None:
        corners, bend = (wp.from_torch(x, dtype=wp.vec4i) for x in _packed_pairs(part))
        self.corners, self.bend = corners, bend
        self.bare, self.radius = wp.from_torch(part.bare), wp.from_torch(part.bare_radius)
        self.scale = wp.from_torch(part.bare_scale)
        self.anchor = part.anchor
        self.pair_count, self.bare_count = len(part.pairs), len(part.bare)


class _Rays:
    """Samples as Warp arrays, with the tables of their grid's directions.

    `where` is y << 16 | x of a sample in its grid. Finer samples than the frame's have the rest: of every
    pixel the number of its samples over four, or -1; what `far_from_samples` asks; blocks with samples.
    """

    def __init__(self, wp: ModuleType, where: Tensor, tables: tuple[Any, ...], *fine: Tensor) -> None:
        self.count, self.fine, self.tables = len(where), int(bool(fine)), tables
        self.where = wp.from_torch(where)
        if fine:
            slot, near, blocks = fine
            sums = F.pad(blocks.cumsum(0).cumsum(1), (1, 0, 1, 0)).to(torch.int32)
        else:
            slot, near, sums = where, where.view(torch.uint8)[None], where[None]  # never read
        self.slot, self.near, self.blocks = wp.from_torch(slot), wp.from_torch(near), wp.from_torch(sums)


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
            from . import _warp_loops as loops
            from . import _warp_raster as raster
            from . import _warp_surface as paint

            self._device = wp.device_from_torch(device)
            _log.debug("loading the Warp kernels; the first time on a machine compiles them")
            block = 1 if device.type == "cpu" else None  # as launches have it: another one is compiled anew
            for module in (kernels, loops, raster, paint, caps):
                wp.load_module(module, device=self._device, block_dim=block)
        self._wp, self._k, self._loops = wp, kernels, loops
        self._raster, self._colour, self._caps_k = raster.raster, paint, caps
        self._scene, self._height, self._torch_device = scene, height, device
        width = 2 * height
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        where = (y << 16 | x).reshape(-1).to(torch.int32).to(device)
        self._rays = _Rays(wp, where, self._tables(height))
        self._fine_tables = self._tables(2 * height)
        self._grain = 1 if device.type == "cuda" else loops.GRAIN
        self._points = wp.from_torch(scene.points, dtype=wp.vec3)
        self._colors, self._anchor = wp.from_torch(_packed(scene.colors)), wp.from_torch(scene.anchor)
        self._parts = [_Arrays(wp, part) for part in scene.parts]
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

    def _tables(self, height: int) -> tuple[Any, ...]:
        wp = self._wp
        return tuple(wp.from_torch(x, dtype=wp.vec2) for x in direction_tables(height, self._torch_device))

    def _launch(self, kernel: Any, dim: int, inputs: list[Any]) -> None:
        if dim:
            self._wp.launch(kernel, dim=dim, inputs=inputs, device=self._device, record_tape=False)

    def _new(self, shape: tuple[int, ...], value: float, dtype: torch.dtype) -> Tensor:
        return torch.full(shape, value, dtype=dtype, device=self._torch_device)

    def _room(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Memory that a kernel fills."""
        return torch.empty(shape, dtype=dtype, device=self._torch_device)

    def _frame(self, T_world_cam: Tensor) -> RenderedFrame:
        wp, scene = self._wp, self._scene
        height, width = self._height, 2 * self._height
        pose = T_world_cam.detach().cpu().float()
        count = len(scene.points)
        cam = wp.from_torch(self._room((count, 3), torch.float32), dtype=wp.vec3)
        pixel = wp.from_torch(self._room((count, 2), torch.float32), dtype=wp.vec2)
        to_camera = [wp.mat33(*pose[:3, :3].T.reshape(-1).tolist()), wp.vec3(*pose[:3, 3].tolist())]
        project = [self._points, *to_camera, float(width), self._grain, cam, pixel]
        self._launch(self._loops.project, -(-count // self._grain), project)
        spots = [
            [wp.from_torch(self._room((n,), torch.int32)) for n in (part.pair_count, part.bare_count)]
            for part in self._parts
        ]
        layer = self._paint(self._rays, [cam, pixel], spots, pose)
        chosen = self._silhouettes(layer).nonzero()[:, 0]
        if len(chosen):
            fine = self._paint(self._quarters(chosen), [cam, pixel], spots, pose)
            mix_samples(layer, chosen, fine)
        return RenderedFrame(
            rgb=layer.rgb.view(3, height, width),
            distance=layer.distance.view(height, width),
            coverage=layer.coverage.view(height, width),
            anchor=layer.anchor.clamp_min(-1).view(height, width),
        )

    def _silhouettes(self, layer: Layer) -> Tensor:
        """(2 H H,) uint8, as `silhouettes` of _samples.py."""
        wp, width = self._wp, 2 * self._height
        chosen = self._room((width * self._height,), torch.uint8)
        grain = 1 if self._grain == 1 else width
        seen = [wp.from_torch(layer.distance), wp.from_torch(layer.coverage.view(torch.uint8))]
        inputs = [*seen, width, grain, wp.from_torch(chosen)]
        self._launch(self._loops.silhouettes, len(chosen) // grain, inputs)
        return chosen

    def _quarters(self, pixel: Tensor) -> _Rays:
        """Four samples in each of the (n,) pixels."""
        wp, height, width = self._wp, self._height, 2 * self._height
        where = self._room((4 * len(pixel),), torch.int32)
        slot = self._new((width * height,), -1, torch.int32)
        near = self._new((2, width * height), 0, torch.uint8)
        blocks = self._new((-(-height // _BLOCK), -(-width // _BLOCK)), 0, torch.int32)
        out = [wp.from_torch(x) for x in (slot, where, near, blocks)]
        self._launch(self._k.quarter, len(pixel), [wp.from_torch(pixel), width, *out])
        return _Rays(wp, where, self._fine_tables, slot, near, blocks)

    def _paint(self, rays: _Rays, vertices: list[Any], spots: list[list[Any]], pose: Tensor) -> Layer:
        """All parts and the sky, at one set of samples."""
        wp, scene = self._wp, self._scene
        layers = [
            self._layer(part, rays, [*vertices, *spot]) for part, spot in zip(self._parts, spots, strict=True)
        ]
        layer = blend_layers(layers, scene.parts, pose[:3, 3].to(self._torch_device))
        if scene.sky_rgb is not None:
            to_world = wp.mat33(*pose[:3, :3].reshape(-1).tolist())
            out = [wp.from_torch(layer.rgb), wp.from_torch(layer.coverage.view(torch.uint8))]
            view = [*rays.tables, rays.where, self._grain, to_world, self._sky]
            inputs = [wp.from_torch(layer.limit), FARTHEST, *view, *out]
            self._launch(self._colour.sky, -(-rays.count // self._grain), inputs)
        return layer

    def _layer(self, part: _Arrays, rays: _Rays, place: list[Any]) -> Layer:
        """Surface and bare points of one part; `place` is the vertices, their pixels and the spots."""
        wp, count = self._wp, rays.count
        cam, pixel, spots, cap_spots = place
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
        view = self._view(rays)
        if part.pair_count:
            keys = wp.from_torch(self._new((count,), _EMPTY, torch.int64))
            mesh = [part.corners, pixel, cam]
            self._launch(self._raster, part.pair_count, [*mesh, view, spots, keys])
            mesh = [keys, cam, part.corners, part.bend, self._colors, part.anchor]
            rule = [*rays.tables, rays.where, self._grain, BLEND_DEPTH, FARTHEST]
            self._launch(self._colour.surface, -(-count // self._grain), [*mesh, *rule, *out, limit])
        if part.bare_count:
            self._caps(part, view, [cam, pixel, cap_spots], limit, out)
        return layer

    def _view(self, rays: _Rays) -> Any:
        """The kernels' View."""
        view = self._k.View()
        view.columns, view.rows = rays.tables
        view.slot, view.near, view.blocks, view.fine = rays.slot, rays.near, rays.blocks, rays.fine
        view.slack, view.bias = ON_EDGE, BACK_BIAS
        return view

    def _caps(self, part: _Arrays, view: Any, place: list[Any], limit: Any, out: list[Any]) -> None:
        """Draw the bare points over what is there."""
        wp, k, count, bare = self._wp, self._caps_k, len(limit), part.bare_count
        cam, pixel, spots = place
        keys = wp.from_torch(self._new((count,), _EMPTY, torch.int64))
        total = wp.from_torch(self._room((count, 4), torch.float32), dtype=wp.vec4)
        total_t = wp.from_torch(self._room((count,), torch.float32))
        chords = wp.from_torch(self._room((bare,), torch.float32))
        boxes = wp.from_torch(self._room((bare, 4), torch.int32), dtype=wp.vec4i)
        number, touched = self._new((1,), 0, torch.int32), wp.from_torch(self._room((count,), torch.int32))
        caps = self._caps_k.Caps()
        caps.bare, caps.radius, caps.scale = part.bare, part.radius, part.scale
        caps.most, caps.core, caps.step = CAP_MAX, CAP_CORE, math.pi / self._height
        found = [chords, boxes, wp.from_torch(number), touched, keys, total, total_t]
        self._launch(k.caps_depth, bare, [caps, cam, pixel, view, spots, limit, *found])
        sums = [self._colors, BLEND_DEPTH, total, total_t]
        self._launch(k.caps_blend, bare, [caps, cam, view, limit, chords, boxes, keys, *sums])
        self._launch(k.caps_show, int(number), [part.bare, self._anchor, touched, keys, total, total_t, *out])
