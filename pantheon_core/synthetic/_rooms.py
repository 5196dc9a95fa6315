"""Rooms: walls with doors, windows and pictures, furniture, lamps; perhaps a second room."""

from __future__ import annotations

from math import pi

import numpy as np

from ._build import METRIC, ONCE, REPEAT, SceneBuilder
from ._furniture import CENTRE_PIECES, WALL_PIECES, rug
from ._sky import daylight

__all__ = ["compose_room"]

WALLS = (
    "plaster",
    "plaster",
    "plaster",
    "wallpaper",
    "wallpaper",
    "brick",
    "photo",
    "concrete",
    "planks",
    "tiles",
)
FLOORS = ("planks", "planks", "tiles", "wood", "marble", "concrete", "fabric", "photo", "stones")
THICK = 0.15


def _wall(
    b: SceneBuilder, length: float, height: float, wall: int, opening: tuple[float, ...] | None
) -> None:
    """A wall along local x whose inner face is z = 0; opening = (middle x, width, sill, top) or none."""
    if opening is None:
        b.box((0, -THICK / 2, 0), (length + 2 * THICK, height, THICK), wall)
        return
    x, width, sill, top = opening
    left, right = x - width / 2 + length / 2, length / 2 - x - width / 2
    b.box((-length / 2 + left / 2 - THICK / 2, -THICK / 2, 0), (left + THICK, height, THICK), wall)
    b.box((length / 2 - right / 2 + THICK / 2, -THICK / 2, 0), (right + THICK, height, THICK), wall)
    b.box((x, -THICK / 2, top), (width, height - top, THICK), wall)
    if sill > 0:
        b.box((x, -THICK / 2, 0), (width, sill, THICK), wall)


def _frame(b: SceneBuilder, opening: tuple[float, ...], material: int, bars: int) -> None:
    """Frame and bars of an opening."""
    x, width, sill, top = opening
    for side in (-1, 1):
        b.box((x + side * width / 2, -0.03, sill), (0.08, top - sill, 0.16), material)
    b.box((x, -0.03, top - 0.04), (width + 0.08, 0.08, 0.16), material)
    if sill > 0:
        b.box((x, 0.0, sill - 0.03), (width + 0.15, 0.05, 0.25), material)
        for i in range(1, bars + 1):
            b.box((x - width / 2 + width * i / (bars + 1), -0.05, sill), (0.04, top - sill, 0.04), material)


def _outside(b: SceneBuilder, ground: float) -> None:
    """What an open window looks at: ground below and a building, a wall or trees some metres away."""
    rng = b.rng
    away = rng.uniform(4.0, 25.0)
    b.box(
        (0, -0.3 - 100, -ground - 0.5),
        (200, 0.5, 200),
        b.material(("grass", "asphalt", "stones"), 2.5, emission=0.55),
    )
    if rng.random() < 0.6:
        bay = b.material(("facade", "facade", "brick", "photo"), 3.0, fit=REPEAT, emission=0.65)
        b.box(
            (rng.uniform(-5, 5), -away - 3, -ground),
            (3.0 * rng.integers(3, 9), 3.0 * rng.integers(1, 4), 6),
            bay,
        )
    leaf = b.material("leaves", 1.5, emission=0.6)
    for _ in range(int(rng.integers(0, 5))):
        r = rng.uniform(0.8, 2.2)
        b.ellipsoid(
            (rng.uniform(-8, 8), -rng.uniform(3.0, away) - 1.5, rng.uniform(0, 2) - ground), (r, r, r), leaf
        )


def _curtains(b: SceneBuilder, opening: tuple[float, ...], height: float) -> None:
    x, width, _, top = opening
    cloth = b.material(("corrugated", "fabric"), 0.6)
    for side in (-1, 1):
        wide = width * b.rng.uniform(0.15, 0.4)
        b.box(
            (x + side * (width / 2 + wide * 0.3), 0.1, 0.05),
            (wide, min(top + 0.2, height - 0.05), 0.08),
            cloth,
        )


