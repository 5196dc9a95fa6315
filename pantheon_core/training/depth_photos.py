"""Real photographs with layout labels and a perspective teacher, as training targets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..geometry import (
    crop_rotations,
    erp_to_perspective,
    perspective_depth_to_distance,
    perspective_to_erp,
    resize_erp,
)
from .depth_from_onnx import FastDepth
from .depth_labels import PHOTO_LABELS, PhotoLabel
from .depth_losses import DepthTarget

__all__ = ["LabelledPhoto", "fuse_fastdepth", "layout_target", "load_photos"]

# file name in the photo folder of each label, where it differs from the label's own name
_FILES = {"garden_path": "forest", "hotel_room": "interior"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledPhoto:
    """A photograph (3, H, W) 0..1 and its target at (1, H/2, W/2)."""

    name: str
    rgb: Tensor
    target: DepthTarget


@torch.no_grad()
def fuse_fastdepth(rgb: Tensor, teacher: FastDepth, height: int) -> tuple[Tensor, Tensor]:
    """The perspective network on crops of a panorama, fused: log-distance (height, 2 height) and its weight.

    24 crops of 90° (8 yaws at pitches -45°, 0°, 45°); every crop is scaled to agree with the others in the
    mean of the log-distance where they overlap, then they are averaged with feathered weights.
    """
    from ..geometry import rotation_from_yaw_pitch_roll

    pitches = torch.tensor([-math.pi / 4, 0.0, math.pi / 4])
    zero = torch.zeros(3)
    tilt = rotation_from_yaw_pitch_roll(zero, pitches, zero)
    rotations = (crop_rotations(8)[None] @ tilt[:, None]).reshape(-1, 3, 3)
    fov = math.radians(90)
    views = erp_to_perspective(rgb, rotations, fov_x=fov, height=224, width=224)
    depth = torch.cat([teacher(view[None]) for view in views]).clamp(min=0.1)
    logs = perspective_depth_to_distance(depth, fov).log()[:, None]
    fused, weight = perspective_to_erp(logs, rotations, fov_x=fov, height=height)
    for _ in range(5):  # alternate: scale of each crop against the fused panorama, then fuse again
        seen = erp_to_perspective(fused, rotations, fov_x=fov, height=56, width=56)
        small = torch.nn.functional.avg_pool2d(logs, 4)
        logs = logs + (seen - small).mean((1, 2, 3), keepdim=True)
        fused, weight = perspective_to_erp(logs, rotations, fov_x=fov, height=height)
    return fused[0], weight


def layout_target(label: PhotoLabel, height: int) -> DepthTarget:
    """Distances, floor and sky that a label states, at (1, height, 2 height)."""
    rows = np.asarray(label.rows, np.float64)
    azimuth = (np.arange(2 * height) + 0.5) / (2 * height) * 360
    floor, base, top, sky, wall = (
        torch.from_numpy(np.interp(azimuth, rows[:, 0], rows[:, k])).float()[None] for k in range(1, 6)
    )
    known = torch.from_numpy(np.interp(azimuth, rows[:, 0], (rows[:, 5] >= 0).astype(float)) > 0.99)[None]
    lat = (90 - (torch.arange(height) + 0.5) / height * 180)[:, None].expand(-1, 2 * height)
    sin, cos = torch.sin(torch.deg2rad(lat)), torch.cos(torch.deg2rad(lat))
    is_floor, is_wall, is_above = lat < floor, (lat > base) & (lat < top), lat > sky
    reach = torch.where(wall > 0, wall, label.height / torch.tan(torch.deg2rad(-base)).clamp(min=0.02))
    if label.ceiling:
        follow = label.ceiling / torch.tan(torch.deg2rad(top)).clamp(min=0.05)
        reach = follow if label.ceiling == label.height else reach
    distance = torch.where(is_floor, label.height / (-sin).clamp(min=0.02), reach / cos.clamp(min=0.05))
    valid = is_floor | (is_wall & known)
    if label.ceiling:
        distance = torch.where(is_above, label.ceiling / sin.clamp(min=0.1), distance)
        valid = valid | is_above
    labelled = is_floor | is_wall | is_above
    steady = _steady(is_floor.int() + 2 * is_wall.int() + 4 * is_above.int())
    is_sky = torch.zeros_like(is_above) if label.ceiling else is_above
    return DepthTarget(
        log_distance=distance.clamp(0.2, 80.0).log()[None],
        valid=(valid & steady)[None],
        sky=is_sky.float()[None],
        floor=is_floor.float()[None],
        labelled=(labelled & steady)[None],
        metric=torch.ones(1),
    )


def _steady(classes: Tensor) -> Tensor:
    """True where the 3x3 neighbourhood is of one class: labels by hand are not exact at borders."""
    c = classes.float()[None, None]
    wide = torch.cat((c[..., -1:], c, c[..., :1]), -1)
    wide = torch.nn.functional.pad(wide, (0, 0, 1, 1), mode="replicate")
    high = torch.nn.functional.max_pool2d(wide, 3, stride=1)
    low = -torch.nn.functional.max_pool2d(-wide, 3, stride=1)
    return (high == low)[0, 0]


def _with_teacher(target: DepthTarget, rgb: Tensor, teacher: FastDepth) -> DepthTarget:
    """Fill unlabelled pixels with the teacher, scaled to the labelled ones."""
    height = target.valid.shape[1]
    log, weight = fuse_fastdepth(rgb, teacher, height)
    valid = target.valid[0]
    log = log + (target.log_distance[0] - log)[valid].median()
    lat = (90 - (torch.arange(height) + 0.5) / height * 180)[:, None]
    fill = ~valid & (weight > 0) & (lat > -65) & (lat < 50)
    return DepthTarget(
        log_distance=torch.where(fill, log, target.log_distance[0])[None],
        valid=(valid | fill)[None],
        sky=target.sky,
        floor=target.floor,
        labelled=target.labelled,
        metric=target.metric,
    )


def load_photos(directory: Path, height: int, teacher: FastDepth | None) -> list[LabelledPhoto]:
    """All photographs of the labels that are in `directory`, at `height`, targets at half of it.

    Raises:
        InputError: none is there.
    """
    from PIL import Image

    photos = []
    for name, label in PHOTO_LABELS.items():
        path = directory / f"{_FILES.get(name, name)}.jpg"
        if not path.is_file():
            path = directory / f"{name}.jpg"
        if not path.is_file():
            continue
        with Image.open(path) as image:
            array = np.asarray(image.convert("RGB"))
        rgb = torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255
        rgb = resize_erp(rgb, height).clamp(0, 1)
        target = layout_target(label, height // 2)
        if label.indoor and teacher is not None:
            target = _with_teacher(target, rgb, teacher)
        photos.append(LabelledPhoto(name=name, rgb=rgb, target=target))
    if not photos:
        raise InputError(f"none of {', '.join(PHOTO_LABELS)} is in {directory}")
    return photos
