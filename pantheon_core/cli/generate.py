"""`pantheon360 generate`: photograph and path to a finished video."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from ._console import Bars, Verbs, refuse_overwrite
from ._long import add_long_arguments, generate_windows, window_size
from ._model import add_checkpoint_arguments, load_painter
from ._walk import add_walk_arguments, make_trajectory, make_walk, report_walk, write_frames

__all__ = ["add"]


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser("generate", parents=[common], help="photograph and path to a finished video")
    add_walk_arguments(verb, frames=None, height=None)
    _add_model_arguments(verb)
    add_long_arguments(verb)
    verb.set_defaults(run=_run)


def _run(args: argparse.Namespace, bars: Bars) -> str:
    from ..apps import Stages, contact_sheet, save_png
    from ..diffusion import HoldSettings, SamplerSettings, generate

    refuse_overwrite(args, args.out, args.scaffold_out, args.contact_sheet, args.cache_out)
    stages = Stages(progress=bars)
    with stages.run("model"):
        painter = load_painter(args)
    model = painter.model
    args.frames = model.config.frames if args.frames is None else args.frames
    args.height = model.config.height if args.height is None else args.height
    trajectory = make_trajectory(args)
    settings = SamplerSettings(
        steps=args.steps,
        guidance_min=args.guidance_min,
        guidance_max=args.guidance_max,
        guidance_shape=args.guidance_shape,
        sampler=args.sampler,
        schedule=args.schedule,
        fps=trajectory.fps,
        noise_aug=args.noise_aug,
        keep_scaffold=args.keep_scaffold,
        hold=None if args.hold is None else HoldSettings(strength=args.hold),
        autocast=not args.float32,
        seed=args.seed,
    )
    window = window_size(args, model, len(trajectory))
    if window is not None:
        if args.contact_sheet:
            raise InputError("--contact-sheet: not for a video in windows; look at the video itself")
        return generate_windows(args, painter, settings, stages, window=window)
    walk = make_walk(args, stages, trajectory)
    made = walk.scaffold
    with stages.run("paint") as progress:
        frames = generate(
            model,
            made.rgb,
            made.coverage,
            made.anchors,
            distance=made.distance,
            settings=settings,
            progress=progress,
        ).frames
    write_frames(args, args.out, frames, walk, stages, metadata=painter.metadata)
    if args.scaffold_out:
        write_frames(args, args.scaffold_out, walk.scaffold.rgb, walk, stages)
    if args.contact_sheet:
        save_png(contact_sheet({"scaffold": walk.scaffold.rgb, "video": frames}), args.contact_sheet)
    return f"{report_walk(walk, stages, args.out)}\n  painted by {painter.words}"


def _add_model_arguments(verb: argparse.ArgumentParser) -> None:
    model = verb.add_argument_group("model")
    add_checkpoint_arguments(model)
    model.add_argument("--steps", type=int, default=8, help="denoising steps; default %(default)s")
    model.add_argument(
        "--guidance-min", type=float, default=1.0, help="at the first frame; default %(default)s"
    )
    model.add_argument(
        "--guidance-max", type=float, default=1.0, help="at the last frame; default %(default)s"
    )
    model.add_argument(
        "--guidance-shape",
        choices=("linear", "triangle", "constant"),
        default="linear",
        help="triangle has the most in the middle; default %(default)s",
    )
    model.add_argument(
        "--sampler",
        choices=("euler", "heun", "dpmpp_2m", "dpmpp_2m_sde"),
        default="euler",
        help="default %(default)s",
    )
    model.add_argument(
        "--schedule",
        choices=("karras", "exponential", "align_your_steps"),
        default="karras",
        help="of the noise; default %(default)s",
    )
    model.add_argument(
        "--noise-aug", type=float, default=0.02, help="noise on the scaffold; default %(default)s"
    )
    model.add_argument(
        "--keep-scaffold",
        type=float,
        help="0 to 1, how far covered pixels stay the photograph's; default the model's own",
    )
    model.add_argument(
        "--hold",
        type=float,
        metavar="STRENGTH",
        help="0 to 1: how strongly covered parts are held to the scaffold while denoising; default 1 for "
        "models that never saw scaffolds (stock Stable Video Diffusion), else 0",
    )
    model.add_argument(
        "--float32",
        action="store_true",
        help="compute in full precision: slower, slightly different pictures",
    )
    model.add_argument("--seed", type=int, default=0, help="default %(default)s")
    verb.add_argument("--scaffold-out", type=Path, metavar="MP4", help="also write the scaffold video")
    verb.add_argument(
        "--contact-sheet", type=Path, metavar="PNG", help="also write frames of both in one picture"
    )
