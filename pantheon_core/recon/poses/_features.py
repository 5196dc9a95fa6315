"""Features of a panorama: SIFT on perspective views, as directions on the sphere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...check import check_erp, check_shape
from ...errors import BackendUnavailableError
from ...geometry import (
    erp_to_perspective,
    rays_to_erp_pixels,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SphereFeatures", "find_features", "load_pycolmap", "quiet"]

_FOV = math.radians(76)
_GRAY = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SphereFeatures:
    """Features of one panorama.

    Attributes:
        rays: (K, 3) float64 unit directions in the panorama's camera.
        descriptors: (K, 128) float32 of unit length.
    """

    rays: Tensor
    descriptors: np.ndarray


def load_pycolmap() -> ModuleType:
    """The package pycolmap, with the panorama camera this package needs.

    Raises:
        BackendUnavailableError: it is not installed, or older than 4.2.
    """
    try:
        import pycolmap
    except ImportError as error:
        raise BackendUnavailableError(
            "poses: finding them from the pictures needs the package pycolmap; install it with "
            "'pip install \"pycolmap>=4.2\"' (CPU, no weights), or give the poses"
        ) from error
    if "EQUIRECTANGULAR" not in pycolmap.CameraModelId.__members__:
        raise BackendUnavailableError(
            f"poses: expected pycolmap 4.2 or newer, which knows panoramas, got {pycolmap.__version__}; "
            "update it with 'pip install -U \"pycolmap>=4.2\"'"
        )
    return pycolmap


@contextmanager
def quiet(pycolmap: ModuleType) -> Iterator[None]:
    """Its log goes to the error stream at every step; what matters is in the report."""
    before = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = 3
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = before


def feature_views() -> Tensor:
    """(14, 3, 3) rotations of the views, panorama camera from view camera: faces and corners of a cube."""
    quarter = math.pi / 2
    corner = math.atan(1 / math.sqrt(2))
    yaw = torch.tensor([0, 1, 2, 3, 0, 0, *([0.5, 1.5, 2.5, 3.5] * 2)], dtype=torch.float64) * quarter
    pitch = torch.tensor([0.0] * 4 + [quarter, -quarter] + [corner] * 4 + [-corner] * 4, dtype=torch.float64)
    return rotation_from_yaw_pitch_roll(yaw, pitch)


def find_features(rgb: Tensor, valid: Tensor | None = None, *, most: int = 8192) -> SphereFeatures:
    """SIFT features of a panorama, evenly good on the whole sphere.

    They are found in perspective views, as the stretching of the equirectangular picture away from its
    equator hides corners from SIFT. Of overlapping views the one whose centre is closest gives the feature.

    Args:
        rgb: (3, H, W) float 0..1, W = 2 H.
        valid: (H, W) bool, False where features are not wanted: no picture, people, the tripod.
        most: the largest features are kept, at most so many.

    Raises:
        BackendUnavailableError: pycolmap is missing or too old.
    """
    pycolmap = load_pycolmap()
    check_shape("rgb", rgb, "3 H W")
    height, width = check_erp("rgb", rgb)
    size = max(64, round(2 * math.tan(_FOV / 2) * width / (2 * math.pi)))
    gray = (rgb.cpu().float() * torch.tensor(_GRAY)[:, None, None]).sum(0, keepdim=True)
    views = feature_views()
    options = pycolmap.FeatureExtractionOptions(num_threads=1, use_gpu=False)
    with quiet(pycolmap):
        sift = pycolmap.Sift(options, device=pycolmap.Device.cpu)
    focal = size / 2 / math.tan(_FOV / 2)
    rays, descriptors, scales = [], [], []
    for index, rotation in enumerate(views):
        view = erp_to_perspective(gray, rotation.float(), fov_x=_FOV, height=size, width=size)[0]
        picture = (view.clamp(0, 1) * 255).round().byte().numpy()
        keypoints, found = sift.extract(picture)
        place = torch.from_numpy(keypoints[:, :2].copy()).double()
        # COLMAP counts from the corner of the picture: the first pixel's centre is 0.5.
        local = torch.cat(((place - size / 2) / focal, torch.ones_like(place[:, :1])), dim=1)
        ray = rotate_vectors(rotation, torch.nn.functional.normalize(local, dim=1))
        mine = (ray @ views[:, :, 2].T).argmax(1) == index
        rays.append(ray[mine])
        descriptors.append(torch.from_numpy(found.copy())[mine])
        scales.append(torch.from_numpy(keypoints[:, 2].copy())[mine])
    ray, descriptor, scale = torch.cat(rays), torch.cat(descriptors), torch.cat(scales)
    if valid is not None:
        check_shape("valid", valid, "H W", H=height, W=width)
        pixel = rays_to_erp_pixels(ray, height).round().long()
        seen = valid.cpu()[pixel[:, 1].clamp(0, height - 1), pixel[:, 0] % width]
        ray, descriptor, scale = ray[seen], descriptor[seen], scale[seen]
    keep = scale.argsort(descending=True, stable=True)[:most].sort().values
    return SphereFeatures(rays=ray[keep], descriptors=descriptor[keep].numpy())
