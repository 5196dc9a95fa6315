"""Backend "depth_anything_3_metric": Depth Anything 3's metric network, one view at a time.

What is relied on besides `_adapters`: the output of the metric weights times the focal length in pixels over
300 is the z-depth in metres, for the picture size that the network saw; `sky` (N, H, W) is true where there
is sky, and the depth there, and at its rim, is one constant.

Source: github.com/ByteDance-Seed/Depth-Anything-3, README.md and src/depth_anything_3/utils/alignment.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, MemoryBudgetError
from ..transformers_depth import VIEW_FOV, DepthModel, Variant, ViewBackend
from ._load import find_weights, load_network

__all__ = ["DA3_METRIC_MODEL", "DepthAnything3MetricBackend"]

_PER_FOCAL = 300.0

DA3_METRIC_MODEL = DepthModel(
    title="Depth Anything 3, metric",
    class_name="DepthAnything3",
    model_type="depth_anything_3",
    estimation="metric",
    quantity="z_depth",
    freedom="metric",
    large_is="far",
    crop=504,
    half=True,
    far=200.0,
    preprocessor={},
    variants={
        "large": Variant(
            hub="depth-anything/DA3METRIC-LARGE", gigabytes=1.4, vram_gigabytes=4, licence="Apache-2.0"
        )
    },
)
"""What its numbers mean."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthAnything3MetricBackend(ViewBackend):
    """Depth Anything 3, metric: z-depth in metres and sky, of each view by itself."""

    name: str = field(default="depth_anything_3_metric", init=False)

    @property
    def model(self) -> DepthModel:
        """Licence, memory and what its numbers mean."""
        return DA3_METRIC_MODEL

    def _open(self, device: torch.device) -> tuple[Callable[[Tensor], Tensor], float | None]:
        folder = find_weights(self.model, self.weights, self.size, download=self.download, needs_config=True)
        return partial(_depths, load_network("depth_anything_3", folder, device)), self.model.far


def _depths(net: Any, views: Tensor) -> Tensor:
    """(B, h, w) z-depths on the CPU, infinite on the sky."""
    size = views.shape[-1]
    pictures = (views.detach().cpu().clamp(0, 1).movedim(1, -1) * 255).round().to(torch.uint8).numpy()
    found = []
    for picture in pictures:
        try:
            answer = net.inference([picture], process_res=size)
        except torch.cuda.OutOfMemoryError as error:
            raise MemoryBudgetError(
                "Depth Anything 3: the GPU's memory is too small; it needs about 4 GB, or take device='cpu'"
            ) from error
        if answer.extrinsics is not None:
            raise InputError(
                "weights: these of Depth Anything 3 are not the metric ones; choose DA3METRIC-LARGE, or the "
                "backend depth_anything_3"
            )
        raw = torch.from_numpy(np.asarray(answer.depth)).float()[0]
        focal = raw.shape[-1] / 2 / math.tan(VIEW_FOV / 2)
        depth = raw * (focal / _PER_FOCAL)
        if answer.sky is not None:
            sky = torch.from_numpy(np.asarray(answer.sky)).float()[0]
            sky = sky >= 0.5
            if bool(sky.any()):
                sky = sky | (raw == raw[sky].max())
            depth = torch.where(sky, math.inf, depth)
        if depth.shape != (size, size):
            depth = torch.nn.functional.interpolate(depth[None, None], (size, size), mode="nearest-exact")[
                0, 0
            ]
        found.append(depth)
    return torch.stack(found)
