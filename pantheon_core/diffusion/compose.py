"""Decoded frames put back on the scaffold that they were painted over."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import InputError
from ..render import pull_push

__all__ = ["compose_with_scaffold"]


def compose_with_scaffold(
    decoded: Tensor, scaffold: Tensor, coverage: Tensor, strength: float = 1.0, *, feather: int = 2
) -> Tensor:
    """Put covered pixels back to the scaffold's, and shift painted ones so that no border shows.

    The difference scaffold - decoded, known where the scaffold covers, is extended smoothly over the
    holes (a membrane) and added. Where the model's colours are off by a constant or drift slowly, the holes
    are corrected with their surroundings.

    Args:
        decoded: (T, 3, H, W) rgb 0..1.
        scaffold: (T, 3, H, W) rgb 0..1.
        coverage: (T, H, W) bool.
        strength: 0 returns `decoded` as it is, 1 the scaffold wherever it covers (from `feather` pixels
            inside its border on).
        feather: width in pixels over which the scaffold's fine detail fades in from the border; 0 for a
            hard cut.

    Returns:
        (T, 3, H, W) float32 rgb 0..1.

    Raises:
        ShapeError: the three do not fit.
        InputError: strength or feather out of range.
    """
    sizes = check_shape("decoded", decoded, "T 3 H W")
    check_erp("decoded", decoded)
    check_shape("scaffold", scaffold, "T 3 H W", **sizes)
    check_shape("coverage", coverage, "T H W", **sizes)
    if not 0.0 <= strength <= 1.0 or feather < 0:
        raise InputError(
            f"strength, feather: expected 0 <= strength <= 1 and feather >= 0, got {strength} and {feather}"
        )
    if strength == 0.0:
        return decoded.float()
    frames = [
        _compose_frame(d.float(), s.to(d.device).float(), c.to(d.device), strength, feather)
        for d, s, c in zip(decoded, scaffold, coverage, strict=True)
    ]
    return torch.stack(frames)


def _compose_frame(
    decoded: Tensor, scaffold: Tensor, covered: Tensor, strength: float, feather: int
) -> Tensor:
    if not bool(covered.any()):
        return decoded
    shift = scaffold - decoded
    if not bool(covered.all()):
        shift = torch.where(covered, shift, pull_push(torch.where(covered, shift, 0.0), covered))
        if feather:
            # Near a border only the smooth part of the difference is taken: painted and kept detail change
            # over gradually instead of at a line.
            share = _box(covered[None].float(), feather)
            sharp = (2.0 * share - 1.0).clamp_min(0.0)
            shift = sharp * shift + (1.0 - sharp) * _box(shift, feather)
    return (decoded + strength * shift).clamp(0.0, 1.0)


def _box(image: Tensor, radius: int) -> Tensor:
    """Mean over (2 radius + 1)^2 pixels of (C, H, W), around the seam in width, mirrored in height."""
    rows = min(radius, image.shape[-2] - 1)
    padded = F.pad(image[None], (radius, radius, 0, 0), mode="circular")
    padded = F.pad(padded, (0, 0, rows, rows), mode="replicate")
    return F.avg_pool2d(padded, (2 * rows + 1, 2 * radius + 1), stride=1)[0]
