"""Perspective (pinhole) views of an equirectangular image, and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import InputError
from ._plan import Plan, make_plan
from ._views import SampleMode, check_mode, fraction_dtype, kept_plan, sample_views
from .erp import check_height, erp_rays
from .rotations import rotate_vectors
from .sampling import resize_erp

__all__ = ["erp_to_perspective", "perspective_depth_to_distance", "perspective_rays", "perspective_to_erp"]


def focal_length(width: int, fov_x: float) -> float:
    """Focal length in pixels of a pinhole camera with square pixels.

    Raises:
        InputError: the angle is not strictly between 0 and 180°.
    """
    if not 0 < fov_x < math.pi:
        raise InputError(
            f"fov_x: expected radians between 0 and pi, got {fov_x}; use math.radians for degrees"
        )
    return width / 2 / math.tan(fov_x / 2)


def perspective_rays(
    height: int,
    width: int,
    fov_x: float,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Unit viewing directions of the pixel centres of a pinhole camera that looks along +z.

    Args:
        height: image height in pixels.
        width: image width in pixels.
        fov_x: horizontal angle between the outer edges of the image, in radians.
        device: where the result lies.
        dtype: floating type of the result.

    Returns:
        (h, w, 3) in the camera frame.
    """
    check_height("height", height)
    check_height("width", width)
    x, y = _image_plane(height, width, focal_length(width, fov_x))
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    rays = torch.stack((columns, rows, torch.ones_like(rows)), dim=-1)
    return torch.nn.functional.normalize(rays, dim=-1).to(device=device, dtype=dtype)


def _image_plane(height: int, width: int, focal: float) -> tuple[Tensor, Tensor]:
    """float64 (w,) x and (h,) y of the pixel centres in the plane z = 1."""
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - width / 2) / focal
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - height / 2) / focal
    return x, y


def perspective_depth_to_distance(depth: Tensor, fov_x: float) -> Tensor:
    """Distance along the ray from z-depth of a pinhole camera: (..., h, w) to (..., h, w), same unit."""
    check_shape("depth", depth, "... h w")
    height, width = depth.shape[-2:]
    return depth / perspective_rays(height, width, fov_x, device=depth.device, dtype=depth.dtype)[..., 2]


def erp_to_perspective(
    erp: Tensor,
    rotation: Tensor,
    *,
    fov_x: float,
    height: int,
    width: int,
    mode: SampleMode = "bilinear",
    antialias: bool = True,
) -> Tensor:
    """Perspective views from a panorama.

    Args:
        erp: (C, H, W) one panorama, or (..., C, H, W) whose leading axes broadcast against the rotations'.
        rotation: (..., 3, 3) panorama camera from view camera, see `rotation_from_yaw_pitch_roll`.
        fov_x: horizontal field of view in radians; pixels are square.
        height: view height in pixels.
        width: view width in pixels.
        mode: interpolation.
        antialias: average where the view is coarser than the panorama.

    Returns:
        (..., C, height, width).
    """
    check_shape("erp", erp, "... C H W")
    source_height, _ = check_erp("erp", erp)
    check_shape("rotation", rotation, "... 3 3")
    check_mode(erp, mode)
    if not rotation.is_floating_point():
        raise InputError(f"rotation: expected a floating type, got {rotation.dtype}")
    check_height("height", height)
    check_height("width", width)
    focal = focal_length(width, fov_x)
    work = torch.promote_types(rotation.dtype, torch.float32)
    turns = rotation.to(device=erp.device, dtype=work).reshape(-1, 3, 3)
    smooth = antialias and mode != "nearest"
    dtype = fraction_dtype(erp)

    def plan(view: int) -> Plan:
        def make() -> Plan:
            rays = _turned_plane(*_image_plane(height, width, focal), turns[view])
            steps = _largest_steps(height, width, focal)
            return make_plan(rays, source_height, antialias=smooth, dtype=dtype, steps=steps)

        key = (source_height, height, width, focal, smooth, dtype)
        return kept_plan(make, turns[view], "perspective", *key)

    return sample_views(erp, plan, rotation.shape[:-2], (height, width), mode=mode)


