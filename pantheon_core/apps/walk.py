"""From one photograph and a path to its scaffold: the stages in their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from torch import Tensor

from ..cache import PointCache
from ..errors import Progress
from ..panorama import Panorama
from ..recon import ReconBackend, ReconSettings, cache_from_estimate
from ..trajectory import ClearanceReport, Trajectory, clearance
from .scaffold import Anchor, Scaffold, render_cache, render_scaffold

__all__ = ["MINIMUM_CLEARANCE", "Stages", "Walk", "panorama_cache", "walk_cache", "walk_scaffold"]

MINIMUM_CLEARANCE = 0.1
"""A path nearer than this to the cache's surface gets a warning, in the cache's units."""


@dataclass(slots=True)
class Stages:
    """Names the stages of a run to the caller and keeps how long each took.

    Attributes:
        progress: called with a stage's name when it starts; returns that stage's progress function.
        seconds: stage -> seconds, in the order in which they ran.
    """

    progress: Callable[[str], Progress | None] = lambda name: None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def run(self, name: str) -> Iterator[Progress | None]:
        """Time one stage and give its progress function."""
        start = time.perf_counter()
        try:
            yield self.progress(name)
        finally:
            self.seconds[name] = time.perf_counter() - start


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Walk:
    """A cache and what it shows along a path.

    Attributes:
        cache: the 3D cache; of a single photograph, its world is the camera.
        scaffold: the cache along the path.
        clearance: how near the path comes to the cache.
    """

    cache: PointCache
    scaffold: Scaffold
    clearance: ClearanceReport


def panorama_cache(
    panorama: Panorama,
    backend: ReconBackend,
    *,
    settings: ReconSettings,
    T_world_cam: Tensor | None = None,
    progress: Progress | None = None,
) -> PointCache:
    """The 3D cache of one panorama; what the photograph does not show stays out of it.

    Args:
        panorama: the photograph.
        backend: what estimates the distance.
        settings: confidence, sky and edges.
        T_world_cam: (4, 4) where it was taken; None means that its camera is the world.
        progress: called with (steps done, steps).

    Raises:
        PantheonError: as the backend.
    """
    estimate = backend.estimate(panorama.rgb, progress=progress)
    shown = replace(estimate, valid=estimate.valid & panorama.valid, sky=estimate.sky * panorama.valid)
    return cache_from_estimate(
        panorama.rgb, shown, settings=settings, T_world_cam=T_world_cam, backend=backend.name
    )


def walk_scaffold(
    panorama: Panorama,
    trajectory: Trajectory,
    backend: ReconBackend,
    *,
    height: int,
    settings: ReconSettings,
    stages: Stages,
) -> Walk:
    """Reconstruct one panorama and render it along a path.

    Args:
        panorama: the photograph; its camera is the world.
        trajectory: T_world_cam (T, 4, 4).
        backend: what estimates the distance.
        height: H of the scaffold's frames in pixels; W = 2 H.
        settings: confidence, sky and edges.
        stages: hears of the progress and keeps the times.

    Raises:
        PantheonError: as `panorama_cache` and `render_scaffold`.
    """
    with stages.run("cache") as progress:
        cache = panorama_cache(panorama, backend, settings=settings, progress=progress)
    with stages.run("path"):
        report = clearance(trajectory, cache.points, minimum=MINIMUM_CLEARANCE)
    with stages.run("scaffold") as progress:
        anchor = Anchor.at_origin(panorama.rgb, panorama.valid)
        scaffold = render_scaffold(cache, trajectory, [anchor], height=height, progress=progress)
    return Walk(cache=cache, scaffold=scaffold, clearance=report)


def walk_cache(cache: PointCache, trajectory: Trajectory, *, height: int, stages: Stages) -> Walk:
    """Render a finished cache along a path.

    Args:
        cache: of several panoramas, or of another program.
        trajectory: T_world_cam (T, 4, 4) in the cache's world.
        height: H of the scaffold's frames in pixels; W = 2 H.
        stages: hears of the progress and keeps the times.

    Raises:
        PantheonError: as `render_cache`.
    """
    with stages.run("path"):
        report = clearance(trajectory, cache.points, minimum=MINIMUM_CLEARANCE)
    with stages.run("scaffold") as progress:
        scaffold = render_cache(cache, trajectory, height=height, progress=progress)
    return Walk(cache=cache, scaffold=scaffold, clearance=report)
