"""The renderer in plain torch: the reference for the Warp kernels, and what runs without Warp."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..geometry import sample_erp
from ._layers import BACK, Layer, blend_layers
from ._samples import Samples, direction_tables, every_pixel, mix_samples, quarters, silhouettes
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
from ._torch_boxes import box_sums, cap_boxes, dot, pole_boxes, side_planes, triangle_boxes

__all__ = ["TorchRenderer"]

_BLOCK = 1 << 16  # triangles, or (triangle, pixel) pairs, at once: few enough for a processor's cache
_BLOCK_CUDA = 1 << 20  # the same on a card: some 200 MB
_EMPTY = torch.iinfo(torch.int64).max


class TorchRenderer:
    """Frames of one scene."""

    def __init__(self, scene: Scene, height: int) -> None:
        self._scene, self._height = scene, height
        self._painter = _Painter(scene, every_pixel(height, scene.points.device))

    @torch.no_grad()
    def __call__(self, T_world_cam: Tensor) -> RenderedFrame:
        """Render from a (4, 4) camera."""
        height, shape = self._height, (self._height, 2 * self._height)
        pose = T_world_cam.detach().to(self._scene.points)
        layer = self._painter.paint(pose)
        chosen = silhouettes(layer, height)
        if bool(chosen.any()):
            samples = quarters(chosen, height)
            mix_samples(layer, samples.pixel, _Painter(self._scene, samples).paint(pose))
        return RenderedFrame(
            rgb=layer.rgb.view(3, *shape),
            distance=layer.distance.view(shape),
            coverage=layer.coverage.view(shape),
            anchor=layer.anchor.clamp_min(-1).view(shape),
        )


class _Painter:
    """One set of samples of a scene; its pixels are those of the samples' fine grid."""

    def __init__(self, scene: Scene, samples: Samples) -> None:
        self._scene, self._samples = scene, samples
        self._height, self._width = samples.height * samples.zoom, 2 * samples.height * samples.zoom
        columns, rows = direction_tables(self._height, scene.points.device)
        where = samples.where.long()
        (sx, cx), (sy, cy) = columns[where % self._width].unbind(-1), rows[where // self._width].unbind(-1)
        self._rays = torch.stack((cy * sx, -sy, cy * cx))
        self._sums = box_sums(samples) if samples.zoom > 1 else None
        self._block = _BLOCK_CUDA if scene.points.device.type == "cuda" else _BLOCK

    def paint(self, pose: Tensor) -> Layer:
        """All parts and the sky, from a (4, 4) camera."""
        scene = self._scene
        cam = (scene.points - pose[:3, 3]) @ pose[:3, :3]
        pixel = self._pixels(cam)
        sources = [(part.center - pose[:3, 3]) @ pose[:3, :3] for part in scene.parts]
        layers = [
            self._layer(part, cam, pixel, source) for part, source in zip(scene.parts, sources, strict=True)
        ]
        layer = blend_layers(layers, scene.parts, pose[:3, 3])
        if scene.sky_rgb is not None and scene.sky_mask is not None:
            self._sky(pose[:3, :3], layer)
        return layer

    def _layer(self, part: Part, cam: Tensor, pixel: Tensor, source: Tensor) -> Layer:
        """Surface and bare points of one part."""
        keys = torch.full((self._rays.shape[1],), _EMPTY, dtype=torch.int64, device=cam.device)
        for first in range(0, len(part.triangles), self._block):
            self._raster(part, (cam, pixel, source), first, keys)
        layer = self._surface(part, cam, keys)
        if len(part.bare):
            self._caps(part, cam, pixel, layer)
        return layer

    def _pixels(self, points: Tensor) -> Tensor:
        x, y, z = points.unbind(-1)
        lon, lat = torch.atan2(x, z), torch.atan2(-y, torch.sqrt(x * x + z * z))
        px = (lon / (2 * math.pi) + 0.5) * self._width - 0.5
        return torch.stack((px, (0.5 - lat / math.pi) * self._height - 0.5), -1)

    def _expand(self, box: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(M, 4) inclusive boxes x0, x1, y0, y1 -> (index of the box, sample number), in bounded blocks."""
        wide = (box[:, 1] - box[:, 0] + 1).clamp_min(0)
        count = wide * (box[:, 3] - box[:, 2] + 1).clamp_min(0) * self._reached(box)
        which = count.nonzero()[:, 0]
        end = count[which].cumsum(0)
        total = int(end[-1]) if len(end) else 0
        for low in range(0, total, self._block):
            pair = torch.arange(low, min(low + self._block, total), device=box.device)
            slot = torch.searchsorted(end, pair, right=True)
            item = which[slot]
            local = pair - (end[slot] - count[item])
            x = (box[item, 0] + local % wide[item]) % self._width
            y = box[item, 2] + torch.div(local, wide[item], rounding_mode="floor")
            if self._sums is None:
                yield item, y * self._width + x
                continue
            zoom = self._samples.zoom
            slot = self._samples.slot[y // zoom * self._samples.height * 2 + x // zoom].long()
            here = slot >= 0
            yield item[here], (slot * zoom * zoom + y % zoom * zoom + x % zoom)[here]

    def _reached(self, box: Tensor) -> Tensor:
        """(M,) bool: boxes that are not empty and hold samples."""
        some = (box[:, 1] >= box[:, 0]) & (box[:, 3] >= box[:, 2])
        if self._sums is None:
            return some
        zoom, width = self._samples.zoom, 2 * self._samples.height
        first = torch.div(box[:, 0], zoom, rounding_mode="floor")
        last = torch.div(box[:, 1], zoom, rounding_mode="floor")
        x0 = first % width
        x1 = (x0 + last - first + 1).clamp(0, 2 * width)
        y0, y1 = box[:, 2].clamp_min(0) // zoom, box[:, 3].clamp_min(0) // zoom + 1
        total = self._sums[y1, x1] - self._sums[y0, x1] - self._sums[y1, x0] + self._sums[y0, x0]
        return some & (total > 0)

    def _raster(self, part: Part, place: tuple[Tensor, Tensor, Tensor], first: int, keys: Tensor) -> None:
        """Triangles from `first` on into the depth keys; `place` is the points, their pixels, the anchor."""
        cam, pixel, source = place
        corners = part.triangles[first : first + self._block].long()
        box, around = triangle_boxes(pixel, corners, self._height)
        if bool(around.any()):
            box[around] = pole_boxes(cam, corners[around], box[around], self._height)
        number = self._reached(box).nonzero()[:, 0]
        corners, box = corners[number], box[number]
        number = number + first
        normals, plane, det = side_planes(cam, corners)
        sign = det.sign()
        normals *= sign
        slack = ON_EDGE * ON_EDGE * dot(normals, normals)
        hides = (sign < 0) | (part.edge[number] != 0)
        factor = torch.where(hides, EDGE_BIAS, 1.0)
        near = torch.full_like(det, math.inf)
        skin = part.edge[number] != 0
        near[skin] = SKIN_REACH * (cam[corners[skin]] - source).norm(dim=-1).amin(-1)
        for item, where in self._expand(box):
            d = self._rays[:, where]
            e = dot(normals[:, :, item], d[:, None])
            q = dot(plane[:, item], d)
            hit = ((e >= 0) | (e * e <= slack[:, item])).all(0) & (q * sign[item] > 0)
            item, where, q, d = item[hit], where[hit], q[hit], d[:, hit]
            t = det[item] / q
            reach = t * d - source[:, None]
            hit = dot(reach, reach).sqrt() <= near[item]
            item, where = item[hit], where[hit]
            depth = (t[hit] * factor[item]).view(torch.int32).long()
            keys.scatter_reduce_(0, where, (depth << 32) | number[item], "amin")

    def _surface(self, part: Part, cam: Tensor, keys: Tensor) -> Layer:
        """Depth keys to colours."""
        scene, pixels = self._scene, len(keys)
        layer = Layer(
            rgb=cam.new_zeros(3, pixels),
            distance=cam.new_zeros(pixels),
            coverage=torch.zeros(pixels, dtype=torch.bool, device=cam.device),
            anchor=torch.full((pixels,), -1, dtype=torch.int16, device=cam.device),
            limit=cam.new_full((pixels,), FARTHEST),
        )
        hit = (keys != _EMPTY).nonzero()[:, 0]
        t = (keys[hit] >> 32).to(torch.int32).view(torch.float32)
        face = keys[hit] & 0xFFFFFFFF
        corners = part.triangles[face].long()
        normals, _, det = side_planes(cam, corners)
        solid = (det > 0) & (part.edge[face] == 0)
        layer.limit[hit] = t * torch.where(solid, BLEND_DEPTH - 1, 1 + BLEND_DEPTH)
        layer.anchor[hit[det < 0]] = BACK
        hit, t, corners, normals = hit[solid], t[solid], corners[solid], normals[:, :, solid]
        weight = dot(normals, self._rays[:, None, hit]).clamp_min(0)
        whole = weight[0] + weight[1] + weight[2]
        sides = weight[[1, 2, 0]] * weight[[2, 0, 1]]
        color, bend = scene.colors[corners], part.bend[face[solid]]
        for channel in range(3):
            straight = dot(weight, color[..., channel].T)
            bent = dot(sides, bend[..., channel].T)
            layer.rgb[channel, hit] = ((straight + bent / whole) / (whole * 255)).clamp(0, 1)
        layer.distance[hit] = t
        layer.coverage[hit] = True
        layer.anchor[hit] = part.anchor
        return layer

    def _caps(self, part: Part, cam: Tensor, pixel: Tensor, layer: Layer) -> None:
        """Draw the bare points over what is there."""
        of, limit = part.bare.long(), layer.limit
        far = cam[of].norm(dim=-1)
        step = math.pi / self._samples.height
        scale, core = part.bare_scale, (CAP_CORE / part.bare_scale).square()
        least = torch.where(scale < 1, math.pi / self._height, step)  # rims go by the grid, not by the frame
        angle = scale * torch.maximum(least, part.bare_radius / far)
        angle = torch.minimum(angle, (scale * step).clamp_min(CAP_MAX))
        chord = (2 * torch.sin(0.5 * angle)).square()
        ahead = (cam[of] / far[:, None]).T.contiguous()
        box = cap_boxes(pixel[of], angle, self._height)
        box[~(far > 0), 1] = box[~(far > 0), 0] - 1  # a point in the camera has no direction
        keys = torch.full((len(limit),), _EMPTY, dtype=torch.int64, device=cam.device)
        for item, where in self._expand(box):
            off = self._rays[:, where] - ahead[:, item]
            u = dot(off, off) / chord[item]
            near = _seen(far[item], u, limit[where], core[item])
            item, where = item[near], where[near]
            keys.scatter_reduce_(0, where, (far[item].view(torch.int32).long() << 32) | item, "amin")
        nearest = (keys >> 32).to(torch.int32).view(torch.float32)
        total = cam.new_zeros(len(limit), 5)
        for item, where in self._expand(box):
            off = self._rays[:, where] - ahead[:, item]
            u = dot(off, off) / chord[item]
            near = _seen(far[item], u, limit[where], core[item]) & (
                far[item] <= nearest[where] * (1 + BLEND_DEPTH)
            )
            item, where = item[near], where[near]
            weight = (1 - u[near]).square() + 1e-6
            color = self._scene.colors[of[item]].float() / 255
            value = torch.cat((color, far[item, None], torch.ones_like(far[item, None])), -1)
            total.index_add_(0, where, value * weight[:, None])
        at = (keys != _EMPTY).nonzero()[:, 0]
        mean = total[at, :4] / total[at, 4:]
        layer.rgb[:, at] = mean[:, :3].T
        layer.distance[at] = mean[:, 3]
        layer.coverage[at] = True
        layer.anchor[at] = self._scene.anchor[of[keys[at] & 0xFFFFFFFF]]

    def _sky(self, R_world_cam: Tensor, layer: Layer) -> None:
        sky_rgb, sky_mask = self._scene.sky_rgb, self._scene.sky_mask
        if sky_rgb is None or sky_mask is None:
            return
        at = ((layer.limit == FARTHEST) & ~layer.coverage).nonzero()[:, 0]
        rays = (self._rays[:, at].T @ R_world_cam.T)[None]
        lit = sample_erp(sky_mask[None].float(), rays, mode="nearest", antialias=False)[0].view(-1) > 0.5
        color = sample_erp(sky_rgb, rays, mode="bilinear", antialias=False).view(3, -1)
        layer.rgb[:, at[lit]] = color[:, lit]
        layer.coverage[at[lit]] = True


def _seen(far: Tensor, u: Tensor, limit: Tensor, core: Tensor) -> Tensor:
    """Inside a cap and before what is there; over a surface (limit < 0) only with the cap's core."""
    return (far < limit.abs()) & (u < torch.where(limit > 0, 1.0, core.clamp_max(1)))
