"""Pictures of a COLMAP data set as panoramas: read whole ones, assemble views."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from ...errors import MediaError
from ...geometry import perspective_to_erp
from ._colmap_model import ColmapCamera
from ._pictures import read_picture

__all__ = ["panorama_picture"]


def panorama_picture(
    names: list[str],
    cameras: list[ColmapCamera],
    R_pano_view: Tensor,
    *,
    folders: list[Path],
    height: int,
    warnings: list[str],
) -> tuple[Tensor, Tensor] | None:
    """The panorama of one place.

    Args:
        names: of the views' files, or of the one panorama.
        cameras: their lenses.
        R_pano_view: (V, 3, 3) panorama camera from view camera.
        folders: where to look.
        height: of the result in pixels; 0 keeps the picture's, or that of the views' resolution.
        warnings: sentences are added where there is no picture.

    Returns:
        (3, H, W) rgb 0..1 and (H, W) valid, or None.

    Raises:
        MediaError: a file is damaged.
    """
    paths = [_find(name, folders) for name in names]
    if any(path is None for path in paths):
        _once(warnings, "Pictures are missing (folder images): poses come without them.")
        return None
    files = [path for path in paths if path is not None]
    if cameras[0].model == "EQUIRECTANGULAR":
        from ...panorama import load_panorama

        found = load_panorama(files[0], height=height or None)
        return found.rgb, found.valid
    focal = _focal(cameras)
    if focal is None:
        _once(warnings, "The views' lenses differ or are distorted: they are not assembled to panoramas.")
        return None
    lens = cameras[0]
    views = torch.stack([_read(path, lens) for path in files])
    size = height or max(1, round(math.pi * focal))
    fov_x = 2 * math.atan(lens.width / 2 / focal)
    rgb, weight = perspective_to_erp(views, R_pano_view, fov_x=fov_x, height=size)
    return rgb.clamp(0, 1), weight > 0


def _find(name: str, folders: list[Path]) -> Path | None:
    """A picture inside one of the folders; names that lead out of them are not followed."""
    for folder in folders:
        path = folder / name
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path
    return None


def _focal(cameras: list[ColmapCamera]) -> float | None:
    """The focal length in pixels that centred pinhole cameras share, or None."""
    found = set()
    for camera in cameras:
        if camera.model == "SIMPLE_PINHOLE":
            fx, cx, cy = camera.params
            fy = fx
        elif camera.model == "PINHOLE":
            fx, fy, cx, cy = camera.params
        else:
            return None
        centred = abs(cx - camera.width / 2) <= 0.5 and abs(cy - camera.height / 2) <= 0.5
        if not centred or fx <= 0 or abs(fx - fy) > 1e-3 * fx:
            return None
        found.add((camera.width, camera.height, round(fx, 3)))
    return cameras[0].params[0] if len(found) == 1 else None


def _read(path: Path, lens: ColmapCamera) -> Tensor:
    """(3, h, w) float 0..1 at the lens's size."""
    rgb = read_picture(path)
    if rgb.shape[1:] != (lens.height, lens.width):
        raise MediaError(
            f"{path}: expected {lens.width} x {lens.height} pixels as the model says, got "
            f"{rgb.shape[2]} x {rgb.shape[1]}"
        )
    return rgb


def _once(warnings: list[str], text: str) -> None:
    if text not in warnings:
        warnings.append(text)
