"""One clip out of its files: cameras, points and frames; and the other way round."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from ..cache import PointCache, load_ply
from ..check import check_rotation, check_shape
from ..errors import ConventionError, InputError, MediaError
from ..files import replacing
from ..geometry import resize_erp
from .clip_store import ClipEntry, Member

__all__ = ["read_cameras", "read_frames", "read_points", "write_clip_files"]

_IMAGES = ("jpg", "jpeg", "png", "webp")
_VIDEOS = ("mp4", "mov", "mkv", "webm")
_VERSION = 1


def read_cameras(entry: ClipEntry) -> Tensor:
    """(T, 4, 4) float64 T_world_cam.

    Raises:
        InputError: missing, of another shape, or no rotations; or a newer format.
    """
    info = entry.members.get("json")
    if info is not None:
        try:
            version = dict(json.loads(info.read())).get("version", _VERSION)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"clip {entry.name}: json: expected a JSON object ({error})") from error
        if version != _VERSION:
            raise InputError(f"clip {entry.name}: format version {version}, this package reads {_VERSION}")
    content = _member(entry, "poses.npy").read()
    try:
        raw = np.load(io.BytesIO(content), allow_pickle=False)
        cameras = torch.from_numpy(raw.astype(np.float64))
    except (ValueError, EOFError, AttributeError, TypeError, BadZipFile) as error:
        raise InputError(f"clip {entry.name}: poses.npy: expected an array of numbers ({error})") from error
    try:
        check_shape("poses.npy", cameras, "T 4 4")
        check_rotation("poses.npy", cameras[:, :3, :3])
    except (ValueError, ConventionError) as error:
        raise InputError(f"clip {entry.name}: {error}") from error
    return cameras


def read_points(entry: ClipEntry, T_world_first: Tensor) -> PointCache:
    """The clip's points with the window's first camera as the world.

    Args:
        entry: the clip.
        T_world_first: (4, 4) float64. Coordinates of maps can be large: they are moved before they become
            float32.

    Raises:
        InputError, MediaError: missing or damaged.
    """
    ply = entry.members.get("points.ply")
    if ply is not None:
        with ply.as_file(".ply") as path:
            cloud = load_ply(path)
        points = cloud.points.double() + cloud.origin
        colors, confidence = cloud.colors, cloud.confidence
    else:
        points, colors, confidence = _npz_points(entry)
    T_first_world = torch.linalg.inv(T_world_first)
    moved = points @ T_first_world[:3, :3].T + T_first_world[:3, 3]
    return PointCache(
        points=moved.float(),
        colors=colors,
        confidence=confidence,
        anchor=torch.zeros(len(moved), dtype=torch.int16),
        T_world_anchor=torch.eye(4)[None],
        provenance={"source": entry.name},
    )


def _npz_points(entry: ClipEntry) -> tuple[Tensor, Tensor, Tensor]:
    try:
        with np.load(io.BytesIO(_member(entry, "points.npz").read()), allow_pickle=False) as data:
            points = torch.from_numpy(data["points"].astype(np.float64))
            colors = torch.from_numpy(data["colors"].astype(np.uint8))
            sure = data["confidence"] if "confidence" in data else np.ones(len(points))
            confidence = torch.from_numpy(sure.astype(np.float32))
        sizes = check_shape("points", points, "N 3")
        check_shape("colors", colors, "N 3", **sizes)
        check_shape("confidence", confidence, "N", **sizes)
    except (KeyError, ValueError, OSError, EOFError, AttributeError, TypeError, BadZipFile) as error:
        raise InputError(
            f"clip {entry.name}: points.npz: expected points (N, 3) and colors (N, 3) uint8 ({error})"
        ) from error
    return points, colors, confidence


def read_frames(entry: ClipEntry, indices: Sequence[int], height: int) -> Tensor:
    """Frames of a clip, in the order asked for.

    Args:
        entry: the clip.
        indices: of the frames.
        height: to resize them to, pixels.

    Returns:
        (n, 3, height, 2 height) uint8.

    Raises:
        InputError: no frames, too few, or not 2:1.
        MediaError: damaged.
    """
    from ..video import read_video

    suffix = next((kind for kind in _VIDEOS if kind in entry.members), None)
    wanted: dict[int, Tensor] = {}
    if suffix is not None:
        low, high = min(indices), max(indices)
        with entry.members[suffix].as_file(f".{suffix}") as path:
            for number, frame in enumerate(read_video(path, start=low, stop=high + 1), start=low):
                if number in indices:
                    wanted[number] = _sized(entry, frame, height)
    else:
        images = sorted(key for key in entry.members if key.rpartition(".")[2] in _IMAGES)
        for number in indices:
            if number < len(images):
                wanted[number] = _sized(entry, _image(entry, images[number]), height)
    missing = sorted(set(indices) - set(wanted))
    if missing:
        raise InputError(
            f"clip {entry.name}: no frame {missing[0]}; expected a video ({', '.join(_VIDEOS)}) or images "
            f"({', '.join(_IMAGES)}), one frame per camera"
        )
    return torch.stack([wanted[number] for number in indices])


def _image(entry: ClipEntry, suffix: str) -> Tensor:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(entry.members[suffix].read())) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise MediaError(f"clip {entry.name}: {suffix} is not a readable image ({error})") from error
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255.0


def _sized(entry: ClipEntry, frame: Tensor, height: int) -> Tensor:
    try:
        return (resize_erp(frame, height).clamp(0, 1) * 255).round().to(torch.uint8)
    except ConventionError as error:
        raise InputError(f"clip {entry.name}: {error}") from error


def write_clip_files(
    folder: str | Path,
    name: str,
    frames: Tensor,
    T_world_cam: Tensor,
    cache: PointCache,
    *,
    fps: float,
    images: bool = False,
) -> list[Path]:
    """Write one clip in the folder format.

    Args:
        folder: is made if missing.
        name: of the clip, without dots.
        frames: (T, 3, H, W) rgb 0..1.
        T_world_cam: (T, 4, 4).
        cache: its points; surface and sky are not part of the format.
        fps: frames per second.
        images: PNG files, without loss, in place of an MP4.

    Returns:
        The files.

    Raises:
        InputError: a dot in the name, or shapes that do not fit.
    """
    from PIL import Image

    from ..video import write_video

    if "." in name or not name:
        raise InputError(f"name: expected one without dots, got {name!r}")
    count = check_shape("frames", frames, "T 3 H W")["T"]
    check_shape("T_world_cam", T_world_cam, "T 4 4", T=count)
    stem = Path(folder) / name
    files: list[Path] = []

    def named(suffix: str) -> Path:
        files.append(stem.with_name(f"{name}.{suffix}"))
        return files[-1]

    with replacing(named("json")) as partial:
        partial.write_text(json.dumps({"version": _VERSION, "fps": fps, "frames": count}), encoding="utf-8")
    with replacing(named("poses.npy")) as partial, partial.open("wb") as file:
        np.save(file, T_world_cam.double().cpu().numpy())
    with replacing(named("points.npz")) as partial, partial.open("wb") as file:
        points = cache.points.double().cpu() + cache.origin.cpu()
        np.savez_compressed(
            file,
            points=points.numpy() if bool(cache.origin.any()) else cache.points.cpu().numpy(),
            colors=cache.colors.cpu().numpy(),
            confidence=cache.confidence.cpu().numpy(),
        )
    if images:
        for number, frame in enumerate(frames):
            pixels = (frame.permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
            with replacing(named(f"{number:04d}.png")) as partial:
                Image.fromarray(pixels).save(partial)
    else:
        write_video(named("mp4"), frames, fps=fps, crf=12)
    return files


def _member(entry: ClipEntry, suffix: str) -> Member:
    if suffix not in entry.members:
        raise InputError(
            f"clip {entry.name}: no {entry.name}.{suffix}; it has {', '.join(sorted(entry.members)[:6])}"
        )
    return entry.members[suffix]
