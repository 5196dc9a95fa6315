"""Folders made by ViPE: poses, distances, masks and the map of a video.

For a video NAME: `pose/NAME.npz` (`data` (n, 4, 4) camera to world, `inds` (n,)), `rgb/NAME.mp4`,
`depth/NAME.zip` with `00000.exr` (one channel Z of halves: distance along the ray), `mask/NAME.zip` with
`00000.png` (numbers of instances, 0 is the rest) and `mask/NAME.txt` ("1: person"),
`intrinsics/NAME_camera.txt` ("0: PANORAMA"), `vipe/NAME_slam_map.pt` (the points of the map). OpenCV axes,
the panorama's pixels are this project's, the unit is ViPE's own.

Source: https://github.com/nv-tlabs/vipe, vipe/utils/io.py, vipe/slam/interface.py, vipe/utils/geometry.py.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, MediaError, Progress
from ...trajectory.formats import FORMATS
from ...trajectory.formats._samples import resample
from ...video import read_video, video_info
from ._assemble import SparsePoints, assemble
from ._detect import find_vipe
from ._exr import read_exr_channel
from ._pictures import distances, fit_picture, resize_mask, spread
from ._types import ImportedPanorama, ImportedScene, ImportOptions, step

__all__ = ["import_vipe"]

_UNREADABLE = (
    *(pickle.UnpicklingError, RuntimeError, EOFError, OSError, struct.error, LookupError),
    *(AttributeError, TypeError, ValueError, AssertionError),
)
"""What torch.load raises for files that are empty, damaged, or hold code."""

_SKY = "sky"
_PANORAMA = "PANORAMA"


def import_vipe(
    folder: Path, options: ImportOptions, *, name: str | None = None, progress: Progress | None = None
) -> ImportedScene:
    """Import one video of a ViPE folder.

    Sky instances become sky; everything else that ViPE masked moves, and its distances are left out. The
    pictures stay whole.

    Args:
        folder: the one that has `pose/`.
        options: how much, and the unit.
        name: of the video; None where the folder has only one.
        progress: called with (frames decoded, frames).

    Raises:
        InputError: no or several videos, or contents that do not fit together.
        MediaError: a file is missing or damaged.
    """
    name = _choose(folder, name)
    numbers, T_file_cam = _poses(folder / "pose" / f"{name}.npz")
    video = folder / "rgb" / f"{name}.mp4"
    warnings: list[str] = []
    fps = options.fps
    if video.is_file():
        fps = video_info(video).fps or fps
    else:
        warnings.append(f"There is no rgb/{name}.mp4: poses come without pictures.")
    panoramas: list[ImportedPanorama] = []
    if _is_panorama(folder / "intrinsics" / f"{name}_camera.txt", video):
        panoramas = _panoramas(folder, name, numbers, options, progress)
    else:
        warnings.append(f"{name} is a perspective video: its path is taken, its pictures and depth are not.")
    start = int(numbers[0])
    if start:
        warnings.append(f"The first {start} frames have no pose; the path starts at frame {start}.")
    gaps = int(numbers[-1]) - start + 1 - len(numbers)
    if gaps:
        warnings.append(f"{gaps} frames between have no pose; they are interpolated.")
        T_file_cam = resample(T_file_cam, numbers.double() - start, 1.0)
    sparse = _slam_map(folder / "vipe" / f"{name}_slam_map.pt", start, len(T_file_cam))
    return assemble("vipe", T_file_cam, panoramas, sparse, options, fps=fps, warnings=warnings)


def _choose(folder: Path, name: str | None) -> str:
    names = find_vipe(folder)
    if not names:
        raise InputError(f"{folder}: expected a ViPE folder with pose/NAME.npz, got none; choose its parent")
    if name is None and len(names) > 1:
        raise InputError(f"{folder}: has {len(names)} videos ({', '.join(names[:8])}); give the name of one")
    if name is not None and name not in names:
        raise InputError(f"name: expected one of {', '.join(names[:8])}, got {name!r}")
    return name or names[0]


def _poses(path: Path) -> tuple[Tensor, Tensor]:
    """Frame numbers (n,) int64, rising, and (n, 4, 4) float64 camera to world."""
    try:
        samples = FORMATS["vipe"].read(path)
    except (InputError, MediaError) as error:
        raise type(error)(f"{path}: {error}") from error
    if samples.numbers is None or bool((samples.numbers.diff() <= 0).any()) or int(samples.numbers[0]) < 0:
        raise InputError(f"{path}: expected frame numbers in inds that rise from 0 on")
    return samples.numbers, samples.T_world_cam


def _is_panorama(cameras: Path, video: Path) -> bool:
    """By the camera type that ViPE wrote; older folders have none, there the video's shape decides."""
    if cameras.is_file():
        first = cameras.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        return first.partition(":")[2].strip().upper() == _PANORAMA
    if not video.is_file():
        return False
    info = video_info(video)
    return info.width == 2 * info.height


