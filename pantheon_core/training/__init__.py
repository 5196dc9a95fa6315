"""Training: one entry, `train(config)`, for the stages "clips", "vae" and "unet"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .config import (
    CorruptionConfig,
    DataConfig,
    LoRAConfig,
    TrainConfig,
    UNetConfig,
    VAEConfig,
    ValidationConfig,
    load_config,
)

if TYPE_CHECKING:
    from ..errors import Progress
    from .loop import FitResult

__all__ = [
    "CorruptionConfig",
    "DataConfig",
    "LoRAConfig",
    "TrainConfig",
    "UNetConfig",
    "VAEConfig",
    "ValidationConfig",
    "load_config",
    "train",
]


def train(config: str | Path | TrainConfig, progress: Progress | None = None) -> FitResult:
    """Run one training stage; started again, it resumes from the checkpoint in its output folder.

    Args:
        config: path of a TOML file (examples in `training/configs`), or settings.
        progress: called with (steps done, steps).

    Raises:
        InputError: settings that cannot be used.
    """
    import torch

    settings = load_config(config)
    torch.set_num_threads(settings.threads)
    if settings.stage == "clips":
        from .clips import render_clips

        return render_clips(settings, progress=progress)
    if settings.stage == "vae":
        from .vae_stage import train_vae

        return train_vae(settings, progress=progress)
    from .unet_stage import train_unet

    return train_unet(settings, progress=progress)
