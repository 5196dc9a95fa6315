"""The registry of backends, and panorama -> cache."""

from __future__ import annotations

import dataclasses
import importlib

from torch import Tensor

from ..cache import PointCache, cache_from_erp
from ..check import check_erp, check_finite, check_shape
from ..errors import InputError, Progress
from ._types import DistanceEstimate, ReconBackend, ReconSettings

__all__ = ["BACKENDS", "cache_from_estimate", "get_backend", "reconstruct"]

BACKENDS: dict[str, str] = {
    "tiny": "tiny:TinyBackend",
    "given": "given:GivenBackend",
    "synthetic": "synthetic:SyntheticBackend",
    "depth_anything_v2": "transformers_depth:DepthAnythingV2Backend",
    "depth_anything_v2_indoor": "transformers_depth:DepthAnythingV2IndoorBackend",
    "depth_anything_v2_outdoor": "transformers_depth:DepthAnythingV2OutdoorBackend",
    "depth_pro": "transformers_depth:DepthProBackend",
    "zoedepth": "transformers_depth:ZoeDepthBackend",
    "moge": "moge:MoGeBackend",
    "moge_v1": "moge:MoGeV1Backend",
    "pi3": "multiview:Pi3Backend",
    "pi3x": "multiview:Pi3XBackend",
    "vggt": "multiview:VGGTBackend",
    "depth_anything_3": "multiview:DepthAnything3Backend",
    "depth_anything_3_metric": "multiview:DepthAnything3MetricBackend",
    "dap": "dap:DAPBackend",
}
"""Name -> "module:class" in this package; a module is imported when its backend is asked for."""


def get_backend(name: str, **options: object) -> ReconBackend:
    """Make a backend.

    Args:
        name: a key of `BACKENDS`.
        options: arguments of the backend's class.

    Raises:
        InputError: unknown name, or options that the backend does not take.
        BackendUnavailableError: the backend's package or weights are missing.
    """
    if name not in BACKENDS:
        raise InputError(f"backend: expected one of {', '.join(BACKENDS)}, got {name!r}")
    module, _, class_name = BACKENDS[name].partition(":")
    cls = getattr(importlib.import_module(f".{module}", __package__), class_name)
    fields = [f.name for f in dataclasses.fields(cls) if f.init]
    unknown = sorted(set(options) - set(fields))
    if unknown:
        raise InputError(f"backend {name!r}: expected options {', '.join(fields)}, got {', '.join(unknown)}")
    needed = [
        f.name
        for f in dataclasses.fields(cls)
        if f.init and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in needed if name not in options]
    if missing:
        raise InputError(f"backend {name!r}: the options {', '.join(missing)} are needed; pass them by name")
    return cls(**options)


def reconstruct(
    panorama_rgb: Tensor,
    backend: ReconBackend | str = "tiny",
    *,
    settings: ReconSettings | None = None,
    T_world_cam: Tensor | None = None,
    progress: Progress | None = None,
) -> PointCache:
    """Build the 3D cache of one panorama.

    Args:
        panorama_rgb: (3, H, W) float 0..1, W = 2 H, levelled.
        backend: made by `get_backend`, or the name of one that needs no options.
        settings: see ReconSettings.
        T_world_cam: (4, 4) camera of the panorama; None means it is the world frame.
        progress: called with (steps done, steps).

    Raises:
        ShapeError, ConventionError: not a panorama.
        InputError: values that are not finite.
    """
    check_shape("panorama_rgb", panorama_rgb, "3 H W")
    check_erp("panorama_rgb", panorama_rgb)
    check_finite("panorama_rgb", panorama_rgb)
    if isinstance(backend, str):
        backend = get_backend(backend)
    estimate = backend.estimate(panorama_rgb, progress=progress)
    return cache_from_estimate(
        panorama_rgb, estimate, settings=settings, T_world_cam=T_world_cam, backend=backend.name
    )


def cache_from_estimate(
    panorama_rgb: Tensor,
    estimate: DistanceEstimate,
    *,
    settings: ReconSettings | None = None,
    T_world_cam: Tensor | None = None,
    backend: str = "",
) -> PointCache:
    """Build the cache from distances that are already known; `backend` goes into the provenance."""
    settings = settings or ReconSettings()
    valid = estimate.valid
    # below a high threshold a pixel without a distance stays sky rather than a hole
    sky = (estimate.sky >= settings.sky_threshold) | (~valid & (estimate.sky >= 0.5))
    if settings.remove_sky:
        valid = valid & ~sky
    else:
        sky = sky & ~valid
    if settings.max_distance > 0:
        valid = valid & (estimate.distance <= settings.max_distance)
    cache = cache_from_erp(
        panorama_rgb,
        estimate.distance,
        valid,
        confidence=estimate.confidence,
        sky=sky,
        T_world_cam=T_world_cam,
        metric=estimate.metric,
        settings=dataclasses.replace(settings.cache, confidence_threshold=settings.confidence_threshold),
    )
    own = {
        "backend": backend,
        "recon.remove_sky": settings.remove_sky,
        "recon.sky_threshold": settings.sky_threshold,
        "recon.max_distance": settings.max_distance,
    }
    return dataclasses.replace(cache, provenance=cache.provenance | own)
