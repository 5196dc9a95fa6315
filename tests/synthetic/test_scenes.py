"""Scenes and paths: deterministic, plausible, free of collisions."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from pantheon_core.errors import InputError
from pantheon_core.synthetic import (
    KINDS,
    MIN_CLEARANCE,
    free_position,
    generate_scene,
    scene_clearance,
    scene_path,
    trace,
)

SEEDS = range(20)
PINNED_COUNTS = (47, 303)


@pytest.fixture(scope="module", params=KINDS)
def kind_scenes(request):
    return request.param, [generate_scene(seed, request.param) for seed in SEEDS]


def test_statistics(kind_scenes):
    kind, scenes = kind_scenes
    sky, median, contrast = [], [], []
    for scene in scenes:
        frame = trace(scene, torch.eye(4), 16)
        assert torch.equal(frame.valid, ~frame.sky)
        assert (frame.distance[frame.sky] == 0).all()
        assert (frame.distance[frame.valid] > 0.3).all()
        assert torch.isfinite(frame.rgb).all()
        assert frame.rgb.min() >= 0
        assert frame.rgb.max() <= 1
        assert 1.2 <= scene.camera_height <= 1.8
        sky.append(float(frame.sky.float().mean()))
        median.append(float(frame.distance[frame.valid].median()))
        contrast.append(float(frame.rgb.std()))
    assert min(contrast) > 0.03
    if kind == "room":
        # An open window may show some sky, never much.
        assert max(sky) < 0.1
        assert sum(s == 0 for s in sky) >= 10
        assert 0.8 < min(median) < max(median) < 6
    else:
        assert min(sky) > 0.05
        assert 1.2 < min(median) < max(median) < 15


def test_scenes_differ(kind_scenes):
    _, scenes = kind_scenes
    frames = torch.stack([trace(scene, torch.eye(4), 16).rgb for scene in scenes[:8]])
    for i in range(8):
        for j in range(i):
            assert (frames[i] - frames[j]).abs().mean() > 0.03


def test_paths_keep_clear(kind_scenes):
    _, scenes = kind_scenes
    lengths, longer = [], []
    for scene in scenes[:10]:
        T = scene_path(scene, 7, 9, 7.0)
        assert T.shape == (9, 4, 4)
        assert T.dtype == torch.float32
        torch.testing.assert_close(T[0], torch.eye(4))
        torch.testing.assert_close(T[:, 1, :3], torch.tensor([0.0, 1.0, 0.0]).expand(9, 3))
        rotation = T[:, :3, :3]
        torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(9, 3, 3))
        assert scene_clearance(scene, T[:, :3, 3]).min() >= MIN_CLEARANCE
        far = scene_path(scene, 7, 9, 7.0, share=(0.25, 0.6))
        assert scene_clearance(scene, far[:, :3, 3]).min() >= MIN_CLEARANCE
        lengths.append(float(T[:, :3, 3].diff(dim=0).norm(dim=-1).sum()))
        longer.append(float(far[:, :3, 3].diff(dim=0).norm(dim=-1).sum()))
    assert min(lengths) > 0.1
    assert max(lengths) > 0.4
    assert sum(longer) > 1.2 * sum(lengths)


def test_clearance_is_a_lower_bound(kind_scenes):
    """What the tracer measures is never nearer than the clearance says."""
    _, scenes = kind_scenes
    for scene in scenes[:3]:
        T = torch.eye(4)
        T[:3, 3] = free_position(scene, np.random.default_rng(1), reach=1.5, clearance=0.35)
        frame = trace(scene, T, 64)
        assert frame.distance[frame.valid].min() >= scene_clearance(scene, T[:3, 3]) - 1e-3


@pytest.mark.parametrize("photos", [True, False])
def test_same_seed_same_scene(photos):
    a, b = (generate_scene(1_000_002, "any", photo_textures=photos) for _ in range(2))
    for field in fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        assert torch.equal(left, right) if isinstance(left, torch.Tensor) else left == right
    assert torch.equal(scene_path(a, 4, 5, 7.0), scene_path(b, 4, 5, 7.0))
    assert not torch.equal(scene_path(a, 4, 5, 7.0), scene_path(a, 6, 5, 7.0))


def test_geometry_is_pinned():
    """A change of the generator changes every data set made with it: it shows here."""
    scene = generate_scene(0, "room", photo_textures=False)
    again = generate_scene(0, "street", photo_textures=False)
    assert (len(scene.shape), len(again.shape)) == PINNED_COUNTS


def test_held_out_photographs_are_not_read(monkeypatch):
    from pantheon_core.synthetic import _photos

    monkeypatch.setattr(
        _photos, "_photo", lambda name: opened.add(name) or np.full((8, 16, 3), 0.5, np.float32)
    )
    opened: set[str] = set()
    for seed in range(6):
        generate_scene(seed)
    assert opened
    assert not opened & {"courtyard", "meadow_sunrise"}


def test_bad_input():
    with pytest.raises(InputError, match="kind"):
        generate_scene(0, "kitchen")
    with pytest.raises(InputError, match="seed"):
        generate_scene(-1)
    scene = generate_scene(0, "garden")
    with pytest.raises(InputError, match="frames"):
        scene_path(scene, 0, 0, 7.0)
    with pytest.raises(InputError, match="keeps"):
        free_position(scene, np.random.default_rng(0), clearance=50.0)
