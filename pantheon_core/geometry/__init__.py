"""Equirectangular geometry: pixels, rays, sampling, views, rotations and rigid motions."""

from __future__ import annotations

from .cubemap import cubemap_rotations, cubemap_to_erp, erp_to_cubemap
from .erp import erp_pixels_to_rays, erp_rays, rays_to_erp_pixels
from .perspective import (
    erp_to_perspective,
    perspective_depth_to_distance,
    perspective_rays,
    perspective_to_erp,
)
from .rotations import (
    crop_rotations,
    nearest_rotation,
    quaternion_wxyz_from_rotation,
    rotate_vectors,
    rotation_from_quaternion_wxyz,
    rotation_from_yaw_pitch_roll,
    slerp,
    squad,
    squad_control,
    yaw_pitch_roll_from_rotation,
)
from .sampling import SampleMode, resize_erp, rotate_erp, sample_erp
from .se3 import look_at, se3_from, se3_inverse, transform_points

__all__ = [
    "SampleMode",
    "crop_rotations",
    "cubemap_rotations",
    "cubemap_to_erp",
    "erp_pixels_to_rays",
    "erp_rays",
    "erp_to_cubemap",
    "erp_to_perspective",
    "look_at",
    "nearest_rotation",
    "perspective_depth_to_distance",
    "perspective_rays",
    "perspective_to_erp",
    "quaternion_wxyz_from_rotation",
    "rays_to_erp_pixels",
    "resize_erp",
    "rotate_erp",
    "rotate_vectors",
    "rotation_from_quaternion_wxyz",
    "rotation_from_yaw_pitch_roll",
    "sample_erp",
    "se3_from",
    "se3_inverse",
    "slerp",
    "squad",
    "squad_control",
    "transform_points",
    "yaw_pitch_roll_from_rotation",
]
