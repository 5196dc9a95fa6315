"""`pantheon360 train`: train a model as a TOML file says."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._console import Bars, Verbs

__all__ = ["add"]


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser(
        "train",
        parents=[common],
        help="train a model as a TOML file says; resumes",
        description="Started again with the same file it goes on where it stopped. docs/training.md explains "
        "every key. Several processes: accelerate launch -m pantheon_core.cli train CONFIG.toml",
    )
    verb.add_argument("config", type=Path, metavar="CONFIG.toml")
    verb.add_argument("--check", action="store_true", help="only read the file and say what is wrong in it")
    verb.set_defaults(run=_run)


def _run(args: argparse.Namespace, bars: Bars) -> str:
    from ..training import load_config, train

    config = load_config(args.config)
    if args.check:
        return f'{args.config} is a valid run of the stage "{config.stage}" into {config.output}'
    result = train(config, progress=bars("train"))
    state = "finished" if result.finished else "stopped, start it again to go on"
    return f"{args.config}: {state} at step {result.step}; results are in {config.output}"
