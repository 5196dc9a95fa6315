"""COLMAP's text files: # starts a comment; a picture has two lines, the second of its points.

Source: COLMAP 4.1, src/colmap/scene/reconstruction_io_text.cc; https://colmap.github.io/format.html.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch

from ...errors import InputError, MediaError
from ._colmap_model import MODELS, ColmapCamera, ColmapFrame, ColmapImage, ColmapModel

__all__ = ["read_text"]

_PARAMS = dict(MODELS.values())


def read_text(folder: Path) -> ColmapModel:
    """Read cameras.txt, images.txt, and points3D.txt and frames.txt where they are.

    Raises:
        MediaError: a file is missing or damaged; says the line.
    """
    points, colors, track_image, track_point = _points(folder / "points3D.txt")
    frames = folder / "frames.txt"
    return ColmapModel(
        cameras=_cameras(folder / "cameras.txt"),
        images=_images(folder / "images.txt"),
        points=torch.from_numpy(points),
        colors=torch.from_numpy(colors),
        track_image=torch.from_numpy(track_image),
        track_point=torch.from_numpy(track_point),
        frames=_frames(frames) if frames.is_file() else [],
    )


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbers from 1 and stripped lines, empty ones and comments among them."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise MediaError(f"{path}: expected a text file, got byte {error.object[error.start]:#x}") from error
    return list(enumerate((line.strip() for line in text.splitlines()), start=1))


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    return [(n, line.split()) for n, line in _lines(path) if line and not line.startswith("#")]


def _bad(path: Path, number: int, expected: str) -> MediaError:
    return MediaError(f"{path}, line {number}: expected {expected}; the file is damaged or cut off")


def _cameras(path: Path) -> dict[int, ColmapCamera]:
    found = {}
    for number, words in _rows(path):
        try:
            key, model, width, height = int(words[0]), words[1], int(words[2]), int(words[3])
            params = tuple(float(word) for word in words[4:])
        except (IndexError, ValueError) as error:
            raise _bad(path, number, "CAMERA_ID MODEL WIDTH HEIGHT PARAMS") from error
        if len(params) != _PARAMS.get(model, len(params)):
            raise _bad(path, number, f"{_PARAMS[model]} parameters of {model}, got {len(params)}")
        found[key] = ColmapCamera(model=model, width=width, height=height, params=params)
    return found


def _images(path: Path) -> list[ColmapImage]:
    found = []
    lines = iter(_lines(path))
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        words = line.split(maxsplit=9)
        try:
            motion = tuple(float(word) for word in words[1:8])
            found.append(ColmapImage(id=int(words[0]), motion=motion, camera=int(words[8]), name=words[9]))
        except (IndexError, ValueError) as error:
            raise _bad(path, number, "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME") from error
        next(lines, None)  # the picture's points: the tracks of points3D say the same
    return found


def _points(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(N, 3) float64, (N, 3) uint8, and (M,) image ids with (M,) rows."""
    rows = _rows(path) if path.is_file() else []
    points, colors = np.zeros((len(rows), 3)), np.zeros((len(rows), 3), np.uint8)
    tracks: list[list[int]] = []
    for i, (number, words) in enumerate(rows):
        try:
            points[i] = [float(word) for word in words[1:4]]
            colors[i] = [int(word) for word in words[4:7]]
            tracks.append([int(word) for word in words[8::2]])
        except (ValueError, OverflowError) as error:
            raise _bad(path, number, "POINT3D_ID X Y Z R G B ERROR TRACK") from error
        if len(words) < 8 or len(words) % 2:
            raise _bad(path, number, "POINT3D_ID X Y Z R G B ERROR and pairs of IMAGE_ID POINT2D_IDX")
    images = np.array(list(itertools.chain.from_iterable(tracks)), dtype=np.int64)
    return points, colors, images, np.repeat(np.arange(len(rows)), [len(track) for track in tracks])


def _frames(path: Path) -> list[ColmapFrame]:
    found = []
    for number, words in _rows(path):
        try:
            motion = tuple(float(word) for word in words[2:9])
            data = words[10:]
            images = tuple(int(data[i + 2]) for i in range(0, len(data), 3) if data[i] == "CAMERA")
            if len(motion) != 7 or len(data) != 3 * int(words[9]):
                raise InputError("the line is too short")
        except (IndexError, ValueError) as error:
            raise _bad(path, number, "FRAME_ID RIG_ID QW QX QY QZ TX TY TZ COUNT and DATA_IDS") from error
        found.append(ColmapFrame(motion=motion, images=images))
    return found
