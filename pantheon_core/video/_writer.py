"""Frames in, one finished MP4 out, or nothing."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..check import check_finite, check_shape
from ..errors import ConventionError, InputError, MediaError, Progress
from ._audio import AudioFeed
from ._codecs import check_codec, import_av, quiet_encoders, rgb_to_frame
from ._spherical import inject_spherical

__all__ = ["VideoWriter", "write_video"]

_BT709 = 1  # AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709
_LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG
_X265_DELAY = 2  # frames
# Metadata keys of any name, and the index first: hosts read a workflow from the start of the file only.
_MOVFLAGS = "use_metadata_tags+faststart"


class VideoWriter:
    """Write an MP4 frame by frame, as a context manager.

    The file is written beside its target under a hidden name and renamed at the end, so the target is
    complete or untouched; whatever is raised inside the `with` block, nothing is left behind. Colours are
    BT.709, limited range, and tagged so. A frame of odd width or height is padded by one repeated column or
    row, since 4:2:0 video has even sizes. Floats outside 0..1 are clipped: video holds no others.

        with VideoWriter("out.mp4", fps=7) as video:
            for frame in frames:
                video.write(frame)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float,
        codec: str = "h264",
        crf: float = 18,
        preset: str | None = None,
        pix_fmt: str = "yuv420p",
        metadata: Mapping[str, str] | None = None,
        spherical: bool = True,
        audio: tuple[Tensor, int] | None = None,
    ) -> None:
        """Check the settings; nothing is written before the first frame.

        Args:
            path: the target, ending in .mp4; missing folders are made, an existing file is replaced.
            fps: frames per second.
            codec: "h264", "h265" or "av1"; `list_codecs` tells which are there.
            crf: quality, 0 best; 18 looks lossless with h264, about 24 with h265, 28 with av1.
            preset: the encoder's; None for a sensible one.
            pix_fmt: "yuv420p", which plays everywhere; "yuv420p10le" (10 bit) or "yuv444p".
            metadata: texts to keep in the file; hosts restore a graph from "workflow" and "prompt".
            spherical: mark as monoscopic equirectangular 360° video; frames must then be 2:1.
            audio: (waveform (1 or 2, samples) in -1..1, sample rate), cut at the end of the video.

        Raises:
            InputError: a setting is out of range.
            BackendUnavailableError: PyAV or the codec is missing.
        """
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise InputError(f"path: expected a name ending in .mp4, got {self.path.name!r}")
        if isinstance(fps, bool) or not 0 < fps <= 1000:
            raise InputError(f"fps: expected frames per second above 0 and up to 1000, got {fps!r}")
        self._metadata = _check_metadata(metadata)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._codec = check_codec(codec, pix_fmt, crf, preset)
        self._pix_fmt = pix_fmt
        self._options = {**self._codec.options, "crf": f"{crf:g}", "preset": preset or self._codec.preset}
        self._spherical = spherical
        self._audio = AudioFeed(*audio) if audio is not None else None
        self._temporary = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}.part")
        self._size: tuple[int, int] | None = None
        self._container: Any = None
        self._stream: Any = None
        self._state = "new"
        self.frames = 0

    def __enter__(self) -> VideoWriter:
        if self._state != "new":
            raise InputError("VideoWriter: this writer was used before; make a new one for every file")
        self._state = "open"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state = "closed"
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()

    def write(self, frame: Tensor | np.ndarray) -> None:
        """Encode one frame.

        Args:
            frame: (3, H, W) float rgb 0..1, or (H, W, 3) uint8. All frames have the size of the first.

        Raises:
            ShapeError: another shape.
            ConventionError: the video is spherical and the frame not twice as wide as high.
            InputError: the size changed, a value is not finite, or the writer is not open.
            MediaError: the encoder or the disk refuses.
        """
        if self._state != "open":
            raise InputError("VideoWriter: not open; write inside `with VideoWriter(...) as video:`")
        pixels = _to_pixels(frame, deep="10" in self._pix_fmt)
        size = (pixels.shape[0], pixels.shape[1])
        with self._media_errors("write"):
            if self._size is None:
                self._open(size)
            elif size != self._size:
                raise InputError(
                    f"frame: expected {self._size[1]} x {self._size[0]} pixels as frame 0 has, got "
                    f"{size[1]} x {size[0]} at frame {self.frames}; resize the frames to one size"
                )
            height, width = size
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            video = rgb_to_frame(pixels, self._pix_fmt)
            video.pts, video.time_base = self.frames, 1 / self._rate
            # Sound goes first, or the muxer would have to hold back the frames that wait for it.
            if self._audio is not None:
                self._audio.mux_until(self._container, Fraction(self.frames + 1) / self._rate)
            self._container.mux(self._stream.encode(video))
        self.frames += 1

    def _open(self, size: tuple[int, int]) -> None:
        height, width = size
        if self._spherical and width != 2 * height:
            raise ConventionError(
                f"frame: expected a panorama, twice as wide as high, got {width} x {height}; "
                "pass spherical=False for a flat video"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        av = import_av()
        quiet_encoders()
        self._container = av.open(
            str(self._temporary), mode="w", format="mp4", options={"movflags": _MOVFLAGS}
        )
        self._container.metadata.update(self._metadata)
        stream = self._container.add_stream(self._codec.encoder, rate=self._rate, options=self._options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = self._pix_fmt
        context = stream.codec_context
        context.time_base = 1 / self._rate
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED_RANGE
        if self._codec.tag:
            context.codec_tag = self._codec.tag
        self._stream = stream
        if self._audio is not None:
            self._audio.add_stream(self._container)
        self._size = size

    def _finish(self) -> None:
        if self.frames == 0:
            raise InputError(f"frames: expected at least one, got none; {self.path} was not written")
        with self._media_errors("finish"):
            if self._audio is not None:
                self._audio.flush(self._container)
            packets = self._stream.encode(None)
            if self.frames <= _X265_DELAY:
                # x265 leaves decoding times unset in videos shorter than its delay; one or two frames are
                # never reordered.
                for packet in packets:
                    packet.dts = packet.pts
            self._container.mux(packets)
            container, self._container = self._container, None
            container.close()
            if self._spherical:
                inject_spherical(self._temporary)
            self._temporary.replace(self.path)

    def _discard(self) -> None:
        if self._container is not None:
            av = import_av()
            # The file is thrown away: what closing it complains of hides the error that led here.
            with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
                self._container.close()
            self._container = None
        with contextlib.suppress(OSError):
            self._temporary.unlink()

    @contextlib.contextmanager
    def _media_errors(self, action: str) -> Iterator[None]:
        av = import_av()
        try:
            yield
        except (MediaError, InputError):
            raise
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(
                f"{self.path}: cannot {action} frame {self.frames} with {self._codec.encoder}: {error}; "
                "check the free space, the rights on the folder and the frame size"
            ) from error


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[Tensor | np.ndarray],
    *,
    fps: float,
    progress: Progress | None = None,
    total: int | None = None,
    **settings: Any,
) -> Path:
    """Write all frames with a `VideoWriter`, whose further settings can be given.

    Args:
        path: the target, ending in .mp4.
        frames: (3, H, W) float rgb 0..1 or (H, W, 3) uint8; a generator is not held in memory.
        fps: frames per second.
        progress: called after every frame; it may raise to stop, which leaves no file.
        total: number of frames, for progress; len(frames) where it has one.
        settings: codec, crf, preset, pix_fmt, metadata, spherical, audio.

    Returns:
        The path.

    Raises:
        InputError: no frames, or a setting or frame is wrong.
        BackendUnavailableError: PyAV or the codec is missing.
        MediaError: the encoder or the disk refuses.
    """
    if total is None:
        total = len(frames) if hasattr(frames, "__len__") else 0  # pyright: ignore
    with VideoWriter(path, fps=fps, **settings) as video:
        for frame in frames:
            video.write(frame)
            if progress is not None:
                progress(video.frames, max(total, video.frames))
    return video.path


def _to_pixels(frame: Tensor | np.ndarray, *, deep: bool) -> np.ndarray:
    """(H, W, 3) contiguous uint8, or uint16 where the video is deeper than 8 bits."""
    tensor = torch.as_tensor(frame)
    if tensor.dtype == torch.uint8:
        check_shape("frame", tensor, "H W 3")
        pixels = tensor.cpu().numpy()
        # 257 takes 255 to 65535.
        return np.ascontiguousarray(pixels.astype(np.uint16) * 257 if deep else pixels)
    if not tensor.is_floating_point():
        raise InputError(f"frame: expected float (3, H, W) or uint8 (H, W, 3), got {tensor.dtype}")
    check_shape("frame", tensor, "3 H W")
    check_finite("frame", tensor)
    top = 65535 if deep else 255
    scaled = (tensor.detach().cpu().float().clamp(0, 1) * top).round().permute(1, 2, 0)
    return np.ascontiguousarray(scaled.numpy().astype(np.uint16 if deep else np.uint8))


def _check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    for key, text in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise InputError(
                f"metadata: expected texts by name, got {key!r}: {type(text).__name__}; use json.dumps"
            )
    return dict(metadata or {})
