"""To metres: by the camera's height above the floor, or by one known distance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...check import check_shape
from ...errors import InputError
from .._types import PointCache
from ._grid import anchor_grid, row_weight

__all__ = ["ScaleReport", "scale_by_camera_height", "scale_by_distance", "scale_cache"]

_BELOW = math.sin(math.radians(12))  # what is seen flatter than this says little about the floor
_BIN = 0.02  # of the histogram over log height
_STRONG = 0.35  # a level this strong, relative to the strongest, may be the floor
_WITHIN = 0.05  # of the height: points of the floor
_STEEPEST = math.radians(12)
_ROUNDS = 8
_SECTORS = 24
_CLOSE = math.radians(0.7)
_SURE, _FAIR = 0.6, 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleReport:
    """How the scale was found.

    Attributes:
        factor: all lengths were multiplied by this.
        measured: the camera's height above the floor, or the distance, in the cache's unit before.
        wanted: the same in metres.
        certainty: 0..1; by a known distance 1.
        tilt: of the floor against level, radians; 0 by a known distance.
        text: all of it in words.
    """

    factor: float
    measured: float
    wanted: float
    certainty: float
    tilt: float
    text: str


def scale_cache(cache: PointCache, factor: float, *, metric: bool) -> PointCache:
    """Multiply all lengths: points, the anchors' places, the origin.

    Raises:
        InputError: the factor is not a finite number above 0.
    """
    if not 0 < factor < math.inf:
        raise InputError(f"factor: expected a finite number above 0, got {factor}")
    poses = cache.T_world_anchor.clone()
    poses[:, :3, 3] *= factor
    return replace(
        cache,
        points=cache.points * factor,
        T_world_anchor=poses,
        origin=cache.origin * factor,
        metric=metric,
        provenance=cache.provenance | {"scale": factor},
    )


@torch.no_grad()
def scale_by_camera_height(
    cache: PointCache, camera_height: float, *, anchor: int = 0
) -> tuple[PointCache, ScaleReport]:
    """Scale a cache so that a camera stands `camera_height` metres above the floor.

    The floor is the lowest strong level among the points below the camera, made exact by a robust plane that
    may be tilted by up to 12°. Certainty is the share of what lies below the camera that belongs to it, times
    the share of directions in which it is seen; below a half read the picture before you trust it.

    Args:
        cache: levelled, y down.
        camera_height: metres; a tripod or a head is at about 1.6.
        anchor: whose camera.

    Returns:
        The cache in metres, and how sure that is.

    Raises:
        InputError: no floor can be found, or an argument is out of range.
    """
    if not 0 < camera_height < math.inf:
        raise InputError(f"camera_height: expected metres above 0, got {camera_height}")
    offset, weight = _below(cache, anchor)
    plane, share = _floor(offset, weight)
    normal = torch.stack((-plane[1], torch.ones_like(plane[0]), -plane[2]))
    height = float(plane[0] / normal.norm())
    tilt = math.acos(min(1.0, 1 / float(normal.norm())))
    near = _residual(offset, plane).abs() < _WITHIN * plane[0]
    sector = ((torch.atan2(offset[:, 0], offset[:, 2]) / (2 * math.pi) + 0.5) * _SECTORS).long() % _SECTORS
    seen = float(torch.bincount(sector[near], minlength=_SECTORS).gt(0).float().mean())
    certainty = min(1.0, 1.5 * share) * seen
    word = "sure" if certainty >= _SURE else "fairly sure" if certainty >= _FAIR else "NOT sure"
    factor = camera_height / height
    text = (
        f"The floor is {height:.3g} units below the camera, so all lengths are multiplied by {factor:.4g}. "
        f"This is {word} ({certainty:.0%}): {share:.0%} of what lies below the camera is on one plane, seen "
        f"in {seen:.0%} of the directions and tilted by {math.degrees(tilt):.1f}°."
    )
    if certainty < _FAIR:
        text += " Check it, or give a known distance instead."
    report = ScaleReport(
        factor=factor, measured=height, wanted=camera_height, certainty=certainty, tilt=tilt, text=text
    )
    return scale_cache(cache, factor, metric=True), report


def _below(cache: PointCache, anchor: int) -> tuple[Tensor, Tensor]:
    """(n, 3) float64 from the camera to the points below it, and the (n,) solid angle of each."""
    if not 0 <= anchor < len(cache.T_world_anchor):
        raise InputError(f"anchor: expected 0 to {len(cache.T_world_anchor) - 1}, got {anchor}")
    center = cache.T_world_anchor[anchor, :3, 3].to(cache.points)
    offset = (cache.points - center).double()
    far = offset.norm(dim=-1)
    weight = torch.ones_like(far)
    grid = anchor_grid(cache, anchor)
    if grid is not None:
        weight.zero_()
        rows = row_weight(grid.height, far.device).double().expand(grid.number.shape)
        weight[grid.number[grid.valid]] = rows[grid.valid]
    down = (offset[:, 1] > _BELOW * far) & (far > 0) & far.isfinite() & (weight > 0)
    if int(down.sum()) < 50:
        raise InputError(
            "cache: there is nothing below the camera to take for the floor (fewer than 50 points); scale it "
            "by a known distance instead"
        )
    return offset[down], weight[down]


def _residual(offset: Tensor, plane: Tensor) -> Tensor:
    return offset[:, 1] - plane[0] - plane[1] * offset[:, 0] - plane[2] * offset[:, 2]


def _floor(offset: Tensor, weight: Tensor) -> tuple[Tensor, float]:
    """The plane y = p0 + p1 x + p2 z, and the share of the weight that lies on it."""
    log = offset[:, 1].log()
    low = float(log.min())
    bins = ((log - low) / _BIN).long()
    # more than e^20 between the lowest and the highest is no scene
    histogram = torch.zeros(min(int(bins.max()) + 1, 1000), dtype=torch.float64, device=log.device)
    histogram.index_add_(0, bins.clamp_max(len(histogram) - 1), weight)
    smooth = torch.nn.functional.avg_pool1d(histogram[None], 5, 1, 2)[0]
    level = int((smooth >= _STRONG * smooth.max()).nonzero()[-1])
    window = smooth[max(0, level - 5) : level + 1]
    level = max(0, level - 5) + int(window.argmax())
    zero = torch.zeros((), dtype=torch.float64, device=log.device)
    plane = torch.stack((torch.exp(zero + low + (level + 0.5) * _BIN), zero, zero))
    reach = 3 * _WITHIN
    for _ in range(_ROUNDS):
        off = _residual(offset, plane).abs() / (reach * plane[0])
        say = weight * (1 - off.square()).clamp(min=0).square()  # Tukey's weights: what is far off has none
        plane = _fit(offset, say)
        reach = max(_WITHIN, reach / 1.5)
    steepness = float(torch.hypot(plane[1], plane[2]))
    near = _residual(offset, plane).abs() < _WITHIN * plane[0]
    if not float(plane[0]) > 0 or steepness > math.tan(_STEEPEST):
        raise InputError(
            "cache: no level floor was found below the camera; level the panorama, or scale it by a known "
            "distance instead"
        )
    return plane, float(weight[near].sum() / weight.sum())


def _fit(offset: Tensor, weight: Tensor) -> Tensor:
    """Weighted least squares of y over (1, x, z), with a pull to level where the points say little."""
    rows = torch.stack((torch.ones_like(weight), offset[:, 0], offset[:, 2]), -1)
    square = rows.T @ (weight[:, None] * rows)
    pull = torch.diag(square.new_tensor([0.0, 1.0, 1.0])) * (1e-6 * square.diagonal().sum() + 1e-12)
    side = rows.T @ (weight * offset[:, 1])
    return torch.linalg.solve(square + pull, side)


@torch.no_grad()
def scale_by_distance(
    cache: PointCache, first: Tensor, second: Tensor, distance: float, *, anchor: int = 0
) -> tuple[PointCache, ScaleReport]:
    """Scale a cache by the known distance between two things that an anchor sees.

    Args:
        cache: the cache.
        first, second: (3,) directions in the anchor's camera, of any length (`erp_pixels_to_rays` makes
            them of pixels).
        distance: metres between what is seen there.
        anchor: whose camera.

    Raises:
        InputError: nothing but sky or a hole in one of the directions, both meet the same point, or an
            argument is out of range.
    """
    if not 0 < distance < math.inf:
        raise InputError(f"distance: expected metres above 0, got {distance}")
    if not 0 <= anchor < len(cache.T_world_anchor):
        raise InputError(f"anchor: expected 0 to {len(cache.T_world_anchor) - 1}, got {anchor}")
    ends = [_surface_at(cache, anchor, name, ray) for name, ray in (("first", first), ("second", second))]
    measured = float((ends[0] - ends[1]).norm())
    if measured < 1e-6 * float(ends[0].norm() + ends[1].norm()):
        raise InputError("first, second: expected two places, got twice the same point of the scene")
    factor = distance / measured
    text = (
        f"The two places are {measured:.4g} units apart, so all lengths are multiplied by {factor:.4g} to "
        f"make that {distance:g} m."
    )
    report = ScaleReport(
        factor=factor, measured=measured, wanted=distance, certainty=1.0, tilt=0.0, text=text
    )
    return scale_cache(cache, factor, metric=True), report


def _surface_at(cache: PointCache, anchor: int, name: str, ray: Tensor) -> Tensor:
    """(3,) the point seen along a ray: at the median distance of the points within 0.7° or a pixel."""
    check_shape(name, ray, "3")
    pose = cache.T_world_anchor[anchor].to(cache.points)
    ray = torch.nn.functional.normalize(pose[:3, :3] @ ray.to(pose), dim=-1)
    mine = cache.points[cache.anchor == anchor] - pose[:3, 3]
    far = mine.norm(dim=-1)
    pixel = 0.0 if cache.anchor_pixel_angle is None else float(cache.anchor_pixel_angle[anchor])
    close = (mine @ ray) > math.cos(max(_CLOSE, pixel)) * far
    if not bool(close.any()):
        raise InputError(f"{name}: there is sky or nothing in this direction; point at a surface")
    return ray * far[close].median()
