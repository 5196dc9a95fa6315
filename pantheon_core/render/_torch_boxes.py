"""Which pixels triangles and caps can reach, and the planes that bound a triangle: plain torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ._samples import Samples
from ._scene import ON_EDGE

__all__ = ["box_sums", "cap_boxes", "dot", "pole_boxes", "side_planes", "triangle_boxes"]


def triangle_boxes(pixel: Tensor, corners: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """((M, 4) boxes, (M,) bool: winds around a pole, so that the box is not final)."""
    width = 2 * height
    x, y = pixel.T.contiguous()
    (xa, ya), (xb, yb), (xc, yc) = ((x[corners[:, k]], y[corners[:, k]]) for k in range(3))

    def wrap(dx: Tensor) -> Tensor:
        return dx - width * torch.round(dx / width)

    ab, ac, bc = wrap(xb - xa), wrap(xc - xa), wrap(xc - xb)
    zero = torch.zeros_like(ab)
    x0 = (xa + torch.minimum(zero, torch.minimum(ab, ac)) - 1e-2).ceil()
    x1 = (xa + torch.maximum(zero, torch.maximum(ab, ac)) + 1e-2).floor()
    around = (ab + bc - ac).abs() > 0.5 * width
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
    y0 = (top - 1e-2).ceil().clamp_min(0)
    y1 = (bottom + 1e-2).floor().clamp_max(height - 1)
    x1 = torch.minimum(x1, x0 + width - 1)
    return torch.stack((x0, x1, y0, y1), -1).long(), around


def pole_boxes(cam: Tensor, corners: Tensor, box: Tensor, height: int) -> Tensor:
    """Boxes of triangles that wind around a pole: all columns, up to the pole that lies inside."""
    normals, _, det = side_planes(cam, corners)
    e = normals[1] * det.sign()
    close = e * e <= ON_EDGE * ON_EDGE * dot(normals, normals)
    north, south = ((-e >= 0) | close).all(0), ((e >= 0) | close).all(0)
    out = box.clone()
    out[:, 0], out[:, 1] = 0, 2 * height - 1
    out[north | ~south, 2] = 0
    out[south | ~north, 3] = height - 1
    return out


def cap_boxes(pixel: Tensor, angle: Tensor, height: int) -> Tensor:
    """(K, 4) inclusive boxes of the pixels that caps can reach; x may leave the image."""
    width = 2 * height
    reach = angle * (height / math.pi) + 1e-2
    y0 = (pixel[:, 1] - reach).ceil().clamp_min(0)
    y1 = (pixel[:, 1] + reach).floor().clamp_max(height - 1)
    lat = (0.5 - (pixel[:, 1] + 0.5) / height) * math.pi
    room = lat.cos().square() - angle.sin().square()
    span = torch.atan2(angle.sin(), room.clamp_min(0).sqrt()) * (height / math.pi) + 1e-2
    x0 = (pixel[:, 0] - span).ceil()
    x1 = torch.minimum((pixel[:, 0] + span).floor(), x0 + width - 1)
    full = (lat.abs() + angle >= 0.5 * math.pi) | (room <= 0)
    x0, x1 = torch.where(full, 0.0, x0), torch.where(full, width - 1.0, x1)
    return torch.stack((x0, x1, y0, y1), -1).long()


def box_sums(samples: Samples) -> Tensor:
    """(H + 1, 2 W + 1) pixels with samples above and left of each corner, the frame laid out twice in x."""
    has = (samples.slot >= 0).view(samples.height, -1).long()
    return F.pad(torch.cat((has, has), 1).cumsum(0).cumsum(1), (1, 0, 1, 0))


def cross(p: Tensor, q: Tensor) -> Tensor:
    """Cross product of (3, ...) vectors; along a last axis of three, torch takes several times as long."""
    return torch.stack((p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]))


def dot(p: Tensor, q: Tensor) -> Tensor:
    """Dot product of (3, ...) vectors."""
    return p[0] * q[0] + p[1] * q[1] + p[2] * q[2]


def side_planes(cam: Tensor, corners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(3 xyz, 3, M) normals of the planes through eye and sides, opposite the corners, (3, M) N, (M,) N.a.

    Neighbours across a side get exactly opposite normals: the cross product is taken in one order.
    """
    a, b, c = (cam[corners[:, k]].T.contiguous() for k in range(3))

    def side(i: int, j: int, p: Tensor, q: Tensor) -> Tensor:
        swap = corners[:, i] > corners[:, j]
        return cross(torch.where(swap, q, p), q - p)

    normals = torch.stack((side(1, 2, b, c), side(2, 0, c, a), side(0, 1, a, b)), 1)
    plane = cross(b - a, c - a)
    return normals, plane, dot(plane, a)
