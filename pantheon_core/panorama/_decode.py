"""Files to arrays: Pillow for 8 bit, FFmpeg (PyAV) for 16 bit and OpenEXR, our own reader for Radiance."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BackendUnavailableError, MediaError
from ._metadata import GPano, gpano_from_xmp, metadata_of
from ._openexr import check_complete
from ._radiance import read_radiance

if TYPE_CHECKING:
    from av import VideoFrame
    from PIL.Image import Image

__all__ = ["MAX_PIXELS", "Decoded", "decode"]

logger = logging.getLogger(__name__)

MAX_PIXELS = 32768 * 16384
"""Largest picture that is decoded: a 32k panorama, 1.6 GB as 8-bit RGB. Pillow's own limit is a sixth."""

_ORIENTATION, _BITS_PER_SAMPLE = 0x0112, 258
_limit_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Decoded:
    """A picture as it was stored, upright.

    Attributes:
        pixels: (H, W, 3) uint8, uint16 or float32; float32 is linear radiance.
        alpha: (H, W) float32 0..1, or None.
        gpano: Photo Sphere fields.
        metadata: text fields.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    gpano: GPano
    metadata: dict[str, str]


def decode(path: Path) -> Decoded:
    """Read a picture of any supported kind; the kind is taken from the content, not from the name.

    Raises:
        MediaError: missing, unreadable, truncated, too large, or of an unknown kind.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data:
        raise MediaError(f"{path}: expected a picture, got an empty file")
    if data[:4] == b"\x76\x2f\x31\x01":
        check_complete(data, name=str(path))
        return _plain(_decode_av(data, "exr", path), "EXR", path)
    if data[:2] == b"#?":
        rgb = read_radiance(data, name=str(path), max_pixels=MAX_PIXELS)
        return _plain(rgb, "HDR", path)
    return _decode_pillow(data, path)


def _plain(pixels: np.ndarray, kind: str, path: Path) -> Decoded:
    rgb, alpha = _split_alpha(pixels)
    if alpha is not None:
        # OpenEXR stores colours multiplied by alpha.
        rgb = rgb / np.maximum(alpha, 1e-6)[..., None]
    return Decoded(
        pixels=rgb, alpha=alpha, gpano=gpano_from_xmp(b"", name=str(path)), metadata={"format": kind}
    )


@contextmanager
def _pixel_limit() -> Iterator[None]:
    """Raise Pillow's decompression-bomb limit to ours while a file is opened, and put it back."""
    from PIL import Image

    with _limit_lock:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _decode_pillow(data: bytes, path: Path) -> Decoded:
    from PIL import Image, ImageOps, UnidentifiedImageError

    too_large = f"{path}: expected at most {MAX_PIXELS} pixels; shrink the picture first"
    try:
        with _pixel_limit():
            image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        if data[:4] in (b"II*\0", b"MM\0*"):  # Pillow knows no TIFF with 16 bits per colour
            return _deep_tiff(data, path)
        raise MediaError(
            f"{path}: expected JPEG, PNG, WebP, TIFF, OpenEXR or Radiance HDR, got something else; "
            "convert the picture (HEIC and RAW are not read)"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError(too_large) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise MediaError(f"{path}: the file is damaged: {error}") from error
    with image:
        try:
            gpano, metadata = metadata_of(image, name=str(path))
            metadata["format"] = str(image.format)
            deep = _deep_container(data, image)
            if deep is not None:
                pixels = _orient(_decode_av(data, deep, path), image.getexif().get(_ORIENTATION, 1))
                rgb, alpha = _split_alpha(pixels)
            else:
                image.load()
                upright = ImageOps.exif_transpose(image)
                rgb, alpha = _to_rgb(upright, metadata)
        except MediaError:
            raise
        except (OSError, ValueError, SyntaxError) as error:
            raise MediaError(f"{path}: the file is damaged or cut off ({error}); copy it again") from error
    return Decoded(pixels=rgb, alpha=alpha, gpano=gpano, metadata=metadata)


def _deep_tiff(data: bytes, path: Path) -> Decoded:
    """A TIFF that only FFmpeg opens. Its XMP packet is plain text near either end of the file."""
    rgb, alpha = _split_alpha(_decode_av(data, "tiff", path))
    gpano = gpano_from_xmp(data[:65536] + data[-65536:], name=str(path))
    metadata = {f"GPano:{key}": value for key, value in gpano.fields.items()}
    return Decoded(pixels=rgb, alpha=alpha, gpano=gpano, metadata={**metadata, "format": "TIFF"})


def _deep_container(data: bytes, image: Image) -> str | None:
    """The FFmpeg name of the format when the file has 16 bits per colour, which Pillow reduces to 8."""
    if image.format == "PNG" and data[24] == 16:
        return "png"
    if image.format == "TIFF" and len(image.getbands()) >= 3:
        tags = getattr(image, "tag_v2", {})
        for starts, sizes in ((273, 279), (324, 325)):  # strips or tiles
            for start, size in zip(tags.get(starts, ()), tags.get(sizes, ()), strict=False):
                if start + size > len(data):
                    raise ValueError(f"pixels end at byte {start + size} of {len(data)}")
        return "tiff" if 16 in tags.get(_BITS_PER_SAMPLE, (8,)) else None
    return None


def _to_rgb(image: Image, metadata: dict[str, str]) -> tuple[np.ndarray, np.ndarray | None]:
    alpha = None
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A"), np.float32) / 255
        image = image if image.mode == "CMYK" else rgba.convert("RGB")
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None].repeat(3, axis=2), None
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} with one 32-bit channel is not a colour picture")
    return np.asarray(_to_srgb(image, metadata).convert("RGB")), alpha


