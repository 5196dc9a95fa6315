"""Photographs in."""

from __future__ import annotations

import math
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ConventionError, InputError
from ..geometry import resize_erp
from ._decode import Decoded, decode
from ._metadata import GPano
from ._placement import check_aspect, fit_two_to_one, place_crop
from ._tone import tone_map
from .panorama import Panorama, level, panorama_from_image, resize

__all__ = ["load_panorama"]


def load_panorama(
    path: str | PathLike[str],
    *,
    height: int | None = None,
    roll: float | None = 0.0,
    pitch: float | None = 0.0,
    yaw: float = 0.0,
    exposure: float | None = None,
) -> Panorama:
    """Load a 360° photograph.

    Reads JPEG, PNG, WebP and TIFF with 8 or 16 bits, OpenEXR and Radiance HDR (tone-mapped, see `tone_map`).
    The EXIF orientation is applied, an embedded colour profile is converted to sRGB, alpha becomes `valid`,
    and a partial panorama is placed on the sphere where its Photo Sphere (GPano) metadata says. Pictures off
    2:1 by at most 1 % are resampled to 2:1. Files of more than 32768 x 16384 pixels are refused.

    Args:
        path: the file.
        height: height of the result in pixels; None keeps the file's.
        roll: how far the camera was turned clockwise, radians, to be undone; None takes the file's own.
        pitch: how far the camera looked up, radians, to be undone; None takes the file's own.
        yaw: turn the levelled picture's centre to the right by so much, radians.
        exposure: stops for EXR and HDR; None measures it. Other files keep their own brightness.

    Returns:
        The panorama; metadata has "format", "stored_size" and, for EXR and HDR, "tone_map".

    Raises:
        MediaError: the file is missing, damaged, cut off, or of an unknown kind.
        ConventionError: the picture is not an equirectangular panorama.
        InputError: an argument is not usable.
    """
    if height is not None and (isinstance(height, bool) or not isinstance(height, int) or height < 1):
        raise InputError(f"height: expected an integer of at least 1 pixel or None, got {height!r}")
    for name, angle in (("roll", roll), ("pitch", pitch), ("yaw", yaw), ("exposure", exposure)):
        if angle is not None and not math.isfinite(angle):
            raise InputError(f"{name}: expected a finite number, got {angle}")
    source = Path(path)
    decoded = decode(source)
    gpano = decoded.gpano
    if gpano.projection not in (None, "equirectangular"):
        raise ConventionError(
            f"{source}: expected the projection equirectangular, the metadata say {gpano.projection!r}; "
            "export the panorama as equirectangular"
        )
    metadata = dict(decoded.metadata)
    metadata["stored_size"] = f"{decoded.pixels.shape[1]}x{decoded.pixels.shape[0]}"
    panorama = _on_sphere(decoded, height=height, exposure=exposure, metadata=metadata, name=str(source))
    panorama = replace(
        panorama,
        heading=gpano.heading,
        pitch=gpano.pitch,
        roll=gpano.roll,
        metadata=metadata,
        source=source,
    )
    if height is not None:
        panorama = resize(panorama, height)
    return level(panorama, _given(roll, gpano.roll), _given(pitch, gpano.pitch), yaw=yaw)


def _given(argument: float | None, recorded: float | None) -> float:
    if argument is not None:
        return argument
    return 0.0 if recorded is None else recorded


def _on_sphere(
    decoded: Decoded, *, height: int | None, exposure: float | None, metadata: dict[str, str], name: str
) -> Panorama:
    pixels, linear = decoded.pixels, decoded.pixels.dtype == np.float32
    partial = _is_partial(decoded.gpano)
    if not partial:
        check_aspect(name, pixels.shape[1], pixels.shape[0])
    if decoded.alpha is None and not partial and not linear:
        rgb = torch.stack([_channel(pixels[..., c], height) for c in range(3)])
        return panorama_from_image(rgb)
    alpha = np.ones(pixels.shape[:2], np.float32) if decoded.alpha is None else decoded.alpha
    image = torch.stack([*(_to_float(pixels[..., c]) for c in range(3)), torch.from_numpy(alpha)])
    image = place_crop(image, decoded.gpano, name=name)
    check_aspect(name, image.shape[-1], image.shape[-2])
    if linear:
        image = _fit_linear(image)
        rgb, stops = tone_map(image[:3], exposure=exposure)
        metadata["tone_map"] = f"reinhard, exposure {stops:+.2f} stops"
        image = torch.cat((rgb, image[3:].clamp(0, 1)))
    return panorama_from_image(image)


def _is_partial(gpano: GPano) -> bool:
    return gpano.full is not None and gpano.crop is not None and gpano.crop != (0, 0, *gpano.full)


def _channel(plane: np.ndarray, height: int | None) -> Tensor:
    """One channel as float, shrunk at once: a 32k panorama is never held as three float planes."""
    values = _to_float(plane)
    stored, width = values.shape
    if height is not None and height < stored and width == 2 * stored:
        return resize_erp(values[None], height)[0]
    return values


def _to_float(plane: np.ndarray) -> Tensor:
    if plane.dtype == np.float32:
        return torch.from_numpy(np.ascontiguousarray(plane))
    return torch.from_numpy(plane.astype(np.float32)).div_(float(np.iinfo(plane.dtype).max))


def _fit_linear(image: Tensor) -> Tensor:
    """`fit_two_to_one` for radiance, whose values go beyond 1."""
    peak = image.abs().amax().clamp(min=1, max=65504)
    return image if image.shape[-1] == 2 * image.shape[-2] else fit_two_to_one(image / peak) * peak
