"""`pantheon360 train`: train a model as a TOML file says."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._console import Bars, Verbs

__all__ = ["add"]


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser("train", parents=[common], help="train a model as a TOML file says; resumes")
    verb.add_argument("config", type=Path, metavar="CONFIG.toml")
    verb.set_defaults(run=_run)


def _run(args: argparse.Namespace, bars: Bars) -> str:
    from ..training import train

    train(args.config, progress=bars("train"))
    return f"trained as {args.config} says"
