"""Pinhole views at or near a panorama's centre -> its distances, where the views look."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...cache import PointCache
from ...check import check_rotation, check_shape
from ...errors import InputError
from ...geometry import erp_rays, resize_erp, rotate_vectors, transform_points
from ...geometry.perspective import sample_view
from ...render import render
from .._types import DistanceEstimate
from ..fusion import CropDepths, fuse_crops
from ..given import GivenBackend

__all__ = ["PinholeViews", "estimate_of_views"]

# A view whose centre is nearer to the panorama's than this share of its typical depth counts as taken there.
_AT_CENTRE = 0.01
_FUSION_HEIGHT = 512
# Slanted floors change by a few percent a pixel; steps above a tenth are edges.
_EDGE = 1.1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PinholeViews:
    """Depths of pinhole views and where they were taken.

    Attributes:
        depth: (V, h, w) z-depth; what is not above 0 and finite is missing.
        tan_half: (V, 2) tangents of half the horizontal and half the vertical angle; the principal point is
            the middle of the image.
        T_pano_view: (V, 4, 4) view camera to panorama camera, in the unit of the depths.
        sky: (V, h, w) 0..1, how surely the pixel is sky.
        confidence: (V, h, w) 0..1.
    """

    depth: Tensor
    tan_half: Tensor
    T_pano_view: Tensor
    sky: Tensor
    confidence: Tensor

    def __post_init__(self) -> None:
        sizes = check_shape("views.depth", self.depth, "V h w")
        check_shape("views.sky", self.sky, "V h w", **sizes)
        check_shape("views.confidence", self.confidence, "V h w", **sizes)
        check_shape("views.tan_half", self.tan_half, "V 2", V=sizes["V"])
        check_shape("views.T_pano_view", self.T_pano_view, "V 4 4", V=sizes["V"])
        check_rotation("views.T_pano_view[:, :3, :3]", self.T_pano_view[:, :3, :3])
        if not bool((self.tan_half.isfinite() & (self.tan_half > 0)).all()):
            raise InputError(
                f"views.tan_half: expected tangents above 0, got {self.tan_half.tolist()}; the intrinsics "
                "are not those of a pinhole camera"
            )

    @property
    def good(self) -> Tensor:
        """(V, h, w) bool: there is a surface, and it is not sky."""
        return self.depth.isfinite() & (self.depth > 0) & (self.sky < 0.5)


def estimate_of_views(views: PinholeViews, height: int, *, metric: bool) -> DistanceEstimate:
    """Distances of a panorama from views that show parts of it; the rest of the sphere stays unknown.

    One view taken at the panorama's centre is resampled as it is. Several are fused. What views from
    elsewhere show fills the directions that those do not see; what is hidden from the panorama is left out.

    Args:
        views: at least one.
        height: of the panorama, pixels.
        metric: the depths are in metres.

    Raises:
        InputError: no view has any depth.
    """
    good = views.good
    if not bool(good.any()):
        raise InputError("geometry: expected some depths above 0, got none; all is masked, sky or NaN")
    typical = float(views.depth[good].median())
    centred = views.T_pano_view[:, :3, 3].norm(dim=-1) <= _AT_CENTRE * typical
    inside = centred.nonzero()[:, 0].tolist()
    if inside == [0] and len(centred) == 1:
        return _one_view(views, height, metric)
    small = min(height, _FUSION_HEIGHT)
    distance, confidence, sky = _fused(views, inside, small)
    outside = (~centred).nonzero()[:, 0].tolist()
    if outside:
        filled, sure = _seen_from_centre(views, outside, small)
        take = (distance == 0) & (filled > 0) & (sky < 0.5)
        distance, confidence = torch.where(take, filled, distance), torch.where(take, sure, confidence)
    return _at_height(distance, confidence, sky, height, metric)


def _one_view(views: PinholeViews, height: int, metric: bool) -> DistanceEstimate:
    """The view's own pixels, looked up along the panorama's rays."""
    uv, along, inside = _project(views, 0, erp_rays(height))
    good = views.good[0]
    inverse = torch.where(good, 1 / views.depth[0].clamp(min=1e-9), 0.0)
    padded = F.pad(inverse[None, None], (1, 1, 1, 1), mode="replicate")
    high = F.max_pool2d(padded, 3, stride=1)[0, 0]
    low = -F.max_pool2d(-padded, 3, stride=1)[0, 0]
    smooth = (low > 0) & (high < low * _EDGE)
    linear = sample_view(torch.stack((inverse, views.confidence[0])), uv)
    nearest = _nearest(torch.stack((inverse, views.sky[0], smooth.float())), uv)
    # a plane is linear in inverse depth on the image; across an edge the mean would hang in the air
    inverse = torch.where(nearest[2] > 0.5, linear[0], nearest[0])
    valid = inside & (inverse > 0)
    distance = torch.where(valid, along / inverse.clamp(min=1e-9), 0.0)
    sky = torch.where(inside, nearest[1], 0.0)
    return DistanceEstimate(
        distance=distance,
        confidence=torch.where(valid, linear[1], 0.0),
        sky=torch.where(valid, 0.0, sky),
        valid=valid,
        metric=metric,
    )


def _project(views: PinholeViews, index: int, rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays (..., 3) of the panorama meet a view: uv in -1..1, distance per z-depth, and if inside."""
    local = rotate_vectors(views.T_pano_view[index, :3, :3].T, rays)
    ahead = local[..., 2] > 1e-6
    z = local[..., 2].clamp(min=1e-6)
    uv = local[..., :2] / z[..., None] / views.tan_half[index]
    return uv, 1 / z, ahead & (uv.abs() < 1).all(-1)


