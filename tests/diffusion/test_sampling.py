from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pantheon_core.diffusion import PantheonModel, karras_sigmas, sample_euler
from pantheon_core.diffusion.denoiser import Denoiser, guidance_ramp, predict_x0
from pantheon_core.errors import InputError

MEAN, SPREAD = 0.3, 0.5


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """The exact denoiser of data N(MEAN, SPREAD^2)."""
    return (SPREAD**2 * x + sigma**2 * MEAN) / (SPREAD**2 + sigma**2)


def flow_error(steps: int) -> float:
    """Against the exact flow, x - MEAN proportional to sqrt(SPREAD^2 + sigma^2)."""
    sigmas = karras_sigmas(steps, 0.01, 10.0)
    x = torch.randn(1, 2, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 10
    exact = MEAN + (x - MEAN) * SPREAD / (SPREAD**2 + 100.0) ** 0.5
    return float((sample_euler(gaussian, x, sigmas) - exact).abs().max())


def test_euler_follows_the_exact_flow_to_first_order() -> None:
    coarse, fine = flow_error(100), flow_error(200)
    assert fine < 0.03
    assert 1.8 < coarse / fine < 2.2


def test_one_step_lands_on_the_prediction() -> None:
    x = torch.randn(1, 1, 4, 2, 2)
    assert torch.allclose(sample_euler(gaussian, x, torch.tensor([5.0, 0.0])), gaussian(x, 5.0), atol=1e-6)


def test_sigmas_of_twenty_five_steps() -> None:
    """Published values of the 25-step schedule."""
    sigmas = karras_sigmas(25)
    assert sigmas[[0, 1, 12, 23, 24, 25]].tolist() == pytest.approx(
        [700.0, 545.7, 15.6, 0.008, 0.002, 0.0], rel=0.06
    )
    assert bool((sigmas.diff() < 0).all())


@pytest.mark.parametrize("arguments", [(0,), (5, 0.0), (5, 2.0, 1.0)])
def test_bad_schedules_are_refused(arguments: tuple) -> None:
    with pytest.raises(InputError, match="sigma_min < sigma_max"):
        karras_sigmas(*arguments)


def test_reinjection_adds_the_missing_variance() -> None:
    """From sigma 3 back to 5 it takes noise of 4; the step down with x0 = x adds nothing."""
    x = torch.zeros(1, 1, 1, 200, 200)
    generator = torch.Generator().manual_seed(0)
    levels, route = torch.tensor([5.0, 3.0]), [(0, 1), (1, 0)]
    out = sample_euler(lambda x, sigma: x, x, levels, route=route, generator=generator)
    assert float(out.std()) == pytest.approx(4.0, rel=0.02)
    assert float(out.mean()) == pytest.approx(0.0, abs=0.1)


def test_reinjection_needs_a_generator() -> None:
    with pytest.raises(InputError, match="generator"):
        sample_euler(gaussian, torch.zeros(1, 1, 1, 2, 2), karras_sigmas(2), route=[(0, 1), (1, 0)])


def test_callback_counts_steps_and_may_stop() -> None:
    seen = []

    def stop(step: int, x0: Tensor) -> None:
        seen.append((step, tuple(x0.shape)))
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_euler(gaussian, torch.zeros(1, 1, 4, 2, 2), karras_sigmas(5), callback=stop)
    assert seen == [(1, (1, 1, 4, 2, 2)), (2, (1, 1, 4, 2, 2))]


def denoiser(model: PantheonModel, guidance: Tensor) -> Denoiser:
    generator = torch.Generator().manual_seed(4)
    return Denoiser(
        unet=model.unet,
        concat=torch.randn(1, 3, 4, 8, 16, generator=generator),
        tokens=torch.randn(1, 8, 32, generator=generator),
        time_ids=torch.tensor([[6.0, 127.0, 0.02]]),
        guidance=guidance,
    )


def test_guidance_per_frame(nano: PantheonModel) -> None:
    x = torch.randn(1, 3, 4, 8, 16)
    ones = denoiser(nano, torch.ones(3))
    ramp = denoiser(nano, guidance_ramp(3, 1.0, 3.0))
    zeros = denoiser(nano, torch.zeros(3))
    assert (ones.evaluations, ramp.evaluations) == (1, 2)
    with torch.no_grad():
        conditional, unconditional, guided = ones(x, 2.0), zeros(x, 2.0), ramp(x, 2.0)
    assert float((conditional - unconditional).abs().max()) > 1e-3
    torch.testing.assert_close(guided[:, 0], conditional[:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        guided[:, 2], 3 * conditional[:, 2] - 2 * unconditional[:, 2], atol=1e-4, rtol=0
    )


def test_small_noise_is_seen_through(nano: PantheonModel) -> None:
    """At sigma near 0 the input is the answer, whatever the network says; each item has its own level."""
    x = torch.randn(2, 3, 4, 8, 16)
    parts = {"concat": torch.zeros_like(x), "tokens": torch.zeros(2, 1, 32), "time_ids": torch.zeros(2, 3)}
    with torch.no_grad():
        x0 = predict_x0(nano.unet, x, torch.tensor([1e-4, 50.0]), **parts)
        alone = predict_x0(nano.unet, x[1:], 50.0, **{k: v[1:] for k, v in parts.items()})
    assert float((x0[0] - x[0]).abs().max()) < 1e-2
    torch.testing.assert_close(x0[1:], alone, atol=1e-4, rtol=0)


def test_guidance_of_wrong_length(nano: PantheonModel) -> None:
    with pytest.raises(InputError, match="3 frames"):
        denoiser(nano, torch.ones(4))
