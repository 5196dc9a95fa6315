"""The target of the project: five panoramas a metre and more apart, 0.5° of turn and 2° of direction."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pantheon_core.geometry import rotation_from_yaw_pitch_roll, se3_from, se3_inverse
from pantheon_core.recon.poses import poses_from_pictures
from pantheon_core.synthetic import Scene, generate_scene, scene_clearance, trace

pytest.importorskip("pycolmap", reason="pycolmap is not installed (optional extra sfm)")
pytestmark = pytest.mark.slow
PANORAMAS, HEIGHT, APART = 5, 512, 1.0


def places(scene: Scene, seed: int, reach: float) -> list[np.ndarray]:
    """Free places at least a metre apart, each in sight of another one within `reach` metres."""
    generator = np.random.default_rng(seed)
    found = [np.zeros(3)]
    for _ in range(20_000):
        if len(found) == PANORAMAS:
            return found
        base = found[generator.integers(len(found))]
        step = generator.uniform(-1, 1, 3) * [reach, 0.25, reach]
        way = torch.tensor(base + step * np.linspace(0, 1, 15)[:, None]).float()
        near = min(float(np.linalg.norm(base + step - other)) for other in found)
        if (
            near >= APART
            and np.linalg.norm(step) <= reach
            and float(scene_clearance(scene, way).min()) >= 0.3
        ):
            found.append(base + step)
    raise AssertionError("the scene has no room for five panoramas")


def cameras(scene: Scene, seed: int, reach: float) -> Tensor:
    """The places with any heading and up to 4° of tilt."""
    generator = np.random.default_rng(seed + 1)
    out = []
    for place in places(scene, seed, reach):
        angles = (generator.uniform(-3.1, 3.1), *generator.uniform(-0.07, 0.07, 2))
        turn = rotation_from_yaw_pitch_roll(*(torch.tensor(one, dtype=torch.float64) for one in angles))
        out.append(se3_from(turn, torch.tensor(place)))
    return torch.stack(out)


# The street's fronts and the second garden's lawn repeat exactly: more matches are wrong than right.
@pytest.mark.parametrize(
    ("kind", "seed"),
    [("room", 1_000_001), ("room", 1_000_007), ("street", 1_000_003), ("garden", 1_000_011)],
)
def test_five_panoramas_find_their_places(kind: str, seed: int) -> None:
    scene = generate_scene(seed, kind)
    true = cameras(scene, seed, reach=2.2 if kind == "room" else 4.0)
    pictures = [trace(scene, pose, HEIGHT, samples=2).rgb for pose in true]
    poses = poses_from_pictures(pictures)
    assert poses.registered.all()
    for i, j in itertools.combinations(range(PANORAMAS), 2):
        found = se3_inverse(poses.T_world_cam[i].double()) @ poses.T_world_cam[j].double()
        wanted = se3_inverse(true[i]) @ true[j]
        cosine = (float((found[:3, :3].T @ wanted[:3, :3]).trace()) - 1) / 2
        assert math.degrees(math.acos(min(1.0, cosine))) < 0.5
        along = float(torch.nn.functional.cosine_similarity(found[:3, 3], wanted[:3, 3], dim=0))
        assert math.degrees(math.acos(min(1.0, along))) < 2.0
