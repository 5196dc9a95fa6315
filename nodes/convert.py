"""The host's image layout (batch, height, width, channel) to and from the core's (channel first)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..pantheon_core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def from_image(image: Tensor) -> Tensor:
    """IMAGE (B, H, W, C) to (B, 3, H, W) float32; grey is repeated, an alpha channel is dropped."""
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        raise InputError(f"image: expected IMAGE (batch, height, width, 1/3/4), got {tuple(image.shape)}")
    rgb = image[..., :3] if image.shape[-1] >= 3 else image.expand(*image.shape[:-1], 3)
    return rgb.movedim(-1, 1).float()


def to_image(rgb: Tensor) -> Tensor:
    """(3, H, W) or (B, 3, H, W) to IMAGE (B, H, W, 3) on the CPU."""
    batch = rgb if rgb.ndim == 4 else rgb[None]
    return batch.movedim(1, -1).float().cpu().contiguous()


def grey_to_image(values: Tensor) -> Tensor:
    """(B, H, W) to IMAGE (B, H, W, 3) on the CPU."""
    return values.float().cpu()[..., None].expand(*values.shape, 3).contiguous()


def to_mask(mask: Tensor) -> Tensor:
    """Bool (B, H, W) to MASK float (B, H, W) on the CPU, 1 where True."""
    return mask.float().cpu()
