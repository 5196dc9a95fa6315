"""Which pixels triangles and caps can reach: plain torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._scene import ON_EDGE
from ._torch_vectors import dot, side, take

__all__ = ["cap_boxes", "pair_boxes", "wide_boxes"]

_MARGIN = 1e-2  # pixels: more than the rounding of a projected vertex


def pair_boxes(pixel: Tensor, corners: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """Boxes of narrow pairs of triangles.

    Args:
        pixel: (2, N) x and y of the points.
        corners: (4, M) int32.
        height: H of the grid, 2 H wide.

    Returns:
        ((4, M) x0, x1, y0, y1, not rounded and perhaps outside of the image,
        (M,) bool: too wide for this box, as all are that wind around a pole).
    """
    width = 2 * height
    x, *others = (pixel[0].index_select(0, corner) for corner in corners)
    offsets = [other - x for other in others]
    ab, ac, ad = (dx - width * torch.round(dx / width) for dx in offsets)
    low = torch.minimum(torch.minimum(ab, ac), ad).clamp_max(0)
    high = torch.maximum(torch.maximum(ab, ac), ad).clamp_min(0)
    ya, yb, yc, yd = (pixel[1].index_select(0, corner) for corner in corners)
    top = torch.minimum(torch.minimum(ya, yb), torch.minimum(yc, yd))
    bottom = torch.maximum(torch.maximum(ya, yb), torch.maximum(yc, yd))
    # Great circles bulge towards the poles by at most H / 2 pi (1 / cos(span / 2) - 1), as below: less than
    # 0.22 span^2 / H pixels up to an eighth of the width.
    span = high - low
    bulge = span.square() * (0.22 / height) + _MARGIN
    box = torch.stack((x + low - _MARGIN, x + high + _MARGIN, top - bulge, bottom + bulge))
    return box, span > width / 8


def wide_boxes(cam: Tensor, pixel: Tensor, corners: Tensor, height: int) -> Tensor:
    """Boxes of any pairs of triangles.

    Args:
        cam: (3, N) points in the camera's frame.
        pixel, corners, height: as in `pair_boxes`.

    Returns:
        (4, M) int64 inclusive x0, x1, y0, y1; x may leave the image by less than its width.
    """
    width = 2 * height
    first = _triangle_boxes(cam, pixel, corners[:3], height)
    second = _triangle_boxes(cam, pixel, corners[[3, 2, 1]], height)
    turns = width * torch.round((second[0] - first[0]) / width)
    x0, x1 = torch.minimum(first[0], second[0] - turns), torch.maximum(first[1], second[1] - turns)
    x1 = torch.minimum(x1, x0 + width - 1)
    turns = width * (x0 / width).floor()
    y0, y1 = torch.minimum(first[2], second[2]), torch.maximum(first[3], second[3])
    return torch.stack((x0 - turns, x1 - turns, y0, y1)).long()


def _triangle_boxes(cam: Tensor, pixel: Tensor, corners: Tensor, height: int) -> Tensor:
    """(4, M) whole x0, x1, y0, y1 of the triangles between (3, M) corners."""
    width = 2 * height
    xa, xb, xc = (pixel[0].index_select(0, corner) for corner in corners)
    ya, yb, yc = (pixel[1].index_select(0, corner) for corner in corners)
    ab, ac, bc = (dx - width * torch.round(dx / width) for dx in (xb - xa, xc - xa, xc - xb))
    x0 = (xa + torch.minimum(ab, ac).clamp_max(0) - _MARGIN).ceil()
    x1 = (xa + torch.maximum(ab, ac).clamp_min(0) + _MARGIN).floor()
    # Great circles bulge towards the poles: by at most sin cos (1 / cos(span / 2) - 1) of the latitude.
    span = torch.maximum(torch.maximum(ab.abs(), ac.abs()), bc.abs())
    half = torch.cos(span * (math.pi / width))
    bulge = (1 / half.clamp_min(1e-4) - 1) * (0.5 * height / math.pi)
    top = torch.minimum(ya, torch.minimum(yb, yc))
    bottom = torch.maximum(ya, torch.maximum(yb, yc))
    scale = 2 * math.pi / height
    upper, lower = top + 0.5 < 0.5 * height, bottom + 0.5 > 0.5 * height
    top = top - bulge * torch.sin(scale * (top + 0.5)).clamp_min(0) * upper
    bottom = bottom + bulge * (-torch.sin(scale * (bottom + 0.5))).clamp_min(0) * lower
    y0 = (top - _MARGIN).ceil().clamp_min(0)
    y1 = (bottom + _MARGIN).floor().clamp_max(height - 1)
    # Around a pole: all columns, up to the pole that lies inside.
    around = (ab + bc - ac).abs() > 0.5 * width
    north, south = _poles_inside(cam, corners)
    x0, x1 = torch.where(around, 0.0, x0), torch.where(around, width - 1.0, x1)
    y0 = torch.where(around & (north | ~south), 0.0, y0)
    y1 = torch.where(around & (south | ~north), height - 1.0, y1)
    return torch.stack((x0, torch.minimum(x1, x0 + width - 1), y0, y1))


def _poles_inside(cam: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """((M,) bool north, south): whether a triangle's cone holds the pole."""
    a, b, c = (take(cam, corner) for corner in corners)
    normals = [side(b, c), side(c, a), side(a, b)]
    sign = dot(normals[0], a).sign()
    e = torch.stack([normal[1] for normal in normals]) * sign
    close = e * e <= ON_EDGE * ON_EDGE * torch.stack([dot(normal, normal) for normal in normals])
    return ((-e >= 0) | close).all(0), ((e >= 0) | close).all(0)


def cap_boxes(pixel: Tensor, angle: Tensor, height: int) -> Tensor:
    """(2, K) pixels, (K,) radii -> (4, K) int64 inclusive boxes of caps; x may leave the image."""
    width = 2 * height
    x, y = pixel
    reach = angle * (height / math.pi) + _MARGIN
    y0 = (y - reach).ceil().clamp_min(0)
    y1 = (y + reach).floor().clamp_max(height - 1)
    lat = (0.5 - (y + 0.5) / height) * math.pi
    room = lat.cos().square() - angle.sin().square()
    span = torch.atan2(angle.sin(), room.clamp_min(0).sqrt()) * (height / math.pi) + _MARGIN
    x0 = (x - span).ceil()
    x1 = torch.minimum((x + span).floor(), x0 + width - 1)
    full = (lat.abs() + angle >= 0.5 * math.pi) | (room <= 0)
    x0, x1 = torch.where(full, 0.0, x0), torch.where(full, width - 1.0, x1)
    return torch.stack((x0, x1, y0, y1)).long()
