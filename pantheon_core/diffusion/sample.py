"""Sampling of latents: denoiser, fusion and hold put together, driven by one of the samplers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError
from .codec import encode_video
from .conditioning import added_time_ids, encode_tokens
from .denoiser import Denoise, Denoiser, guidance_ramp, initial_scale
from .fusion import FusedDenoiser, FusionSettings, frame_weights
from .hold import HeldDenoiser, HoldSettings, covered_cells
from .model import PantheonModel
from .preview import fit_preview
from .reinjection import Reinjecting, reinjection_route
from .samplers import SAMPLERS
from .schedule import noise_levels
from .settings import SamplerSettings

__all__ = ["Conditions", "Held", "repeated_windows", "sample_latents"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Held:
    """What covered parts are held to (`hold.py`).

    Attributes:
        frames: (T, 3, H, W) rgb 0..1, the scaffold with its holes filled.
        coverage: (T, H, W) bool, where it shows the scene.
        settings: how strongly, and until when.
    """

    frames: Tensor
    coverage: Tensor
    settings: HoldSettings


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conditions:
    """What a model is given to see.

    Attributes:
        frames: (T, 3, H, W) scaffold frames, augmented; for first-frame models the first anchor frame and,
            with fusion, the last.
        anchors: panoramas (3, H, W) for the tokens.
        held: for models that do not see the scaffold; None for others.
        before: (L, C, h, w) scaled latents of a video before this one, see `VideoTask`.
    """

    frames: Tensor
    anchors: Sequence[Tensor]
    held: Held | None = None
    before: Tensor | None = None


def sample_latents(
    model: PantheonModel,
    conditions: Conditions,
    noise: Tensor,
    *,
    settings: SamplerSettings,
    fusion: FusionSettings | None = None,
    generator: torch.Generator | None = None,
    on_step: Callable[[int, Callable[[], Tensor]], None] | None = None,
) -> Tensor:
    """Sample video latents; `generate` without noise drawing, decoding and the spherical mode.

    Args:
        model: the model.
        conditions: what it sees.
        noise: (1, T, C, h, w) unit noise.
        settings: steps, guidance, time ids, chunks.
        fusion: see `generate`.
        generator: of re-injected noise and of stochastic samplers.
        on_step: `on_step(step, picture)`, where `picture()` makes the preview.

    Returns:
        (1, T, C, h, w) float32 scaled latents on the model's device.
    """
    geometry = encode_video(model, conditions.frames, chunk=settings.encode_chunk)
    denoise = _denoiser(model, geometry, conditions.anchors, noise.shape[1], settings, fusion)
    to_rgb = fit_preview(geometry, conditions.frames)
    if conditions.held is not None:
        denoise = _held_denoiser(model, denoise, conditions.held, settings)
    if conditions.before is not None:
        denoise = _continued(denoise, conditions.before.to(model.device), noise.shape[1])
    sigmas = noise_levels(settings.schedule, settings.steps, settings.sigma_min, settings.sigma_max)

    def callback(step: int, x0: Tensor) -> None:
        if on_step is not None:
            on_step(step, lambda: to_rgb(x0[0] / model.scaling_factor).cpu())

    return SAMPLERS[settings.sampler](
        denoise,
        noise.to(model.device) * initial_scale(float(sigmas[0])),
        sigmas,
        callback=callback,
        route=reinjection_route(settings.steps, repeated_windows(settings, fusion)),
        generator=generator,
    )


def repeated_windows(settings: SamplerSettings, fusion: FusionSettings | None) -> Reinjecting | None:
    """Whose windows of steps are repeated: the fusion's or the hold's.

    Raises:
        InputError: both ask for it.
    """
    asking = [s for s in (fusion, settings.hold) if s is not None and s.reinject_repeats > 0]
    if len(asking) > 1:
        raise InputError(
            "reinject_steps, reinject_repeats: expected them in one of fusion and hold, got them in both; "
            "set those of one to 0"
        )
    return asking[0] if asking else None


def _held_denoiser(
    model: PantheonModel, denoise: Denoise, held: Held, settings: SamplerSettings
) -> HeldDenoiser:
    target = encode_video(model, held.frames, chunk=settings.encode_chunk) * model.scaling_factor
    cells = covered_cells(held.coverage, model.downscale, held.settings.shrink)
    return HeldDenoiser(
        denoise=denoise, target=target[None], cells=cells.to(target.device), settings=held.settings
    )


def _continued(denoise: Denoise, before: Tensor, frames: int) -> Denoise:
    """Predictions that fade over from another video's latents: theirs at frame 0, own from frame L on."""
    length = len(before)
    target = before.new_zeros(1, frames, *before.shape[1:])
    target[0, :length] = before
    share = before.new_zeros(frames)
    share[:length] = 1.0 - torch.arange(length, device=before.device) / length
    share = share.view(1, -1, 1, 1, 1)
    return lambda x, sigma: torch.lerp(denoise(x, sigma), target, share)


def _denoiser(
    model: PantheonModel,
    geometry: Tensor,
    anchors: Sequence[Tensor],
    frames: int,
    settings: SamplerSettings,
    fusion: FusionSettings | None,
) -> Denoise:
    """The forward path's denoiser, or its blend with the reverse path's."""
    device = model.device
    time_ids = added_time_ids(settings.fps, settings.motion_bucket, settings.noise_aug, device=device)
    ends, shape = (settings.guidance_min, settings.guidance_max), settings.guidance_shape
    guidance = guidance_ramp(frames, *ends, shape=shape, device=device)

    def path(latents: Tensor, seen: Sequence[Tensor]) -> Denoiser:
        if model.config.conditioning == "first_frame":
            latents = latents[:1].expand(frames, -1, -1, -1)
        # A model of two anchors sees the path's start in the start role, whichever way the path runs.
        tokens = encode_tokens(model, seen[:1] if model.config.variant == "single" else seen)
        concat = latents[None].to(model.dtype)
        return Denoiser(
            unet=model.unet,
            concat=concat,
            tokens=tokens,
            time_ids=time_ids,
            guidance=guidance,
            together=settings.guidance_together,
        )

    forward = path(geometry, anchors)
    if fusion is None or fusion.weights == "forward":
        return forward
    backward = path(geometry.flip(0), list(reversed(anchors)))
    return FusedDenoiser(
        forward=forward,
        backward=backward,
        weights=frame_weights(fusion, frames),
        forward_below=fusion.forward_below,
    )
