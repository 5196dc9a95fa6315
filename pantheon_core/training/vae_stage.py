"""Stage "vae": the temporal VAE, on photographs and on synthetic clips."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import InputError, Progress
from .config import TrainConfig, VAEConfig
from .loop import FitResult, fit
from .losses import vae_loss
from .photos import PhotoBank, random_holes
from .runtime import start_runtime
from .vae_start import start_as_block_means

if TYPE_CHECKING:
    from .clips import ClipFolder

__all__ = ["build_vae", "load_vae", "train_vae"]

_log = logging.getLogger(__name__)
_FULL_HEIGHT = 128


def build_vae(settings: VAEConfig, *, scaling_factor: float = 1.0) -> Any:
    """A diffusers AutoencoderKLTemporalDecoder of the configured size, started as block means.

    Raises:
        InputError: channel counts for which that start does not exist (`vae_start.py`).
    """
    from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder

    blocks: Any = ("DownEncoderBlock2D",) * len(settings.channels)
    channels: Any = tuple(settings.channels)
    vae = AutoencoderKLTemporalDecoder(
        down_block_types=blocks,
        block_out_channels=channels,
        layers_per_block=settings.layers,
        latent_channels=4,
        sample_size=_FULL_HEIGHT,
        scaling_factor=scaling_factor,
        force_upcast=False,
    )
    start_as_block_means(vae)
    return vae


def load_vae(path: str | Path, settings: VAEConfig, *, averaged: bool = True) -> Any:
    """The VAE of a stage's checkpoint.pt, with its averaged weights and in eval mode.

    Raises:
        InputError: no such file.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"VAE checkpoint: nothing at {file}; train the vae stage first")
    state = torch.load(file, weights_only=True, map_location="cpu")
    vae = build_vae(settings)
    vae.load_state_dict(state["model"])
    if averaged:
        vae.load_state_dict(state["averaged"], strict=False)
    return vae.eval().requires_grad_(False)


def train_vae(config: TrainConfig, *, progress: Progress | None = None) -> FitResult:
    """Train the VAE; the result is `output/checkpoint.pt` (weights and averaged weights)."""
    runtime = start_runtime(config)
    if runtime.world > 1:
        raise InputError(
            f'the stage "vae" runs in one process, got {runtime.world}; several serve the stage "unet"'
        )
    torch.manual_seed(config.seed)
    vae = load_vae(config.vae.start, config.vae) if config.vae.start else build_vae(config.vae)
    vae.to(runtime.device).requires_grad_(True)
    if config.vae.freeze_encoder:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    photos = PhotoBank(config.data.photos, config.data.extra_photos)
    clips: ClipFolder | None = None
    if config.vae.clip_share > 0:
        from .clips import ClipFolder

        clips = ClipFolder(config.data.clips, held_out=False)

    def step_loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        kind = torch.rand(4, generator=generator)
        whole = bool(kind[0] < config.vae.full_share)
        video = bool(kind[1] < 0.6)
        if clips is not None and kind[2] < config.vae.clip_share:
            batch = _clip_batch(clips, config, generator, whole=whole)
        else:
            batch = _photo_batch(photos, config, generator, whole=whole, video=video)
            if kind[3] < config.vae.hole_share:
                batch = batch * ~random_holes(len(batch), *batch.shape[-2:], generator=generator)
        frames = len(batch) if video else 1
        with runtime.autocast():
            return reconstruct_loss(
                vae, batch, frames=frames, config=config, generator=generator, whole=whole
            )

    return fit(config, vae, step_loss, runtime=runtime, progress=progress)


def reconstruct_loss(
    vae: Any, batch: Tensor, *, frames: int, config: TrainConfig, generator: torch.Generator, whole: bool
) -> dict[str, Tensor]:
    """Encode, sample, decode, compare.

    Args:
        vae: the network.
        batch: (N, 3, H, W), 0..1.
        frames: the decoder sees N / frames clips of this many frames.
        config: noise and the KL weight.
        generator: noise of the posterior sample.
        whole: whole panoramas, hence spherical padding.
    """
    target = batch.to(vae.device) * 2 - 1
    with _padding(vae, whole):
        posterior = vae.encode(target).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        latent = mean + (0.5 * logvar).exp() * noise
        if config.vae.latent_noise > 0:
            amount = config.vae.latent_noise * float(torch.rand(1, generator=generator))
            more = torch.randn(mean.shape, generator=generator).to(mean)
            latent = latent + amount * mean.detach().std() * more
        decoded = vae.decode(latent, num_frames=frames).sample
    return vae_loss(decoded.float(), target, mean, logvar, kl_weight=config.vae.kl_weight)


def _padding(vae: Any, whole: bool) -> contextlib.AbstractContextManager[Any]:
    if not whole:
        return contextlib.nullcontext()
    from ..diffusion import spherical

    return spherical(vae)


def _photo_batch(
    photos: PhotoBank, config: TrainConfig, generator: torch.Generator, *, whole: bool, video: bool
) -> Tensor:
    count = config.batch
    if whole:
        make: Callable[[int], Tensor] = lambda n: photos.clip(  # noqa: E731
            generator, frames=n, height=_FULL_HEIGHT, crop=None
        )
    else:
        scale = float(torch.rand(1, generator=generator))
        height = int(128 * 2 ** (1.6 * scale)) // 16 * 16
        crop = config.vae.crop
        make = lambda n: photos.clip(generator, frames=n, height=height, crop=crop)  # noqa: E731
    return make(count) if video else torch.cat([make(1) for _ in range(count)])


def _clip_batch(clips: ClipFolder, config: TrainConfig, generator: torch.Generator, *, whole: bool) -> Tensor:
    clip = clips.window(generator, frames=config.batch)
    which = torch.rand(1, generator=generator) < 0.6
    frames = clip.rgb if which else clip.scaffold
    if not whole:
        rows, columns = config.vae.crop
        top = int(torch.randint(frames.shape[-2] - rows + 1, (1,), generator=generator))
        shift = int(torch.randint(frames.shape[-1], (1,), generator=generator))
        frames = frames.roll(shift, -1)[..., top : top + rows, :columns]
    return frames.float() / 255.0
