"""Metrics that know the sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..check import check_erp
from ._image import check_pair


def ws_psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """PSNR weighted by the solid angle of each ERP pixel, for values 0 to 1.

    Args:
        prediction: (..., C, H, W) ERP.
        target: the same shape.

    Returns:
        (...) in dB.

    Raises:
        ShapeError, ConventionError: shapes differ or are not 2:1.

    Source: Sun et al., Weighted-to-spherically-uniform quality evaluation for omnidirectional video, 2017.
    """
    check_pair(prediction, target)
    height, _ = check_erp("prediction", prediction)
    row = torch.arange(height, dtype=torch.float64, device=prediction.device)
    weight = torch.cos((row + 0.5 - height / 2) * math.pi / height)
    error = (prediction.double() - target.double()).square().mean((-3, -1))
    return -10.0 * torch.log10((error * weight).sum(-1) / weight.sum())


def seam_discontinuity(erp: Tensor) -> Tensor:
    """How much stronger the step across the ±180° seam is than the steps beside it.

    Args:
        erp: (..., C, H, W) ERP.

    Returns:
        (...) mean step over the seam divided by the mean step of the two neighbouring pairs of columns on
        each side; 1 where there is no seam.

    Raises:
        ShapeError, ConventionError: not an ERP.
    """
    check_erp("erp", erp)
    columns = torch.cat([erp[..., -3:], erp[..., :3]], dim=-1).double()
    steps = columns.diff(dim=-1).abs().mean((-3, -2))
    beside = steps[..., [0, 1, 3, 4]].mean(-1)
    return (steps[..., 2] + 1e-6) / (beside + 1e-6)
