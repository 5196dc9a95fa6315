"""`generate_scene`: a seed to a scene."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator

from ..errors import InputError, PantheonError
from ._build import SceneBuilder
from ._outdoors import compose_garden, compose_street
from ._paths import scene_clearance
from ._rooms import compose_room
from ._scene import Scene

__all__ = ["HOLDOUT_SEED", "KINDS", "generate_scene"]

HOLDOUT_SEED = 1_000_000
"""Seeds from here on are held out: never train on them. Training uses even seeds below."""

_COMPOSERS = {"room": compose_room, "street": compose_street, "garden": compose_garden}
KINDS = tuple(_COMPOSERS)


def generate_scene(seed: int, kind: str = "any", *, photo_textures: bool = True) -> Scene:
    """Compose a scene; the same seed and kind give the same scene on every machine.

    Args:
        seed: from 0. Even seeds are for training; seeds from `HOLDOUT_SEED` on are held out.
        kind: "room", "street", "garden", or "any" to let the seed choose.
        photo_textures: use crops of the bundled photographs for some surfaces, pictures and skies; the
            photographs `courtyard` and `meadow_sunrise` never appear in a scene.

    Returns:
        A scene whose world origin is a camera 1.2 to 1.8 m over the ground with clearance around it.

    Raises:
        InputError: an unknown kind or a negative seed.
    """
    if kind not in (*KINDS, "any"):
        raise InputError(f'kind: expected one of {", ".join(KINDS)} or "any", got {kind!r}')
    if seed < 0:
        raise InputError(f"seed: expected a whole number from 0, got {seed}")
    for attempt in range(16):
        rng = np.random.Generator(np.random.PCG64([seed, attempt]))
        drawn = str(rng.choice(KINDS)) if kind == "any" else kind
        builder = SceneBuilder(rng, photos=photo_textures)
        plan = _COMPOSERS[drawn](builder)
        area, heights, clearance = plan.pop("area"), plan.pop("heights"), plan.pop("clearance")
        base = builder.finish((0.0, 0.0, 0.0), 0.0, seed=seed, kind=drawn, **plan)
        camera = _standpoint(base, rng, area, heights, clearance)
        if camera is not None:
            return builder.finish(camera, rng.uniform(-np.pi, np.pi), seed=seed, kind=drawn, **plan)
    raise PantheonError(f"generate_scene: seed {seed} gives no {kind} with a free place for a camera")


def _standpoint(
    scene: Scene, rng: Generator, area: tuple[float, float], heights: tuple[float, float], clearance: float
) -> tuple[float, float, float] | None:
    """One of the freer places (x, z, height) of the plan, or None."""
    x, z = (rng.uniform(-0.5, 0.5, 160) * size for size in area)
    up = rng.uniform(*heights, 160)
    gap = scene_clearance(scene, torch.from_numpy(np.stack([x, -up, z], -1)).float()).numpy()
    free = np.flatnonzero(gap >= clearance)
    if not len(free):
        return None
    pick = int(free[int(rng.integers(min(len(free), 8)))])
    return float(x[pick]), float(z[pick]), float(up[pick])