def _turned_plane(x: Tensor, y: Tensor, rotation: Tensor) -> Tensor:
    """(3, h, w) directions, not of unit length, of the places (x, y, 1), turned."""
    right, down, forward = rotation[:, :, None].unbind(1)
    across = right * x.to(rotation) + forward
    return across[:, None, :] + (down * y.to(rotation))[:, :, None]


def _largest_steps(height: int, width: int, focal: float) -> tuple[float, float]:
    """Largest angles in radians between neighbours along rows and columns: those next to the middle."""

    def step(count: int, others: int) -> float:
        # Of an even count two lie beside the middle; of an odd one, one lies in it.
        pixel = 1 / (focal * math.hypot(1, 0 if others % 2 else 0.5 / focal))
        if count < 2:
            return 0.0
        return math.atan(pixel) if count % 2 else 2 * math.atan(pixel / 2)

    return step(width, height), step(height, width)


def perspective_to_erp(
    views: Tensor, rotations: Tensor, *, fov_x: float, height: int, feather: bool = True
) -> tuple[Tensor, Tensor]:
    """Assemble a panorama from perspective views.

    Args:
        views: (V, C, h, w) images.
        rotations: (V, 3, 3) panorama camera from view camera.
        fov_x: horizontal field of view of all views in radians.
        height: panorama height in pixels.
        feather: weigh views by their closeness to the view's centre (linear to 0 at the edge); else equally.

    Returns:
        erp (C, H, W), black where no view looks, and weight (H, W), the sum of the views' weights, 0 there.

    Raises:
        ShapeError: views and rotations do not fit.
    """
    sizes = check_shape("views", views, "V C h w")
    check_shape("rotations", rotations, "V 3 3", V=sizes["V"])
    focal = focal_length(sizes["w"], fov_x)
    # Where a panorama pixel covers several view pixels, work at a multiple of the height and average.
    factor = max(1, math.ceil(math.pi / height * focal - 0.05))
    rays = erp_rays(
        height * factor, device=views.device, dtype=torch.promote_types(views.dtype, torch.float32)
    )
    total = views.new_zeros(sizes["C"] + 1, *rays.shape[:2], dtype=rays.dtype)
    for view, rotation in zip(views, rotations, strict=True):
        local = rotate_vectors(rotation.to(rays).T, rays)
        plane = local[..., :2] / local[..., 2:].clamp(min=1e-6) * focal
        uv = plane / plane.new_tensor([sizes["w"] / 2, sizes["h"] / 2])
        inside = (local[..., 2] > 0) & (uv.abs() < 1).all(-1)
        weight = inside.to(rays.dtype)
        if feather:
            weight = weight * (1 - uv.abs()).clamp(min=0).prod(-1)
        colour = sample_view(view.to(rays.dtype), uv)
        total += torch.cat((colour, torch.ones_like(colour[:1]))) * weight
    total = resize_erp(total, height)
    colour, weight = total[:-1], total[-1]
    erp = torch.where(weight > 0, colour / weight.clamp(min=1e-12), torch.zeros_like(colour))
    check_erp("erp", erp)
    return erp.to(views.dtype), weight.to(views.dtype)


def sample_view(view: Tensor, uv: Tensor) -> Tensor:
    """Bilinear lookup in (C, h, w) at uv (..., 2) in -1..1 between the outer edges; edges go on outside."""
    grid = uv.reshape(1, uv.shape[0], -1, 2)
    # Points far outside have no meaning here, and infinities would become NaN in grid_sample.
    out = torch.nn.functional.grid_sample(
        view[None], grid.clamp(-2, 2), mode="bilinear", padding_mode="border", align_corners=False
    )
    return out.reshape(view.shape[0], *uv.shape[:-1])
