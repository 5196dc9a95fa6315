"""Cube maps: six square views of 90°, in the order front, right, back, left, up, down."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..check import check_shape
from .erp import check_height, erp_rays
from .perspective import erp_to_perspective, sample_view
from .rotations import rotate_vectors, rotation_from_yaw_pitch_roll
from .sampling import resize_erp

__all__ = ["cubemap_rotations", "cubemap_to_erp", "erp_to_cubemap"]


def cubemap_rotations(
    *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(6, 3, 3) rotations, panorama camera from face camera: front, right, back, left, up, down.

    The upper edge of the face "down" and the lower edge of "up" meet the face "front".
    """
    quarter = math.pi / 2
    yaw = torch.tensor([0.0, quarter, 2 * quarter, -quarter, 0.0, 0.0], dtype=torch.float64)
    pitch = torch.tensor([0.0, 0.0, 0.0, 0.0, quarter, -quarter], dtype=torch.float64)
    # Rounded, as the entries are 0 and ±1: cos(pi/2) is 6e-17.
    return rotation_from_yaw_pitch_roll(yaw, pitch).round().to(device=device, dtype=dtype)


def erp_to_cubemap(erp: Tensor, size: int) -> Tensor:
    """Cube faces of a panorama.

    Args:
        erp: (..., C, H, W) panorama, W = 2H.
        size: width and height of a face in pixels.

    Returns:
        (..., 6, C, size, size), faces front, right, back, left, up, down; antialiased.
    """
    rotations = cubemap_rotations(device=erp.device, dtype=torch.promote_types(erp.dtype, torch.float32))
    faces = [
        erp_to_perspective(erp, rotation, fov_x=math.pi / 2, height=size, width=size)
        for rotation in rotations
    ]
    return torch.stack(faces, dim=-4)


def cubemap_to_erp(faces: Tensor, height: int) -> Tensor:
    """Panorama from cube faces.

    Args:
        faces: (..., 6, C, s, s), faces front, right, back, left, up, down.
        height: panorama height in pixels.

    Returns:
        (..., C, height, 2 height); interpolated across the edges of the cube, averaged where it shrinks.

    Raises:
        ShapeError: not six square faces.
    """
    size = check_shape("faces", faces, "... 6 C s s")["s"]
    check_height("height", height)
    *lead, _, channels, _, _ = faces.shape
    factor = max(1, math.ceil(math.pi / height * size / 2 - 0.05))
    work = torch.promote_types(faces.dtype, torch.float32)
    cube = faces.to(work).reshape(-1, 6, channels, size, size)
    rays = erp_rays(height * factor, device=faces.device, dtype=work)
    padded = torch.stack([_with_border(one) for one in cube])
    # A border of one pixel makes the padded face a little wider than 90°.
    scale = size / (size + 2)
    erp = torch.stack([_lookup(one, rays, scale) for one in padded])
    return resize_erp(erp, height).to(faces.dtype).reshape(*lead, channels, height, 2 * height)


def _with_border(cube: Tensor) -> Tensor:
    """Extend (6, C, s, s) by one pixel on each side, looked up on the neighbouring faces."""
    size = cube.shape[-1]
    plane = (torch.arange(size + 2, dtype=torch.float64) - 0.5) * (2 / size) - 1
    rows, columns = torch.meshgrid(plane, plane, indexing="ij")
    local = torch.stack((columns, rows, torch.ones_like(rows)), dim=-1).to(cube)
    rotations = cubemap_rotations(device=cube.device, dtype=cube.dtype)
    padded = torch.stack([_lookup(cube, rotate_vectors(rotation, local), 1.0) for rotation in rotations])
    padded[..., 1:-1, 1:-1] = cube
    return padded


def _lookup(cube: Tensor, rays: Tensor, scale: float) -> Tensor:
    """Look up (6, C, s, s) along rays (h, w, 3) on the face that each ray meets."""
    rotations = cubemap_rotations(device=cube.device, dtype=cube.dtype)
    towards = torch.stack([(rays * rotation[:, 2]).sum(-1) for rotation in rotations])
    face = towards.argmax(0)
    out = cube.new_zeros(cube.shape[1], *rays.shape[:-1])
    for index, rotation in enumerate(rotations):
        mine = face == index
        local = rotate_vectors(rotation.T, rays[mine])
        uv = local[:, :2] / local[:, 2:] * scale
        if uv.numel():
            out[:, mine] = sample_view(cube[index], uv[:, None]).squeeze(-1)
    return out
