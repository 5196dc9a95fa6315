"""What every frame of one cache shares, made once: facing triangles, bare points, tables."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..cache import PointCache
from ..errors import InputError
from ._bends import color_bends
from ._pixel_grid import pixel_grids
from ._rims import extend_rims

__all__ = [
    "BACK_BIAS",
    "BLEND_DEPTH",
    "CAP_CORE",
    "CAP_MAX",
    "CAP_SCALE",
    "DENSE_SCALE",
    "FARTHEST",
    "ON_EDGE",
    "SKY_REACH",
    "Part",
    "RenderedFrame",
    "Scene",
    "prepare",
]

CAP_SCALE = 1.3  # radius of a bare point's cap in pixels of the frame or of its source, the larger
DENSE_SCALE = 0.75  # the same beside a surface: neighbours on a panorama's grid close up from 0.71 on
CAP_MAX = 0.1  # radians: a point just beside the camera must not cover the view
CAP_CORE = 0.7  # over a surface a cap shows only so many pixels of its radius: a pixel's own extent
RIM_SCALE = 0.5  # at a surface's rim the same in pixels of the source, which reach half a pixel on
RIM_LEAST = 1e-3  # and in pixels of the frame: none to speak of
BLEND_DEPTH = 0.05  # caps within this fraction behind the nearest one are blended with it
BACK_BIAS = 1 + BLEND_DEPTH  # a far side hides what is so much farther: it ends on what it must not hide
SKY_REACH = 0.01  # least part of a direction's four pixels that is sky: it goes on behind things by a pixel
ON_EDGE = 1e-6  # radians: rays this close to a triangle's side hit it, so that rays through vertices do

FARTHEST = float(torch.tensor(3e38))  # the depth limit where nothing is


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RenderedFrame:
    """One frame of the scaffold.

    Attributes:
        rgb: (3, H, W) float32 0..1, 0 in holes. Where surfaces at different depths or a surface and the sky
            meet, it is the mean over the pixel's quarters; all else is what the pixel's centre shows.
        distance: (H, W) float32 along the ray, in the cache's unit; 0 in holes and on the sky.
        coverage: (H, W) bool, True where the cache shows a surface, a point or the sky.
        anchor: (H, W) int16, the anchor whose point is seen; -1 in holes and on the sky.
    """

    rgb: Tensor
    distance: Tensor
    coverage: Tensor
    anchor: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """What one anchor gave, drawn by itself so that anchors can be blended.

    Attributes:
        triangles: (M, 3) int32, their front turned to the anchor.
        pairs: (P,) int32, each triangle once: number k of the first of two that share the side opposite their
            first corners, k = (a, b, c) and k + 1 = (d, c, b); or -1 - k for a triangle alone.
        bend: (M, 3, 3) int8, how the colour bends along the sides, see `color_bends`.
        bare: (K,) int32, points drawn as caps: those that no surface shows, and the rims of surfaces, where
            they lie on no panorama's grid.
        bare_scale: (K,) least radius of the cap in pixels of the frame.
        bare_radius: (K,) the same in the cache's unit, over bare_scale: from a source pixel's width at the
            point; 0 where unknown.
        center: (3,) where the anchor stood.
        anchor: its number; all triangles are this anchor's, bare points of a cloud may be others'.
    """

    triangles: Tensor
    pairs: Tensor
    bend: Tensor
    bare: Tensor
    bare_scale: Tensor
    bare_radius: Tensor
    center: Tensor
    anchor: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scene:
    """A cache made ready: (N, 3) points, (N, 3) uint8 colours, (N,) int16 anchors, parts, sky or None.

    The points are the cache's, then those that continue its surfaces to their borders.
    """

    points: Tensor
    colors: Tensor
    anchor: Tensor
    parts: tuple[Part, ...]
    sky_rgb: Tensor | None
    sky_mask: Tensor | None


def prepare(cache: PointCache, device: torch.device) -> Scene:
    """Move a cache to the device and work out what does not depend on the camera.

    Raises:
        InputError: the cache has neither points nor sky.
    """
    if len(cache.points) == 0 and cache.sky is None:
        raise InputError(
            "cache: expected points or a sky, got neither, so there is nothing to render. "
            "Lower the confidence threshold, or check that the depth estimate is valid somewhere."
        )
    points = cache.points.to(device).float().contiguous()
    anchor = cache.anchor.to(device).contiguous()
    centers = cache.T_world_anchor[:, :3, 3].to(points)
    triangles = torch.zeros((0, 3), dtype=torch.int32, device=device)
    if cache.triangles is not None and cache.edge is not None and len(cache.triangles):
        solid = cache.triangles[~cache.edge].to(device)
        triangles = _face_anchor(points, solid, centers, anchor)
    covered = torch.zeros(len(points), dtype=torch.bool, device=device)
    covered[triangles.long().reshape(-1)] = True
    rim = torch.zeros_like(covered)
    if cache.anchor_pixel_angle is not None:
        rim = _rim(triangles.long(), covered)
    grids = pixel_grids(cache, points) if len(triangles) else []
    bend = color_bends(cache, triangles, covered & ~rim, grids)
    rims = extend_rims(points, triangles, anchor, grids)
    bare = ((~covered | rim) & ~rims.bound).nonzero()[:, 0]
    radius, scale = _cap_sizes(cache, (points[bare], anchor[bare].long()), rim[bare], len(triangles) > 0)
    points, anchor = torch.cat((points, rims.points)), torch.cat((anchor, anchor[rims.source]))
    colors, more = cache.colors.to(device), len(rims.triangles)
    triangles = torch.cat((triangles, _face_anchor(points, rims.triangles, centers, anchor)))
    bend = F.pad(bend, (0, 0, 0, 0, 0, more))
    sky = cache.sky
    return Scene(
        points=points,
        colors=torch.cat((colors, colors[rims.source])),
        anchor=anchor,
        parts=_parts((triangles, bend), (bare.to(torch.int32), scale, radius), anchor, centers),
        sky_rgb=None if sky is None else sky.rgb.to(device).float().contiguous(),
        sky_mask=None if sky is None else sky.mask.to(device).contiguous(),
    )


def _cap_sizes(
    cache: PointCache, bare: tuple[Tensor, Tensor], rim: Tensor, surface: bool
) -> tuple[Tensor, Tensor]:
    """`Part.bare_radius` and `bare_scale` of bare points, given by place and anchor, beside a surface."""
    points, of = bare
    radius = points.new_zeros(len(of))
    if cache.anchor_pixel_angle is not None:
        centers = cache.T_world_anchor[:, :3, 3].to(points)
        radius = cache.anchor_pixel_angle.to(points)[of] * (points - centers[of]).norm(dim=-1)
    # Points that a surface left over lie about its grid; those of a cloud may lie anywhere.
    scale = torch.full_like(radius, CAP_SCALE)
    if surface:
        scale = torch.where(radius > 0, DENSE_SCALE, CAP_SCALE)
    # Rims go by the source: a frame of larger pixels needs no wider ones, their surface fills its pixels.
    radius = torch.where(rim, radius * (RIM_SCALE / RIM_LEAST), radius)
    return radius, torch.where(rim, RIM_LEAST, scale).float()


def _rim(triangles: Tensor, covered: Tensor) -> Tensor:
    """(N,) bool: points whose triangles do not close around them.

    Around an inner point every neighbour follows one triangle and precedes another: the differences of the
    neighbours' numbers cancel.
    """
    turn = torch.zeros(len(covered), dtype=torch.int64, device=covered.device)
    for k in range(3):
        turn.index_add_(0, triangles[:, k], triangles[:, (k + 1) % 3] - triangles[:, (k + 2) % 3])
    return covered & (turn != 0)


def _parts(
    surface: tuple[Tensor, Tensor],
    caps: tuple[Tensor, Tensor, Tensor],
    anchor: Tensor,
    centers: Tensor,
) -> tuple[Part, ...]:
    """One part for every anchor; a cloud without a surface, or of one anchor, is drawn whole.

    `surface` is triangles and bends; `caps` are numbers, scales and radii of the points drawn as caps.
    """
    if len(centers) == 1 or not len(surface[0]):
        return (_part(surface, caps, centers[0], 0),)
    of_triangle, of_bare = anchor[surface[0][:, 0].long()], anchor[caps[0].long()]
    parts = []
    for index, center in enumerate(centers):
        mine, my_bare = of_triangle == index, of_bare == index
        if bool(mine.any()) or bool(my_bare.any()):
            triangles, bend = (x[mine] for x in surface)
            bare, scale, radius = (x[my_bare] for x in caps)
            parts.append(_part((triangles, bend), (bare, scale, radius), center, index))
    return tuple(parts)


def _part(
    surface: tuple[Tensor, Tensor], caps: tuple[Tensor, Tensor, Tensor], center: Tensor, anchor: int
) -> Part:
    triangles, bend = surface
    bare, scale, radius = caps
    turn, pairs = pair_up(triangles)
    order = (turn[:, None] + torch.arange(3, device=turn.device)) % 3
    return Part(
        triangles=triangles.gather(1, order),
        pairs=pairs,
        bend=bend.gather(1, order[..., None].expand_as(bend)),
        bare=bare,
        bare_scale=scale,
        bare_radius=radius,
        center=center,
        anchor=anchor,
    )


def pair_up(triangles: Tensor) -> tuple[Tensor, Tensor]:
    """Pair triangles that follow one another in the list and share a side, so that they are drawn at once.

    Args:
        triangles: (M, 3) int32.

    Returns:
        ((M,) int64, which corner comes first once the shared side is opposite it; (P,) int32 `Part.pairs`).
    """
    count = len(triangles)
    if count == 0:
        return torch.zeros_like(triangles[:, 0], dtype=torch.int64), triangles[:, 0]
    here, after = triangles[:-1], triangles[1:]
    turn = torch.zeros(count, dtype=torch.int64, device=triangles.device)
    own, other = torch.full_like(turn[1:], -1), torch.zeros_like(turn[1:])
    for k in range(3):
        for j in range(3):
            same = (here[:, (k + 1) % 3] == after[:, (j + 2) % 3]) & (
                here[:, (k + 2) % 3] == after[:, (j + 1) % 3]
            )
            own[same], other[same] = k, j
    shares = F.pad(own >= 0, (0, 1))
    # In a run of neighbours each second one starts a pair.
    number = torch.arange(count, device=triangles.device)
    last_break = torch.where(shares, -1, number).cummax(0).values
    before = F.pad(last_break[:-1], (1, 0), value=-1)
    starts = shares & ((number - before) % 2 == 1)
    first = starts.nonzero()[:, 0]
    turn[first], turn[first + 1] = own[first], other[first]
    second = F.pad(starts[:-1], (1, 0))
    pairs = torch.where(starts, number, -1 - number)[~second]
    return turn, pairs.to(torch.int32)


def _face_anchor(points: Tensor, triangles: Tensor, centers: Tensor, anchor: Tensor) -> Tensor:
    """Order corners so that N.(a - anchor) > 0 with N = (b - a) x (c - a): the side that was seen."""
    a, b, c = (points[triangles[:, k].long()] for k in range(3))
    sight = a - centers[anchor[triangles[:, 0].long()].long()]
    away = (torch.linalg.cross(b - a, c - a) * sight).sum(-1) < 0
    swapped = triangles[:, [0, 2, 1]]
    return torch.where(away[:, None], swapped, triangles).to(torch.int32).contiguous()
