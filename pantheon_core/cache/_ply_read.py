"""A reader of PLY files of any size: headers, ASCII and binary elements, lists.

Binary files are mapped, not read: columns are views that the system pages in as they are used. ASCII files
are read in blocks.
"""

from __future__ import annotations

import mmap
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import MediaError, MemoryBudgetError
from ._memory import available_bytes

__all__ = ["Ply", "read_ply"]

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER = 1 << 20
_BLOCK_ROWS, _BLOCK_BYTES = 1 << 17, 1 << 22
# of the cache that is made of them, and of the work on the way
_BYTES_PER_POINT, _BYTES_PER_FACE, _BYTES_PER_SKY_PIXEL = 40, 26, 20
_MEMORY_SHARE = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class _Property:
    name: str
    type: str
    count_type: str | None = None  # of lists


@dataclass(frozen=True, kw_only=True, slots=True)
class _Element:
    name: str
    count: int
    properties: list[_Property]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ply:
    """Columns by element and property; a list property is (n, k) where all have k items, else a list."""

    elements: dict[str, dict[str, Any]]
    comments: list[str]


def read_ply(path: Path, *, memory_limit: int | None = None, max_points: int | None = None) -> Ply:
    """A file's columns. Those of binary files are views of the file on the disk: copy what is to stay.

    Args:
        path: of the file.
        memory_limit: bytes that a cache of it may take; None for four fifths of what is free.
        max_points: of the file so many will be used, and no faces; None for all. All of a text is read.

    Raises:
        MediaError: not there, not PLY, or damaged; says where.
        MemoryBudgetError: there are too many points for the memory; nothing has been read then.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            order, elements, comments, start = _header(file.read(_LONGEST_HEADER), path)
            _check_size(elements, size - start, order == "", path)
            counts = {element.name: element.count for element in elements}
            points, faces = counts.get("vertex", 0), counts.get("face", 0)
            if max_points is not None and points > max_points:
                points, faces = max_points, 0
            # the columns of a text are held beside the cache
            text = sum(8 * e.count * len(e.properties) for e in elements) if order == "" else 0
            more = text + _BYTES_PER_SKY_PIXEL * counts.get("sky", 0)
            _check_memory(points, faces, more, memory_limit, path)
            body: _Body
            if order == "":
                file.seek(start)
                body = _Ascii(file, path)
            else:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                body = _Binary(data, size, start, order, path)
            columns = {element.name: body.read(element) for element in elements}
    except MediaError:
        raise
    except OSError as error:
        raise MediaError(f"path: cannot read {path}: {error.strerror or error}") from error
    return Ply(elements=columns, comments=comments)


def _check_size(elements: list[_Element], size: int, ascii_text: bool, path: Path) -> None:
    """Refuse a header that promises more than the file can hold, before anything is allocated."""
    least = 0
    for element in elements:
        # a number of a text file takes a digit and a blank, a list at least its count
        types = [item.count_type or item.type for item in element.properties]
        least += element.count * sum(2 if ascii_text else np.dtype(kind).itemsize for kind in types)
    if least > size + 1:  # the last number of a text may have no blank after it
        names = ", ".join(f"{element.count:,} {element.name} elements" for element in elements)
        raise MediaError(
            f"path: {path} is damaged: its header promises {names}, at least {least:,} bytes, and {size:,} "
            "are there; copy or download it again"
        )


def _check_memory(points: int, faces: int, more: int, limit: int | None, path: Path) -> None:
    needed = points * _BYTES_PER_POINT + faces * _BYTES_PER_FACE + more
    if limit is None:
        free = available_bytes()
        limit = None if free is None else int(free * _MEMORY_SHARE)
    if limit is not None and needed > limit:
        raise MemoryBudgetError(
            f"path: {path} holds {points:,} points and {faces:,} faces, which need about "
            f"{needed / 2**30:.1f} GB of memory; {limit / 2**30:.1f} GB may be used. Thin the cloud in the "
            "program that it comes from, or load it with max_points"
        )


def _header(data: bytes, path: Path) -> tuple[str, list[_Element], list[str], int]:
    """Byte order ("" for ASCII), elements, comments, where the body starts."""
    if data[:3] != b"ply":
        raise MediaError(f'path: {path} is not a PLY file: it does not start with "ply"')
    end = data.find(b"end_header")
    stop = data.find(b"\n", end) + 1
    if end < 0 or stop == 0:
        raise MediaError(f'path: {path} is damaged: its header has no "end_header"')
    order: str | None = None
    elements: list[_Element] = []
    comments: list[str] = []
    for line in data[:end].decode("latin-1").replace("\r", "\n").split("\n")[1:]:
        words = line.split()
        try:
            if not words or words[0] == "obj_info":
                continue
            if words[0] == "comment":
                comments.append(line.partition("comment")[2].strip())
            elif words[0] == "format":
                order = _FORMATS[words[1]]
            elif words[0] == "element":
                elements.append(_Element(name=words[1], count=int(words[2]), properties=[]))
            elif words[0] == "property" and words[1] == "list":
                item = _Property(name=words[4], type=_TYPES[words[3]], count_type=_TYPES[words[2]])
                elements[-1].properties.append(item)
            elif words[0] == "property":
                elements[-1].properties.append(_Property(name=words[2], type=_TYPES[words[1]]))
            else:
                raise KeyError(words[0])
        except (KeyError, IndexError, ValueError) as error:
            raise MediaError(f"path: {path} is damaged: its header has the line {line.strip()!r}") from error
    if order is None or any(element.count < 0 for element in elements):
        raise MediaError(f"path: {path} is damaged: its header names no format, or a negative count")
    return order, elements, comments, stop


class _Body:
    """Reads elements one after the other."""

    path: Path

    def read(self, element: _Element) -> dict[str, Any]:
        raise NotImplementedError

    def short(self, element: _Element) -> MediaError:
        return MediaError(
            f"path: {self.path} is damaged: it ends within its {element.count} {element.name} elements; "
            "copy or download it again"
        )


class _Binary(_Body):
    def __init__(self, data: mmap.mmap, size: int, start: int, order: str, path: Path) -> None:
        self.data, self.size, self.at, self.order, self.path = data, size, start, order, path

    def read(self, element: _Element) -> dict[str, Any]:
        """Records of one length at once; those with lists are first taken to have the first one's lengths."""
        if not element.properties:
            return {}
        lengths = self._lengths(element)
        fields: list[tuple[str, Any]] = []
        for i, item in enumerate(element.properties):
            if item.count_type:
                fields.append((f"n{i}", self.order + item.count_type))
                fields.append((f"v{i}", (self.order + item.type, (lengths[i],))))
            else:
                fields.append((f"v{i}", self.order + item.type))
        record = np.dtype(fields)
        size = record.itemsize * element.count
        table = None
        if self.at + size <= self.size:
            table = np.frombuffer(self.data, record, element.count, self.at)
        if any((table[f"n{i}"] != n).any() if table is not None else True for i, n in lengths.items()):
            return self._ragged(element)
        if table is None:
            raise self.short(element)
        self.at += size
        return {item.name: table[f"v{i}"] for i, item in enumerate(element.properties)}

    def _lengths(self, element: _Element) -> dict[int, int]:
        """Lengths of the first record's lists."""
        out: dict[int, int] = {}
        at = self.at
        for i, item in enumerate(element.properties):
            if item.count_type:
                n, at = self._number(at, item.count_type, element) if element.count else (0, at)
                if at + n * np.dtype(item.type).itemsize > self.size:
                    raise self.short(element)
                out[i] = int(n)
                at += int(n) * np.dtype(item.type).itemsize
            else:
                at += np.dtype(item.type).itemsize
        return out

    def _number(self, at: int, kind: str, element: _Element) -> tuple[int, int]:
        end = at + np.dtype(kind).itemsize
        if end > self.size:
            raise self.short(element)
        n = int(np.frombuffer(self.data, self.order + kind, 1, at)[0])
        if n < 0:
            raise MediaError(f"path: {self.path} is damaged: a list of {n} items in {element.name}")
        return n, end

    def _ragged(self, element: _Element) -> dict[str, Any]:
        out: dict[str, list[Any]] = {item.name: [] for item in element.properties}
        for _ in range(element.count):
            for item in element.properties:
                n, self.at = (
                    self._number(self.at, item.count_type, element) if item.count_type else (1, self.at)
                )
                end = self.at + n * np.dtype(item.type).itemsize
                if end > self.size:
                    raise self.short(element)
                value = _native(np.frombuffer(self.data, self.order + item.type, n, self.at))
                out[item.name].append(value if item.count_type else value[0])
                self.at = end
        return {i.name: out[i.name] if i.count_type else np.asarray(out[i.name]) for i in element.properties}


