"""The points of a cache back on the pixels of the panorama that saw them, and neighbours on the sphere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...geometry import rays_to_erp_pixels
from .._types import PointCache

__all__ = [
    "AnchorGrid",
    "anchor_grid",
    "around",
    "components",
    "log_slope",
    "range_3x3",
    "row_weight",
    "window",
]

_OFF_CENTRE = 0.25  # pixels: a point farther from a pixel's centre did not come from that pixel
_TALLEST = 16384


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnchorGrid:
    """What one anchor saw, as its panorama.

    Attributes:
        number: (H, W) int64, the point of each pixel; -1 where there is none.
        distance: (H, W) float32 from the anchor, in the cache's unit; 0 where there is no point.
    """

    number: Tensor
    distance: Tensor

    @property
    def valid(self) -> Tensor:
        """(H, W) bool."""
        return self.number >= 0

    @property
    def height(self) -> int:
        """Rows."""
        return self.number.shape[0]


def anchor_grid(cache: PointCache, anchor: int) -> AnchorGrid | None:
    """The pixel grid of one anchor, or None where its panorama's size is not known or it has no points.

    Where several points fall on one pixel the nearest counts. Vertices at the poles lie on no pixel.
    """
    angles = cache.anchor_pixel_angle
    angle = 0.0 if angles is None else float(angles[anchor])
    if not 0 < angle <= math.pi / 2 or math.pi / angle > _TALLEST:
        return None
    height = round(math.pi / angle)
    mine = (cache.anchor == anchor).nonzero()[:, 0]
    pose = cache.T_world_anchor[anchor].to(cache.points)
    local = (cache.points[mine] - pose[:3, 3]) @ pose[:3, :3]
    far = local.norm(dim=-1)
    xy = rays_to_erp_pixels(local, height)
    pixel = xy.round()
    there = ((xy - pixel).abs().amax(-1) < _OFF_CENTRE) & (far > 0) & far.isfinite()
    there &= (pixel[:, 1] >= 0) & (pixel[:, 1] < height)
    if not bool(there.any()):
        return None
    mine, far = mine[there], far[there]
    at = (pixel[there, 1].long() * 2 * height) + pixel[there, 0].long() % (2 * height)
    # distance bits of positive floats order like integers: the least key is the nearest point
    key = (far.float().view(torch.int32).long() << 32) | mine
    empty = torch.iinfo(torch.int64).max
    best = torch.full((2 * height * height,), empty, device=key.device).scatter_reduce_(0, at, key, "amin")
    found = best != empty
    number = torch.where(found, best & 0xFFFFFFFF, -1)
    distance = torch.zeros(len(best), device=key.device)
    distance[found] = (best[found] >> 32).to(torch.int32).view(torch.float32)
    return AnchorGrid(number=number.view(height, -1), distance=distance.view(height, -1))


def around(field: Tensor, size: int) -> Tensor:
    """Pad (..., H, W): columns wrap, rows go on over the poles half a turn away."""
    size = min(size, field.shape[-2])
    half = field.shape[-1] // 2
    top = field[..., :size, :].flip(-2).roll(half, -1)
    bottom = field[..., -size:, :].flip(-2).roll(half, -1)
    field = torch.cat((top, field, bottom), dim=-2)
    return torch.cat((field[..., -size:], field, field[..., :size]), dim=-1)


def window(field: Tensor, radius: int) -> Iterator[Tensor]:
    """(H, W) as each neighbour within a square sees it, the pixel itself left out; views, no copies."""
    height, width = field.shape[-2:]
    padded = around(field, radius)
    for y in range(2 * radius + 1):
        for x in range(2 * radius + 1):
            if (y, x) != (radius, radius):
                yield padded[..., y : y + height, x : x + width]


def range_3x3(field: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest value of (H, W) in the 3x3 neighbourhood; pixels that are not valid do not count."""
    infinity = field.new_tensor(float("inf"))
    high = F.max_pool2d(around(torch.where(valid, field, -infinity), 1)[None, None], 3, 1)[0, 0]
    low = -F.max_pool2d(around(torch.where(valid, -field, -infinity), 1)[None, None], 3, 1)[0, 0]
    return low, high


def row_weight(height: int, device: torch.device) -> Tensor:
    """(H, 1) solid angle of a pixel, 1 at the equator."""
    rows = torch.arange(height, device=device, dtype=torch.float32)
    return torch.cos(((rows + 0.5) / height - 0.5) * math.pi)[:, None]


def log_slope(height: int, device: torch.device) -> Tensor:
    """(H, 1) log of the sine of the angle off the horizon; with log distance it gives log height."""
    rows = torch.arange(height, device=device, dtype=torch.float32)
    return torch.sin((0.5 - (rows + 0.5) / height) * math.pi)[:, None].abs().clamp_min(1e-6).log()


def components(count: int, first: Tensor, second: Tensor) -> Tensor:
    """(count,) int64: the least node of each node's connected component, for edges first[i] - second[i].

    Source: the hooking and pointer jumping of Y. Shiloach and U. Vishkin, An O(log n) parallel connectivity
    algorithm, 1982.
    """
    label = torch.arange(count, device=first.device)
    while True:
        a, b = label[first], label[second]
        apart = a != b
        if not bool(apart.any()):
            return label
        first, second = first[apart], second[apart]
        low = torch.minimum(a, b)[apart]
        label = label.scatter_reduce(0, a[apart], low, "amin").scatter_reduce(0, b[apart], low, "amin")
        while True:
            jumped = label[label]
            if torch.equal(jumped, label):
                break
            label = jumped
