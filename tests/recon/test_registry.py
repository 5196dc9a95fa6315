from __future__ import annotations

import pytest
import torch

from pantheon_core.errors import ConventionError, InputError, ShapeError
from pantheon_core.recon import (
    BACKENDS,
    DistanceEstimate,
    ReconBackend,
    ReconSettings,
    cache_from_estimate,
    get_backend,
    reconstruct,
)

OPTIONS = {"given": {"depth": torch.ones(4, 8)}}


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_every_backend_can_be_made(name: str) -> None:
    backend = get_backend(name, **OPTIONS.get(name, {}))
    assert isinstance(backend, ReconBackend)
    assert backend.name == name


def test_unknown_names_and_options() -> None:
    with pytest.raises(InputError, match="tiny"):
        get_backend("vggt9")
    with pytest.raises(InputError, match="colour"):
        get_backend("given", depth=torch.ones(4, 8), colour=1)
    with pytest.raises(InputError, match="depth"):
        get_backend("given")
    with pytest.raises(InputError, match="confidence_threshold"):
        ReconSettings(confidence_threshold=1.5)


def test_reconstruct_checks_the_panorama() -> None:
    backend = get_backend("given", depth=torch.ones(8, 16))
    with pytest.raises(ConventionError):
        reconstruct(torch.zeros(3, 8, 8), backend)
    with pytest.raises(ShapeError):
        reconstruct(torch.zeros(1, 3, 8, 16), backend)
    with pytest.raises(InputError, match="finite"):
        reconstruct(torch.full((3, 8, 16), float("nan")), backend)


def estimate_with_sky() -> DistanceEstimate:
    sky = torch.zeros(16, 32)
    sky[:4] = 0.6
    confidence = torch.ones(16, 32)
    confidence[8:10] = 0.1
    return DistanceEstimate(
        distance=torch.full((16, 32), 2.0),
        confidence=confidence,
        sky=sky,
        valid=torch.ones(16, 32, dtype=torch.bool),
        metric=False,
    )


def test_settings_choose_the_points() -> None:
    rgb, estimate = torch.rand(3, 16, 32), estimate_with_sky()
    cache = cache_from_estimate(rgb, estimate, backend="x")
    poles = 2
    assert cache.points.shape[0] in range(10 * 32, 10 * 32 + poles + 1)
    assert cache.sky is not None
    assert cache.provenance["backend"] == "x"
    kept = cache_from_estimate(rgb, estimate, settings=ReconSettings(remove_sky=False))
    assert kept.points.shape[0] >= 14 * 32
    assert kept.sky is None
    sure = cache_from_estimate(rgb, estimate, settings=ReconSettings(confidence_threshold=0.0))
    assert sure.points.shape[0] >= 12 * 32
    near = cache_from_estimate(rgb, estimate, settings=ReconSettings(max_distance=1.0))
    assert near.points.shape[0] == 0


def test_camera_moves_the_points() -> None:
    camera = torch.eye(4)
    camera[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    backend = get_backend("given", depth=torch.full((16, 32), 2.0))
    here = reconstruct(torch.rand(3, 16, 32), backend)
    there = reconstruct(torch.rand(3, 16, 32), backend, T_world_cam=camera)
    torch.testing.assert_close(there.points, here.points + camera[:3, 3])


def test_synthetic_is_the_scene() -> None:
    from pantheon_core.synthetic import generate_scene, trace

    scene = generate_scene(3, "street")
    camera = torch.eye(4)
    camera[0, 3] = 0.2
    frame = trace(scene, camera, 32)
    estimate = get_backend("synthetic", scene=scene, T_scene_cam=camera).estimate(frame.rgb)
    assert torch.equal(estimate.valid, frame.valid)
    assert torch.equal(estimate.distance[frame.valid], frame.distance[frame.valid])
    assert torch.equal(estimate.sky > 0.5, frame.sky)
    again = get_backend("synthetic", seed=3, kind="street", T_scene_cam=camera).estimate(frame.rgb)
    assert torch.equal(again.distance, estimate.distance)
