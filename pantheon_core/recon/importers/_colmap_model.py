"""What a COLMAP model holds, in COLMAP's own terms."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

__all__ = ["MODELS", "ColmapCamera", "ColmapFrame", "ColmapImage", "ColmapModel"]

MODELS: dict[int, tuple[str, int]] = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    12: ("SIMPLE_DIVISION", 4),
    13: ("DIVISION", 5),
    14: ("SIMPLE_FISHEYE", 3),
    15: ("FISHEYE", 4),
    16: ("EUCM", 6),
    17: ("EQUIRECTANGULAR", 2),
}
"""Number in binary files -> name in text files and count of parameters (COLMAP 4.1, sensor/models.h)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ColmapCamera:
    """A lens: model name, size in pixels, parameters in COLMAP's order."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ColmapImage:
    """A picture: `motion` is QW QX QY QZ TX TY TZ of world to camera."""

    id: int
    name: str
    camera: int
    motion: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ColmapFrame:
    """Pictures that a rig took at once: `motion` of world to rig, the images' ids."""

    motion: tuple[float, ...]
    images: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColmapModel:
    """A model.

    Attributes:
        cameras: by id.
        images: in the order of the file.
        points: (N, 3) float64.
        colors: (N, 3) uint8.
        track_image: (M,) int64 ids of images, with `track_point` which image saw which point.
        track_point: (M,) int64, a row of `points`.
        frames: of rigs, where the model has the file (COLMAP 3.12 on).
    """

    cameras: dict[int, ColmapCamera]
    images: list[ColmapImage]
    points: Tensor
    colors: Tensor
    track_image: Tensor
    track_point: Tensor
    frames: list[ColmapFrame] = field(default_factory=list)
