"""Augmentation of panoramas for the distance network: what cameras, lenses, codecs and hours of day do."""

from __future__ import annotations

import io

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["augment_colour", "roll_and_flip"]


def roll_and_flip(tensors: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    """The same random yaw and mirror for several (..., H, W) tensors whose widths divide one another."""
    finest = min(t.shape[-1] for t in tensors)
    turn = int(torch.randint(finest, (1,), generator=generator))
    mirror = bool(torch.rand(1, generator=generator) < 0.5)
    out = []
    for tensor in tensors:
        tensor = tensor.roll(turn * (tensor.shape[-1] // finest), -1)
        out.append(tensor.flip(-1) if mirror else tensor)
    return out


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator)


def _jpeg(rgb: Tensor, quality: int) -> Tensor:
    from PIL import Image

    array = (rgb.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        back = np.asarray(image)
    return torch.from_numpy(back.copy()).permute(2, 0, 1).float() / 255


def _blur(rgb: Tensor, sigma: float) -> Tensor:
    radius = max(1, round(2 * sigma))
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    wide = torch.cat((rgb[..., -radius:], rgb, rgb[..., :radius]), -1)[None]
    rows = F.conv2d(wide, kernel[:, :, None, :], groups=3)
    tall = F.pad(rows, (0, 0, radius, radius), mode="replicate")
    return F.conv2d(tall, kernel[..., None], groups=3)[0]


def augment_colour(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """Random exposure, gamma, white balance, saturation, haze of noise, blur and JPEG of one (3, H, W)."""
    draw = torch.rand(8, generator=generator)
    rgb = rgb.clamp(1e-4, 1.0)
    rgb = rgb ** float(torch.exp(_uniform(generator, -0.5, 0.6, 1)))
    gain = torch.exp(_uniform(generator, -0.35, 0.25, 1)) * torch.exp(_uniform(generator, -0.15, 0.15, 3))
    rgb = rgb * gain[:, None, None]
    grey = rgb.mean(0, keepdim=True)
    rgb = grey + (rgb - grey) * float(_uniform(generator, 0.2, 1.4, 1))
    if draw[0] < 0.5:
        middle = float(_uniform(generator, 0.3, 0.6, 1))
        rgb = middle + (rgb - middle) * float(_uniform(generator, 0.6, 1.4, 1))
    if draw[1] < 0.15:  # night: dark and noisy
        rgb = rgb.clamp(0, 1) * float(_uniform(generator, 0.1, 0.4, 1))
    if draw[2] < 0.35:
        rgb = _blur(rgb, float(_uniform(generator, 0.4, 1.6, 1)))
    if draw[3] < 0.5:
        size = 1 if draw[4] < 0.6 else 2
        noise = torch.randn(3, rgb.shape[1] // size, rgb.shape[2] // size, generator=generator)
        noise = noise if size == 1 else noise.repeat_interleave(2, 1).repeat_interleave(2, 2)
        rgb = rgb + noise * float(_uniform(generator, 0.005, 0.06, 1))
    rgb = rgb.clamp(0, 1)
    if draw[5] < 0.4:
        rgb = _jpeg(rgb, int(_uniform(generator, 25, 90, 1)))
    return rgb
