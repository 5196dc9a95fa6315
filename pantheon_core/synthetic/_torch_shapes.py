"""The primitives in plain torch; `_warp_shapes` is the twin. Points and rays are (S, 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from ._scene import CONE, ELLIPSOID, PRISM, SHELL

__all__ = ["hit", "local_normal", "signed_distance", "to_local", "to_world"]


def to_local(v: Tensor, turn: Tensor) -> Tensor:
    """World directions into a primitive's frame."""
    c, s = turn[..., 0], turn[..., 1]
    return torch.stack([c * v[..., 0] - s * v[..., 2], v[..., 1], s * v[..., 0] + c * v[..., 2]], -1)


def to_world(v: Tensor, turn: Tensor) -> Tensor:
    """The inverse of `to_local`."""
    return to_local(v, turn * turn.new_tensor([1.0, -1.0]))


def _inverse(v: Tensor) -> Tensor:
    return torch.where(v.abs() < 1e-12, 1e12, 1 / torch.where(v == 0, 1.0, v))


def _kept(t: Tensor, ok: Tensor) -> Tensor:
    return torch.where(ok & (t > 0), t, -1.0)


def _hit_box(o: Tensor, d: Tensor, h: Tensor, inside: bool) -> Tensor:
    inverse = _inverse(d)
    a, b = (-h - o) * inverse, (h - o) * inverse
    lo, hi = torch.minimum(a, b).amax(-1), torch.maximum(a, b).amin(-1)
    return _kept(hi if inside else lo, lo <= hi)


def _hit_ellipsoid(o: Tensor, d: Tensor, h: Tensor) -> Tensor:
    p, q = o / h, d / h
    a, b = (q * q).sum(-1), (p * q).sum(-1)
    perp = p - q * (b / a)[:, None]
    disc = 1 - (perp * perp).sum(-1)
    return _kept(-b / a - (disc.clamp_min(0) / a).sqrt(), disc >= 0)


def _hit_cone(o: Tensor, d: Tensor, h: Tensor) -> Tensor:
    m, k = 0.5 * (h[0] + h[2]), 0.5 * (h[0] - h[2]) / h[1]
    ro, rd = m + k * o[:, 1], k * d[:, 1]
    a = d[:, 0] ** 2 + d[:, 2] ** 2 - rd**2
    b = o[:, 0] * d[:, 0] + o[:, 2] * d[:, 2] - ro * rd
    c = o[:, 0] ** 2 + o[:, 2] ** 2 - ro**2
    disc = b * b - a * c
    side = (disc > 0) & (a.abs() > 1e-9)
    root, safe = disc.clamp_min(0).sqrt(), torch.where(side, a, 1.0)
    best = torch.full_like(a, 1e30)
    for sign in (-1.0, 1.0):
        t = (-b + sign * root) / safe
        x, y, z = (o + t[:, None] * d).unbind(-1)
        radius = m + k * y
        facing = x * d[:, 0] + z * d[:, 2] - radius * rd
        ok = side & (t > 0) & (y.abs() <= h[1]) & (radius >= 0) & (facing < 0)
        best = torch.where(ok & (t < best), t, best)
    down = d[:, 1] > 0
    end, radius = torch.where(down, -h[1], h[1]), torch.where(down, h[2], h[0])
    level = d[:, 1].abs() <= 1e-9
    t = (end - o[:, 1]) / torch.where(level, 1.0, d[:, 1])
    x, _, z = (o + t[:, None] * d).unbind(-1)
    ok = ~level & (t > 0) & (t < best) & (x * x + z * z <= radius**2)
    best = torch.where(ok, t, best)
    return torch.where(best < 1e29, best, -1.0)


def _slope_normal(h: Tensor, side: Tensor) -> Tensor:
    n = torch.stack([torch.zeros_like(side), -h[..., 2] * torch.ones_like(side), side * 2 * h[..., 1]], -1)
    return n / n.norm(dim=-1, keepdim=True)


