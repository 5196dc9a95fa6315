"""From photographs to one clean cache: distances, masks, sky, merging, cleaning, scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..cache import PointCache, merge_caches
from ..cache.cleaning import CleanReport, CleanSettings, ScaleReport, clean_cache, scale_by_camera_height
from ..check import check_shape
from ..errors import InputError
from ..panorama import Panorama
from ..recon import ReconBackend, ReconSettings, cache_from_estimate
from ..recon.given import with_sky
from .walk import Stages

__all__ = ["BuiltCache", "build_cache"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BuiltCache:
    """A cache, what cleaning did to it, and how it came to metres; None for what was not asked for."""

    cache: PointCache
    cleaned: CleanReport | None = None
    scaled: ScaleReport | None = None


def build_cache(
    panoramas: Sequence[Panorama],
    backend: ReconBackend,
    *,
    T_world_cam: Tensor | None = None,
    settings: ReconSettings | None = None,
    sky: Callable[[Tensor], Tensor] | None = None,
    clean: CleanSettings | None = None,
    camera_height: float | None = None,
    stages: Stages | None = None,
) -> BuiltCache:
    """Reconstruct photographs of one scene.

    Args:
        panoramas: one or more; what is not `valid` in them becomes a hole.
        backend: what estimates the distance.
        T_world_cam: (A, 4, 4) where they were taken; None for a single one, whose camera is the world.
        settings: confidence, sky and edges.
        sky: from rgb (3, H, W) to sky (H, W) 0..1, in place of the backend's.
        clean: None cleans nothing.
        camera_height: metres of the first camera above the floor, which scales the cache; None leaves it.
        stages: hears of the progress and keeps the times.

    Raises:
        InputError: no panorama, or several without their places.
        PantheonError: as the backend, `merge_caches` and `scale_by_camera_height`.
    """
    stages = stages or Stages()
    if not panoramas:
        raise InputError("panoramas: expected at least one, got none")
    if T_world_cam is None:
        if len(panoramas) > 1:
            raise InputError(
                f"T_world_cam: expected the places of the {len(panoramas)} panoramas, got none; without them "
                "they cannot be put into one scene"
            )
        T_world_cam = torch.eye(4)[None]
    check_shape("T_world_cam", T_world_cam, "A 4 4", A=len(panoramas))
    caches = []
    for index, (panorama, pose) in enumerate(zip(panoramas, T_world_cam, strict=True)):
        with stages.run("cache" if len(panoramas) == 1 else f"cache {index + 1}") as progress:
            estimate = backend.estimate(panorama.rgb, progress=progress)
            if sky is not None:
                estimate = with_sky(estimate, sky(panorama.rgb))
            shown = replace(
                estimate, valid=estimate.valid & panorama.valid, sky=estimate.sky * panorama.valid
            )
            caches.append(
                cache_from_estimate(
                    panorama.rgb, shown, settings=settings, T_world_cam=pose, backend=backend.name
                )
            )
    cache, cleaned, scaled = merge_caches(caches), None, None
    if clean is not None:
        with stages.run("clean") as progress:
            cache, cleaned = clean_cache(cache, clean, progress=progress)
    if camera_height is not None:
        cache, scaled = scale_by_camera_height(cache, camera_height)
    return BuiltCache(cache=cache, cleaned=cleaned, scaled=scaled)
