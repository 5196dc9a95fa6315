"""Generating a long video window by window."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ...cache import PointCache
from ...check import check_shape
from ...diffusion import (
    FusionSettings,
    GeneratedVideo,
    PantheonModel,
    SamplerSettings,
    VideoTask,
    generate_task,
)
from ...diffusion.generate import Preview
from ...errors import InputError, Progress
from ...render import RenderedFrame, pull_push, render_path
from ...trajectory import Trajectory
from ..scaffold import Anchor, anchor_at, put_photograph
from ._plan import Window, plan_windows
from ._store import StoredWindow, WindowStore, fingerprint_of

__all__ = ["LongSettings", "LongVideo", "WindowPreview", "generate_long", "run_fingerprint"]

WindowPreview: TypeAlias = Callable[[int, int, int, Tensor], None]
"""`preview(window, windows, step, frames (T, 3, h, w) rgb 0..1)`: a rough picture of every frame of a window.

Windows and steps count from 1.
"""

_log = logging.getLogger(__name__)
_SEED_STEP = 0x9E3779B97F4A7C15
"""Seeds of neighbouring windows lie far apart (2^64 over the golden ratio)."""

_UNITS = 1000
"""Progress of one window."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LongSettings:
    """How a long video is made.

    Attributes:
        height: H of the frames in pixels, W = 2 H.
        window: most frames that are generated at once; 0 takes the model's own.
        overlap: frames that a window shares with the one it goes on from; the latents fade over there.
        sampler: steps, guidance, seed; every window has a seed of its own, made from it.
        fusion: for windows that end on a panorama, with models of two anchors; None leaves it out.
    """

    height: int
    window: int = 0
    overlap: int = 2
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    fusion: FusionSettings | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LongVideo:
    """A finished long video, on disk.

    Attributes:
        store: the folder with its windows.
        coverage: (T,) share of each frame that the scaffold covers.
    """

    store: WindowStore
    coverage: Tensor

    def frames(self) -> Iterator[np.ndarray]:
        """All frames in order, (H, W, 3) uint8; one window is in memory at a time."""
        return self.store.frames()


def generate_long(
    model: PantheonModel,
    cache: PointCache,
    trajectory: Trajectory,
    anchors: Sequence[Anchor],
    folder: Path,
    *,
    settings: LongSettings,
    progress: Progress | None = None,
    preview: WindowPreview | None = None,
) -> LongVideo:
    """Generate a video along a path of any length.

    The path is divided into windows of the model's frames. A window goes on from the last frames of the one
    before; where the path stands on an anchor, a window ends on the true panorama and the next one starts
    from it. The scaffold is rendered window by window and finished windows are on disk: memory does not grow
    with the length. Called again with the same arguments after it was stopped or killed, it goes on behind
    the last finished window and ends with the same bytes.

    Args:
        model: on the device and in the dtype it is to run in.
        cache: the 3D cache.
        trajectory: T_world_cam (T, 4, 4) in the cache's world.
        anchors: the panoramas the cache was built from, with their poses; one or more.
        folder: of this run; made if it is not there.
        settings: size, windows, sampler.
        progress: `progress(done, total)`, in thousandths of a window; may raise `InterruptedByUser`.
        preview: called after every denoising step.

    Raises:
        InputError: no anchor, windows that bring nothing new, a folder of another run.
        MediaError: the disk has no room, or a window's file is damaged.
    """
    if not anchors:
        raise InputError("anchors: expected at least one panorama, got none; pass the ones of the cache")
    poses = trajectory.T_world_cam
    frames = check_shape("trajectory.T_world_cam", poses, "T 4 4")["T"]
    standing = {t: found for t in range(frames) if (found := anchor_at(anchors, poses[t])) is not None}
    windows = plan_windows(frames, settings.window or model.config.frames, settings.overlap, _stops(standing))
    store = WindowStore(
        folder,
        fingerprint=run_fingerprint(model, cache, trajectory, anchors, settings),
        windows=windows,
        frame_bytes=6 * settings.height**2,
    )
    if store.done:
        _log.info("going on behind %d of %d windows", store.done, len(windows))
    _check_dual(model, windows)
    meter = _Meter(len(windows), store.done, progress)
    views = _Views(
        cache, poses, settings.height, windows[store.done].start if store.done < len(windows) else frames
    )
    two_ends = model.config.variant != "single" or settings.fusion is not None
    # As read back, so that a resumed run goes on from the very same values.
    previous = store.read(store.done - 1) if store.done else None
    while store.done < len(windows):
        window = windows[store.done]
        seen = views.take(window)
        before = previous if window.chained else None
        task = _task(window, seen, standing, poses, before, two_ends=two_ends)
        made = generate_task(
            model,
            task,
            settings=replace(settings.sampler, seed=_seed(settings.sampler.seed, store.done)),
            fusion=settings.fusion if len(task.anchors) == 2 else None,
            progress=meter,
            preview=_preview_of(store.done + 1, len(windows), preview),
        )
        store.save(_stored(made, window, seen, settings.overlap))
        previous = store.read(store.done - 1)
        meter.done = store.done
    coverage = torch.cat([store.read(index).coverage for index in range(store.done)])
    return LongVideo(store=store, coverage=coverage)


