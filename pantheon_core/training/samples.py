"""Training examples: windows of clips, turned, some backwards, with the anchors of the variant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .config import TrainConfig
from .latents import Encoder, LatentClip
from .loop import slot_generator, step_generator
from .runtime import Runtime
from .sources import ClipSource, Order, ordered_clips

__all__ = ["Sample", "SampleStream", "draw_sample"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample:
    """One training example.

    Attributes:
        truth: (T, 4, h, w) unscaled latents.
        scaffold: (T, 4, h, w) unscaled latents, anchor frames as the model will see them.
        holes: (T, 1, h, w) share of holes.
        anchors: panoramas (3, H, W) 0..1 for the tokens.
        roles: 0 start, 1 end, one per anchor.
    """

    truth: Tensor
    scaffold: Tensor
    holes: Tensor
    anchors: list[Tensor]
    roles: list[int]


def draw_sample(clip: LatentClip, config: TrainConfig, generator: torch.Generator, *, frames: int) -> Sample:
    """Choose window, direction, anchors and yaw.

    The window starts at the clip's anchor frame; sometimes every second frame is taken, for larger motion.
    Dual examples have the true panorama in the last scaffold frame too, and tokens of both ends. Clips whose
    cache was built from both ends may be played backwards. The yaw roll is exact: everything is circular.
    """
    chance = torch.rand(4, generator=generator)
    index = _window(clip, config, chance, frames)
    first_frame = config.unet.conditioning == "first_frame"
    dual = _is_dual(clip, config, float(chance[2]))
    truth, scaffold, holes = clip.truth[index], clip.scaffold[index].clone(), clip.holes[index].clone()
    if dual:
        scaffold[-1], holes[-1] = truth[-1], 0.0
    if first_frame:
        scaffold = truth[:1].expand_as(truth)
    shift = int(torch.randint(truth.shape[-1], (1,), generator=generator))
    ends = [clip.rgb[index[0]], clip.rgb[index[-1]]][: 1 + dual]
    pixels = clip.rgb.shape[-1] // truth.shape[-1]
    return Sample(
        truth=truth.roll(shift, -1),
        scaffold=scaffold.roll(shift, -1),
        holes=holes.roll(shift, -1),
        anchors=[end.roll(pixels * shift, -1).float() / 255.0 for end in ends],
        roles=[0, 1][: 1 + dual],
    )


def _window(clip: LatentClip, config: TrainConfig, chance: Tensor, frames: int) -> Tensor:
    total = len(clip.truth)
    stride = 2 if chance[0] < 0.25 and total >= 2 * 6 else 1
    if clip.window:
        index = torch.arange(total)
    elif clip.anchors == 2:
        # Both anchors stay in: the frames between them are thinned out.
        count = len(range(0, total, stride)[:frames])
        index = torch.linspace(0, total - 1, count).round().long()
    else:
        index = torch.arange(0, total, stride)[:frames]
    backwards = clip.anchors == 2 and chance[1] < config.unet.reverse_share
    return index.flip(0) if backwards else index


def _is_dual(clip: LatentClip, config: TrainConfig, chance: float) -> bool:
    if config.unet.variant != "both":
        return config.unet.variant == "dual"
    return chance < (0.5 if clip.anchors == 2 else config.unet.dual_share)


class SampleStream:
    """The samples of every step, for this process.

    Heights and numbers of frames follow from the step, all else from the place in the batch: the samples are
    the same for any number of processes and threads, and after a resume.

    Args:
        config: batch, windows, threads.
        source: of clips.
        encoder: to latents.
        runtime: which places of the batch are ours.
    """

    def __init__(self, config: TrainConfig, source: ClipSource, encoder: Encoder, runtime: Runtime) -> None:
        self._config, self._source, self._encoder = config, source, encoder
        self._slots = runtime.slots(config.batch)
        self._next: int | None = None
        self._clips: Iterator[LatentClip] = iter(())

    def at(self, step: int) -> list[tuple[Sample, torch.Generator]]:
        """Samples of a step, each with the generator of its noise. Steps in a row are prepared ahead."""
        if step != self._next:
            orders = self._orders(step)
            clips = ordered_clips(self._source, orders, workers=self._config.data.workers)
            self._clips = (self._encoder.encode(clip) for clip in clips)
        self._next = step + 1
        _, frames = self._shape(step)
        out = []
        for slot in self._slots:
            generator = slot_generator(self._config.seed, step, 2 * slot + 1)
            sample = draw_sample(next(self._clips), self._config, generator, frames=frames)
            out.append((sample, generator))
        return out

    def _orders(self, step: int) -> Iterator[Order]:
        while True:
            height, frames = self._shape(step)
            for slot in self._slots:
                generator = slot_generator(self._config.seed, step, 2 * slot)
                yield step * self._config.batch + slot, generator, frames, height
            step += 1

    def _shape(self, step: int) -> tuple[int, int]:
        """Height and number of frames of a step's windows."""
        generator, heights = step_generator(self._config.seed, step), self._source.heights
        large = bool(torch.rand(1, generator=generator) < self._config.unet.large_share)
        low, high = self._config.unet.frames
        frames = int(torch.randint(low, high + 1, (1,), generator=generator))
        if large and len(heights) > 1:
            # A 256x512 panorama has four times the latents.
            return max(heights), min(frames, 6)
        return min(heights), frames
