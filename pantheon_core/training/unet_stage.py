"""Stage "unet": the video UNet, the image encoder and the token roles, on latents of clips."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import InputError, Progress
from ..files import replacing
from .config import TrainConfig
from .latents import Encoder, latent_statistics, vae_fingerprint
from .loop import FitResult, Values, fit, slot_generator
from .losses import conditioning_keep, edm_input, edm_loss, sample_sigma
from .model_start import build_training_model, load_base, select_trained, start_from
from .runtime import Runtime, start_runtime
from .samples import Sample, SampleStream, draw_sample
from .sources import ClipSource, ordered_clips, training_source
from .vae_stage import load_vae
from .validation import Validation, borrowed_weights

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
_STATISTICS_CLIPS = 24


def train_unet(config: TrainConfig, *, progress: Progress | None = None) -> FitResult:
    """Train; ends with `output/model.safetensors`, or `output/lora.safetensors` for adapters."""
    from ..diffusion import spherical
    from .checkpointing import checkpointed

    runtime = start_runtime(config)
    source = training_source(config)
    model, encoder, decoder = _prepare(config, source, runtime)
    stream = SampleStream(config, source, encoder, runtime)

    def step_loss(step: int, generator: torch.Generator) -> Iterator[Values]:
        samples = stream.at(step)
        for part in _micro_batches(samples, config.micro_batch):
            values = batch_loss(model, [s for s, _ in part], config, [g for _, g in part], runtime=runtime)
            yield {key: value * (len(part) / len(samples)) for key, value in values.items()}

    def export(averaged: dict[str, Tensor]) -> None:
        _export(config, model, averaged, decoder)

    validate = Validation(config, model).run if config.validation.every and runtime.is_main else None
    if config.validation.every and not runtime.is_main:
        validate = lambda step, averaged: {}  # noqa: E731 - the first process samples, the others wait
    with ExitStack() as stack:
        if config.unet.gradient_checkpointing:
            stack.enter_context(checkpointed(model.unet, around=spherical))
        result = fit(
            config,
            model,
            step_loss,
            runtime=runtime,
            export=export,
            validate=validate,
            whole=False,
            progress=progress,
        )
    if runtime.is_main:
        export(result.averaged)
    runtime.wait()
    return result


def _prepare(
    config: TrainConfig, source: ClipSource, runtime: Runtime
) -> tuple[PantheonModel, Encoder, dict[str, Tensor] | None]:
    """Model on its device, encoder, and the decoder of the finished model if it is another one."""
    settings, decoder = config.unet, None
    kept = Path(config.data.clips) if config.data.source == "clips" else None
    if settings.base:
        model = load_base(config)
        vae: Any = model.vae
        vae.to(runtime.device)
        encoder = Encoder(vae, hole_fill=settings.hole_fill, kept=kept, runtime=runtime)
    else:
        vae = load_vae(settings.vae, config.vae).to(runtime.device)
        encoder = Encoder(vae, hole_fill=settings.hole_fill, kept=kept, runtime=runtime)
        model = build_training_model(config, vae, _scaling(config, source, encoder, runtime))
        decoder = decoder_of(config, vae).state_dict() if settings.decoder else None
    if settings.start:
        start_from(model, settings.start)
    select_trained(model, config)
    return model.to(runtime.device), encoder, decoder


def batch_loss(
    model: PantheonModel,
    samples: Sequence[Sample],
    config: TrainConfig,
    generators: Sequence[torch.Generator] | torch.Generator,
    *,
    runtime: Runtime | None = None,
) -> Values:
    """EDM loss of samples of one shape, the mean of every sample's own, methods §2.6.

    Args:
        model: on the device of `runtime`.
        samples: of equal frames and size.
        config: noise levels, dropout, weights.
        generators: one per sample, or one that they draw from in turn.
        runtime: device and precision; None for the CPU and the configured precision.
    """
    from ..diffusion import encode_tokens, spherical

    settings = config.unet
    if runtime is None:
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(config.precision)
        runtime = Runtime(autocast_dtype=dtype)
    each = [generators] * len(samples) if isinstance(generators, torch.Generator) else generators
    drawn = [_draw_noise(model, s, config, g) for s, g in zip(samples, each, strict=True)]
    scaffold, noise, sigma, augment, keep = (
        torch.stack(part).to(runtime.device) for part in zip(*drawn, strict=True)
    )
    latents = torch.stack([s.truth for s in samples]).to(runtime.device) * model.scaling_factor
    holes = torch.stack([s.holes for s in samples]).to(runtime.device)
    model_input, time, noisy = edm_input(latents, noise, sigma)
    told = torch.full_like(augment, settings.fps - 1), torch.full_like(augment, settings.motion_bucket)
    with spherical(model.unet), runtime.autocast():
        tokens = _pad_tokens([encode_tokens(model, s.anchors, roles=s.roles) for s in samples])
        tokens = tokens * keep.view(-1, 1, 1).to(tokens)
        output = model.unet(
            torch.cat([model_input, scaffold], 2).to(model.dtype),
            time.to(model.dtype),
            tokens.to(model.dtype),
            added_time_ids=torch.stack([*told, augment], 1).to(model.dtype),
            return_dict=False,
        )[0].float()
    weight = 1 + (settings.hole_weight - 1) * (holes > 0.05).float()
    parts = [
        edm_loss(*(x[i : i + 1] for x in (output, noisy, latents, sigma)), weight=weight[i : i + 1])
        for i in range(len(samples))
    ]
    watched = _watch(output.detach(), noisy, latents, sigma, holes)
    return {"loss": torch.stack(parts).mean(), **watched}


def _draw_noise(
    model: PantheonModel, sample: Sample, config: TrainConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Scaffold as the UNet sees it (augmented, dropped), noise, sigma, augmentation, 1 to keep tokens."""
    settings = config.unet
    sigma = sample_sigma(1, generator, mean=settings.p_mean, std=settings.p_std)[0]
    augment = sample_sigma(1, generator, mean=settings.noise_aug[0], std=settings.noise_aug[1])[0]
    keep_tokens, keep_latents = conditioning_keep(1, generator, settings.drop)
    # Augmentation noise in latent space: relative to the latents' deviation, since they are kept encoded.
    extra = torch.randn(sample.scaffold.shape, generator=generator) * (augment / model.scaling_factor)
    if settings.conditioning == "first_frame":
        # Stock conditioning repeats one noisy latent.
        extra = extra[:1]
    scaffold = (sample.scaffold + extra) * keep_latents
    noise = torch.randn(sample.truth.shape, generator=generator)
    return scaffold, noise, sigma, augment, keep_tokens[0]


