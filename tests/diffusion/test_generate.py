from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pantheon_core.diffusion import (
    FusionSettings,
    PantheonModel,
    SamplerSettings,
    VideoTask,
    compose_with_scaffold,
    generate,
    generate_task,
)
from pantheon_core.diffusion.generate import place_anchors
from pantheon_core.errors import ConventionError, InputError, InterruptedByUser, ShapeError
from pantheon_core.render import pull_push

Clip = tuple[Tensor, Tensor, list[Tensor]]
QUICK = SamplerSettings(steps=2, sigma_max=20.0)


def test_same_seed_same_bytes_and_progress(nano: PantheonModel, clip: Clip) -> None:
    scaffold, coverage, anchors = clip
    steps: list[tuple[int, int]] = []
    pictures: list[tuple[int, Tensor]] = []
    first = generate(
        nano,
        scaffold,
        coverage,
        anchors[:1],
        settings=QUICK,
        progress=lambda done, total: steps.append((done, total)),
        preview=lambda step, frames: pictures.append((step, frames)),
    )
    assert first.latents.shape == (1, 3, 4, 8, 16)
    assert first.frames.shape == (3, 3, 64, 128)
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert [(step, tuple(p.shape)) for step, p in pictures] == [(1, (3, 3, 8, 16)), (2, (3, 3, 8, 16))]
    again = generate(nano, scaffold, coverage, anchors[:1], settings=QUICK)
    assert torch.equal(first.latents, again.latents)
    assert torch.equal(first.frames, again.frames)
    other = generate(nano, scaffold, coverage, anchors[:1], settings=replace(QUICK, seed=1))
    assert not torch.equal(first.latents, other.latents)


def test_interruption_leaves_the_model_as_it_was(
    nano: PantheonModel, clip: Clip, untouched: tuple[Callable[..., dict[str, Tensor]], Callable[..., None]]
) -> None:
    snapshot, assert_untouched = untouched
    scaffold, coverage, anchors = clip
    before = snapshot(nano)

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise InterruptedByUser("stopped")

    with pytest.raises(InterruptedByUser):
        generate(nano, scaffold, coverage, anchors[:1], settings=QUICK, progress=stop)
    assert_untouched(nano, before)
    generate(nano, scaffold, coverage, anchors, settings=QUICK, fusion=FusionSettings())
    assert_untouched(nano, before)


def test_scaffold_holes_and_inputs_are_not_read_or_changed(nano: PantheonModel, clip: Clip) -> None:
    """What lies under a hole cannot matter, and the caller's tensors stay."""
    scaffold, coverage, anchors = clip
    noisy = torch.where(coverage[:, None], scaffold, torch.rand_like(scaffold))
    copy = noisy.clone()
    clean = torch.where(coverage[:, None], scaffold, torch.zeros(()))
    a = generate(nano, noisy, coverage, anchors, settings=QUICK)
    b = generate(nano, clean, coverage, anchors, settings=QUICK)
    assert torch.equal(a.latents, b.latents)
    assert torch.equal(noisy, copy)


def test_anchors_take_their_frames(clip: Clip) -> None:
    scaffold, coverage, anchors = clip
    large = torch.full((3, 128, 256), 0.5)
    frames, covered = place_anchors(scaffold, coverage, [anchors[0], large], hole_value=0.25)
    assert torch.equal(frames[0], anchors[0])
    torch.testing.assert_close(frames[-1], torch.full_like(frames[-1], 0.5), atol=1e-5, rtol=0)
    assert bool(covered[[0, -1]].all())
    assert torch.equal(covered[1], coverage[1])
    assert bool((frames[1][:, ~coverage[1]] == 0.25).all())


def test_kept_scaffold(nano: PantheonModel, clip: Clip) -> None:
    scaffold, coverage, anchors = clip
    video = generate(nano, scaffold, coverage, anchors, settings=replace(QUICK, keep_scaffold=1.0, feather=0))
    torch.testing.assert_close(video.frames[0], anchors[0], atol=1e-6, rtol=0)
    covered = coverage[1].expand(3, -1, -1)
    torch.testing.assert_close(video.frames[1][covered], scaffold[1][covered], atol=1e-6, rtol=0)


