"""The backends: all views of all panoramas in one call, the rig, then the fusion on each sphere."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ...check import check_erp, check_shape
from ...errors import InputError, MemoryBudgetError, Progress
from ...geometry import erp_to_perspective, perspective_to_erp, resize_erp, se3_inverse
from .._types import DistanceEstimate
from ..fusion import CropDepths, FusedSphere, fuse_crops, sphere_views
from ..given import GivenBackend
from ..poses import PanoramaPoses
from ..tiny import TinyBackend
from ..transformers_depth import VIEW_FOV, SkySource
from ..transformers_depth._sky import far_scores, sky_of
from ._adapters import ADAPTERS, Views
from ._load import find_weights, load_network
from ._models import MULTIVIEW_MODELS, MultiViewModel
from ._rig import RigFit, fit_rig
from ._types import MultiViewResult, ViewPredictions

__all__ = [
    "DepthAnything3Backend",
    "MultiViewBackend",
    "Pi3Backend",
    "Pi3XBackend",
    "VGGTBackend",
    "release_multiview_network",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MultiViewBackend:
    """A network that relates all its views, on views that cover the spheres.

    Attributes:
        weights: folder with the weights' files; None for the published ones.
        size: which of the published weights, "" for the default.
        download: fetch weights that are not there; else they come from the folder or the hub's cache alone.
        device: "cuda", "cpu", "mps"; None for a GPU where there is one.
        level_views: views around the horizon of each panorama.
        tilted_views: views in each of the rings 50° above and below it.
        view_size: pixels of the square views; None for what the network was made for.
        min_confidence: pixels that the network trusts less (0..1) take no part in the fusion.
        fusion_height: of the panoramas the views are merged on, at most, pixels.
        sky: "both" takes what is far away and what the bundled network calls sky together, "far" only the
            distance, "off" knows no sky; networks that know the sky themselves are believed.
        scale: multiplies the distances and the baselines.
    """

    weights: Path | str | None = None
    size: str = ""
    download: bool = False
    device: str | None = None
    level_views: int = 6
    tilted_views: int = 4
    view_size: int | None = None
    min_confidence: float = 0.1
    fusion_height: int = 512
    sky: SkySource = "both"
    scale: float = 1.0
    name: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if self.sky not in ("both", "far", "off"):
            raise InputError(f"sky: expected both, far or off, got {self.sky!r}")
        if self.view_size is not None and (self.view_size < 28 or self.view_size % 14):
            raise InputError(f"view_size: expected a multiple of 14 from 28 on, got {self.view_size}")
        if not 0 <= self.min_confidence < 1:
            raise InputError(f"min_confidence: expected 0 to 1, got {self.min_confidence}")
        if self.fusion_height < 16:
            raise InputError(f"fusion_height: expected at least 16 pixels, got {self.fusion_height}")
        if not self.scale > 0:
            raise InputError(f"scale: expected a number above 0, got {self.scale}")

    @property
    def model(self) -> MultiViewModel:
        """Licence, memory, package and what its numbers mean."""
        return MULTIVIEW_MODELS[self.name]

    def estimate(self, rgb: Tensor, *, progress: Progress | None = None) -> DistanceEstimate:
        """Distances of a single panorama (3, H, W); its views help each other."""
        return self.estimate_all([rgb], progress=progress).estimates[0]

    def estimate_all(
        self, panoramas: Sequence[Tensor], *, progress: Progress | None = None
    ) -> MultiViewResult:
        """Poses and distances of panoramas of one scene, from one call of the network.

        The unit is the network's where that is a metre; else it is brought to what the bundled network
        guesses, and is not called metric.

        Args:
            panoramas: each (3, H, W) 0..1, W = 2 H, levelled; sizes may differ.
            progress: called with (steps done, steps).

        Raises:
            BackendUnavailableError: no weights, or the network's package is not installed.
            InputError: the weights are of another network, or the network found nothing.
            MemoryBudgetError: the GPU is too small.
        """
        if not panoramas:
            raise InputError("panoramas: expected at least one, got none")
        for index, rgb in enumerate(panoramas):
            check_shape(f"panoramas[{index}]", rgb, "3 H W")
            check_erp(f"panoramas[{index}]", rgb)
        total = len(panoramas) + 2
        device = torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        folder = find_weights(
            self.model,
            self.weights,
            self.size,
            download=self.download,
            needs_config=self.model.needs_config,
        )
        net = load_network(self.name, folder, device)
        pictures = [rgb.detach().cpu().float().clamp(0, 1) for rgb in panoramas]
        views = self._views(pictures)
        _report(progress, 1, total)
        found = self._call(net, views, device)
        _report(progress, 2, total)
        rig = fit_rig(found.T_world_view, views.rotations, views.panorama, _typical(found, views))
        need_guess = not found.metric or (self.sky == "both" and found.sky is None)
        guesses = [TinyBackend().estimate(rgb) if need_guess else None for rgb in pictures]
        estimates, fusions = [], []
        for index, rgb in enumerate(pictures):
            fused, sky = self._sphere(found, views, index, guesses[index], rgb.shape[-2])
            estimates.append(self._at_size(fused, sky, panoramas[index], found.metric))
            fusions.append(fused.report)
            _report(progress, 3 + index, total)
        factor = self.scale * (1.0 if found.metric else _guessed_scale(estimates, guesses))
        return MultiViewResult(
            poses=self._poses(rig, factor, found.metric),
            estimates=tuple(dataclasses.replace(one, distance=one.distance * factor) for one in estimates),
            rig=rig,
            fusions=tuple(fusions),
        )

    def _views(self, pictures: list[Tensor]) -> Views:
        rotations = sphere_views(level=self.level_views, tilted=self.tilted_views)
        crop = self.view_size or self.model.crop
        cut = [
            erp_to_perspective(rgb, rotations, fov_x=VIEW_FOV, height=crop, width=crop).clamp(0, 1)
            for rgb in pictures
        ]
        return Views(
            rgb=torch.cat(cut),
            rotations=rotations.repeat(len(pictures), 1, 1),
            panorama=torch.arange(len(pictures)).repeat_interleave(len(rotations)),
            fov_x=VIEW_FOV,
        )

    def _call(self, net: object, views: Views, device: torch.device) -> ViewPredictions:
        try:
            return ADAPTERS[self.name](net, views, device)
        except torch.cuda.OutOfMemoryError as error:
            variant = self.model.variants[self.size or next(iter(self.model.variants))]
            wanted = variant.vram_gigabytes + self.model.vram_per_view * len(views.rgb)
            raise MemoryBudgetError(
                f"{self.model.title}: the GPU's memory is too small for {len(views.rgb)} views at once, "
                f"which need about {wanted:.0f} GB; give fewer panoramas or views, a smaller view_size, a "
                "smaller model, or device='cpu'"
            ) from error

    def _sphere(
        self,
        found: ViewPredictions,
        views: Views,
        index: int,
        guess: DistanceEstimate | None,
        height: int,
    ) -> tuple[FusedSphere, Tensor]:
        """The fused distances of a panorama, in the network's unit, and its sky (H, W), both small."""
        own = views.panorama == index
        rotations, distance = views.rotations[own], found.distance[own]
        # also of views whose direction the network got wrong: what they see is in their own camera
        good = distance.isfinite() & (distance > 0)
        trusted = good & (found.confidence[own] >= self.min_confidence)
        small = min(height, self.fusion_height)
        # where nothing is trusted, it is too far to say
        values = torch.where(good, distance, distance[good].max() if bool(good.any()) else 1.0)
        far = far_scores(values, rotations, VIEW_FOV, "distance", None, small)
        if self.sky == "off":
            sky = torch.zeros_like(far)
        elif found.sky is not None:
            sky = perspective_to_erp(found.sky[own][:, None], rotations, fov_x=VIEW_FOV, height=small)[0][0]
        else:
            guessed = guess is not None and self.sky == "both"
            sky = sky_of(far, resize_erp(guess.sky[None], small)[0] if guessed and guess else None)
        crops = CropDepths(
            values=distance,
            rotations=rotations,
            fov_x=VIEW_FOV,
            quantity="distance",
            freedom="metric",  # one unit for all: the typical view keeps it
            valid=trusted,
            confidence=found.confidence[own].clamp(0, 1),
        )
        fused = fuse_crops(crops, small, exclude=sky >= 0.5)
        for warning in fused.report.warnings:
            _log.warning("%s, panorama %d: %s", self.model.title, index + 1, warning)
        return fused, sky

    def _at_size(self, fused: FusedSphere, sky: Tensor, rgb: Tensor, metric: bool) -> DistanceEstimate:
        """From the fusion's panorama to that of the photograph, edges kept."""
        height = rgb.shape[-2]
        is_sky = (sky >= 0.5) & ~fused.valid
        encoded = torch.where(fused.valid, fused.distance, torch.where(is_sky, math.inf, 0.0))
        if not bool((fused.valid | is_sky).any()):
            raise InputError(f"{self.model.title}: found neither a surface nor sky in the panorama")
        at = GivenBackend(depth=encoded, metric=metric).estimate(torch.zeros(3, height, 2 * height))
        confidence = resize_erp(fused.confidence[None], height)[0].clamp(0, 1)
        return DistanceEstimate(
            distance=at.distance.to(rgb.device),
            confidence=torch.where(at.valid, confidence, 0.0).to(rgb.device),
            sky=torch.maximum(resize_erp(sky[None], height)[0], at.sky).clamp(0, 1).to(rgb.device),
            valid=at.valid.to(rgb.device),
            metric=metric,
        )

    def _poses(self, rig: RigFit, factor: float, metric: bool) -> PanoramaPoses:
        count = len(rig.T_world_pano)
        registered = rig.registered.clone() if count > 1 else torch.ones(1, dtype=torch.bool)
        warnings = [
            f"Panorama {i + 1} has no place: its views contradict each other, by "
            f"{math.degrees(float(rig.rotation_error[i])):.0f}° and {float(rig.centre_spread[i]):.0%} of the "
            "typical distance. Is it of the same scene, and levelled?"
            for i in (~registered).nonzero()[:, 0].tolist()
        ]
        poses = torch.eye(4).repeat(count, 1, 1)
        kept = registered.nonzero()[:, 0]
        if len(kept):
            T_first_world = se3_inverse(rig.T_world_pano[kept[0]].double())
            poses[kept] = (T_first_world @ rig.T_world_pano[kept].double()).float()
            poses[kept, :3, 3] *= factor
            poses[kept[0]] = torch.eye(4)
        for warning in warnings:
            _log.warning("%s: %s", self.model.title, warning)
        return PanoramaPoses(
            T_world_cam=poses,
            registered=registered,
            metric=metric,
            warnings=tuple(warnings),
            method=self.name,
        )


