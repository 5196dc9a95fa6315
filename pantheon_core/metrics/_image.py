"""PSNR and SSIM of flat images."""

from __future__ import annotations

import torch
from torch import Tensor

from ..check import check_shape
from ..errors import InputError, ShapeError


def check_pair(prediction: Tensor, target: Tensor) -> None:
    """Raise ShapeError unless both are (..., 3, H, W) of the same shape."""
    check_shape("prediction", prediction, "... C H W")
    if prediction.shape != target.shape:
        raise ShapeError(
            f"target: expected the prediction's shape {tuple(prediction.shape)}, got {tuple(target.shape)}"
        )


def psnr(prediction: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio for values 0 to 1.

    Args:
        prediction: (..., C, H, W).
        target: the same shape.
        mask: (..., H, W) bool; only pixels where it is true count.

    Returns:
        (...) in dB; infinity where the images are equal.

    Raises:
        ShapeError: shapes differ.
        InputError: an image has no pixel in the mask.
    """
    check_pair(prediction, target)
    squared = (prediction.double() - target.double()).square().mean(-3)
    if mask is None:
        error = squared.mean((-2, -1))
    else:
        count = mask.sum((-2, -1))
        if bool((count == 0).any()):
            raise InputError("mask: expected at least one pixel in every image, got an image with none")
        error = (squared * mask).sum((-2, -1)) / count
    return -10.0 * torch.log10(error)


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity with the usual 11x11 Gaussian window, for values 0 to 1.

    Args:
        prediction: (..., C, H, W).
        target: the same shape.

    Returns:
        (...) mean over channels and pixels.

    Raises:
        ShapeError: shapes differ.

    Source: Wang et al., Image quality assessment: from error visibility to structural similarity, 2004.
    """
    from kornia.metrics import ssim as ssim_map

    check_pair(prediction, target)
    images = (image.reshape(-1, *image.shape[-3:]).float() for image in (prediction, target))
    flat = ssim_map(next(images), next(images), 11, padding="valid")
    return flat.mean((-3, -2, -1)).reshape(prediction.shape[:-3])
