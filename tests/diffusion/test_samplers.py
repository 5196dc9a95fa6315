"""Samplers and schedules by name: what they converge to, how fast, and in a whole generation."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from pantheon_core.diffusion import FusionSettings, PantheonModel, SamplerSettings, generate
from pantheon_core.diffusion.denoiser import Denoiser, GuidanceShape, guidance_ramp
from pantheon_core.diffusion.sample import Conditions, sample_latents
from pantheon_core.diffusion.samplers import SAMPLERS, SamplerName, sample_dpmpp_2m
from pantheon_core.diffusion.schedule import (
    ScheduleName,
    align_your_steps_sigmas,
    exponential_sigmas,
    karras_sigmas,
    noise_levels,
)
from pantheon_core.errors import InputError, InterruptedByUser

Clip = tuple[Tensor, Tensor, list[Tensor]]
NAMES = get_args(SamplerName)
QUICK = SamplerSettings(steps=3, sigma_max=20.0, guidance_max=1.0)
MEAN, SPREAD = 0.3, 0.5
HIGH, LOW = 10.0, 0.05


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """The exact denoiser of data N(MEAN, SPREAD^2)."""
    return (SPREAD**2 * x + sigma**2 * MEAN) / (SPREAD**2 + sigma**2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_all_names_have_samplers() -> None:
    assert set(SAMPLERS) == set(NAMES)


@pytest.mark.parametrize("path", ["nodes/sample.py", "pantheon_core/cli/generate.py"])
def test_nodes_and_command_line_offer_all_names(path: str) -> None:
    """They spell the names out, to start without the sampling code."""
    tree = ast.parse((Path(__file__).parents[2] / path).read_text(encoding="utf-8"))
    offered = {
        tuple(ast.literal_eval(keyword.value))
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg in ("options", "choices") and isinstance(keyword.value, ast.List | ast.Tuple)
    }
    assert {get_args(names) for names in (SamplerName, ScheduleName, GuidanceShape)} <= offered


@pytest.mark.parametrize("schedule", get_args(ScheduleName))
@pytest.mark.parametrize("name", NAMES)
def test_a_constant_model_gives_its_picture(name: SamplerName, schedule: ScheduleName) -> None:
    picture = torch.randn(1, 2, 4, 6, 12, generator=seeded())
    x = 700.0 * torch.randn(picture.shape, generator=seeded(1))
    for steps in (1, 2, 7):
        sigmas = noise_levels(schedule, steps)
        out = SAMPLERS[name](lambda x, sigma: picture, x, sigmas, generator=seeded(2))
        assert out.dtype == torch.float32
        torch.testing.assert_close(out, picture, atol=1e-3, rtol=0)


def flow_error(name: SamplerName, steps: int) -> float:
    """Against the exact flow from HIGH to LOW, on which x - MEAN goes as sqrt(SPREAD^2 + sigma^2)."""
    sigmas = exponential_sigmas(steps + 1, LOW, HIGH)[:-1]
    x = HIGH * torch.randn(1, 2, 4, 4, 4, generator=seeded())
    exact = MEAN + (x - MEAN) * ((SPREAD**2 + LOW**2) / (SPREAD**2 + HIGH**2)) ** 0.5
    return float((SAMPLERS[name](gaussian, x, sigmas) - exact).abs().max())


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("dpmpp_2m", 2)])
def test_order_of_convergence(name: SamplerName, order: int) -> None:
    """Halving the steps' size divides the error by 2^order."""
    errors = [flow_error(name, steps) for steps in (16, 32, 64)]
    ratios = [a / b for a, b in pairwise(errors)]
    assert all(0.75 * 2**order < ratio < 1.35 * 2**order for ratio in ratios), ratios


def test_second_order_is_nearer_at_the_same_cost() -> None:
    """In 32 model calls: 32 steps, of Heun 16."""
    euler = flow_error("euler", 32)
    assert flow_error("heun", 16) < 0.5 * euler
    assert flow_error("dpmpp_2m", 32) < 0.2 * euler