def _to_srgb(image: Image, metadata: dict[str, str]) -> Image:
    """Convert from the embedded colour profile, where there is one other than sRGB."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK"):
        return image
    from PIL import ImageCms

    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        description = ImageCms.getProfileDescription(embedded).strip()
        metadata["colour_profile"] = description
        if "srgb" in description.lower():
            return image
        converted = ImageCms.profileToProfile(
            image, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError) as error:
        logger.warning("The embedded colour profile cannot be used (%s); colours are taken as sRGB", error)
        return image
    return image if converted is None else converted


def _orient(pixels: np.ndarray, orientation: object) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _split_alpha(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    if pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1].astype(np.float32)
        if pixels.dtype != np.float32:
            alpha /= np.iinfo(pixels.dtype).max
        pixels = pixels[..., :-1]
    else:
        alpha = None
    if pixels.shape[2] == 1:
        pixels = pixels.repeat(3, axis=2)
    return np.ascontiguousarray(pixels), alpha


def _decode_av(data: bytes, kind: str, path: Path) -> np.ndarray:
    """Decode one picture by FFmpeg; (H, W, C) uint8, uint16 or float32 with C of 1 (grey), 3 or 4."""
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise BackendUnavailableError(
            f"{path}: reading 16-bit and OpenEXR pictures needs the package av; pip install av"
        ) from error
    # A pipe from memory: a file name could hold a % pattern or a protocol.
    options = {"max_pixels": str(MAX_PIXELS)}
    if kind == "png":  # lines that are missing are an error; for TIFF this refuses good files
        options["err_detect"] = "explode"
    try:
        with av.open(io.BytesIO(data), format=f"{kind}_pipe", options=options) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = options
            stream.thread_type = "NONE"
            for frame in container.decode(stream):
                return _planes(frame, path)
    except (FFmpegError, IndexError, ValueError) as error:
        raise MediaError(
            f"{path}: the {kind.upper()} file is damaged, cut off or of a kind that is not read ({error})"
        ) from error
    raise MediaError(f"{path}: the {kind.upper()} file is cut off: it holds no complete picture")


def _planes(frame: VideoFrame, path: Path) -> np.ndarray:
    name = frame.format.name
    if name.startswith(("gbrpf", "gbrapf", "grayf")):
        item = np.dtype(np.float16 if "f16" in name else np.float32)
        order = item.newbyteorder(">" if name.endswith("be") else "<")
        planes = [
            np.frombuffer(bytes(plane), order).reshape(plane.height, -1)[:, : plane.width]
            for plane in frame.planes
        ]
        # FFmpeg keeps planes in the order green, blue, red.
        planes = [planes[2], planes[0], planes[1], *planes[3:]] if len(planes) >= 3 else planes
        return np.stack(planes, axis=-1).astype(np.float32)
    target = {1: "gray16le", 2: "rgba64le", 3: "rgb48le", 4: "rgba64le"}.get(len(frame.format.components))
    if target is None:
        raise MediaError(f"{path}: expected grey or RGB pixels, got {name}")
    # Widening only: formats that are already of the target type are copied as they are.
    deep = frame if name == target else frame.reformat(format=target)
    channels = {"gray16le": 1, "rgb48le": 3, "rgba64le": 4}[target]
    plane = deep.planes[0]
    rows = np.frombuffer(bytes(plane), "<u2").reshape(plane.height, -1)[:, : plane.width * channels]
    return rows.reshape(plane.height, plane.width, channels).astype(np.uint16)
