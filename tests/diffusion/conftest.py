"""Real networks of the shipped classes, as small as they go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pantheon_core.diffusion import ModelConfig, PantheonModel, build_tiny

NANO = {
    "unet_channels": (32, 64),
    "vae_channels": (32, 32, 32, 32),
    "token_dim": 32,
    "encoder_size": 16,
    "encoder_layers": 1,
}
HEIGHT, FRAMES = 64, 3


@pytest.fixture(scope="session")
def build_nano() -> Callable[..., PantheonModel]:
    def build(**config: object) -> PantheonModel:
        values = {"name": "nano", "frames": FRAMES, "height": HEIGHT, "crop_size": 16, **config}
        return build_tiny(ModelConfig(**values), **NANO)

    return build


@pytest.fixture(scope="session")
def nano(build_nano: Callable[..., PantheonModel]) -> PantheonModel:
    return build_nano()


@pytest.fixture(scope="session")
def clip() -> tuple[Tensor, Tensor, list[Tensor]]:
    """Scaffold (T, 3, H, W), coverage (T, H, W), start and end panoramas."""
    generator = torch.Generator().manual_seed(7)
    scaffold = torch.rand(FRAMES, 3, HEIGHT, 2 * HEIGHT, generator=generator)
    coverage = torch.rand(FRAMES, HEIGHT, 2 * HEIGHT, generator=generator) > 0.3
    anchors = [torch.rand(3, HEIGHT, 2 * HEIGHT, generator=generator) for _ in range(2)]
    return scaffold, coverage, anchors


def snapshot(model: PantheonModel) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_untouched(model: PantheonModel, before: dict[str, Tensor]) -> None:
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert not [m for m in model.modules() if "_conv_forward" in vars(m)]
    assert not [m for m in model.modules() if m.training]


@pytest.fixture(scope="session")
def untouched() -> tuple[Callable[..., object], Callable[..., None]]:
    return snapshot, assert_untouched