def _nearest(image: Tensor, uv: Tensor) -> Tensor:
    """(C, ...) nearest pixels of (C, h, w)."""
    grid = uv.clamp(-2, 2).reshape(1, uv.shape[0], -1, 2)
    found = F.grid_sample(image[None], grid, mode="nearest", padding_mode="border", align_corners=False)
    return found.reshape(len(image), *uv.shape[:-1])


def _fused(views: PinholeViews, index: list[int], height: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distance (0 where unknown), confidence and sky (H, W) of the views taken at the centre."""
    zeros = torch.zeros(height, 2 * height)
    if not index:
        return zeros, zeros, zeros
    rays = erp_rays(height)
    sky, seen = zeros, zeros
    for i in index:
        uv, _, inside = _project(views, i, rays)
        sky = sky + _nearest(views.sky[i][None], uv)[0] * inside
        seen = seen + inside
    sky = sky / seen.clamp(min=1)
    if not bool(views.good[index].any()):
        return zeros, zeros, sky
    crops = CropDepths(
        values=views.depth[index],
        rotations=views.T_pano_view[index, :3, :3],
        fov_x=2 * torch.atan(views.tan_half[index, 0]),
        quantity="z_depth",
        freedom="metric",
        valid=views.good[index],
        confidence=views.confidence[index],
    )
    fused = fuse_crops(crops, height, exclude=sky >= 0.5)
    return fused.distance, fused.confidence, sky


def _seen_from_centre(views: PinholeViews, index: list[int], height: int) -> tuple[Tensor, Tensor]:
    """Distance (0 where unknown) and confidence (H, W) of points of other places, the nearest in front."""
    points, sure = [], []
    for i in index:
        good = views.good[i]
        h, w = good.shape
        x = ((torch.arange(w) + 0.5) / w * 2 - 1) * views.tan_half[i, 0]
        y = ((torch.arange(h) + 0.5) / h * 2 - 1) * views.tan_half[i, 1]
        plane = torch.stack((*torch.meshgrid(x, y, indexing="xy"), torch.ones(h, w)), -1)
        local = (plane * views.depth[i][..., None])[good]
        points.append(transform_points(views.T_pano_view[i], local))
        sure.append(views.confidence[i][good])
    cloud, confidence = torch.cat(points), torch.cat(sure)
    grey = (confidence.clamp(0, 1) * 255).round().to(torch.uint8)[:, None].expand(-1, 3)
    if not len(cloud):
        return torch.zeros(height, 2 * height), torch.zeros(height, 2 * height)
    cache = PointCache(
        points=cloud,
        colors=grey.contiguous(),
        confidence=confidence,
        anchor=torch.zeros(len(cloud), dtype=torch.int16),
        T_world_anchor=torch.eye(4)[None],
        anchor_pixel_angle=torch.tensor([math.pi / height]),
    )
    frame = render(cache, torch.eye(4), height)
    return torch.where(frame.coverage, frame.distance, 0.0), frame.rgb[0] * frame.coverage


def _at_height(
    distance: Tensor, confidence: Tensor, sky: Tensor, height: int, metric: bool
) -> DistanceEstimate:
    """To the panorama's height; edges stay edges."""
    is_sky = (sky >= 0.5) & (distance == 0)
    encoded = torch.where(is_sky, math.inf, distance)
    found = GivenBackend(depth=encoded, metric=metric).estimate(torch.zeros(3, height, 2 * height))
    sure = resize_erp(confidence[None], height)[0].clamp(0, 1)
    return DistanceEstimate(
        distance=found.distance,
        confidence=torch.where(found.valid, sure, 0.0),
        sky=found.sky,
        valid=found.valid,
        metric=metric,
    )
