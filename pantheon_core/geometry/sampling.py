"""Sampling of equirectangular images: exact at the seam, over the poles, and without aliasing.

An equirectangular image continues past its sides (column W is column 0) and over its poles (row -1 is row 0
turned by half a revolution). The image is continued by that rule, then sampled. torch's grid_sample, the fast
way for float32, is given an image whose sides are powers of two: else the rounding of its normalised
coordinates (1e-4 pixel) would blur an identity.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import InputError, ShapeError
from .erp import check_height, erp_rays, exact_dtype, rays_to_erp_pixels
from .rotations import rotate_vectors

__all__ = ["SampleMode", "resize_erp", "rotate_erp", "sample_erp"]

SampleMode = Literal["bilinear", "nearest", "bicubic"]

_MODES = ("bilinear", "nearest", "bicubic")
# Above this many samples per axis and pixel the source is halved first: it bounds the cost at 256 samples.
_MAX_SAMPLES = 16


def sample_erp(erp: Tensor, rays: Tensor, *, mode: SampleMode = "bilinear", antialias: bool = True) -> Tensor:
    """Look up an equirectangular image along rays.

    With `antialias`, an output pixel that covers several source pixels is the mean over its footprint: the
    grid of rays is supersampled by the largest angle between neighbours, in source pixels, on each axis
    (after halving the source where that is more than 16). For scattered rays, whose neighbours in the grid
    say nothing about a footprint, pass `antialias=False`. Mode "nearest" keeps labels and is never averaged.

    Args:
        erp: (..., C, H, W) image, W = 2H; floating, or of any type with mode "nearest".
        rays: (h, w, 3) shared by all images, or (..., h, w, 3) with leading axes that broadcast against
            those of `erp`; directions in the image's camera frame, of any non-zero length.
        mode: interpolation; "bicubic" is Catmull-Rom.
        antialias: average where the grid of rays is coarser than the image.

    Returns:
        (..., C, h, w) in the type of `erp`.

    Raises:
        ConventionError: the image is not 2:1.
        InputError: unknown mode, or an integer image with an interpolating mode.
        ShapeError: the shapes do not fit.

    Source: G. Wolberg, Digital Image Warping (1990), on supersampling; R. Keys (1981), a = -1/2, for bicubic.
    """
    check_shape("erp", erp, "... C H W")
    check_erp("erp", erp)
    check_shape("rays", rays, "... h w 3")
    _check_mode(erp, mode)
    if not rays.is_floating_point():
        raise InputError(f"rays: expected a floating type, got {rays.dtype}")
    rays = rays.to(dtype=torch.promote_types(rays.dtype, torch.float32), device=erp.device)
    shared = erp.ndim == 3 and rays.ndim > 3
    if shared:  # one image, many views: one by one, so that memory does not grow with the views' temporaries
        views = rays.shape[:-3]
        out = torch.stack([sample_erp(erp, r, mode=mode, antialias=antialias) for r in rays.flatten(0, -4)])
        return out.reshape(*views, *out.shape[1:])
    if antialias and mode != "nearest":
        return _sample_supersampled(erp, rays, mode)
    return _sample(erp, rays, mode)


def rotate_erp(
    erp: Tensor, rotation: Tensor, *, mode: SampleMode = "bilinear", height: int | None = None
) -> Tensor:
    """The panorama that a camera turned by `rotation` sees from the same place.

    Args:
        erp: (..., C, H, W) image, W = 2H.
        rotation: (3, 3) or (..., 3, 3), old camera from new camera: ray_old = rotation @ ray_new. A yaw of
            +90° brings what was on the right to the centre.
        mode: interpolation.
        height: height of the result in pixels; None keeps H.

    Returns:
        (..., C, h, 2h). A yaw by whole pixels is exactly a roll of the columns.

    Raises:
        ConventionError: the image is not 2:1.
        ShapeError: the rotation is not (..., 3, 3).
    """
    source_height, _ = check_erp("erp", erp)
    check_shape("rotation", rotation, "... 3 3")
    wide = exact_dtype(erp.device, rotation.dtype)
    grid = erp_rays(source_height if height is None else height, device=erp.device, dtype=wide)
    turned = rotation.to(device=erp.device, dtype=wide)
    rays = rotate_vectors(turned[..., None, None, :, :], grid)
    # float64 rays would promise more digits than a float32 rotation has: say how exact they are.
    if height is None or height == source_height:
        _check_mode(erp, mode)
        precision = torch.finfo(torch.promote_types(rotation.dtype, torch.float32)).eps
        return _sample(erp, rays, mode, precision=precision)
    return sample_erp(erp, rays, mode=mode)


def resize_erp(erp: Tensor, height: int, *, mode: SampleMode = "bilinear") -> Tensor:
    """Change the size of an equirectangular image.

    Shrinking takes the mean over each output pixel's area, at any ratio; enlarging interpolates, across the
    seam and the poles. With mode "nearest" both pick the nearest pixel.

    Args:
        erp: (..., C, H, W) image, W = 2H.
        height: new height in pixels.
        mode: interpolation used for enlarging, or "nearest".

    Returns:
        (..., C, height, 2 height).

    Raises:
        ConventionError: the image is not 2:1.
        InputError: the height is not a positive integer, or an integer image without mode "nearest".
    """
    source_height, _ = check_erp("erp", erp)
    check_height("height", height)
    _check_mode(erp, mode)
    if height == source_height:
        return erp
    if height > source_height or mode == "nearest":
        rays = erp_rays(height, device=erp.device, dtype=exact_dtype(erp.device, torch.float32))
        return sample_erp(erp, rays, mode=mode, antialias=False)
    work = erp.float() if erp.dtype in (torch.float16, torch.bfloat16) else erp
    return area_resize(area_resize(work, height, dim=-2), 2 * height, dim=-1).to(erp.dtype)


def area_resize(image: Tensor, size: int, *, dim: int) -> Tensor:
    """Mean over the area of each output pixel along one axis, for `size` at most the axis's length."""
    source = image.shape[dim]
    ratio = source / size
    edges = torch.arange(size + 1, dtype=torch.float64) * ratio
    first = edges[:-1].floor()
    out: Tensor | None = None
    for tap in range(math.ceil(ratio) + 1):
        index = first + tap
        cover = torch.minimum(edges[1:], index + 1) - torch.maximum(edges[:-1], index)
        weight = (cover.clamp(min=0) / ratio).to(dtype=image.dtype, device=image.device)
        taken = image.index_select(dim, index.long().clamp(max=source - 1).to(image.device))
        part = taken * (weight[:, None] if dim == -2 else weight)
        out = part if out is None else out.add_(part) if not part.requires_grad else out + part
    if out is None:
        raise ShapeError(f"size: expected at least one tap, got {size} from {source}")
    return out


