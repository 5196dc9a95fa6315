"""A panorama with distances -> a cache."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from ..check import check_erp, check_rotation, check_shape
from ..errors import InputError
from ..geometry import erp_rays
from ._sky import sky_layer
from ._surface import depth_edges, grid_triangles, pole_fan
from ._types import CacheSettings, PointCache, Provenance

__all__ = ["cache_from_erp"]


@torch.no_grad()
def cache_from_erp(
    rgb: Tensor,
    distance: Tensor,
    valid: Tensor,
    *,
    confidence: Tensor | None = None,
    sky: Tensor | None = None,
    T_world_cam: Tensor | None = None,
    metric: bool = True,
    settings: CacheSettings | None = None,
) -> PointCache:
    """Build the cache of one panorama: a surface through its pixels, bare points where that breaks, the sky.

    Pixel centres become vertices, one more at each pole; neighbours are joined around the seam. Pixels that
    are not valid, sky, or below the confidence threshold give no point.

    Args:
        rgb: (3, H, W) float 0..1, W = 2 H.
        distance: (H, W) metres along the ray; ignored where not valid.
        valid: (H, W) bool.
        confidence: (H, W) 0..1; None means 1 everywhere.
        sky: (H, W) bool, True where nothing but sky was seen; None means no sky.
        T_world_cam: (4, 4) camera of the panorama; None means it is the world frame.
        metric: the distances are metres.
        settings: see CacheSettings.

    Returns:
        The cache, on the device of `rgb`. It may hold no points when nothing is valid.

    Raises:
        ShapeError, ConventionError: shapes that do not belong together.
        InputError: a valid distance that is not finite and positive.
    """
    settings = settings or CacheSettings()
    height, width = check_erp("rgb", rgb)
    check_shape("rgb", rgb, "3 H W")
    confidence = torch.ones_like(distance) if confidence is None else confidence
    sky = torch.zeros_like(valid) if sky is None else sky
    for name, field in (("distance", distance), ("valid", valid), ("confidence", confidence), ("sky", sky)):
        check_shape(name, field, "H W", H=height, W=width)
    if T_world_cam is None:
        T_world_cam = torch.eye(4)
    check_shape("T_world_cam", T_world_cam, "4 4")
    T_world_cam = T_world_cam.to(device=rgb.device, dtype=torch.float32)
    check_rotation("T_world_cam[:3, :3]", T_world_cam[:3, :3])
    use = valid & ~sky & (confidence >= settings.confidence_threshold)
    _check_distance(distance, use)
    vertices, colors, sure, keep = _vertices(rgb, distance.float(), confidence.float(), use)
    triangles, edge = None, None
    if settings.surface:
        triangles, edge = _surface(distance.float(), use, keep, settings)
    points = vertices[keep] @ T_world_cam[:3, :3].T + T_world_cam[:3, 3]
    provenance: Provenance = {"source": "erp", "height": height}
    provenance |= {f"settings.{name}": value for name, value in dataclasses.asdict(settings).items()}
    return PointCache(
        points=points,
        colors=(colors[keep].clamp(0, 1) * 255).round().to(torch.uint8),
        confidence=sure[keep],
        anchor=torch.zeros(len(points), dtype=torch.int16, device=rgb.device),
        triangles=triangles,
        edge=edge,
        sky=sky_layer(rgb, sky, T_world_cam[:3, :3], fill=settings.sky_fill),
        T_world_anchor=T_world_cam[None].clone(),
        anchor_pixel_angle=torch.tensor([math.pi / height], device=rgb.device),
        metric=metric,
        provenance=provenance,
    )


def _check_distance(distance: Tensor, use: Tensor) -> None:
    bad = int((use & ~(distance.isfinite() & (distance > 0))).sum())
    if bad:
        raise InputError(
            f"distance: expected finite values above 0 where valid, got {bad} pixels that are not; "
            "mark them as not valid"
        )


def _vertices(
    rgb: Tensor, distance: Tensor, confidence: Tensor, use: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All pixels, then the poles: (V, 3) camera-frame points, (V, 3) colours, (V,) confidence, (V,) keep.

    A pole's distance is the harmonic mean of its ring, which is exact for a plane. It is left out when most
    of the ring is missing.
    """
    height = distance.shape[0]
    rays = erp_rays(height, device=rgb.device)
    distance = torch.where(use, distance, 1.0)
    points = [(rays * distance[..., None]).reshape(-1, 3)]
    colors = [rgb.float().permute(1, 2, 0).reshape(-1, 3)]
    sure, keep = [confidence.reshape(-1)], [use.reshape(-1)]
    ring_slope = math.cos(0.5 * math.pi / height)
    for row, up in ((0, -1.0), (height - 1, 1.0)):
        ring = use[row]
        count = ring.sum().clamp_min(1)
        inverse = (ring / distance[row]).sum() / count / ring_slope
        far = 1 / torch.where(ring.any(), inverse, 1.0)
        points.append(far * rays.new_tensor([[0.0, up, 0.0]]))
        colors.append(((rgb[:, row].float() * ring).sum(-1) / count)[None])
        sure.append(((confidence[row] * ring).sum() / count)[None])
        keep.append((ring.sum() * 2 > ring.numel())[None])
    return torch.cat(points), torch.cat(colors), torch.cat(sure), torch.cat(keep)


def _surface(distance: Tensor, use: Tensor, keep: Tensor, settings: CacheSettings) -> tuple[Tensor, Tensor]:
    """(M, 3) int32 indices into the kept vertices and (M,) bool edge flags."""
    height, width = distance.shape
    edge_x, edge_y = depth_edges(distance, use, settings)
    parts = [grid_triangles(use, edge_x, edge_y, distance)]
    for row, vertex in ((0, height * width), (height - 1, height * width + 1)):
        if keep[vertex]:
            parts.append(pole_fan(row, vertex, use[row], edge_x[row], row * width))
    triangles = torch.cat([part[0] for part in parts])
    edge = torch.cat([part[1] for part in parts])
    number = keep.cumsum(0, dtype=torch.int32) - 1
    return number[triangles], edge
