"""The steps of cleaning, one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ...errors import InputError, Progress
from .._types import PointCache
from ._edges import between_surfaces, edge_mask, nearest_surface, noise_level
from ._floaters import floating_pixels, stray_points
from ._grid import AnchorGrid, anchor_grid
from ._overlap import merge_overlaps
from ._report import CleanReport, CleanStep, count
from ._select import move_points, select_points
from ._thin import thin_cache

__all__ = ["CleanSettings", "clean_cache"]

EdgeMode = Literal["off", "repair", "cut", "all"]
FloaterMode = Literal["off", "repair", "cut"]
OverlapMode = Literal["off", "conflicts", "merge"]
_AT_CAMERA = 1e-3  # of the median distance: nearer points have no direction worth the name
_NOISY, _MUCH = 0.02, 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanSettings:
    """What is cleaned.

    Attributes:
        confidence: points below (0..1) are left out; 0 keeps all.
        min_distance, max_distance: from the anchor that saw the point, in the cache's unit; 0 sets no limit.
            Points within a thousandth of the median distance lie at the camera and are always left out.
        edges: what happens at depth edges. "repair" moves pixels that hang in the air between two surfaces
            along their ray onto the nearer one; "cut" leaves them out; "all" leaves out every pixel at a
            depth edge, as in methods that keep bare points; "off" nothing.
        edge_rtol: jump of the distance within 3x3 pixels, as a fraction, that makes an edge ...
        normal_edge: ... where the surface also turns by so much, radians.
        floaters: what happens to specks of less than `floater_pixels`: "repair" moves them onto the surface
            around them, where there is one; "cut" leaves them out; "off" nothing. Stray points of clouds
            that came from no panorama are left out.
        floater_pixels: the smallest patch that stays, pixels at the equator.
        overlap: "conflicts" leaves out points that another anchor, which is nearer, saw through: the double
            walls of panoramas whose distances disagree; "merge" also keeps what several saw alike only once,
            from the nearest: fewer points, faster frames; "off" nothing. See `merge_overlaps`.
        overlap_rtol, overlap_band: see there.
        voxel: thin to one point per cube of this size, in the cache's unit, see `thin_cache`; 0 does not.
    """

    confidence: float = 0.0
    min_distance: float = 0.0
    max_distance: float = 0.0
    edges: EdgeMode = "repair"
    edge_rtol: float = 0.03
    normal_edge: float = math.radians(5)
    floaters: FloaterMode = "repair"
    floater_pixels: float = 4.0
    overlap: OverlapMode = "conflicts"
    overlap_rtol: float = 0.03
    overlap_band: float = 0.25
    voxel: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise InputError(f"CleanSettings.confidence: expected 0 to 1, got {self.confidence}")
        for name in ("min_distance", "max_distance", "voxel", "floater_pixels"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"CleanSettings.{name}: expected 0 or more, got {getattr(self, name)}")
        for name in ("edge_rtol", "normal_edge", "overlap_rtol", "overlap_band"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(
                    f"CleanSettings.{name}: expected a number above 0, got {getattr(self, name)}"
                )
        if 0 < self.max_distance <= self.min_distance:
            raise InputError(
                f"CleanSettings.max_distance: expected more than min_distance {self.min_distance}, got "
                f"{self.max_distance}"
            )
        for name, kind in (("edges", EdgeMode), ("floaters", FloaterMode), ("overlap", OverlapMode)):
            if getattr(self, name) not in get_args(kind):
                choices = ", ".join(get_args(kind))
                raise InputError(
                    f"CleanSettings.{name}: expected one of {choices}, got {getattr(self, name)!r}"
                )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Done:
    cache: PointCache
    moved: int = 0
    note: str = ""


_Step: TypeAlias = Callable[[PointCache, CleanSettings], _Done]


@torch.no_grad()
def clean_cache(
    cache: PointCache, settings: CleanSettings | None = None, *, progress: Progress | None = None
) -> tuple[PointCache, CleanReport]:
    """Clean a cache: broken points, confidence, distance, depth edges, floaters, overlaps, thinning.

    The steps on depth edges and specks work on the pixel grid of the panorama that each point came from,
    which is found again from the anchors' poses; clouds of other programs have none and are judged by what
    is around a point.

    Args:
        cache: is not changed.
        settings: see CleanSettings.
        progress: called with (steps done, steps).

    Returns:
        The new cache, and what each step did. An empty cache comes back as it is, with a warning.
    """
    settings = settings or CleanSettings()
    steps: list[tuple[str, _Step, bool]] = [
        ("broken points", _broken, True),
        ("confidence", _confidence, settings.confidence > 0),
        ("distance", _distance, True),
        ("depth edges", _edges, settings.edges != "off"),
        ("floaters", _floaters, settings.floaters != "off"),
        ("overlaps", _overlaps, settings.overlap != "off" and len(cache.T_world_anchor) > 1),
        ("thinning", _thinning, settings.voxel > 0),
    ]
    wanted = [(name, step) for name, step, on in steps if on]
    done, warnings = [], _warnings_before(cache)
    start = len(cache.points)
    for index, (name, step) in enumerate(wanted):
        points, triangles = count(cache)
        made = step(cache, settings) if points else _Done(cache=cache)
        cache = made.cache
        points_after, triangles_after = count(cache)
        done.append(
            CleanStep(
                name=name,
                points_before=points,
                points_after=points_after,
                triangles_before=triangles,
                triangles_after=triangles_after,
                moved=made.moved,
                note=made.note,
            )
        )
        if progress:
            progress(index + 1, len(wanted))
    warnings += _warnings_after(start, done)
    own = {f"clean.{name}": value for name, value in asdict(settings).items()}
    cleaned = _with_provenance(cache, own)
    return cleaned, CleanReport(steps=tuple(done), warnings=tuple(warnings))


def _with_provenance(cache: PointCache, own: dict[str, str | float | int | bool]) -> PointCache:
    return replace(cache, provenance=cache.provenance | own)


def _warnings_before(cache: PointCache) -> list[str]:
    if not len(cache.points):
        return ["the cache has no points; there is nothing to clean"]
    if len(cache.points) < 100:
        return [f"the cache has only {len(cache.points)} points, too few to tell noise from detail"]
    return []


def _warnings_after(start: int, steps: list[CleanStep]) -> list[str]:
    found = [
        f"the step '{step.name}' left out {step.removed / step.points_before:.0%} of the points; look at the "
        "picture before you go on"
        for step in steps
        if step.name not in ("thinning", "overlaps") and step.removed > _MUCH * max(1, step.points_before)
    ]
    if start and steps and not steps[-1].points_after:
        found.append("no point is left; the limits are too strict for this cache")
    return found


def _broken(cache: PointCache, _settings: CleanSettings) -> _Done:
    """NaN and infinity."""
    good = cache.points.isfinite().all(-1) & cache.confidence.isfinite()
    return _Done(cache=select_points(cache, good), note="" if bool(good.all()) else "NaN or infinite")


def _confidence(cache: PointCache, settings: CleanSettings) -> _Done:
    return _Done(cache=select_points(cache, cache.confidence >= settings.confidence))


def _distance(cache: PointCache, settings: CleanSettings) -> _Done:
    far = _from_anchor(cache)
    at_camera = _AT_CAMERA * float(far.median())
    keep = far >= max(settings.min_distance, at_camera)
    note = ""
    if settings.max_distance > 0:
        keep &= far <= settings.max_distance
    stuck = int((far < at_camera).sum())
    if stuck:
        note = f"{stuck:,} of them at the camera itself"
    return _Done(cache=select_points(cache, keep), note=note)


def _from_anchor(cache: PointCache) -> Tensor:
    centers = cache.T_world_anchor[:, :3, 3].to(cache.points)
    return (cache.points - centers[cache.anchor.long()]).norm(dim=-1)


def _grids(cache: PointCache) -> list[AnchorGrid]:
    found = (anchor_grid(cache, index) for index in range(len(cache.T_world_anchor)))
    return [grid for grid in found if grid is not None]


def _edges(cache: PointCache, settings: CleanSettings) -> _Done:
    grids = _grids(cache)
    drop = torch.zeros(len(cache.points), dtype=torch.bool, device=cache.points.device)
    move, places = drop.clone(), cache.points.clone()
    noise = 0.0
    for grid in grids:
        noise = max(noise, noise_level(grid.distance, grid.valid))
        edge = edge_mask(grid.distance, grid.valid, rtol=settings.edge_rtol, normal_edge=settings.normal_edge)
        if settings.edges == "all":
            drop[grid.number[edge]] = True
            continue
        wrong = between_surfaces(grid.distance, grid.valid, edge)
        _correct(cache, grid, wrong, grid.valid & ~edge, settings.edges == "repair", (drop, move, places))
    note = "" if grids else "the panoramas' pixels are not known, so edges cannot be found"
    if noise > _NOISY:
        note = f"the distances scatter by {noise:.1%}, so only larger jumps count as edges"
    moved = move_points(cache, move, places) if bool(move.any()) else cache
    return _Done(cache=select_points(moved, ~drop), moved=int(move.sum()), note=note)


def _floaters(cache: PointCache, settings: CleanSettings) -> _Done:
    grids = _grids(cache)
    drop = torch.zeros(len(cache.points), dtype=torch.bool, device=cache.points.device)
    move, places, on_grid = drop.clone(), cache.points.clone(), drop.clone()
    for grid in grids:
        on_grid[grid.number[grid.valid]] = True
        rtol = max(0.05, 4 * noise_level(grid.distance, grid.valid))
        wrong = floating_pixels(grid.distance, grid.valid, pixels=settings.floater_pixels, rtol=rtol)
        _correct(cache, grid, wrong, grid.valid & ~wrong, settings.floaters == "repair", (drop, move, places))
    if cache.anchor_pixel_angle is None or bool((cache.anchor_pixel_angle == 0).any()):
        unknown = torch.ones_like(drop)
        if cache.anchor_pixel_angle is not None:
            unknown = (cache.anchor_pixel_angle.to(places) == 0)[cache.anchor.long()]
        drop |= stray_points(cache, unknown & ~on_grid)
    moved = move_points(cache, move, places) if bool(move.any()) else cache
    return _Done(cache=select_points(moved, ~drop), moved=int(move.sum()))


def _correct(
    cache: PointCache,
    grid: AnchorGrid,
    wrong: Tensor,
    solid: Tensor,
    repair: bool,
    marks: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Mark wrong pixels: those to move with their places, those to drop; `marks` is drop, move, places."""
    drop, move, places = marks
    if not repair:
        drop[grid.number[wrong]] = True
        return
    placed = nearest_surface(grid.distance, solid, wrong)
    # in thickets there is an edge at every pixel: then what does not hang in the air itself has to do
    placed = torch.where(placed > 0, placed, nearest_surface(grid.distance, grid.valid & ~wrong, wrong))
    fits = wrong & (placed > 0)
    drop[grid.number[wrong & ~fits]] = True
    number = grid.number[fits]
    centers = cache.T_world_anchor[:, :3, 3].to(places)[cache.anchor[number].long()]
    share = (placed[fits] / grid.distance[fits])[:, None]
    places[number] = centers + (cache.points[number] - centers) * share
    move[number] = True


def _overlaps(cache: PointCache, settings: CleanSettings) -> _Done:
    if cache.anchor_pixel_angle is None:
        return _Done(cache=cache, note="the panoramas' pixels are not known, so nothing can be compared")
    merged = merge_overlaps(
        cache,
        rtol=settings.overlap_rtol,
        band=settings.overlap_band,
        duplicates=settings.overlap == "merge",
    )
    return _Done(cache=merged)


def _thinning(cache: PointCache, settings: CleanSettings) -> _Done:
    thin = thin_cache(cache, settings.voxel)
    note = ""
    if cache.triangles is None and len(thin.points) < len(cache.points):
        note = "a cloud without a surface may show gaps now"
    return _Done(cache=thin, note=note)
