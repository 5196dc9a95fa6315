"""Start of the UNet: its denoised latents are the scaffold's, from which it learns what to change.

Copying the scaffold is most of the task and nothing that a small network should spend its training on. The
last residual block sees the first convolution's output through its skip connection, so a path of few weights
does it: scaffold latents as they came in, past the attention, to the output.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ..errors import InputError

__all__ = ["start_as_scaffold"]

_LATENTS = 4
_MEMBERS = 3
_LEVEL = 4.0


@torch.no_grad()
def start_as_scaffold(unet: Any, scaling_factor: float) -> None:
    """Set weights in place so that the network's output F is minus the scaled scaffold latent.

    With D = x/(s^2+1) - s/sqrt(s^2+1) F the denoised latent at high noise is then the scaffold's. Everything
    off this path keeps its random start, with no effect at first: the last convolution's other weights are 0.
    Levels pass the last normalisation in groups (c, k, -k), see `vae_start.py`.

    Args:
        unet: UNetSpatioTemporalConditionModel with 96 channels in its first block, 8 in and 4 out.
        scaling_factor: of the VAE; scaffold latents come unscaled.

    Raises:
        InputError: another number of channels.
    """
    channels = tuple(unet.config.block_out_channels)
    if channels[0] != 32 * _MEMBERS or unet.config.in_channels != 2 * _LATENTS:
        raise InputError(f"unet channels: expected 96 in the first block and 8 in, got {channels}")
    first = unet.conv_in
    first.weight[:, _LATENTS:] *= scaling_factor
    first.weight[:_LATENTS] = 0.0
    first.bias[:_LATENTS] = 0.0
    for latent in range(_LATENTS):
        first.weight[latent, _LATENTS + latent, 1, 1] = scaling_factor
    path = _MEMBERS * _LATENTS
    block = unet.up_blocks[-1]
    resnet, attention = block.resnets[-1], block.attentions[-1]
    for layer in (resnet.spatial_res_block.conv2, resnet.temporal_res_block.conv2, attention.proj_out):
        layer.weight[:path] = 0.0
        layer.bias[:path] = 0.0
    shortcut = resnet.spatial_res_block.conv_shortcut
    shortcut.weight[:path] = 0.0
    shortcut.bias[:path] = 0.0
    skip = shortcut.weight.shape[1] - channels[0]
    bias, out = unet.conv_norm_out.bias, unet.conv_out
    nn.init.zeros_(out.weight)
    low, high = 4.0, 6.0
    gain = math.sqrt((1.0 + 2 * _LEVEL**2) / _MEMBERS)
    silu = torch.nn.functional.silu
    for latent in range(_LATENTS):
        row = _MEMBERS * latent
        shortcut.weight[row, skip + latent] = 1.0
        shortcut.bias[row + 1], shortcut.bias[row + 2] = _LEVEL, -_LEVEL
        bias[row : row + _MEMBERS] = torch.tensor([low, high, high])
        out.weight[latent, row, 1, 1] = -0.95 * gain
        out.weight[latent, row + 1 : row + _MEMBERS, 1, 1] = 0.5 * gain
        out.bias[latent] = gain * (0.95 * silu(torch.tensor(low)) - silu(torch.tensor(high)))