def _dress_wall(
    b: SceneBuilder, length: float, height: float, trim: int, role: str, wall: int
) -> tuple[float, ...] | None:
    """Build one wall with its door, window or pictures; returns its window or passage, if any."""
    rng = b.rng
    opening = None
    if role in ("window", "glazing"):
        width, sill = rng.uniform(0.8, min(2.6, length * 0.6)), rng.choice([0.15, 0.8, 0.9, 1.1])
        room = (length - width) / 2 - 0.3
        opening = (rng.uniform(-room, room), width, float(sill), rng.uniform(2.0, height - 0.15))
    elif role == "passage":
        opening = (
            rng.uniform(-0.2, 0.2) * length,
            rng.uniform(0.9, min(2.0, length * 0.5)),
            0.0,
            rng.uniform(2.0, height - 0.2),
        )
    _wall(b, length, height, wall, opening if role != "glazing" else None)
    if opening is not None:
        _frame(b, opening, trim, int(rng.integers(0, 4)))
        if role == "glazing":
            pane = b.material(
                ("window_view", "window_view", "photo_once"), 1.0, fit=ONCE, emission=rng.uniform(0.7, 1.3)
            )
            x, width, sill, top = opening
            b.box((x, 0.0, sill), (width, top - sill, 0.02), pane)
        if role != "passage" and rng.random() < 0.6:
            _curtains(b, opening, height)
    elif role == "door":
        x = rng.uniform(-1, 1) * (length / 2 - 0.7)
        b.box((x, 0.01, 0), (0.86, 2.04, 0.05), b.material("door", 1.0, fit=ONCE))
        _frame(b, (x, 0.9, 0.0, 2.08), trim, 0)
    if opening is None:
        for _ in range(int(rng.integers(0, 4)) if role == "plain" else int(rng.random() < 0.4)):
            width = rng.uniform(0.3, 1.3)
            tall = width * rng.uniform(0.6, 1.4)
            x = rng.uniform(-1, 1) * max(length / 2 - width / 2 - 0.2, 0.0)
            base = rng.uniform(1.2, max(1.25, min(1.7, height - tall - 0.1)))
            b.box(
                (x, 0.01, base),
                (width, tall, 0.04),
                b.material(("painting", "photo_framed", "photo_framed"), 1.0, fit=ONCE),
            )
    b.box((0, 0.01, 0), (length, 0.1, 0.02), trim) if role not in ("passage",) else None
    return opening if role != "door" else None


def _shell(b: SceneBuilder, width: float, depth: float, height: float, floor: int, ceiling: int) -> None:
    b.box((0, 0, -0.2), (width + 2 * THICK, 0.2, depth + 2 * THICK), floor)
    b.box((0, 0, height), (width + 2 * THICK, 0.2, depth + 2 * THICK), ceiling)


def _sides(width: float, depth: float) -> tuple[tuple[float, float, float, float], ...]:
    """(x, z, yaw, length) of the four walls, facing inwards."""
    return (
        (0.0, -depth / 2, 0.0, width),
        (0.0, depth / 2, pi, width),
        (-width / 2, 0.0, pi / 2, depth),
        (width / 2, 0.0, -pi / 2, depth),
    )


def _furnish(b: SceneBuilder, width: float, depth: float) -> None:
    rng = b.rng
    taken: list[tuple[float, float, float]] = []

    def fits(x: float, z: float, r: float) -> bool:
        return all((x - a) ** 2 + (z - c) ** 2 > (0.85 * (r + s)) ** 2 for a, c, s in taken)

    for _ in range(int(np.clip(width * depth / 3.2, 3, 12))):
        make, half, gap = WALL_PIECES[int(rng.integers(len(WALL_PIECES)))]
        x, z, yaw, length = _sides(width, depth)[int(rng.integers(4))]
        if length / 2 < half + 0.1:
            continue
        place = b.at(x, z, yaw).at(rng.uniform(-1, 1) * (length / 2 - half), gap + 0.05)
        px, pz, _ = place.position
        if fits(px, pz, half):
            taken.append((px, pz, half))
            make(place)
    for _ in range(int(np.clip((width - 3) * (depth - 3) / 8, 0, 6))):
        make, r = CENTRE_PIECES[int(rng.integers(len(CENTRE_PIECES)))]
        x, z = (
            rng.uniform(-1, 1) * max(width / 2 - r - 0.6, 0),
            rng.uniform(-1, 1) * max(depth / 2 - r - 0.6, 0),
        )
        if fits(x, z, r):
            taken.append((x, z, r))
            make(b.at(x, z, rng.choice([0.0, pi / 2, pi, rng.uniform(-pi, pi)])))
    for _ in range(int(rng.integers(0, 3))):
        rug(b.at(rng.uniform(-0.2, 0.2) * width, rng.uniform(-0.2, 0.2) * depth, rng.choice([0.0, pi / 2])))


def _lamps(b: SceneBuilder, width: float, depth: float, height: float, lights: list[list[float]]) -> None:
    rng = b.rng
    glow = b.material("plaster", 1.0, emission=1.6)
    across, along = max(1, round(width / 4.5)), max(1, round(depth / 4.5))
    power = rng.uniform(0.9, 1.9) / (across * along) ** 0.5
    warm = np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.6, 1.0)]) * power
    drop = rng.choice([0.06, 0.06, 0.5])
    flat, r = rng.random() < 0.4, rng.uniform(0.12, 0.3)
    for i in range(across):
        for j in range(along):
            x, z = ((i + 0.5) / across - 0.5) * width, ((j + 0.5) / along - 0.5) * depth
            if flat:
                b.box((x, z, height - drop), (4 * r, 0.05, 1.2 * r), glow)
            else:
                b.cone((x, z, height - drop), (r, 0.12, r * 0.6), glow)
                b.cone((x, z, height - drop), (0.012, drop, 0.012), glow, tint=0.1)
            gx, gz, _ = b.at(x, z).position
            lights.append([1.0, gx, height - drop - 0.12, gz, *warm, 1.0 if len(lights) < 2 else 0.0])


