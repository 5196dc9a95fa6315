"""The video codecs that this package writes, and the colour conversion both ways.

PyAV is imported on first use: it takes a quarter of a second.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BackendUnavailableError, InputError

if TYPE_CHECKING:
    from av import VideoFrame

_INSTALL = "install PyAV with `pip install av`"
# Bicubic, full chroma when interpolating, accurate rounding (libswscale/swscale.h): without the last two
# swscale takes short cuts worth several grey levels on saturated colours.
_SWS_FLAGS = 4 | 0x2000 | 0x40000
_HD_HEIGHT = 576

_MPEG_RANGE, _JPEG_RANGE = 1, 2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Codec:
    """How one codec is written.

    Attributes:
        encoder: FFmpeg's encoder.
        tag: sample entry that players expect, or None for the encoder's own.
        preset: default preset.
        presets: the presets there are, from fast to thorough.
        max_crf: crf ranges from 0 to this.
        pix_fmts: the pixel formats offered.
        options: further encoder options.
    """

    encoder: str
    tag: str | None
    preset: str
    presets: tuple[str, ...]
    max_crf: int
    pix_fmts: tuple[str, ...]
    options: dict[str, str]


_X26X_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
)

CODECS: dict[str, Codec] = {
    "h264": Codec(
        encoder="libx264",
        tag="avc1",
        preset="medium",
        presets=_X26X_PRESETS,
        max_crf=51,
        pix_fmts=("yuv420p", "yuv444p", "yuv420p10le"),
        options={},
    ),
    "h265": Codec(
        encoder="libx265",
        tag="hvc1",
        preset="medium",
        presets=_X26X_PRESETS,
        max_crf=51,
        pix_fmts=("yuv420p", "yuv444p", "yuv420p10le"),
        options={"x265-params": "log-level=error"},
    ),
    "av1": Codec(
        encoder="libsvtav1",
        tag="av01",
        preset="8",
        presets=tuple(str(n) for n in range(13, -1, -1)),
        max_crf=63,
        pix_fmts=("yuv420p", "yuv420p10le"),
        options={},
    ),
}


def import_av() -> ModuleType:
    """PyAV, or a sentence on how to get it."""
    try:
        import av
    except ImportError as error:
        raise BackendUnavailableError(f"video: PyAV is not installed or does not load; {_INSTALL}") from error
    return av


def list_codecs() -> dict[str, tuple[str, ...]]:
    """The codecs that the installed PyAV can write, with their pixel formats.

    Raises:
        BackendUnavailableError: PyAV is missing.
    """
    av = import_av()
    found = {}
    for name, codec in CODECS.items():
        try:
            formats = av.codec.Codec(codec.encoder, "w").video_formats or []
        except av.codec.codec.UnknownCodecError:
            continue
        offered = {item.name for item in formats}
        found[name] = tuple(fmt for fmt in codec.pix_fmts if fmt in offered)
    return found


def check_codec(name: str, pix_fmt: str, crf: float, preset: str | None) -> Codec:
    """The codec to write with.

    Raises:
        InputError: an unknown codec, or a pixel format, crf or preset that it does not have.
        BackendUnavailableError: the installed PyAV was built without it.
    """
    if name not in CODECS:
        raise InputError(f"codec: expected one of {', '.join(CODECS)}; got {name!r}")
    codec = CODECS[name]
    available = list_codecs()
    if name not in available:
        raise BackendUnavailableError(
            f"codec: the installed PyAV has no {codec.encoder}, which writes {name}; "
            f"use one of {', '.join(available) or 'none'}, or {_INSTALL} from its wheels"
        )
    if pix_fmt not in available[name]:
        raise InputError(f"pix_fmt: {name} offers {', '.join(available[name])}; got {pix_fmt!r}")
    if not 0 <= crf <= codec.max_crf:
        raise InputError(f"crf: expected 0 (best) to {codec.max_crf} for {name}, got {crf}")
    if preset is not None and preset not in codec.presets:
        raise InputError(f"preset: {name} has {', '.join(codec.presets)}; got {preset!r}")
    return codec


def quiet_encoders() -> None:
    """Keep SVT-AV1 from writing its settings to stderr; it has no other switch. A user's choice stays."""
    os.environ.setdefault("SVT_LOG", "1")


def rgb_to_frame(rgb: np.ndarray, pix_fmt: str) -> VideoFrame:
    """Convert (H, W, 3) uint8 or uint16 full-range rgb to BT.709 limited-range YUV."""
    av = import_av()
    form = "rgb48le" if rgb.dtype == np.uint16 else "rgb24"
    frame = av.VideoFrame.from_ndarray(rgb, format=form)
    # swscale would take BT.601 for rgb input: green and red come out wrong by up to 25 of 255.
    matrices = _sws_matrix("ITU601"), _sws_matrix("ITU709")
    return _reformat(frame, pix_fmt, matrices=matrices, ranges=(_JPEG_RANGE, _MPEG_RANGE))


def frame_to_rgb(frame: VideoFrame) -> np.ndarray:
    """Convert a decoded frame to (H, W, 3) full-range rgb, uint16 for more than 8 bits, else uint8.

    Untagged frames are taken as BT.709 above 576 lines or 1024 columns, as BT.601 below, as players do.
    """
    deep = any(component.bits > 8 for component in frame.format.components)
    if frame.format.is_rgb:
        return frame.to_ndarray(format="rgb48le" if deep else "rgb24")
    tagged = int(frame.colorspace)
    names = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020", 10: "BT2020"}
    large = frame.height > _HD_HEIGHT or frame.width >= 2 * _HD_HEIGHT
    name = names.get(tagged, "ITU709" if large else "ITU601")
    matrices = _sws_matrix(name), _sws_matrix("ITU601" if name == "ITU709" else "ITU709")
    full = int(frame.color_range) == _JPEG_RANGE or frame.format.name.startswith("yuvj")
    source = _JPEG_RANGE if full else _MPEG_RANGE
    form = "rgb48le" if deep else "rgb24"
    return _reformat(frame, form, matrices=matrices, ranges=(source, _JPEG_RANGE)).to_ndarray()


def _sws_matrix(name: str) -> int:
    from av.video.reformatter import Colorspace

    # Older releases of PyAV do not name BT.2020, whose number is libswscale's own.
    return int(getattr(Colorspace, name, 9))


def _reformat(
    frame: VideoFrame, form: str, *, matrices: tuple[int, int], ranges: tuple[int, int]
) -> VideoFrame:
    """Convert between rgb and YUV; `matrices` and `ranges` are of source and result.

    The rgb side's matrix has no effect, but must be another one than the YUV side's: PyAV before 17 ignores
    all four settings where matrices and ranges are equal.
    """
    arguments: dict[str, Any] = {
        "format": form,
        "src_colorspace": matrices[0],
        "dst_colorspace": matrices[1],
        "src_color_range": ranges[0],
        "dst_color_range": ranges[1],
        "interpolation": _SWS_FLAGS,
    }
    return frame.reformat(**arguments)