def test_bfloat16_stays_near(nano: PantheonModel, clip: Clip) -> None:
    scaffold, coverage, anchors = clip
    settings = replace(QUICK, guidance_max=1.0)
    exact = generate(nano, scaffold, coverage, anchors, settings=settings)
    fast = generate(nano, scaffold, coverage, anchors, settings=replace(settings, autocast=True))
    assert fast.latents.dtype == torch.float32
    difference = (fast.latents - exact.latents).std() / exact.latents.std()
    assert 0 < float(difference) < 0.05


def test_refusals(nano: PantheonModel, build_nano: Callable[..., PantheonModel], clip: Clip) -> None:
    scaffold, coverage, anchors = clip
    cases = [
        (nano, (scaffold, coverage, []), {}, InputError, "one or two"),
        (nano, (scaffold, coverage[:2], anchors), {}, ShapeError, "coverage"),
        (nano, (scaffold[..., :100], coverage[..., :100], anchors), {}, ConventionError, "scaffold_rgb"),
        (nano, (scaffold, coverage, [anchors[0][..., :64]]), {}, ConventionError, r"anchors\[0\]"),
        (nano, (scaffold[:1], coverage[:1], anchors), {}, InputError, "two or more frames"),
        (nano, (scaffold * float("nan"), coverage, anchors), {}, InputError, "finite"),
        (nano, (scaffold, coverage, anchors[:1]), {"fusion": FusionSettings()}, InputError, "two panoramas"),
        (build_nano(variant="dual"), (scaffold, coverage, anchors[:1]), {}, InputError, "two panoramas"),
        (nano, (torch.rand(3, 3, 40, 80), torch.ones(3, 40, 80), anchors), {}, InputError, "multiple of 64"),
    ]
    for model, tensors, options, error, words in cases:
        with pytest.raises(error, match=words):
            generate(model, *tensors, settings=QUICK, **options)


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 0},
        {"guidance_max": float("inf")},
        {"fps": 0},
        {"sigma_min": 3.0, "sigma_max": 2.0},
        {"decode_chunk": 2, "decode_overlap": 2},
        {"keep_scaffold": 1.5},
        {"noise_aug": float("nan")},
        {"spherical": False, "poles": True},
        {"seed": -1},
    ],
)
def test_settings_out_of_range(values: dict) -> None:
    with pytest.raises(InputError, match="SamplerSettings"):
        SamplerSettings(**values)


def test_composition_corrects_a_shift_of_colour() -> None:
    truth = torch.linspace(0.2, 0.8, 64).view(1, 1, 64, 1).expand(2, 3, 64, 128).clone()
    coverage = torch.ones(2, 64, 128, dtype=torch.bool)
    coverage[:, 20:40, 120:] = coverage[:, 20:40, :10] = False  # over the seam
    scaffold = torch.where(coverage[:, None], truth, torch.zeros(()))
    decoded = truth - 0.1
    assert torch.equal(compose_with_scaffold(decoded, scaffold, coverage, 0.0), decoded)
    for feather in (0, 2):
        out = compose_with_scaffold(decoded, scaffold, coverage, 1.0, feather=feather)
        torch.testing.assert_close(out, truth, atol=1e-3, rtol=0)
    half = compose_with_scaffold(decoded, scaffold, coverage, 0.5)
    torch.testing.assert_close(half, truth - 0.05, atol=1e-3, rtol=0)


