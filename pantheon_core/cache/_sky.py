"""The layer at infinity."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import erp_rays, sample_erp
from ._pull_push import pull_push
from ._types import SkyLayer

__all__ = ["merge_sky", "sky_layer"]


def sky_layer(rgb: Tensor, sky: Tensor, R_world_cam: Tensor, *, fill: bool) -> SkyLayer | None:
    """The sky of one panorama in world orientation, or None where none was seen.

    Args:
        rgb: (3, H, W) 0..1; sky: (H, W) bool.
        R_world_cam: (3, 3) orientation of the panorama.
        fill: continue the colours smoothly beyond the sky's border.
    """
    if not bool(sky.any()):
        return None
    # Pixels at the border mix sky with what stands before it: their colour must not bleed into the filling.
    pure = _shrink(sky)
    rgb = rgb.float()
    filled = pull_push(rgb, pure if bool(pure.any()) else sky) if fill else rgb
    filled = torch.where(sky, rgb, filled)
    eye = torch.eye(3, device=rgb.device, dtype=R_world_cam.dtype)
    if bool((R_world_cam - eye).abs().max() < 1e-7):
        return SkyLayer(rgb=filled, mask=sky.clone())
    rays = erp_rays(rgb.shape[-2], device=rgb.device) @ R_world_cam  # rays_cam = R^T rays_world
    turned = sample_erp(filled, rays, mode="bilinear", antialias=False)
    mask = sample_erp(sky[None].float(), rays, mode="nearest", antialias=False)[0] > 0.5
    return SkyLayer(rgb=turned.clamp(0, 1), mask=mask)


def _shrink(mask: Tensor) -> Tensor:
    """Erode by one pixel, around the seam."""
    grown = ~mask
    grown = grown | grown.roll(1, -1) | grown.roll(-1, -1)
    up, down = grown.clone(), grown.clone()
    up[1:] |= grown[:-1]
    down[:-1] |= grown[1:]
    return ~(up | down)


def merge_sky(layers: list[SkyLayer]) -> SkyLayer | None:
    """Union of layers; where several saw sky, the first one's colours hold, at the first one's size."""
    if not layers:
        return None
    rgb, mask = layers[0].rgb, layers[0].mask
    rays = erp_rays(rgb.shape[-2], device=rgb.device)
    for layer in layers[1:]:
        if layer.rgb.shape == rgb.shape:
            other_rgb, other_mask = layer.rgb.to(rgb.device), layer.mask.to(rgb.device)
        else:
            other_rgb = sample_erp(layer.rgb.to(rgb.device), rays, mode="bilinear")
            other_mask = sample_erp(layer.mask.to(rgb)[None], rays, mode="nearest", antialias=False)[0] > 0.5
        rgb = torch.where(~mask & other_mask, other_rgb, rgb)
        mask = mask | other_mask
    return SkyLayer(rgb=rgb, mask=mask)
