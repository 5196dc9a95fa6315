"""Skies and the light that goes with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ._photos import photo_sky
from ._textures import SIZE, Image, colour, fractal_noise

__all__ = ["Daylight", "daylight"]

_HEIGHT = 128


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Daylight:
    """A sky and its light, in plan coordinates (y up), linear rgb.

    Attributes:
        sky: (h, 2h, 3) panorama.
        sun: (8,) a row of `Scene.lights`.
        ambient: (3, 3) from above, from below, of the haze.
    """

    sky: Image
    sun: tuple[float, ...]
    ambient: Image


def _procedural(rng: Generator, sun: Image) -> Image:
    """Gradient, glow around the sun, and clouds on a plane; display-referred."""
    lat = (0.5 - (np.arange(_HEIGHT) + 0.5) / _HEIGHT) * np.pi
    lon = ((np.arange(2 * _HEIGHT) + 0.5) / (2 * _HEIGHT) - 0.5) * 2 * np.pi
    lon, lat = np.meshgrid(lon.astype(np.float32), lat.astype(np.float32))
    ray = np.stack([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)], -1)
    zenith = colour(rng, (0.55, 0.63), (0.25, 0.68), (0.5, 0.95))
    low_sun = float(sun[1]) < 0.35
    horizon = colour(rng, (0.03, 0.12) if low_sun else (0.5, 0.6), (0.05, 0.45), (0.75, 1.0))
    up = np.clip(ray[..., 1:2], 0, 1)
    image = zenith + (horizon - zenith) * (1 - up) ** rng.uniform(2, 6)
    glow = np.clip((ray * sun).sum(-1, keepdims=True), 0, 1)
    image = image + np.array([1.0, 0.85, 0.6]) * (0.5 * glow**12 + 2.0 * glow**900)
    cover = rng.uniform(-0.1, 0.9)
    scale = rng.uniform(14, 34)
    plane = ray[..., [0, 2]] / (np.abs(ray[..., 1:2]) + 0.12) * scale + rng.uniform(0, SIZE, 2)
    cell = np.floor(plane).astype(np.int64)
    f = (plane - cell).astype(np.float32)
    noise = fractal_noise(rng, rng.uniform(1.1, 1.8))
    x, y = cell[..., 0], cell[..., 1]
    value = 0.0
    for dx in (0, 1):
        for dy in (0, 1):
            weight = (f[..., 0] if dx else 1 - f[..., 0]) * (f[..., 1] if dy else 1 - f[..., 1])
            value = value + weight * noise[(y + dy) % SIZE, (x + dx) % SIZE]
    density = np.clip((value - 0.75 + 0.5 * cover) * 4, 0, 1)[..., None] * np.clip(up * 8, 0, 1)
    cloud = np.clip(0.95 * horizon.max() - 0.4 * density * rng.uniform(0.05, 0.7), 0, 1)
    return np.clip(image + (cloud + 0.15 * horizon - image) * density, 0, 1).astype(np.float32)


def daylight(rng: Generator, *, photos: bool) -> Daylight:
    """Draw a sky, a sun and ambient light that fit each other."""
    azimuth = rng.uniform(-np.pi, np.pi)
    elevation = np.deg2rad(rng.uniform(12, 70))
    way = np.array(
        [np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)]
    )
    strength = float(rng.uniform(0.0, 0.25) if rng.random() < 0.3 else rng.uniform(0.7, 1.5))
    if photos and rng.random() < 0.4:
        display, name = photo_sky(rng, _HEIGHT)
        strength *= 0.1 if name == "city_rooftop" else 0.6
    else:
        display = _procedural(rng, way.astype(np.float32))
    sky = (display**2.2).astype(np.float32)
    mean = sky[: _HEIGHT // 2].reshape(-1, 3).mean(0)
    mean = mean / max(float(mean.max()), 1e-3)
    above = 0.75 * (0.35 + 0.65 * mean) * (1.5 if strength < 0.3 else 1.0)
    warm = np.array([1.0, 0.78 + 0.2 * np.sin(elevation), 0.55 + 0.4 * np.sin(elevation)]) * strength
    haze = sky[_HEIGHT // 2 - 6 : _HEIGHT // 2].reshape(-1, 3).mean(0)
    ambient = np.stack([above, above * 0.45, haze]).astype(np.float32)
    return Daylight(sky=sky, sun=(0.0, *map(float, way), *map(float, warm), 1.0), ambient=ambient)
