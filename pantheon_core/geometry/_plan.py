"""Where the pixels of a view lie in an equirectangular image: worked out once, looked up in many images.

Columns wrap at the seam, rows continue over a pole at the longitude opposite to them. Both are resolved here,
so that a lookup has nothing to decide but for the few pixels on the border.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Plan", "Taps", "largest_step", "make_plan"]

# Above this many samples per axis and pixel the source is halved first: it bounds the cost at 256 samples.
_MAX_SAMPLES = 16
_BLOCK = 2**17


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Taps:
    """Places between the pixels of an image H x W, W = 2H.

    Attributes:
        index: (h, w) int32, or int64 where the image has 2^31 pixels: row * W + column of the pixel to the
            left and above. Where one of its neighbours lies beyond the seam or a pole it is
            -1 - ((row + 1) * W + column), with rows from -1.
        across: (h, w) fraction of a pixel from there to the right, 0 to 1.
        down: (h, w) the same downwards.
    """

    index: Tensor
    across: Tensor
    down: Tensor

    def corners(self, height: int) -> list[Tensor]:
        """(h * w) indices of the four pixels around each place: both above, then both below."""
        index = self.index.flatten()
        border = (index < 0).nonzero().squeeze(-1)
        row, column = _unpacked(index[border], height)
        found = []
        for j, i in ((0, 0), (0, 1), (1, 0), (1, 1)):
            corner = index + (j * 2 * height + i)
            corner[border] = pixel_index(row + j, column + i, height)
            found.append(corner)
        return found

    def nearest(self, height: int) -> Tensor:
        """(h * w) index of the pixel nearest to each place."""
        index = self.index.flatten()
        border = (index < 0).nonzero().squeeze(-1)
        row, column = _unpacked(index[border], height)
        below, right = ((part.flatten() >= 0.5).to(index.dtype) for part in (self.down, self.across))
        nearest = index + below * (2 * height) + right
        nearest[border] = pixel_index(row + below[border], column + right[border], height)
        return nearest

    def pixels(self, height: int) -> tuple[Tensor, Tensor]:
        """(h * w) row, from -1 to H - 1, and column of the pixel to the left and above."""
        index = self.index.flatten()
        row, column = _unpacked(index, height)
        inner_row = index.div(2 * height, rounding_mode="floor")
        inside = index >= 0
        return (
            torch.where(inside, inner_row, row),
            torch.where(inside, index - inner_row * (2 * height), column),
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plan:
    """What a view needs of an image.

    Attributes:
        height: H of the image that is looked up: halvings of the true image, where the view is very coarse.
        count: places per pixel of the view, whose mean it is.
        nbytes: memory that all places take.
        taps: `count` places for every pixel; may be a stream that can be read once.
    """

    height: int
    count: int
    nbytes: int
    taps: Iterable[Taps]


def make_plan(
    rays: Tensor,
    height: int,
    *,
    antialias: bool,
    dtype: torch.dtype = torch.float32,
    precision: float | None = None,
    steps: tuple[float, float] | None = None,
) -> Plan:
    """Plan the view of an image along rays.

    Args:
        rays: (3, h, w) directions, of any non-zero length.
        height: H of the image.
        antialias: average over a pixel's footprint where the view is coarser than the image.
        dtype: of the fractions.
        precision: the rays' rounding error in radians; None takes that of their type.
        steps: largest angles between neighbours along a row and a column, where they are known.
    """
    across = down = 1
    if antialias:
        if steps is None:
            unit = normalized(rays)
            steps = largest_step(unit, dim=-1), largest_step(unit, dim=-2)
        while max(steps) * height / math.pi > _MAX_SAMPLES and height > 1:
            height //= 2
        # 5 % of slack: a footprint of 8.01 pixels needs no ninth sample.
        across, down = (max(1, math.ceil(step * height / math.pi - 0.05)) for step in steps)
    eps = torch.finfo(rays.dtype).eps if precision is None else precision
    taps = (_find_taps(grid, height, eps, dtype) for grid in _grids(rays, across, down))
    nbytes = across * down * rays[0].numel() * (4 + 2 * dtype.itemsize)
    return Plan(height=height, count=across * down, nbytes=nbytes, taps=taps)


def largest_step(unit: Tensor, *, dim: int) -> float:
    """Largest angle in radians between neighbouring unit rays (3, h, w) along an axis."""
    if unit.shape[dim] < 2 or unit.numel() == 0:
        return 0.0
    chord = unit.diff(dim=dim).square().sum(0).max().sqrt()
    return 2 * math.asin(min(1.0, float(chord) / 2))


def _grids(rays: Tensor, across: int, down: int) -> Iterator[Tensor]:
    """The rays (3, h, w) of every sample of a pixel's footprint.

    Rays between the grid's by a Taylor series of second order: straight steps would cut the corner where rows
    of a coarse panorama curve, and run past it at the poles.
    """
    if across == down == 1:
        yield rays
        return
    unit = normalized(rays)
    dx, dy = _gradient(unit, dim=-1), _gradient(unit, dim=-2)
    dxx, dyy, dxy = _gradient(dx, dim=-1), _gradient(dy, dim=-2), _gradient(dx, dim=-2)
    for j in range(down):
        v = (j + 0.5) / down - 0.5
        row, slope = unit + v * dy + (v * v / 2) * dyy, dx + v * dxy
        for i in range(across):
            u = (i + 0.5) / across - 0.5
            yield row + u * slope + (u * u / 2) * dxx


def _gradient(field: Tensor, *, dim: int) -> Tensor:
    """Change per pixel along an axis, by central differences, one-sided of second order at the ends."""
    count = field.shape[dim]
    if count < 2:
        return torch.zeros_like(field)
    return torch.gradient(field, dim=dim, edge_order=2 if count > 2 else 1)[0]


def _find_taps(rays: Tensor, height: int, eps: float, dtype: torch.dtype) -> Taps:
    """Places of rays (3, h, w), by blocks of rows: what lies between stays in the processor's cache."""
    _, h, w = rays.shape
    rows = max(1, _BLOCK // max(1, w) if rays.device.type == "cpu" else h)
    blocks = [
        _find_some(rays[:, first : first + rows], height, eps, dtype) for first in range(0, max(1, h), rows)
    ]
    if len(blocks) == 1:
        return blocks[0]
    return Taps(
        index=torch.cat([some.index for some in blocks]),
        across=torch.cat([some.across for some in blocks]),
        down=torch.cat([some.down for some in blocks]),
    )


def _find_some(rays: Tensor, height: int, eps: float, dtype: torch.dtype) -> Taps:
    """Places of rays (3, h, w): the formulas of `rays_to_erp_pixels` on whole planes, which is far faster."""
    x, y, z = rays
    width = 2 * height
    lon = torch.atan2(x, z)
    lat = torch.atan2(y, torch.hypot(x, z))  # downwards
    # Places within rounding error of a pixel centre are that centre, so that identities are exact.
    slack = 4 * eps * width
    small = torch.int32 if height * width < 2**31 else torch.int64
    column, across = _split(lon.mul_(width / (2 * math.pi)).add_(width / 2 - 0.5), slack, small)
    row, down = _split(lat.mul_(height / math.pi).add_(height / 2 - 0.5), slack, small)
    # Signs instead of comparisons: `where` costs as much as a trigonometric function.
    column = (_sign(column) & width).add_(column).clamp_(0, width - 1)
    row.clamp_(-1, height - 1)
    border = _sign((width - 2 - column).bitwise_or_(row).bitwise_or_(height - 2 - row))
    index = row.mul_(width).add_(column).add_(border & width).bitwise_xor_(border)
    return Taps(index=index, across=across.to(dtype), down=down.to(dtype))


def _split(place: Tensor, slack: float, integer: torch.dtype) -> tuple[Tensor, Tensor]:
    """The pixel at or before a place, and the fraction of a pixel from there."""
    whole = (place.detach() + slack).floor_()
    part = torch.nn.functional.threshold(place - whole, slack, 0.0)
    return whole.to(integer), part


def _sign(whole: Tensor) -> Tensor:
    """-1 where integers are negative, else 0."""
    return whole.bitwise_right_shift(8 * whole.element_size() - 1)


def normalized(rays: Tensor) -> Tensor:
    """Unit vectors of (3, h, w); torch's own, along the first axis, takes fifty times as long."""
    x, y, z = rays
    return rays / (x * x + y * y + z * z).sqrt_().clamp_(min=1e-12)


def _unpacked(index: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """Row, from -1, and column of places on the border."""
    width = 2 * height
    place = -1 - index
    row = place.div(width, rounding_mode="floor")
    return row - 1, place - row * width


def pixel_index(row: Tensor, column: Tensor, height: int) -> Tensor:
    """Index of pixels up to two rows beyond a pole and any number of columns beyond the seam."""
    width = 2 * height
    beyond = (row < 0) | (row >= height)
    # Images one pixel high have only one row for bicubic's four: stay inside.
    inner = torch.where(row < 0, -1 - row, torch.where(row >= height, width - 1 - row, row))
    return inner.clamp(0, height - 1) * width + torch.where(beyond, column + height, column) % width
