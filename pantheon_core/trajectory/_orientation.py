"""Orientations along a path."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import slerp, squad, squad_control
from ._keyframes import KeyframePath


def orientations_at(path: KeyframePath, index: Tensor) -> Tensor:
    """Unit quaternions wxyz (n, 4) at fractional key indices (n,), the short way round between keys."""
    keys = torch.tensor([key.quaternion_wxyz for key in path.keyframes], dtype=torch.float64)
    if len(keys) == 1:
        return keys.expand(len(index), 4)
    segment = index.floor().long().clamp(0, len(keys) - 2)
    u = index - segment
    if path.orientation == "slerp":
        return slerp(keys[segment], keys[segment + 1], u)
    controls = _controls(keys, path.loop)
    return squad(keys[segment], keys[segment + 1], controls[segment], controls[segment + 1], u)


def _controls(keys: Tensor, loop: bool) -> Tensor:
    """Squad's inner quaternions; at an open end the key itself, so that a steady turn is steady there too."""
    controls = keys.clone()
    if len(keys) > 2:
        controls[1:-1] = squad_control(keys[:-2], keys[1:-1], keys[2:])
    if loop:
        controls[[0, -1]] = squad_control(keys[-2], keys[0], keys[1])
    return controls
