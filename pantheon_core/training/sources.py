"""Where training clips come from: one small interface, and the sources behind it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, Protocol

import torch

from ..errors import InputError
from .clip_files import HELD_OUT_SEED, Clip, ClipFolder, ClipJob
from .config import TrainConfig

__all__ = ["ClipSource", "Order", "SyntheticClips", "ordered_clips", "training_source", "validation_clips"]

_KINDS: tuple[Literal["room", "street", "garden"], ...] = ("room", "street", "garden")

Order = tuple[int, torch.Generator, int, int]
"""(position, generator, frames, height) of one `draw`."""


class ClipSource(Protocol):
    """An endless, repeatable stream of clips.

    A source keeps no position: the clip follows from the arguments alone. So a resumed run goes on where it
    stopped, several processes share one stream, and clips may be prepared in threads.
    """

    @property
    def heights(self) -> tuple[int, ...]:
        """Heights of frames that `draw` can be asked for, rising; the width is twice that."""
        ...

    def draw(self, position: int, generator: torch.Generator, *, frames: int, height: int) -> Clip:
        """A clip.

        Args:
            position: number of the sample in the run; sources that go through their clips in an order use it.
            generator: all other randomness.
            frames: length of the training window. Where `Clip.window` is not set, the trainer picks so many
                from the clip's frames.
            height: one of `heights`.
        """
        ...


class SyntheticClips:
    """Procedural scenes, rendered when they are drawn; a new scene for every position.

    Args:
        config: height, corruption, shares.
        held_out: take scenes that training never sees.
    """

    def __init__(self, config: TrainConfig, *, held_out: bool = False) -> None:
        self._config = config
        self._first = HELD_OUT_SEED if held_out else 0

    @property
    def heights(self) -> tuple[int, ...]:
        """The configured height."""
        return (self._config.data.height,)

    def draw(self, position: int, generator: torch.Generator, *, frames: int, height: int) -> Clip:
        """Trace a scene, corrupt its cache as configured, render the scaffold."""
        from .clips import make_clip

        data, draw = self._config.data, torch.rand(4, generator=generator)
        # Seeds of training end where the held-out ones begin; then the scenes repeat.
        job = ClipJob(
            seed=self._first + (self._config.seed * 7919 + position // len(_KINDS)) % HELD_OUT_SEED,
            kind=_KINDS[position % len(_KINDS)],
            height=height,
            source_height=height,
            frames=frames,
            anchors=2 if draw[0] < 0.2 else 1,
            corrupt=bool(draw[1] < data.corrupt_share),
            wide=bool(draw[2] < data.wide_share),
        )
        return make_clip(job, corruption=data.corruption, generator=generator)


def training_source(config: TrainConfig) -> ClipSource:
    """The source that the table [data] describes."""
    data = config.data
    if data.source == "clips":
        return ClipFolder(data.clips, held_out=False)
    if data.source == "synthetic":
        return SyntheticClips(config)
    from .point_clips import PointClips

    return PointClips(config, data.path)


def validation_clips(config: TrainConfig) -> list[Clip]:
    """The fixed clips that validation samples, drawn in the same way every time.

    Raises:
        InputError: there are none.
    """
    data, settings = config.data, config.validation
    source: ClipSource
    if data.source == "clips":
        source = ClipFolder(data.clips, held_out=True)
        count = len(source.files)
        picks = [source.read(i * count // settings.clips) for i in range(min(settings.clips, count))]
        return [_first_frames(clip, settings.frames) for clip in picks]
    if data.source == "synthetic":
        source = SyntheticClips(config, held_out=True)
    elif data.validation_path:
        from .point_clips import PointClips

        source = PointClips(config, data.validation_path, training=False)
    else:
        raise InputError(
            "config: data.validation_path: validation needs clips that are not trained on; name their place "
            "or set validation.every = 0"
        )
    orders = [
        (number, torch.Generator().manual_seed(settings.seed * 1009 + number), settings.frames, data.height)
        for number in range(settings.clips)
    ]
    return list(ordered_clips(source, iter(orders)))


def ordered_clips(source: ClipSource, orders: Iterator[Order], *, workers: int = 0) -> Iterator[Clip]:
    """Clips in the order asked for, prepared ahead by threads; the clips do not depend on their number."""
    if workers == 0:
        for position, generator, frames, height in orders:
            yield source.draw(position, generator, frames=frames, height=height)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="pantheon-clips")
    waiting: list[Future[Clip]] = []
    try:
        while True:
            while len(waiting) < 2 * workers and (order := next(orders, None)) is not None:
                position, generator, frames, height = order
                waiting.append(pool.submit(source.draw, position, generator, frames=frames, height=height))
            if not waiting:
                return
            yield waiting.pop(0).result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _first_frames(clip: Clip, frames: int) -> Clip:
    """The first frames of a clip with one anchor; one with two keeps its length, whose end is an anchor."""
    if clip.anchors == 2:
        return clip
    return Clip(
        rgb=clip.rgb[:frames],
        scaffold=clip.scaffold[:frames],
        coverage=clip.coverage[:frames],
        distance=clip.distance[:frames],
        anchors=1,
    )