def _check_mode(erp: Tensor, mode: str) -> None:
    if mode not in _MODES:
        raise InputError(f"mode: expected one of {', '.join(_MODES)}, got {mode!r}")
    if mode != "nearest" and not erp.is_floating_point():
        raise InputError(
            f'erp: expected a floating type for mode "{mode}", got {erp.dtype}; convert it, or use "nearest"'
        )


def _sample_supersampled(erp: Tensor, rays: Tensor, mode: SampleMode) -> Tensor:
    unit = torch.nn.functional.normalize(rays, dim=-1)
    across, down = _largest_step(unit, dim=-2), _largest_step(unit, dim=-3)
    while max(across, down) * erp.shape[-2] / math.pi > _MAX_SAMPLES and erp.shape[-2] > 1:
        erp = resize_erp(erp, erp.shape[-2] // 2)
    # 5 % of slack: a footprint of 8.01 pixels needs no ninth sample.
    columns, rows = (max(1, math.ceil(step * erp.shape[-2] / math.pi - 0.05)) for step in (across, down))
    if columns == rows == 1:
        return _sample(erp, rays, mode)
    # Rays between the grid's by a Taylor series of second order: straight steps would cut the corner where
    # rows of a coarse panorama curve, and run past it at the poles.
    dx, dy = _gradient(unit, dim=-2), _gradient(unit, dim=-3)
    dxx, dyy, dxy = _gradient(dx, dim=-2), _gradient(dy, dim=-3), _gradient(dx, dim=-3)
    total: Tensor | None = None
    for j in range(rows):
        v = (j + 0.5) / rows - 0.5
        row, slope = unit + v * dy + (v * v / 2) * dyy, dx + v * dxy
        for i in range(columns):
            u = (i + 0.5) / columns - 0.5
            part = _sample(erp, row + u * slope + (u * u / 2) * dxx, mode)
            total = part if total is None else total + part
    if total is None:
        raise ShapeError(f"rays: expected a grid with at least one ray, got {tuple(rays.shape)}")
    return total / (rows * columns)


def _largest_step(unit: Tensor, *, dim: int) -> float:
    """Largest angle in radians between neighbouring unit rays along an axis."""
    if unit.shape[dim] < 2 or unit.numel() == 0:
        return 0.0
    chord = unit.diff(dim=dim).norm(dim=-1).max()
    return 2 * math.asin(min(1.0, float(chord) / 2))


def _gradient(field: Tensor, *, dim: int) -> Tensor:
    """Change per pixel along an axis, by central differences, one-sided of second order at the ends."""
    count = field.shape[dim]
    if count < 2:
        return torch.zeros_like(field)
    return torch.gradient(field, dim=dim, edge_order=2 if count > 2 else 1)[0]


def _sample(erp: Tensor, rays: Tensor, mode: SampleMode, *, precision: float | None = None) -> Tensor:
    """Interpolate at the rays' own points. `precision` is the rays' rounding error in radians."""
    *lead, channels, height, width = erp.shape
    *ray_lead, h, w, _ = rays.shape
    try:
        batch = torch.broadcast_shapes(tuple(lead), tuple(ray_lead))
    except RuntimeError as error:
        raise ShapeError(
            f"rays: expected leading axes that broadcast against those of erp {tuple(erp.shape)}, "
            f"got {tuple(rays.shape)}"
        ) from error
    xy = rays_to_erp_pixels(rays, height)
    eps = torch.finfo(rays.dtype).eps if precision is None else precision
    # Coordinates within rounding error of a pixel centre are that centre, so that identities are exact.
    centre = xy.round()
    xy = torch.where((xy - centre).abs() < 4 * eps * width, centre, xy)
    if mode == "bilinear" and erp.dtype == torch.float32 and eps >= torch.finfo(torch.float32).eps:
        image = _continued(erp, 1, power_of_two=True).expand(*batch, -1, -1, -1)
        return _grid_sample(image, xy.float() + 1)
    x, y = xy.reshape(*ray_lead, 1, h * w, 2).unbind(-1)
    around = 2 if mode == "bicubic" else 1
    image = _continued(erp, around)
    stride, pixels = image.shape[-1], image.shape[-2] * image.shape[-1]
    flat = image.flatten(-2).expand(*batch, channels, pixels)
    work = torch.promote_types(erp.dtype, torch.float32) if erp.is_floating_point() else erp.dtype
    total: Tensor | None = None
    for column, row, weight in _taps(x, y, mode):
        index = ((row.long() + around) * stride + (column.long() + around)).clamp(0, pixels - 1)
        taken = flat.gather(-1, index.expand(*batch, channels, h * w))
        if weight is None:
            total = taken
            break
        part = taken.to(work) * weight.to(work)
        total = part if total is None else total + part
    if total is None:
        raise ShapeError(f"mode {mode!r} has no taps")
    return total.to(erp.dtype).reshape(*batch, channels, h, w)


def _continued(erp: Tensor, around: int, *, power_of_two: bool = False) -> Tensor:
    """The image with `around` pixels more on each side: (..., C, H + 2 around, W + 2 around).

    With `power_of_two` both sizes are rounded up to one and the pixels beyond have no meaning. A pixel
    centre's coordinate, scaled to -1..1 and back as grid_sample does it, is then exactly itself.
    """
    height, width = erp.shape[-2:]
    size = [height + 2 * around, width + 2 * around]
    if power_of_two:
        size = [1 << (length - 1).bit_length() for length in size]
    out = erp.new_empty(*erp.shape[:-2], *size)
    body = out[..., around : around + height, around : around + width]
    body.copy_(erp)
    for step in range(1, around + 1):
        # One pixel high images have only one row for bicubic's four: stay inside.
        inner = min(step - 1, height - 1)
        across = slice(around, around + width)
        out[..., around - step, across] = erp[..., inner, :].roll(width // 2, -1)
        out[..., around + height + step - 1, across] = erp[..., height - 1 - inner, :].roll(width // 2, -1)
    rows = out[..., : height + 2 * around, :]
    rows[..., :around] = rows[..., width : width + around].clone()
    rows[..., around + width : width + 2 * around] = rows[..., around : 2 * around].clone()
    return out


def _grid_sample(image: Tensor, xy: Tensor) -> Tensor:
    """Bilinear lookup in (..., C, H, W), sizes powers of two, at pixels (h, w, 2) or (..., h, w, 2)."""
    *batch, channels, height, width = image.shape
    h, w = xy.shape[-3:-1]
    grid = (2 * xy + 1) / xy.new_tensor([width, height]) - 1
    out = torch.nn.functional.grid_sample(
        image.reshape(-1, channels, height, width),
        grid.expand(*batch, h, w, 2).reshape(-1, h, w, 2),
        mode="bilinear",
        align_corners=False,
    )
    return out.reshape(*batch, channels, h, w)


def _taps(x: Tensor, y: Tensor, mode: SampleMode) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    """(column, row, weight) of every tap; weight None stands for 1."""
    if mode == "nearest":
        return [((x + 0.5).floor(), (y + 0.5).floor(), None)]
    x0, y0 = x.floor(), y.floor()
    kernel = _linear_weights if mode == "bilinear" else _cubic_weights
    columns, rows = kernel(x - x0), kernel(y - y0)
    return [(x0 + i, y0 + j, wx * wy) for j, wy in rows for i, wx in columns]


def _linear_weights(t: Tensor) -> list[tuple[int, Tensor]]:
    return [(0, 1 - t), (1, t)]


def _cubic_weights(t: Tensor) -> list[tuple[int, Tensor]]:
    return [
        (-1, ((-0.5 * t + 1) * t - 0.5) * t),
        (0, (1.5 * t - 2.5) * t * t + 1),
        (1, ((-1.5 * t + 2) * t + 0.5) * t),
        (2, (0.5 * t - 0.5) * t * t),
    ]
