"""Multi-view networks on what their packages were seen to do, driven by the exact geometry of a room."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from multiview_room import (
    CENTRES,
    HEIGHT,
    MODULES,
    VIEW,
    DepthAnything3,
    Oracle,
    Pi3,
    noisy_rig,
    panorama,
    turns,
    world,
)
from torch import Tensor

from pantheon_core.errors import BackendUnavailableError, InputError
from pantheon_core.geometry import (
    erp_rays,
    perspective_rays,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
    se3_from,
    se3_inverse,
)
from pantheon_core.recon import get_backend
from pantheon_core.recon.multiview import (
    MULTIVIEW_MODELS,
    MultiViewBackend,
    fit_rig,
    release_multiview_network,
)
from pantheon_core.recon.multiview._adapters import ADAPTERS, Views
from pantheon_core.recon.multiview._rig import angles


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch):
    """The packages as they would be imported."""
    for path, content in MODULES.items():
        parts = path.split(".")
        for end in range(1, len(parts) + 1):
            name = ".".join(parts[:end])
            if name not in sys.modules:
                monkeypatch.setitem(sys.modules, name, ModuleType(name))
        for key, value in content.items():
            monkeypatch.setattr(sys.modules[path], key, value, raising=False)
    monkeypatch.setattr(Oracle, "count", 1)
    monkeypatch.setattr(Oracle, "sky", False)
    release_multiview_network()
    yield
    release_multiview_network()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def backend(name: str, weights: Path, **options: object) -> MultiViewBackend:
    made = get_backend(name, weights=weights, device="cpu", view_size=VIEW, sky="far", **options)
    assert isinstance(made, MultiViewBackend)
    return made


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", sorted(MULTIVIEW_MODELS))
def test_exact_networks_give_exact_panoramas(
    name: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Poses, distances and their common unit, of three panoramas in one call."""
    monkeypatch.setattr(Oracle, "count", 3)
    made = [panorama(r, c) for r, c in zip(turns(3), CENTRES, strict=True)]
    steps: list[tuple[int, int]] = []
    result = backend(name, weights).estimate_all(
        [rgb for rgb, _ in made], progress=lambda done, of: steps.append((done, of))
    )
    assert steps == [(i, 5) for i in range(1, 6)]
    assert bool(result.poses.registered.all())
    assert result.poses.method == name
    assert result.poses.metric == (name == "pi3x")
    truth = se3_inverse(se3_from(turns(3), CENTRES)[:1]) @ se3_from(turns(3), CENTRES)
    factor = float(result.poses.T_world_cam[1, :3, 3].norm() / truth[1, :3, 3].norm())
    if name == "pi3x":
        assert factor == pytest.approx(1, abs=1e-4)
    assert torch.allclose(result.poses.T_world_cam[:, :3, :3], truth[:, :3, :3], atol=1e-4)
    assert torch.allclose(result.poses.T_world_cam[:, :3, 3], truth[:, :3, 3] * factor, atol=1e-3)
    for estimate, (_, distance) in zip(result.estimates, made, strict=True):
        ratio = (estimate.distance / (distance * factor)).log()[estimate.valid]
        assert estimate.valid.all()
        assert ratio.abs().median() < 1e-3
        assert ratio.abs().quantile(0.95) < 0.02  # edges of the room, in views of 28 pixels
        assert estimate.confidence.median() == pytest.approx(1 / (1 + math.exp(-2)), abs=0.03)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["pi3", "pi3x"])
def test_a_single_panorama_goes_the_same_way(name: str, weights: Path) -> None:
    rgb, distance = panorama(turns(1)[0], CENTRES[0])
    estimate = backend(name, weights).estimate(rgb)
    ratio = (estimate.distance / distance).log()
    assert estimate.valid.all()
    assert (ratio - ratio.median()).abs().median() < 1e-3
    if name == "pi3x":
        assert estimate.metric
        assert float(ratio.median()) == pytest.approx(0, abs=1e-3)
    twice = backend(name, weights, scale=2.0).estimate(rgb)
    assert torch.allclose(twice.distance, 2 * estimate.distance, rtol=1e-4)


@pytest.mark.usefixtures("packages")
def test_sky_of_the_network_is_believed(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Oracle, "sky", True)
    rgb, distance = panorama(turns(1)[0], CENTRES[0])
    estimate = backend("depth_anything_3", weights, size="nested").estimate(rgb)
    ceiling = (erp_rays(HEIGHT) * distance[..., None])[..., 1] < -1.49
    assert estimate.metric
    assert (estimate.sky >= 0.5)[ceiling].float().mean() > 0.97
    assert estimate.valid[~ceiling].float().mean() > 0.97
    assert not estimate.valid[erp_rays(HEIGHT)[..., 1] < -0.9].any()


