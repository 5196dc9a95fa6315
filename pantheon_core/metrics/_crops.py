"""The paper's protocol: PSNR and SSIM on 8 perspective crops at 45° of yaw."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..check import check_erp
from ..geometry import crop_rotations, erp_to_perspective
from ._image import check_pair, psnr, ssim


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CropScores:
    """Scores per frame, averaged over the crops.

    Attributes:
        psnr: (T,) dB.
        ssim: (T,) 0 to 1.
    """

    psnr: Tensor
    ssim: Tensor


def crops_psnr_ssim(
    prediction: Tensor, target: Tensor, *, fov_x: float = math.pi / 2, size: int | None = None
) -> CropScores:
    """Compare two ERP videos on 8 perspective crops, one every 45° of yaw.

    Args:
        prediction: (T, 3, H, W) ERP, 0 to 1.
        target: the same shape.
        fov_x: field of view of a crop, in radians; the paper does not say its own, 90° is the usual.
        size: side of a crop in pixels; None takes W / 4, the ERP's own resolution at the horizon.

    Raises:
        ShapeError, ConventionError: shapes differ or are not 2:1.

    Source: Pantheon360, §4.1: all metrics on 8 perspective crops at 45° yaw intervals.
    """
    check_pair(prediction, target)
    _, width = check_erp("prediction", prediction)
    side = size or width // 4
    rotations = crop_rotations(8).to(prediction)
    rows = []
    for frame, truth in zip(prediction, target, strict=True):
        pair = torch.stack([frame, truth])
        crops = [
            erp_to_perspective(pair, rotation, fov_x=fov_x, height=side, width=side) for rotation in rotations
        ]
        ours, theirs = torch.stack(crops, dim=1)
        rows.append((psnr(ours, theirs).mean(), ssim(ours, theirs).mean()))
    return CropScores(psnr=torch.stack([r[0] for r in rows]), ssim=torch.stack([r[1] for r in rows]))
