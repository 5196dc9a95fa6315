"""The one tree of exceptions. A message says the argument, what was expected, what came and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = [
    "BackendUnavailableError",
    "ConventionError",
    "InputError",
    "InterruptedByUser",
    "MediaError",
    "MemoryBudgetError",
    "PantheonError",
    "Progress",
    "ShapeError",
]

Progress: TypeAlias = Callable[[int, int], None]
"""`progress(done, total)`, called from long loops; it may raise `InterruptedByUser` to stop them."""


class PantheonError(Exception):
    """Base of everything this package raises on purpose."""


class InputError(PantheonError, ValueError):
    """A value is outside what the function accepts."""


class ShapeError(InputError):
    """A tensor has the wrong shape."""


class ConventionError(InputError):
    """A value breaks a convention of docs/conventions.md, e.g. an ERP that is not 2:1."""


class BackendUnavailableError(PantheonError, ImportError):
    """An optional package, a device or a weight file is missing."""


class MemoryBudgetError(PantheonError, RuntimeError):
    """The work does not fit in the memory that is there."""


class MediaError(PantheonError, OSError):
    """A photograph or video cannot be read or written."""


class InterruptedByUser(PantheonError):
    """The caller's progress function asked to stop."""
