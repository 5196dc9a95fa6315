"""What the UNet is told beside the noised latents: tokens of crops, time ids, augmented scaffolds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import InputError
from ..geometry import crop_rotations, erp_to_perspective
from .model import PantheonModel

__all__ = ["added_time_ids", "augment_frames", "clip_pixels", "encode_tokens", "panorama_crops"]

_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def added_time_ids(
    fps: float, motion_bucket: float, noise_aug: float, *, device: torch.device | str = "cpu"
) -> Tensor:
    """The (1, 3) vector [fps - 1, motion bucket, augmentation strength] that SVD's UNet was trained with.

    Source: Stability-AI/generative-models, simple_video_sample.py (fps_id = fps - 1).
    """
    return torch.tensor([[fps - 1.0, motion_bucket, noise_aug]], dtype=torch.float32, device=device)


def augment_frames(frames: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Add the noise augmentation of the conditioning frames.

    Args:
        frames: (T, 3, H, W) rgb 0..1.
        strength: standard deviation on the -1..1 scale, where SVD defines it.
        generator: CPU generator; the result is the same on every device.

    Returns:
        (T, 3, H, W), beyond 0..1 where the noise leads.
    """
    if strength == 0.0:
        return frames
    noise = torch.randn(frames.shape, generator=generator, dtype=torch.float32)
    return frames + (0.5 * strength) * noise.to(frames)


def panorama_crops(panorama: Tensor, *, count: int, fov: float, size: int) -> Tensor:
    """Perspective views around the horizon, the first one along +z, then turning right.

    Args:
        panorama: (3, H, W) ERP rgb 0..1.
        count: number of views, at equal steps of yaw.
        fov: horizontal field of view, radians.
        size: side of the square views, pixels.

    Returns:
        (count, 3, size, size) rgb 0..1.
    """
    check_erp("panorama", panorama)
    rotations = crop_rotations(count).to(panorama.device)
    return torch.stack(
        [erp_to_perspective(panorama, r, fov_x=fov, height=size, width=size) for r in rotations]
    )


def clip_pixels(images: Tensor, size: int) -> Tensor:
    """Resize and normalise images as SVD's image encoder expects: no crop, blur against aliasing, bicubic.

    Args:
        images: (B, 3, H, W) rgb 0..1.
        size: side of the result.

    Returns:
        (B, 3, size, size), normalised with CLIP's mean and deviation.

    Source: the preprocessing of StableVideoDiffusionPipeline: gaussian of sigma (factor - 1) / 2 per axis cut
        at two sigma, then bicubic with aligned corners.
    """
    check_shape("images", images, "B 3 H W")
    x = images.float()
    for axis in (-1, -2):
        x = _blur(x, axis, x.shape[axis] / size)
    x = F.interpolate(x, size=(size, size), mode="bicubic", align_corners=True)
    mean = x.new_tensor(_CLIP_MEAN).view(3, 1, 1)
    std = x.new_tensor(_CLIP_STD).view(3, 1, 1)
    return (x - mean) / std


def _blur(x: Tensor, axis: int, factor: float) -> Tensor:
    """Gaussian along one axis for a reduction by `factor`, mirrored at the borders."""
    sigma = max((factor - 1.0) / 2.0, 0.001)
    taps = int(max(4.0 * sigma, 3)) | 1
    offsets = torch.arange(taps, dtype=x.dtype, device=x.device) - taps // 2
    kernel = torch.exp(-offsets.square() / (2.0 * sigma * sigma))
    kernel = (kernel / kernel.sum()).view((1, 1, 1, taps) if axis == -1 else (1, 1, taps, 1))
    half = taps // 2
    x = F.pad(x, (half, half, 0, 0) if axis == -1 else (0, 0, half, half), mode="reflect")
    return F.conv2d(x, kernel.expand(3, 1, -1, -1), groups=3)


def encode_tokens(
    model: PantheonModel, anchors: Sequence[Tensor], *, roles: Sequence[int] | None = None
) -> Tensor:
    """Cross-attention tokens of one or two panoramas.

    Args:
        model: the model; its config says how many crops of which field of view.
        anchors: panoramas (3, H, W), rgb 0..1, in the order of their roles.
        roles: 0 (start) or 1 (end) of each anchor; the default is 0, 1. Used by models that learned roles.

    Returns:
        (1, K A, D) tokens, K crops for each of A anchors, of the UNet's dtype. Differentiable in the weights.

    Raises:
        InputError: no anchor, or roles that do not fit the anchors.
        ConventionError: an anchor is not 2:1 (crop models only).
    """
    roles = list(range(len(anchors))) if roles is None else list(roles)
    if not anchors or len(roles) != len(anchors) or any(role not in (0, 1) for role in roles):
        raise InputError(
            f"anchors: expected one or two panoramas with roles 0 or 1, got {len(anchors)} with roles {roles}"
        )
    config = model.config
    if config.crops:
        crops = [
            panorama_crops(a, count=config.crops, fov=config.crop_fov, size=config.crop_size) for a in anchors
        ]
        images = torch.cat(crops)
    else:
        images = torch.stack([anchor.float() for anchor in anchors])
    encoder = model.image_encoder
    pixels = clip_pixels(images, model.encoder_size).to(device=encoder.device, dtype=encoder.dtype)
    tokens = encoder(pixels).image_embeds
    tokens = tokens.reshape(1, len(anchors), config.tokens_per_anchor, model.token_dim)
    if model.token_embedding is not None:
        tokens = model.token_embedding(tokens, roles)
    return tokens.flatten(1, 2).to(model.dtype)