def export_model(
    model: PantheonModel,
    averaged: dict[str, Tensor],
    path: Path,
    *,
    decoder: dict[str, Tensor] | None = None,
) -> Path:
    """Write the averaged weights, with another decoder of the VAE if given, as one half-precision file."""
    from ..diffusion import save_model

    other = {f"vae.decoder.{key}": value for key, value in (decoder or {}).items()}
    with borrowed_weights(model, {**averaged, **other}):
        return save_model(model, path, dtype=torch.float16)


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


def _export(
    config: TrainConfig,
    model: PantheonModel,
    averaged: dict[str, Tensor],
    decoder: dict[str, Tensor] | None,
) -> None:
    folder = Path(config.output)
    if config.unet.train != "lora":
        export_model(model, averaged, folder / "model.safetensors", decoder=decoder)
        return
    from ..diffusion import save_model
    from .lora import merged_copy, read_lora, save_lora

    path = save_lora(model, folder / "lora.safetensors", config.lora, averaged=averaged)
    if config.lora.merge:
        save_model(merged_copy(model, read_lora(path)), folder / "model.safetensors", dtype=torch.float16)


def _micro_batches(
    samples: list[tuple[Sample, torch.Generator]], most: int
) -> Iterator[list[tuple[Sample, torch.Generator]]]:
    """Neighbours of equal shape, at most so many together (0: no limit)."""
    part: list[tuple[Sample, torch.Generator]] = []
    for item in samples:
        other = part and part[0][0].truth.shape != item[0].truth.shape
        if other or (most and len(part) == most):
            yield part
            part = []
        part.append(item)
    if part:
        yield part


def _watch(output: Tensor, noisy: Tensor, latents: Tensor, sigma: Tensor, holes: Tensor) -> Values:
    """Squared errors of the denoised latents in holes and elsewhere, at high noise, as sums with weights."""
    s = sigma.view(-1, 1, 1, 1, 1)
    square = (noisy / (s**2 + 1) - s / (s**2 + 1).sqrt() * output - latents) ** 2
    hole = ((holes > 0.5) & (s > 1)).float().expand_as(square)
    rest = ((holes == 0) & (s > 1)).float().expand_as(square)
    return {
        "hole_mse": (square * hole).sum(),
        "hole_mse/weight": hole.sum(),
        "covered_mse": (square * rest).sum(),
        "covered_mse/weight": rest.sum(),
    }


def _pad_tokens(tokens: list[Tensor]) -> Tensor:
    """Stack token sets of one and two anchors: repeating a set leaves attention unchanged."""
    longest = max(t.shape[1] for t in tokens)
    if any(longest % t.shape[1] for t in tokens):
        raise InputError(f"tokens: cannot batch sets of {[t.shape[1] for t in tokens]}")
    return torch.cat([t.repeat(1, longest // t.shape[1], 1) for t in tokens])


def _scaling(config: TrainConfig, source: ClipSource, encoder: Encoder, runtime: Runtime) -> float:
    """1 / deviation of the latents, measured once and kept with the run so that a resume uses the same."""
    path = Path(config.output) / "latents.json"
    earlier = Path(config.unet.start).parent / "latents.json"
    if runtime.is_main and not path.is_file():
        if config.unet.start and earlier.is_file():
            # The weights that the run starts from were trained with this scale.
            text = earlier.read_text(encoding="utf-8")
        else:
            text = json.dumps(_measure(config, source, encoder))
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    runtime.wait()
    return 1.0 / float(json.loads(path.read_text(encoding="utf-8"))["std"])


def _measure(config: TrainConfig, source: ClipSource, encoder: Encoder) -> dict[str, float]:
    low, height = config.unet.frames[0], source.heights[0]
    orders = ((n, slot_generator(config.seed, 0, n), low, height) for n in range(_STATISTICS_CLIPS))
    clips = ordered_clips(source, orders, workers=config.data.workers)
    mean, std = latent_statistics(encoder.encode(clip) for clip in clips)
    _log.info("latents: mean %.3f, deviation %.3f", mean, std)
    return {"mean": mean, "std": std}
