"""`pantheon360 shards`: pack a folder of training clips into tar files."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._console import Bars, Verbs

__all__ = ["add"]

_MEGABYTE = 1 << 20


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser(
        "shards", parents=[common], help="pack a folder of training clips into tar shards (docs/training.md)"
    )
    verb.add_argument("folder", type=Path, help="of clips: NAME.poses.npy, NAME.points.npz, NAME.mp4, ...")
    verb.add_argument("target", type=Path, help="folder for the shards")
    verb.add_argument("--prefix", default="clips", help="of the shards' names; default %(default)s")
    verb.add_argument(
        "--megabytes", type=int, default=1024, help="a shard is closed at this size; default %(default)s"
    )
    verb.set_defaults(run=_run)


def _run(args: argparse.Namespace, bars: Bars) -> str:
    from ..training.clip_store import pack_shards

    shards = pack_shards(
        args.folder,
        args.target,
        prefix=args.prefix,
        max_bytes=args.megabytes * _MEGABYTE,
        progress=bars("clips"),
    )
    return f"wrote {len(shards)} shards to {args.target}"
