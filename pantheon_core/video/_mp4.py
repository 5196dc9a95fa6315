"""Boxes of ISO base media files (MP4, MOV): just enough to add a box and keep the file right.

Source: ISO/IEC 14496-12, 4.2 (boxes), 8.7.5 (chunk offsets).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import MediaError

__all__ = ["Box", "FileBox", "box_bytes", "file_boxes", "parse_boxes", "shift_chunk_offsets"]

CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_MAX_UINT32 = 0xFFFFFFFF


@dataclass(kw_only=True, slots=True, eq=False)
class Box:
    """One box, held in memory.

    Attributes:
        kind: four-character code.
        payload: what follows the header; for containers empty, and `children` holds the content.
        children: the boxes of a container, None for any other box.
    """

    kind: bytes
    payload: bytes = b""
    children: list[Box] | None = None

    def find(self, *path: bytes) -> Iterator[Box]:
        """All boxes under this one at a path of kinds."""
        for child in self.children or []:
            if child.kind == path[0]:
                if len(path) == 1:
                    yield child
                else:
                    yield from child.find(*path[1:])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FileBox:
    """Where a top-level box lies: byte offset, header length and whole length."""

    kind: bytes
    start: int
    header: int
    size: int

    @property
    def end(self) -> int:
        """Offset of the first byte after the box."""
        return self.start + self.size


def _header(read: Callable[[int, int], bytes], start: int, end: int) -> tuple[bytes, int, int]:
    """Kind, header length and whole length of the box at `start`; size 1 is a 64-bit size, 0 "to the end"."""
    raw = read(start, 8)
    if len(raw) < 8:
        raise MediaError(f"MP4: expected a box at byte {start}, got the end of the file; it is cut off")
    size, kind = struct.unpack(">I4s", raw)
    header = 8
    if size == 1:
        large = read(start + 8, 8)
        if len(large) < 8:
            raise MediaError(f"MP4: the 64-bit size of the box at byte {start} is cut off")
        size, header = struct.unpack(">Q", large)[0], 16
    elif size == 0:
        size = end - start
    if size < header or start + size > end:
        raise MediaError(
            f"MP4: box {kind!r} at byte {start} claims {size} bytes where {end - start} are left; "
            "the file is damaged or not complete"
        )
    return kind, header, size


def file_boxes(file: BinaryIO) -> list[FileBox]:
    """The top-level boxes of an open file, without reading their content.

    Raises:
        MediaError: the boxes do not add up.
    """
    end = file.seek(0, 2)

    def read(start: int, count: int) -> bytes:
        file.seek(start)
        return file.read(count)

    found, start = [], 0
    while start < end:
        kind, header, size = _header(read, start, end)
        found.append(FileBox(kind=kind, start=start, header=header, size=size))
        start += size
    return found


def parse_boxes(data: bytes) -> list[Box]:
    """The boxes in `data`, containers parsed to the sample tables.

    Raises:
        MediaError: the boxes do not add up.
    """

    def read(start: int, count: int) -> bytes:
        return data[start : start + count]

    found, start = [], 0
    while start < len(data):
        kind, header, size = _header(read, start, len(data))
        payload = data[start + header : start + size]
        if kind in CONTAINERS:
            found.append(Box(kind=kind, children=parse_boxes(payload)))
        else:
            found.append(Box(kind=kind, payload=payload))
        start += size
    return found


def box_bytes(box: Box) -> bytes:
    """A box with its header; the sizes of all parents follow from their content."""
    payload = box.payload if box.children is None else b"".join(box_bytes(child) for child in box.children)
    size = 8 + len(payload)
    if size > _MAX_UINT32:
        return struct.pack(">I4sQ", 1, box.kind, size + 8) + payload
    return struct.pack(">I4s", size, box.kind) + payload


def shift_chunk_offsets(moov: Box, *, old_size: int, moved_from: int) -> bytes:
    """Serialise a changed `moov`, with the media offsets that its growth makes right.

    Tables of 32-bit offsets (stco) become 64-bit ones (co64) where an offset would not fit any more.

    Args:
        moov: the changed box.
        old_size: its length in the file before the change, header included.
        moved_from: media at or after this byte of the old file moves along with the end of `moov`.
    """
    tables = [
        box for path in (b"stco", b"co64") for box in moov.find(b"trak", b"mdia", b"minf", b"stbl", path)
    ]
    offsets = [_read_offsets(box) for box in tables]
    while True:
        growth = len(box_bytes(moov)) - old_size
        widened = False
        for box, old in zip(tables, offsets, strict=True):
            new = [offset + growth if offset >= moved_from else offset for offset in old]
            if box.kind == b"stco" and new and max(new) > _MAX_UINT32:
                box.kind, widened = b"co64", True
            # Until no table is widened any more the values are provisional, but of their final length.
            letter = "I" if box.kind == b"stco" else "Q"
            box.payload = box.payload[:8] + struct.pack(f">{len(new)}{letter}", *new)
        if not widened:
            return box_bytes(moov)


def _read_offsets(box: Box) -> list[int]:
    letter, width = ("I", 4) if box.kind == b"stco" else ("Q", 8)
    if len(box.payload) < 8:
        raise MediaError(f"MP4: the chunk table {box.kind!r} is cut off")
    count = struct.unpack_from(">I", box.payload, 4)[0]
    if len(box.payload) < 8 + count * width:
        raise MediaError(f"MP4: the chunk table {box.kind!r} has fewer than its {count} entries")
    return list(struct.unpack_from(f">{count}{letter}", box.payload, 8))
