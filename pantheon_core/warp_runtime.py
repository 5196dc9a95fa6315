"""NVIDIA Warp, imported on first use and kept quiet."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

from .errors import BackendUnavailableError

__all__ = ["load_warp", "quiet_warp", "warp_available"]

_NO_DRIVER = b"Warp CUDA warning: Could not find or load the NVIDIA CUDA driver"
_STDERR = 2
_starting = threading.Lock()


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
    with _starting:
        _start()
    return warp


@cache
def _start() -> None:
    """Warp's own initialisation, once in a process."""
    import warp

    with quiet_warp(warp), _without_driver_warning():
        warp.init()


@contextmanager
def _without_driver_warning() -> Iterator[None]:
    """Leave out the line about a missing NVIDIA driver, which is no fault where there is no such card.

    Warp's native code writes it straight to the process's stderr and has no switch for it. All else that is
    written there meanwhile comes out afterwards.
    """
    try:
        stderr = os.dup(_STDERR)
    except OSError:  # the process has no stderr, so nothing would be seen
        yield
        return
    try:
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), _STDERR)
            try:
                yield
            finally:
                os.dup2(stderr, _STDERR)
                held.seek(0)
                for line in held:
                    if not line.startswith(_NO_DRIVER):
                        os.write(_STDERR, line)
    finally:
        os.close(stderr)


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
