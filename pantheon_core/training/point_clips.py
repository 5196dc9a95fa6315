"""Real clips with cameras and points: the scaffold is rendered from the points when a clip is drawn."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..cache import PointCache
from ..errors import InputError
from .clip_files import Clip
from .clip_format import read_cameras, read_frames, read_points
from .clip_store import ClipEntry, open_store
from .config import TrainConfig
from .corruption import corrupt

__all__ = ["PointClips"]

_FARTHEST = 60_000.0
"""Half precision ends at 65,504."""


class PointClips:
    """Clips of a folder or of tar shards, see `clip_store`.

    A window of consecutive frames, or of every n-th, is taken anywhere in the clip, forwards or backwards:
    the points belong to the whole clip, so any frame can be the anchor.

    Args:
        config: height, strides, corruption.
        path: where the clips are.
        training: in a random order with random windows and corruption; False takes the clips as they lie,
            from their first frame.
    """

    def __init__(self, config: TrainConfig, path: str, *, training: bool = True) -> None:
        self._config = config
        self._training = training
        self.store = open_store(path)

    @property
    def heights(self) -> tuple[int, ...]:
        """The configured height."""
        return (self._config.data.height,)

    def draw(self, position: int, generator: torch.Generator, *, frames: int, height: int) -> Clip:
        """A window of the clip at a position of the stream, with its scaffold."""
        if self._training:
            entry = self.store.at(position, self._config.seed)
        else:
            entry = self.store.in_order(position)
        cameras = read_cameras(entry)
        index = self._window(entry, len(cameras), frames, generator)
        rgb = read_frames(entry, index, height)
        first = cameras[index[0]]
        path = (torch.linalg.inv(first) @ cameras[index]).float()
        path[0] = torch.eye(4)  # exact: the anchor is where it is
        cache = replace(read_points(entry, first), anchor_pixel_angle=torch.tensor([math.pi / height]))
        if self._training:
            cache, path = corrupt(cache, path, self._config.data.corruption, generator)
        return _rendered(entry, cache, path, rgb)

    def _window(self, entry: ClipEntry, total: int, frames: int, generator: torch.Generator) -> list[int]:
        if total < 2:
            raise InputError(f"clip {entry.name}: expected at least 2 frames, got {total}")
        draw = torch.rand(3, generator=generator).tolist()
        count = min(frames, total)
        if not self._training:
            return list(range(count))
        strides = min(self._config.data.max_stride, (total - 1) // (count - 1))
        stride = 1 + int(draw[0] * strides)
        start = int(draw[1] * (total - (count - 1) * stride))
        index = list(range(start, start + (count - 1) * stride + 1, stride))
        return index[::-1] if draw[2] < self._config.unet.reverse_share else index


def _rendered(entry: ClipEntry, cache: PointCache, path: Tensor, rgb: Tensor) -> Clip:
    from ..render import render_path

    if not len(cache.points):
        raise InputError(f"clip {entry.name}: expected at least one point")
    height = rgb.shape[-2]
    scaffold = rgb.clone()
    coverage = torch.ones(len(rgb), height, 2 * height, dtype=torch.bool)
    distance = torch.zeros(coverage.shape, dtype=torch.float16)
    for index, frame in enumerate(render_path(cache, path, height, workers=1)):
        distance[index] = frame.distance.clamp_max(_FARTHEST).half()
        if index:
            colours = (frame.rgb * frame.coverage).clamp(0, 1) * 255
            scaffold[index], coverage[index] = colours.round().to(torch.uint8), frame.coverage
    return Clip(rgb=rgb, scaffold=scaffold, coverage=coverage, distance=distance, anchors=1, window=True)
