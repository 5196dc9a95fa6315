"""COLMAP's binary files: little endian, no padding, a count of 8 bytes first.

cameras.bin: id u32, model i32, width u64, height u64, params f64 each.
images.bin: id u32, quaternion 4 f64, translation 3 f64, camera u32, name with a zero at its end, count u64 of
(x f64, y f64, point u64).
points3D.bin: id u64, xyz 3 f64, rgb 3 u8, error f64, count u64 of (image u32, index u32).
frames.bin: id u32, rig u32, quaternion, translation, count u32 of (sensor type i32, which is 0 for a camera,
sensor u32, data u64).

Source: COLMAP 4.1, src/colmap/scene/reconstruction_io_binary.cc; https://colmap.github.io/format.html.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from ...errors import MediaError
from ._colmap_model import MODELS, ColmapCamera, ColmapFrame, ColmapImage, ColmapModel

__all__ = ["read_binary"]

_POINT = struct.Struct("<Q3d3BdQ")
_CAMERA_SENSOR = 0
_LONGEST_NAME = 4096


class _Reader:
    """Takes values off a file; running past its end is an error that says the file."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, 0
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({error.strerror or error})") from error

    def take(self, layout: str) -> tuple:
        """Values of a struct layout."""
        one = struct.Struct("<" + layout)
        self.need(one.size)
        self.at += one.size
        return one.unpack_from(self.data, self.at - one.size)

    def count(self, smallest: int, layout: str = "Q") -> int:
        """A count of records of at least `smallest` bytes: one that the file cannot hold is damage."""
        (number,) = self.take(layout)
        self.need(number * smallest)
        return number

    def name(self) -> str:
        """Text up to a zero."""
        end = self.data.find(b"\0", self.at, self.at + _LONGEST_NAME)
        if end < 0:
            raise self.damaged("a name without an end")
        text = self.data[self.at : end].decode("utf-8", errors="replace")
        self.at = end + 1
        return text

    def skip(self, size: int) -> None:
        """Leave bytes out."""
        self.need(size)
        self.at += size

    def need(self, size: int) -> None:
        """Say so where the file is too short."""
        if size > len(self.data) - self.at:
            raise self.damaged(f"it ends {size - len(self.data) + self.at} bytes too early")

    def done(self) -> None:
        """Say so where something is left over: then the counts were not what they seemed."""
        if self.at != len(self.data):
            raise self.damaged(f"{len(self.data) - self.at} bytes are left over")

    def damaged(self, what: str) -> MediaError:
        return MediaError(f"{self.path}: the COLMAP file is damaged or cut off: {what}; copy it again")


def read_binary(folder: Path) -> ColmapModel:
    """Read cameras.bin, images.bin, and points3D.bin and frames.bin where they are.

    Raises:
        MediaError: a file is missing or damaged.
    """
    cameras = _cameras(_Reader(folder / "cameras.bin"))
    images = _images(_Reader(folder / "images.bin"))
    points, colors, track_image, track_point = _points(folder / "points3D.bin")
    frames = folder / "frames.bin"
    return ColmapModel(
        cameras=cameras,
        images=images,
        points=torch.from_numpy(points),
        colors=torch.from_numpy(colors),
        track_image=torch.from_numpy(track_image),
        track_point=torch.from_numpy(track_point),
        frames=_frames(_Reader(frames)) if frames.is_file() else [],
    )


def _cameras(reader: _Reader) -> dict[int, ColmapCamera]:
    found = {}
    for _ in range(reader.count(24)):
        number, model, width, height = reader.take("IiQQ")
        if model not in MODELS:
            raise reader.damaged(f"camera {number} has the unknown model {model}")
        name, params = MODELS[model]
        found[number] = ColmapCamera(model=name, width=width, height=height, params=reader.take(f"{params}d"))
    reader.done()
    return found


def _images(reader: _Reader) -> list[ColmapImage]:
    found = []
    for _ in range(reader.count(73)):
        number, *motion, camera = reader.take("I7dI")
        found.append(ColmapImage(id=number, motion=tuple(motion), camera=camera, name=reader.name()))
        reader.skip(24 * reader.count(24))
    reader.done()
    return found


def _points(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(N, 3) float64, (N, 3) uint8, and (M,) image ids with (M,) rows."""
    if not path.is_file():
        none = np.zeros(0, np.int64)
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8), none, none
    reader = _Reader(path)
    count = reader.count(_POINT.size)
    points, colors = np.zeros((count, 3)), np.zeros((count, 3), np.uint8)
    tracks, lengths = [], np.zeros(count, np.int64)
    for i in range(count):
        reader.need(_POINT.size)
        _, *values, length = _POINT.unpack_from(reader.data, reader.at)
        points[i], colors[i], lengths[i] = values[:3], values[3:6], length
        reader.skip(_POINT.size)
        reader.need(8 * length)
        tracks.append(np.frombuffer(reader.data, "<u4", 2 * length, reader.at)[::2])
        reader.at += 8 * length
    reader.done()
    images = np.concatenate(tracks).astype(np.int64) if tracks else np.zeros(0, np.int64)
    return points, colors, images, np.repeat(np.arange(count), lengths)


def _frames(reader: _Reader) -> list[ColmapFrame]:
    found = []
    for _ in range(reader.count(68)):
        _, _, *motion = reader.take("II7d")
        data = [reader.take("iIQ") for _ in range(reader.count(16, "I"))]
        images = tuple(number for kind, _, number in data if kind == _CAMERA_SENSOR)
        found.append(ColmapFrame(motion=tuple(motion), images=images))
    reader.done()
    return found
