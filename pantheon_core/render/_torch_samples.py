"""The samples of a frame as plain torch looks them up: rays, boxes of pixels, what lies near them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ._samples import Samples, direction_tables

__all__ = ["SampleGrid"]

_BLOCK = 1 << 16  # triangles, samples, or pairs of both, at once: few enough for a processor's cache
_BLOCK_CUDA = 1 << 20  # the same on a card: some 200 MB
_REACH = 6  # pixels: what may lie so far beside a sample in x


class SampleGrid:
    """S samples; their pixels are those of the samples' fine grid.

    Attributes:
        height, width: of the fine grid.
        rays: (3, S) float32.
        near: None for every pixel of the frame; else (2 H W + 1,) bool: of every pixel of the frame whether
            a sample is in it or beside it, the same with samples up to `_REACH` pixels away in x, and True.
        block: how many triangles, samples or pairs of both to work on at once.
    """

    def __init__(self, samples: Samples) -> None:
        device = samples.where.device
        self._samples = samples
        self.height, self.width = samples.height * samples.zoom, 2 * samples.height * samples.zoom
        self.block = _BLOCK_CUDA if device.type == "cuda" else _BLOCK
        columns, rows = (table.T.contiguous() for table in direction_tables(self.height, device))
        x, y = samples.where % self.width, samples.where // self.width
        (sx, cx), (sy, cy) = (
            (table[0].index_select(0, at), table[1].index_select(0, at))
            for table, at in ((columns, x), (rows, y))
        )
        self.rays = torch.stack((cy * sx, -sy, cy * cx))
        self.near = self._sums = None
        if samples.zoom > 1:
            has = (samples.slot >= 0).view(samples.height, -1)
            self.near = _near(has)
            down = torch.cat((has, has), 1).cumsum(0, dtype=torch.int32)
            self._sums = F.pad(down.cumsum(1, dtype=torch.int32), (1, 0, 1, 0))

    def pixels(self, pixel: Tensor) -> Tensor:
        """(2, N) x and y in pixels of the frame -> in those of the grid."""
        zoom = self._samples.zoom
        return pixel if zoom == 1 else pixel * zoom + 0.5 * (zoom - 1)

    def expand(self, box: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(4, M) int64 inclusive x0, x1, y0, y1 -> ((K,) number of the box, (K,) number of the sample).

        Yields all pairs of a box and a sample in it, at most `block` at once. x may leave the image by its
        width at most.
        """
        x0, x1, y0, y1 = box
        wide = (x1 - x0 + 1).clamp_min(0)
        count = wide * (y1 - y0 + 1).clamp_min(0) * self._reached(box)
        for item, local in _pairs(count, self.block):
            columns = wide.index_select(0, item)
            row = torch.div(local, columns, rounding_mode="floor")
            x = x0.index_select(0, item) + local - row * columns
            y = y0.index_select(0, item) + row
            x = torch.where(x < 0, x + self.width, x)
            x = torch.where(x >= self.width, x - self.width, x)
            if self._sums is None:
                yield item, y * self.width + x
                continue
            zoom = self._samples.zoom
            pixel = y // zoom * (self.width // zoom) + x // zoom
            slot = self._samples.slot.index_select(0, pixel).long()
            here = (slot >= 0).nonzero()[:, 0]
            sample = slot * zoom * zoom + y % zoom * zoom + x % zoom
            yield item.index_select(0, here), sample.index_select(0, here)

    def _reached(self, box: Tensor) -> Tensor | int:
        """(M,) bool: boxes that hold samples; 1 where every pixel is one."""
        if self._sums is None:
            return 1
        zoom, width = self._samples.zoom, 2 * self._samples.height
        first, last = (torch.div(x, zoom, rounding_mode="floor") for x in box[:2])
        x0 = first % width
        x1 = (x0 + last - first + 1).clamp(0, 2 * width)
        y0, y1 = box[2].clamp_min(0) // zoom, box[3].clamp_min(0) // zoom + 1
        total = self._sums[y1, x1] - self._sums[y0, x1] - self._sums[y1, x0] + self._sums[y0, x0]
        return total > 0


def _pairs(count: Tensor, block: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(M,) int64 -> ((K,) index i, (K,) 0 to count[i] - 1), index after index, at most `block` at once."""
    end = count.cumsum(0)
    start = end - count
    total = int(end[-1]) if len(end) else 0
    for low in range(0, total, block):
        high = min(low + block, total)
        first, last = torch.searchsorted(end, end.new_tensor((low, high - 1)), right=True).tolist()
        some = count[first : last + 1].clone()
        some[0] -= low - start[first]
        some[-1] -= end[last] - high
        item = torch.repeat_interleave(some) + first
        yield item, torch.arange(low, high, device=count.device) - start.index_select(0, item)


def _near(has: Tensor) -> Tensor:
    """(H, W) pixels with samples -> `SampleGrid.near`."""
    beside = has.clone()
    beside[1:] |= has[:-1]
    beside[:-1] |= has[1:]
    near, wide = beside.clone(), beside
    for step in range(1, _REACH + 1):
        wide = wide | beside.roll(step, 1) | beside.roll(-step, 1)
        if step == 1:
            near = wide
    return torch.cat((near.reshape(-1), wide.reshape(-1), torch.ones_like(has[0, :1])))
