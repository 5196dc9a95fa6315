"""Shrinking by the mean over areas."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import ShapeError

__all__ = ["area_resize"]


def area_resize(image: Tensor, size: int, *, dim: int) -> Tensor:
    """Mean over the area of each output pixel along one axis, for `size` at most the axis's length."""
    source = image.shape[dim]
    ratio = source / size
    edges = torch.arange(size + 1, dtype=torch.float64) * ratio
    first = edges[:-1].floor()
    out: Tensor | None = None
    for tap in range(math.ceil(ratio) + 1):
        index = first + tap
        cover = torch.minimum(edges[1:], index + 1) - torch.maximum(edges[:-1], index)
        weight = (cover.clamp(min=0) / ratio).to(dtype=image.dtype, device=image.device)
        taken = image.index_select(dim, index.long().clamp(max=source - 1).to(image.device))
        part = taken * (weight[:, None] if dim == -2 else weight)
        out = part if out is None else out.add_(part) if not part.requires_grad else out + part
    if out is None:
        raise ShapeError(f"size: expected at least one tap, got {size} from {source}")
    return out
