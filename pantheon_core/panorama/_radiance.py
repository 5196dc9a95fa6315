"""Reader of Radiance pictures (.hdr, .pic), 32-bit RGBE.

Source: G. Ward, Radiance file formats, https://radsite.lbl.gov/radiance/refer/filefmts.pdf
"""

from __future__ import annotations

import re

import numpy as np

from ..errors import MediaError

__all__ = ["read_radiance"]

_RESOLUTION = re.compile(rb"^([-+])([XY]) (\d+) ([-+])([XY]) (\d+)$")


def read_radiance(data: bytes, *, name: str, max_pixels: int) -> np.ndarray:
    """Decode a Radiance picture.

    Args:
        data: the whole file.
        name: the file's name, for messages.
        max_pixels: larger pictures are refused.

    Returns:
        (H, W, 3) float32 linear radiance, upright.

    Raises:
        MediaError: not a Radiance RGBE picture, truncated or too large.
    """
    exposure, match, offset = _read_header(data, name)
    sign_a, axis_a, size_a, sign_b, axis_b, size_b = match.groups()
    lines, length = int(size_a), int(size_b)
    if axis_a == axis_b or not 0 < lines * length <= max_pixels:
        raise MediaError(
            f"{name}: expected at most {max_pixels} pixels, got the resolution {match.group().decode()}"
        )
    rgbe = np.empty((lines, length, 4), np.uint8)
    for line in range(lines):
        try:
            offset = _read_line(data, offset, rgbe[line])
        except (IndexError, ValueError) as error:
            raise MediaError(
                f"{name}: the file is damaged or cut off at line {line} of {lines}; copy it again"
            ) from error
    # The shared exponent is biased by 128, and mantissas are 8-bit fractions; exponent 0 is black.
    scale = np.ldexp(np.float32(1), rgbe[..., 3].astype(np.int32) - 136) / np.float32(exposure)
    rgb = rgbe[..., :3] * np.where(rgbe[..., 3:] > 0, scale[..., None], 0).astype(np.float32)
    if sign_b == b"-" if axis_b == b"X" else sign_b == b"+":
        rgb = rgb[:, ::-1]
    if sign_a == b"+" if axis_a == b"Y" else sign_a == b"-":
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb if axis_a == b"Y" else rgb.transpose(1, 0, 2))


def _read_header(data: bytes, name: str) -> tuple[float, re.Match[bytes], int]:
    end = data.find(b"\n\n")
    stop = data.find(b"\n", end + 2)
    match = _RESOLUTION.match(data[end + 2 : stop]) if end >= 0 and stop >= 0 else None
    if match is None:
        raise MediaError(f"{name}: expected a Radiance picture, got no resolution line; the file is damaged")
    exposure = 1.0
    for line in data[:end].split(b"\n"):
        key, _, value = line.partition(b"=")
        if key == b"FORMAT" and value.strip() != b"32-bit_rle_rgbe":
            raise MediaError(f"{name}: expected FORMAT=32-bit_rle_rgbe, got {value.decode(errors='replace')}")
        if key == b"EXPOSURE":
            exposure *= _positive(value, name)
    return exposure, match, stop + 1


def _positive(value: bytes, name: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise MediaError(f"{name}: expected a positive EXPOSURE, got {value.decode(errors='replace')}")
    return number


def _read_line(data: bytes, offset: int, line: np.ndarray) -> int:
    """Fill `line` (W, 4) from the file and return the offset after it."""
    width = line.shape[0]
    if 8 <= width < 32768 and data[offset : offset + 4] == bytes((2, 2, width >> 8, width & 255)):
        offset += 4
        for channel in range(4):
            offset = _read_runs(data, offset, line[:, channel])
        return offset
    return _read_old_line(data, offset, line)


def _read_runs(data: bytes, offset: int, out: np.ndarray) -> int:
    at, width = 0, out.shape[0]
    while at < width:
        count = data[offset]
        if count > 128:
            count -= 128
            out[at : at + count] = data[offset + 1]
            offset += 2
        else:
            out[at : at + count] = np.frombuffer(data, np.uint8, count, offset + 1)
            offset += 1 + count
        at += count
        if count == 0 or at > width:
            raise ValueError("a run leaves the line")
    return offset


def _read_old_line(data: bytes, offset: int, line: np.ndarray) -> int:
    """Plain pixels, where 1, 1, 1, n repeats the last pixel n times (n << 8 when it follows another)."""
    at, shift, width = 0, 0, line.shape[0]
    while at < width:
        pixel = np.frombuffer(data, np.uint8, 4, offset)
        offset += 4
        if pixel[0] == pixel[1] == pixel[2] == 1 and at > 0:
            count = int(pixel[3]) << shift
            if at + count > width:
                raise ValueError("a run leaves the line")
            line[at : at + count] = line[at - 1]
            at, shift = at + count, shift + 8
        else:
            line[at] = pixel
            at, shift = at + 1, 0
    return offset
