"""A box room whose walls carry a smooth texture: exact frames of any camera, cheap and without aliasing."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from pantheon_core.geometry import (
    erp_rays,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
    se3_from,
    se3_inverse,
    transform_points,
)
from pantheon_core.recon.poses import PanoramaPoses
from pantheon_core.recon.video_in import TrackSettings, VideoTrack
from pantheon_core.recon.video_in._select import Selector

H = 96

HALF = torch.tensor([2.5, 1.4, 3.5])

FAST = TrackSettings(height=H, tracking_height=H, corners=80)


def _texture(points: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """(..., 3) colours 0..1 of points: waves in random directions, 0.2 to 1 m long."""
    generator = torch.Generator().manual_seed(seed)
    waves = F.normalize(torch.randn(40, 3, generator=generator), dim=1)
    waves = waves * (2 * math.pi / (0.3 + 0.9 * torch.rand(40, 1, generator=generator)))
    phase = 2 * math.pi * torch.rand(40, generator=generator)
    mix = torch.randn(40, 3, generator=generator) / math.sqrt(20)
    return torch.sigmoid(1.5 * torch.sin(points @ waves.T + phase) @ mix)


def frame(T_world_cam: torch.Tensor, height: int = H, seed: int = 0) -> torch.Tensor:
    """(3, H, 2H) what a camera in the box sees."""
    rays = rotate_vectors(T_world_cam[:3, :3].float(), erp_rays(height))
    eye = T_world_cam[:3, 3].float()
    away = (torch.where(rays > 0, HALF, -HALF) - eye) / torch.where(rays.abs() < 1e-9, 1e-9, rays)
    points = eye + rays * away.amin(-1, keepdim=True)
    return _texture(points, seed).movedim(-1, 0)


def shaky_walk(frames: int, *, length: float = 1.2, turn: float = 4.0, sway: float = 0.02) -> torch.Tensor:
    """(T, 4, 4) float64: a walk along +z with a hand-held camera, angles in degrees, metres."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(frames + 4, 6, generator=generator, dtype=torch.float64)
    noise = torch.stack([noise[i : i + 5].mean(0) for i in range(frames)]) * math.sqrt(5)
    angle = noise[:, :3] * math.radians(turn) / 2
    place = noise[:, 3:] * sway
    place[:, 2] += torch.linspace(-length / 2, length / 2, frames, dtype=torch.float64)
    return se3_from(rotation_from_yaw_pitch_roll(angle[:, 0], angle[:, 1], angle[:, 2]), place)


def known_places(T_world_cam: torch.Tensor, video: list[torch.Tensor]):
    """A solver that looks the key frames up: poses as from a file, points on the walls."""

    def solve(rgb, valid, progress) -> PanoramaPoses:
        rows = [min(range(len(video)), key=lambda i: float((video[i] - one).abs().max())) for one in rgb]
        T_first = se3_inverse(T_world_cam[rows[0]])
        generator = torch.Generator().manual_seed(0)
        points = (2 * torch.rand(240, 3, generator=generator, dtype=torch.float64) - 1) * HALF
        wall = torch.randint(3, (240, 1), generator=generator)
        sign = torch.sign(points.gather(1, wall)) * HALF.double()[wall]
        points = points.scatter(1, wall, sign)
        count = torch.arange(len(rows))
        return PanoramaPoses(
            T_world_cam=(T_first @ T_world_cam[rows]).float(),
            registered=torch.ones(len(rows), dtype=torch.bool),
            points=transform_points(T_first, points).float(),
            colors=torch.zeros(240, 3, dtype=torch.uint8),
            observation_panorama=count.repeat_interleave(240),
            observation_point=torch.arange(240).repeat(len(rows)),
            method="file",
        )

    return solve


def errors_of(track: VideoTrack, T_world_cam: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Degrees and metres (T,) in the frame of the first registered key frame, whose place both share."""
    first = next(key.frame for key in track.keys if key.registered)
    truth = se3_inverse(T_world_cam[first]) @ T_world_cam[track.start : track.stop]
    found = track.trajectory.T_world_cam.double()
    off = found[:, :3, :3].mT @ truth[:, :3, :3]
    sine = torch.stack(
        (off[:, 2, 1] - off[:, 1, 2], off[:, 0, 2] - off[:, 2, 0], off[:, 1, 0] - off[:, 0, 1])
    )
    cosine = off.diagonal(dim1=1, dim2=2).sum(1) - 1
    degrees = torch.rad2deg(torch.atan2(sine.norm(dim=0), cosine))
    return degrees, (found[:, :3, 3] - truth[:, :3, 3]).norm(dim=1)


def blur(rgb: torch.Tensor, radius: int) -> torch.Tensor:
    side = 2 * radius + 1
    wide = F.pad(rgb[None], (radius, radius, 0, 0), mode="circular")
    wide = F.pad(wide, (0, 0, radius, radius), mode="replicate")
    return F.avg_pool2d(wide, side, stride=1)[0]


WALK = shaky_walk(20, length=1.0)


def select(video: list[torch.Tensor], settings: TrackSettings = FAST) -> Selector:
    selector = Selector(settings)
    for rgb in video:
        selector.add(rgb)
    selector.finish()
    return selector
