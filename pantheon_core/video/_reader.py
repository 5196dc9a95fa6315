"""Frames and facts out of a video file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, MediaError
from ._codecs import frame_to_rgb, import_av
from ._spherical import spherical_versions

__all__ = ["VideoInfo", "read_video", "video_info"]

_ISO_FORMATS = {"mov", "mp4", "m4a"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VideoInfo:
    """What a video file holds.

    Attributes:
        height: pixels.
        width: pixels.
        fps: frames per second, on average.
        frames: number of frames.
        duration: seconds.
        codec: FFmpeg's name of the codec: "h264", "hevc", "av1", ...
        pix_fmt: FFmpeg's name of the pixel format, e.g. "yuv420p".
        spherical: marked as 360° video.
        audio: there is sound.
        metadata: texts of the container, e.g. "workflow".
    """

    height: int
    width: int
    fps: float
    frames: int
    duration: float
    codec: str
    pix_fmt: str
    spherical: bool
    audio: bool
    metadata: dict[str, str]


def read_video(path: str | os.PathLike[str], *, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
    """Decode a video as a stream: the memory of one frame.

    Args:
        path: any file that FFmpeg reads.
        start: first frame, counted from 0; frames before it are decoded and dropped.
        stop: frame to stop before; None for all.

    Yields:
        (3, H, W) float32 rgb 0..1; by the matrix and range that the file is tagged with.

    Raises:
        InputError: start or stop is wrong.
        MediaError: the file is missing, damaged or has no video.
        BackendUnavailableError: PyAV is missing.
    """
    if start < 0 or (stop is not None and stop < start):
        raise InputError(f"start, stop: expected 0 <= start <= stop, got {start} and {stop}")
    return _frames(Path(path), start, stop)


def _frames(path: Path, start: int, stop: int | None) -> Iterator[Tensor]:
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        for number, frame in enumerate(container.decode(stream)):
            if stop is not None and number >= stop:
                return
            if number < start:
                continue
            rgb = frame_to_rgb(frame)
            top = 65535.0 if rgb.dtype == np.uint16 else 255.0
            # astype gives a fresh array in the order of the strides; contiguous is what callers expect.
            pixels = np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32)
            yield torch.from_numpy(pixels).div_(top)


def video_info(path: str | os.PathLike[str]) -> VideoInfo:
    """Facts of a video file, without decoding it; frames are counted where the file does not tell.

    Raises:
        MediaError: the file is missing, damaged or has no video.
        BackendUnavailableError: PyAV is missing.
    """
    path = Path(path)
    with _opened(path) as (container, stream):
        iso = bool(_ISO_FORMATS & set(container.format.name.split(",")))
        frames = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        if stream.duration is not None:
            duration = float(stream.duration * stream.time_base)
        else:
            duration = frames / fps if fps else 0.0
        return VideoInfo(
            height=stream.height,
            width=stream.width,
            fps=fps,
            frames=frames,
            duration=duration,
            codec=stream.codec_context.codec.canonical_name,
            pix_fmt=stream.pix_fmt or "",
            spherical=bool(spherical_versions(path)) if iso else False,
            audio=bool(container.streams.audio),
            metadata=dict(container.metadata),
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream."""
    av = import_av()
    if not path.is_file():
        raise MediaError(f"{path}: no such file; check the name and the folder")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path}: expected a video, got a file without a video stream")
            yield container, container.streams.video[0]
    except av.error.FFmpegError as error:
        raise MediaError(f"{path}: cannot be read as a video: {error}; is it complete?") from error
