"""Crops and skies from the bundled CC0 photographs; `courtyard` and `meadow_sunrise` are held out."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.random import Generator

from ..assets import sample_panoramas
from ..errors import BackendUnavailableError
from ._textures import SIZE, Image

__all__ = ["HELD_IN", "photo_crop", "photo_sky", "photo_tile"]

HELD_IN = ("city_rooftop", "garden_path", "hotel_room", "night_field", "photo_studio", "quay_sunset")
_SKIES = {"city_rooftop": 62.0, "night_field": 14.0, "quay_sunset": 30.0}
"""Photographs with open sky, and the elevation in degrees above which there is nothing else."""


@lru_cache(maxsize=8)
def _photo(name: str) -> Image:
    from PIL import Image as PillowImage

    path = sample_panoramas().get(name)
    if path is None:
        raise BackendUnavailableError(
            f"the bundled panorama {name!r} is missing: reinstall the package, or use photo_textures=False"
        )
    with PillowImage.open(path) as image:
        return np.asarray(image.convert("RGB"), np.float32) / 255.0


def _sample(photo: Image, lon: Image, lat: Image) -> Image:
    """Bilinear lookup at longitude, latitude (radians, latitude up)."""
    h, w = photo.shape[:2]
    x = (lon / (2 * np.pi) + 0.5) * w - 0.5
    y = np.clip((0.5 - lat / np.pi) * h - 0.5, 0, h - 1.001)
    x0, y0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    xa, xb = x0 % w, (x0 + 1) % w
    top = photo[y0, xa] * (1 - fx) + photo[y0, xb] * fx
    low = photo[y0 + 1, xa] * (1 - fx) + photo[y0 + 1, xb] * fx
    return (top * (1 - fy) + low * fy).astype(np.float32)


def photo_crop(rng: Generator, size: int, *, view: bool = False) -> Image:
    """A perspective crop (size, size, 3) of a random photograph; `view` looks near the horizon, wider."""
    photo = _photo(str(rng.choice(HELD_IN)))
    yaw = rng.uniform(-np.pi, np.pi)
    pitch = np.deg2rad(rng.uniform(-8, 12) if view else rng.uniform(-50, 20))
    half = np.tan(np.deg2rad(rng.uniform(50, 85) if view else rng.uniform(16, 34)) / 2)
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis * half, axis * half)
    up, ahead = np.sin(pitch) - y * np.cos(pitch), np.cos(pitch) + y * np.sin(pitch)
    lat = np.arctan2(up, np.hypot(x, ahead))
    return _sample(photo, (np.arctan2(x, ahead) + yaw).astype(np.float32), lat.astype(np.float32))


def photo_tile(rng: Generator) -> Image:
    """A crop with its mirror images, so that it repeats without seams."""
    crop = photo_crop(rng, SIZE // 2)
    level = crop.mean()
    crop = crop * float(np.clip(0.45 / max(level, 0.05), 0.8, 2.5))
    wide = np.concatenate([crop, crop[:, ::-1]], 1)
    return np.clip(np.concatenate([wide, wide[::-1]], 0), 0, 1)


def photo_sky(rng: Generator, height: int) -> tuple[Image, str]:
    """A sky (height, 2 height, 3), display-referred, of a photograph's open part, drawn down."""
    name = str(rng.choice(list(_SKIES)))
    lowest = np.deg2rad(_SKIES[name])
    lat = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    lon = ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5) * 2 * np.pi + rng.uniform(-np.pi, np.pi)
    lon = (lon + np.pi) % (2 * np.pi) - np.pi
    remapped = lowest + np.clip(lat, 0, None) * (np.pi / 2 - lowest) / (np.pi / 2)
    lon2, lat2 = np.meshgrid(lon, remapped)
    return _sample(_photo(name), lon2.astype(np.float32), lat2.astype(np.float32)), name
