"""A reader of PLY files: headers, ASCII and binary elements, lists."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MediaError

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


def read_ply(path: Path) -> Ply:
    """Read a whole file.

    Raises:
        MediaError: not there, not PLY, or damaged; says where.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(f"path: cannot read {path}: {error.strerror or error}") from error
    order, elements, comments, start = _header(data, path)
    body: _Body = _Ascii(data[start:], path) if order == "" else _Binary(data, start, order, path)
    return Ply(elements={element.name: body.read(element) for element in elements}, comments=comments)


def _header(data: bytes, path: Path) -> tuple[str, list[_Element], list[str], int]:
    """Byte order ("" for ASCII), elements, comments, where the body starts."""
    if data[:3] != b"ply":
        raise MediaError(f'path: {path} is not a PLY file: it does not start with "ply"')
    end = data.find(b"end_header", 0, _LONGEST_HEADER)
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
    def __init__(self, data: bytes, start: int, order: str, path: Path) -> None:
        self.data, self.at, self.order, self.path = data, start, order, path

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
        if self.at + size <= len(self.data):
            table = np.frombuffer(self.data, record, element.count, self.at)
        if any((table[f"n{i}"] != n).any() if table is not None else True for i, n in lengths.items()):
            return self._ragged(element)
        if table is None:
            raise self.short(element)
        self.at += size
        return {item.name: _native(table[f"v{i}"]) for i, item in enumerate(element.properties)}

    def _lengths(self, element: _Element) -> dict[int, int]:
        """Lengths of the first record's lists."""
        out: dict[int, int] = {}
        at = self.at
        for i, item in enumerate(element.properties):
            if item.count_type:
                n, at = self._number(at, item.count_type, element) if element.count else (0, at)
                out[i] = int(n)
                at += int(n) * np.dtype(item.type).itemsize
            else:
                at += np.dtype(item.type).itemsize
        return out

    def _number(self, at: int, kind: str, element: _Element) -> tuple[int, int]:
        end = at + np.dtype(kind).itemsize
        if end > len(self.data):
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
                if end > len(self.data):
                    raise self.short(element)
                value = _native(np.frombuffer(self.data, self.order + item.type, n, self.at))
                out[item.name].append(value if item.count_type else value[0])
                self.at = end
        return {i.name: out[i.name] if i.count_type else np.asarray(out[i.name]) for i in element.properties}


class _Ascii(_Body):
    def __init__(self, data: bytes, path: Path) -> None:
        self.words, self.at, self.path = data.split(), 0, path

    def read(self, element: _Element) -> dict[str, Any]:
        lists = any(item.count_type for item in element.properties)
        try:
            return self._lists(element) if lists else self._table(element)
        except (ValueError, OverflowError) as error:
            raise MediaError(f"path: {self.path} is damaged: {element.name} holds {error}") from error

    def _table(self, element: _Element) -> dict[str, Any]:
        width = len(element.properties)
        words = self.words[self.at : self.at + width * element.count]
        if len(words) < width * element.count:
            raise self.short(element)
        self.at += len(words)
        table = np.array(words, dtype=np.float64).reshape(element.count, width)
        return {item.name: table[:, i].astype(item.type) for i, item in enumerate(element.properties)}

    def _lists(self, element: _Element) -> dict[str, Any]:
        out: dict[str, list[Any]] = {item.name: [] for item in element.properties}
        for _ in range(element.count):
            for item in element.properties:
                n = 1
                if item.count_type:
                    n = int(self._take(1, element)[0])
                values = np.array(self._take(n, element), dtype=np.float64).astype(item.type)
                out[item.name].append(values if item.count_type else values[0])
        return {i.name: out[i.name] if i.count_type else np.asarray(out[i.name]) for i in element.properties}

    def _take(self, n: int, element: _Element) -> list[bytes]:
        words = self.words[self.at : self.at + n]
        if n < 0 or len(words) < n:
            raise self.short(element)
        self.at += n
        return words


def _native(array: np.ndarray) -> np.ndarray:
    """In this machine's byte order."""
    swapped = array.dtype.byteorder == (">" if sys.byteorder == "little" else "<")
    return array.astype(array.dtype.newbyteorder("=")) if swapped else array
