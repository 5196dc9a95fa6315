"""Clearance in a scene, and camera paths that keep it."""

from __future__ import annotations

from math import pi

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from ..check import check_shape
from ..errors import InputError
from ._scene import CONE, ELLIPSOID, PRISM, SHELL, Scene

__all__ = ["MIN_CLEARANCE", "free_position", "scene_clearance", "scene_path"]

MIN_CLEARANCE = 0.3


def _box_distance(local: Tensor, half: Tensor) -> Tensor:
    q = local.abs() - half
    return q.clamp_min(0).norm(dim=-1) + q.amax(-1).clamp_max(0)


def scene_clearance(scene: Scene, points: Tensor) -> Tensor:
    """Distance of points (..., 3), metres, world, to the nearest surface; negative inside a solid.

    Exact for boxes; for the other kinds a lower bound, so that what it calls free is free.
    """
    check_shape("points", points, "... 3")
    flat = points.to(scene.center).reshape(-1, 1, 3)
    d = flat - scene.center
    c, s = scene.turn.unbind(-1)
    local = torch.stack([c * d[..., 0] - s * d[..., 2], d[..., 1], s * d[..., 0] + c * d[..., 2]], -1)
    half = scene.half
    wide = torch.maximum(half[:, 0], half[:, 2])
    box = _box_distance(local, half)
    radial = torch.stack([local[..., [0, 2]].norm(dim=-1) - wide, local[..., 1].abs() - half[:, 1]], -1)
    cone = radial.clamp_min(0).norm(dim=-1) + radial.amax(-1).clamp_max(0)
    ball = (local / half.clamp_min(1e-6)).norm(dim=-1)
    # (|p/h| - 1) min(h) never exceeds the distance to the ellipsoid.
    ellipsoid = torch.maximum((ball - 1) * half.amin(-1), box)
    value = torch.where(scene.shape == CONE, cone, box)
    value = torch.where(scene.shape == ELLIPSOID, ellipsoid, value)
    value = torch.where(scene.shape == PRISM, box, value)
    value = torch.where(scene.shape == SHELL, -box, value)
    return value.amin(-1).reshape(points.shape[:-1])


def free_position(
    scene: Scene, generator: Generator, *, reach: float = 3.0, clearance: float = 0.5, tries: int = 256
) -> Tensor:
    """A random point (3,) in the world, near the origin's height, with room around it.

    Args:
        scene: the scene.
        generator: numpy random generator.
        reach: how far from the origin, metres.
        clearance: distance that every surface keeps, metres.
        tries: candidates looked at.

    Raises:
        InputError: no candidate is free.
    """
    angle = generator.uniform(-pi, pi, tries)
    away = reach * np.sqrt(generator.uniform(0, 1, tries))
    lift = generator.uniform(-0.15, 0.15, tries)
    points = torch.from_numpy(np.stack([away * np.sin(angle), lift, away * np.cos(angle)], -1)).float()
    # A free point behind a wall is no use: the straight way from the origin has to be free as well.
    along = points[:, None] * torch.linspace(0, 1, 24)[:, None]
    free = (scene_clearance(scene, along).amin(-1) >= min(clearance, MIN_CLEARANCE)) & (
        scene_clearance(scene, points) >= clearance
    )
    found = free.nonzero()
    if not len(found):
        raise InputError(
            f"free_position: no point within {reach} m of the origin of {scene.name} keeps {clearance} m; "
            "lower `clearance` or raise `reach`"
        )
    return points[int(found[0])]


def _free_length(scene: Scene, yaw: float, limit: float) -> float:
    """How far one can go from the origin along `yaw` with MIN_CLEARANCE, metres."""
    steps = torch.linspace(0, limit, 96)
    way = torch.tensor([np.sin(yaw), 0.0, np.cos(yaw)], dtype=torch.float32)
    ok = scene_clearance(scene, steps[:, None] * way) >= MIN_CLEARANCE
    blocked = (~ok).nonzero()
    return (
        float(steps[int(blocked[0]) - 1])
        if len(blocked) and int(blocked[0])
        else (0.0 if len(blocked) else limit)
    )


