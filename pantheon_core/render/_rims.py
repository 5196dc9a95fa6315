"""What lies between the outermost pixels' centres of a panorama's surfaces and their borders.

Triangles join pixel centres. A square of four centres that a depth edge runs through has none, although each
of the four pixels was seen up to its border. There, surfaces are continued: half a pixel, since the true
border lies anywhere between the last centre that hit and the next that did not, or a whole one towards
something nearer, behind which they go on. Pixels here are the panorama's own: near the poles they are narrow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ._pixel_grid import PixelGrid

__all__ = ["Rims", "extend_rims"]

REACH = 0.5  # pixels that a surface is continued
REACH_BEHIND = 1.0  # the same towards a nearer one
NEARER = 1.001  # times the inverse distance: more than rounding
STEEP = 0.05  # it goes on as straight as up to this part of the inverse distance per pixel
_BLOCK = 1 << 17  # triangles at a time: few enough for a processor's cache
_STEP = ((1, 0), (-1, 0), (0, 1), (0, -1))
_RIGHT, _LEFT, _DOWN, _UP = range(len(_STEP))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rims:
    """Surfaces from pixels' centres to their borders.

    Attributes:
        points: (K, 3) vertices in world coordinates.
        source: (K,) int64, the point that each one continues.
        triangles: (L, 3) int64, numbers in the old points followed by these; those of a square in pairs.
        bound: (N,) bool, old points whose pixels are drawn up to their borders: all that lie on a grid.
    """

    points: Tensor
    source: Tensor
    triangles: Tensor
    bound: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Joints:
    """What is joined in a panorama. Square (y, x) lies between pixels x, x + 1 of rows y - 1 and y.

    Attributes:
        number: (H, W) int64, each pixel's point, -1 where none.
        inverse: (H, W) inverse distance, 0 where none.
        link: (4, H, W) bool, a triangle joins the pixel to the next one in a direction of _STEP.
        half: (H + 1, W, 4) bool, the square has the triangle that lacks corner dx + 2 dy.
        full: (H + 1, W) bool, triangles fill the square.
    """

    number: Tensor
    inverse: Tensor
    link: Tensor
    half: Tensor
    full: Tensor


def extend_rims(points: Tensor, triangles: Tensor, anchor: Tensor, grids: list[PixelGrid]) -> Rims:
    """Continue the surfaces of panoramas up to their pixels' borders.

    Args:
        points: (N, 3) in world coordinates.
        triangles: (M, 3) int32, those that cover.
        anchor: (N,) the points' anchors.
        grids: the panoramas' pixels.
    """
    bound = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    new, source, faces = [points[:0]], [bound.nonzero()[:0, 0]], [triangles[:0].long()]
    count = len(points)
    for grid in grids:
        R, center = grid.T_world_cam[:3, :3], grid.T_world_cam[:3, 3]
        mine = triangles
        if len(grids) > 1:
            mine = triangles[anchor.index_select(0, triangles[:, 0]) == grid.anchor]
        joints = _joints(points, mine, center, grid)
        key, back = torch.unique(_faces(joints), return_inverse=True)
        of, slot = torch.div(key, 9, rounding_mode="floor"), key % 9
        place, inverse = _place(joints, (grid.x[of].long(), grid.y[of].long()), slot)
        back = back[_open(place, back, joints.number.shape)]
        fresh = slot != 4
        faces.append(torch.where(fresh, fresh.cumsum(0) - 1 + count, of)[back])
        new.append(_rays(place[fresh], joints.number.shape) / inverse[fresh, None] @ R.T + center)
        source.append(of[fresh])
        count += len(new[-1])
        bound |= grid.y >= 0
        rest = (~bound).nonzero()[:, 0]
        sight = (points[rest] - center) @ R
        at_pole = sight[:, [0, 2]].norm(dim=-1) < 1e-4 * sight[:, 1].abs()
        bound[rest] = at_pole  # the ring of pixels around it goes up to it
    return Rims(points=torch.cat(new), source=torch.cat(source), triangles=torch.cat(faces), bound=bound)


def _beside(field: Tensor, direction: int) -> Tensor:
    """Each pixel's neighbour's value in a direction of _STEP, around the seam; 0 beyond the poles."""
    dx, dy = _STEP[direction]
    if dx:
        return field.roll(-dx, -1)
    out = torch.zeros_like(field)
    if dy > 0:
        out[:-1] = field[1:]
    else:
        out[1:] = field[:-1]
    return out


def _joints(points: Tensor, triangles: Tensor, center: Tensor, grid: PixelGrid) -> _Joints:
    """`center` is where the panorama stood; triangles of others have no place on its grid."""
    number = grid.number
    has = number >= 0
    inverse = points.new_zeros(number.shape)
    inverse[has] = 1 / (points[number[has]] - center).norm(dim=-1).clamp_min(1e-12)
    half, fan = _squares(triangles, grid)
    # A triangle joins the corner across from the one that it lacks to its neighbours.
    over, under = half[..., 2] | half[..., 3], half[..., 0] | half[..., 1]
    left, right = half[..., 1] | half[..., 3], half[..., 0] | half[..., 2]
    link = torch.zeros((len(_STEP), *number.shape), dtype=torch.bool, device=points.device)
    link[_RIGHT] = over[1:] | under[:-1] | fan[1:] | fan[:-1]
    link[_DOWN] = (left | right.roll(1, -1))[1:]
    link[_LEFT], link[_UP] = _beside(link[_RIGHT], _LEFT), _beside(link[_DOWN], _UP)
    full = (half[..., 1] & half[..., 2]) | (half[..., 0] & half[..., 3]) | fan
    return _Joints(number=number, inverse=inverse, link=link, half=half, full=full)


def _squares(triangles: Tensor, grid: PixelGrid) -> tuple[Tensor, Tensor]:
    """((H + 1, W, 4) bool `_Joints.half`, (H + 1, W) bool squares beside a pole that are filled)."""
    height, width = grid.number.shape
    half = torch.zeros((height + 1, width, 4), dtype=torch.bool, device=triangles.device)
    fan = half[..., 0].clone()
    for block in triangles.split(_BLOCK):
        x = torch.stack([grid.x.index_select(0, corner) for corner in block.T])
        y = torch.stack([grid.y.index_select(0, corner) for corner in block.T])
        low, high, top = x.amin(0), x.amax(0), y.amin(0)
        around = high - low == width - 1
        first = torch.where(around, high, low)
        ok = (top >= 0) & (y.amax(0) - top == 1) & ((high - low == 1) | around)
        lacks = ((x != first).sum(0) == 1).long() + 2 * ((y != top).sum(0) == 1)
        half[top[ok].long() + 1, first[ok].long(), lacks[ok]] = True
        # A pole's point is in no pixel: its triangles have two, beside one another.
        polar = (top < 0).nonzero()[:, 0]
        x, y = x[:, polar], y[:, polar]
        on = y >= 0
        low, high, row = torch.where(on, x, width).amin(0), torch.where(on, x, -1.0).amax(0), y.amax(0)
        ok = (on.sum(0) == 2) & ((high - low == 1) | (high - low == width - 1))
        ok &= (row == 0) | (row == height - 1)
        first = torch.where(high - low == 1, low, high)[ok].long()
        fan[torch.where(row[ok] == 0, 0, height), first] = True
    return half, fan


def _faces(joints: _Joints) -> Tensor:
    """(L, 3) int64 vertices, see `_vertex`, of what continues the surfaces."""
    number, half, full = joints.number, joints.half, joints.full
    above, below = F.pad(number, (0, 0, 1, 0), value=-1), F.pad(number, (0, 0, 0, 1), value=-1)
    corner = (above, above.roll(-1, 1), below, below.roll(-1, 1))
    links = F.pad(joints.link, (0, 0, 1, 1))
    over, under, left = links[_RIGHT, :-1], links[_RIGHT, 1:], links[_DOWN, :-1]
    right = left.roll(-1, 1)
    alone = number[(number >= 0) & ~joints.link.any(0)]
    single = torch.zeros(int(number.max()) + 2, dtype=torch.bool, device=number.device)
    single[alone] = True  # its last one, which -1 finds, stays False
    faces = [_quads(*(_vertex(alone, *s) for s in ((-1, -1), (1, -1), (1, 1), (-1, 1))))]
    empty = ~half.any(-1) & ~full
    flat, upright = empty & ~(left | right), empty & ~(over | under)
    done = [~empty] * 4
    for at, i, j, sx, sy in (
        (flat & over, 0, 1, 0, 1),
        (flat & under, 2, 3, 0, -1),
        (upright & left, 0, 2, 1, 0),
        (upright & right, 1, 3, -1, 0),
    ):  # two joined pixels: the line between them, moved
        p, q = corner[i][at], corner[j][at]
        faces.append(_quads(_vertex(p), _vertex(q), _vertex(q, sx, sy), _vertex(p, sx, sy)))
        done[i], done[j] = done[i] | at, done[j] | at
    for k in range(4):
        sx, sy = 1 - 2 * (k & 1), 1 - (k & 2)  # from corner k into the square
        at = half[..., k] & ~full  # a triangle: its long side, moved towards the corner that it lacks
        u, v = corner[k ^ 1][at], corner[k ^ 2][at]
        faces.append(_quads(_vertex(u), _vertex(u, -sx, 0), _vertex(v, 0, -sy), _vertex(v)))
        rest = corner[k][at]
        rest = rest[(rest >= 0) & ~single[rest]]
        faces.append(torch.stack((_vertex(rest), _vertex(rest, sx, 0), _vertex(rest, 0, sy)), -1))
        rest = corner[k][~done[k]]  # joined to nothing in the square: a quarter of the pixel
        rest = rest[(rest >= 0) & ~single[rest]]
        faces.append(_quads(*(_vertex(rest, *s) for s in ((0, 0), (sx, 0), (sx, sy), (0, sy)))))
    return torch.cat(faces)


def _vertex(number: Tensor, sx: int = 0, sy: int = 0) -> Tensor:
    """Point n's pixel, as far as it reaches to the sides of the signs sx, sy: 9 n + 3 (sx + 1) + sy + 1."""
    return 9 * number + 3 * (sx + 1) + sy + 1


