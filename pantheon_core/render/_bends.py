"""Colours between vertices: how far they bend away from the straight line along each side of a triangle."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cache import PointCache
from ._pixel_grid import NOWHERE, PixelGrid

__all__ = ["color_bends"]

_BLOCK = 1 << 16  # triangles at a time: few enough for a processor's cache
_AHEAD = ((1, 0), (-1, 1), (0, 1), (1, 1))  # dx, dy of a pixel's neighbours, by 3 dy + dx - 1


def color_bends(cache: PointCache, triangles: Tensor, inner: Tensor, grids: list[PixelGrid]) -> Tensor:
    """Curvature of the colour along the sides of triangles whose vertices are pixels of a panorama.

    Between vertices i and j, one pixel apart, with h and k the next pixels beyond them on the same line, the
    colour at i + s (j - i) is (1 - s) ci + s cj + s (1 - s) (ci + cj - ch - ck) / 4: Catmull and Rom's cubic
    made symmetric. Over a triangle with weights w the three sides' terms wi wj bend_ij are added, which is
    exact for colours that are quadratic in the panorama.

    Args:
        cache: colours and anchors.
        triangles: (M, 3) int32 on the device to work on.
        inner: (N,) bool, vertices that no depth edge touches: other sides get no bend.
        grids: the panoramas' pixels.

    Returns:
        (M, 3 sides, 3 channels) int8 in colour steps of 1/255; side k is opposite corner k.
    """
    bends = torch.zeros((len(triangles), 3, 3), dtype=torch.int8, device=triangles.device)
    if not len(triangles):
        return bends
    colors, anchor = cache.colors.to(triangles.device), cache.anchor.to(triangles.device)
    of_triangle = anchor.index_select(0, triangles[:, 0])
    for grid in grids:
        x, number = grid.x, grid.number
        links = _links(colors, number)
        y = torch.where(inner, grid.y, NOWHERE)
        for block in (of_triangle == grid.anchor).nonzero()[:, 0].split(_BLOCK):
            corners = triangles.index_select(0, block).T
            place = [(x.index_select(0, corner), y.index_select(0, corner)) for corner in corners]
            for side in range(3):
                link = _link(place[(side + 1) % 3], place[(side + 2) % 3], number.shape)
                bends[block, side] = links.index_select(1, link).T
    return bends


def _links(colors: Tensor, number: Tensor) -> Tensor:
    """Bends from every pixel to its neighbours.

    Args:
        colors: (N, 3) uint8.
        number: (H, W) int64 point of each pixel, -1 where none.

    Returns:
        (3, 4 H W + 1) int8: from pixel p in direction k of _AHEAD at k H W + p; 0 where the pixels on the
        line are not all there, and at the end.
    """
    has = (number >= 0).to(torch.int16)
    image = colors.index_select(0, number.clamp_min(0).view(-1)).T.reshape(3, *number.shape).to(torch.int16)
    links = torch.zeros((3, len(_AHEAD), *number.shape), dtype=torch.int8, device=colors.device)
    height = len(number)
    for k, (dx, dy) in enumerate(_AHEAD):
        if height < 4 and dy:
            continue  # no line stays in the panorama

        def line(field: Tensor, step: int, dx: int = dx, dy: int = dy) -> Tensor:
            """So many steps ahead of the pixels whose line stays in the panorama."""
            rows = field[..., dy + step * dy : height + (step - 2) * dy, :]
            return rows.roll(-step * dx, -1)

        there = line(has, -1) * line(has, 0) * line(has, 1) * line(has, 2)
        bend = line(image, 0) + line(image, 1) - line(image, -1) - line(image, 2)
        bend = (bend.float() / 4).round().clamp(-127, 127) * there
        links[:, k, dy : height - 2 * dy] = bend.to(torch.int8)
    return torch.cat((links.view(3, -1), links.new_zeros(3, 1)), 1)


def _link(first: tuple[Tensor, Tensor], last: tuple[Tensor, Tensor], shape: torch.Size) -> Tensor:
    """(M,) int64 where `_links` has the side between two vertices, given by x and y."""
    height, width = shape
    dx, dy = last[0] - first[0], last[1] - first[1]
    code = 3 * dy + dx - width * (dx / width).round()
    beside = ((code - 3 * dy).abs() <= 1) & (dy.abs() <= 1) & (code != 0) & (first[1] >= 0)
    turned = (code < 0).float()  # listed at its other end
    x, y = (first[0] + turned * dx).long(), (first[1] + turned * dy).long()
    direction = code.abs().long() - 1
    link = (direction * height + y) * width + x
    return link.masked_fill_(~beside, len(_AHEAD) * height * width)