def _curve(rng: Generator, yaw: float, length: float, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (T, 3) and directions of motion (T,) of a straight line, an arc or a walk."""
    u = np.linspace(0, 1, frames)
    style = rng.integers(3)
    if style == 0:
        direction = np.full(frames, yaw)
    elif style == 1:
        direction = yaw + rng.uniform(-1.2, 1.2) * u
    else:
        direction = (
            yaw
            + rng.uniform(-0.7, 0.7) * np.sin(2 * pi * (rng.uniform(0.4, 1.2) * u))
            + rng.uniform(-0.5, 0.5) * u
        )
    speed = np.ones(frames)
    if rng.random() < 0.3:
        speed = 0.15 + np.sin(pi * u) if rng.random() < 0.5 else 0.3 + u
    step = np.stack([np.sin(direction), np.zeros(frames), np.cos(direction)], -1) * speed[:, None]
    position = np.concatenate([np.zeros((1, 3)), np.cumsum(0.5 * (step[1:] + step[:-1]), 0)])
    total = np.linalg.norm(np.diff(position, axis=0), axis=-1).sum() if frames > 1 else 1.0
    position = position * (length / max(total, 1e-9))
    if rng.random() < 0.5:
        position[:, 1] = rng.uniform(-0.25, 0.25) * u * min(1.0, length)
    if rng.random() < 0.3:
        position[:, 1] += rng.uniform(0.005, 0.02) * np.sin(2 * pi * u * max(1.0, length / 0.7))
    return position - position[0], direction


def scene_path(
    scene: Scene,
    seed: int,
    frames: int,
    fps: float,
    *,
    share: tuple[float, float] = (0.0, 0.4),
    max_speed: float = 2.5,
) -> Tensor:
    """A camera path from the world origin that keeps `MIN_CLEARANCE` to everything.

    Straight lines, arcs and walks of 0.3 m or more, at most `max_speed`; the heading stays,
    or turns with the motion, or looks around a little; always upright. The first camera is the identity.

    Args:
        scene: the scene.
        seed: of the path; even for training, `holdout` seeds from 1 000 000 on.
        frames: number of cameras T, from 1.
        fps: frames per second, limits the length by `max_speed` (metres per second).
        share: least and most length of the path, as shares of the free way in its direction.
        max_speed: metres per second.

    Returns:
        T_world_cam (T, 4, 4) float32.

    Raises:
        InputError: frames or fps below 1, or the origin itself is too close to a surface.
    """
    if frames < 1 or fps <= 0:
        raise InputError(f"frames, fps: expected frames >= 1 and fps > 0, got {frames} and {fps}")
    device_scene = scene.to("cpu")
    rng = np.random.Generator(np.random.PCG64([scene.seed, seed]))
    poses = torch.eye(4).repeat(frames, 1, 1)
    if frames == 1:
        return poses
    longest = max_speed * (frames - 1) / fps
    for attempt in range(64):
        yaw = rng.uniform(-pi, pi)
        free = _free_length(device_scene, yaw, 25.0)
        low, high = (min(max(part * free, 0.3), max(longest, 0.3)) for part in share)
        length = np.exp(rng.uniform(np.log(low), np.log(max(high, low + 1e-3)))) * 0.93**attempt
        position, direction = _curve(rng, yaw, length, frames)
        fine = _densify(torch.from_numpy(position).float())
        if bool((scene_clearance(device_scene, fine) >= MIN_CLEARANCE).all()):
            heading = _heading(rng, direction, frames)
            c, s = np.cos(heading), np.sin(heading)
            poses[:, :3, 3] = torch.from_numpy(position).float()
            poses[:, 0, 0] = poses[:, 2, 2] = torch.from_numpy(c).float()
            poses[:, 0, 2], poses[:, 2, 0] = torch.from_numpy(s).float(), torch.from_numpy(-s).float()
            return poses
    raise InputError(
        f"scene_path: the origin of {scene.name} leaves no way out with {MIN_CLEARANCE} m to spare"
    )


def _densify(position: Tensor, per_step: int = 4) -> Tensor:
    u = torch.linspace(0, 1, per_step + 1)[:, None, None]
    return (position[:-1] * (1 - u) + position[1:] * u).reshape(-1, 3)


def _heading(rng: Generator, direction: np.ndarray, frames: int) -> np.ndarray:
    """Yaw of the camera per frame, 0 in the first."""
    u = np.linspace(0, 1, frames)
    style = rng.integers(4)
    if style == 0:
        return direction - direction[0]
    if style == 1:
        return rng.uniform(-0.6, 0.6) * u
    return np.zeros(frames)
