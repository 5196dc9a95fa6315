"""Textures of one whole thing (a window bay, a door, a shelf of books), stretched over one face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from ._textures import SIZE, SURFACES, Image, colour, fractal_noise

__all__ = ["FITTED"]


def _rect(image: Image, x0: float, y0: float, x1: float, y1: float, value: Image) -> None:
    """Fill a rectangle given in fractions of the tile, rows down."""
    image[round(y0 * SIZE) : round(y1 * SIZE), round(x0 * SIZE) : round(x1 * SIZE)] = value


def _glass(rng: Generator, shape: tuple[int, int]) -> Image:
    """Window glass: dark with a sky reflection that grows upwards, or lit from within."""
    ramp = np.linspace(1, 0, shape[0], dtype=np.float32)[:, None, None] * rng.uniform(0.2, 1.0)
    dark = colour(rng, (0.5, 0.68), (0.1, 0.5), (0.06, 0.3))
    light = colour(rng, (0.52, 0.62), (0.05, 0.4), (0.5, 0.9))
    if rng.random() < 0.15:
        dark, light = (
            colour(rng, (0.08, 0.14), (0.3, 0.6), (0.7, 1)),
            colour(rng, (0.08, 0.14), (0.1, 0.4), (0.8, 1)),
        )
    noise = fractal_noise(rng, 1.8)[: shape[0], : shape[1], None] - 0.5
    return np.clip(dark + (light - dark) * np.clip(ramp + 0.7 * noise, 0, 1) + np.zeros((*shape, 3)), 0, 1)


def _pane(
    rng: Generator, image: Image, box: tuple[float, float, float, float], frame: Image, bars: tuple[int, int]
) -> None:
    """A framed window with bars into `box` = (x0, y0, x1, y1) in fractions."""
    x0, y0, x1, y1 = (round(v * SIZE) for v in box)
    image[y0:y1, x0:x1] = frame
    inner = image[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3]
    inner[:] = _glass(rng, inner.shape[:2])
    for i in range(1, bars[0]):
        at = inner.shape[1] * i // bars[0]
        inner[:, at - 1 : at + 1] = frame
    for i in range(1, bars[1]):
        at = inner.shape[0] * i // bars[1]
        inner[at - 1 : at + 1] = frame


def facade(rng: Generator) -> Image:
    """One bay of a storey: wall of a random surface, a window with frame, sill and lintel."""
    wall = str(rng.choice(["brick", "plaster", "plaster", "concrete", "stones", "tiles"]))
    image = SURFACES[wall](rng)
    width, top, bottom = rng.uniform(0.3, 0.75), rng.uniform(0.1, 0.25), rng.uniform(0.68, 0.92)
    x0, x1 = 0.5 - width / 2, 0.5 + width / 2
    frame = colour(rng, (0, 1), (0.0, 0.3), (0.15, 1.0))
    trim = colour(rng, (0.05, 0.15), (0.0, 0.2), (0.4, 1.0))
    if rng.random() < 0.6:
        _rect(image, x0 - 0.05, top - 0.05, x1 + 0.05, bottom + 0.02, trim)
    if rng.random() < 0.3:
        shutter = colour(rng, (0, 1), (0.2, 0.7), (0.2, 0.7))
        _rect(image, max(0, x0 - 0.16), top, x0 - 0.01, bottom, shutter)
        _rect(image, x1 + 0.01, top, min(1, x1 + 0.16), bottom, shutter)
    _pane(rng, image, (x0, top, x1, bottom), frame, (int(rng.integers(1, 4)), int(rng.integers(1, 4))))
    _rect(image, x0 - 0.04, bottom, x1 + 0.04, bottom + 0.04, trim * 0.9)
    if rng.random() < 0.5:
        _rect(image, 0, 0.96, 1, 1, trim * 0.75)
    return image


def glass_tower(rng: Generator) -> Image:
    """A curtain-wall bay."""
    image = np.ones((SIZE, SIZE, 3), np.float32) * colour(rng, (0.5, 0.7), (0, 0.2), (0.2, 0.8))
    _pane(rng, image, (0.02, 0.05, 0.98, 0.8), image[0, 0].copy(), (int(rng.integers(2, 5)), 1))
    return image


def lettering(rng: Generator) -> Image:
    """A sign: strokes that look like a line of writing on a coloured board."""
    board, ink = colour(rng, (0, 1), (0.2, 0.9), (0.15, 0.9)), colour(rng, (0, 1), (0.0, 0.4), (0.0, 1.0))
    if abs(float(board.mean() - ink.mean())) < 0.25:
        ink = 1.0 - board
    image = np.ones((SIZE, SIZE, 3), np.float32) * board
    x = rng.uniform(0.05, 0.15)
    while x < 0.88:
        w = rng.uniform(0.05, 0.09)
        for _ in range(int(rng.integers(2, 4))):
            if rng.random() < 0.5:
                at = x + rng.choice([0.0, w - 0.02])
                _rect(image, at, 0.25, at + 0.02, 0.75, ink)
            else:
                at = rng.choice([0.25, 0.47, 0.68])
                _rect(image, x, at, x + w, at + 0.07, ink)
        x += w + rng.choice([0.025, 0.025, 0.08])
    return image


def shopfront(rng: Generator) -> Image:
    """A shop: sign board above display windows with goods, and a door."""
    image = SURFACES[str(rng.choice(["wood", "plaster", "marble", "tiles"]))](rng)
    sign = lettering(rng)
    image[6:30, 4:-4] = sign[28:100:3, : SIZE - 8]
    frame = colour(rng, (0, 1), (0, 0.6), (0.1, 0.9))
    _pane(rng, image, (0.05, 0.28, 0.62, 0.86), frame, (int(rng.integers(1, 4)), 1))
    for _ in range(14):
        x, y, s = rng.uniform(0.08, 0.52), rng.uniform(0.5, 0.78), rng.uniform(0.02, 0.07)
        _rect(image, x, y, x + s, min(y + s * 1.5, 0.84), colour(rng, (0, 1), (0.2, 0.9), (0.2, 1)))
    _pane(rng, image, (0.68, 0.28, 0.94, 1.0), frame, (1, 2))
    return image


def door(rng: Generator) -> Image:
    """A panelled door with frame and handle."""
    base = SURFACES["wood"](rng) if rng.random() < 0.6 else SURFACES["plaster"](rng)
    image = base * rng.uniform(0.7, 1.0)
    rows, cols = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    for r in range(rows):
        for c in range(cols):
            x0, y0 = 0.12 + c * 0.8 / cols, 0.08 + r * 0.88 / rows
            x1, y1 = x0 + 0.8 / cols - 0.07, y0 + 0.88 / rows - 0.06
            _rect(image, x0, y0, x1, y1, image[4, 4] * 0.5)
            _rect(image, x0 + 0.02, y0 + 0.015, x1, y1, base[60, 60] * rng.uniform(0.8, 1.1))
    image[:, :5] *= 0.6
    image[:, -5:] *= 0.6
    _rect(image, 0.84, 0.5, 0.93, 0.54, colour(rng, (0.08, 0.14), (0.0, 0.5), (0.5, 1)))
    return image


def books(rng: Generator) -> Image:
    """One shelf of book spines in dark space."""
    image = np.zeros((SIZE, SIZE, 3), np.float32) + 0.05
    x = 0
    while x < SIZE:
        width, top = int(rng.integers(3, 11)), int(rng.integers(4, 50))
        spine = colour(rng, (0, 1), (0.05, 0.85), (0.12, 0.95))
        image[top:, x : x + width] = spine
        image[top:, x : x + 1] *= 0.45
        for _ in range(int(rng.integers(0, 3))):
            at = int(rng.integers(top + 3, SIZE - 8))
            image[at : at + int(rng.integers(2, 9)), x : x + width] = colour(rng, (0, 1), (0, 0.6), (0.2, 1))
        x += width + (int(rng.integers(4, 16)) if rng.random() < 0.06 else 0)
    return image


def painting(rng: Generator) -> Image:
    """A framed picture: a landscape of layered ridges or an abstract composition."""
    image = np.ones((SIZE, SIZE, 3), np.float32) * colour(rng, (0, 1), (0.05, 0.6), (0.4, 1))
    y = np.arange(SIZE)[:, None]
    if rng.random() < 0.5:
        for level in np.linspace(0.3, 0.85, int(rng.integers(2, 5))):
            ridge = (level + 0.6 * (fractal_noise(rng, 1.8)[0] - 0.5)) * SIZE
            image[y >= ridge[None]] = colour(rng, (0, 1), (0.1, 0.8), (0.1, 0.9))
    else:
        for _ in range(int(rng.integers(4, 14))):
            x0, y0 = rng.uniform(0.0, 0.8, 2)
            w, h = rng.uniform(0.05, 0.5, 2)
            _rect(image, x0, y0, min(1, x0 + w), min(1, y0 + h), colour(rng, (0, 1), (0.1, 0.9), (0.1, 1)))
    image *= (0.85 + 0.3 * fractal_noise(rng, 0.8, 4))[..., None]
    return framed(rng, image)


def framed(rng: Generator, image: Image) -> Image:
    """Put a frame, and sometimes a mount, around a picture."""
    image = image.copy()
    edges = [(0, 7, colour(rng, (0.03, 0.15), (0.0, 0.7), (0.05, 0.9)))]
    if rng.random() < 0.5:
        edges.append((7, 18, np.full(3, 0.92, np.float32)))
    for lo, hi, value in edges:
        for sl in (np.s_[lo:hi, lo : SIZE - lo], np.s_[SIZE - hi : SIZE - lo, lo : SIZE - lo]):
            image[sl] = value
            image[sl[1], sl[0]] = value
    return image


def window_view(rng: Generator) -> Image:
    """What a closed window shows: bright sky, far ridges or houses, with glazing bars."""
    image = np.empty((SIZE, SIZE, 3), np.float32)
    top, low = (
        colour(rng, (0.53, 0.62), (0.1, 0.5), (0.7, 1)),
        colour(rng, (0.05, 0.6), (0.02, 0.2), (0.85, 1)),
    )
    ramp = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None, None]
    image[:] = top + (low - top) * ramp
    y = np.arange(SIZE)[:, None]
    for level in (0.6, 0.75):
        blocky = rng.random() < 0.5
        line = (
            np.repeat(rng.uniform(-0.2, 0.15, 16), 8) if blocky else 0.5 * (fractal_noise(rng, 1.6)[0] - 0.5)
        )
        image[y >= (level + line)[None] * SIZE] = colour(rng, (0.05, 0.45), (0.05, 0.5), (0.2, 0.6))
    frame = colour(rng, (0, 1), (0, 0.15), (0.5, 1))
    cols, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    for i in range(cols + 1):
        _rect(image, max(0, i / cols - 0.03), 0, i / cols + 0.03, 1, frame)
    for i in range(rows + 1):
        _rect(image, 0, max(0, i / rows - 0.025), 1, i / rows + 0.025, frame)
    return image


def drawers(rng: Generator) -> Image:
    """The front of a cabinet with drawers or doors and knobs."""
    image = (SURFACES["wood"](rng) if rng.random() < 0.6 else SURFACES["plaster"](rng)).copy()
    rows, cols = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    knob = colour(rng, (0.08, 0.14), (0, 0.5), (0.05, 0.9))
    for i in range(rows + 1):
        _rect(image, 0, max(0, i / rows - 0.012), 1, i / rows + 0.012, image[5, 5] * 0.3)
    for i in range(cols + 1):
        _rect(image, max(0, i / cols - 0.012), 0, i / cols + 0.012, 1, image[5, 5] * 0.3)
    for r in range(rows):
        for c in range(cols):
            x, y = (c + 0.5) / cols, (r + 0.5) / rows
            _rect(image, x - 0.03, y - 0.015, x + 0.03, y + 0.015, knob)
    return image


def screen(rng: Generator) -> Image:
    """A television or monitor: a dark rim around a soft picture."""
    image = np.stack([fractal_noise(rng, 2.0) for _ in range(3)], -1) * rng.uniform(0.1, 1.0)
    image[:4], image[-6:], image[:, :4], image[:, -4:] = 0.03, 0.03, 0.03, 0.03
    return image


FITTED: dict[str, Callable[[Generator], Image]] = {
    f.__name__: f
    for f in (
        *(facade, glass_tower, lettering, shopfront, door, books, painting, window_view, drawers, screen),
    )
}
"""Textures of one whole thing, by name."""
