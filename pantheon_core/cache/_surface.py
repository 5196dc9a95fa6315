"""Triangles over a panorama's pixel grid, depth edges, and the caps over the poles."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ._types import CacheSettings

__all__ = ["depth_edges", "grid_triangles", "pole_fan"]


def _shift(field: Tensor, dim: int, steps: int) -> Tensor:
    """field[i + steps] along `dim`: around the seam in x, NaN beyond the poles in y."""
    if dim == -1:
        return field.roll(-steps, -1)
    height = field.shape[-2]
    out = field.new_full(field.shape, float("nan"))
    if abs(steps) < height:
        if steps >= 0:
            out[: height - steps] = field[steps:]
        else:
            out[-steps:] = field[:steps]
    return out


def _unexplained_steps(inverse: Tensor, dim: int, rtol: float) -> Tensor:
    """True where the step from a pixel to its next one along `dim` is a depth edge.

    Inverse distance is almost linear over a plane. A step is explained when three pixels on one side lie
    on a line that predicts it; three, because the one mixed pixel of a soft edge always makes a line of two.
    """
    here, after = inverse, _shift(inverse, dim, 1)
    step = (here - after).abs()
    large = step > rtol * torch.maximum(here, after)
    explained = torch.zeros_like(large)
    for near, back in ((0, -1), (1, 1)):
        p = _shift(inverse, dim, near)
        p1 = _shift(inverse, dim, near + back)
        p2 = _shift(inverse, dim, near + 2 * back)
        target = after if near == 0 else here
        straight = (2 * p1 - p - p2).abs() <= 0.5 * step
        explained |= straight & ((2 * p - p1 - target).abs() <= 0.5 * step)
    return large & ~explained


def _wide_range(inverse: Tensor, rtol: float) -> Tensor:
    """True at pixels whose 3x3 neighbourhood spans more than `rtol` of the distance."""
    padded = F.pad(inverse[None, None], (1, 1, 0, 0), mode="circular")
    far = padded.nan_to_num(nan=float("inf"))
    near = padded.nan_to_num(nan=0.0)
    low = -F.max_pool2d(F.pad(-far, (0, 0, 1, 1), value=-float("inf")), 3, stride=1)
    high = F.max_pool2d(F.pad(near, (0, 0, 1, 1)), 3, stride=1)
    return (high / low - 1 > rtol)[0, 0]


def depth_edges(distance: Tensor, valid: Tensor, settings: CacheSettings) -> tuple[Tensor, Tensor]:
    """Depth edges between neighbours.

    Args:
        distance: (H, W) metres; valid: (H, W) bool.
        settings: `edge_rule` and `edge_rtol`.

    Returns:
        ((H, W), (H, W)) bool: an edge between a pixel and the next in x (around the seam), and in y (the last
        row is False).
    """
    inverse = torch.where(valid, 1 / distance.clamp_min(1e-12), float("nan"))
    if settings.edge_rule == "range":
        wide = _wide_range(inverse, settings.edge_rtol)
        down = torch.zeros_like(wide)
        down[:-1] = wide[:-1] | wide[1:]
        return wide | wide.roll(-1, -1), down
    return (
        _unexplained_steps(inverse, -1, settings.edge_rtol),
        _unexplained_steps(inverse, -2, settings.edge_rtol),
    )


def grid_triangles(valid: Tensor, edge_x: Tensor, edge_y: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Two triangles for every square of four pixels, the last column joined to the first.

    A square is cut along the diagonal with the smaller step of distance, so that a depth edge through a
    corner takes one triangle and not both.

    Returns:
        ((M, 3) int64 pixel numbers y W + x, facing the camera; (M,) bool edge), complete triangles only.
    """
    height, width = valid.shape
    number = torch.arange(height * width, device=valid.device).view(height, width)
    a, c = number[:-1], number[1:]
    b, d = a.roll(-1, -1), c.roll(-1, -1)
    t = distance.double().clamp_min(1e-12).log()
    ta, tb, tc, td = t[:-1], t[:-1].roll(-1, -1), t[1:], t[1:].roll(-1, -1)
    va, vc = valid[:-1], valid[1:]
    vb, vd = va.roll(-1, -1), vc.roll(-1, -1)
    # Where one corner is missing, the cut must leave the other three together.
    cut_ad = torch.where(va & vb & vc & vd, (ta - td).abs() <= (tb - tc).abs(), ~(vb & vc))
    first = torch.where(cut_ad[..., None], torch.stack((a, c, d), -1), torch.stack((a, c, b), -1))
    second = torch.where(cut_ad[..., None], torch.stack((a, d, b), -1), torch.stack((b, c, d), -1))
    top, bottom = edge_x[:-1], edge_x[1:]
    left, right = edge_y[:-1], edge_y[:-1].roll(-1, -1)
    first_edge = left | torch.where(cut_ad, bottom, top)
    second_edge = right | torch.where(cut_ad, top, bottom)
    triangles = torch.stack((first, second), 2).reshape(-1, 3)
    edge = torch.stack((first_edge, second_edge), 2).reshape(-1)
    whole = valid.view(-1)[triangles].all(-1)
    return triangles[whole], edge[whole]


def pole_fan(
    row: int, vertex: int, ring_valid: Tensor, ring_edge: Tensor, first: int
) -> tuple[Tensor, Tensor]:
    """Triangles from the pole's vertex to its ring of pixels.

    Args:
        row: 0 for the upper pole, else the lower.
        vertex: number of the pole's vertex.
        ring_valid: (W,) bool; ring_edge: (W,) bool, a depth edge between a pixel and the next.
        first: number of the ring's first pixel.
    """
    width = ring_valid.shape[0]
    here = torch.arange(width, device=ring_valid.device) + first
    after = here.roll(-1)
    pole = torch.full_like(here, vertex)
    triangles = torch.stack((pole, here, after) if row == 0 else (pole, after, here), -1)
    whole = ring_valid & ring_valid.roll(-1)
    return triangles[whole], ring_edge[whole]
