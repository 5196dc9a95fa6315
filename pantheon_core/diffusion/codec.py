"""Between frames and latents, in chunks of a fixed length so that the result never depends on the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..check import check_shape
from ..errors import InputError
from .model import PantheonModel

__all__ = ["decode_latents", "decode_windows", "encode_video"]


def encode_video(model: PantheonModel, frames: Tensor, *, chunk: int = 8) -> Tensor:
    """Latents of frames: the mean of the autoencoder's posterior, not scaled.

    Frames are independent of one another in the encoder. Enter `spherical` for panoramas.

    Args:
        model: the model.
        frames: (T, 3, H, W) rgb 0..1, H and W multiples of the model's downscale.
        chunk: frames encoded at once.

    Returns:
        (T, C, h, w) float32 on the model's device.
    """
    sizes = check_shape("frames", frames, "T 3 H W")
    down = model.downscale
    if sizes["H"] % down or sizes["W"] % down:
        raise InputError(
            f"frames: expected height and width to be multiples of {down}, got {sizes['H']} x {sizes['W']}"
        )
    _check_chunk(chunk, 0)
    vae: Any = model.vae
    latents = []
    for part in frames.split(chunk):
        pixels = part.to(device=vae.device, dtype=torch.float32) * 2.0 - 1.0
        latents.append(vae.encode(pixels.to(vae.dtype)).latent_dist.mode().float())
    return torch.cat(latents)


def decode_windows(frames: int, *, chunk: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open ranges of frames decoded together; each overlaps the one before by `overlap` or more.

    All have the length `chunk` (or `frames`, if less): the last one is moved back to end with the video.
    """
    _check_chunk(chunk, overlap)
    if frames <= chunk:
        return [(0, frames)]
    starts = [*range(0, frames - chunk, chunk - overlap), frames - chunk]
    return [(start, start + chunk) for start in starts]


def decode_latents(
    model: PantheonModel,
    latents: Tensor,
    *,
    chunk: int = 8,
    overlap: int = 2,
    on_window: Callable[[], None] | None = None,
) -> Tensor:
    """Frames of latents, windows of a fixed length cross-faded where they overlap.

    The decoder looks along time, so the windows' length is part of the result; it is a setting, never a
    matter of the memory that happens to be free. Enter `spherical` for panoramas.

    Args:
        model: the model.
        latents: (T, C, h, w) video latents, as sampled (scaled by `model.scaling_factor`).
        chunk: frames decoded at once.
        overlap: frames that neighbouring windows share at least, less than `chunk`.
        on_window: called after each window; may raise to stop.

    Returns:
        (T, 3, H, W) float32 rgb 0..1 on the CPU.
    """
    sizes = check_shape("latents", latents, "T C h w", C=model.latent_channels)
    vae: Any = model.vae
    dtype = decoder_dtype(model)
    out = torch.zeros(sizes["T"], 3, sizes["h"] * model.downscale, sizes["w"] * model.downscale)
    done = 0
    for start, stop in decode_windows(sizes["T"], chunk=chunk, overlap=overlap):
        part = latents[start:stop].to(device=vae.device, dtype=torch.float32) / model.scaling_factor
        frames = vae.decode(part.to(dtype), num_frames=stop - start).sample.float().cpu()
        shared = done - start
        if shared > 0:
            ramp = (torch.arange(1, shared + 1) / (shared + 1)).view(-1, 1, 1, 1)
            out[start:done].lerp_(frames[:shared], ramp)
        out[max(start, done) : stop] = frames[max(shared, 0) :]
        done = stop
        if on_window is not None:
            on_window()
    return out.mul_(0.5).add_(0.5).clamp_(0.0, 1.0)


def decoder_dtype(model: PantheonModel) -> torch.dtype:
    """Dtype of the autoencoder's decoder, which may differ from its encoder's."""
    return next(model.vae.decoder.parameters()).dtype


def _check_chunk(chunk: int, overlap: int) -> None:
    if chunk < 1 or not 0 <= overlap < chunk:
        raise InputError(
            f"chunk, overlap: expected chunk >= 1 and 0 <= overlap < chunk, got {chunk} and {overlap}"
        )
