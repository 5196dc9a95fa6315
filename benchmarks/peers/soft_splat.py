"""Soft bilinear splat, as GEN3C and TrajectoryCrafter warp frames, on the sphere.

Every point gives its colour to the four pixels around it, each weighted by the bilinear weight times
exp(-50 log(1 + d) / max log(1 + d)), so that near points outvote far ones; a pixel with no weight is a hole.
Columns wrap; rows beyond a pole are dropped. Two implementations: plain torch with one indexed add, and Warp
kernels, so that neither time is that of a slow language.

Source: forward warping in github.com/nv-tlabs/GEN3C and github.com/TrajectoryCrafter/TrajectoryCrafter; the
formula alone was taken over.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SHARPNESS = 50.0


class TorchSplat:
    """Frames of one cloud: (N, 3) points, (N, 3) uint8 colours."""

    def __init__(self, points: Tensor, colors: Tensor, height: int) -> None:
        self.points, self.height = points, height
        self.value = torch.cat((colors.float() / 255, torch.ones(len(colors), 2)), 1)

    def __call__(self, T_world_cam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(3, H, W) rgb, (H, W) distance, (H, W) covered."""
        height, width = self.height, 2 * self.height
        x, y, z = ((self.points - T_world_cam[:3, 3]) @ T_world_cam[:3, :3]).unbind(-1)
        flat = x * x + z * z
        far = (flat + y * y).sqrt()
        px = (torch.atan2(x, z) / (2 * math.pi) + 0.5) * width - 0.5
        py = (0.5 + torch.atan2(y, flat.sqrt()) / math.pi) * height - 0.5
        depth = far.log1p()
        near = torch.exp(-SHARPNESS / depth.max() * depth)
        x0, y0 = px.floor(), py.floor()
        fx, fy = px - x0, py - y0
        column, row = x0.long(), y0.long()
        self.value[:, 3] = far
        total = torch.zeros(height * width, 5)
        for dy, wy in ((0, (1 - fy) * near), (1, fy * near)):
            inside = (row + dy >= 0) & (row + dy < height)
            line = (row + dy).clamp(0, height - 1) * width
            for dx, wx in ((0, 1 - fx), (1, fx)):
                weight = (wx * wy * inside)[:, None]
                total.index_add_(0, line + (column + dx) % width, self.value * weight)
        return _resolve(total, height)


def _resolve(total: Tensor, height: int) -> tuple[Tensor, Tensor, Tensor]:
    covered = total[:, 4] > 0
    mean = total[:, :4] / total[:, 4:].clamp_min(1e-30)
    rgb = mean[:, :3].T.reshape(3, height, 2 * height)
    return rgb, mean[:, 3].view(height, -1), covered.view(height, -1)
