"""Errors put into a cache and its cameras, so that a model learns how far to trust a scaffold."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..cache import PointCache
from ..geometry import rotation_from_yaw_pitch_roll
from .config_parts import CorruptionConfig

__all__ = ["corrupt"]

_BUMPS = (4, 8)


def corrupt(
    cache: PointCache, T_world_cam: Tensor, settings: CorruptionConfig, generator: torch.Generator
) -> tuple[PointCache, Tensor]:
    """A worse cache and cameras that miss their place, or both as they came (`settings.share`).

    Distances change along rays of the first camera, whose own view therefore stays as it was. A cache that
    loses points loses its surface too: that is what a sparse cloud looks like.

    Args:
        cache: points, with a surface or without.
        T_world_cam: (T, 4, 4) the cameras that the scaffold is rendered from.
        settings: kinds and amounts.
        generator: all randomness.

    Returns:
        A new cache and (T, 4, 4) cameras; the first camera stays.
    """
    if float(torch.rand(1, generator=generator)) >= settings.share or not len(cache.points):
        return cache, T_world_cam
    eye = T_world_cam[0, :3, 3].to(cache.points)
    scale = float((cache.points - eye).norm(dim=-1).median())
    cache = _move_points(cache, eye, settings, generator)
    cache = _drop_points(cache, settings, generator)
    return cache, _shake(T_world_cam, scale, settings, generator)


def _move_points(
    cache: PointCache, eye: Tensor, settings: CorruptionConfig, generator: torch.Generator
) -> PointCache:
    if settings.depth_noise == 0 and settings.depth_warp == 0:
        return cache
    ray = cache.points - eye
    change = settings.depth_noise * torch.randn(len(ray), generator=generator)
    if settings.depth_warp:
        field = torch.randn(1, 1, *_BUMPS, generator=generator)
        lon = torch.atan2(ray[:, 0], ray[:, 2]) / math.pi
        lat = torch.atan2(ray[:, 1], torch.hypot(ray[:, 0], ray[:, 2])) / (math.pi / 2)
        # Longitude wraps: a column beyond each side, and the grid shrunk by as much.
        wide = torch.cat([field[..., -1:], field, field[..., :1]], -1)
        place = torch.stack([lon * _BUMPS[1] / (_BUMPS[1] + 2), lat], -1)[None, None].cpu()
        smooth = F.grid_sample(wide, place, mode="bicubic", padding_mode="border", align_corners=False)
        change = change + settings.depth_warp * smooth[0, 0, 0]
    return replace(cache, points=eye + ray * change.to(ray).exp()[:, None])


def _drop_points(cache: PointCache, settings: CorruptionConfig, generator: torch.Generator) -> PointCache:
    low, high = (math.log(share) for share in settings.point_keep)
    share = math.exp(low + (high - low) * float(torch.rand(1, generator=generator)))
    stay = (torch.rand(len(cache.points), generator=generator) < share).to(cache.points.device)
    if bool(stay.all()) or not bool(stay.any()):
        return cache
    return replace(
        cache,
        points=cache.points[stay],
        colors=cache.colors[stay],
        confidence=cache.confidence[stay],
        anchor=cache.anchor[stay],
        triangles=None,
        edge=None,
    )


def _shake(
    T_world_cam: Tensor, scale: float, settings: CorruptionConfig, generator: torch.Generator
) -> Tensor:
    if settings.pose_shift == 0 and settings.pose_turn_deg == 0:
        return T_world_cam
    shaken = T_world_cam.clone()
    draw = torch.randn(len(shaken), 6, generator=generator).to(shaken)
    turn = math.radians(settings.pose_turn_deg) * draw[1:, 3:]
    shaken[1:, :3, :3] = shaken[1:, :3, :3] @ rotation_from_yaw_pitch_roll(*turn.unbind(-1))
    shaken[1:, :3, 3] += settings.pose_shift * scale * draw[1:, :3]
    return shaken
