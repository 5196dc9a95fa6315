"""Panoramas: the type, and turning and resizing it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ..check import check_erp, check_finite, check_shape
from ..errors import InputError
from ..geometry import resize_erp, rotate_erp, rotation_from_yaw_pitch_roll
from ._placement import check_aspect, fit_two_to_one

__all__ = ["Panorama", "level", "panorama_from_image", "resize"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Panorama:
    """A full-sphere picture.

    Attributes:
        rgb: (3, H, W) float32 0..1, sRGB-encoded equirectangular, W = 2H; black where not valid.
        valid: (H, W) bool, False where the photograph shows nothing.
        heading: compass heading of the centre as it is now, radians clockwise from north; None if unknown.
        pitch: pitch recorded in the file, of the stored picture, radians upwards; None if unknown.
        roll: roll recorded in the file, of the stored picture, radians clockwise; None if unknown.
        metadata: text fields of the file: make, model, datetime, latitude, longitude, altitude, GPano:*, …
        source: the file; None for a picture that was never one.
    """

    rgb: Tensor
    valid: Tensor
    heading: float | None = None
    pitch: float | None = None
    roll: float | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    source: Path | None = None


def panorama_from_image(rgb: Tensor) -> Panorama:
    """Make a panorama of an image in memory.

    Args:
        rgb: (3, h, w) sRGB values 0..1, or (4, h, w) with alpha, valid above a half; 2:1 within 1 %, which is
            resampled to exactly 2:1.

    Returns:
        The panorama, float32 on the image's device.

    Raises:
        ShapeError: not (3, h, w) or (4, h, w).
        ConventionError: not 2:1.
        InputError: not floating, or values outside 0..1, or NaN.
    """
    check_shape("rgb", rgb, "C h w")
    if rgb.shape[0] != 4:
        check_shape("rgb", rgb, "3 h w")
    if not rgb.is_floating_point():
        raise InputError(f"rgb: expected floating values 0..1, got {rgb.dtype}; divide 8-bit values by 255")
    check_finite("rgb", rgb)
    if rgb.numel() and (float(rgb.min()) < -1e-3 or float(rgb.max()) > 1 + 1e-3):
        raise InputError(
            f"rgb: expected values 0..1, got {float(rgb.min()):.3g} to {float(rgb.max()):.3g}; "
            "tone-map linear pictures first, and divide 8-bit values by 255"
        )
    check_aspect("rgb", rgb.shape[-1], max(1, rgb.shape[-2]))
    # Interpolation overshoots by rounding: up to a thousandth is taken as the limit.
    image = fit_two_to_one(rgb.float().clamp(0, 1))
    _warn_of_dual_fisheye(image[:3])
    valid = image[3] > 0.5 if image.shape[0] == 4 else torch.ones_like(image[0], dtype=torch.bool)
    return Panorama(rgb=image[:3] * valid, valid=valid)


def level(panorama: Panorama, roll: float = 0.0, pitch: float = 0.0, *, yaw: float = 0.0) -> Panorama:
    """Undo the attitude of the camera, so that the horizon is level.

    Args:
        panorama: the picture of a tilted camera.
        roll: how far the camera was turned clockwise, radians (its picture shows the horizon turned
            counterclockwise).
        pitch: how far the camera looked upwards, radians (its picture shows the horizon below the centre).
        yaw: turn the levelled picture's centre to the right by so much, radians.

    Returns:
        The picture that a level camera would have taken; the heading grows by `yaw`.
    """
    if roll == pitch == yaw == 0.0:
        return panorama
    wide = torch.zeros((), dtype=torch.float64)
    tilt = rotation_from_yaw_pitch_roll(wide, wide + pitch, wide + roll)
    # The tilted camera is world-from-camera: its inverse brings level rays into the stored picture.
    rotation = tilt.T @ rotation_from_yaw_pitch_roll(wide + yaw)
    turned = _resample(panorama, lambda image: rotate_erp(image, rotation))
    heading = None if panorama.heading is None else (panorama.heading + yaw) % (2 * torch.pi)
    return replace(turned, heading=heading)


def resize(panorama: Panorama, height: int) -> Panorama:
    """Change the size: area mean when shrinking, interpolation across the seam and poles when enlarging."""
    if height == check_erp("panorama.rgb", panorama.rgb)[0]:
        return panorama
    return _resample(panorama, lambda image: resize_erp(image, height))


def _resample(panorama: Panorama, change: Callable[[Tensor], Tensor]) -> Panorama:
    """Apply a linear change to colours and mask; black beyond the mask never bleeds into the colours."""
    if bool(panorama.valid.all()):
        rgb = change(panorama.rgb).clamp(0, 1)
        return replace(panorama, rgb=rgb, valid=torch.ones_like(rgb[0], dtype=torch.bool))
    mask = panorama.valid[None].to(panorama.rgb.dtype)
    both = change(torch.cat((panorama.rgb * mask, mask)))
    weight = both[3:]
    valid = weight[0] > 0.5
    rgb = (both[:3] / weight.clamp(min=0.5)).clamp(0, 1) * valid
    return replace(panorama, rgb=rgb, valid=valid)


def _warn_of_dual_fisheye(rgb: Tensor) -> None:
    """Two fisheye circles side by side are 2:1 as well: black outside the circles, picture inside."""
    height = rgb.shape[-1] // 2
    if height < 64:
        return
    small = resize_erp(rgb, 64).amax(0)
    axis = (torch.arange(64, device=rgb.device) + 0.5) / 32 - 1
    radius = torch.hypot(axis[:, None], axis[None, :]).repeat(1, 2)
    if float(small[radius > 1.1].mean()) < 0.02 and float(small[radius < 0.9].mean()) > 0.1:
        logger.warning(
            "The picture looks like two fisheye circles, not like an equirectangular panorama: "
            "stitch it in the camera's own software first"
        )
