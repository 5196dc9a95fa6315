"""Texture and sky lookups in plain torch; `_warp_kernels` holds the twins."""

from __future__ import annotations

from math import log2, pi

import torch
from torch import Tensor

from ._scene import CONE, PRISM, Scene
from ._textures import SIZE

__all__ = ["albedo", "sky_colour"]


def _texel(textures: Tensor, k: Tensor, level: Tensor, u: Tensor, v: Tensor) -> Tensor:
    size = torch.bitwise_right_shift(torch.full_like(level, SIZE), level)
    start = (4 * (SIZE * SIZE - size * size)) // 3
    x, y = u * size - 0.5, v * size - 0.5
    x0, y0 = x.floor(), y.floor()
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    xa, ya = x0.long() & (size - 1), y0.long() & (size - 1)
    xb, yb = (xa + 1) & (size - 1), (ya + 1) & (size - 1)
    top = textures[k, start + ya * size + xa] * (1 - fx) + textures[k, start + ya * size + xb] * fx
    low = textures[k, start + yb * size + xa] * (1 - fx) + textures[k, start + yb * size + xb] * fx
    return top * (1 - fy) + low * fy


def _sample(textures: Tensor, k: Tensor, u: Tensor, v: Tensor, footprint: Tensor) -> Tensor:
    top = round(log2(SIZE))
    levels = (footprint * SIZE).clamp_min(1).log2().clamp_max(top)
    lo = levels.floor().long()
    f = (levels - lo)[:, None]
    u, v = u - u.floor(), v - v.floor()
    high = _texel(textures, k, (lo + 1).clamp_max(top), u, v)
    return _texel(textures, k, lo, u, v) * (1 - f) + high * f


def _surface_uv(shape: Tensor, p: Tensor, n: Tensor, h: Tensor) -> Tensor:
    """(S, 4): metric u, v and the width and height of the face."""
    ax, ay, az = n.abs().unbind(-1)
    x, y, z = p.unbind(-1)
    hx, hy, hz = h.unbind(-1)
    side = torch.where(
        (ax >= az)[:, None], torch.stack([z, y, 2 * hz, 2 * hy], -1), torch.stack([x, y, 2 * hx, 2 * hy], -1)
    )
    cap = torch.stack([x, z, 2 * hx, 2 * hz], -1)
    uv = torch.where(((ay >= ax) & (ay >= az))[:, None], cap, side)
    length = torch.hypot(hz, 2 * hy)
    slope = torch.stack([x, y / (2 * hy) * length, 2 * hx, length], -1)
    uv = torch.where(((shape == PRISM) & (ax < 0.5) & (n[:, 1] < 0))[:, None], slope, uv)
    r = torch.maximum(hx, hz)
    mantle = torch.stack([torch.atan2(x, z) * r, y, 2 * pi * r, 2 * hy], -1)
    return torch.where(((shape == CONE) & (ay < 0.9))[:, None], mantle, uv)


def albedo(scene: Scene, winner: Tensor, p: Tensor, n: Tensor, footprint: Tensor) -> tuple[Tensor, Tensor]:
    """Texture times tint (S, 3) and emission (S,) at local points p with local normals n."""
    shape = scene.shape[winner]
    cap = (n[:, 1].abs() > 0.9) | ((shape == PRISM) & (n[:, 1] < 0))
    rows = torch.where(cap, scene.material[winner, 1], scene.material[winner, 0]).long()
    texture, width, height, fit, emission, mottle = scene.materials[rows].unbind(-1)
    uv = _surface_uv(shape, p, n, scene.half[winner])
    offset = scene.uv_offset[winner]
    repeat = (0.5 * fit).floor()
    w_fit = uv[:, 2] / (_round(uv[:, 2] / width) * repeat).clamp_min(1)
    h_fit = uv[:, 3] / (_round(uv[:, 3] / height) * repeat).clamp_min(1)
    fitted = fit > 0.5
    u = torch.where(fitted, (uv[:, 0] + 0.5 * uv[:, 2]) / w_fit, uv[:, 0] / width + offset[:, 0])
    v = torch.where(fitted, (uv[:, 1] + 0.5 * uv[:, 3]) / h_fit, uv[:, 1] / height + offset[:, 1])
    tile = torch.minimum(torch.where(fitted, w_fit, width), torch.where(fitted, h_fit, height))
    c = _sample(scene.textures, texture.long(), u, v, footprint / tile)
    grey = torch.zeros_like(texture).long()
    m = _sample(scene.textures, grey, uv[:, 0] / 7.3 + 0.37, uv[:, 1] / 7.3 + 0.61, footprint / 7.3)
    c = c * (1 + mottle * (m[:, 0] - 0.5))[:, None]
    return c * scene.tint[winner], emission


def _round(v: Tensor) -> Tensor:
    """Half away from zero, as in the kernel (torch.round goes to even)."""
    return (v + 0.5).floor()


def sky_colour(sky: Tensor, d: Tensor) -> Tensor:
    """Bilinear lookup of the sky (h, w, 3) along directions (S, 3)."""
    h, w = sky.shape[:2]
    x = (torch.atan2(d[:, 0], d[:, 2]) / (2 * pi) + 0.5) * w - 0.5
    y = (0.5 + d[:, 1].clamp(-1, 1).asin() / pi) * h - 0.5
    x0, y0 = x.floor(), y.floor()
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    xa, xb = x0.long() % w, (x0.long() + 1) % w
    ya, yb = y0.long().clamp(0, h - 1), (y0.long() + 1).clamp(0, h - 1)
    top = sky[ya, xa] * (1 - fx) + sky[ya, xb] * fx
    low = sky[yb, xa] * (1 - fx) + sky[yb, xb] * fx
    return top * (1 - fy) + low * fy
