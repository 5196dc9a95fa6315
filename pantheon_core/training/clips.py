"""Training clips from synthetic scenes: true frames, and the scaffold of the real cache and renderer."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ..errors import Progress
from .clip_files import HELD_OUT_SEED, Clip, ClipFolder, ClipJob, write_clip
from .config import CorruptionConfig, TrainConfig
from .corruption import corrupt
from .loop import FitResult

if TYPE_CHECKING:
    from ..cache import PointCache
    from ..synthetic import Scene, TracedFrame

__all__ = [
    "HELD_OUT_SEED",
    "Clip",
    "ClipFolder",
    "ClipJob",
    "disturb",
    "held_out_jobs",
    "make_clip",
    "render_clips",
    "write_clip",
]

_log = logging.getLogger(__name__)

_KINDS: tuple[Literal["room", "street", "garden"], ...] = ("room", "street", "garden")
_FPS = 7.0
_NARROW, _WIDE = (0.0, 0.4), (0.25, 0.6)
"""Lengths of paths as shares of the free way."""

_FARTHEST = 60_000.0
"""Half precision ends at 65,504."""


def render_clips(config: TrainConfig, *, progress: Progress | None = None) -> FitResult:
    """Render clips that are not in the folder yet; may be stopped and started again at any time."""
    folder = Path(config.data.clips)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = plan_jobs(config)
    start, done = time.monotonic(), 0
    for number, job in enumerate(jobs):
        path = folder / job.filename
        if not path.is_file():
            if config.max_seconds and time.monotonic() - start > config.max_seconds:
                break
            write_clip(path, job, make_clip(job))
        done += 1
        if progress is not None:
            progress(number + 1, len(jobs))
        if done % 20 == 0:
            _log.info("clips: %d of %d, %.0f s", done, len(jobs), time.monotonic() - start)
    return FitResult(step=done, finished=done == len(jobs), losses=(), averaged={})


def held_out_jobs(count: int, *, wide: bool = False) -> list[ClipJob]:
    """Clips for evaluation, `count` of each kind; of five, one is 256x512 and one has two anchors."""
    return [
        ClipJob(
            seed=HELD_OUT_SEED + index + (100 if wide else 0),
            kind=kind,
            height=256 if index % 5 == 4 else 128,
            source_height=256,
            anchors=2 if index % 5 == 3 else 1,
            wide=wide,
        )
        for index in range(count)
        for kind in _KINDS
    ]


def plan_jobs(config: TrainConfig) -> list[ClipJob]:
    """All clips of a run: the kinds in turn, a quarter at 256x512, a fifth with two anchors."""
    training = []
    for index in range(config.data.clip_count):
        for kind in _KINDS:
            rng = torch.Generator().manual_seed(config.seed * 1_000_003 + index * 31 + _KINDS.index(kind))
            draw = torch.rand(5, generator=rng)
            big = bool(draw[0] < 0.25)
            training.append(
                ClipJob(
                    seed=index,
                    kind=kind,
                    height=256 if big else 128,
                    source_height=256 if big or draw[1] < 0.5 else 128,
                    frames=8 if big else 14,
                    anchors=2 if draw[2] < 0.2 else 1,
                    corrupt=bool(draw[3] < config.data.corrupt_share),
                    wide=bool(draw[4] < config.data.wide_share),
                )
            )
    # Held-out clips come among the first hundred, so that evaluation can start early.
    held, mixed = held_out_jobs(config.data.held_out), []
    while held or training:
        mixed += training[:6] + held[:1]
        training, held = training[6:], held[1:]
    return mixed


def make_clip(
    job: ClipJob,
    *,
    corruption: CorruptionConfig | None = None,
    generator: torch.Generator | None = None,
) -> Clip:
    """Trace the truth, build the cache from the anchors' own frames, render the scaffold.

    Args:
        job: decides everything but the corruption.
        corruption: of cache and cameras.
        generator: of the corruption; None leaves them as they are.
    """
    from ..render import render_path
    from ..synthetic import generate_scene, scene_path, trace

    scene = generate_scene(job.seed, job.kind)
    share = _WIDE if job.wide else _NARROW
    path = scene_path(scene, job.seed, job.frames, _FPS, share=share)
    truth = torch.stack([trace(scene, pose, job.height, samples=2).rgb for pose in path])
    cache = _scene_cache(scene, path, job)
    scaffold, distance = torch.zeros_like(truth), torch.zeros_like(truth[:, 0])
    coverage = torch.ones_like(distance).bool()
    seen_from = path
    if corruption is not None and generator is not None:
        cache, seen_from = corrupt(cache, path, corruption, generator)
    for index, frame in enumerate(render_path(cache, seen_from, job.height, workers=1)):
        scaffold[index], coverage[index] = frame.rgb * frame.coverage, frame.coverage
        distance[index] = frame.distance
    for index in (0, job.frames - 1)[: job.anchors]:
        scaffold[index], coverage[index] = truth[index], True
    return Clip(
        rgb=_bytes(truth),
        scaffold=_bytes(scaffold),
        coverage=coverage,
        distance=distance.clamp_max(_FARTHEST).half(),
        anchors=job.anchors,
        window=generator is not None,
    )


def disturb(distance: Tensor, valid: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Errors as a depth network makes them: warped, noisy, smeared at edges, with missing points.

    Args:
        distance: (H, W) metres.
        valid: (H, W) bool.
        generator: draws kind and amount.

    Returns:
        Distance and validity of the same shapes.
    """
    height, width = distance.shape
    amount = torch.rand(4, generator=generator)
    coarse = torch.randn(1, 1, 4, 8, generator=generator)
    fine = torch.randn(1, 1, height // 8, width // 8, generator=generator)
    size = (height, width)
    warp = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic")[0, 0] * 0.08 * amount[0]
    warp = warp + torch.nn.functional.interpolate(fine, size=size, mode="bicubic")[0, 0] * 0.01 * amount[1]
    bent = distance * warp.exp()
    if amount[2] < 0.5:
        # Edges are smeared in inverse distance, where depth networks predict.
        inverse = torch.where(valid, 1 / bent.clamp_min(1e-3), 0.0)[None, None]
        weight = valid.float()[None, None]
        blur = torch.nn.functional.avg_pool2d(inverse, 3, 1, 1, count_include_pad=False)
        share = torch.nn.functional.avg_pool2d(weight, 3, 1, 1, count_include_pad=False)
        bent = torch.where(valid, (share / blur.clamp_min(1e-6))[0, 0], bent)
    keep = valid
    if amount[3] < 0.4:
        keep = valid & (torch.rand(height, width, generator=generator) > amount[3])
    return bent.clamp_min(0.05), keep


def _scene_cache(scene: Scene, path: Tensor, job: ClipJob) -> PointCache:
    from ..cache import CacheSettings, cache_from_erp
    from ..synthetic import trace

    caches = []
    for place in (0, job.frames - 1)[: job.anchors]:
        frame: TracedFrame = trace(scene, path[place], job.source_height, samples=2)
        distance, valid = frame.distance, frame.valid
        rule: Literal["plane", "range"] = "plane"
        if job.corrupt:
            rng = torch.Generator().manual_seed(job.seed * 2 + place + 5)
            distance, valid = disturb(distance, valid, rng)
            rule = "range"
        settings = CacheSettings(edge_rule=rule)
        caches.append(
            cache_from_erp(
                frame.rgb, distance, valid, sky=frame.sky, T_world_cam=path[place], settings=settings
            )
        )
    if len(caches) == 1:
        return caches[0]
    from ..cache import merge_caches

    return merge_caches(caches)


def _bytes(frames: Tensor) -> Tensor:
    return (frames.clamp(0, 1) * 255).round().to(torch.uint8)
