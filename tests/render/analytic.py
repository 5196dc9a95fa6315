"""A box room with a sphere, traced in closed form: the tests' ground truth, and its caches."""

from __future__ import annotations

import torch
from torch import Tensor

from pantheon_core.cache import CacheSettings, PointCache, cache_from_erp
from pantheon_core.geometry import erp_rays

LOW, HIGH = (-3.0, -1.5, -4.0), (3.0, 1.5, 4.0)
CENTER, RADIUS = (1.0, 0.5, 2.0), 0.6


def view(height: int, position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> tuple[Tensor, Tensor]:
    """(3, H, W) smooth colours of the surface points and (H, W) distances."""
    rays = erp_rays(height).double()
    eye = torch.tensor(position).double()
    planes = torch.stack([torch.tensor(LOW), torch.tensor(HIGH)]).double()
    t = ((planes - eye)[:, None, None] / rays).clamp_min(0)
    t = torch.where(t > 0, t, torch.inf).amin((0, 3))
    out = eye - torch.tensor(CENTER).double()
    b = (rays * out).sum(-1)
    inside = b * b - (out @ out - RADIUS**2)
    near = -b - inside.clamp_min(0).sqrt()
    ball = (inside > 0) & (near > 0) & (near < t)
    t = torch.where(ball, near, t)
    points = eye + rays * t[..., None]
    rgb = 0.5 + 0.4 * torch.sin(points * 2 + ball[..., None])
    return rgb.permute(2, 0, 1).float(), t.float()


def seen_from(position: tuple[float, float, float], height: int) -> Tensor:
    """(H, W) bool: the surface point in each pixel of a camera at `position` is seen from the origin."""
    _, t = view(height, position)
    points = erp_rays(height).double() * t[..., None] + torch.tensor(position).double()
    far = points.norm(dim=-1)
    rays = points / far[..., None]
    ball = torch.tensor(CENTER).double()
    b = rays @ ball
    inside = b * b - (ball @ ball - RADIUS**2)
    near = b - inside.clamp_min(0).sqrt()
    return ~((inside > 0) & (near > 0) & (near < far * 0.999))


def cache(height: int, **settings: object) -> PointCache:
    """The room's cache, seen from the origin."""
    rgb, t = view(height)
    return cache_from_erp(rgb, t, torch.ones_like(t, dtype=torch.bool), settings=CacheSettings(**settings))


def moved(x: float, y: float, z: float) -> Tensor:
    """(4, 4) unturned camera."""
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([x, y, z])
    return pose