@pytest.mark.usefixtures("packages")
def test_given_places_win_and_bring_the_scale(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Oracle, "count", 3)
    made = [panorama(r, c) for r, c in zip(turns(3), CENTRES, strict=True)]
    result = backend("pi3", weights).estimate_all([rgb for rgb, _ in made])
    given = se3_from(turns(3), CENTRES)
    placed = result.placed_at(given)
    assert torch.equal(placed.poses.T_world_cam, given)
    assert placed.poses.metric
    assert "given places are used" in placed.poses.warnings[-1]
    for estimate, (_, distance) in zip(placed.estimates, made, strict=True):
        assert estimate.metric
        assert (estimate.distance / distance).log().median().abs() < 2e-3
    wrong = given.clone()
    wrong[1, :3, :3] = wrong[1, :3, :3] @ rotation_from_yaw_pitch_roll(torch.tensor(0.5), torch.tensor(0.0))
    warnings = result.placed_at(wrong).poses.warnings
    assert any("panoramas 1 and 2 differ" in one and "29°" in one for one in warnings)
    # at one place there is no baseline to learn a scale from
    together = result.placed_at(torch.eye(4).repeat(3, 1, 1))
    assert torch.equal(together.estimates[0].distance, result.estimates[0].distance)
    assert not together.poses.metric


def test_the_rig_averages_noise_and_ignores_failed_views() -> None:
    turned, shifted = [], []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        T, rig, panorama_of, truth = noisy_rig(generator, 2.0, 0.05, 4)
        fit = fit_rig(T, rig, panorama_of, torch.tensor([2.0, 2.0]))
        assert bool(fit.registered.all())
        assert int((~fit.view_used).sum()) >= 3  # a random rotation is rarely within 30°
        assert bool(fit.view_used[:14].all())
        turned.append(
            torch.stack(
                [angles(a[None, :3, :3], b[:3, :3])[0] for a, b in zip(fit.T_world_pano, truth, strict=True)]
            )
        )
        shifted.append((fit.T_world_pano - truth)[:, :3, 3].norm(dim=-1))
    # 2° of each view over 14 views: 2 / sqrt(14) = 0.53°; 5 cm on each axis: 0.023 m
    assert math.degrees(float(torch.stack(turned).mean())) < 0.8
    assert float(torch.stack(shifted).mean()) < 0.04


