"""From the network's coarse maps to the panorama's size: edges follow the image, the floor is a plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._tiny_net import CAMERA_HEIGHT, sphere_pad

__all__ = ["floor_level", "floor_plane", "joint_upsample"]

_TAPS = (-1, 0, 1, 2)
_COLOUR_SIGMA = 0.08
_SPACE_SIGMA = 0.9
_VALUE_SIGMA = 0.15
_CHUNK_PIXELS = 1 << 19


def joint_upsample(fields: Tensor, coarse_rgb: Tensor, rgb: Tensor) -> Tensor:
    """Joint bilateral upsampling that keeps to one side of an edge.

    Each pixel looks at the 4x4 coarse cells around it, weighted by closeness and likeness of colour. Of
    these it follows the best match: the others count by how near their first field is to it. So no value
    falls between two surfaces, which would draw skins through the air.

    Args:
        fields: (K, h, w) coarse maps; the first is the log-distance.
        coarse_rgb: (3, h, w) colours of the coarse cells.
        rgb: (3, H, W) the panorama.

    Returns:
        (K, H, W).

    Source: Kopf, Cohen, Lischinski, Uyttendaele, "Joint Bilateral Upsampling", SIGGRAPH 2007; the value
    weight is one step of a mean shift.
    """
    height, width = rgb.shape[1:]
    rows_at_once = max(1, _CHUNK_PIXELS // width)
    padded = sphere_pad(torch.cat((fields, coarse_rgb)), 2)
    chunks = [
        _upsample_rows(padded, rgb, fields.shape, start, min(start + rows_at_once, height))
        for start in range(0, height, rows_at_once)
    ]
    return torch.cat(chunks, dim=1)


def _upsample_rows(padded: Tensor, rgb: Tensor, shape: torch.Size, start: int, stop: int) -> Tensor:
    count, h, w = shape
    height, width = rgb.shape[1:]
    y = (torch.arange(start, stop, device=rgb.device) + 0.5) / height * h - 0.5
    x = (torch.arange(width, device=rgb.device) + 0.5) / width * w - 0.5
    y0, x0 = y.floor(), x.floor()
    weights, values = [], []
    for dy in _TAPS:
        for dx in _TAPS:
            # padded by 2: taps reach from index -2 to size + 1
            cell = padded[:, (y0 + dy + 2).long()[:, None], (x0 + dx + 2).long()[None, :]]
            near = -((y - y0 - dy) ** 2)[:, None] - ((x - x0 - dx) ** 2)[None, :]
            like = -(cell[count:] - rgb[:, start:stop]).square().sum(0)
            weights.append(near / (2 * _SPACE_SIGMA**2) + like / (2 * _COLOUR_SIGMA**2))
            values.append(cell[:count])
    log_weight, value = torch.stack(weights), torch.stack(values)
    best = log_weight.max(dim=0, keepdim=True)
    centre = value[:, 0].gather(0, best.indices)
    log_weight = log_weight - best.values - (value[:, 0] - centre).square() / (2 * _VALUE_SIGMA**2)
    weight = log_weight.exp()[:, None]
    return (value * weight).sum(0) / weight.sum(0)


def _down(height: int, device: torch.device) -> Tensor:
    """(H, 1) sine of the angle below the horizon."""
    rows = torch.arange(height, device=device, dtype=torch.float32)
    return -torch.sin((0.5 - (rows + 0.5) / height) * math.pi)[:, None]


def floor_level(log_distance: Tensor, floor: Tensor) -> float:
    """Height of the camera above the floor, metres: the median over the surest floor (both (h, w))."""
    down = _down(log_distance.shape[0], log_distance.device)
    sure = (floor > 0.7) & (down > math.sin(math.radians(15)))
    if int(sure.sum()) < 0.01 * floor.numel():
        return CAMERA_HEIGHT
    heights = (log_distance.exp() * down)[sure]
    # rows shrink towards the nadir; the median counts solid angle
    weight = (1 - down.square()).clamp(min=0).sqrt().expand_as(floor)[sure]
    order = heights.argsort()
    half = torch.searchsorted(weight[order].cumsum(0), weight.sum() / 2)
    return float(heights[order][half.clamp(max=len(order) - 1)])


def floor_plane(log_distance: Tensor, floor: Tensor, level: float) -> Tensor:
    """Pull what the network calls floor onto the plane `level` metres below the camera.

    Only where the distance agrees within a factor of about 1.5: a network may call a table top floor.
    """
    down = _down(log_distance.shape[0], log_distance.device)
    plane = (level / down.clamp(min=0.02)).log()
    sure = ((floor - 0.4) / 0.4).clamp(0, 1)
    agree = ((0.5 - (log_distance - plane).abs()) / 0.15).clamp(0, 1)
    pull = sure * agree * (down > 0.02)
    return log_distance + pull * (plane - log_distance)
