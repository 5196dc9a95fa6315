"""DA3_GEOMETRY of ComfyUI's Depth Anything 3 nodes.

A dict: `depth` (B, H, W) z-depth; `image` (B, H, W, 3); `mode` "mono" or "multiview"; of some weights `sky`
(B, H, W) 0..1 and `confidence` (B, H, W), 1 and above; of several views `extrinsics` (1, S, 3, 4) from world
to camera and `intrinsics` (1, S, 3, 3) in pixels. The intrinsics are those of the size that the network saw,
while the depth is brought back to the picture's size: only ratios of them can be used. Their principal point
is the middle of the image. Failed poses are the identity with a unit matrix as intrinsics.

Source: comfy_extras/nodes_depth_anything_3.py and comfy/ldm/depth_anything_3/ of ComfyUI 0.27.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...check import check_shape
from ...errors import InputError
from ...geometry import nearest_rotation, resize_erp, se3_inverse
from .._types import DistanceEstimate
from ..given import GivenBackend
from ._views import PinholeViews, estimate_of_views

__all__ = ["estimates_from_da3"]

_log = logging.getLogger(__name__)


def estimates_from_da3(
    geometry: Mapping[str, Any], heights: Sequence[int], *, fov_x: float | None = None
) -> list[DistanceEstimate]:
    """One estimate for each panorama from what ComfyUI's Depth Anything 3 nodes give.

    Pictures of 2:1 are taken for the panoramas themselves, one for each, and their depths for distances.
    Other pictures are pinhole views. With one panorama, the first view looks along the middle of its picture
    from its centre, and the others stand to it as their poses say. With several panoramas each gets the view
    of its number, looking along its middle.

    Args:
        geometry: a DA3_GEOMETRY.
        heights: of the panoramas, pixels.
        fov_x: horizontal angle of the views, radians, where the geometry has no intrinsics.

    Raises:
        InputError: fields are missing, the numbers do not fit, or the angle of the views is not known.
    """
    depth = geometry.get("depth")
    if not isinstance(depth, Tensor):
        raise InputError(
            f"da3_geometry: expected the field depth, got {', '.join(sorted(geometry)) or 'nothing'}"
        )
    check_shape("da3_geometry.depth", depth, "B H W")
    depth = depth.detach().cpu().float()
    sky = _field(geometry, "sky", depth, 0.0).clamp(0, 1)
    confidence = _confidence(_field(geometry, "confidence", depth, math.inf))
    count, rows, columns = depth.shape
    if count != len(heights) and (len(heights) > 1 or columns == 2 * rows):
        raise InputError(
            f"da3_geometry: expected one picture for each of the {len(heights)} panoramas, got {count}; "
            "batch them in the order of the panoramas"
        )
    if columns == 2 * rows:
        return [_panorama(depth[i], sky[i], confidence[i], height) for i, height in enumerate(heights)]
    tangents = _tangents(geometry, count, rows / columns, fov_x)
    if len(heights) > 1:
        poses = torch.eye(4).expand(count, 4, 4)
        groups = [[i] for i in range(count)]
    else:
        poses = _poses(geometry, count)
        groups = [list(range(count))]
    return [
        estimate_of_views(
            PinholeViews(
                depth=depth[group],
                tan_half=tangents[group],
                T_pano_view=poses[group],
                sky=sky[group],
                confidence=confidence[group],
            ),
            height,
            metric=False,
        )
        for group, height in zip(groups, heights, strict=True)
    ]


def _field(geometry: Mapping[str, Any], name: str, depth: Tensor, default: float) -> Tensor:
    """(B, H, W) of the geometry, or a constant."""
    found = geometry.get(name)
    if not isinstance(found, Tensor):
        return torch.full_like(depth, default)
    check_shape(f"da3_geometry.{name}", found, "B H W", **dict(zip("BHW", depth.shape, strict=True)))
    return found.detach().cpu().float()


def _confidence(raw: Tensor) -> Tensor:
    """0..1 from 1 + exp(x): the logistic function of x."""
    return torch.where(raw > 1, 1 - 1 / raw.clamp(min=1), 0.0)


def _panorama(depth: Tensor, sky: Tensor, confidence: Tensor, height: int) -> DistanceEstimate:
    encoded = torch.where(sky >= 0.5, math.inf, depth)
    found = GivenBackend(depth=encoded, metric=False).estimate(torch.zeros(3, height, 2 * height))
    sure = resize_erp(confidence[None], height)[0].clamp(0, 1)
    return DistanceEstimate(
        distance=found.distance,
        confidence=torch.where(found.valid, sure, 0.0),
        sky=found.sky,
        valid=found.valid,
        metric=False,
    )


def _tangents(geometry: Mapping[str, Any], count: int, aspect: float, fov_x: float | None) -> Tensor:
    """(B, 2) of half the horizontal and vertical angles."""
    if fov_x is not None:
        if not 0 < fov_x < math.pi:
            raise InputError(f"fov_x: expected radians between 0 and pi, got {fov_x}")
        half = math.tan(fov_x / 2)
        return torch.tensor([[half, half * aspect]]).expand(count, 2)
    found = geometry.get("intrinsics")
    if isinstance(found, Tensor):
        check_shape("da3_geometry.intrinsics", found, "1 S 3 3", S=count)
        matrix = found[0].detach().cpu().float()
        focal, centre = matrix[:, [0, 1], [0, 1]], matrix[:, :2, 2]
        if bool(matrix.isfinite().all() & (focal > 0).all() & (centre > 0).all()):
            return centre / focal
    raise InputError(
        "da3_geometry: the angle of the views is not known, as there are no intrinsics; run Depth Anything 3 "
        "in its multiview mode, or give the views' horizontal angle"
    )


def _poses(geometry: Mapping[str, Any], count: int) -> Tensor:
    """(S, 4, 4) view to first view."""
    found = geometry.get("extrinsics")
    if not isinstance(found, Tensor):
        if count > 1:
            raise InputError(
                f"da3_geometry: {count} views without poses cannot be put into one panorama; run Depth "
                "Anything 3 in its multiview mode"
            )
        return torch.eye(4)[None]
    if found.ndim != 4 or found.shape[:2] != (1, count) or found.shape[2:] not in ((3, 4), (4, 4)):
        raise InputError(f"da3_geometry.extrinsics: expected (1, {count}, 3, 4), got {tuple(found.shape)}")
    T_view_world = torch.eye(4).repeat(count, 1, 1)
    T_view_world[:, :3] = found[0, :, :3].detach().cpu().float()
    if not bool(T_view_world.isfinite().all()):
        raise InputError("da3_geometry.extrinsics: some poses are not finite; the pose estimation failed")
    # a network's rotations are orthonormal to three digits only
    T_view_world[:, :3, :3] = nearest_rotation(T_view_world[:, :3, :3])
    return T_view_world[0] @ se3_inverse(T_view_world)
