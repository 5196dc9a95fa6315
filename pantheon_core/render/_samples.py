"""Where a frame is sampled: once in every pixel, and four times where surfaces at different depths meet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ._layers import Layer

__all__ = ["BREAK", "Samples", "direction_tables", "every_pixel", "mix_samples", "quarters", "silhouettes"]

BREAK = 0.05  # a bend of the inverse distance by this part of it, within a pixel, is a silhouette


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Samples:
    """P rays at pixel centres of a grid `zoom` times as fine as the frame.

    Attributes:
        height: of the frame.
        zoom: 1 or 2; the fine grid is zoom H x 2 zoom H.
        slot: (2 H H,) int32; the samples of pixel p are zoom^2 slot[p] and on, row by row; -1 where none.
        where: (P,) int32, numbers of the samples in the fine grid.
        pixel: (P / zoom^2,) int64, the pixels with samples.
    """

    height: int
    zoom: int
    slot: Tensor
    pixel: Tensor
    where: Tensor


def every_pixel(height: int, device: torch.device) -> Samples:
    """One sample at the centre of each pixel."""
    number = torch.arange(2 * height * height, dtype=torch.int32, device=device)
    return Samples(height=height, zoom=1, slot=number, where=number, pixel=number.long())


def quarters(chosen: Tensor, height: int) -> Samples:
    """Four samples in each chosen pixel, at the centres of its quarters.

    Args:
        chosen: (2 H H,) bool.
        height: H.
    """
    pixel = chosen.nonzero()[:, 0]
    slot = chosen.new_full(chosen.shape, -1, dtype=torch.int32)
    slot[pixel] = torch.arange(len(pixel), dtype=torch.int32, device=chosen.device)
    width = 2 * height
    part = torch.arange(2, device=chosen.device)
    y = (pixel // width * 2)[:, None, None] + part[:, None]
    x = (pixel % width * 2)[:, None, None] + part
    where = (y * (2 * width) + x).reshape(-1).to(torch.int32)
    return Samples(height=height, zoom=2, slot=slot, where=where, pixel=pixel)


def silhouettes(layer: Layer, height: int) -> Tensor:
    """(2 H H,) bool: covered pixels beside which another surface, or the sky, goes on.

    Over a plane the inverse distance of neighbours is almost linear; the sky's is 0.
    """
    t, covered = layer.distance.view(height, -1), layer.coverage.view(height, -1)
    inverse = torch.where(t > 0, 1 / t.clamp_min(1e-12), 0.0)
    around = F.pad(inverse[None], (1, 1), mode="circular")[0]
    out = _bent(
        around.unfold(1, 3, 1), torch.cat((covered[:, -1:], covered, covered[:, :1]), 1).unfold(1, 3, 1)
    )
    if height > 2:
        out[1:-1] |= _bent(inverse.unfold(0, 3, 1), covered.unfold(0, 3, 1))
    return out.view(-1)


def _bent(inverse: Tensor, covered: Tensor) -> Tensor:
    """Three neighbours (..., 3), all covered, that are on no plane."""
    low, here, high = inverse.unbind(-1)
    most = torch.maximum(torch.maximum(low, high), here)
    return (
        ((low + high - 2 * here).abs() > BREAK * most) & covered[..., 0] & covered[..., 1] & covered[..., 2]
    )


def mix_samples(layer: Layer, pixel: Tensor, fine: Layer) -> None:
    """Give each of the (n,) pixels of a layer the mean colour of its covered quarters, in place.

    What the pixel is (covered, its distance, its anchor) stays as its centre has it.
    """
    covered = fine.coverage.view(-1, 4).float()
    count = covered.sum(-1)
    mean = (fine.rgb.view(3, -1, 4) * covered).sum(-1) / count.clamp_min(1)
    layer.rgb[:, pixel] = torch.where(count > 0, mean, layer.rgb[:, pixel])


def direction_tables(height: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """((W, 2) sin and cos of the columns' longitudes, (H, 2) sin and cos of the rows' latitudes), float32."""
    width = 2 * height
    lon = ((torch.arange(width, dtype=torch.float64) + 0.5) / width - 0.5) * (2 * math.pi)
    lat = (0.5 - (torch.arange(height, dtype=torch.float64) + 0.5) / height) * math.pi
    columns = torch.stack((lon.sin(), lon.cos()), -1)
    rows = torch.stack((lat.sin(), lat.cos()), -1)
    return columns.float().to(device), rows.float().to(device)
