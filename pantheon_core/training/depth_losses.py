"""Losses of the distance network, weighted by solid angle, with horizontal differences that wrap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..recon._tiny_net import TinyOutput, latitude_prior

__all__ = ["DepthTarget", "depth_loss", "latitude_weight"]

CONFIDENCE_SCALE = 3.0
"""Confidence is trained towards exp(-3 |error of the log-distance|): 10 % error 0.74, 50 % 0.30."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthTarget:
    """Truth at the network's output resolution, all (B, h, w).

    Attributes:
        log_distance: log metres, anything where not valid.
        valid: bool, where the distance counts.
        sky: float 0 or 1.
        floor: float 0 or 1.
        labelled: bool, where sky and floor count.
        metric: (B,) float, weight of the absolute scale.
    """

    log_distance: Tensor
    valid: Tensor
    sky: Tensor
    floor: Tensor
    labelled: Tensor
    metric: Tensor


def latitude_weight(height: int) -> Tensor:
    """(height, 1) cos(latitude), the solid angle of a pixel, mean 1."""
    lat = (0.5 - (torch.arange(height) + 0.5) / height) * math.pi
    weight = torch.cos(lat)
    return (weight / weight.mean())[:, None]


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    return (value * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1.0)


def _gradients(error: Tensor, weight: Tensor, scales: int = 4) -> Tensor:
    """Mean absolute differences of the error at several scales, across valid pairs only."""
    total = error.new_zeros(error.shape[0])
    w = weight
    e = error * (w > 0)
    for scale in range(scales):
        if scale:
            both = F.avg_pool2d(torch.stack((e * w, w), 1), 2)
            w = both[:, 1]
            e = both[:, 0] / w.clamp(min=1e-6)
        pair = torch.minimum(w, w.roll(-1, 2))
        total = total + _mean((e - e.roll(-1, 2)).abs(), pair)
        pair = torch.minimum(w[:, 1:], w[:, :-1])
        total = total + _mean((e[:, 1:] - e[:, :-1]).abs(), pair)
    return total / scales


def depth_loss(output: TinyOutput, target: DepthTarget) -> tuple[Tensor, dict[str, float]]:
    """Total loss and its parts as numbers.

    Absolute log error, the same after taking out each image's own scale, gradient matching at four scales,
    cross entropies of sky, floor and confidence.
    """
    height = output.residual.shape[1]
    solid = latitude_weight(height).expand_as(output.residual)
    weight = solid * target.valid
    error = output.residual - (target.log_distance - latitude_prior(height))
    error = torch.where(target.valid, error, torch.zeros_like(error))
    centred = torch.where(target.valid, error - _mean(error, weight)[:, None, None], error)
    absolute = _mean(error.abs(), weight) * target.metric
    relative = _mean(centred.abs(), weight)
    gradient = _gradients(error, weight)
    counted = solid * target.labelled
    sky = _mean(F.binary_cross_entropy_with_logits(output.sky, target.sky, reduction="none"), counted)
    floor = _mean(F.binary_cross_entropy_with_logits(output.floor, target.floor, reduction="none"), counted)
    trust = torch.exp(-CONFIDENCE_SCALE * centred.detach().abs())
    confidence = F.binary_cross_entropy_with_logits(output.confidence, trust, reduction="none")
    confidence = _mean(confidence, weight)
    total = absolute + relative + 2.0 * gradient + 0.5 * sky + 0.3 * floor + 0.1 * confidence
    parts = {
        "abs": absolute,
        "rel": relative,
        "grad": gradient,
        "sky": sky,
        "floor": floor,
        "conf": confidence,
    }
    return total.mean(), {name: float(value.detach().mean()) for name, value in parts.items()}