def compose_room(b: SceneBuilder) -> dict:
    """Compose a room; returns what `SceneBuilder.finish` needs and where a camera may stand."""
    rng = b.rng
    big = rng.random()
    width, depth = rng.uniform(3.2, 5.5 if big < 0.6 else 12.0), rng.uniform(3.2, 6.0 if big < 0.6 else 12.0)
    height = rng.uniform(2.4, 2.9 if big < 0.6 else 4.2)
    wall, floor = (
        b.material(WALLS, rng.uniform(1.0, 2.6), mottle=0.25),
        b.material(FLOORS, rng.uniform(1.0, 2.4), mottle=0.3),
    )
    ceiling = b.material(
        ("ceiling", "ceiling", "ceiling", "ceiling", "plaster", "planks", "concrete"), 1.8, mottle=0.15
    )
    accent = b.material(WALLS, 1.6, mottle=0.2) if rng.random() < 0.5 else wall
    trim = b.material(("ceiling", "ceiling", "wood", "plaster"), 1.3)
    _shell(b, width, depth, height, floor, ceiling)
    roles = [
        "door",
        str(rng.choice(["window", "glazing", "glazing"])),
        str(rng.choice(["glazing", "plain", "plain"])),
        str(rng.choice(["passage", "plain", "plain"])),
    ]
    rng.shuffle(roles)
    lights: list[list[float]] = []
    day = daylight(rng, photos=b.photos)
    bright = rng.uniform(0.3, 1.6)
    for (x, z, yaw, length), role in zip(_sides(width, depth), roles, strict=True):
        side = b.at(x, z, yaw)
        opening = _dress_wall(side, length, height, trim, role, accent if role == "plain" else wall)
        if role == "window":
            _outside(side, float(rng.choice([0.2, 3.0, 9.0])))
        if opening is not None and role != "passage":
            gx, gz, _ = side.at(opening[0], 0.35).position
            sky = day.ambient[0] / day.ambient[0].max() * bright
            lights.append([1.0, gx, (opening[2] + opening[3]) / 2, gz, *map(float, sky), 1.0])
        if role == "passage" and opening is not None:
            _second_room(side.at(opening[0], -THICK), height, floor, ceiling, lights)
    _furnish(b, width, depth)
    if rng.random() < 0.35:
        corner = rng.choice([-1, 1], 2)
        size = (rng.uniform(0.3, 0.35 * width), height, rng.uniform(0.3, 0.35 * depth))
        b.box((corner[0] * (width - size[0]) / 2, corner[1] * (depth - size[2]) / 2, 0), size, accent)
    _lamps(b, width, depth, height, lights)
    fill = rng.uniform(0.22, 0.5) * (0.6 + 0.4 * day.ambient[0] / day.ambient[0].max())
    return {
        "sky": day.sky,
        "lights": lights[:6],
        "ambient": np.stack([fill, fill * 1.35, fill * 0]),
        "atmosphere": (0.0, float(rng.uniform(0.25, 0.45)), float(rng.uniform(0.75, 1.15))),
        "area": (width * 0.72, depth * 0.72),
        "heights": (1.25, min(1.75, height - 0.7)),
        "clearance": 0.55,
    }


def _second_room(b: SceneBuilder, height: float, floor: int, ceiling: int, lights: list[list[float]]) -> None:
    """A room behind a passage, whose near side is the shared wall."""
    rng = b.rng
    width, depth = rng.uniform(3.0, 5.0), rng.uniform(2.5, 5.0)
    wall = b.material(WALLS, 1.5, mottle=0.2)
    inner = b.at(0, -depth / 2)
    inner.box((0, 0, -0.2), (width + 0.3, 0.2, depth), floor)
    inner.box((0, 0, height), (width + 0.3, 0.2, depth), ceiling)
    for x, z, yaw, length in (*_sides(width, depth)[2:], _sides(width, depth)[0]):
        _wall(inner.at(x, z, yaw), length, height, wall, None)
    art = b.material(("painting", "photo_framed", "window_view"), 1.0, fit=ONCE, emission=METRIC)
    inner.box((rng.uniform(-0.6, 0.6), -depth / 2 + 0.02, 1.0), (1.2, 1.0, 0.04), art)
    for make, half, gap in (WALL_PIECES[0], WALL_PIECES[3]):
        make(inner.at(rng.choice([-1, 1]) * (width / 2 - half), -depth / 2 + gap + 0.05))
    gx, gz, _ = inner.position
    lights.append([1.0, gx, height - 0.3, gz, *rng.uniform(0.5, 1.1, 3), 0.0])
