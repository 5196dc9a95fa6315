"""Where a stored picture lies on the sphere: aspect checks, and partial panoramas placed on the full one."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConventionError, MediaError
from ._metadata import GPano

__all__ = ["check_aspect", "fit_two_to_one", "place_crop"]

_TOLERANCE = 0.01


def check_aspect(name: str, width: int, height: int) -> None:
    """Accept a picture twice as wide as high, within 1 %.

    Raises:
        ConventionError: it is not; the message says what the picture probably is, and what to do.
    """
    ratio = width / height
    if abs(ratio / 2 - 1) <= _TOLERANCE:
        return
    raise ConventionError(
        f"{name}: expected an equirectangular panorama, twice as wide as high, got {width} x {height} "
        f"({ratio:.2f}:1). {_hint(ratio)}"
    )


def _hint(ratio: float) -> str:
    if abs(ratio - 1) < 0.02:
        return (
            "A square picture is often an over-under stereo panorama: cut out its upper half (the left eye). "
            "If it shows one or two circles it is a fisheye picture: stitch it in the camera's own software."
        )
    if abs(ratio / 4 - 1) < 0.02:
        return "This is often a side-by-side stereo panorama: cut out its left half (the left eye)."
    if ratio < 1.9:
        return (
            "This looks like an ordinary (perspective) photograph: use a 360° photograph, "
            "or make a panorama of it first."
        )
    return (
        "This looks like a partial or cylindrical panorama without the metadata that says where it lies on "
        "the sphere: export it with Photo Sphere (GPano) metadata, or extend it to 2:1."
    )


def fit_two_to_one(image: Tensor) -> Tensor:
    """Resample (C, h, w), off 2:1 by at most 1 %, to exactly (C, H, 2H) with H = round(w / 2).

    Stitchers round odd sizes: a few pixels of height spread evenly are closer to the truth than a cut.
    """
    height = max(1, round(image.shape[-1] / 2))
    if image.shape[-2:] == (height, 2 * height):
        return image
    return torch.nn.functional.interpolate(
        image[None], (height, 2 * height), mode="bilinear", align_corners=False, antialias=True
    )[0].clamp(0, 1)


def place_crop(image: Tensor, gpano: GPano, *, name: str) -> Tensor:
    """Put a partial panorama where its GPano metadata says, on a black sphere.

    A picture that was resized after the metadata was written is placed in proportion. A crop may run over
    the right edge: it goes on at the left.

    Args:
        image: (C, h, w); the last channel should be a mask of ones, 0 on the result's empty parts.
        gpano: metadata with `full` and `crop`.
        name: the file, for messages.

    Returns:
        (C, H, W) the whole sphere, or the picture itself where it has no crop.

    Raises:
        ConventionError: the whole sphere is not 2:1.
        MediaError: the metadata contradict themselves or the picture.
    """
    if gpano.full is None or gpano.crop is None:
        return image
    (full_width, full_height), (left, top, crop_width, crop_height) = gpano.full, gpano.crop
    height, width = image.shape[-2:]
    if crop_width < 1 or crop_height < 1 or crop_width > full_width or top < 0:
        raise MediaError(f"{name}: GPano crop {gpano.crop} does not lie in the full panorama {gpano.full}")
    if top + crop_height > full_height:
        raise MediaError(
            f"{name}: GPano crop ends at row {top + crop_height}, below the full height {full_height}"
        )
    scale_x, scale_y = width / crop_width, height / crop_height
    if abs(scale_x / scale_y - 1) > _TOLERANCE + 1 / min(width, height):
        raise MediaError(
            f"{name}: GPano says a crop of {crop_width} x {crop_height}, the picture is {width} x {height}: "
            "it was cut after the metadata was written; correct or remove the metadata"
        )
    check_aspect(f"{name} (GPano full size)", full_width, full_height)
    canvas = image.new_zeros(
        image.shape[0], max(height, round(full_height * scale_y)), max(width, round(full_width * scale_x))
    )
    row = min(round(top * scale_y), canvas.shape[-2] - height)
    canvas[:, row : row + height, :width] = image
    return canvas.roll(round(left * scale_x), dims=-1)
