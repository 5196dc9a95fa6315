"""Start of the VAE: nearly an autoencoder of 8x8 block means, from which it learns the rest.

From random weights the small network first finds one luminance value per block and stays there for thousands
of steps. Started as block means of red, green and blue, it has colour from the first step; its fourth latent
channel and all other feature channels are free for detail.

GroupNorm is what makes levels hard: it removes mean and deviation of every group, and with 32 groups a narrow
network has few channels in each. Two channels per group can carry no absolute level at all; three can, if two
of them are constants +k and -k, against which the third is measured.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import InputError

__all__ = ["start_as_block_means"]

_COLOURS = 3
_PAIRS = 2 * _COLOURS
_LEVEL = 3.0
_LATENT_GAIN = 2.0
_LOG_VARIANCE = -5.0


@torch.no_grad()
def start_as_block_means(vae: Any) -> None:
    """Set weights in place. Residual branches and attention start at zero.

    Args:
        vae: AutoencoderKLTemporalDecoder with 96 channels in its first block and 128 in its last.

    Raises:
        InputError: other channel counts, whose groups do not have three and four members.
    """
    from diffusers.models.attention_processor import Attention
    from diffusers.models.resnet import ResnetBlock2D, TemporalResnetBlock

    channels = tuple(vae.config.block_out_channels)
    if channels[0] != 96 or channels[-1] != 128 or channels[-2] == channels[-1]:
        raise InputError(f"vae.channels: expected 96 first, then e.g. 96, and 128 last only, got {channels}")
    for block in vae.modules():
        if isinstance(block, (ResnetBlock2D, TemporalResnetBlock)):
            _silence(block.conv2)
            if block.conv_shortcut is not None:
                _move(block.conv_shortcut, {c: (c, 1.0) for c in range(_PAIRS)})
        elif isinstance(block, Attention):
            _silence(cast(nn.ModuleList, block.to_out)[0])
    _start_encoder(vae.encoder)
    _start_decoder(vae.decoder)
    vae.quant_conv.weight.copy_(torch.eye(len(vae.quant_conv.weight))[:, :, None, None])
    nn.init.zeros_(vae.quant_conv.bias)


def _silence(layer: Any) -> None:
    """Make a layer give zeros."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def _start_encoder(encoder: Any) -> None:
    """Colours as pairs +c, -c; at the end groups (c, -c, k, -k), where SiLU(x) - SiLU(-x) = x gives c."""
    _move(encoder.conv_in, {2 * c + s: (c, _centre(1.0 - 2.0 * s)) for c in range(_COLOURS) for s in (0, 1)})
    mean = torch.zeros(3, 3)
    mean[:2, :2] = 0.25
    for block in encoder.down_blocks:
        for layer in block.downsamplers or ():
            _move(layer.conv, {c: (c, mean) for c in range(_PAIRS)})
    last = encoder.down_blocks[-1].resnets[0].conv_shortcut
    _move(last, {4 * c + s: (2 * c + s, 1.0) for c in range(_COLOURS) for s in (0, 1)})
    _levels(last, 4, constant=range(_COLOURS))
    out, gain = encoder.conv_out, _LATENT_GAIN * _LEVEL / math.sqrt(2)
    _move(out, {c: (4 * c, _centre(gain)) for c in range(_COLOURS)})
    for c in range(_COLOURS):
        out.weight[c, 4 * c + 1, 1, 1] = -gain
    latents = len(out.weight) // 2
    out.weight[latents:] = 0.0
    out.bias[latents:] = _LOG_VARIANCE


def _start_decoder(decoder: Any) -> None:
    """Pairs up to the last upsampling, then groups (c, k, -k) with biases where SiLU is nearly linear."""
    gain = 1.0 / _LATENT_GAIN
    _move(
        decoder.conv_in,
        {2 * c + s: (c, _centre(gain - 2 * gain * s)) for c in range(_COLOURS) for s in (0, 1)},
    )
    line = torch.tensor([0.25, 0.5, 0.25])
    for block in decoder.up_blocks:
        for layer in block.upsamplers or ():
            _move(layer.conv, {c: (c, line[:, None] * line) for c in range(_PAIRS)})
    last = decoder.up_blocks[-2].upsamplers[0].conv
    _move(last, {3 * c: (2 * c, line[:, None] * line) for c in range(_COLOURS)})
    _levels(last, 3, constant=range(_COLOURS))
    high, low = 6.0, 4.0
    bias = decoder.conv_norm_out.bias
    for c in range(_COLOURS):
        bias[3 * c : 3 * c + 3] = torch.tensor([low, high, high])
    silu = torch.nn.functional.silu
    scale = math.sqrt((0.4 + 2 * _LEVEL**2) / 3)
    _move(decoder.conv_out, {c: (3 * c, _centre(0.95 * scale)) for c in range(_COLOURS)})
    for c in range(_COLOURS):
        decoder.conv_out.weight[c, 3 * c + 1 : 3 * c + 3, 1, 1] = -0.5 * scale
        decoder.conv_out.bias[c] = scale * (silu(torch.tensor(high)) - 0.95 * silu(torch.tensor(low)))
    time = decoder.time_conv_out
    nn.init.zeros_(time.weight)
    nn.init.zeros_(time.bias)
    time.weight[:, :, time.weight.shape[2] // 2, 0, 0] = torch.eye(_COLOURS)


def _centre(value: float) -> Tensor:
    kernel = torch.zeros(3, 3)
    kernel[1, 1] = value
    return kernel


def _move(convolution: Any, rows: dict[int, tuple[int, Tensor | float]]) -> None:
    """Each given output channel becomes one input channel times a kernel; other rows stay random."""
    nn.init.zeros_(convolution.bias)
    for out, (source, kernel) in rows.items():
        convolution.weight[out] = 0.0
        convolution.weight[out, source] = kernel


def _levels(convolution: Any, members: int, *, constant: range) -> None:
    """The last two channels of every group get biases +k and -k; in the groups `constant` nothing else."""
    groups = len(convolution.bias) // members
    for group in range(groups):
        first = members * (group + 1) - 2
        convolution.bias[first] = _LEVEL
        convolution.bias[first + 1] = -_LEVEL
        if group in constant:
            convolution.weight[first : first + 2] = 0.0