def test_a_panorama_whose_views_contradict_each_other_has_no_place(
    packages, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    T, rig, panorama_of, _ = noisy_rig(generator, 1.0, 0.01, 14)
    fit = fit_rig(T, rig, panorama_of, torch.tensor([2.0, 2.0]))
    assert fit.registered.tolist() == [True, False]
    monkeypatch.setattr(Oracle, "count", 2)
    plain = Oracle.answer.__func__  # type: ignore[attr-defined]

    def answer(cls, images: Tensor):
        _, local = plain(cls, images)
        return T.clone(), local

    monkeypatch.setattr(Oracle, "answer", classmethod(answer))
    made = [panorama(r, c)[0] for r, c in zip(turns(2), CENTRES, strict=False)]
    poses = backend("pi3", weights).estimate_all(made).poses
    assert poses.registered.tolist() == [True, False]
    assert torch.equal(poses.T_world_cam[1], torch.eye(4))
    assert "Panorama 2 has no place" in poses.warnings[0]


@pytest.mark.usefixtures("packages")
def test_doubted_pixels_are_left_out(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half of the views' pixels is wrong and says so."""
    exact = Pi3.forward

    def forward(self, imgs: Tensor) -> dict[str, Tensor]:
        out = exact(self, imgs)
        rays = rotate_vectors(out["camera_poses"][0][:, None, None, :3, :3], out["local_points"][0])
        wrong = (rays @ world()[:3, 2]) < 0  # behind, in our world
        out["local_points"][0][wrong] *= 3
        out["conf"][0][wrong] = -6.0
        return out

    monkeypatch.setattr(Pi3, "forward", forward)
    rgb, distance = panorama(turns(1)[0], CENTRES[0])
    estimate = backend("pi3", weights).estimate(rgb)
    ahead, behind = erp_rays(HEIGHT)[..., 2] > 0.05, erp_rays(HEIGHT)[..., 2] < -0.05
    ratio = (estimate.distance / distance).log()[ahead]
    assert estimate.valid[ahead].all()
    assert (ratio - ratio.median()).abs().quantile(0.95) < 0.02
    assert not estimate.valid[behind].any()


def test_what_is_missing_is_told(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = torch.rand(3, 16, 32)
    release_multiview_network()
    for name, model in MULTIVIEW_MODELS.items():
        monkeypatch.setitem(sys.modules, model.module.split(".")[0], None)
        with pytest.raises(BackendUnavailableError, match=r"pip install .*(git\+https|depth-anything-3)"):
            backend(name, weights).estimate(rgb)
        with pytest.raises(BackendUnavailableError, match=r"does not hold.*download=True.*licence"):
            backend(name, tmp_path / "none").estimate(rgb)
    (weights / "config.json").unlink()
    with pytest.raises(BackendUnavailableError, match=r"config\.json and model"):
        backend("depth_anything_3", weights).estimate(rgb)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BackendUnavailableError, match=r"no weights yet.*VGGT-1B.*download=True"):
        get_backend("vggt", device="cpu").estimate(rgb)
    with pytest.raises(InputError, match="size"):
        get_backend("pi3", size="huge").estimate(rgb)
    with pytest.raises(InputError, match="at least one"):
        backend("pi3", weights).estimate_all([])
    with pytest.raises(InputError, match="multiple of 14"):
        get_backend("pi3", view_size=100)


@pytest.mark.usefixtures("packages")
def test_wrong_weights_are_told(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb, _ = panorama(turns(1)[0], CENTRES[0])
    (weights / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be loaded as Pi3"):
        backend("pi3", weights).estimate(rgb)
    (weights / "model.safetensors").write_bytes(b"weights")
    exact = DepthAnything3.inference

    def without_poses(self, image: list[np.ndarray], process_res: int = 504):
        return SimpleNamespace(**vars(exact(self, image, process_res=process_res)) | {"extrinsics": None})

    monkeypatch.setattr(DepthAnything3, "inference", without_poses)
    with pytest.raises(InputError, match="no camera poses"):
        backend("depth_anything_3", weights).estimate(rgb)


def test_every_network_has_an_adapter_and_declares_itself() -> None:
    assert set(ADAPTERS) == set(MULTIVIEW_MODELS)
    for name, model in MULTIVIEW_MODELS.items():
        made = get_backend(name)
        assert dataclasses.is_dataclass(made)
        assert model.crop % 14 == 0
        assert all(one.licence and one.vram_gigabytes > 0 for one in model.variants.values())
    assert {field.name for field in dataclasses.fields(Views)} == {"rgb", "rotations", "panorama", "fov_x"}


def test_the_real_depth_anything_3(tmp_path: Path) -> None:
    """Where the package is installed: its smallest network with random weights, through the whole backend."""
    api = pytest.importorskip("depth_anything_3.api", exc_type=ImportError)
    torch.manual_seed(0)
    api.DepthAnything3("da3-small").save_pretrained(tmp_path, config={"model_name": "da3-small"})
    release_multiview_network()
    made = get_backend("depth_anything_3", weights=tmp_path, device="cpu", view_size=28, sky="far")
    assert isinstance(made, MultiViewBackend)
    result = made.estimate_all([torch.rand(3, 32, 64)])
    release_multiview_network()
    estimate = result.estimates[0]
    assert estimate.distance.isfinite().all()
    assert estimate.valid.any()
    assert not estimate.metric
    assert torch.equal(result.poses.T_world_cam, torch.eye(4)[None])


@pytest.mark.usefixtures("packages")
def test_the_metric_network_of_depth_anything_3(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One view at a time; depth for a focal length of 300 pixels; the sky's depth is one constant."""

    def inference(self, image: list[np.ndarray], process_res: int = 504):
        assert len(image) == 1
        assert image[0].shape == (process_res, process_res, 3)
        rays = perspective_rays(process_res, process_res, math.pi / 2)
        colour = torch.from_numpy(image[0]).float() / 255  # brightness is a tenth of the distance, red is sky
        sky = colour[..., 0] - colour[..., 1] > 0.3
        depth = torch.where(sky, 5.0, colour[..., 1] * 10 * rays[..., 2]) * (300 / (process_res / 2))
        return SimpleNamespace(depth=depth[None].numpy(), sky=sky[None].numpy(), extrinsics=None)

    monkeypatch.setattr(DepthAnything3, "inference", inference)
    rays = erp_rays(HEIGHT)
    distance = 3.0 + 2.0 * rays[..., 0]
    up = rays[..., 1] < -0.7
    rgb = (distance / 10).expand(3, HEIGHT, 2 * HEIGHT).clone()
    rgb[0] = torch.where(up, 1.0, rgb[0])
    made = get_backend("depth_anything_3_metric", weights=weights, device="cpu", view_size=42, sky="far")
    estimate = made.estimate(rgb)
    assert estimate.metric
    edge = (rays[..., 1] + 0.7).abs() < 0.12
    assert torch.equal(estimate.valid[~edge], ~up[~edge])
    assert (estimate.sky[up & ~edge] >= 0.5).all()
    ratio = (estimate.distance / distance).log()[estimate.valid & ~edge].abs()
    assert ratio.median() < 0.005
    assert ratio.quantile(0.99) < 0.03
    other = DepthAnything3.inference

    def with_poses(self, image: list[np.ndarray], process_res: int = 504):
        return SimpleNamespace(**vars(other(self, image, process_res=process_res)) | {"extrinsics": 1})

    monkeypatch.setattr(DepthAnything3, "inference", with_poses)
    with pytest.raises(InputError, match="not the metric ones"):
        made.estimate(rgb)
