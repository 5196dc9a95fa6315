"""NVIDIA Warp, imported on first use and kept quiet."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from .errors import BackendUnavailableError

__all__ = ["load_warp", "quiet_warp", "warp_available"]

OLDEST = (1, 10)
"""Older ones lack `wp.cast`."""

_log = logging.getLogger(__name__)
_NO_DRIVER = b"Warp CUDA warning: Could not find or load the NVIDIA CUDA driver"
_STDERR = 2
_starting = threading.Lock()


def warp_available() -> bool:
    """True when warp-lang is installed, in a version that knows what the kernels use."""
    if find_spec("warp") is None:
        return False
    found = _installed_version()
    if found < OLDEST:
        _log.info(
            "warp-lang %s is too old; version %s or newer is faster than plain torch",
            *map(_dotted, (found, OLDEST)),
        )
    return found >= OLDEST


@cache
def _installed_version() -> tuple[int, ...]:
    """Leading numbers of warp-lang's version; none where it does not say."""
    try:
        parts = version("warp-lang").split(".")[:2]
    except PackageNotFoundError:
        return ()
    return tuple(int(part) for part in parts if part.isdigit())


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def load_warp() -> Any:
    """The module `warp`, initialised.

    Raises:
        BackendUnavailableError: it is not installed or cannot start.
    """
    try:
        import warp
    except ImportError as error:
        raise BackendUnavailableError(
            'backend "warp" needs the package warp-lang: pip install "warp-lang>=1.10", or choose '
            'backend="torch"'
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
