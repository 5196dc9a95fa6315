"""What a verb says and how it shows progress."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import InputError, Progress

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_USAGE",
    "Bars",
    "Verbs",
    "bars",
    "refuse_overwrite",
    "say",
]

Bars: TypeAlias = Callable[[str], Progress | None]
"""A stage's name -> that stage's progress function."""

Verbs: TypeAlias = "argparse._SubParsersAction[Any]"
"""What a verb adds its parser to."""

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    sys.stderr.write(f"pantheon360: {text}\n")


def bars(stack: ExitStack, quiet: bool) -> Bars:
    """A function that gives each stage its progress function; a bar opens at a stage's first sign of life."""
    if quiet:
        return lambda name: None
    from tqdm import tqdm

    def start(name: str) -> Progress:
        open_bar = cache(lambda: stack.enter_context(tqdm(desc=f"{name:>14}", file=sys.stderr)))

        def update(done: int, total: int) -> None:
            bar = open_bar()
            bar.total = total
            bar.update(done - bar.n)
            if done >= total:
                bar.close()

        return update

    return start


def refuse_overwrite(args: argparse.Namespace, *paths: Path | None) -> None:
    """Files that are there stay unless `--overwrite` was given.

    Raises:
        InputError: some are there.
    """
    there = [str(path) for path in paths if path is not None and path.exists()]
    if there and not args.overwrite:
        raise InputError(f"{', '.join(there)}: already there; give another name or add --overwrite")
