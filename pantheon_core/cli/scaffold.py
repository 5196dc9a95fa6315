"""`pantheon360 scaffold`: only the rendered 3D cache, for any model."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._console import Bars, Verbs, refuse_overwrite
from ._walk import add_walk_arguments, make_trajectory, make_walk, report_walk, write_frames

__all__ = ["add"]


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser("scaffold", parents=[common], help="only the rendered 3D cache, for any model")
    add_walk_arguments(verb, frames=25, height=512)
    verb.add_argument("--mask-out", type=Path, metavar="MP4", help="video of the holes, white on black")
    verb.set_defaults(run=_run)


def _run(args: argparse.Namespace, bars: Bars) -> str:
    from ..apps import Stages

    refuse_overwrite(args, args.out, args.mask_out, args.cache_out)
    stages = Stages(progress=bars)
    walk = make_walk(args, stages, make_trajectory(args))
    write_frames(args, args.out, walk.scaffold.rgb, walk, stages)
    if args.mask_out:
        holes = ~walk.scaffold.coverage
        write_frames(args, args.mask_out, holes[:, None].expand(-1, 3, -1, -1).float(), walk, stages)
    return report_walk(walk, stages, args.out)
