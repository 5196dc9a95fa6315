"""Streets and gardens."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from ._build import ONCE, REPEAT, SceneBuilder
from ._furniture import bench, car, lamp_post, tree
from ._sky import daylight

__all__ = ["compose_garden", "compose_street"]

FACADES = ("facade", "facade", "facade", "facade", "glass_tower")


def _light(b: SceneBuilder, haze: tuple[float, float], contact: float) -> dict:
    rng = b.rng
    day = daylight(rng, photos=b.photos)
    reach = float(np.exp(rng.uniform(*np.log(haze))))
    return {
        "sky": day.sky,
        "lights": [day.sun],
        "ambient": day.ambient,
        "atmosphere": (reach, contact, float(rng.uniform(0.8, 1.15))),
    }


def _building(
    b: SceneBuilder, width: float, depth: float, storeys: int, palette: list[int], shops: list[int]
) -> None:
    """A house whose front is z = 0, facing +z."""
    rng = b.rng
    bay, storey = rng.uniform(2.4, 3.6), rng.uniform(2.8, 3.4)
    front = b.material(palette[int(rng.integers(len(palette)))], (bay, storey), fit=REPEAT)
    roof = b.material(("roof_tiles", "concrete", "corrugated"), 2.0)
    ground = rng.uniform(3.0, 4.0)
    tint = rng.uniform(0.75, 1.2) * rng.uniform(0.85, 1.1, 3)
    b.box((0, -depth / 2, ground), (width, storeys * storey, depth), front, roof, tint=tint)
    if rng.random() < 0.65:
        shop = b.material(shops[int(rng.integers(len(shops)))], (5.0, ground), fit=REPEAT)
        b.box((0, -depth / 2 + 0.08, 0), (width, ground, depth), shop, roof)
        if rng.random() < 0.6:
            cloth = b.material("fabric", 1.0)
            b.prism((0, 0.5, ground - 0.75), (width * 0.8, 0.4, 1.8), cloth, cloth)
    else:
        b.box((0, -depth / 2, 0), (width, ground, depth), front, roof, tint=tint)
        b.box((rng.uniform(-0.3, 0.3) * width, 0.03, 0), (1.1, 2.3, 0.1), b.material("door", 1.0, fit=ONCE))
    top = ground + storeys * storey
    stone = b.material(("plaster", "concrete"), 1.5)
    if rng.random() < 0.6:
        b.prism((0, -depth / 2, top), (width, rng.uniform(1.5, 4.0), depth + 0.6), front, roof)
    b.box((0, 0.1, top - 0.2), (width + 0.1, 0.35, 0.5), stone)
    b.box((0, 0.06, ground - 0.1), (width, 0.2, 0.3), stone)
    if rng.random() < 0.35:
        for i in range(storeys):
            b.box(
                (rng.uniform(-0.1, 0.1) * width, 0.5, ground + i * storey),
                (width * 0.4, 0.9, 0.9),
                stone,
                tint=tint,
            )
    if rng.random() < 0.4:
        sign = b.material("lettering", 1.0, fit=ONCE)
        b.box((rng.uniform(-0.4, 0.4) * width, 0.6, ground - 0.9), (0.08, 0.8, 0.9), sign)


def _row(b: SceneBuilder, length: float, palette: list[int], shops: list[int]) -> None:
    """Houses along local x, fronts near z = 0."""
    rng = b.rng
    x = -length / 2
    while x < length / 2:
        width = rng.uniform(6.0, 16.0)
        if rng.random() < 0.1:
            x += rng.uniform(2.0, 5.0)
        house = b.at(x + width / 2, -rng.uniform(0.0, 0.8))
        _building(house, width, rng.uniform(8, 14), int(rng.integers(1, 6)), palette, shops)
        x += width


def _skyline(b: SceneBuilder, palette: list[int], count: int) -> None:
    rng = b.rng
    far = [b.material(p, (3.5, 3.2), fit=REPEAT) for p in palette]
    for _ in range(count):
        angle, away = rng.uniform(-pi, pi), rng.uniform(110, 380)
        size = (rng.uniform(12, 40), rng.uniform(12, 70), rng.uniform(12, 40))
        at = (away * sin(angle), away * cos(angle), 0.0)
        b.box(at, size, far[int(rng.integers(len(far)))], yaw=rng.uniform(-pi, pi))


def compose_street(b: SceneBuilder) -> dict:
    """A street along z with houses on one or both sides."""
    rng = b.rng
    road, walk = rng.uniform(5.0, 10.0), rng.uniform(1.8, 4.0)
    length = rng.uniform(50, 130)
    palette = [b.texture(FACADES) for _ in range(5)]
    shops = [b.texture("shopfront") for _ in range(3)]
    b.box(
        (0, 0, -0.5),
        (3000, 0.5, 3000),
        b.material(("asphalt", "asphalt", "stones", "tiles"), rng.uniform(1.5, 4.0), mottle=0.5),
    )
    pave = b.material(("tiles", "stones", "brick", "photo", "concrete"), rng.uniform(0.9, 2.0), mottle=0.3)
    kerb, green = b.material("concrete", 1.0), b.material("leaves", 0.9, mottle=0.5)
    bark, metal = b.material("bark", 0.6), b.material("concrete", 0.5)
    paint, glass, dark = b.material("plaster", 2.0), b.material("water", 3.0), b.material("asphalt", 1.0)
    glow = b.material("plaster", 1.0, emission=1.1)
    built = [True, bool(rng.random() < 0.7)]
    rng.shuffle(built)
    for side, houses in zip((-1, 1), built, strict=True):
        edge = side * (road / 2 + walk)
        b.box((side * (road / 2 + walk / 2), 0, 0), (walk, 0.13, length * 1.5), pave)
        b.box((side * (road / 2 + 0.08), 0, 0), (0.2, 0.15, length * 1.5), kerb)
        frame = b.at(edge, 0, -side * pi / 2)
        if houses:
            _row(frame, length, palette, shops)
        else:
            frame.box(
                (0, -30, 0),
                (length * 1.5, 0.14, 60),
                b.material(("grass", "water", "grass", "gravel"), 3.0, mottle=0.6),
            )
            for _ in range(int(rng.integers(4, 14))):
                tree(
                    frame.at(rng.uniform(-0.5, 0.5) * length, -rng.uniform(1, 28)),
                    bark,
                    green,
                    rng.uniform(4, 11),
                )
        _furnish_pavement(frame, length, walk, (bark, green, metal, glow))
        for _ in range(int(rng.integers(0, 7))):
            place = b.at(side * (road / 2 - 1.15), rng.uniform(-0.4, 0.4) * length, 0.0 if side > 0 else pi)
            car(place, paint, glass, dark)
    if rng.random() < 0.6:
        paint_line = b.material("plaster", 2.0)
        for i in range(-6, 7):
            b.box((0, i * 6.0, 0), (0.14, 0.006, 2.6), paint_line)
    for end in (-1, 1):
        if rng.random() < 0.5:
            _row(
                b.at(0, end * length * rng.uniform(0.55, 0.9), pi if end > 0 else 0.0),
                road + 30,
                palette,
                shops,
            )
    _skyline(b, palette, int(rng.integers(6, 24)))
    area = (road + 1.4 * walk, 0.5 * length)
    return {**_light(b, (250, 2500), 0.8), "area": area, "heights": (1.35, 1.8), "clearance": 0.8}


def _furnish_pavement(
    b: SceneBuilder, length: float, walk: float, materials: tuple[int, int, int, int]
) -> None:
    rng = b.rng
    bark, green, metal, glow = materials
    z = walk - 0.5
    step = rng.uniform(8, 16)
    planted = rng.random() < 0.6
    for i in range(int(length * 0.8 / step)):
        x = -length * 0.4 + i * step
        if planted:
            tree(b.at(x, z, 0.0, 0.13), bark, green, rng.uniform(3.5, 7.5))
        if i % 2 == 0:
            lamp_post(b.at(x + step / 2, z, 0.0, 0.13), metal, glow)
        if rng.random() < 0.35:
            at = (x + rng.uniform(1, step - 1), z, 0.13)
            b.cone(at, (0.22, rng.uniform(0.7, 1.0), 0.25), metal, tint=rng.uniform(0.3, 1.2, 3))


def _hills(b: SceneBuilder, materials: list[int]) -> None:
    rng = b.rng
    for _ in range(int(rng.integers(3, 12))):
        angle, away = rng.uniform(-pi, pi), rng.uniform(180, 700)
        wide, high = rng.uniform(60, 160), rng.uniform(8, 60)
        at = (away * sin(angle), away * cos(angle), -0.3 * high)
        material = materials[int(rng.integers(len(materials)))]
        b.ellipsoid(
            at,
            (wide, high, wide * rng.uniform(0.5, 1.0)),
            material,
            yaw=rng.uniform(-pi, pi),
            tint=rng.uniform(0.6, 1.1),
        )


def _fence(b: SceneBuilder, length: float, wood: int, height: float) -> None:
    """Posts and rails, or a board fence, along local x."""
    if b.rng.random() < 0.4:
        b.box((0, 0, 0), (length, height, 0.06), wood)
        return
    posts = max(2, int(length / 2.2))
    for i in range(posts + 1):
        b.box((-length / 2 + i * length / posts, 0, 0), (0.1, height, 0.1), wood)
    for level in (0.35, 0.8):
        b.box((0, 0, level * height), (length, 0.09, 0.05), wood)


def _house(b: SceneBuilder) -> None:
    """A cottage facing +z."""
    rng = b.rng
    width, depth, height = rng.uniform(6, 11), rng.uniform(5, 8), rng.uniform(2.6, 5.5)
    front = b.material("facade", (2.8, 2.7), fit=REPEAT)
    wall, roof = b.material(("brick", "plaster", "stones", "planks"), 1.5), b.material("roof_tiles", 1.8)
    b.box((0, 0, 0), (width, height, depth), front, wall)
    b.prism((0, 0, height), (width + 0.7, rng.uniform(1.6, 3.2), depth + 0.9), wall, roof)
    b.box((rng.uniform(-0.3, 0.3) * width, depth / 2, 0), (1.0, 2.1, 0.12), b.material("door", 1.0, fit=ONCE))
    b.box((width * 0.25, -depth * 0.1, height), (0.6, 3.6, 0.6), wall)


def compose_garden(b: SceneBuilder) -> dict:
    """Ground with a path, trees, hedges, rocks and fences, hills far away."""
    rng = b.rng
    if rng.random() < 0.8:
        lawn = b.material("grass", rng.uniform(2.0, 5.0), mottle=0.8)
    else:
        lawn = b.material(("gravel", "stones", "grass"), rng.uniform(0.7, 1.6), mottle=0.7)
    b.box((0, 0, -0.5), (4000, 0.5, 4000), lawn)
    bark, wood = b.material("bark", 0.6), b.material(("planks", "wood"), 0.8)
    greens = [b.material("leaves", rng.uniform(0.5, 1.3), mottle=0.6) for _ in range(4)]
    stone = b.material(("stones", "concrete", "gravel", "photo"), rng.uniform(0.8, 2.0), mottle=0.5)
    path = b.material(
        ("gravel", "stones", "tiles", "planks", "brick", "photo"), rng.uniform(0.7, 1.5), mottle=0.3
    )
    heading, x, z = rng.uniform(-0.4, 0.4), rng.uniform(-2, 2), -18.0
    bend, width = rng.uniform(-0.06, 0.06), rng.uniform(1.0, 2.4)
    for i in range(20):
        b.box((x, z, 0), (width, 0.012 + 0.001 * (i % 2), 2.3), path, yaw=heading)
        x, z, heading = x + 2 * sin(heading), z + 2 * cos(heading), heading + bend
    density = rng.uniform(0.3, 1.0)
    for _ in range(int(26 * density)):
        away, angle = 3.0 + 27 * rng.random() ** 0.8, rng.uniform(-pi, pi)
        spot = b.at(away * sin(angle), away * cos(angle), rng.uniform(-pi, pi))
        tree(spot, bark, greens[int(rng.integers(4))], rng.uniform(2.5, 10.0))
    for _ in range(int(rng.integers(16, 60))):
        away, angle = rng.uniform(25, 130), rng.uniform(-pi, pi)
        r = rng.uniform(1.5, 6)
        at = (away * sin(angle), away * cos(angle), r * rng.uniform(0.3, 1.0))
        b.ellipsoid(
            at, (r, r * rng.uniform(0.8, 1.6), r), greens[int(rng.integers(4))], tint=rng.uniform(0.7, 1.2)
        )
    _undergrowth(b, greens, stone, wood, density)
    if rng.random() < 0.55:
        away, angle = rng.uniform(9, 30), rng.uniform(-pi, pi)
        _house(b.at(away * sin(angle), away * cos(angle), angle + pi + rng.uniform(-0.5, 0.5)))
    if rng.random() < 0.35:
        at = (rng.uniform(-12, 12), rng.uniform(4, 14), 0)
        b.cone(at, (rng.uniform(2, 5), 0.02, 0.0), b.material("water", 3.0))
        b.cone(at, (5.0, 0.01, 5.0), stone)
    metal = b.material("concrete", 0.5)
    for _ in range(int(rng.integers(0, 3))):
        bench(b.at(rng.uniform(-5, 5), rng.uniform(-5, 5), rng.uniform(-pi, pi)), wood, metal)
    _hills(b, [*greens[:2], lawn, stone])
    return {**_light(b, (150, 2500), 0.7), "area": (10.0, 14.0), "heights": (1.3, 1.8), "clearance": 0.7}


def _undergrowth(b: SceneBuilder, greens: list[int], stone: int, wood: int, density: float) -> None:
    """Bushes, flower beds, rocks, hedges, walls and fences."""
    rng = b.rng
    for _ in range(int(24 * density) + 4):
        away, angle = rng.uniform(2.0, 18), rng.uniform(-pi, pi)
        r = rng.uniform(0.2, 0.9)
        at = (away * sin(angle), away * cos(angle), r * 0.4)
        rocky = rng.random() < 0.35
        material = stone if rocky else greens[int(rng.integers(4))]
        b.ellipsoid(
            at,
            (r, r * rng.uniform(0.5, 1.1), r * rng.uniform(0.6, 1.2)),
            material,
            yaw=rng.uniform(-pi, pi),
            tint=rng.uniform(0.6, 1.2, 3) if rocky else rng.uniform(0.7, 1.25),
        )
    for _ in range(int(rng.integers(1, 6))):
        away, angle = rng.uniform(4, 16), rng.uniform(-pi, pi)
        spot = b.at(away * sin(angle), away * cos(angle), angle + rng.choice([0.0, pi / 2]))
        length, choice = rng.uniform(3, 14), rng.integers(3)
        if choice == 0:
            spot.box(
                (0, 0, 0),
                (length, rng.uniform(0.5, 2.2), rng.uniform(0.4, 1.0)),
                greens[int(rng.integers(4))],
            )
        elif choice == 1:
            _fence(spot, length, wood, rng.uniform(0.8, 1.7))
        else:
            spot.box((0, 0, 0), (length, rng.uniform(0.4, 1.6), 0.35), stone)
