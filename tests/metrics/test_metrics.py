from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pantheon_core.errors import ConventionError, InputError, ShapeError
from pantheon_core.geometry import erp_rays
from pantheon_core.metrics import crops_psnr_ssim, psnr, seam_discontinuity, ssim, ws_psnr


@pytest.fixture
def video() -> Tensor:
    """(3, 3, 32, 64), smooth on the sphere."""
    rays = erp_rays(32)
    return torch.stack([(0.5 + 0.4 * torch.sin(k + 3 * rays)).permute(2, 0, 1) for k in range(3)])


def test_psnr_of_a_known_error(video: Tensor) -> None:
    assert torch.allclose(psnr(video + 0.1, video), torch.full((3,), 20.0, dtype=torch.float64), atol=1e-4)
    assert torch.isinf(psnr(video, video)).all()


def test_psnr_counts_only_the_mask(video: Tensor) -> None:
    mask = torch.zeros(3, 32, 64, dtype=torch.bool)
    mask[:, :16] = True
    damaged = video.clone()
    damaged[..., 16:, :] = 0
    assert torch.isinf(psnr(damaged, video, mask=mask)).all()
    with pytest.raises(InputError, match="at least one pixel"):
        psnr(video, video, mask=torch.zeros_like(mask))


def test_ssim_is_one_for_equal_and_falls_with_noise(video: Tensor) -> None:
    noise = torch.randn(video.shape, generator=torch.Generator().manual_seed(1))
    low, high = ssim(video + 0.02 * noise, video), ssim(video + 0.1 * noise, video)
    assert torch.allclose(ssim(video, video), torch.ones(3))
    assert (high < low).all()
    assert (low < 1).all()


def test_ws_psnr_weighs_rows_by_their_solid_angle() -> None:
    target = torch.zeros(3, 64, 128)
    at_pole, at_horizon = target.clone(), target.clone()
    at_pole[:, 0] = 0.5
    at_horizon[:, 32] = 0.5
    assert ws_psnr(at_pole, target) > ws_psnr(at_horizon, target) + 10
    even = ws_psnr(target + 0.1, target)
    assert math.isclose(float(even), 20.0, abs_tol=1e-4)


def test_seam_discontinuity_sees_a_step_at_the_seam_only(video: Tensor) -> None:
    assert (seam_discontinuity(video) < 1.6).all()
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 32, 64)
    assert (seam_discontinuity(ramp) > 20).all()


def test_crops_of_equal_videos_and_of_a_known_error(video: Tensor) -> None:
    scores = crops_psnr_ssim(video + 0.1, video)
    assert torch.allclose(scores.psnr, torch.full((3,), 20.0, dtype=torch.float64), atol=1e-3)
    assert torch.allclose(crops_psnr_ssim(video, video).ssim, torch.ones(3), atol=1e-6)


def test_crops_do_not_see_the_poles(video: Tensor) -> None:
    damaged = video.clone()
    damaged[..., :2, :] = 1
    assert torch.isinf(crops_psnr_ssim(damaged, video).psnr).all()


def test_wrong_shapes(video: Tensor) -> None:
    with pytest.raises(ShapeError, match="target"):
        psnr(video, video[:1])
    with pytest.raises(ConventionError, match="twice as wide"):
        ws_psnr(video[..., :32], video[..., :32])
