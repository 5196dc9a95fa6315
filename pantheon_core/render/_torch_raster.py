"""Triangles into depth keys, in plain torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._scene import BACK_BIAS, ON_EDGE, Part
from ._torch_boxes import pair_boxes, wide_boxes
from ._torch_samples import SampleGrid
from ._torch_vectors import Vector, cross, dot, minus, side, take

__all__ = ["MISSED", "Mesh", "raster"]

_EMPTY = torch.iinfo(torch.int64).max
_NOTHING = 0x7FFFFFFF  # a miss in place of the depth's bits: more than those of any depth
MISSED = _NOTHING << 32  # keys from here on are of samples that no triangle holds
_ABOUT = 1.2  # pixels: a box that reaches so far from its middle holds quarters of a neighbour at most
_WIDE = 7.2  # the same for `SampleGrid.near`'s second mask


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Mesh:
    """Pairs of triangles abc and dcb, corner by corner.

    Attributes:
        corners: (4, P) int32 a, b, c, d; d = c where abc is alone.
        number: (P,) int64, abc's number in its part; dcb's is one more.
    """

    corners: Tensor
    number: Tensor

    @staticmethod
    def of(part: Part) -> Mesh:
        """A part's triangles."""
        alone = part.pairs < 0
        first = torch.where(alone, -1 - part.pairs, part.pairs).long()
        second = torch.where(alone, first, first + 1)
        other = torch.where(alone, part.triangles[first, 2], part.triangles[second, 0])
        return Mesh(
            corners=torch.cat((part.triangles[first].T, other[None])),
            number=first,
        )

    def select(self, index: Tensor) -> Mesh:
        """Pairs by their indices."""
        return Mesh(
            corners=self.corners.index_select(1, index),
            number=self.number.index_select(0, index),
        )

    def blocks(self, length: int) -> list[Mesh]:
        """Runs of at most so many pairs."""
        parts = (x.split(length, -1) for x in (self.corners, self.number))
        return [Mesh(corners=c, number=n) for c, n in zip(*parts, strict=True)]


def raster(mesh: Mesh, grid: SampleGrid, cam: Tensor, pixel: Tensor, spots: Tensor) -> Tensor:
    """The nearest triangle of every sample.

    Args:
        mesh: P pairs.
        grid: S samples.
        cam: (3, N) points in the camera's frame.
        pixel: (2, N) their x and y in pixels of the frame.
        spots: (P,) int32, where in `SampleGrid.near` a pair asks whether samples are near it: written where
            the grid is every pixel of the frame, read where it is a finer one of the same view.

    Returns:
        (S,) int64 (bits of the distance << 32) | number of the triangle, at least MISSED where there is none.
    """
    keys = torch.full((grid.rays.shape[1],), _EMPTY, dtype=torch.int64, device=cam.device)
    at_eye = bool(((cam[0] == 0) & (cam[1] == 0) & (cam[2] == 0)).any())
    draw = _Draw(grid=grid, cam=cam, at_eye=at_eye, keys=keys)
    pixel = grid.pixels(pixel)
    if grid.near is not None:
        mesh = mesh.select(grid.near.index_select(0, spots).nonzero()[:, 0])
    left, first = [], 0
    for some in mesh.blocks(grid.block):
        reach, wide = pair_boxes(pixel, some.corners, grid.height)
        if grid.near is None:
            spots[first : first + len(wide)] = _spots(reach, wide, grid)
        low, high = reach[0::2].ceil(), reach[1::2].floor()
        box = torch.stack((low[0], high[0], low[1].clamp_min(0), high[1].clamp_max(grid.height - 1))).long()
        if bool(wide.any()):
            box[1].masked_fill_(wide, -grid.width)  # none
            box[0].masked_fill_(wide, 0)
            left.append(some.select(wide.nonzero()[:, 0]))
        for item, where in grid.expand(box):
            draw(some, item, where)
        first += len(wide)
    for some in left:
        for item, where in grid.expand(wide_boxes(cam, pixel, some.corners, grid.height)):
            draw(some, item, where)
    return keys


def _spots(reach: Tensor, wide: Tensor, grid: SampleGrid) -> Tensor:
    """(4, M) boxes -> (M,) int32 numbers in `SampleGrid.near` of the pixels of their middles."""
    width, pixels = grid.width, grid.width * grid.height
    half_x, half_y = 0.5 * (reach[1] - reach[0]), 0.5 * (reach[3] - reach[2])
    x = (reach[0] + half_x + 0.5).floor()
    x = x - width * (x / width).floor()
    y = (reach[2] + half_y + 0.5).floor().clamp(0, grid.height - 1)
    spot = y.int() * width + x.int() + (half_x > _ABOUT).int() * pixels
    return spot.masked_fill_(wide | (half_y > _ABOUT) | (half_x > min(_WIDE, 0.04 * width)), 2 * pixels)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Draw:
    """Pairs of triangles at samples into the keys."""

    grid: SampleGrid
    cam: Tensor
    at_eye: bool
    keys: Tensor

    def __call__(self, mesh: Mesh, item: Tensor, where: Tensor) -> None:
        """(K,) numbers of pairs in the mesh, and of the samples to try them at."""
        a, b, c, d = (take(self.cam, corner.index_select(0, item)) for corner in mesh.corners)
        ray = take(self.grid.rays, where)
        number = mesh.number.index_select(0, item)
        # Signed squares beside the square of the slack: e >= 0 or |e| <= slack |n| is then one sum.
        (bc, by_bc), (ca, by_ca), (ab, by_ab), (bd, by_bd), (dc, by_dc) = (
            _beside(side(p, q), ray) for p, q in ((b, c), (c, a), (a, b), (b, d), (d, c))
        )
        key = self._keys((a, b, c), ((bc, by_bc), (ca, by_ca), (ab, by_ab)), ray, number)
        other = self._keys((d, c, b), ((-bc, by_bc), (bd, by_bd), (dc, by_dc)), ray, number + 1)
        self.keys.scatter_reduce_(0, where, torch.minimum(key, other), "amin")

    def _keys(
        self,
        corners: tuple[Vector, Vector, Vector],
        sides: tuple[tuple[Tensor, Tensor], ...],
        ray: Vector,
        number: Tensor,
    ) -> Tensor:
        a, b, c = corners
        plane = cross(minus(b, a), minus(c, a))
        det, q = dot(plane, a), dot(plane, ray)
        sign = det.sign()
        first, second, third = (e * sign + slack for e, slack in sides)
        hit = (torch.minimum(torch.minimum(first, second), third) >= 0) & (q * sign > 0)
        if self.at_eye:  # a triangle with a corner in the camera is seen along its plane, not at all
            hit &= torch.minimum(torch.minimum(dot(a, a), dot(b, b)), dot(c, c)) > 0
        t = det / q
        away = sign < 0
        if bool(away.any()):
            t = t * t.new_tensor((1.0, BACK_BIAS)).index_select(0, away.int())
        bits = (t.view(torch.int32) | (hit.int() - 1)) & _NOTHING
        return (bits.long() << 32) | number


def _beside(normal: Vector, ray: Vector) -> tuple[Tensor, Tensor]:
    """(signed square of normal . ray, square of the slack that a ray on the side has)."""
    e = dot(normal, ray)
    slack = normal[0] * ON_EDGE, normal[1] * ON_EDGE, normal[2] * ON_EDGE  # before it is squared: no overflow
    return e * e.abs(), dot(slack, slack)
