"""Consistency over time, by the true geometry instead of an estimated flow."""

from __future__ import annotations

import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import InputError
from ..geometry import erp_rays, sample_erp, se3_inverse, transform_points
from ._image import check_pair

__all__ = ["interpolation_error", "warping_error"]

_SAME_SURFACE = 0.02
"""A point seen again at this relative difference of distance is the same point."""


def warping_error(
    video: Tensor, distance: Tensor, T_world_cam: Tensor, *, mask: Tensor | None = None
) -> Tensor:
    """How much the colour of a scene point changes from one frame to the next.

    Every pixel of frame t is followed to frame t + 1 by its distance and the two poses; the mean squared
    difference of the colours there counts where both frames see the same point. Needs no optical flow.

    Args:
        video: (T, 3, H, W) ERP, 0 to 1.
        distance: (T, H, W) along the ray, in the poses' unit; 0 at infinity: sky only turns.
        T_world_cam: (T, 4, 4).
        mask: (T, H, W) bool; only its pixels of frame t count.

    Returns:
        (T - 1,) mean squared difference, 0 to 1; NaN where a frame has no pixel to follow.

    Raises:
        ShapeError, ConventionError: shapes differ or are not 2:1.
        InputError: fewer than two frames.

    Source: the short-term warping error of Lai et al., Learning Blind Video Temporal Consistency, 2018, with
    the true correspondences.
    """
    sizes = check_shape("video", video, "T 3 H W")
    height, _ = check_erp("video", video)
    check_shape("distance", distance, "T H W", **sizes)
    check_shape("T_world_cam", T_world_cam, "T 4 4", T=sizes["T"])
    if mask is not None:
        check_shape("mask", mask, "T H W", **sizes)
    if sizes["T"] < 2:
        raise InputError(f"video: expected two or more frames, got {sizes['T']}")
    rays = erp_rays(height).to(video)
    errors = []
    for t in range(sizes["T"] - 1):
        T_next_this = se3_inverse(T_world_cam[t + 1].double()) @ T_world_cam[t].double()
        far = distance[t] <= 0
        points = transform_points(T_next_this.to(rays), rays * distance[t][..., None])
        turned = rays @ T_next_this[:3, :3].to(rays).T
        seen_at = torch.where(far[..., None], turned, points)
        length = torch.where(far, 0.0, points.norm(dim=-1))
        there = sample_erp(distance[t + 1][None].float(), seen_at, mode="nearest", antialias=False)[0]
        same = torch.where(far, there <= 0, (there > 0) & ((there - length).abs() <= _SAME_SURFACE * length))
        same &= seen_at.norm(dim=-1) > 0
        if mask is not None:
            same &= mask[t]
        moved = sample_erp(video[t + 1].float(), seen_at.clamp(-1e9, 1e9), antialias=False)
        square = (moved - video[t].float()).square().mean(0)
        errors.append(square[same].mean())
    return torch.stack(errors)


def interpolation_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Root mean squared difference of each frame, in grey levels of 0 to 255.

    Args:
        prediction: (T, 3, H, W), 0 to 1.
        target: the same shape.

    Returns:
        (T,) grey levels.

    Raises:
        ShapeError: shapes differ.

    Source: Baker et al., A Database and Evaluation Methodology for Optical Flow, 2011, §4.2 (IE).
    """
    check_pair(prediction, target)
    return 255.0 * (prediction.double() - target.double()).square().mean((-3, -2, -1)).sqrt()