def _typical(found: ViewPredictions, views: Views) -> Tensor:
    """(P,) median distance of what each panorama sees."""
    out = []
    for index in range(int(views.panorama.max()) + 1):
        values = found.distance[views.panorama == index]
        values = values[values.isfinite() & (values > 0)]
        out.append(values.median() if len(values) else torch.tensor(1.0))
    return torch.stack(out)


def _guessed_scale(estimates: list[DistanceEstimate], guesses: list[DistanceEstimate | None]) -> float:
    """One factor for all panoramas, by which their distances agree with the bundled network's."""
    ratios = []
    for own, guess in zip(estimates, guesses, strict=True):
        if guess is None:
            continue
        both = own.valid.cpu() & guess.valid.cpu()
        ratios.append(guess.distance.cpu()[both].log() - own.distance.cpu()[both].log())
    every = torch.cat(ratios) if ratios else torch.zeros(0)
    return float(every.median().exp()) if len(every) else 1.0


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress:
        progress(done, total)


def release_multiview_network() -> None:
    """Give back the memory of the network that is kept for the next panoramas."""
    load_network.cache_clear()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pi3Backend(MultiViewBackend):
    """Pi3: points up to one factor for all views, no reference view."""

    name: str = field(default="pi3", init=False)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pi3XBackend(MultiViewBackend):
    """Pi3X: points in metres, about; it is told the views' angle and the first panorama's rig."""

    name: str = field(default="pi3x", init=False)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VGGTBackend(MultiViewBackend):
    """VGGT: z-depth up to one factor for all views."""

    name: str = field(default="vggt", init=False)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthAnything3Backend(MultiViewBackend):
    """Depth Anything 3: z-depth up to one factor for all views; `size="nested"`: metres, with sky."""

    name: str = field(default="depth_anything_3", init=False)
