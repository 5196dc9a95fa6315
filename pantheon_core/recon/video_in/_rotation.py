"""The rotation that explains most of a motion, and what it leaves: parallax."""

from __future__ import annotations

import torch
from torch import Tensor

from ...geometry import nearest_rotation

__all__ = ["angles", "fit_rotation"]

_ROUNDS = 8


def angles(first: Tensor, second: Tensor) -> Tensor:
    """(N,) radians between unit vectors (N, 3); exact for small ones."""
    return 2 * torch.atan2((first - second).norm(dim=-1), (first + second).norm(dim=-1))


def fit_rotation(source: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The rotation (3, 3) float64 that brings most directions `source` to `target`: target = R source.

    Robust: directions that move otherwise (near things, moving things) lose their weight (Cauchy's loss, the
    scale from the median of what is left over).

    Args:
        source: (N, 3) unit vectors.
        target: (N, 3) unit vectors.
        weight: (N,) from 0.

    Source: W. Kabsch (1976) for the least-squares rotation.
    """
    source, target, weight = source.double(), target.double(), weight.double()
    rotation = torch.eye(3, dtype=torch.float64)
    robust = weight
    for _ in range(_ROUNDS):
        rotation = nearest_rotation(torch.einsum("n,ni,nj->ij", robust, target, source))
        off = angles(source @ rotation.T, target)
        used = off[weight > 0]
        scale = (used.median() if len(used) else off.new_zeros(())).clamp(min=1e-4)
        robust = weight / (1 + (off / scale).square())
    return rotation