def test_composition_without_cover_and_feather() -> None:
    generator = torch.Generator().manual_seed(0)
    decoded, scaffold = torch.rand(2, 1, 3, 32, 64, generator=generator)
    coverage = torch.zeros(1, 32, 64, dtype=torch.bool)
    assert torch.equal(compose_with_scaffold(decoded, scaffold, coverage), decoded)
    coverage[..., :32] = True
    soft = compose_with_scaffold(decoded, scaffold, coverage, feather=2)
    # Deep inside exact, at the border mixed.
    torch.testing.assert_close(soft[..., 8:24], scaffold[..., 8:24])
    assert float((soft - scaffold)[..., 31].abs().max()) > 0.05
    with pytest.raises(InputError, match="strength"):
        compose_with_scaffold(decoded, scaffold, coverage, 1.5)


def test_painted_detail_counts_deep_in_holes_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    scaffold = torch.full((1, 3, 64, 128), 0.5)
    decoded = torch.rand(scaffold.shape, generator=generator) * 0.4 + 0.3
    coverage = torch.ones(1, 64, 128, dtype=torch.bool)
    coverage[:, 16:56, 100:] = coverage[:, 16:56, :20] = False  # over the seam
    full = compose_with_scaffold(decoded, scaffold, coverage, feather=0)
    wary = compose_with_scaffold(decoded, scaffold, coverage, feather=0, reach=8)
    # Nine pixels and more from any border both are the same; thin holes are the filling's grey.
    torch.testing.assert_close(wary[..., 25:47, 110:], full[..., 25:47, 110:])
    corner = (full - 0.5).abs()[..., 17, 102].mean(), (wary - 0.5).abs()[..., 17, 102].mean()
    assert corner[1] < 0.5 * corner[0]
    assert torch.equal(wary[0][:, coverage[0]], scaffold[0][:, coverage[0]])


def test_a_model_for_both_sees_as_many_anchors_as_there_are(nano: PantheonModel, clip: Clip) -> None:
    scaffold, coverage, anchors = clip
    dual = replace(nano.config, variant="dual")
    original = nano.config
    results = {}
    try:
        for name, config, seen in (
            ("one", replace(dual, variant="both"), anchors[:1]),
            ("two", replace(dual, variant="both"), anchors),
            ("dual", dual, anchors),
        ):
            nano.config = config
            results[name] = generate(nano, scaffold, coverage, seen, settings=QUICK).latents
    finally:
        nano.config = original
    assert torch.equal(results["two"], results["dual"])
    assert not torch.equal(results["one"], results["two"])


def test_filled_holes_are_what_the_model_sees(nano: PantheonModel, clip: Clip) -> None:
    scaffold, coverage, anchors = clip
    distance = torch.rand(coverage.shape) * 9 + 1
    filled = torch.where(coverage[:, None], scaffold, pull_push(scaffold, coverage, distance=distance))
    everywhere = torch.ones_like(coverage)
    original = nano.config
    try:
        nano.config = replace(original, hole_fill="background")
        ours = generate(nano, scaffold, coverage, anchors[:1], distance=distance, settings=QUICK)
    finally:
        nano.config = original
    by_hand = generate(nano, filled, everywhere, anchors[:1], settings=QUICK)
    black = generate(nano, scaffold, coverage, anchors[:1], settings=QUICK)
    assert torch.equal(ours.latents, by_hand.latents)
    assert not torch.equal(ours.latents, black.latents)


def test_a_video_fades_over_from_the_one_before(nano: PantheonModel, clip: Clip) -> None:
    scaffold, coverage, anchors = clip
    before = torch.randn(2, 4, 8, 16, generator=torch.Generator().manual_seed(2))
    task = VideoTask(scaffold_rgb=scaffold, coverage=coverage, anchors=(anchors[0],), before=before)
    made = generate_task(nano, task, settings=QUICK).latents[0]
    alone = generate_task(nano, replace(task, before=None), settings=QUICK).latents[0]
    torch.testing.assert_close(made[0], before[0], atol=1e-5, rtol=1e-5)
    assert float((made[1] - before[1]).std()) < float((alone[1] - before[1]).std())
    assert not torch.equal(made[2], alone[2])  # the network sees the frames before it
    with pytest.raises(InputError, match="before"):
        generate_task(nano, replace(task, before=before.repeat(2, 1, 1, 1)), settings=QUICK)
