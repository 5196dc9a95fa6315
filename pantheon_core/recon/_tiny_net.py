"""The bundled distance network: FastDepth's encoder and decoder made spherical, with new heads.

The encoder and decoder have the layout of FastDepth's pruned MobileNet-NNConv5 (batch normalisation folded),
so that its published weights are the starting point. New are: spherical padding, a latitude channel, a row
and a global context at the bottleneck (in an ERP image a row is a latitude, and a room has one ceiling), and
the heads. The distance head answers relative to a fixed latitude prior, a flat floor below the horizon: where
the network has nothing to say the ground is flat instead of wavy.

Source: Wofk, Ma, Yang, Karaman, Sze, "FastDepth: Fast Monocular Depth Estimation on Embedded Systems",
ICRA 2019 (MIT licence).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["CAMERA_HEIGHT", "TinyDepthNet", "TinyOutput", "latitude_prior", "sphere_pad"]

CAMERA_HEIGHT = 1.6
"""Height of the camera above the floor that the prior assumes, in metres."""

STRIDE = 32
"""Yaw rolls by multiples of this many input pixels commute with the network."""

_ENCODER = (
    # (channels in, channels out, stride of the depthwise convolution)
    (16, 56, 1),
    (56, 88, 2),
    (88, 120, 1),
    (120, 144, 2),
    (144, 256, 1),
    (256, 408, 2),
    (408, 376, 1),
    (376, 272, 1),
    (272, 288, 1),
    (288, 296, 1),
    (296, 328, 1),
    (328, 480, 2),
    (480, 512, 1),
)
_DECODER = ((512, 200), (200, 256), (256, 120), (120, 56), (56, 16))
_SKIP_FROM = {0: 4, 2: 3, 4: 2}  # encoder block -> decoder stage whose input it is added to


def sphere_pad(x: Tensor, size: int) -> Tensor:
    """Pad (..., H, W) by `size`: rows continue over the poles (rolled by W/2), columns wrap around."""
    if size == 0:
        return x
    half = x.shape[-1] // 2
    top = x[..., :size, :].flip(-2).roll(half, -1)
    bottom = x[..., -size:, :].flip(-2).roll(half, -1)
    x = torch.cat((top, x, bottom), dim=-2)
    return torch.cat((x[..., -size:], x, x[..., :size]), dim=-1)


def latitude_prior(height: int, *, device: torch.device | None = None) -> Tensor:
    """Log-distance (height, 1) in log metres of a flat floor below and a vague shell above the horizon."""
    rows = torch.arange(height, device=device, dtype=torch.float32)
    sin = torch.sin((0.5 - (rows + 0.5) / height) * math.pi)
    floor = CAMERA_HEIGHT / (-sin).clamp(min=CAMERA_HEIGHT / 12.0)
    above = 4.0 / sin.clamp(min=4.0 / 12.0)
    return torch.where(sin < 0, floor, above).log()[:, None]


class _Conv(nn.Conv2d):
    """A convolution that pads on the sphere, or with zeros (the perspective original)."""

    def __init__(self, cin: int, cout: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(cin, cout, kernel, stride=stride, groups=groups)
        self.pad = kernel // 2
        self.spherical = True

    def forward(self, input: Tensor) -> Tensor:
        x = sphere_pad(input, self.pad) if self.spherical else F.pad(input, (self.pad,) * 4)
        return self._conv_forward(x, self.weight, self.bias)


class _Separable(nn.Module):
    """Depthwise then pointwise convolution, each with its activation."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int, cap: float | None) -> None:
        super().__init__()
        self.depthwise = _Conv(cin, cin, kernel, stride=stride, groups=cin)
        self.pointwise = _Conv(cin, cout, 1)
        self.act = nn.ReLU6() if cap else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.pointwise(self.act(self.depthwise(x))))


class _Context(nn.Module):
    """Adds what the whole panorama and the whole row say; starts as nothing."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(2 * channels, hidden)
        self.expand = nn.Linear(hidden, channels)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor) -> Tensor:
        row = x.mean(3)  # (B, C, h)
        both = torch.cat((row, row.mean(2, keepdim=True).expand_as(row)), dim=1).transpose(1, 2)
        add = self.expand(F.relu(self.squeeze(both))).transpose(1, 2)
        return x + add[..., None].to(x.dtype)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TinyOutput:
    """What the network says, at half the input's resolution.

    Attributes:
        residual: (B, h, w) log-distance minus `latitude_prior`, log metres.
        confidence: (B, h, w) logit.
        sky: (B, h, w) logit.
        floor: (B, h, w) logit of "this is the flat floor the camera stands on".
    """

    residual: Tensor
    confidence: Tensor
    sky: Tensor
    floor: Tensor


class TinyDepthNet(nn.Module):
    """ERP rgb (B, 3, H, W) 0..1, H a multiple of 32 -> `TinyOutput` at (H/2, W/2)."""

    def __init__(self, *, context: int = 96, head: int = 24) -> None:
        super().__init__()
        self.input_height = 256  # of the panoramas it was trained on, pixels
        self.stem = _Conv(4, 16, 3, stride=2)
        self.encoder = nn.ModuleList(_Separable(i, o, 3, s, 6.0) for i, o, s in _ENCODER)
        self.context = _Context(512, context)
        # FastDepth's last stage is dear at this resolution; a pointwise and a full 3x3 convolution replace it
        self.decoder = nn.ModuleList(_Separable(i, o, 5, 1, None) for i, o in _DECODER[:-1])
        self.narrow = _Conv(_DECODER[-1][0], head, 1)
        self.mix = _Conv(head + 1, head, 3)
        self.head = _Conv(head, 4, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, rgb: Tensor) -> TinyOutput:
        height = rgb.shape[-2]
        rows = torch.arange(height, device=rgb.device, dtype=rgb.dtype)
        lat = (torch.sin((0.5 - (rows + 0.5) / height) * math.pi)[:, None]).expand(rgb.shape[-2:])
        lat = lat.expand(rgb.shape[0], 1, -1, -1)
        x = F.relu6(self.stem(torch.cat((rgb, lat), dim=1)))
        skips: dict[int, Tensor] = {}
        for i, block in enumerate(self.encoder):
            x = block(x)
            if i in _SKIP_FROM:
                skips[_SKIP_FROM[i]] = x
        x = self.context(x)
        for i, block in enumerate(self.decoder):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            if i in skips:
                x = x + skips[i]
            x = block(x)
        x = F.interpolate(x, scale_factor=2, mode="nearest") + skips[4]
        x = torch.cat((F.relu(self.narrow(x)), F.avg_pool2d(lat, 2).to(x.dtype)), dim=1)
        out = self.head(F.relu(self.mix(x))).float()
        residual, confidence, sky, floor = out.unbind(1)
        return TinyOutput(residual=residual, confidence=confidence, sky=sky, floor=floor)
