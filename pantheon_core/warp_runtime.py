"""NVIDIA Warp, imported on first use and kept quiet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from .errors import BackendUnavailableError

__all__ = ["load_warp", "quiet_warp", "warp_available"]


def warp_available() -> bool:
    """True when warp-lang is installed."""
    return find_spec("warp") is not None


def load_warp() -> Any:
    """The module `warp`, initialised.

    Raises:
        BackendUnavailableError: it is not installed or cannot start.
    """
    try:
        import warp
    except ImportError as error:
        raise BackendUnavailableError(
            'backend "warp" needs the package warp-lang: pip install warp-lang, or choose backend="torch"'
        ) from error
    with quiet_warp(warp):
        warp.init()
    return warp


@contextmanager
def quiet_warp(wp: Any) -> Iterator[None]:
    """Hold back Warp's greeting and compile messages, and put its own level back afterwards."""
    name, value = ("log_level", wp.LOG_ERROR) if hasattr(wp.config, "log_level") else ("quiet", True)
    before = getattr(wp.config, name)
    setattr(wp.config, name, value)
    try:
        yield
    finally:
        setattr(wp.config, name, before)
