from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pantheon_core.errors import ConventionError, InputError, MediaError, ShapeError
from pantheon_core.geometry import erp_rays
from pantheon_core.recon import DistanceEstimate, get_backend, reconstruct
from pantheon_core.recon.given import GivenBackend, fit_relative, nothing_measured, read_depth, with_sky

RGB = torch.rand(3, 16, 32, generator=torch.Generator().manual_seed(0))


def box_distance(height: int, half: tuple[float, float, float] = (2.0, 1.5, 3.0)) -> torch.Tensor:
    """Distance to the walls of a box around the camera: analytic truth with edges at the corners only."""
    rays = erp_rays(height).abs().clamp(min=1e-9)
    return (torch.tensor(half) / rays).amin(-1)


@pytest.mark.parametrize("suffix", ["png", "npy", "exr"])
def test_file_kinds_read_the_same(tmp_path: Path, suffix: str) -> None:
    truth = box_distance(16)
    path = tmp_path / f"depth.{suffix}"
    scale = 1.0
    if suffix == "png":
        from PIL import Image

        Image.fromarray((truth.numpy() * 1000).round().astype(np.uint16)).save(path)
        scale = 0.001
    elif suffix == "npy":
        np.save(path, truth.numpy().astype(np.float64))
    else:
        OpenEXR = pytest.importorskip("OpenEXR")
        plane = truth.numpy().astype(np.float32)
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        with OpenEXR.File(header, {"RGB": np.stack([plane] * 3, -1)}) as file:
            file.write(str(path))
    estimate = GivenBackend(depth=path, scale=scale).estimate(RGB)
    torch.testing.assert_close(estimate.distance, truth, atol=1e-3, rtol=0)
    assert estimate.valid.all()
    assert estimate.metric