def _quads(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """(2 n, 3): every quad's two triangles, one after the other."""
    return torch.stack((a, b, c, a, c, d), -1).view(-1, 3)


def _place(joints: _Joints, pixel: tuple[Tensor, Tensor], slot: Tensor) -> tuple[Tensor, Tensor]:
    """((K, 2) x and y in the panorama, (K,) inverse distance) of slots 3 (sx + 1) + sy + 1 of pixels x, y."""
    x, y = pixel
    sign = torch.div(slot, 3, rounding_mode="floor") - 1, slot % 3 - 1
    here = joints.inverse[y, x]
    behind = [torch.zeros_like(x, dtype=torch.bool) for _ in sign]
    slope = [torch.zeros_like(here) for _ in sign]
    for direction, step in enumerate(_STEP):
        axis = 0 if step[0] else 1
        toward = sign[axis] == step[axis]
        ahead, back = (_beside(joints.inverse, k)[y, x] for k in (direction, direction ^ 1))
        linked, linked_back = (joints.link[k, y, x] for k in (direction, direction ^ 1))
        straight = torch.minimum((here - back).abs(), STEEP * here) * (here - back).sign() * linked_back
        slope[axis] += toward * torch.where(linked, ahead - here, straight)
        behind[axis] |= toward & ~linked & (ahead > NEARER * here)
    # Past a corner only where what is across it is nearer too.
    rows = F.pad(joints.inverse, (0, 0, 1, 1))
    across = rows[y + sign[1] + 1, (x + sign[0]) % rows.shape[1]] > NEARER * here
    past = behind[0] & behind[1] & ~across
    reach = [torch.where(k & ~past, REACH_BEHIND, REACH) for k in behind]
    place = torch.stack((x + sign[0] * reach[0], y + sign[1] * reach[1]), -1)
    return place, here + reach[0] * slope[0] + reach[1] * slope[1]


def _rays(place: Tensor, shape: torch.Size) -> Tensor:
    """(K, 3) in the panorama's camera frame, of places x, y."""
    height, width = shape
    lon = ((place[:, 0] + 0.5) / width - 0.5) * (2 * math.pi)
    lat = (0.5 - (place[:, 1] + 0.5) / height) * math.pi
    return torch.stack((lat.cos() * lon.sin(), -lat.sin(), lat.cos() * lon.cos()), -1)


def _open(place: Tensor, faces: Tensor, shape: torch.Size) -> Tensor:
    """(L,) bool, triangles of (K, 2) places that the panorama sees at all: others' planes are rounding."""
    height, width = shape
    x, y = place[faces, 0], place[faces, 1]
    x = x - x[:, :1]
    x = x - width * (x / width).round()
    area = x[:, 1] * (y[:, 2] - y[:, 0]) - x[:, 2] * (y[:, 1] - y[:, 0])
    polar = ((y < -0.4) | (y > height - 0.6)).sum(-1)
    return (area.abs() > 0.01) & (polar < 2)
