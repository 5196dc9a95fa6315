"""Reading files into numbers, with messages that name the line or the entry; and numbers into text."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, MediaError

_LARGEST_ARRAY = 1 << 28  # bytes unpacked: a small file may hold a very large one


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        MediaError: it cannot be read.
        InputError: it is empty.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot be read ({error.strerror})") from error
    if not content.strip():
        raise InputError("expected a camera path, got an empty file")
    return content


def read_text(path: Path) -> str:
    """The text of a UTF-8 file."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"expected a text file, got byte {error.object[error.start]:#x}") from error


def read_json(path: Path) -> Any:
    """The data of a JSON file with finite numbers."""
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """The data of a JSON text with finite numbers."""

    def refuse(name: str) -> NoReturn:
        raise InputError(f"expected finite numbers, got {name}")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise InputError(f"line {error.lineno}, column {error.colno}: expected JSON ({error.msg})") from error
    except RecursionError as error:
        raise InputError("expected JSON, got brackets within brackets without end") from error


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file by name; those that would need pickle are left out."""
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
            for entry in archive.infolist():
                name = entry.filename
                if name.endswith(".npy"):
                    if entry.file_size > _LARGEST_ARRAY:
                        raise InputError(
                            f"expected arrays of camera poses, got {name} of {entry.file_size:,} bytes"
                        )
                    try:
                        arrays[name[:-4]] = parse_npy(archive.read(entry))
                    except InputError:
                        continue
    # RuntimeError: under a password; NotImplementedError: packed in a way that Python does not know
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise InputError("expected an NPZ file, got something else") from error
    return arrays


def parse_npy(content: bytes) -> np.ndarray:
    """The array of an NPY file's content."""
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"expected an array of numbers in NPY form ({error})") from error


def npz_bytes(**arrays: np.ndarray) -> bytes:
    """The content of an NPZ file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def data_lines(text: str) -> list[tuple[int, str]]:
    """Lines with content that are no `#` comments, with their numbers from 1."""
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def floats(place: str, tokens: Sequence[str]) -> list[float]:
    """Finite numbers of the words of a line."""
    values = []
    for token in tokens:
        try:
            value = float(token)
        except ValueError:
            raise InputError(f"{place}: expected a number, got {token!r:.40}") from None
        if not math.isfinite(value):
            raise InputError(f"{place}: expected finite numbers, got {token}")
        values.append(value)
    return values


def entry(place: str, data: Any, field: str) -> Any:
    """A field of a JSON object."""
    if not isinstance(data, dict):
        raise InputError(f"{place}: expected an object in braces, got {type(data).__name__}")
    if field not in data:
        raise InputError(f"{place}: expected the field {field!r}, got {', '.join(map(str, data)) or 'none'}")
    return data[field]


def entries(place: str, data: Any) -> list[Any]:
    """A JSON list with at least one item."""
    if not isinstance(data, list):
        raise InputError(f"{place}: expected a list, got {type(data).__name__}")
    if not data:
        raise InputError(f"{place}: expected at least one entry, got none")
    return data


def numbers(place: str, value: Any, count: int) -> list[float]:
    """A JSON list of `count` numbers."""
    if not isinstance(value, list) or len(value) != count:
        raise InputError(f"{place}: expected a list of {count} numbers, got {value!r:.60}")
    return [number(f"{place}[{i}]", item) for i, item in enumerate(value)]


def number(place: str, value: Any) -> float:
    """A finite JSON number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise InputError(f"{place}: expected a number, got {value!r:.40}")
    return float(value)


def matrix(place: str, value: Any) -> list[list[float]]:
    """A 4x4 matrix from JSON: four or three rows of four, or 16 or 12 numbers row by row."""
    rows = value
    if isinstance(value, list) and len(value) in (12, 16) and not isinstance(value[0], list):
        rows = [value[i : i + 4] for i in range(0, len(value), 4)]
    if not isinstance(rows, list) or len(rows) not in (3, 4):
        raise InputError(f"{place}: expected a 4x4 matrix, got {value!r:.60}")
    read = [numbers(f"{place}[{i}]", row, 4) for i, row in enumerate(rows)]
    return read if len(read) == 4 else [*read, [0.0, 0.0, 0.0, 1.0]]


def stack_of_matrices(name: str, array: np.ndarray) -> Tensor:
    """(T, 4, 4) float64 from an array (T, 4, 4) or (T, 3, 4) of numbers."""
    if array.dtype.kind not in "fiu" or array.ndim != 3 or array.shape[1:] not in ((4, 4), (3, 4)):
        raise InputError(
            f"{name}: expected numbers of shape (T, 4, 4), got {array.dtype} of shape {array.shape}"
        )
    T = torch.from_numpy(array.astype(np.float64))
    if array.shape[1] == 4:
        return T
    return torch.cat((T, T.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(T), 1, 4)), dim=1)


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key in which frame_10 comes after frame_2."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def short(value: float) -> float:
    """A number that keeps a float32 with the fewest digits."""
    return float(f"{value:.9g}") + 0.0


def nested(T: Tensor) -> Any:
    """A tensor as lists of short numbers."""
    if T.ndim == 0:
        return short(float(T))
    return [nested(part) for part in T]


def line(values: Iterable[float]) -> str:
    """Numbers with blanks between, as text."""
    return " ".join(f"{value + 0.0:.9g}" for value in values)


def json_bytes(data: Any) -> bytes:
    """The content of a JSON file."""
    return (json.dumps(data, allow_nan=False) + "\n").encode()
