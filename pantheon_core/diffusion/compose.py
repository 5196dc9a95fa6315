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
    decoded: Tensor,
    scaffold: Tensor,
    coverage: Tensor,
    strength: float = 1.0,
    *,
    distance: Tensor | None = None,
    feather: int = 2,
    reach: int = 0,
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
        distance: (T, H, W) of the scaffold, 0 on the sky: painted parts are then matched to the farther side
            of their hole, which they continue (`render.pull_push`). None: to all sides alike.
        feather: width in pixels over which the scaffold's fine detail fades in from the border; 0 for a
            hard cut.
        reach: painted detail counts by the share of hole within so many pixels; beside covered parts the
            filling of the scaffold takes over, since the detail there is blurred with what is covered. 0
            takes painted detail everywhere.

    Returns:
        (T, 3, H, W) float32 rgb 0..1.

    Raises:
        ShapeError: the three do not fit.
        InputError: strength, feather or reach out of range.
    """
    sizes = check_shape("decoded", decoded, "T 3 H W")
    check_erp("decoded", decoded)
    check_shape("scaffold", scaffold, "T 3 H W", **sizes)
    check_shape("coverage", coverage, "T H W", **sizes)
    if not 0.0 <= strength <= 1.0 or feather < 0 or reach < 0:
        raise InputError(
            "strength, feather, reach: expected 0 <= strength <= 1, feather >= 0 and reach >= 0, got "
            f"{strength}, {feather} and {reach}"
        )
    if strength == 0.0:
        return decoded.float()
    if distance is not None:
        check_shape("distance", distance, "T H W", **sizes)
        distance = distance.to(decoded.device)
    decoded, scaffold = decoded.float(), scaffold.to(decoded.device).float()
    covered = coverage.to(decoded.device)
    shift = pull_push(scaffold - decoded, covered, distance=distance)
    if reach:
        plain = pull_push(scaffold, covered, distance=distance) - decoded
        trust = torch.stack([_box((~c)[None].float(), reach) for c in covered])
        shift = torch.where(covered[:, None], shift, plain + trust * (shift - plain))
    frames = [_add_shift(d, s, c, strength, feather) for d, s, c in zip(decoded, shift, covered, strict=True)]
    return torch.stack(frames)


def _add_shift(decoded: Tensor, shift: Tensor, covered: Tensor, strength: float, feather: int) -> Tensor:
    if feather and bool(covered.any()) and not bool(covered.all()):
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