class _Ascii(_Body):
    """Numbers between blanks, read in blocks; floats are kept in float64, as the text may have the digits."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file, self.path = file, path
        self.words: list[bytes] = []
        self.at = 0
        self.rest = b""

    def read(self, element: _Element) -> dict[str, Any]:
        lists = any(item.count_type for item in element.properties)
        try:
            return self._lists(element) if lists else self._table(element)
        except (ValueError, OverflowError) as error:
            raise MediaError(f"path: {self.path} is damaged: {element.name} holds {error}") from error

    def _table(self, element: _Element) -> dict[str, Any]:
        width = len(element.properties)
        out = {item.name: np.empty(element.count, _wide(item.type)) for item in element.properties}
        for start in range(0, element.count, _BLOCK_ROWS):
            rows = min(_BLOCK_ROWS, element.count - start)
            words = self._take(width * rows, element)
            table = np.array(words, dtype=np.float64).reshape(rows, width)
            for i, item in enumerate(element.properties):
                out[item.name][start : start + rows] = _whole(table[:, i], item)
        return out

    def _lists(self, element: _Element) -> dict[str, Any]:
        out: dict[str, list[Any]] = {item.name: [] for item in element.properties}
        for _ in range(element.count):
            for item in element.properties:
                n = 1
                if item.count_type:
                    n = int(self._take(1, element)[0])
                values = _whole(np.array(self._take(n, element), dtype=np.float64), item)
                values = values.astype(_wide(item.type))
                out[item.name].append(values if item.count_type else values[0])
        return {i.name: out[i.name] if i.count_type else np.asarray(out[i.name]) for i in element.properties}

    def _take(self, n: int, element: _Element) -> list[bytes]:
        if n < 0:
            raise self.short(element)
        while len(self.words) - self.at < n and self._more():
            pass
        words = self.words[self.at : self.at + n]
        if len(words) < n:
            raise self.short(element)
        self.at += n
        return words

    def _more(self) -> bool:
        """Another block of words; False at the file's end."""
        block = self.file.read(_BLOCK_BYTES)
        if not block and not self.rest:
            return False
        text = self.rest + block
        cut = len(text)
        if block:  # the last word may go on in the next block
            cut = max(text.rfind(blank) for blank in (b" ", b"\n", b"\t", b"\r")) + 1
        self.rest = text[cut:]
        self.words = self.words[self.at :] + text[:cut].split()
        self.at = 0
        return True


def _wide(kind: str) -> str:
    return "f8" if kind[0] == "f" else kind


def _whole(values: np.ndarray, item: _Property) -> np.ndarray:
    """Numbers of an integer property, which must fit its type."""
    if item.type[0] != "f":
        limits = np.iinfo(item.type)
        if not ((values >= limits.min) & (values <= limits.max)).all():
            raise ValueError(f"numbers that are no {item.type} in {item.name!r}")
    return values


def _native(array: np.ndarray) -> np.ndarray:
    """In this machine's byte order."""
    swapped = array.dtype.byteorder == (">" if sys.byteorder == "little" else "<")
    return array.astype(array.dtype.newbyteorder("=")) if swapped else array
