"""Furniture and street furniture of primitives, each in its own frame and facing +z (into the room)."""

from __future__ import annotations

from math import cos, pi, sin

from ._build import ONCE, REPEAT, SceneBuilder

__all__ = ["CENTRE_PIECES", "WALL_PIECES", "bench", "car", "chair", "lamp_post", "rug", "tree"]

WOODY = ("wood", "wood", "planks", "plaster", "marble")


def _legs(b: SceneBuilder, width: float, depth: float, height: float, thick: float, material: int) -> None:
    for sx in (-1, 1):
        for sz in (-1, 1):
            at = (sx * (width / 2 - thick), sz * (depth / 2 - thick), 0.0)
            b.box(at, (thick, height, thick), material)


def chair(b: SceneBuilder) -> None:
    """A chair whose back is at -z."""
    wood, cloth = b.material("wood", 0.7), b.material("fabric", 0.4)
    seat = b.rng.uniform(0.42, 0.48)
    _legs(b, 0.44, 0.44, seat, 0.045, wood)
    b.box((0, 0, seat), (0.46, 0.06, 0.46), cloth)
    b.box(
        (0, -0.21, seat + 0.15),
        (0.44, b.rng.uniform(0.25, 0.5), 0.05),
        cloth if b.rng.random() < 0.5 else wood,
    )


def table(b: SceneBuilder) -> None:
    """A table with chairs around it and things on it."""
    rng = b.rng
    width, depth, height = rng.uniform(0.8, 2.0), rng.uniform(0.6, 1.0), rng.uniform(0.68, 0.78)
    wood = b.material(WOODY, 1.1)
    if rng.random() < 0.3:
        b.cone((0, 0, height), (depth * 0.7, 0.04, depth * 0.7), wood)
        b.cone((0, 0, 0), (0.25, height, 0.05), wood)
    else:
        b.box((0, 0, height), (width, 0.04, depth), wood)
        _legs(b, width, depth, height, 0.06, wood)
    for side in (-1, 1):
        if rng.random() < 0.7:
            chair(
                b.at(
                    rng.uniform(-0.2, 0.2),
                    side * (depth / 2 + rng.uniform(0.15, 0.4)),
                    pi if side > 0 else 0.0,
                )
            )
    _things(b, width * 0.35, depth * 0.3, height + 0.04, int(rng.integers(1, 5)))


def _things(b: SceneBuilder, reach_x: float, reach_z: float, base: float, count: int) -> None:
    """Vases, books, bowls and boxes on a surface."""
    rng = b.rng
    material = b.material(("fabric", "marble", "wallpaper", "photo", "plaster"), 0.25)
    for _ in range(count):
        at = (rng.uniform(-reach_x, reach_x), rng.uniform(-reach_z, reach_z), base)
        tint = rng.uniform(0.35, 1.3, 3)
        choice = rng.integers(3)
        if choice == 0:
            b.cone(
                at,
                (rng.uniform(0.03, 0.08), rng.uniform(0.1, 0.35), rng.uniform(0.02, 0.1)),
                material,
                tint=tint,
            )
        elif choice == 1:
            size = (rng.uniform(0.1, 0.3), rng.uniform(0.03, 0.2), rng.uniform(0.1, 0.25))
            b.box(at, size, material, yaw=rng.uniform(-1, 1), tint=tint)
        else:
            r = rng.uniform(0.04, 0.12)
            b.ellipsoid((at[0], at[1], base + r * 0.8), (r, r * 0.8, r), material, tint=tint)


def shelf(b: SceneBuilder) -> None:
    """A bookcase, back to the wall."""
    rng = b.rng
    width, height, depth = rng.uniform(0.7, 1.8), rng.uniform(0.9, 2.2), rng.uniform(0.25, 0.4)
    wood, books = b.material("wood", 0.8), b.material("books", (0.8, 0.36), fit=REPEAT)
    other = b.material("books", (0.7, 0.36), fit=REPEAT)
    levels = max(2, round(height / 0.4))
    for side in (-1, 1):
        b.box((side * width / 2, 0, 0), (0.03, height, depth), wood)
    b.box((0, -depth / 2 + 0.01, 0), (width, height, 0.02), wood, tint=0.7)
    for i in range(levels + 1):
        b.box((0, 0, i * (height - 0.03) / levels), (width, 0.03, depth), wood)
        if i < levels and rng.random() < 0.85:
            shrink = rng.uniform(0.5, 0.98)
            at = ((1 - shrink) * width / 2 * rng.choice([-1, 1]), -0.03, i * (height - 0.03) / levels + 0.03)
            b.box(
                at,
                (width * shrink, height / levels * rng.uniform(0.6, 0.85), depth * 0.75),
                books if i % 2 else other,
            )


