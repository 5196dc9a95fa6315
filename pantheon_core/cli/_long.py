"""`pantheon360 generate` along a path that is longer than a model can paint at once."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ._walk import make_backend, make_trajectory, read_photo

if TYPE_CHECKING:
    from torch import Tensor

    from ..apps import Stages
    from ..cache import PointCache
    from ..diffusion import PantheonModel, SamplerSettings
    from ..trajectory import Trajectory
    from ._model import Painter

__all__ = ["add_long_arguments", "generate_windows", "window_size"]

_AT_ONCE = 25
"""So many frames are painted in one go even by a model that was trained with fewer."""


def add_long_arguments(verb: argparse.ArgumentParser) -> None:
    """Windows; see `window_size`."""
    long = verb.add_argument_group(
        "long videos",
        "A long path is painted in windows that go on from one another. Each finished window is on disk: the "
        "same command goes on where a stopped or killed one was.",
    )
    long.add_argument(
        "--window",
        type=int,
        help=f"frames painted at once; default all of them up to {_AT_ONCE}, else the model's own number",
    )
    long.add_argument("--overlap", type=int, default=2, help="frames that windows share; default %(default)s")
    long.add_argument(
        "--work", type=Path, metavar="FOLDER", help="for the finished windows; default beside the video"
    )
    long.add_argument("--keep-windows", action="store_true", help="do not delete them in the end")


def window_size(args: argparse.Namespace, model: PantheonModel, frames: int) -> int | None:
    """Frames of a window, or None where the path is painted at once."""
    if args.window is not None:
        return args.window if args.window < frames else None
    return model.config.frames if frames > max(_AT_ONCE, model.config.frames) else None


def generate_windows(
    args: argparse.Namespace, painter: Painter, settings: SamplerSettings, stages: Stages, *, window: int
) -> str:
    """Paint window by window, then write the video; returns the report."""
    from ..apps import MINIMUM_CLEARANCE, Anchor, panorama_cache
    from ..apps.long import LongSettings, generate_long
    from ..cache import save_ply
    from ..recon import ReconSettings
    from ..trajectory import clearance
    from ..video import write_video

    if args.photo.suffix.lower() == ".ply":
        raise InputError(f"--window: expected a photograph, got the finished 3D cache {args.photo}")
    with stages.run("photo"):
        panorama = read_photo(args, args.photo)
    with stages.run("cache") as progress:
        recon = ReconSettings(confidence_threshold=args.confidence)
        cache = panorama_cache(panorama, make_backend(args), settings=recon, progress=progress)
    if args.cache_out:
        save_ply(cache, args.cache_out)
    trajectory = make_trajectory(args)
    with stages.run("path"):
        near = clearance(trajectory, cache.points, minimum=MINIMUM_CLEARANCE)
    work = args.work or args.out.with_name(args.out.stem + "_windows")
    with stages.run("paint") as progress:
        made = generate_long(
            painter.model,
            cache,
            trajectory,
            [Anchor.at_origin(panorama.rgb, panorama.valid)],
            work,
            settings=LongSettings(height=args.height, window=window, overlap=args.overlap, sampler=settings),
            progress=progress,
        )
    encode = {"fps": trajectory.fps, "codec": args.codec, "crf": args.crf, "total": len(trajectory)}
    with stages.run(args.out.name) as progress:
        write_video(args.out, made.frames(), metadata=painter.metadata, progress=progress, **encode)
    if args.scaffold_out:
        with stages.run(args.scaffold_out.name) as progress:
            frames = _scaffold_frames(cache, trajectory, args.height)
            write_video(args.scaffold_out, frames, progress=progress, **encode)
    if not args.keep_windows:
        made.store.remove()
    holes = 100 * (1 - float(made.coverage.mean()))
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.seconds.items())
    lines = [
        f"wrote {args.out}; {len(trajectory)} frames in {len(made.store.windows)} windows, {holes:.1f} % "
        f"holes in the scaffold ({times})"
    ]
    if near.warning:
        lines.append(near.warning)
    lines.append(f"painted by {painter.words}")
    return "\n  ".join(lines)


def _scaffold_frames(cache: PointCache, trajectory: Trajectory, height: int) -> Iterator[Tensor]:
    from ..render import render_path

    return (frame.rgb for frame in render_path(cache, trajectory.T_world_cam, height))
