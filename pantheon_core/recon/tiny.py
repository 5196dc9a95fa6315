"""Backend "tiny": the small bundled network, no download."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..assets import weights_path
from ..check import check_erp, check_shape
from ..errors import InputError, Progress
from ..geometry import resize_erp
from ._refine import floor_level, floor_plane, joint_upsample, straighten
from ._tiny_net import STRIDE, latitude_prior
from ._tiny_weights import cached_tiny
from ._types import DistanceEstimate

__all__ = ["TinyBackend"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TinyBackend:
    """Distance, confidence and sky from one levelled panorama.

    The scale is a guess from the look of the place and a camera at about eye height, so the result is not
    called metric; its unit is near to a metre all the same.

    Attributes:
        weights: path of a safetensors file, None for the bundled one.
        height: of the image the network sees, pixels, a multiple of 32; None is what it was trained on.
        flat_floor: pull what the network calls floor onto one plane.
        upright_walls: even out the horizontal distance of what stands.
        scale: multiplies the distances.
    """

    weights: Path | str | None = None
    height: int | None = None
    flat_floor: bool = True
    upright_walls: bool = True
    scale: float = 1.0
    name: str = field(default="tiny", init=False)

    def __post_init__(self) -> None:
        if self.height is not None and (self.height < STRIDE or self.height % STRIDE):
            raise InputError(f"height: expected a multiple of {STRIDE}, got {self.height}")
        if not self.scale > 0:
            raise InputError(f"scale: expected a number above 0, got {self.scale}")

    @torch.no_grad()
    def estimate(self, rgb: Tensor, *, progress: Progress | None = None) -> DistanceEstimate:
        """Distances at the size of `rgb` (3, H, W); about half a second on one CPU core at 512x1024."""
        check_shape("rgb", rgb, "3 H W")
        height, _ = check_erp("rgb", rgb)
        path = weights_path("tiny_depth") if self.weights is None else Path(self.weights)
        net = cached_tiny(path, rgb.device)
        rgb = rgb.float().clamp(0, 1)
        seen = self.height or net.input_height
        small = resize_erp(rgb, seen) if height != seen else rgb
        out = net(small[None])
        if progress:
            progress(1, 2)
        fields = torch.stack((out.residual, out.confidence, out.sky, out.floor))[:, 0]
        prior = latitude_prior(fields.shape[1], device=rgb.device)
        sky, floor = fields[2:].sigmoid()
        level = floor_level(fields[0] + prior, floor)
        if self.upright_walls:
            fields[0] = straighten(fields[0] + prior, floor, sky) - prior
        # the prior is added at full size: it is exact there, so a flat floor stays flat
        full = joint_upsample(fields, F.avg_pool2d(small, 2), rgb)
        log_distance = full[0] + latitude_prior(height, device=rgb.device)
        confidence, sky, floor = full[1:].sigmoid()
        if self.flat_floor:
            log_distance = floor_plane(log_distance, floor, level)
        if progress:
            progress(2, 2)
        valid = sky < 0.5
        return DistanceEstimate(
            distance=torch.where(valid, log_distance.exp() * self.scale, 0.0),
            confidence=confidence,
            sky=sky,
            valid=valid,
            metric=False,
        )