def bed(b: SceneBuilder) -> None:
    """A bed with its head at -z."""
    rng = b.rng
    width, length = rng.uniform(0.9, 1.9), rng.uniform(1.9, 2.1)
    wood, cover, white = (
        b.material(WOODY, 0.9),
        b.material(("fabric", "wallpaper"), 0.7),
        b.material("plaster", 0.5),
    )
    b.box((0, 0, 0.05), (width, 0.25, length), wood)
    b.box((0, 0, 0.3), (width * 0.97, 0.2, length * 0.98), white)
    b.box((0, 0.2, 0.31), (width * 1.01, 0.22, length * 0.7), cover)
    b.box((0, -length / 2, 0), (width * 1.05, rng.uniform(0.8, 1.3), 0.08), wood)
    for side in (-1, 1) if width > 1.3 else (0,):
        b.ellipsoid((side * width / 4, -length / 2 + 0.3, 0.55), (0.32, 0.1, 0.2), white)


def sofa(b: SceneBuilder) -> None:
    """A sofa or an armchair, back at -z."""
    rng = b.rng
    width, seat = rng.uniform(0.8, 2.4), rng.uniform(0.38, 0.46)
    cloth, cushion = (
        b.material(("fabric", "plaster", "photo"), 0.6),
        b.material(("fabric", "wallpaper"), 0.35),
    )
    b.box((0, 0, 0.08), (width, seat - 0.08, 0.85), cloth)
    b.box((0, -0.33, seat), (width, rng.uniform(0.3, 0.5), 0.2), cloth)
    for side in (-1, 1):
        b.box((side * (width / 2 - 0.08), 0, seat), (0.16, 0.2, 0.85), cloth)
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(-0.4, 0.4) * (width - 0.4)
        b.ellipsoid((x, -0.18, seat + 0.2), (0.22, 0.2, 0.09), cushion, tint=rng.uniform(0.4, 1.2, 3))


def cabinet(b: SceneBuilder) -> None:
    """A sideboard, chest or wardrobe, perhaps with a screen or things on top."""
    rng = b.rng
    tall = rng.random() < 0.3
    width, depth = rng.uniform(0.6, 1.8), rng.uniform(0.38, 0.6)
    height = rng.uniform(1.7, 2.2) if tall else rng.uniform(0.5, 1.1)
    front = b.material("drawers", 1.0, fit=ONCE)
    b.box((0, 0, 0.06), (width, height - 0.06, depth), front, b.material("wood", 0.9))
    if tall:
        return
    if rng.random() < 0.4:
        screen = b.material("screen", 1.0, fit=ONCE, emission=rng.uniform(0.5, 1.0))
        b.box((0, 0, height + 0.05), (min(width, 1.3), min(width, 1.3) * 0.56, 0.05), screen)
    else:
        _things(b, width * 0.4, depth * 0.25, height, int(rng.integers(1, 5)))


def floor_lamp(b: SceneBuilder) -> None:
    """A standing lamp with a glowing shade."""
    rng = b.rng
    height = rng.uniform(1.2, 1.7)
    metal, shade = b.material("concrete", 0.3), b.material("fabric", 0.4, emission=rng.uniform(0.8, 2.0))
    b.cone((0, 0, 0), (0.15, 0.03, 0.15), metal)
    b.cone((0, 0, 0), (0.015, height, 0.015), metal)
    b.cone((0, 0, height - 0.05), (rng.uniform(0.15, 0.25), 0.28, 0.12), shade)


def plant(b: SceneBuilder) -> None:
    """A potted plant."""
    rng = b.rng
    pot, green = b.material(("plaster", "tiles", "brick"), 0.4), b.material("leaves", rng.uniform(0.3, 0.6))
    height = rng.uniform(0.25, 0.45)
    b.cone((0, 0, 0), (0.13, height, 0.2), pot)
    if rng.random() < 0.5:
        b.cone((0, 0, height), (0.02, 0.5, 0.02), b.material("bark", 0.3))
        height += 0.35
    for _ in range(int(rng.integers(3, 8))):
        r = rng.uniform(0.1, 0.25)
        x, z = rng.uniform(-0.2, 0.2, 2)
        b.ellipsoid((x, z, height + rng.uniform(0.05, 0.55)), (r, r * rng.uniform(0.5, 1.5), r), green)


def pillar(b: SceneBuilder) -> None:
    """A column up to any ceiling."""
    stone = b.material(("marble", "plaster", "concrete", "brick"), 1.2)
    r = b.rng.uniform(0.12, 0.3)
    if b.rng.random() < 0.5:
        b.cone((0, 0, 0), (r, 4.5, r), stone)
    else:
        b.box((0, 0, 0), (2 * r, 4.5, 2 * r), stone)
    b.box((0, 0, 0), (2.6 * r, 0.15, 2.6 * r), stone)


