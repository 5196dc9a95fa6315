"""The container of glTF 2.0: JSON, buffers and accessors.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, sections 3.6 and 4.4.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ._files import parse_json, read_bytes

_MAGIC, _JSON, _BIN = b"glTF", b"JSON", b"BIN\0"
_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5126: "<f4"}
_SIZES = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def objects(place: str, data: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """A list of objects in a field; empty where there is none."""
    found = data.get(field, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise InputError(f"{place}: expected a list of objects, got {found!r:.60}")
    return found


class Gltf:
    """A glTF file: its JSON, and the numbers of its accessors."""

    def __init__(self, path: Path) -> None:
        content = read_bytes(path)
        self._folder = path.parent
        self._binary: bytes | None = None
        if content[:4] == _MAGIC:
            content, self._binary = _chunks(content)
        try:
            self.data = parse_json(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise InputError("expected glTF JSON in UTF-8, got other bytes") from error
        if not isinstance(self.data, dict):
            raise InputError(f"expected a glTF object, got {type(self.data).__name__}")
        self._buffers: dict[int, bytes] = {}

    def items(self, name: str) -> list[dict[str, Any]]:
        """A list of the file's objects; empty where there is none."""
        return objects(name, self.data, name)

    def item(self, name: str, index: Any) -> dict[str, Any]:
        """One of the file's objects."""
        found = self.items(name)
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(found):
            raise InputError(f"{name}[{index}]: expected one of the file's {len(found)} {name}")
        return found[index]

    def accessor(self, index: Any) -> Tensor:
        """The numbers of an accessor, (n,) or (n, components) float64."""
        place = f"accessors[{index}]"
        accessor = self.item("accessors", index)
        code, kind = accessor.get("componentType"), accessor.get("type")
        if code not in _TYPES or kind not in _SIZES or "sparse" in accessor or "bufferView" not in accessor:
            raise InputError(f"{place}: expected plain numbers for an animation, got {kind} of type {code}")
        view = self.item("bufferViews", accessor["bufferView"])
        dtype, size = np.dtype(_TYPES[code]), _SIZES[kind]
        try:
            table = np.ndarray(
                (accessor["count"], size),
                dtype,
                buffer=self._view(view),
                offset=accessor.get("byteOffset", 0),
                strides=(view.get("byteStride", dtype.itemsize * size), dtype.itemsize),
            ).astype(np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{place}: its numbers are not all in the buffer ({error})") from error
        if dtype.kind != "f":
            if not accessor.get("normalized"):
                raise InputError(f"{place}: expected float or normalised numbers, got whole ones")
            table = np.maximum(table / np.iinfo(dtype).max, -1.0)
        numbers = torch.from_numpy(table)
        if not bool(numbers.isfinite().all()):
            raise InputError(f"{place}: expected finite numbers, got NaN or infinity")
        return numbers[:, 0] if size == 1 else numbers

    def _view(self, view: dict[str, Any]) -> bytes:
        buffer = self._buffer(view.get("buffer"))
        start = view.get("byteOffset", 0)
        return buffer[start : start + view["byteLength"]]

    def _buffer(self, index: Any) -> bytes:
        if index not in self._buffers:
            self._buffers[index] = self._load(f"buffers[{index}]", self.item("buffers", index).get("uri"))
        return self._buffers[index]

    def _load(self, place: str, uri: object) -> bytes:
        if uri is None:
            if self._binary is None:
                raise InputError(f"{place}: expected a uri, got none; only GLB files hold a buffer inside")
            return self._binary
        if not isinstance(uri, str):
            raise InputError(f"{place}.uri: expected text, got {uri!r:.40}")
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition(",")[2], validate=True)
            except binascii.Error as error:
                raise InputError(f"{place}.uri: expected base64 data ({error})") from error
        file = (self._folder / urllib.parse.unquote(uri)).resolve()
        if not file.is_relative_to(self._folder.resolve()):
            raise InputError(f"{place}.uri: expected a file beside the glTF file, got {uri!r:.80}")
        return read_bytes(file)


def _chunks(content: bytes) -> tuple[bytes, bytes | None]:
    """The JSON and the binary chunk of a GLB file."""
    if len(content) < 20 or struct.unpack_from("<I", content, 4)[0] != 2:
        raise InputError("expected a GLB file of version 2, got another or a broken one")
    found: dict[bytes, bytes] = {}
    start = 12
    while start + 8 <= len(content):
        (length,) = struct.unpack_from("<I", content, start)
        body = content[start + 8 : start + 8 + length]
        if len(body) != length:
            raise InputError(f"expected a chunk of {length} bytes at byte {start}, got {len(body)}")
        found.setdefault(content[start + 4 : start + 8], body)
        start += 8 + length
    if _JSON not in found:
        raise InputError("expected a JSON chunk in the GLB file, got none")
    return found[_JSON], found.get(_BIN)


def glb_bytes(data: dict[str, Any], binary: bytes) -> bytes:
    """A GLB file of a JSON object whose buffer 0 is `binary`."""
    text = json.dumps(data, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    head = struct.pack("<4sII", _MAGIC, 2, total)
    return (
        head + struct.pack("<I4s", len(text), _JSON) + text + struct.pack("<I4s", len(binary), _BIN) + binary
    )


def gltf_bytes(data: dict[str, Any], binary: bytes) -> bytes:
    """A glTF file with its buffer 0 inside as base64."""
    uri = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    data = {**data, "buffers": [{**data["buffers"][0], "uri": uri}]}
    return (json.dumps(data, allow_nan=False) + "\n").encode()