def _hit_prism(o: Tensor, d: Tensor, h: Tensor) -> Tensor:
    slopes = _slope_normal(h, h.new_tensor([-1.0, 1.0]))
    flat = h.new_tensor([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0]])
    n = torch.cat([flat, slopes])
    limit = torch.cat([torch.stack([h[0], h[0], h[1]]), -slopes[:, 1] * h[1]])
    over, speed = o @ n.T - limit, d @ n.T
    still = speed.abs() < 1e-12
    t = -over / torch.where(still, 1.0, speed)
    lo = torch.where(~still & (speed < 0), t, -1e30).amax(-1)
    hi = torch.where(~still & (speed > 0), t, 1e30).amin(-1)
    return _kept(lo, (lo <= hi) & ~(still & (over > 0)).any(-1))


def hit(shape: int, o: Tensor, d: Tensor, h: Tensor) -> Tensor:
    """Distance along rays (S, 3) from o (S, 3) to the primitive with half sizes h (3,); -1 where missed."""
    if shape == CONE:
        return _hit_cone(o, d, h)
    if shape == ELLIPSOID:
        return _hit_ellipsoid(o, d, h)
    if shape == PRISM:
        return _hit_prism(o, d, h)
    return _hit_box(o, d, h, shape == SHELL)


def _box_normal(p: Tensor, h: Tensor) -> Tensor:
    q = p.abs() - h
    # y wins ties, then x, as in the kernel.
    axis = torch.tensor([1, 0, 2], device=p.device)[q[:, [1, 0, 2]].argmax(-1)]
    return torch.nn.functional.one_hot(axis, 3) * p.sign()


def local_normal(shape: int, p: Tensor, h: Tensor) -> Tensor:
    """Outward normals (S, 3) at surface points p (S, 3) of primitives with half sizes h (S, 3)."""
    flat = torch.stack([torch.zeros_like(p[:, 1]), p[:, 1].sign(), torch.zeros_like(p[:, 1])], -1)
    if shape == CONE:
        m, k = 0.5 * (h[:, 0] + h[:, 2]), 0.5 * (h[:, 0] - h[:, 2]) / h[:, 1]
        radius = p[:, [0, 2]].norm(dim=-1)
        off = (radius - m - k * p[:, 1]).abs()
        safe = radius.clamp_min(1e-12)
        n = torch.stack([p[:, 0] / safe, -k, p[:, 2] / safe], -1)
        return torch.where((h[:, 1] - p[:, 1].abs() < off)[:, None], flat, n / n.norm(dim=-1, keepdim=True))
    if shape == ELLIPSOID:
        n = p / h / h
        return n / n.norm(dim=-1, keepdim=True)
    if shape == PRISM:
        n = _slope_normal(h, p[:, 2].sign())
        off = -n[:, 1] * h[:, 1] - (n * p).sum(-1)
        end, low = h[:, 0] - p[:, 0].abs(), h[:, 1] - p[:, 1]
        gable = torch.stack([p[:, 0].sign(), torch.zeros_like(off), torch.zeros_like(off)], -1)
        n = torch.where((low < off)[:, None], n.new_tensor([0.0, 1.0, 0.0]), n)
        return torch.where(((end < off) & (end < low))[:, None], gable, n)
    return -_box_normal(p, h) if shape == SHELL else _box_normal(p, h)


def signed_distance(shape: int, p: Tensor, h: Tensor) -> Tensor:
    """Distance (S,) of points p (S, 3) to the surface, about right near it; negative inside."""
    if shape == ELLIPSOID:
        q = p / h
        k0 = q.norm(dim=-1)
        return k0 * (k0 - 1) / (q / h).norm(dim=-1).clamp_min(1e-6)
    if shape == CONE:
        y = torch.minimum(torch.maximum(p[:, 1], -h[1]), h[1])
        r = 0.5 * (h[0] + h[2]) + 0.5 * (h[0] - h[2]) / h[1] * y
        q = torch.stack([p[:, [0, 2]].norm(dim=-1) - r, p[:, 1].abs() - h[1]], -1)
        return q.amax(-1).clamp_max(0) + q.clamp_min(0).norm(dim=-1)
    if shape == PRISM:
        n = _slope_normal(h, p[:, 2].sign())
        slope = (n * p).sum(-1) + n[:, 1] * h[1]
        return torch.maximum(torch.maximum(slope, p[:, 1] - h[1]), p[:, 0].abs() - h[0])
    q = p.abs() - h
    value = q.clamp_min(0).norm(dim=-1) + q.amax(-1).clamp_max(0)
    return -value if shape == SHELL else value