def test_kinds_agree_on_one_room() -> None:
    truth = box_distance(16)
    cube_z = truth * erp_rays(16).abs().amax(-1)
    for kind, values in (("distance", truth), ("z_depth", cube_z), ("inverse", 2.0 / truth)):
        scale = 2.0 if kind == "inverse" else 1.0
        estimate = get_backend("given", depth=values, kind=kind, scale=scale).estimate(RGB)
        torch.testing.assert_close(estimate.distance, truth, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_missing_values_are_not_valid(bad: float) -> None:
    values = box_distance(16)
    values[3, 4] = bad
    estimate = GivenBackend(depth=values).estimate(RGB)
    assert not estimate.valid[3, 4]
    assert estimate.valid.sum() == 16 * 32 - 1
    assert estimate.distance.isfinite().all()
    assert bool(estimate.sky[3, 4] > 0.5) == (bad == math.inf)


def test_inverse_zero_is_sky() -> None:
    values = 1 / box_distance(16)
    values[:4] = 0
    estimate = GivenBackend(depth=values, kind="inverse").estimate(RGB)
    assert (estimate.sky[:4] == 1).all()
    assert not estimate.valid[:4].any()
    cache = reconstruct(RGB, GivenBackend(depth=values, kind="inverse"))
    assert cache.sky is not None
    assert cache.sky.mask[:4].all()


@pytest.mark.parametrize(("source", "target"), [(32, 64), (64, 32), (48, 64)])
def test_resampling_keeps_planes_and_edges(source: int, target: int) -> None:
    values = box_distance(source)
    values[:, : source // 2] = 20.0
    truth = box_distance(target)
    truth[:, : target // 2] = 20.0
    rgb = torch.zeros(3, target, 2 * target)
    estimate = GivenBackend(depth=values).estimate(rgb)
    error = (estimate.distance / truth - 1).abs()
    assert error.median() < 0.002
    # at the edges the nearest sample stands: nothing floats between the wall and 20 m
    columns = torch.arange(target // 2 - 2, target // 2 + 2)
    rows = slice(target // 3, target // 2)
    near = estimate.distance[rows][:, columns]
    assert ((near > 19.9) | (near < truth[rows, target // 2 :].max() * 1.05)).all()


def test_missing_pixels_do_not_spread() -> None:
    values = box_distance(32)
    values[10, 20] = 0
    estimate = GivenBackend(depth=values).estimate(torch.zeros(3, 64, 128))
    assert 1 <= int((~estimate.valid).sum()) <= 4


def test_wrong_input_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kind"):
        GivenBackend(depth=torch.ones(4, 8), kind="depth")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="scale"):
        GivenBackend(depth=torch.ones(4, 8), scale=0)
    with pytest.raises(ConventionError, match="twice as wide"):
        GivenBackend(depth=torch.ones(8, 8)).estimate(RGB)
    with pytest.raises(ShapeError, match="expected"):
        GivenBackend(depth=torch.ones(2, 5, 4, 8)).estimate(RGB)
    with pytest.raises(InputError, match="none"):
        GivenBackend(depth=torch.zeros(4, 8)).estimate(RGB)
    with pytest.raises(MediaError, match="no file"):
        read_depth(tmp_path / "none.png")
    from PIL import Image

    Image.fromarray(np.zeros((4, 8), np.uint8)).save(tmp_path / "eight.png")
    with pytest.raises(MediaError, match="8 bits"):
        read_depth(tmp_path / "eight.png")
    (tmp_path / "a.npy").write_bytes(b"not an array")
    with pytest.raises(MediaError, match="NPY"):
        read_depth(tmp_path / "a.npy")


def test_relative_pictures_are_fitted_to_the_bundled_networks_guess() -> None:
    """A picture stretched to black and white: factor, constant, and what is too far, come from the guess."""
    height = 64
    truth = box_distance(height, (3.0, 1.6, 4.0))
    guess = DistanceEstimate(
        distance=truth,
        confidence=torch.ones_like(truth),
        sky=torch.zeros_like(truth),
        valid=torch.ones_like(truth, dtype=torch.bool),
        metric=False,
    )
    stretched = 1 / truth
    stretched = (stretched - stretched.min()) / (stretched.max() - stretched.min())
    fitted = fit_relative(stretched, guess)
    assert ((1 / fitted) / truth).log().abs().max() < 0.02
    # a third of the guess is wrong: the fit follows the rest
    wrong = truth.clone()
    wrong[:, : height * 2 // 3] *= 2.5
    fitted = fit_relative(stretched, dataclasses.replace(guess, distance=wrong))
    assert ((1 / fitted) / truth).log().abs().median() < 0.05
    # where the guess sees sky, almost nothing is nothing
    sky = torch.zeros_like(truth)
    sky[:10] = 1
    dark = torch.where(sky > 0, -(1 / truth).min() * 0.9, 1 / truth)
    skies = dataclasses.replace(guess, sky=sky, valid=sky == 0)
    assert (fit_relative(dark, skies)[:10] == 0).all()
    with pytest.raises(InputError, match="white far away"):
        fit_relative(1 - stretched, guess)
    with pytest.raises(InputError, match="contrast"):
        fit_relative(torch.full_like(stretched, 0.5), guess)


def test_relative_is_never_metric_and_needs_only_the_picture() -> None:
    rgb = torch.rand(3, 32, 64, generator=torch.Generator().manual_seed(1))
    lower = torch.linspace(0, 1, 32)[:, None].expand(32, 64)
    found = get_backend("given", depth=lower, kind="relative").estimate(rgb)
    assert not found.metric
    assert found.valid[-4:].all()
    assert found.distance[-4:].median() < found.distance[found.valid].median()


def test_a_mask_replaces_the_sky() -> None:
    truth = box_distance(16)
    estimate = get_backend("given", depth=truth).estimate(RGB)
    mask = torch.zeros(8, 16)
    mask[:3] = 1
    changed = with_sky(estimate, mask)
    assert (changed.sky[:5] == 1).all()
    assert not changed.valid[:5].any()
    assert changed.valid[8:].all()
    assert torch.equal(changed.distance[8:], truth[8:])
    cleared = with_sky(changed, torch.zeros(16, 32))
    assert cleared.sky.max() == 0
    assert not cleared.valid[:5].any()  # nothing was measured there
    with pytest.raises(ConventionError):
        with_sky(estimate, torch.zeros(16, 16))
    nothing = nothing_measured(RGB)
    assert not nothing.valid.any()
    assert with_sky(nothing, mask).sky[:5].min() == 1
