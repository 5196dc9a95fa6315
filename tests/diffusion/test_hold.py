from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pantheon_core.diffusion import FusionSettings, HoldSettings, PantheonModel, SamplerSettings, generate
from pantheon_core.diffusion.codec import encode_video
from pantheon_core.diffusion.generate import place_anchors
from pantheon_core.diffusion.hold import HeldDenoiser, covered_cells
from pantheon_core.diffusion.sample import repeated_windows
from pantheon_core.diffusion.spherical import spherical
from pantheon_core.errors import InputError
from pantheon_core.render import pull_push

Clip = tuple[Tensor, Tensor, list[Tensor]]
FREE = HoldSettings(strength=0.0)
TO_THE_END = HoldSettings(full_above=1e-4, release_below=1e-5)
QUICK = SamplerSettings(steps=3, sigma_max=20.0, guidance_max=1.0)


@pytest.fixture(scope="module")
def stock(build_nano: Callable[..., PantheonModel]) -> PantheonModel:
    return build_nano(conditioning="first_frame", crops=0)


@pytest.fixture(scope="module")
def half(clip: Clip) -> Clip:
    """The clip with its left half covered."""
    scaffold, coverage, anchors = clip
    left = torch.zeros_like(coverage)
    left[..., : coverage.shape[-1] // 2] = True
    return scaffold, left, anchors


def test_the_share_falls_evenly_in_log_sigma() -> None:
    hold = HoldSettings(strength=0.8, full_above=10.0, release_below=0.1)
    assert [hold.share(s) for s in (700.0, 10.0, 0.1, 0.01)] == [0.8, 0.8, 0.0, 0.0]
    assert hold.share(1.0) == pytest.approx(0.4)


def test_cells_are_covered_wholly_and_wrap_around_the_seam() -> None:
    coverage = torch.ones(1, 32, 64, dtype=torch.bool)
    coverage[0, 9, 0] = False
    cells = covered_cells(coverage, 8, 0)
    assert cells.shape == (1, 4, 8)
    assert [tuple(i) for i in (cells[0] == 0).nonzero().tolist()] == [(1, 0)]
    shrunk = covered_cells(coverage, 8, 1)
    assert sorted(tuple(i) for i in (shrunk[0] == 0).nonzero().tolist()) == [
        (row, column) for row in (0, 1, 2) for column in (0, 1, 7)
    ]


def test_the_prediction_moves_by_the_share_in_covered_cells_alone() -> None:
    x = torch.zeros(1, 2, 4, 2, 4)
    cells = torch.zeros(2, 2, 4)
    cells[1, 0, 3] = 1.0
    hold = HoldSettings(strength=0.5)
    held = HeldDenoiser(denoise=lambda x, s: x + 1.0, target=x + 3.0, cells=cells, settings=hold)
    out = held(x, 5.0)
    assert out[0, 1, :, 0, 3].tolist() == [2.0] * 4
    assert float(out.sum()) == x.numel() + 4
    assert torch.equal(held(x, 0.05), torch.ones_like(x))


def test_held_to_the_end_the_latents_are_the_scaffolds(stock: PantheonModel, half: Clip) -> None:
    scaffold, coverage, anchors = half
    made = generate(stock, scaffold, coverage, anchors[:1], settings=replace(QUICK, hold=TO_THE_END))
    frames, covered = place_anchors(scaffold, coverage, anchors[:1], hole_value=stock.config.hole_value)
    with torch.no_grad(), spherical(stock.unet, stock.vae):
        latents = encode_video(stock, pull_push(frames, covered)) * stock.scaling_factor
    cells = covered_cells(covered, 8, 0).bool()[:, None].expand_as(latents)
    torch.testing.assert_close(made.latents[0][cells], latents[cells], atol=1e-5, rtol=1e-5)
    assert float((made.latents[0] - latents)[~cells].abs().mean()) > 0.1


def test_first_frame_models_are_held_by_default_and_scaffold_models_are_not(
    stock: PantheonModel, nano: PantheonModel, half: Clip
) -> None:
    scaffold, coverage, anchors = half

    def latents(model: PantheonModel, hold: HoldSettings | None) -> Tensor:
        settings = replace(QUICK, hold=hold)
        return generate(model, scaffold, coverage, anchors[:1], settings=settings).latents

    assert torch.equal(latents(stock, None), latents(stock, HoldSettings()))
    assert not torch.equal(latents(stock, None), latents(stock, FREE))
    assert torch.equal(latents(nano, None), latents(nano, FREE))
    assert not torch.equal(latents(nano, None), latents(nano, HoldSettings()))


def test_without_hold_a_first_frame_model_sees_no_path(stock: PantheonModel, half: Clip) -> None:
    scaffold, coverage, anchors = half
    settings = replace(QUICK, hold=FREE, keep_scaffold=0.0)
    a = generate(stock, scaffold, coverage, anchors[:1], settings=settings).latents
    b = generate(stock, scaffold.flip(-1), coverage, anchors[:1], settings=settings).latents
    assert torch.equal(a, b)


def test_repeated_windows_belong_to_fusion_or_hold(stock: PantheonModel, half: Clip) -> None:
    scaffold, coverage, anchors = half
    again = {"reinject_steps": 1, "reinject_repeats": 2, "reinject_until": 1.0}
    hold, fusion = HoldSettings(**again), FusionSettings(**again)
    steps: list[tuple[int, int]] = []
    generate(
        stock,
        scaffold,
        coverage,
        anchors[:1],
        settings=replace(QUICK, hold=hold),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps[-1] == (10, 10)  # 3 windows of one step, each three times, and one decoded window
    assert repeated_windows(replace(QUICK, hold=hold), FusionSettings()) is hold
    assert repeated_windows(QUICK, fusion) is fusion
    with pytest.raises(InputError, match="one of fusion and hold"):
        repeated_windows(replace(QUICK, hold=hold), fusion)


@pytest.mark.parametrize(
    "values",
    [
        {"strength": 1.1},
        {"full_above": 0.1, "release_below": 0.2},
        {"release_below": 0.0},
        {"shrink": -1},
        {"reinject_steps": 2},
        {"reinject_until": 0.0},
    ],
)
def test_values_out_of_range(values: dict[str, float]) -> None:
    with pytest.raises(InputError, match="HoldSettings"):
        HoldSettings(**values)
