"""Open3D's ray casting (Embree) of the cache's own mesh: exact hits, colours linear over each triangle.

Triangles over depth edges are left out, as in our renderer. The sky is a direction without a hit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pantheon_core.cache import PointCache
from pantheon_core.geometry import erp_rays, sample_erp


class RayCast:
    """Frames of one cache, on one thread."""

    def __init__(self, cache: PointCache, height: int) -> None:
        import open3d

        if cache.triangles is None or cache.edge is None:
            raise ValueError("cache: expected triangles, got none")
        self.scene = open3d.t.geometry.RaycastingScene(nthreads=1)
        as_tensor = open3d.core.Tensor.from_numpy
        self.as_tensor = as_tensor
        solid = cache.triangles[~cache.edge]
        self.scene.add_triangles(as_tensor(cache.points.numpy()), as_tensor(solid.numpy().astype(np.uint32)))
        self.triangles, self.sky = solid.long(), cache.sky
        self.colors, self.height = cache.colors.float() / 255, height
        self.rays = erp_rays(height)

    def __call__(self, T_world_cam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(3, H, W) rgb, (H, W) distance, (H, W) covered."""
        toward = self.rays @ T_world_cam[:3, :3].T
        rays = torch.cat((T_world_cam[:3, 3].expand_as(toward), toward), -1).numpy()
        hits = self.scene.cast_rays(self.as_tensor(rays), nthreads=1)
        t = torch.from_numpy(hits["t_hit"].numpy())
        face = torch.from_numpy(hits["primitive_ids"].numpy().astype(np.int64))
        uv = torch.from_numpy(hits["primitive_uvs"].numpy())
        hit = torch.isfinite(t)
        u, v = uv[hit].unbind(-1)
        weight = torch.stack((1 - u - v, u, v), -1)
        rgb = torch.zeros(*t.shape, 3)
        rgb[hit] = (self.colors[self.triangles[face[hit]]] * weight[..., None]).sum(1)
        rgb = rgb.permute(2, 0, 1)
        covered = hit.clone()
        if self.sky is not None:
            seen = sample_erp(self.sky.mask[None].float(), toward, mode="nearest", antialias=False)[0] > 0.5
            seen &= ~hit
            rgb = torch.where(seen, sample_erp(self.sky.rgb, toward, antialias=False), rgb)
            covered |= seen
        return rgb, torch.where(hit, t, 0.0), covered
