"""From linear radiance to a displayable picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import InputError

__all__ = ["linear_to_srgb", "tone_map"]

_KEY = 0.18
_WHITE_QUANTILE = 0.995
_REC709 = (0.2126, 0.7152, 0.0722)


def tone_map(linear: Tensor, *, exposure: float | None = None) -> tuple[Tensor, float]:
    """Map linear radiance of a panorama to sRGB, by Reinhard's global operator.

    Without `exposure`, the log-average luminance over the sphere becomes mid grey (0.18). The luminance that
    99.5 % of the sphere stay below becomes white; it is never below 1, so that dim scenes are not stretched.
    Both are taken over solid angle, so the stretched rows at the poles count as little as they are.

    Args:
        linear: (3, H, W) linear Rec. 709 radiance, W = 2H; negative values count as 0.
        exposure: brightening in stops (factors of two) before the operator; None measures it.

    Returns:
        (3, H, W) sRGB-encoded values 0..1, and the exposure used in stops.

    Raises:
        InputError: a value is NaN.

    Source: E. Reinhard et al., Photographic tone reproduction for digital images (2002), eq. 1, 2 and 4.
    """
    check_shape("linear", linear, "3 H W")
    height, width = check_erp("linear", linear)
    if bool(linear.isnan().any()):
        raise InputError("linear: expected numbers, got NaN; repair the file, or export it again")
    # Infinities are overflown half floats: as bright as that format can say.
    radiance = linear.clamp(min=0, max=65504)
    luminance = sum(w * c for w, c in zip(_REC709, radiance, strict=True))
    if not isinstance(luminance, Tensor):
        raise InputError(f"linear: expected three channels, got {tuple(linear.shape)}")
    lat = (0.5 - (torch.arange(height, dtype=linear.dtype, device=linear.device) + 0.5) / height) * math.pi
    area = lat.cos()[:, None].expand(height, width)
    if exposure is None:
        mean = float((luminance.clamp(min=1e-4).log() * area).sum() / area.sum())
        exposure = math.log2(_KEY) - mean / math.log(2)
    scaled = luminance * 2.0**exposure
    white = max(1.0, _weighted_quantile(scaled, area, _WHITE_QUANTILE))
    mapped = scaled * (1 + scaled / white**2) / (1 + scaled)
    gain = torch.where(luminance > 0, mapped / luminance.clamp(min=1e-12), torch.zeros_like(luminance))
    return linear_to_srgb((radiance * gain).clamp(0, 1)), exposure


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Encode linear values 0..1 by the sRGB transfer function (IEC 61966-2-1)."""
    return torch.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    )


def _weighted_quantile(values: Tensor, weights: Tensor, quantile: float) -> float:
    order = values.flatten().argsort()
    total = weights.flatten()[order].double().cumsum(0)
    index = torch.searchsorted(total, quantile * total[-1])
    return float(values.flatten()[order[min(int(index), order.numel() - 1)]])
