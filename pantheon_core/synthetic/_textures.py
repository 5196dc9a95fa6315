"""Seamless procedural surface textures, display-referred rgb in 0..1, `SIZE` texels square."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = ["SIZE", "SURFACES", "Image", "colour", "fractal_noise", "paint", "voronoi"]

SIZE = 128
Image = NDArray[np.floating[Any]]
_Y, _X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
_FREQ_Y = np.fft.fftfreq(SIZE)[:, None] * SIZE
_FREQ_X = np.fft.rfftfreq(SIZE)[None] * SIZE


def colour(
    rng: Generator, hue: tuple[float, float], sat: tuple[float, float], val: tuple[float, float]
) -> Image:
    """A random colour (3,) with hue in turns (may run over 1), saturation and value in the given ranges."""
    rgb = colorsys.hsv_to_rgb(rng.uniform(*hue) % 1.0, rng.uniform(*sat), rng.uniform(*val))
    return np.asarray(rgb, np.float32)


def paint(rng: Generator, val: tuple[float, float]) -> Image:
    """A colour (3,) that people put on walls: mostly pale and warm or grey, now and then a strong one."""
    draw = rng.random()
    if draw < 0.55:
        return colour(rng, (0.05, 0.16), (0.02, 0.3), val)
    if draw < 0.92:
        return colour(rng, (0.0, 1.0), (0.0, 0.22), val)
    return colour(rng, (0.0, 1.0), (0.2, 0.5), val)


def fractal_noise(rng: Generator, beta: float = 1.5, low: float = 1.0, aspect: float = 1.0) -> Image:
    """Seamless 1/f^beta noise (SIZE, SIZE) with mean .5 and standard deviation about .18, clipped to 0..1.

    Args:
        rng: the source of randomness.
        beta: slope of the amplitude spectrum; large is smooth.
        low: lowest frequency kept, in cycles per tile.
        aspect: above 1 the noise is drawn out along y, below 1 along x.
    """
    radius = np.hypot(_FREQ_Y * aspect**0.5, _FREQ_X / aspect**0.5)
    gain = np.where(radius >= low, 1.0 / np.maximum(radius, 1.0) ** beta, 0.0)
    gain[0, 0] = 0.0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * gain, s=(SIZE, SIZE))
    field = field / max(float(field.std()), 1e-9)
    return np.clip(0.5 + 0.18 * field, 0.0, 1.0).astype(np.float32)


def voronoi(rng: Generator, count: int) -> tuple[Image, Image, NDArray[np.int64]]:
    """About `count` seamless cells of a jittered grid.

    Returns:
        Distance to the nearest seed and gap to the second nearest, texels; index of the nearest, from 0.
    """
    n = max(3, round(count**0.5))
    jitter = rng.uniform(0.05, 0.95, (n, n, 2)).astype(np.float32)
    u, v = _X * n / SIZE, _Y * n / SIZE
    column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    nearest = np.full((SIZE, SIZE), 1e9, np.float32)
    second = nearest.copy()
    index = np.zeros((SIZE, SIZE), np.int64)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            cx, cy = (column + dx) % n, (row + dy) % n
            seed = jitter[cy, cx]
            d = (column + dx + seed[..., 0] - u) ** 2 + (row + dy + seed[..., 1] - v) ** 2
            closer = d < nearest
            second = np.where(closer, nearest, np.minimum(second, d))
            nearest = np.where(closer, d, nearest)
            index = np.where(closer, cy * n + cx, index)
    scale = SIZE / n
    nearest, second = np.sqrt(nearest) * scale, np.sqrt(second) * scale
    return nearest.astype(np.float32), (second - nearest).astype(np.float32), index


def _mix(a: Image, b: Image, weight: Image) -> Image:
    return a + (b - a) * weight[..., None]


def _cells(
    rng: Generator, rows: int, cols: int, stagger: float, joint: float
) -> tuple[Image, NDArray[np.int64]]:
    """A grid of laid pieces: joint mask (1 in the joint) and the index of each piece."""
    v = _Y / SIZE * rows
    row = np.floor(v).astype(np.int64)
    u = (_X / SIZE * cols + row * stagger) % cols
    col = np.floor(u).astype(np.int64)
    fu, fv = u - col, v - row
    gap_u = np.minimum(fu, 1 - fu) * SIZE / cols
    gap_v = np.minimum(fv, 1 - fv) * SIZE / rows
    mask = (np.minimum(gap_u, gap_v) < joint).astype(np.float32)
    return mask, row * cols + col


def _laid(
    rng: Generator, base: Image, grout: Image, grid: tuple[int, int, float, float], spread: float
) -> Image:
    mask, index = _cells(rng, *grid)
    tone = 1.0 + spread * rng.standard_normal(grid[0] * grid[1]).astype(np.float32)
    warm = 1.0 + 0.25 * spread * rng.standard_normal((grid[0] * grid[1], 3)).astype(np.float32)
    pieces = base * tone[index][..., None] * warm[index]
    pieces = pieces * (0.8 + 0.4 * fractal_noise(rng, 1.0, 3))[..., None]
    return _mix(pieces, grout * (0.85 + 0.3 * fractal_noise(rng, 0.8))[..., None], mask)


def brick(rng: Generator) -> Image:
    """Stretcher-bond brickwork; a tile is 8 courses."""
    base = colour(rng, (-0.02, 0.09), (0.25, 0.65), (0.35, 0.75))
    return _laid(rng, base, colour(rng, (0, 1), (0, 0.1), (0.4, 0.8)), (8, 4, 0.5, 1.0), 0.13)


def tiles(rng: Generator) -> Image:
    """Square ceramic or stone tiles, in one or two colours."""
    n = int(rng.choice([2, 4]))
    base = paint(rng, (0.45, 0.95))
    image = _laid(rng, base, base * rng.uniform(0.4, 0.8), (n, n, 0.0, 0.8), rng.uniform(0.02, 0.1))
    if rng.random() < 0.4:
        other = paint(rng, (0.1, 0.6))
        check = ((np.floor(_X * n / SIZE) + np.floor(_Y * n / SIZE)) % 2).astype(np.float32)
        image = _mix(image, image / base.mean() * other, check)
    return image


def planks(rng: Generator) -> Image:
    """Wooden boards along u with grain."""
    base = colour(rng, (0.04, 0.11), (0.3, 0.65), (0.25, 0.8))
    image = _laid(rng, base, base * 0.35, (int(rng.choice([4, 8])), 1, 0.37, 0.6), 0.12)
    return image * (0.7 + 0.6 * fractal_noise(rng, 1.0, 2, aspect=0.03))[..., None]


def wood(rng: Generator) -> Image:
    """Veneer with long grain along u."""
    base = colour(rng, (0.03, 0.11), (0.25, 0.7), (0.2, 0.85))
    grain = fractal_noise(rng, 1.3, 1, aspect=0.05)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (4 * _Y / SIZE + 2.5 * fractal_noise(rng, 2.2)))
    return base * (0.6 + 0.5 * grain + 0.25 * rings)[..., None]


def plaster(rng: Generator) -> Image:
    """Painted wall, lightly mottled."""
    rough = rng.uniform(0.05, 0.3)
    noise = fractal_noise(rng, rng.uniform(0.7, 1.8))
    return paint(rng, (0.55, 0.97)) * (1.0 + rough * (noise - 0.5))[..., None]


def ceiling(rng: Generator) -> Image:
    """White or nearly white paint."""
    base = colour(rng, (0.05, 0.2), (0.0, 0.1), (0.82, 1.0))
    return base * (0.97 + 0.06 * fractal_noise(rng, 0.9))[..., None]


def concrete(rng: Generator) -> Image:
    """Grey cast surface with stains and pores."""
    base = colour(rng, (0.05, 0.15), (0.0, 0.12), (0.35, 0.75))
    pores = (fractal_noise(rng, 0.5, 8) < 0.2).astype(np.float32)
    return base * (0.7 + 0.6 * fractal_noise(rng, 1.6) - 0.25 * pores)[..., None]


def asphalt(rng: Generator) -> Image:
    """Road surface: speckle over slow stains."""
    base = colour(rng, (0.55, 0.65), (0.0, 0.08), (0.2, 0.42))
    return base * (0.45 + 0.6 * fractal_noise(rng, 0.35, 6) + 0.5 * fractal_noise(rng, 1.8))[..., None]


def grass(rng: Generator) -> Image:
    """Lawn or meadow: patches of green to straw with fine blades and a few flowers."""
    low = colour(rng, (0.2, 0.34), (0.35, 0.75), (0.15, 0.4))
    high = colour(rng, (0.14, 0.27), (0.35, 0.7), (0.4, 0.7))
    blades = fractal_noise(rng, 0.6, 4, aspect=2.5)
    image = (
        _mix(low, high, np.clip(1.6 * blades - 0.3, 0, 1)) * (0.6 + 0.8 * fractal_noise(rng, 1.5))[..., None]
    )
    if rng.random() < 0.35:
        spots = fractal_noise(rng, 0.3, 10) > rng.uniform(0.88, 0.95)
        image = _mix(image, colour(rng, (0, 1), (0.1, 0.8), (0.7, 1)), spots.astype(np.float32))
    return image


def gravel(rng: Generator) -> Image:
    """Pebbles of mixed tone."""
    near, gap, index = voronoi(rng, int(rng.integers(90, 200)))
    base = colour(rng, (0.04, 0.14), (0.05, 0.35), (0.45, 0.85))
    tone = rng.uniform(0.55, 1.15, index.max() + 1).astype(np.float32)
    shape = np.clip(0.45 + gap / 4.0, 0.45, 1.0) * (1.05 - 0.03 * near)
    return base * (tone[index] * shape)[..., None]


def stones(rng: Generator) -> Image:
    """Rubble masonry or crazy paving."""
    _, gap, index = voronoi(rng, int(rng.integers(16, 40)))
    base = colour(rng, (0.02, 0.16), (0.03, 0.3), (0.35, 0.75))
    tone = rng.uniform(0.7, 1.2, index.max() + 1).astype(np.float32)
    body = base * (tone[index] * (0.7 + 0.6 * fractal_noise(rng, 1.0, 3)))[..., None]
    joint = base * rng.uniform(0.35, 1.5)
    return _mix(joint, body, np.clip(gap / 3.0, 0, 1))


def leaves(rng: Generator) -> Image:
    """Foliage: lit leaves over dark gaps, now and then blossom."""
    near, gap, index = voronoi(rng, int(rng.integers(110, 260)))
    base = colour(rng, (0.17, 0.36), (0.35, 0.75), (0.42, 0.78))
    if rng.random() < 0.12:
        base = colour(rng, (-0.02, 0.13), (0.5, 0.85), (0.4, 0.75))
    tone = rng.uniform(0.45, 1.5, index.max() + 1).astype(np.float32)
    image = base * (tone[index] * np.clip(0.35 + gap / 4, 0.3, 1.0) * (1.1 - 0.04 * near))[..., None]
    gaps = fractal_noise(rng, 1.0, 4)
    image = image * np.clip(0.25 + 1.7 * gaps, 0.2, 1.2)[..., None]
    if rng.random() < 0.25:
        image[near < 1.8] = colour(rng, (0.8, 1.2), (0.05, 0.7), (0.75, 1))
    return image


def bark(rng: Generator) -> Image:
    """Vertical ridges."""
    base = colour(rng, (0.03, 0.12), (0.1, 0.5), (0.2, 0.55))
    return base * (0.35 + 1.3 * fractal_noise(rng, 0.9, 3, aspect=9.0))[..., None]


def fabric(rng: Generator) -> Image:
    """Woven cloth, plain, striped or checked."""
    base = paint(rng, (0.2, 0.9)) if rng.random() < 0.6 else colour(rng, (0, 1), (0.1, 0.65), (0.2, 0.8))
    image = base * (0.75 + 0.5 * fractal_noise(rng, 0.3, 8))[..., None]
    if rng.random() < 0.55:
        n = int(rng.choice([2, 4, 8]))
        width = rng.uniform(0.15, 0.6)
        mask = ((_X * n / SIZE) % 1 < width).astype(np.float32)
        if rng.random() < 0.5:
            mask = 0.5 * mask + 0.5 * ((_Y * n / SIZE) % 1 < width)
        image = _mix(image, colour(rng, (0, 1), (0.0, 0.7), (0.2, 1)), mask)
    return image


def wallpaper(rng: Generator) -> Image:
    """Stripes, dots or a mirrored damask-like motif on a pale ground."""
    base = paint(rng, (0.5, 0.95))
    ink = np.clip(base * rng.uniform(0.45, 0.85) + 0.1 * rng.standard_normal(3), 0, 1).astype(np.float32)
    choice = rng.integers(3)
    n = int(rng.choice([4, 8]))
    if choice == 0:
        mask = ((_X * n / SIZE) % 1 < rng.uniform(0.2, 0.6)).astype(np.float32)
    elif choice == 1:
        row = np.floor(_Y * n / SIZE)
        fu, fv = (_X * n / SIZE + 0.5 * (row % 2)) % 1 - 0.5, (_Y * n / SIZE) % 1 - 0.5
        mask = (np.hypot(fu, fv) < rng.uniform(0.15, 0.35)).astype(np.float32)
    else:
        motif = fractal_noise(rng, 1.4, 2)
        motif = motif + motif[:, ::-1]
        mask = (np.tile(motif[::2, ::2], (2, 2)) > 1.0).astype(np.float32)
    return _mix(base, ink, mask) * (0.94 + 0.12 * fractal_noise(rng, 0.8))[..., None]


def carpet(rng: Generator) -> Image:
    """A rug with four-fold motif, border and pile; meant to be stretched over one piece."""
    field, ink, edge = (colour(rng, (-0.1, 0.7), (0.1, 0.65), (0.15, 0.75)) for _ in range(3))
    motif = fractal_noise(rng, 1.2, 2)
    motif = motif + motif[::-1] + motif[:, ::-1] + motif[::-1, ::-1]
    image = _mix(field, ink, (motif > 2.0).astype(np.float32))
    image = _mix(image, edge, (motif > 2.5).astype(np.float32))
    rim = np.minimum(np.minimum(_X, SIZE - 1 - _X), np.minimum(_Y, SIZE - 1 - _Y))
    image = _mix(image, edge, ((rim < 12) & ((rim < 3) | (rim > 6))).astype(np.float32))
    return image * (0.75 + 0.5 * fractal_noise(rng, 0.2, 12))[..., None]


def marble(rng: Generator) -> Image:
    """Polished stone with veins."""
    base = colour(rng, (0, 1), (0.0, 0.15), (0.3, 0.95))
    vein = np.abs(fractal_noise(rng, 1.6) - 0.5) * 2
    return base * (0.55 + 0.6 * np.clip(vein * 2.2, 0, 1) ** 0.5)[..., None]


def water(rng: Generator) -> Image:
    """Rippled surface with light streaks."""
    base = colour(rng, (0.45, 0.62), (0.15, 0.5), (0.3, 0.6))
    return base * (0.6 + 0.9 * fractal_noise(rng, 1.2, 3, aspect=0.35))[..., None]


def corrugated(rng: Generator) -> Image:
    """Vertical ribs: cladding, curtains, roof sheets."""
    base = paint(rng, (0.3, 0.9))
    n = int(rng.choice([8, 16]))
    phase = 2 * np.pi * (n * _X / SIZE + 0.6 * fractal_noise(rng, 2.5, 1, aspect=4.0))
    return base * (0.75 + 0.25 * np.sin(phase) + 0.2 * (fractal_noise(rng, 1.2) - 0.5))[..., None]


def roof_tiles(rng: Generator) -> Image:
    """Overlapping rows of roof tiles."""
    base = colour(rng, (-0.02, 0.08), (0.1, 0.65), (0.3, 0.65))
    image = _laid(rng, base, base * 0.4, (8, 8, 0.5, 0.7), 0.12)
    return image * (1.15 - 0.5 * ((_Y * 8 / SIZE) % 1))[..., None]


SURFACES: dict[str, Callable[[Generator], Image]] = {
    f.__name__: f
    for f in (
        *(brick, tiles, planks, wood, plaster, ceiling, concrete, asphalt, grass, gravel, stones, leaves),
        *(bark, fabric, wallpaper, carpet, marble, water, corrugated, roof_tiles),
    )
}
"""Seamless surfaces by name."""