def test_stochastic_samples_have_the_datas_spread() -> None:
    """The noise that is added makes up for the noise that is taken: mean and deviation stay the data's."""
    x = HIGH * torch.randn(1, 1, 4, 64, 64, generator=seeded()) + MEAN
    sigmas = exponential_sigmas(40, 0.01, HIGH)
    out = SAMPLERS["dpmpp_2m_sde"](gaussian, x, sigmas, generator=seeded(1))
    assert float(out.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(out.std()) == pytest.approx(SPREAD, rel=0.03)
    flow = SAMPLERS["dpmpp_2m"](gaussian, x, sigmas)
    # It forgets where it came from; the flow does not.
    mixed = [float(torch.corrcoef(torch.stack([y.flatten(), x.flatten()]))[0, 1]) for y in (out, flow)]
    assert mixed[0] < 0.5
    assert mixed[1] > 0.99


def test_stochastic_sampling_is_decided_by_its_generator() -> None:
    x, sigmas = torch.randn(1, 1, 4, 4, 4, generator=seeded()), karras_sigmas(4)
    first, again, other = (
        sample_dpmpp_2m(gaussian, x, sigmas, noise=1.0, generator=seeded(s)) for s in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    with pytest.raises(InputError, match="generator"):
        sample_dpmpp_2m(gaussian, x, sigmas, noise=1.0)


@pytest.mark.parametrize("name", NAMES)
def test_model_calls_steps_and_interruption(name: SamplerName) -> None:
    calls: list[float] = []
    steps: list[int] = []

    def model(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return gaussian(x, sigma)

    def stop_at_four(step: int, x0: Tensor) -> None:
        steps.append(step)
        if step == 4:
            raise InterruptedByUser("stopped")

    x = torch.zeros(1, 1, 4, 2, 2)
    SAMPLERS[name](
        model, x, karras_sigmas(6), generator=seeded(), callback=lambda step, x0: steps.append(step)
    )
    assert steps == [1, 2, 3, 4, 5, 6]
    assert len(calls) == (11 if name == "heun" else 6)
    assert 0.0 not in calls
    steps.clear()
    with pytest.raises(InterruptedByUser):
        SAMPLERS[name](model, x, karras_sigmas(6), generator=seeded(), callback=stop_at_four)
    assert steps == [1, 2, 3, 4]


@pytest.mark.parametrize("name", NAMES)
def test_routes_that_go_back_up(name: SamplerName) -> None:
    """The detour ends at the same picture when the model is sure; each step down is counted."""
    picture = torch.randn(1, 1, 4, 4, 4, generator=seeded())
    route = [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2), (2, 3)]
    steps: list[int] = []
    out = SAMPLERS[name](
        lambda x, sigma: picture,
        torch.randn(picture.shape),
        torch.tensor([8.0, 3.0, 1.0, 0.0]),
        route=route,
        generator=seeded(),
        callback=lambda step, x0: steps.append(step),
    )
    torch.testing.assert_close(out, picture, atol=1e-5, rtol=0)
    assert steps == [1, 2, 3, 4, 5]


def test_memory_of_the_last_step_ends_where_noise_is_added() -> None:
    """A detour that ends with a first-order step is as if the second half had begun there."""
    x, levels = torch.randn(1, 1, 4, 4, 4, generator=seeded()), torch.tensor([8.0, 3.0, 1.0, 0.5])
    seen: list[Tensor] = []

    def model(x: Tensor, sigma: float) -> Tensor:
        if sigma == 8.0:
            seen.append(x)
        return gaussian(x, sigma)

    whole = sample_dpmpp_2m(
        model, x, levels, route=[(0, 1), (1, 2), (2, 0), (0, 1), (1, 2), (2, 3)], generator=seeded()
    )
    torch.testing.assert_close(whole, sample_dpmpp_2m(gaussian, seen[1], levels))


def test_schedules() -> None:
    published = [700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.0]
    assert align_your_steps_sigmas(10).tolist() == pytest.approx(published)
    # Twice the steps: every other level is a published one, those between are geometric means.
    twice = align_your_steps_sigmas(20)
    assert twice[::2].tolist() == pytest.approx(published, abs=1e-6)
    assert float(twice[1]) == pytest.approx((700.0 * 54.5) ** 0.5)
    ratios = exponential_sigmas(8)[:-1].log().diff()
    torch.testing.assert_close(ratios, ratios[:1].expand(7), atol=1e-4, rtol=0)
    for schedule in get_args(ScheduleName):
        for steps in (1, 2, 3, 10, 25):
            sigmas = noise_levels(schedule, steps)
            assert sigmas.shape == (steps + 1,)
            assert (float(sigmas[0]), float(sigmas[-1])) == (pytest.approx(700.0), 0.0)
            assert bool((sigmas.diff() < 0).all())
        with pytest.raises(InputError, match="steps"):
            noise_levels(schedule, 0)
    assert torch.equal(noise_levels("karras", 7, 0.1, 5.0), karras_sigmas(7, 0.1, 5.0))
    with pytest.raises(InputError, match="another schedule"):
        noise_levels("align_your_steps", 10, 0.002, 80.0)


def test_guidance_shapes() -> None:
    assert guidance_ramp(5, 1.0, 3.0).tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert guidance_ramp(5, 1.0, 3.0, shape="triangle").tolist() == [1.0, 2.0, 3.0, 2.0, 1.0]
    assert guidance_ramp(5, 1.0, 3.0, shape="constant").tolist() == [3.0] * 5
    for shape in get_args(GuidanceShape):
        assert guidance_ramp(1, 2.0, 2.0, shape=shape).tolist() == [2.0]


def test_guidance_in_one_batch_or_one_after_the_other(nano: PantheonModel) -> None:
    batches: list[int] = []
    parts = {
        "concat": torch.randn(1, 3, 4, 8, 16, generator=seeded()),
        "tokens": torch.randn(1, 8, 32, generator=seeded(1)),
        "time_ids": torch.tensor([[6.0, 127.0, 0.02]]),
        "guidance": guidance_ramp(3, 1.0, 3.0, shape="triangle"),
    }
    apart = Denoiser(unet=nano.unet, **parts)
    x = torch.randn(1, 3, 4, 8, 16, generator=seeded(2))
    hook = nano.unet.conv_in.register_forward_hook(lambda m, args, out: batches.append(len(args[0])))
    try:
        with torch.no_grad():
            wanted, both = apart(x, 3.0), replace(apart, together=True)(x, 3.0)
            alone = replace(apart, together=True, guidance=torch.ones(3))(x, 3.0)
    finally:
        hook.remove()
    assert batches == [3, 3, 6, 3]
    torch.testing.assert_close(both, wanted, atol=1e-4, rtol=0)
    torch.testing.assert_close(alone[:, 0], wanted[:, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["heun", "dpmpp_2m", "dpmpp_2m_sde"])
def test_a_whole_generation(nano: PantheonModel, clip: Clip, name: SamplerName) -> None:
    """Progress, previews and determinism; chunk sizes do not matter; it is not Euler's result."""
    scaffold, coverage, anchors = clip
    settings = replace(QUICK, sampler=name, schedule="exponential")
    progress: list[tuple[int, int]] = []
    previews: list[int] = []
    made = generate(
        nano,
        scaffold,
        coverage,
        anchors,
        settings=settings,
        progress=lambda done, total: progress.append((done, total)),
        preview=lambda step, frames: previews.append(step),
    )
    assert previews == [1, 2, 3]
    assert progress == [(i, 4) for i in range(5)]
    assert bool(made.latents.isfinite().all())
    again = generate(nano, scaffold, coverage, anchors, settings=replace(settings, encode_chunk=1))
    torch.testing.assert_close(again.latents, made.latents, atol=1e-4, rtol=0)
    euler = generate(nano, scaffold, coverage, anchors, settings=replace(settings, sampler="euler"))
    assert float((euler.latents - made.latents).abs().max()) > 1e-3


@pytest.mark.parametrize("name", [name for name in NAMES if name != "euler"])
def test_fusion_with_every_sampler(
    build_nano: Callable[..., PantheonModel], clip: Clip, name: SamplerName
) -> None:
    """Symmetric in time where no noise is drawn on the way; with re-injection it is repeatable."""
    model = build_nano(variant="dual", token_roles=True)
    scaffold, _, anchors = clip
    noise = torch.randn(1, 3, 4, 8, 16, generator=seeded())
    settings = replace(QUICK, sampler=name, steps=2)

    def sample(frames: Tensor, seen: list[Tensor], start: Tensor, fusion: FusionSettings) -> Tensor:
        with torch.no_grad():
            seeing = Conditions(frames=frames, anchors=seen)
            return sample_latents(model, seeing, start, settings=settings, fusion=fusion, generator=seeded(5))

    there = sample(scaffold, anchors, noise, FusionSettings())
    if name != "dpmpp_2m_sde":
        back = sample(scaffold.flip(0), anchors[::-1], noise.flip(1), FusionSettings())
        torch.testing.assert_close(back, there.flip(1), atol=2e-4, rtol=0)
    again = FusionSettings(reinject_steps=1, reinject_repeats=1)
    first, second = (sample(scaffold, anchors, noise, again) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, there)


@pytest.mark.parametrize(
    "values",
    [
        {"sampler": "ddim"},
        {"schedule": "linear"},
        {"guidance_shape": "sine"},
        {"schedule": "align_your_steps", "sigma_max": 80.0},
    ],
)
def test_unknown_names_are_refused(values: dict) -> None:
    with pytest.raises(InputError, match=f"SamplerSettings.{next(iter(values))}"):
        SamplerSettings(**values)