def _preview_of(window: int, windows: int, preview: WindowPreview | None) -> Preview | None:
    return None if preview is None else lambda step, frames: preview(window, windows, step, frames)


def _stops(standing: dict[int, Anchor]) -> list[int]:
    """Frames on anchors; of several in a row (the camera turns on the spot) the first and the last."""
    return [t for t in standing if t - 1 not in standing or t + 1 not in standing]


def _seed(seed: int, window: int) -> int:
    return (seed + _SEED_STEP * window) % 2**64


def _check_dual(model: PantheonModel, windows: Sequence[Window]) -> None:
    """Say so if a model that always needs two panoramas gets windows with one."""
    if model.config.variant == "dual" and not all(window.ends_on_anchor for window in windows):
        raise InputError(
            f"window: the model {model.config.name!r} needs a panorama at either end of every window, and "
            "some windows have one alone; use a model for one panorama, windows as long as the path between "
            "two panoramas, or more panoramas"
        )


def _task(
    window: Window,
    views: Sequence[RenderedFrame],
    anchors: dict[int, Anchor],
    poses: Tensor,
    before: StoredWindow | None,
    *,
    two_ends: bool,
) -> VideoTask:
    """What a window's model is given; `anchors` are those that frames of the path stand on."""
    rgb = torch.stack([view.rgb for view in views])
    coverage = torch.stack([view.coverage for view in views])
    for frame in range(window.start, window.stop):
        if frame in anchors:
            place = frame - window.start
            true = put_photograph(anchors[frame], poses[frame], rgb[place], coverage[place])
            rgb[place], coverage[place] = true
    ends = [pull_push(rgb[0], coverage[0]) if before is None else before.chain_frame / 255.0]
    if two_ends and window.ends_on_anchor and len(views) > 1:
        ends.append(pull_push(rgb[-1], coverage[-1]))
    return VideoTask(
        scaffold_rgb=rgb,
        coverage=coverage,
        anchors=tuple(ends),
        distance=torch.stack([view.distance for view in views]),
        before=None if before is None else before.tail,
    )


def _stored(
    made: GeneratedVideo, window: Window, views: Sequence[RenderedFrame], overlap: int
) -> StoredWindow:
    """What the video and the next window need of it."""
    pixels = (made.frames * 255.0).round().to(torch.uint8)
    shared = min(overlap, len(pixels))
    return StoredWindow(
        frames=pixels[: window.keep - window.start],
        chain_frame=pixels[-shared],
        tail=made.latents[0, -shared:],
        coverage=torch.stack([v.coverage.float().mean() for v in views])[: window.keep - window.start],
    )


class _Views:
    """Rendered frames of one window after the other; those that two windows share are rendered once."""

    def __init__(self, cache: PointCache, poses: Tensor, height: int, start: int) -> None:
        self._stream = render_path(cache, poses[start:], height) if start < len(poses) else iter(())
        self._first = start
        self._held: deque[RenderedFrame] = deque()

    def take(self, window: Window) -> list[RenderedFrame]:
        while self._first < window.start:
            self._held.popleft()
            self._first += 1
        while self._first + len(self._held) < window.stop:
            self._held.append(next(self._stream))
        return list(self._held)[: window.stop - window.start]


class _Meter:
    """Progress of all windows in thousandths of one."""

    def __init__(self, windows: int, done: int, progress: Progress | None) -> None:
        self.windows, self.done, self.progress = windows, done, progress
        self(0, 1)

    def __call__(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(self.done * _UNITS + _UNITS * done // total, self.windows * _UNITS)


def run_fingerprint(
    model: PantheonModel,
    cache: PointCache,
    trajectory: Trajectory,
    anchors: Sequence[Anchor],
    settings: LongSettings,
) -> str:
    """A checksum of everything that decides the result, the same on every machine."""
    sky = (cache.sky.rgb, cache.sky.mask) if cache.sky is not None else ()
    return fingerprint_of(
        json.dumps([model.config.to_dict(), asdict(settings)], sort_keys=True),
        *model_samples(model),
        *(cache.points, cache.colors, cache.confidence, cache.anchor, cache.triangles, cache.edge, *sky),
        *(trajectory.T_world_cam, str(trajectory.fps)),
        *(part for anchor in anchors for part in (anchor.rgb, anchor.valid, anchor.T_world_cam)),
    )


def model_samples(model: PantheonModel) -> Iterator[str | Tensor]:
    """Names of all weights and their first values: enough to tell checkpoints apart, fast for gigabytes."""
    for name, value in sorted(model.state_dict().items()):
        yield f"{name} {tuple(value.shape)} {value.dtype}"
        yield value.detach().reshape(-1)[:64].cpu()
