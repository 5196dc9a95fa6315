"""Image and video quality, on the sphere and on perspective crops of it."""

from __future__ import annotations

from ._crops import CropScores, crops_psnr_ssim
from ._image import psnr, ssim
from ._motion import interpolation_error, warping_error
from ._sphere import seam_discontinuity, ws_psnr

__all__ = [
    "CropScores",
    "crops_psnr_ssim",
    "interpolation_error",
    "psnr",
    "seam_discontinuity",
    "ssim",
    "warping_error",
    "ws_psnr",
]