def _panoramas(
    folder: Path, name: str, numbers: Tensor, options: ImportOptions, progress: Progress | None
) -> list[ImportedPanorama]:
    """Pictures and distances of the frames that are kept; the video is decoded once, as a stream."""
    start = int(numbers[0])
    wanted = [int(numbers[i]) for i in spread(len(numbers), options.panoramas)]
    video = folder / "rgb" / f"{name}.mp4"
    if not video.is_file():
        return [ImportedPanorama(name=f"{name}_{i:05d}", frame=i - start) for i in wanted]
    depth, masks = (_Zip(folder / kind / f"{name}.zip", kind) for kind in ("depth", "mask"))
    sky = _sky_numbers(folder / "mask" / f"{name}.txt")
    found, last = [], wanted[-1]
    for number, frame in enumerate(read_video(video, stop=last + 1)):
        step(progress, number + 1, last + 1)
        if number not in wanted:
            continue
        rgb = fit_picture(frame, options, name=f"rgb/{name}.mp4")
        estimate = None
        content = depth.get(f"{number:05d}.exr")
        if content is not None:
            file = f"depth/{name}.zip, {number:05d}.exr"
            values = _without_moving(read_exr_channel(content, file), masks, number, sky)
            estimate = distances(values, rgb, options, name=file)
        found.append(
            ImportedPanorama(
                name=f"{name}_{number:05d}",
                frame=number - start,
                rgb=rgb,
                valid=torch.ones(rgb.shape[1:], dtype=torch.bool),
                estimate=estimate,
            )
        )
    if len(found) < len(wanted):
        raise MediaError(
            f"{video}: expected frame {last}, which has a pose, got a video that ends before; it is another "
            "video or it is cut off"
        )
    return found


def _without_moving(values: Tensor, masks: _Zip, number: int, sky: set[int]) -> Tensor:
    """Distances (h, w): infinite on masked sky, 0 on what else is masked."""
    content = masks.get(f"{number:05d}.png")
    if content is None:
        return values
    instances = _png(content, f"{masks.path}, {number:05d}.png")
    in_sky = torch.from_numpy(np.isin(instances, sorted(sky)))
    moving = resize_mask(torch.from_numpy(instances != 0) & ~in_sky, values.shape[0])
    values = torch.where(resize_mask(in_sky, values.shape[0]), math.inf, values)
    return torch.where(moving, 0.0, values)


class _Zip:
    """Files of an archive by name; an archive that is not there has none."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        self.names: set[str] = set()
        if path.is_file():
            with self._opened() as archive:
                self.names = set(archive.namelist())

    def get(self, name: str) -> bytes | None:
        """The content of a file, or None where the archive lacks it."""
        if name not in self.names:
            return None
        try:
            with self._opened() as archive:
                return archive.read(name)
        except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError) as error:
            raise MediaError(f"{self.path}: {name} is damaged ({error}); copy the archive again") from error

    def _opened(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError) as error:
            raise MediaError(
                f"{self.path}: expected a ZIP archive of {self.kind}, got a damaged or other file ({error})"
            ) from error


def _png(content: bytes, name: str) -> np.ndarray:
    """(h, w) uint8 numbers of instances."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError) as error:
        raise MediaError(f"{name}: the mask is damaged: {error}") from error


def _sky_numbers(path: Path) -> set[int]:
    """Numbers of the instances that are sky, of lines such as "3: sky"."""
    return {number for number, phrase in _phrases(path) if phrase.lower() == _SKY}


def _phrases(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        match = re.match(r"\s*(\d+)\s*:\s*(.*?)\s*$", line)
        if match:
            yield int(match[1]), match[2]


def _slam_map(path: Path, start: int, frames: int) -> SparsePoints | None:
    """The map's points; `dense_disp_packinfo` says which key frame saw which."""
    if not path.is_file():
        return None
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        # Not torch's own words: they advise to load the file without protection.
        raise MediaError(
            f"{path}: expected the map of ViPE as tensors only, got a file that is empty, damaged or holds "
            f"something else ({type(error).__name__}); copy it again, or leave it out"
        ) from error
    try:
        points = data["dense_disp_xyz"].double().reshape(-1, 3)
        rgb = data["dense_disp_rgb"].float().reshape(-1, 3)
        ranges = data["dense_disp_packinfo"].long()
        keys = torch.as_tensor(data["dense_disp_frame_inds"], dtype=torch.int64)
        if len(rgb) != len(points) or ranges.shape[:1] != keys.shape or ranges.shape[-1] != 2:
            raise ValueError("its parts have different lengths")
        if len(ranges) and not 0 <= int(ranges.min()) <= int(ranges.sum(-1).max()) <= len(points):
            raise ValueError("a range of points leaves the map")
    except (RuntimeError, LookupError, AttributeError, TypeError, ValueError) as error:
        raise MediaError(
            f"{path}: expected the map of ViPE as tensors only, got other parts: {error!s:.200}"
        ) from error
    frame, point = [], []
    for key, views in zip((keys - start).tolist(), ranges.reshape(len(keys), -1, 2).tolist(), strict=True):
        for first, count in views if 0 <= key < frames else ():
            frame.append(torch.full((count,), key))
            point.append(torch.arange(first, first + count))
    none = torch.zeros(0, dtype=torch.int64)
    return SparsePoints(
        points=points,
        colors=(rgb.clamp(0, 1) * 255).round().to(torch.uint8),
        frame=torch.cat(frame) if frame else none,
        point=torch.cat(point) if point else none,
    )
