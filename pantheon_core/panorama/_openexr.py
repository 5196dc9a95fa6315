"""Is an OpenEXR file whole? FFmpeg fills missing lines with black and says nothing.

Source: https://openexr.com/en/latest/OpenEXRFileLayout.html
"""

from __future__ import annotations

import struct

from ..errors import MediaError

__all__ = ["check_complete"]

# Lines per chunk of each compression: none, RLE, ZIPS, ZIP, PIZ, PXR24, B44, B44A, DWAA, DWAB.
_LINES = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256)
_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000


def check_complete(data: bytes, *, name: str) -> None:
    """Check that every chunk of a scan-line file lies inside the file; tiled files are not checked.

    Raises:
        MediaError: the header is damaged, a chunk is missing, or the file is deep or has several parts.
    """
    try:
        (flags,) = struct.unpack_from("<I", data, 4)
        if flags & (_DEEP | _MULTIPART):
            raise MediaError(f"{name}: expected a flat OpenEXR file with one part; export it that way")
        attributes, offset = _attributes(data)
        if flags & _TILED:
            return
        _, top, _, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
        lines = _LINES[attributes[b"compression"][0]]
        table = struct.unpack_from(f"<{-(-(bottom - top + 1) // lines)}Q", data, offset)
        for start in table:
            (size,) = struct.unpack_from("<i", data, start + 4)
            if start == 0 or start + 8 + size > len(data):
                raise IndexError(start)
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise MediaError(f"{name}: the EXR file is damaged or cut off; copy it again") from error


def _attributes(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """The header's attributes by name, and the offset of the chunk table after it."""
    found: dict[bytes, bytes] = {}
    offset = 8
    while data[offset] != 0:
        end = data.index(b"\0", offset)
        kind_end = data.index(b"\0", end + 1)
        (size,) = struct.unpack_from("<i", data, kind_end + 1)
        if size < 0:
            raise ValueError(size)
        found[data[offset:end]] = data[kind_end + 5 : kind_end + 5 + size]
        offset = kind_end + 5 + size
    return found, offset + 1
