"""Losses of the distance network, weighted by solid angle, with horizontal differences that wrap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..recon._tiny_net import TinyOutput, latitude_prior, sphere_pad

__all__ = ["DepthTarget", "depth_loss", "latitude_weight"]

CONFIDENCE_SCALE = 3.0
"""Confidence is trained towards exp(-3 |error of the log-distance|): 10 % error 0.74, 50 % 0.30."""


EDGE_WEIGHT = 4.0
"""Pixels within two of a depth break count 1 + this: few as they are, they decide what comes off its
background and what stays a relief."""

_BREAK = 0.15


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


def _near_breaks(target: DepthTarget) -> Tensor:
    """(B, h, w) 1.0 within two pixels of a step of the true distance, else 0.

    A plane's inverse distance is nearly linear over neighbouring pixels, so a bend of it is a step, however
    obliquely the plane is seen. Where the distance does not count, it is taken as infinite.
    """
    inverse = torch.where(target.valid, (-target.log_distance).exp(), 0.0)[:, None]
    padded = sphere_pad(inverse, 1)
    across = (padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:] - 2 * inverse).abs()
    along = (padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] - 2 * inverse).abs()
    bends = (torch.maximum(across, along) > _BREAK * inverse.clamp(min=1e-3)).float()
    return F.max_pool2d(sphere_pad(bends, 1), 3, stride=1)[:, 0]


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

    Absolute log error, the same after taking out each image's own scale, gradient matching at four scales
    (all three with more weight beside depth breaks), cross entropies of sky, floor and confidence.
    """
    height = output.residual.shape[1]
    solid = latitude_weight(height).expand_as(output.residual)
    weight = solid * target.valid
    edged = weight * (1 + EDGE_WEIGHT * _near_breaks(target))
    error = output.residual - (target.log_distance - latitude_prior(height))
    error = torch.where(target.valid, error, torch.zeros_like(error))
    centred = torch.where(target.valid, error - _mean(error, weight)[:, None, None], error)
    absolute = _mean(error.abs(), edged) * target.metric
    relative = _mean(centred.abs(), edged)
    gradient = _gradients(error, edged)
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
