"""The EDM objective, its noise distribution and the conditioning dropout."""

from __future__ import annotations

import pytest
import torch

from pantheon_core.errors import InputError
from pantheon_core.training.losses import conditioning_keep, edm_input, edm_loss, sample_sigma, vae_loss


def _draw(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(3, 5, 4, 4, 8, generator=generator, dtype=torch.float64)
    noise = torch.randn(latents.shape, generator=generator, dtype=torch.float64)
    output = torch.randn(latents.shape, generator=generator, dtype=torch.float64)
    sigma = torch.tensor([0.05, 2.0, 80.0], dtype=torch.float64)
    return latents, noise, output, sigma


def test_loss_is_the_plain_squared_error_of_v():
    latents, noise, output, sigma = _draw()
    _, _, noisy = edm_input(latents, noise, sigma)
    s = sigma.view(-1, 1, 1, 1, 1)
    v = (noise - s * latents) / (s**2 + 1).sqrt()
    torch.testing.assert_close(edm_loss(output, noisy, latents, sigma), (output - v).square().mean())


def test_weight_is_a_weighted_mean():
    latents, noise, output, sigma = _draw(1)
    _, _, noisy = edm_input(latents, noise, sigma)
    weight = torch.zeros(3, 5, 1, 4, 8, dtype=torch.float64)
    weight[:, 2:] = 7.0
    part = edm_loss(output[:, 2:], noisy[:, 2:], latents[:, 2:], sigma)
    torch.testing.assert_close(edm_loss(output, noisy, latents, sigma, weight=weight), part)


def test_network_input_has_unit_variance_and_time_is_a_quarter_log():
    latents, noise, _, sigma = _draw(2)
    model_input, time, noisy = edm_input(latents, noise, sigma)
    assert model_input.var(dim=(1, 2, 3, 4)) == pytest.approx([1, 1, 1], abs=0.15)
    torch.testing.assert_close(time.mul(4).exp(), sigma)
    torch.testing.assert_close(noisy[0], latents[0] + 0.05 * noise[0])


def test_sigma_is_log_normal():
    logs = sample_sigma(40_000, torch.Generator().manual_seed(3)).log()
    assert float(logs.mean()) == pytest.approx(0.7, abs=0.03)
    assert float(logs.std()) == pytest.approx(1.6, abs=0.03)


def test_dropout_shares_are_the_three_way_scheme():
    tokens, latents = conditioning_keep(50_000, torch.Generator().manual_seed(4), 0.1)
    shares = {
        "tokens only": (1 - tokens) * latents,
        "both": (1 - tokens) * (1 - latents),
        "latents only": tokens * (1 - latents),
    }
    for name, share in shares.items():
        assert float(share.mean()) == pytest.approx(0.1, abs=0.01), name


def test_dropout_share_beyond_a_third_is_refused():
    with pytest.raises(InputError, match="0 to 1/3"):
        conditioning_keep(4, torch.Generator(), 0.4)


def test_vae_loss_is_least_for_the_truth():
    target = torch.rand(2, 3, 16, 32) * 2 - 1
    mean, logvar = torch.zeros(2, 4, 2, 4), torch.zeros(2, 4, 2, 4)
    exact = vae_loss(target, target, mean, logvar, kl_weight=1e-3)["loss"]
    blurred = torch.nn.functional.avg_pool2d(target, 3, 1, 1)
    assert float(exact) == 0.0
    assert float(vae_loss(blurred, target, mean, logvar, kl_weight=1e-3)["loss"]) > 0.1
