"""The backends: views of the panorama through the network, then the fusion on the sphere."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ...check import check_erp, check_shape
from ...errors import InputError, Progress
from ...geometry import erp_to_perspective, resize_erp
from .._types import DistanceEstimate
from ..fusion import CropDepths, FusedSphere, FusionReport, fuse_crops, sphere_views
from ..given import GivenBackend
from ..tiny import TinyBackend
from ._load import find_weights, load_network
from ._models import DEPTH_MODELS, DepthModel
from ._run import depths_of_views
from ._sky import far_scores, sky_of

__all__ = [
    "VIEW_FOV",
    "DepthAnythingV2Backend",
    "DepthAnythingV2IndoorBackend",
    "DepthAnythingV2OutdoorBackend",
    "DepthProBackend",
    "RunViews",
    "SkySource",
    "ViewBackend",
    "ZoeDepthBackend",
    "release_networks",
]

_log = logging.getLogger(__name__)

SkySource = Literal["both", "far", "off"]
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
VIEW_FOV = math.pi / 2
"""Horizontal and vertical angle of the views, radians."""

RunViews: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ViewBackend:
    """A depth network on views that cover the sphere; of transformers, unless `_open` says otherwise.

    Attributes:
        weights: folder with config.json and model.safetensors, or a repository of the hub; None for the
            published weights.
        size: which of the published weights, "" for the default.
        download: fetch weights that are not there; else they come from the folder or the hub's cache alone.
        device: "cuda", "cpu", "mps"; None for a GPU where there is one.
        dtype: "float32", "float16" or "bfloat16"; None for what the model and the device do well.
        batch: views at once.
        level_views: views around the horizon; more cost time and overlap more.
        view_size: pixels of the square views; None for what the model was made for.
        fusion_height: of the panorama the views are merged on, at most, pixels; larger ones are interpolated.
        sky: "both" takes what is far away and what the bundled network calls sky together, "far" only the
            distance, "off" knows no sky.
        scale: multiplies the distances.
    """

    weights: Path | str | None = None
    size: str = ""
    download: bool = False
    device: str | None = None
    dtype: str | None = None
    batch: int = 2
    level_views: int = 6
    view_size: int | None = None
    fusion_height: int = 512
    sky: SkySource = "both"
    scale: float = 1.0
    name: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in _DTYPES:
            raise InputError(f"dtype: expected one of {', '.join(_DTYPES)}, got {self.dtype!r}")
        if self.sky not in get_args(SkySource):
            raise InputError(f"sky: expected one of {', '.join(get_args(SkySource))}, got {self.sky!r}")
        if self.batch < 1:
            raise InputError(f"batch: expected at least 1, got {self.batch}")
        if self.view_size is not None and self.view_size < 16:
            raise InputError(f"view_size: expected at least 16 pixels, got {self.view_size}")
        if self.fusion_height < 16:
            raise InputError(f"fusion_height: expected at least 16 pixels, got {self.fusion_height}")
        if not self.scale > 0:
            raise InputError(f"scale: expected a number above 0, got {self.scale}")

    @property
    def model(self) -> DepthModel:
        """Licence, memory and what its numbers mean."""
        return DEPTH_MODELS[self.name]

    def estimate(self, rgb: Tensor, *, progress: Progress | None = None) -> DistanceEstimate:
        """Distances at the size of `rgb` (3, H, W); in metres for the metric models.

        A relative model knows no scale: its distances are brought to those that the bundled network guesses,
        and are not called metric.

        Raises:
            BackendUnavailableError: no weights; the sentence says where to get them.
            InputError: the weights are of another model.
            MemoryBudgetError: the GPU is too small.
        """
        return self.estimate_with_report(rgb, progress=progress)[0]

    def estimate_with_report(
        self, rgb: Tensor, *, progress: Progress | None = None
    ) -> tuple[DistanceEstimate, FusionReport]:
        """As `estimate`, with what the fusion found: scales, residuals, views that disagree."""
        check_shape("rgb", rgb, "3 H W")
        height, _ = check_erp("rgb", rgb)
        picture = rgb.detach().cpu().float().clamp(0, 1)
        run, limit = self._open(torch.device(self.device or _best_device()))
        rotations = sphere_views(level=self.level_views)
        total = len(rotations) + 2
        values = self._views(run, picture, rotations, progress, total)
        guess = (
            TinyBackend().estimate(picture) if self.sky == "both" or self.model.freedom != "metric" else None
        )
        small = min(height, self.fusion_height)
        far = far_scores(values, rotations, VIEW_FOV, self.model.quantity, limit, small)
        network_sky = (
            resize_erp(guess.sky[None], small)[0] if guess is not None and self.sky == "both" else None
        )
        sky = torch.zeros_like(far) if self.sky == "off" else sky_of(far, network_sky)
        if progress:
            progress(total - 1, total)
        crops = CropDepths(
            values=values,
            rotations=rotations,
            fov_x=VIEW_FOV,
            quantity=self.model.quantity,
            freedom=self.model.freedom,
        )
        fused = fuse_crops(crops, small, exclude=sky >= 0.5)
        for warning in fused.report.warnings:
            _log.warning("%s: %s", self.model.title, warning)
        if self.sky != "off":  # far, and nothing there to measure: no place in the scene
            sky = torch.where(~fused.valid & (far >= 0.5), torch.maximum(sky, far), sky)
        estimate = self._at_size(fused, sky, rgb)
        if self.model.freedom != "metric" and guess is not None:
            estimate = _to_guess(estimate, guess, self.scale)
        if progress:
            progress(total, total)
        return estimate, fused.report

    def _open(self, device: torch.device) -> tuple[RunViews, float | None]:
        """What turns views (B, 3, h, w) of 90° into values (B, h, w), and the metres it calls far."""
        folder = find_weights(self.name, self.weights, self.size, download=self.download)
        network = load_network(self.name, folder, device, self._dtype_on(device))
        return partial(depths_of_views, network, fov_x=VIEW_FOV), network.far

    def _views(
        self, run: RunViews, rgb: Tensor, rotations: Tensor, progress: Progress | None, total: int
    ) -> Tensor:
        """(V, h, w) what the network says of each view."""
        found = []
        crop = self.view_size or self.model.crop
        for start in range(0, len(rotations), self.batch):
            some = rotations[start : start + self.batch]
            views = erp_to_perspective(rgb, some, fov_x=VIEW_FOV, height=crop, width=crop)
            found.append(run(views))
            if progress:
                progress(start + len(some), total)
        return torch.cat(found)

    def _at_size(self, fused: FusedSphere, sky: Tensor, rgb: Tensor) -> DistanceEstimate:
        """From the fusion's panorama to that of the photograph, edges kept."""
        height = rgb.shape[-2]
        is_sky = (sky >= 0.5) & ~fused.valid
        encoded = torch.where(fused.valid, fused.distance * self.scale, torch.where(is_sky, math.inf, 0.0))
        if not bool((fused.valid | is_sky).any()):
            raise InputError(f"{self.model.title}: found neither a surface nor sky in the panorama")
        found = GivenBackend(depth=encoded, metric=self.model.freedom == "metric").estimate(
            torch.zeros(3, height, 2 * height)
        )
        confidence = resize_erp(fused.confidence[None], height)[0]
        return DistanceEstimate(
            distance=found.distance.to(rgb.device),
            confidence=torch.where(found.valid, confidence, 0.0).to(rgb.device),
            sky=torch.maximum(resize_erp(sky[None], height)[0], found.sky).clamp(0, 1).to(rgb.device),
            valid=found.valid.to(rgb.device),
            metric=found.metric,
        )

    def _dtype_on(self, device: torch.device) -> torch.dtype:
        if self.dtype is not None:
            return _DTYPES[self.dtype]
        return torch.float16 if device.type == "cuda" and self.model.half else torch.float32


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _to_guess(estimate: DistanceEstimate, guess: DistanceEstimate, scale: float) -> DistanceEstimate:
    """Multiply distances of unknown unit so that their median is that of a guess."""
    own, other = estimate.distance.cpu(), guess.distance.cpu()
    both = estimate.valid.cpu() & guess.valid.cpu()
    if not bool(both.any()):
        return estimate
    factor = float((other[both].log() - own[both].log()).median().exp()) * scale
    return dataclasses.replace(estimate, distance=estimate.distance * factor)


def release_networks() -> None:
    """Give back the memory of the network that is kept for the next panorama."""
    load_network.cache_clear()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthAnythingV2Backend(ViewBackend):
    """Depth Anything V2, relative: inverse z-depth up to a factor and a constant, large is near."""

    name: str = field(default="depth_anything_v2", init=False)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthAnythingV2IndoorBackend(ViewBackend):
    """Depth Anything V2 in metres, trained on rooms up to 20 m: z-depth, large is far."""

    name: str = field(default="depth_anything_v2_indoor", init=False)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthAnythingV2OutdoorBackend(ViewBackend):
    """Depth Anything V2 in metres, trained on streets up to 80 m: z-depth, large is far."""

    name: str = field(default="depth_anything_v2_outdoor", init=False)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthProBackend(ViewBackend):
    """Depth Pro in metres: inverse z-depth, large is near; the views' angle is known, its guess unused."""

    name: str = field(default="depth_pro", init=False)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ZoeDepthBackend(ViewBackend):
    """ZoeDepth in metres, for rooms and streets: z-depth, large is far."""

    name: str = field(default="zoedepth", init=False)
