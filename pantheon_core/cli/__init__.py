"""The command `pantheon360`: one verb per task, one file per verb, thin over `pantheon_core.apps`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from .. import __version__
from ..errors import InputError, InterruptedByUser, MediaError, PantheonError
from . import cache, generate, import_scene, lora, poses, scaffold, shards, train, video_in
from ._console import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, bars, say

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_OK", "EXIT_USAGE", "VERBS", "main"]

VERBS = (generate, scaffold, cache, poses, video_in, import_scene, train, shards, lora)
"""The verbs in the order of the help; each module has `add(verbs, common)`, which makes its parser."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 when all went well, 1 when the work failed, 2 for wrong input, 130 when interrupted.
    """
    args = _parser().parse_args(argv)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(args.verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        with ExitStack() as stack:
            report = args.run(args, bars(stack, args.quiet))
        say(report)
    except (KeyboardInterrupt, InterruptedByUser):
        say("interrupted; nothing was left half written")
        return EXIT_INTERRUPTED
    except (InputError, MediaError) as error:
        say(f"error: {error}")
        return EXIT_USAGE
    except (PantheonError, OSError) as error:
        say(f"error: {error}")
        return EXIT_FAILED
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pantheon360", description="A 360° video along an exact camera path, from a 360° photograph."
    )
    parser.add_argument("--version", action="version", version=f"pantheon360 {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    common.add_argument("-v", "--verbose", action="count", default=0, help="log more; twice for everything")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        verb.add(verbs, common)
    return parser
