"""Pictures and distances of imported panoramas at the size that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import ConventionError, MediaError
from ...geometry import resize_erp
from .._types import DistanceEstimate
from ..given import GivenBackend
from ._types import ImportOptions

__all__ = ["distances", "fit_picture", "read_picture", "resize_mask", "spread"]


def spread(count: int, keep: int) -> list[int]:
    """At most `keep` numbers of 0 to count - 1, spread evenly, the first and the last among them."""
    if keep == 0 or keep >= count:
        return list(range(count))
    if keep == 1:
        return [0]
    return sorted({round(i * (count - 1) / (keep - 1)) for i in range(keep)})


def read_picture(path: Path) -> Tensor:
    """(3, h, w) float32 0..1 of a picture file of 8 or 16 bits.

    Raises:
        MediaError: missing, damaged, or linear radiance.
    """
    from ...panorama._decode import decode

    pixels = decode(path).pixels
    if pixels.dtype.kind == "f":
        raise MediaError(
            f"{path}: expected a picture of 8 or 16 bits, got linear radiance; tone-map it first"
        )
    top = float(np.iinfo(pixels.dtype).max)
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1).contiguous().div_(top)


def fit_picture(rgb: Tensor, options: ImportOptions, *, name: str) -> Tensor:
    """A panorama (3, h, w) 0..1 at the height asked for.

    Raises:
        ConventionError: not twice as wide as high.
    """
    if rgb.shape[-1] != 2 * rgb.shape[-2]:
        raise ConventionError(
            f"{name}: expected an equirectangular picture, twice as wide as high, got {rgb.shape[-1]} x "
            f"{rgb.shape[-2]}"
        )
    return resize_erp(rgb, options.height or rgb.shape[-2]).clamp(0, 1)


def resize_mask(mask: Tensor, height: int) -> Tensor:
    """(h, w) bool at another height, by the nearest pixel."""
    if mask.shape[0] == height:
        return mask
    return resize_erp(mask[None].to(torch.uint8), height, mode="nearest")[0] > 0


def distances(values: Tensor, rgb: Tensor, options: ImportOptions, *, name: str) -> DistanceEstimate:
    """Distances of a panorama at its picture's size.

    Args:
        values: (h, w) distances along the ray in the folder's unit, 0 or NaN where missing, infinite on sky.
        rgb: (3, H, W) the picture.
        options: for the unit.
        name: of the file, for messages.

    Raises:
        ConventionError: not twice as wide as high.
        InputError: no distance at all.
    """
    if values.shape[1] != 2 * values.shape[0]:
        raise ConventionError(
            f"{name}: expected distances of a panorama, twice as wide as high, got {values.shape[1]} x "
            f"{values.shape[0]}; depth of a perspective view is not a distance along the ray"
        )
    backend = GivenBackend(depth=values, kind="distance", scale=options.factor, metric=options.metric)
    return backend.estimate(rgb)