def rug(b: SceneBuilder) -> None:
    """A carpet on the floor."""
    size = (b.rng.uniform(1.2, 3.2), 0.012, b.rng.uniform(1.0, 2.4))
    b.box((0, 0, 0.001), size, b.material(("carpet", "carpet", "fabric"), 1.0, fit=ONCE))


WALL_PIECES = (
    (shelf, 1.0, 0.25),
    (bed, 1.1, 1.05),
    (sofa, 1.2, 0.5),
    (cabinet, 0.9, 0.35),
    (cabinet, 0.9, 0.35),
    (plant, 0.4, 0.4),
    (floor_lamp, 0.35, 0.35),
    (chair, 0.4, 0.4),
    (shelf, 1.0, 0.25),
)
"""(composer, half width, distance of the middle from the wall)."""

CENTRE_PIECES = ((table, 1.3), (table, 1.3), (sofa, 1.2), (pillar, 0.4), (plant, 0.5), (cabinet, 0.9))
"""(composer, radius)."""


def tree(b: SceneBuilder, bark: int, foliage: int, height: float) -> None:
    """A tree: round crown of several balls, or a conifer of stacked cones."""
    rng = b.rng
    tint = rng.uniform(0.7, 1.25, 3)
    if rng.random() < 0.25:
        b.cone((0, 0, 0), (0.035 * height, height * 0.4, 0.03 * height), bark)
        for i in range(3):
            r = height * (0.26 - 0.065 * i)
            b.cone((0, 0, height * (0.15 + 0.25 * i)), (r, height * 0.36, 0.02), foliage, tint=tint)
        return
    trunk = height * rng.uniform(0.3, 0.5)
    b.cone((0, 0, 0), (0.035 * height + 0.03, trunk * 1.25, 0.02 * height), bark)
    spread = height * rng.uniform(0.18, 0.3)
    for i in range(int(rng.integers(4, 9))):
        angle, out = rng.uniform(-pi, pi), spread * rng.uniform(0.2, 0.9) * (i > 0)
        r = spread * rng.uniform(0.45, 0.85)
        up = trunk + (height - trunk) * rng.uniform(0.25, 0.85)
        at = (out * cos(angle), out * sin(angle), up)
        b.ellipsoid(
            at, (r, r * rng.uniform(0.6, 1.0), r), foliage, yaw=angle, tint=tint * rng.uniform(0.8, 1.15)
        )


def car(b: SceneBuilder, paint: int, glass: int, dark: int) -> None:
    """A car along z."""
    rng = b.rng
    tint = (
        rng.uniform(0.1, 1.3) * rng.uniform(0.85, 1.1, 3) if rng.random() < 0.7 else rng.uniform(0.05, 1.1, 3)
    )
    length, van = rng.uniform(3.8, 4.8), rng.random() < 0.2
    b.box((0, 0, 0.3), (1.7, 0.55, length), paint, tint=tint)
    if van:
        b.box((0, 0.2, 0.8), (1.68, 1.1, length * 0.85), paint, tint=tint)
        b.box((0, 0.2, 1.25), (1.7, 0.4, length * 0.8), glass)
    else:
        b.box((0, -0.1, 0.85), (1.5, 0.45, length * 0.5), glass)
        b.box((0, -0.1, 1.28), (1.45, 0.07, length * 0.44), paint, tint=tint)
        b.ellipsoid((0, length * 0.3, 0.82), (0.82, 0.14, length * 0.2), paint, tint=tint)
    for sx in (-1, 1):
        for sz in (-1, 1):
            b.ellipsoid((sx * 0.76, sz * length * 0.31, 0.32), (0.12, 0.32, 0.32), dark)
    b.box((0, -length / 2, 0.55), (1.6, 0.15, 0.05), dark, tint=(4.0, 0.3, 0.3))
    b.box((0, length / 2, 0.55), (1.6, 0.12, 0.05), dark, tint=6.0)


def lamp_post(b: SceneBuilder, metal: int, glow: int) -> None:
    """A street lamp."""
    height = b.rng.uniform(3.0, 5.5)
    b.cone((0, 0, 0), (0.1, 0.7, 0.07), metal)
    b.cone((0, 0, 0), (0.05, height, 0.04), metal)
    b.ellipsoid((0, 0, height), (0.2, 0.16, 0.2), glow)


def bench(b: SceneBuilder, wood: int, metal: int) -> None:
    """A park bench, back at -z."""
    b.box((0, 0, 0.42), (1.6, 0.05, 0.4), wood)
    b.box((0, -0.2, 0.6), (1.6, 0.3, 0.05), wood)
    for side in (-0.65, 0.65):
        b.box((side, 0, 0), (0.06, 0.42, 0.38), metal)
        b.box((side, -0.2, 0.4), (0.06, 0.45, 0.06), metal)
