"""What a cache holds, as one labelled picture, in words and in numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..cache import PointCache
from ..cache.cleaning import anchor_grid, scale_by_camera_height
from ..check import check_shape
from ..errors import InputError
from ..geometry import rays_to_erp_pixels
from ..render import RenderedFrame, render_path
from ._report_sheet import Panel, ramp, sheet

__all__ = ["CacheReport", "cache_report"]

_STEP = 0.3  # of the distance that a fifth of the scene is nearer than: into the open, past nothing
_RANGE = (0.02, 0.98)
_LOW_CONFIDENCE, _MUCH_UNKNOWN, _RAGGED, _CLOSE = 0.4, 0.05, 0.15, 0.04
_HEIGHTS = (0.4, 4.0)  # metres at which people hold or put cameras
_DIM = 0.3
_SKY, _EDGE, _UNKNOWN, _SCENE = (0.25, 0.5, 1.0), (1.0, 0.15, 0.6), (1.0, 0.45, 0.05), (0.55, 0.55, 0.55)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CacheReport:
    """A cache seen from one place.

    Attributes:
        picture: (3, h, w) 0..1; its size depends on `width` alone.
        name: of the place.
        points, triangles, edges: how many; edges are the triangles over depth edges.
        scene, sky, unknown: shares of the sphere seen from the place.
        unknown_after_step: the share that is unknown after a step of `step` ahead.
        near, middle, far: 2nd, 50th and 98th percentile of the distance.
        confidence: mean over the points.
        step: length of that step.
        unit: "m" or "units".
        floor: what is known of the floor, in words; "" if there is none.
        warnings: what to look at, in words.
    """

    picture: Tensor
    name: str
    points: int
    triangles: int
    edges: int
    scene: float
    sky: float
    unknown: float
    unknown_after_step: float
    near: float
    middle: float
    far: float
    confidence: float
    step: float
    unit: str
    floor: str
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """All but the picture, for a JSON file."""
        names = (field.name for field in dataclasses.fields(self) if field.name != "picture")
        return {name: getattr(self, name) for name in names} | {"warnings": list(self.warnings)}


@torch.no_grad()
def cache_report(
    cache: PointCache, T_world_cam: Tensor, *, name: str = "", width: int = 1024, notes: Sequence[str] = ()
) -> CacheReport:
    """Look at a cache from one place, as a rule that of one of its panoramas.

    Args:
        cache: the cache.
        T_world_cam: (4, 4) where to look from.
        name: of the place.
        width: of the picture in pixels.
        notes: further lines for below the picture, such as what cleaning did.

    Raises:
        InputError: the cache has neither points nor sky, or the picture is too small to be read.
    """
    check_shape("T_world_cam", T_world_cam, "4 4")
    if width < 512:
        raise InputError(f"width: expected at least 512 pixels, got {width}")
    height = width // 4
    near, middle, far, low = _distances(cache, T_world_cam)
    step = _STEP * low
    ahead = T_world_cam.clone()
    ahead[:3, 3] += step * T_world_cam[:3, 2]
    seen, moved = render_path(cache, torch.stack((T_world_cam, ahead)), height, workers=1)
    sure = _confidence(cache, T_world_cam, height)
    edges = 0 if cache.edge is None else int(cache.edge.sum())
    scene, sky, unknown = _shares(seen)
    report = CacheReport(
        picture=torch.zeros(0),
        name=name,
        points=len(cache.points),
        triangles=0 if cache.triangles is None else len(cache.triangles),
        edges=edges,
        scene=scene,
        sky=sky,
        unknown=unknown,
        unknown_after_step=_shares(moved)[2],
        near=near,
        middle=middle,
        far=far,
        confidence=float(cache.confidence.mean()) if len(cache.points) else 0.0,
        step=step,
        unit="m" if cache.metric else "units",
        floor=_floor(cache, T_world_cam),
        warnings=(),
    )
    warnings = _warnings(report, cache)
    edge = _edge_pixels(cache, T_world_cam, height)
    panels = _panels(report, seen, moved, sure, edge)
    lines = [f"Warning: {text}" for text in warnings]
    lines += [report.floor] if report.floor else []
    picture = sheet(panels, title=_title(report, cache), lines=[*lines, *notes], width=width)
    return dataclasses.replace(report, picture=picture, warnings=tuple(warnings))


def _title(report: CacheReport, cache: PointCache) -> str:
    many = len(cache.T_world_anchor)
    return (
        f"{report.name or 'cache'}: {report.points:,} points, {report.triangles:,} triangles, "
        f"{many} panorama{'s' if many > 1 else ''}, {'in metres' if cache.metric else 'scale not known'}"
    )


def _distances(cache: PointCache, T_world_cam: Tensor) -> tuple[float, float, float, float]:
    """2nd, 50th, 98th and 20th percentile from the place."""
    if not len(cache.points):
        return 0.0, 0.0, 0.0, 0.0
    # every n-th point is enough for a quantile, which refuses more than 16 M
    some = cache.points[:: max(1, len(cache.points) // 200_000)]
    away = (some - T_world_cam[:3, 3].to(some)).norm(dim=-1)
    found = away.quantile(away.new_tensor([_RANGE[0], 0.5, _RANGE[1], 0.2])).tolist()
    return found[0], found[1], found[2], found[3]


def _confidence(cache: PointCache, T_world_cam: Tensor, height: int) -> tuple[Tensor, Tensor] | None:
    """((h, w) 0..1, (h, w) bool where there is any) on the CPU; None without points."""
    if not len(cache.points):
        return None
    for index, pose in enumerate(cache.T_world_anchor):
        if bool((pose.cpu() - T_world_cam.cpu()).abs().max() < 1e-6):
            grid = anchor_grid(cache, index)
            if grid is not None:  # the panorama itself: what it saw needs no rendering
                known = cache.confidence[grid.number.clamp_min(0)] * grid.valid
                both = torch.stack((known, grid.valid.float()))[None].cpu()
                small = torch.nn.functional.interpolate(both, (height, 2 * height), mode="nearest-exact")[0]
                return small[0], small[1] > 0.5
    grey = (cache.confidence.clamp(0, 1) * 255).round().to(torch.uint8)[:, None].expand(-1, 3)
    shown = dataclasses.replace(cache, colors=grey.contiguous(), sky=None)
    frame = next(render_path(shown, T_world_cam[None], height, workers=1))
    return frame.rgb[0].cpu(), frame.coverage.cpu()


def _shares(frame: RenderedFrame) -> tuple[float, float, float]:
    """Scene, sky and unknown by solid angle."""
    height = frame.coverage.shape[0]
    row = (torch.arange(height, device=frame.coverage.device) + 0.5) / height
    weight = torch.sin(row * math.pi)[:, None].expand(frame.coverage.shape)
    solid = frame.coverage & (frame.distance > 0)
    kinds = (solid, frame.coverage & ~solid, ~frame.coverage)
    scene, sky, unknown = (float((weight * mask).sum() / weight.sum()) for mask in kinds)
    return scene, sky, unknown


def _floor(cache: PointCache, T_world_cam: Tensor) -> str:
    """How high the camera of the nearest anchor stands, where a floor is found."""
    places = cache.T_world_anchor[:, :3, 3]
    anchor = int((places - T_world_cam[:3, 3].to(places)).norm(dim=-1).argmin())
    try:
        found = scale_by_camera_height(cache, 1.0, anchor=anchor)[1]
    except InputError:
        return ""
    unit = "m" if cache.metric else "units"
    return f"The floor lies {found.measured:.2f} {unit} below the camera ({found.certainty:.0%} certain)."


def _warnings(report: CacheReport, cache: PointCache) -> list[str]:
    found = []
    if not report.points:
        found.append("there is no point, only sky")
    elif report.confidence < _LOW_CONFIDENCE:
        found.append(
            f"the reconstruction trusts its distances little ({report.confidence:.2f} of 1 on average)"
        )
    if report.unknown > _MUCH_UNKNOWN:
        found.append(f"{report.unknown:.0%} of the view is unknown even from here: masked, or not trusted")
    if report.triangles and report.edges > _RAGGED * report.triangles:
        share = report.edges / report.triangles
        found.append(f"{share:.0%} of the surface lies on depth edges; the distances are ragged or noisy")
    if 0 < report.near < _CLOSE * report.middle:
        found.append(
            f"something is as near as {report.near:.2g} {report.unit}; if that is the tripod or the "
            "photographer, mask it"
        )
    if cache.metric and report.floor:
        height = float(report.floor.split()[3])
        if not _HEIGHTS[0] < height < _HEIGHTS[1]:
            found.append(f"the camera would stand {height:.2f} m above the floor; check the scale")
    return found


def _edge_pixels(cache: PointCache, T_world_cam: Tensor, height: int) -> Tensor:
    """(h, w) bool: where the corners of triangles over depth edges lie, of the anchor at the place if any."""
    picture = torch.zeros(height, 2 * height, dtype=torch.bool)
    if cache.triangles is None or cache.edge is None or not bool(cache.edge.any()):
        return picture
    corners = cache.triangles[cache.edge].reshape(-1).long().unique()
    places = cache.T_world_anchor[:, :3, 3]
    away = (places - T_world_cam[:3, 3].to(places)).norm(dim=-1)
    if float(away.min()) < 1e-3:
        corners = corners[cache.anchor[corners] == int(away.argmin())]
    pose = T_world_cam.to(cache.points)
    xy = rays_to_erp_pixels((cache.points[corners] - pose[:3, 3]) @ pose[:3, :3], height).round().long().cpu()
    picture[xy[:, 1].clamp(0, height - 1), xy[:, 0] % (2 * height)] = True
    # wide enough to be seen, and to close the gaps where the picture is finer than the panorama
    angles = cache.anchor_pixel_angle
    source = height if angles is None or float(angles.max()) <= 0 else math.pi / float(angles.max())
    reach = min(4, max(1, math.ceil(height / source / 2)))
    wide = torch.nn.functional.max_pool2d(picture[None, None].float(), 2 * reach + 1, 1, reach)
    return wide[0, 0] > 0


def _panels(
    report: CacheReport,
    seen: RenderedFrame,
    moved: RenderedFrame,
    sure: tuple[Tensor, Tensor] | None,
    edge: Tensor,
) -> list[Panel]:
    rgb, distance, coverage = seen.rgb.cpu(), seen.distance.cpu(), seen.coverage.cpu()
    solid, sky = coverage & (distance > 0), coverage & (distance <= 0)
    dim = _DIM * rgb
    share = _logarithmic(distance, report.near, report.far)
    unit = report.unit
    none = torch.zeros_like(distance)
    trusted = ramp(1 - sure[0]) * sure[1] if sure is not None else ramp(none) * 0
    return [
        Panel(label="Colour", picture=rgb),
        Panel(
            label="Distance",
            picture=torch.where(solid, ramp(share), 0.0),
            scale=(f"{report.near:.2f} {unit}", f"{report.far:.1f} {unit}"),
        ),
        Panel(label=f"Confidence: {report.confidence:.2f} on average", picture=trusted, scale=("1", "0")),
        Panel(label=f"Sky (blue): {report.sky:.1%} of the view", picture=_painted(dim, sky, _SKY)),
        Panel(
            label=f"Depth edges (pink): {report.edges:,} triangles",
            picture=_painted(dim, edge & solid, _EDGE),
        ),
        Panel(
            label=f"Coverage: scene {report.scene:.1%}, sky {report.sky:.1%}, unknown {report.unknown:.1%}",
            picture=_coverage(solid, sky),
        ),
        Panel(label=f"After a step of {report.step:.2f} {unit} ahead", picture=moved.rgb.cpu()),
        Panel(
            label=f"Unknown after that step (orange): {report.unknown_after_step:.1%}",
            picture=_painted(_DIM * moved.rgb.cpu(), ~moved.coverage.cpu(), _UNKNOWN),
        ),
    ]


def _logarithmic(distance: Tensor, near: float, far: float) -> Tensor:
    """0 at `near`, 1 at `far`, even in the logarithm."""
    if not far > near > 0:
        return torch.full_like(distance, 0.5)
    return ((distance.clamp_min(1e-9) / near).log() / math.log(far / near)).clamp(0, 1)


def _painted(rgb: Tensor, mask: Tensor, color: tuple[float, float, float]) -> Tensor:
    return torch.where(mask, rgb.new_tensor(color)[:, None, None], rgb)


def _coverage(solid: Tensor, sky: Tensor) -> Tensor:
    picture = torch.zeros(3, *solid.shape)
    picture = _painted(picture, ~(solid | sky), _UNKNOWN)
    return _painted(_painted(picture, solid, _SCENE), sky, _SKY)
