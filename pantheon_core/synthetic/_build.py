"""Collects primitives and materials while a scene is composed, and turns them into a `Scene`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import cos, sin
from typing import TypeAlias

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from ._photos import photo_crop, photo_tile
from ._scene import BOX, CONE, ELLIPSOID, PRISM, Scene
from ._textures import SIZE, SURFACES, Image, fractal_noise
from ._textures_fitted import FITTED, framed

__all__ = ["SceneBuilder"]

METRIC, ONCE, REPEAT = 0.0, 1.0, 2.0

Tint: TypeAlias = Image | Sequence[float] | float


@lru_cache(maxsize=1)
def _grey_noise() -> Image:
    noise = fractal_noise(np.random.default_rng(2026), 1.3)
    return np.repeat(noise[..., None], 3, -1)


def _mip_levels(image: Image, *, linear: bool = False) -> Image:
    """All levels (P, 3) in linear light, finest first."""
    level = np.clip(image, 0.0, 1.0) if linear else np.clip(image, 0.0, 1.0) ** 2.2
    levels = [level.reshape(-1, 3)]
    while level.shape[0] > 1:
        level = 0.25 * (level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2])
        levels.append(level.reshape(-1, 3))
    return np.concatenate(levels).astype(np.float32)


class SceneBuilder:
    """Primitives in plan coordinates: x right, z ahead, heights up from the floor, yaw about the vertical.

    `at` gives a builder in a turned and shifted frame that adds to the same scene, so that a chair is written
    once in its own coordinates.
    """

    def __init__(self, rng: Generator, *, photos: bool) -> None:
        self.rng = rng
        self.photos = photos
        self._rows: list[tuple[float, ...]] = []
        self._materials: list[tuple[float, ...]] = []
        self._textures: list[Image] = [_mip_levels(_grey_noise(), linear=True)]
        self._frame = (0.0, 0.0, 0.0, 0.0)

    def at(self, x: float, z: float, yaw: float = 0.0, base: float = 0.0) -> SceneBuilder:
        """A builder whose origin lies at (x, z, base) of this one and is turned by `yaw`."""
        child = SceneBuilder.__new__(SceneBuilder)
        child.__dict__.update(self.__dict__)
        px, pz, pb, pyaw = self._frame
        gx, gz = px + cos(pyaw) * x + sin(pyaw) * z, pz - sin(pyaw) * x + cos(pyaw) * z
        child._frame = (gx, gz, pb + base, pyaw + yaw)
        return child

    @property
    def position(self) -> tuple[float, float, float]:
        """Plan position and yaw (x, z, yaw) of this builder's frame."""
        return self._frame[0], self._frame[1], self._frame[3]

    def texture(self, names: str | Sequence[str]) -> int:
        """Bake one of the names, chosen at random; "photo", "photo_once", "photo_framed" are crops."""
        name = names if isinstance(names, str) else str(self.rng.choice(list(names)))
        if name.startswith("photo") and not self.photos:
            name = {"photo": "plaster", "photo_once": "window_view", "photo_framed": "painting"}[name]
        if name == "photo":
            image = photo_tile(self.rng)
        elif name == "photo_once":
            image = photo_crop(self.rng, SIZE, view=True)
        elif name == "photo_framed":
            image = framed(self.rng, photo_crop(self.rng, SIZE, view=True))
        else:
            image = (SURFACES.get(name) or FITTED[name])(self.rng)
        self._textures.append(_mip_levels(image))
        return len(self._textures) - 1

    def material(
        self,
        names: str | Sequence[str] | int,
        scale: float | tuple[float, float] = 1.5,
        *,
        fit: float = METRIC,
        emission: float = 0.0,
        mottle: float = 0.0,
    ) -> int:
        """A material of a texture (names, or the index of one baked before); `scale` is a tile in metres."""
        texture = names if isinstance(names, int) else self.texture(names)
        width, height = scale if isinstance(scale, tuple) else (scale, scale)
        self._materials.append((texture, width, height, fit, emission, mottle))
        return len(self._materials) - 1

    def texture_of(self, material: int) -> int:
        """The texture index of a material."""
        return int(self._materials[material][0])

    def _add(
        self,
        shape: int,
        place: tuple[float, float, float],
        half: tuple[float, float, float],
        yaw: float,
        materials: tuple[int, int],
        tint: Tint,
    ) -> None:
        x, z, middle = place
        fx, fz, fb, fyaw = self._frame
        gx, gz = fx + cos(fyaw) * x + sin(fyaw) * z, fz - sin(fyaw) * x + cos(fyaw) * z
        least = (1e-3, 1e-3, 0.0 if shape == CONE else 1e-3)
        half = (max(half[0], least[0]), max(half[1], least[1]), max(half[2], least[2]))
        radius = float(np.linalg.norm(half))
        if shape == ELLIPSOID:
            radius = max(half)
        elif shape == CONE:
            radius = float(np.hypot(max(half[0], half[2]), half[1]))
        colour = (tint,) * 3 if isinstance(tint, int | float) else tuple(float(t) for t in tint)
        offset = self.rng.uniform(0, 1, 2)
        self._rows.append(
            (shape, gx, -(middle + fb), gz, *half, yaw + fyaw, radius, *materials, *colour, *offset)
        )

    def box(
        self,
        place: tuple[float, float, float],
        size: tuple[float, float, float],
        material: int,
        cap: int | None = None,
        *,
        yaw: float = 0.0,
        tint: Tint = 1.0,
    ) -> None:
        """A box standing at place = (x, z, base) with size = (width x, height, depth z)."""
        x, z, base = place
        half = (size[0] / 2, size[1] / 2, size[2] / 2)
        self._add(BOX, (x, z, base + half[1]), half, yaw, (material, material if cap is None else cap), tint)

    def cone(
        self,
        place: tuple[float, float, float],
        size: tuple[float, float, float],
        material: int,
        cap: int | None = None,
        *,
        tint: Tint = 1.0,
    ) -> None:
        """A vertical cylinder or truncated cone; size = (radius at the bottom, height, radius at the top)."""
        x, z, base = place
        half = (size[0], size[1] / 2, size[2])
        self._add(CONE, (x, z, base + half[1]), half, 0.0, (material, material if cap is None else cap), tint)

    def ellipsoid(
        self,
        place: tuple[float, float, float],
        half: tuple[float, float, float],
        material: int,
        *,
        yaw: float = 0.0,
        tint: Tint = 1.0,
    ) -> None:
        """An ellipsoid with its middle at place = (x, z, height); half = half axes (x, up, z)."""
        self._add(ELLIPSOID, place, half, yaw, (material, material), tint)

    def prism(
        self,
        place: tuple[float, float, float],
        size: tuple[float, float, float],
        gable: int,
        slope: int,
        *,
        yaw: float = 0.0,
    ) -> None:
        """A gabled roof with its ridge along local x; size = (length, height, span)."""
        x, z, base = place
        half = (size[0] / 2, size[1] / 2, size[2] / 2)
        self._add(PRISM, (x, z, base + half[1]), half, yaw, (gable, slope), 1.0)

    def finish(
        self,
        camera: tuple[float, float, float],
        heading: float,
        *,
        seed: int,
        kind: str,
        sky: Image,
        lights: Sequence[Sequence[float]],
        ambient: Image,
        atmosphere: tuple[float, float, float],
    ) -> Scene:
        """The scene with camera = (x, z, height) at the origin, looking along the plan's `heading`.

        Lights are given in plan coordinates with y up: (0, direction to the sun ..., rgb, shadow) or
        (1, position (x, height, z), rgb, shadow).
        """
        rows = torch.tensor(self._rows, dtype=torch.float64)
        origin = torch.tensor([camera[0], -camera[2], camera[1]], dtype=torch.float64)
        light = torch.tensor(lights, dtype=torch.float64).reshape(-1, 8)
        light[:, 2] *= -1.0
        light[:, 1:4] -= light[:, :1] * origin
        light[:, 1:4] = _turned(light[:, 1:4], -heading)
        center = _turned(rows[:, 1:4] - origin, -heading)
        yaw = rows[:, 7] - heading
        return Scene(
            name=f"{kind}-{seed}",
            kind=kind,
            seed=seed,
            camera_height=float(camera[2]),
            shape=rows[:, 0].int(),
            center=center.float().contiguous(),
            half=rows[:, 4:7].float().contiguous(),
            turn=torch.stack([yaw.cos(), yaw.sin()], -1).float().contiguous(),
            radius=rows[:, 8].float().contiguous(),
            material=rows[:, 9:11].int().contiguous(),
            tint=rows[:, 11:14].float().contiguous(),
            uv_offset=rows[:, 14:16].float().contiguous(),
            materials=torch.tensor(self._materials, dtype=torch.float32),
            textures=torch.from_numpy(np.stack(self._textures)),
            sky=torch.from_numpy(np.ascontiguousarray(sky, np.float32)),
            lights=light.float().contiguous(),
            ambient=torch.tensor(np.asarray(ambient), dtype=torch.float32).reshape(3, 3).contiguous(),
            atmosphere=torch.tensor(atmosphere, dtype=torch.float32),
        )


def _turned(v: Tensor, yaw: float) -> Tensor:
    c, s = cos(yaw), sin(yaw)
    return torch.stack([c * v[:, 0] + s * v[:, 2], v[:, 1], -s * v[:, 0] + c * v[:, 2]], -1)
