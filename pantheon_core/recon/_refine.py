"""From the network's coarse maps to the panorama's size: edges follow the image, the floor is a plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._tiny_net import CAMERA_HEIGHT, latitude_prior, sphere_pad

__all__ = ["floor_level", "floor_plane", "joint_upsample", "straighten"]

_TAPS = (-1, 0, 1, 2)
_COLOUR_SIGMA = 0.08
_VALUE_SIGMA = 0.15
_CHUNK_PIXELS = 1 << 17
_GRAZING = 0.05


def joint_upsample(fields: Tensor, coarse_rgb: Tensor, rgb: Tensor) -> Tensor:
    """Joint bilateral upsampling that keeps to one side of an edge.

    Each pixel looks at the 4x4 coarse cells around it, weighted by a cubic B-spline (which reproduces slopes
    without steps) and, near breaks of the first field, by likeness of colour. There it follows the best
    matches: the others count by how near their first field is to theirs. So few values fall between two
    surfaces, which would draw skins through the air. Away from breaks the colours have no say, else every
    pattern on a wall would become a relief.

    Args:
        fields: (K, h, w) coarse maps; the first is the log-distance minus `latitude_prior`.
        coarse_rgb: (3, h, w) colours of the coarse cells.
        rgb: (3, H, W) the panorama.

    Returns:
        (K, H, W).

    Source: Kopf, Cohen, Lischinski, Uyttendaele, "Joint Bilateral Upsampling", SIGGRAPH 2007; the value
    weights are two steps of a mean shift.
    """
    height, width = rgb.shape[1:]
    rows_at_once = max(1, _CHUNK_PIXELS // width)
    prior = latitude_prior(fields.shape[1], device=fields.device)
    padded = sphere_pad(torch.cat((fields, coarse_rgb, _breaks(fields[0] + prior)[None])), 2)
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
    broken = rgb.new_zeros(())
    for dy in _TAPS:
        for dx in _TAPS:
            # padded by 2: taps reach from index -2 to size + 1
            cell = padded[:, (y0 + dy + 2).long()[:, None], (x0 + dx + 2).long()[None, :]]
            near = _spline(y - y0 - dy)[:, None] * _spline(x - x0 - dx)[None, :]
            # the small constant lets a pixel that matches no cell fall back on closeness
            unlike = (cell[count:-1] - rgb[:, start:stop]).square().sum(0) / (2 * _COLOUR_SIGMA**2)
            weights.append((near, unlike))
            values.append(cell)
            broken = broken + near * cell[-1]
    value = torch.stack(values)[:, :count]
    weight = torch.stack([near * ((-unlike * broken).exp() + 1e-4) for near, unlike in weights])
    first = value[:, 0]
    centre = (first * weight.square()).sum(0) / weight.square().sum(0)
    kept = weight
    for _ in range(2):
        kept = weight * (-broken * (first - centre).square() / (2 * _VALUE_SIGMA**2)).exp() + 1e-9
        centre = (first * kept).sum(0) / kept.sum(0)
    kept = kept[:, None]
    return (value * kept).sum(0) / kept.sum(0)


def _breaks(log_distance: Tensor) -> Tensor:
    """(h, w) 0..1, 1 around steps; planes, whose inverse distance is almost linear, have none."""
    inverse = (-log_distance).exp()
    p = sphere_pad(inverse[None], 1)[0]
    bend = torch.maximum(
        (p[:-2, 1:-1] + p[2:, 1:-1] - 2 * inverse).abs(),
        (p[1:-1, :-2] + p[1:-1, 2:] - 2 * inverse).abs(),
    )
    bend = torch.nn.functional.max_pool2d(sphere_pad((bend / inverse)[None], 1), 3, stride=1)[0]
    return ((bend - 0.1) / 0.15).clamp(0, 1)


def _spline(t: Tensor) -> Tensor:
    """Cubic B-spline, support -2..2."""
    t = t.abs()
    inner = 2 / 3 - t.square() + t**3 / 2
    outer = (2 - t).clamp(min=0) ** 3 / 6
    return torch.where(t < 1, inner, outer)


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

    Only where the distance agrees within a factor of about 1.5: a network may call a table top floor. Less
    than 3° below the horizon the floor stays at one distance: a surface seen so flat has no pixels to draw
    it with, and at that distance (20 camera heights) nothing is seen to move.
    """
    down = _down(log_distance.shape[0], log_distance.device)
    plane = (level / down.clamp(min=_GRAZING)).log()
    sure = ((floor - 0.4) / 0.4).clamp(0, 1)
    # towards the horizon the plane ends in a shell, which the network cannot know: no need to agree there
    agree = ((0.5 - (log_distance - plane).abs()) / 0.15).clamp(0, 1)
    agree = torch.where((down < _GRAZING) & (log_distance > plane), 1.0, agree)
    return log_distance + sure * agree * (plane - log_distance)


def straighten(log_distance: Tensor, floor: Tensor, sky: Tensor) -> Tensor:
    """Even out the horizontal distance up and down each column, within a surface and off the floor.

    What stands, stands upright: walls, trunks, posts keep their horizontal distance over the latitudes. A
    vertical bilateral filter (8° wide) on the log of it removes the waves that a coarse network draws on
    walls; level surfaces, known by `floor`, do not take part.

    Args:
        log_distance: (h, w) coarse.
        floor: (h, w) 0..1.
        sky: (h, w) 0..1.
    """
    height = log_distance.shape[0]
    lat = (0.5 - (torch.arange(height, device=log_distance.device) + 0.5) / height) * math.pi
    flat = log_distance + lat.cos().clamp(min=0.1).log()[:, None]
    stands = (1 - floor) * (1 - sky) * (lat.abs() < math.radians(55))[:, None] + 1e-4
    sigma = 8.0 / 180.0 * height
    reach = round(2 * sigma)
    pad_flat = torch.nn.functional.pad(flat[None], (0, 0, reach, reach), mode="replicate")[0]
    pad_stands = torch.nn.functional.pad(stands[None], (0, 0, reach, reach))[0]
    total, weight = torch.zeros_like(flat), torch.zeros_like(flat)
    for k in range(2 * reach + 1):
        near = math.exp(-0.5 * ((k - reach) / sigma) ** 2)
        other = pad_flat[k : k + height]
        part = near * pad_stands[k : k + height] * (-(other - flat).square() / (2 * _VALUE_SIGMA**2)).exp()
        total, weight = total + part * other, weight + part
    return log_distance + stands.clamp(max=1) * (total / weight.clamp(min=1e-6) - flat)
