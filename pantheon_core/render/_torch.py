"""The renderer in plain torch: the reference for the Warp kernels, and what runs without Warp.

Triangles are drawn by _torch_raster.py and coloured by _torch_surface.py, bare points by _torch_caps.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry import sample_erp
from ._layers import Layer, blend_layers
from ._samples import every_pixel, mix_samples, quarters, silhouettes
from ._scene import FARTHEST, SKY_REACH, RenderedFrame, Scene
from ._torch_caps import caps
from ._torch_raster import Mesh, raster
from ._torch_samples import SampleGrid
from ._torch_surface import Paint, surface

__all__ = ["TorchRenderer"]


class TorchRenderer:
    """Frames of one scene."""

    def __init__(self, scene: Scene, height: int) -> None:
        self._scene, self._height = scene, height
        self._grid = SampleGrid(every_pixel(height, scene.points.device))
        self._points = scene.points.T.contiguous()
        colors = scene.colors.T.contiguous()
        self._parts = [(part, Mesh.of(part), Paint.of(part, colors)) for part in scene.parts]

    @torch.no_grad()
    def __call__(self, T_world_cam: Tensor) -> RenderedFrame:
        """Render from a (4, 4) camera."""
        height, shape = self._height, (self._height, 2 * self._height)
        pose = T_world_cam.detach().to(self._points)
        cam = pose[:3, :3].T @ (self._points - pose[:3, 3:])
        view = _View(
            pose=pose,
            cam=cam,
            pixel=_pixels(cam, height),
            spots=[torch.empty_like(mesh.corners[0]) for _, mesh, _ in self._parts],
        )
        layer = self._paint(self._grid, view)
        chosen = silhouettes(layer, height)
        if bool(chosen.any()):
            samples = quarters(chosen, height)
            mix_samples(layer, samples.pixel, self._paint(SampleGrid(samples), view))
        return RenderedFrame(
            rgb=layer.rgb.view(3, *shape),
            distance=layer.distance.view(shape),
            coverage=layer.coverage.view(shape),
            anchor=layer.anchor.clamp_min(-1).view(shape),
        )

    def _paint(self, grid: SampleGrid, view: _View) -> Layer:
        """All parts and the sky."""
        scene, position = self._scene, view.pose[:3, 3]
        layers = []
        for (part, mesh, paint), spots in zip(self._parts, view.spots, strict=True):
            keys = raster(mesh, grid, view.cam, view.pixel, spots)
            layers.append(surface(paint, grid, view.cam, keys))
            if len(part.bare):
                caps(scene, part, grid, view.cam, view.pixel, math.pi / self._height, layers[-1])
        layer = blend_layers(layers, scene.parts, position)
        if scene.sky_rgb is not None and scene.sky_mask is not None:
            _sky(scene.sky_rgb, scene.sky_mask, grid.rays, view.pose[:3, :3], layer)
        return layer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _View:
    """What a camera makes of the scene.

    Attributes:
        pose: (4, 4).
        cam: (3, N) points in the camera's frame.
        pixel: (2, N) their x and y in pixels of the frame.
        spots: of every part, see `raster`.
    """

    pose: Tensor
    cam: Tensor
    pixel: Tensor
    spots: list[Tensor]


def _pixels(cam: Tensor, height: int) -> Tensor:
    """(3, N) -> (2, N) x and y."""
    x, y, z = cam
    lon, lat = torch.atan2(x, z), torch.atan2(-y, torch.sqrt(x * x + z * z))
    scale = height / math.pi
    return torch.stack((lon * scale + (height - 0.5), (0.5 * height - 0.5) - lat * scale))


def _sky(sky_rgb: Tensor, sky_mask: Tensor, rays: Tensor, R_world_cam: Tensor, layer: Layer) -> None:
    """Show the sky behind all that is."""
    at = ((layer.limit == FARTHEST) & ~layer.coverage).nonzero()[:, 0]
    toward = (rays.index_select(1, at).T @ R_world_cam.T)[None]
    lit = sample_erp(sky_mask[None].float(), toward, mode="bilinear", antialias=False)[0].view(-1) > SKY_REACH
    color = sample_erp(sky_rgb, toward, mode="bilinear", antialias=False).view(3, -1)
    layer.rgb[:, at[lit]] = color[:, lit]
    layer.coverage[at[lit]] = True
