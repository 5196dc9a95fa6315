"""Settings out of a TOML file: names and types are checked, and what is wrong is said in one sentence."""

from __future__ import annotations

import importlib
import types
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import BackendUnavailableError, InputError

__all__ = ["check_values", "from_table", "read_toml"]

_T = TypeVar("_T")
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table"}


def check_values(table: str, settings: Any, rules: Iterable[tuple[str, str, bool]]) -> None:
    """Raise on the first rule (key, what is expected, whether it holds) that does not hold.

    Raises:
        InputError: names the key, what it should be and what it is.
    """
    for name, expected, fine in rules:
        if not fine:
            key = f"{table}.{name}" if table else name
            raise InputError(f"config: {key}: expected {expected}, got {getattr(settings, name)!r}")


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a file.

    Raises:
        InputError: no such file, or not TOML.
        BackendUnavailableError: Python 3.10, which has no TOML reader.
    """
    try:
        tomllib = importlib.import_module("tomllib")
    except ModuleNotFoundError as error:
        raise BackendUnavailableError("training settings in TOML need Python 3.11 or newer") from error
    if not path.is_file():
        raise InputError(f"config: no such file {path}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"config: {path} is not valid TOML: {error}") from error


def from_table(kind: type[_T], table: dict[str, Any], where: str) -> _T:
    """Build a settings dataclass from a table.

    Args:
        kind: the dataclass; its fields may be dataclasses, which are tables in turn.
        table: keys and values.
        where: for messages: the file and the table's name.

    Raises:
        InputError: an unknown key, a value of another type, or one that the dataclass refuses.
    """
    hints = get_type_hints(kind)
    known = {field.name for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise InputError(f"config {where}: unknown key {key!r}; known: {', '.join(sorted(known))}")
        values[key] = _convert(hints[key], value, f"{where}: {key}")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        if not isinstance(value, dict):
            raise InputError(f"config {where}: expected a table, got {value!r}")
        return from_table(hint, value, where)
    if origin is Literal:
        if value not in parts:
            raise InputError(f"config {where}: expected one of {', '.join(parts)}, got {value!r}")
        return value
    if origin in (Union, types.UnionType):
        return _convert(next(part for part in parts if part is not type(None)), value, where)
    if origin is tuple:
        return _convert_list(parts, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted: Any = dict if origin is dict else hint
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise InputError(f"config {where}: expected {_WORDS.get(wanted, wanted.__name__)}, got {value!r}")
    return value


def _convert_list(parts: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    free = len(parts) == 2 and parts[1] is Ellipsis
    if not isinstance(value, (list, tuple)) or not (free or len(value) == len(parts)):
        expected = "a list" if free else f"a list of {len(parts)} values"
        raise InputError(f"config {where}: expected {expected}, got {value!r}")
    return tuple(_convert(parts[0] if free else parts[i], item, where) for i, item in enumerate(value))
