"""Stage "unet": the video UNet, the image encoder and the token roles, on latents of synthetic clips."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import InputError, Progress
from .clips import ClipFolder
from .config import TrainConfig
from .latents import LatentClip, LatentFolder, latent_statistics, vae_fingerprint
from .loop import FitResult, fit
from .losses import conditioning_keep, edm_input, edm_loss, sample_sigma
from .unet_start import start_as_scaffold
from .vae_stage import load_vae

if TYPE_CHECKING:
    from ..diffusion import PantheonModel

__all__ = [
    "Sample",
    "batch_loss",
    "build_training_model",
    "decoder_of",
    "draw_sample",
    "export_model",
    "train_unet",
]

_log = logging.getLogger(__name__)
_FPS_ID, _MOTION = 6.0, 127.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample:
    """One training example.

    Attributes:
        truth: (T, 4, h, w) unscaled latents.
        scaffold: (T, 4, h, w) unscaled latents, anchor frames as the model will see them.
        holes: (T, 1, h, w) share of holes.
        anchors: panoramas (3, H, W) 0..1 for the tokens.
        roles: 0 start, 1 end, one per anchor.
    """

    truth: Tensor
    scaffold: Tensor
    holes: Tensor
    anchors: list[Tensor]
    roles: list[int]


def train_unet(config: TrainConfig, *, progress: Progress | None = None) -> FitResult:
    """Train on the clips that are in the folder now; ends with `output/model.safetensors`."""
    vae = load_vae(config.unet.vae, config.vae)
    folder = LatentFolder(ClipFolder(config.data.clips, held_out=False), vae, hole_fill=config.unet.hole_fill)
    model = build_training_model(config, vae, _scaling(config, folder))

    if config.unet.start:
        _start_from(model, Path(config.unet.start))

    def step_loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        return batch_loss(model, _draw_batch(folder, config, generator), config, generator)

    decoder = decoder_of(config, vae).state_dict() if config.unet.decoder else None

    def export(averaged: dict[str, Tensor]) -> None:
        export_model(model, averaged, Path(config.output) / "model.safetensors", decoder=decoder)

    result = fit(config, model, step_loss, export=export, progress=progress)
    export(result.averaged)
    return result


def build_training_model(config: TrainConfig, vae: Any, scaling_factor: float) -> PantheonModel:
    """The model with a trained, frozen VAE and a fresh UNet and image encoder.

    The UNet starts as a copy of the scaffold (`unet_start.py`).
    """
    from ..diffusion import ModelConfig
    from ..diffusion.model import build_model, tiny_configs

    parts = tiny_configs(unet_channels=tuple(config.unet.channels), frames=config.unet.frames[1])
    parts["vae"] = {k: v for k, v in dict(vae.config).items() if not k.startswith("_")}
    parts["vae"]["scaling_factor"] = scaling_factor
    settings = ModelConfig(
        variant="both",
        frames=config.unet.frames[1],
        height=128,
        token_roles=True,
        hole_fill=config.unet.hole_fill,
        keep_scaffold=1.0,
        detail_reach=8,
        name="pantheon-tiny",
        description="Small demonstration model, trained on procedural scenes on two CPU cores. "
        "It paints plausible colour and texture into holes, not new objects.",
    )
    if config.unet.conditioning == "first_frame":
        settings = replace(
            settings,
            variant="single",
            conditioning="first_frame",
            hole_fill="value",
            keep_scaffold=0.0,
            detail_reach=0,
            name="pantheon-tiny-stock",
            description="Small model conditioned on the first frame alone, as stock Stable Video Diffusion "
            "is; for comparisons.",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build_model(settings, parts)
        start_as_scaffold(model.unet, scaling_factor)
    model.vae.load_state_dict(vae.state_dict())
    model.vae.requires_grad_(False)
    return model


def draw_sample(clip: LatentClip, config: TrainConfig, generator: torch.Generator, *, frames: int) -> Sample:
    """Choose window, direction, anchors and yaw.

    The window starts at the clip's anchor frame; sometimes every second frame is taken, for larger motion.
    Dual examples have the true panorama in the last scaffold frame too, and tokens of both ends. Clips whose
    cache was built from both ends may be played backwards. The yaw roll is exact: everything is circular.
    """
    chance = torch.rand(4, generator=generator)
    total = len(clip.truth)
    stride = 2 if chance[0] < 0.25 and total >= 2 * 6 else 1
    index = torch.arange(0, total, stride)[:frames]
    if clip.anchors == 2:
        index = torch.arange(total - 1, -1, -stride)[:frames].flip(0) if stride > 1 else index
        index = torch.linspace(0, total - 1, len(index)).round().long()
        if chance[1] < 0.5:
            index = index.flip(0)
    first_frame = config.unet.conditioning == "first_frame"
    dual = not first_frame and bool(chance[2] < (0.5 if clip.anchors == 2 else config.unet.dual_share))
    truth, scaffold, holes = clip.truth[index], clip.scaffold[index].clone(), clip.holes[index].clone()
    if dual:
        scaffold[-1], holes[-1] = truth[-1], 0.0
    if first_frame:
        scaffold = truth[:1].expand_as(truth)
    shift = int(torch.randint(truth.shape[-1], (1,), generator=generator))
    ends = [clip.rgb[index[0]], clip.rgb[index[-1]]][: 1 + dual]
    return Sample(
        truth=truth.roll(shift, -1),
        scaffold=scaffold.roll(shift, -1),
        holes=holes.roll(shift, -1),
        anchors=[end.roll(8 * shift, -1).float() / 255.0 for end in ends],
        roles=[0, 1][: 1 + dual],
    )


def batch_loss(
    model: PantheonModel, samples: list[Sample], config: TrainConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """EDM loss of a batch of equal frames and size, methods §2.6."""
    from ..diffusion import encode_tokens, spherical

    settings, count = config.unet, len(samples)
    latents = torch.stack([s.truth for s in samples]) * model.scaling_factor
    scaffold = torch.stack([s.scaffold for s in samples])
    holes = torch.stack([s.holes for s in samples])
    sigma = sample_sigma(count, generator, mean=settings.p_mean, std=settings.p_std)
    augment = sample_sigma(count, generator, mean=settings.noise_aug[0], std=settings.noise_aug[1])
    keep_tokens, keep_latents = conditioning_keep(count, generator, settings.drop)
    # Augmentation noise in latent space: relative to the latents' deviation, since they are kept encoded.
    extra = torch.randn(scaffold.shape, generator=generator)
    if settings.conditioning == "first_frame":
        # Stock conditioning repeats one noisy latent.
        extra = extra[:, :1]
    extra = extra * (augment / model.scaling_factor).view(-1, 1, 1, 1, 1)
    scaffold = (scaffold + extra) * keep_latents.view(-1, 1, 1, 1, 1)
    noise = torch.randn(latents.shape, generator=generator)
    model_input, time, noisy = edm_input(latents, noise, sigma)
    ids = torch.stack([torch.full_like(augment, _FPS_ID), torch.full_like(augment, _MOTION), augment], 1)
    with spherical(model.unet), torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
        tokens = _pad_tokens([encode_tokens(model, s.anchors, roles=s.roles) for s in samples])
        tokens = tokens * keep_tokens.view(-1, 1, 1).to(tokens)
        output = model.unet(
            torch.cat([model_input, scaffold], 2), time, tokens, added_time_ids=ids, return_dict=False
        )[0].float()
    weight = 1 + (settings.hole_weight - 1) * (holes > 0.05).float()
    loss = edm_loss(output, noisy, latents, sigma, weight=weight)
    return {"loss": loss, **_watch(output.detach(), noisy, latents, sigma, holes)}


def export_model(
    model: PantheonModel,
    averaged: dict[str, Tensor],
    path: Path,
    *,
    decoder: dict[str, Tensor] | None = None,
) -> Path:
    """Write the averaged weights, with another decoder of the VAE if given, as one half-precision file."""
    from ..diffusion import save_model

    raw = {key: value.detach().clone() for key, value in model.state_dict().items()}
    other = {f"vae.decoder.{key}": value for key, value in (decoder or {}).items()}
    try:
        model.load_state_dict({**raw, **averaged, **other})
        return save_model(model, path, dtype=torch.float16)
    finally:
        model.load_state_dict(raw)


def decoder_of(config: TrainConfig, vae: Any) -> Any:
    """The decoder that `unet.decoder` names for the finished model.

    Raises:
        InputError: it belongs to another encoder than `vae`'s, on whose latents the UNet was trained.
    """
    other = load_vae(config.unet.decoder, config.vae)
    if vae_fingerprint(other) != vae_fingerprint(vae):
        raise InputError(
            f"unet.decoder: the encoder in {config.unet.decoder} is not that of {config.unet.vae}; train the "
            "decoder with vae.freeze_encoder = true from the same checkpoint"
        )
    return other.decoder


def _start_from(model: PantheonModel, path: Path) -> None:
    if not path.is_file():
        raise InputError(f"unet.start: no checkpoint at {path}")
    state = torch.load(path, weights_only=True, map_location="cpu")
    model.load_state_dict(state["averaged"], strict=False)


def _watch(output: Tensor, noisy: Tensor, latents: Tensor, sigma: Tensor, holes: Tensor) -> dict[str, Tensor]:
    """Squared errors of the denoised latents in holes and elsewhere, at high noise, for the log."""
    s = sigma.view(-1, 1, 1, 1, 1)
    square = (noisy / (s**2 + 1) - s / (s**2 + 1).sqrt() * output - latents) ** 2
    hole = ((holes > 0.5) & (s > 1)).float().expand_as(square)
    rest = ((holes == 0) & (s > 1)).float().expand_as(square)
    return {
        "hole_mse": (square * hole).sum() / hole.sum().clamp_min(1),
        "covered_mse": (square * rest).sum() / rest.sum().clamp_min(1),
    }


def _pad_tokens(tokens: list[Tensor]) -> Tensor:
    """Stack token sets of one and two anchors: repeating a set leaves attention unchanged."""
    longest = max(t.shape[1] for t in tokens)
    if any(longest % t.shape[1] for t in tokens):
        raise InputError(f"tokens: cannot batch sets of {[t.shape[1] for t in tokens]}")
    return torch.cat([t.repeat(1, longest // t.shape[1], 1) for t in tokens])


def _draw_batch(folder: LatentFolder, config: TrainConfig, generator: torch.Generator) -> list[Sample]:
    heights = sorted(folder.by_height)
    large = bool(torch.rand(1, generator=generator) < config.unet.large_share)
    height = heights[-1] if large else heights[0]
    low, high = config.unet.frames
    frames = int(torch.randint(low, high + 1, (1,), generator=generator))
    # A 256x512 panorama has four times the latents: one clip of it is a batch.
    picks = [folder.draw_index(generator, height=height) for _ in range(1 if large else config.batch)]
    if large:
        frames = min(frames, 6)
    samples = [draw_sample(folder.read(i), config, generator, frames=frames) for i in picks]
    shortest = min(len(s.truth) for s in samples)
    if any(len(s.truth) != shortest for s in samples):
        samples = [s for s in samples if len(s.truth) == shortest]
    return samples


def _scaling(config: TrainConfig, folder: LatentFolder) -> float:
    """1 / deviation of the latents, measured once and kept with the run so that a resume uses the same."""
    path = Path(config.output) / "latents.json"
    earlier = Path(config.unet.start).parent / "latents.json"
    if config.unet.start and earlier.is_file() and not path.is_file():
        # The weights that the run starts from were trained with this scale.
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(earlier.read_bytes())
    if not path.is_file():
        mean, std = latent_statistics(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"mean": mean, "std": std}), encoding="utf-8")
        _log.info("latents: mean %.3f, deviation %.3f", mean, std)
    return 1.0 / float(json.loads(path.read_text(encoding="utf-8"))["std"])
