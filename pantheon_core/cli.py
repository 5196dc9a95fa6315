"""The command `pantheon360`: one verb per task, thin over `pantheon_core.apps`."""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from . import __version__
from .errors import InputError, InterruptedByUser, MediaError, PantheonError, Progress

if TYPE_CHECKING:
    from torch import Tensor

    from .apps import Stages, Walk
    from .recon import ReconBackend
    from .trajectory import Trajectory

__all__ = ["main"]

Bars: TypeAlias = Callable[[str], Progress | None]
"""A stage's name -> that stage's progress function."""

_PRESET_FPS = 7.0
EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


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
            report = args.run(args, _bars(stack, args.quiet))
        _say(report)
    except (KeyboardInterrupt, InterruptedByUser):
        _say("interrupted; nothing was left half written")
        return EXIT_INTERRUPTED
    except (InputError, MediaError) as error:
        _say(f"error: {error}")
        return EXIT_USAGE
    except PantheonError as error:
        _say(f"error: {error}")
        return EXIT_FAILED
    return EXIT_OK


def _say(text: str) -> None:
    sys.stderr.write(f"pantheon360: {text}\n")


def _bars(stack: ExitStack, quiet: bool) -> Bars:
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


# ---------------------------------------------------------------------------------------------- verbs


def _generate(args: argparse.Namespace, bars: Bars) -> str:
    from .apps import Stages, contact_sheet, save_png
    from .diffusion import SamplerSettings, generate, load_model

    _refuse_overwrite(args, args.out, args.scaffold_out, args.contact_sheet, args.cache_out)
    stages = Stages(progress=bars)
    with stages.run("model"):
        model = load_model(_model_path(args.model), device=args.device)
    args.frames = model.config.frames if args.frames is None else args.frames
    args.height = model.config.height if args.height is None else args.height
    walk = _walk(args, stages)
    settings = SamplerSettings(
        steps=args.steps,
        guidance_min=args.guidance_min,
        guidance_max=args.guidance_max,
        guidance_shape=args.guidance_shape,
        sampler=args.sampler,
        schedule=args.schedule,
        fps=walk.scaffold.trajectory.fps,
        noise_aug=args.noise_aug,
        keep_scaffold=args.keep_scaffold,
        autocast=not args.float32,
        seed=args.seed,
    )
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
    _write_video(args, args.out, frames, walk, stages)
    if args.scaffold_out:
        _write_video(args, args.scaffold_out, walk.scaffold.rgb, walk, stages)
    if args.contact_sheet:
        save_png(contact_sheet({"scaffold": walk.scaffold.rgb, "video": frames}), args.contact_sheet)
    return _report(walk, stages, args.out)


def _scaffold(args: argparse.Namespace, bars: Bars) -> str:
    from .apps import Stages

    _refuse_overwrite(args, args.out, args.mask_out, args.cache_out)
    stages = Stages(progress=bars)
    walk = _walk(args, stages)
    _write_video(args, args.out, walk.scaffold.rgb, walk, stages)
    if args.mask_out:
        holes = ~walk.scaffold.coverage
        _write_video(args, args.mask_out, holes[:, None].expand(-1, 3, -1, -1).float(), walk, stages)
    return _report(walk, stages, args.out)


def _train(args: argparse.Namespace, bars: Bars) -> str:
    from .training import train

    train(args.config, progress=bars("train"))
    return f"trained as {args.config} says"


# ------------------------------------------------------------------------------------------ the parts


def _refuse_overwrite(args: argparse.Namespace, *paths: Path | None) -> None:
    there = [str(path) for path in paths if path is not None and path.exists()]
    if there and not args.overwrite:
        raise InputError(f"{', '.join(there)}: already there; give another name or add --overwrite")


def _model_path(name: str) -> Path:
    from .assets import weights_path

    return weights_path("pantheon_tiny") if name == "tiny" else Path(name)


def _trajectory(args: argparse.Namespace) -> Trajectory:
    from .trajectory import PRESETS, interpolate, preset_path, read_trajectory

    if args.path in PRESETS:
        angle = None if args.angle_deg is None else math.radians(args.angle_deg)
        path = preset_path(
            args.path,
            frames=args.frames,
            fps=_PRESET_FPS if args.fps is None else args.fps,
            distance=args.distance,
            angle=angle,
            radius=args.radius,
            easing="ease_in_out",
        )
        return interpolate(path)
    file = Path(args.path)
    if not file.exists():
        raise InputError(
            f"--path: expected a file with a camera path or one of {', '.join(PRESETS)}; got {args.path!r}, "
            "which is neither"
        )
    return read_trajectory(
        file, format=args.path_format, fps=args.fps, rebase=args.path_rebase, scale=args.path_scale
    )


def _backend(args: argparse.Namespace) -> ReconBackend:
    from .recon import get_backend

    if args.depth is None:
        options = {"weights": args.weights, "download": args.download} if args.backend != "tiny" else {}
        return get_backend(args.backend, **options)
    return get_backend("given", depth=args.depth, kind=args.depth_kind, scale=args.depth_scale)


def _walk(args: argparse.Namespace, stages: Stages) -> Walk:
    from .apps import walk_scaffold
    from .cache import save_ply
    from .panorama import load_panorama
    from .recon import ReconSettings

    with stages.run("photo"):
        panorama = load_panorama(
            args.photo,
            height=args.source_height,
            roll=math.radians(args.roll_deg),
            pitch=math.radians(args.pitch_deg),
            yaw=math.radians(args.yaw_deg),
        )
    walk = walk_scaffold(
        panorama,
        _trajectory(args),
        _backend(args),
        height=args.height,
        settings=ReconSettings(confidence_threshold=args.confidence),
        stages=stages,
    )
    if args.cache_out:
        save_ply(walk.cache, args.cache_out)
    return walk


def _write_video(args: argparse.Namespace, path: Path, frames: Tensor, walk: Walk, stages: Stages) -> None:
    from .video import write_video

    with stages.run(path.name) as progress:
        write_video(
            path, frames, fps=walk.scaffold.trajectory.fps, codec=args.codec, crf=args.crf, progress=progress
        )


def _report(walk: Walk, stages: Stages, out: Path) -> str:
    holes = 100 * (1 - float(walk.scaffold.coverage.float().mean()))
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.seconds.items())
    lines = [f"wrote {out}; {len(walk.scaffold.rgb)} frames, {holes:.1f} % holes in the scaffold ({times})"]
    if walk.clearance.warning:
        lines.append(walk.clearance.warning)
    return "\n  ".join(lines)


# ---------------------------------------------------------------------------------------------- parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pantheon360", description="A 360° video along an exact camera path, from a 360° photograph."
    )
    parser.add_argument("--version", action="version", version=f"pantheon360 {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    common.add_argument("-v", "--verbose", action="count", default=0, help="log more; twice for everything")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    generate = verbs.add_parser("generate", parents=[common], help="photograph and path to a finished video")
    _add_walk_arguments(generate, frames=None, height=None)
    _add_model_arguments(generate)
    generate.set_defaults(run=_generate)

    scaffold = verbs.add_parser(
        "scaffold", parents=[common], help="only the rendered 3D cache, for any model"
    )
    _add_walk_arguments(scaffold, frames=25, height=512)
    scaffold.add_argument("--mask-out", type=Path, metavar="MP4", help="video of the holes, white on black")
    scaffold.set_defaults(run=_scaffold)

    train = verbs.add_parser("train", parents=[common], help="train a model as a TOML file says; resumes")
    train.add_argument("config", type=Path, metavar="CONFIG.toml")
    train.set_defaults(run=_train)
    return parser


def _add_walk_arguments(verb: argparse.ArgumentParser, *, frames: int | None, height: int | None) -> None:
    own = "the model's own" if frames is None else "%(default)s"
    verb.add_argument(
        "photo", type=Path, help="a 360° photograph, twice as wide as high (JPEG, PNG, TIFF, EXR...)"
    )
    verb.add_argument("--out", type=Path, required=True, metavar="MP4", help="the video to write")
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there")
    path = verb.add_argument_group("path")
    path.add_argument(
        "--path",
        default="forward",
        help="forward, back, left, right, up, forward_turn, orbit, arc, spiral, look_around, or a "
        "file: our JSON, nerfstudio, COLMAP, TUM, RealEstate10K, GEN3C, Matrix-3D, ViPE, NPY, glTF; "
        "default %(default)s",
    )
    path.add_argument("--path-format", help="of the file, where its name and content do not say it")
    path.add_argument(
        "--path-scale", type=float, default=1.0, help="metres per unit of the file; default %(default)s"
    )
    path.add_argument(
        "--path-rebase", action="store_true", help="start the file's path at the photograph, looking ahead"
    )
    path.add_argument("--distance", type=float, default=0.6, help="metres; default %(default)s")
    path.add_argument("--angle-deg", type=float, help="for presets that turn; default the preset's own")
    path.add_argument(
        "--radius", type=float, default=0.5, help="metres, for orbit, arc, spiral; default %(default)s"
    )
    path.add_argument("--frames", type=int, default=frames, help=f"of a preset; default {own}")
    path.add_argument(
        "--fps",
        type=float,
        help=f"default {_PRESET_FPS:g} for a preset, else the file's own; one without needs it",
    )
    size = verb.add_argument_group("picture")
    size.add_argument(
        "--height", type=int, default=height, help=f"of the video, width is twice that; default {own}"
    )
    size.add_argument("--source-height", type=int, help="resize the photograph first; default its own height")
    for angle in ("roll", "pitch", "yaw"):
        size.add_argument(
            f"--{angle}-deg", type=float, default=0.0, help=f"level or turn the photograph: {angle}"
        )
    size.add_argument("--codec", choices=("h264", "h265", "av1"), default="h264", help="default %(default)s")
    size.add_argument("--crf", type=int, default=18, help="quality, lower is better; default %(default)s")
    cache = verb.add_argument_group("3D cache")
    cache.add_argument("--backend", default="tiny", help="what estimates the distance; default %(default)s")
    cache.add_argument("--weights", type=Path, help="folder with the files of that depth network")
    cache.add_argument("--download", action="store_true", help="allow its download from Hugging Face")
    cache.add_argument("--depth", type=Path, help="a depth image (16-bit PNG, EXR, NPY) instead of a backend")
    cache.add_argument("--depth-kind", choices=("distance", "z_depth", "inverse"), default="distance")
    cache.add_argument("--depth-scale", type=float, default=1.0, help="metres per unit; default %(default)s")
    cache.add_argument(
        "--confidence", type=float, default=0.25, help="leave out points below; default %(default)s"
    )
    cache.add_argument(
        "--cache-out", type=Path, metavar="PLY", help="write the cache as a point cloud with faces"
    )


def _add_model_arguments(verb: argparse.ArgumentParser) -> None:
    model = verb.add_argument_group("model")
    model.add_argument(
        "--model",
        default="tiny",
        help="tiny (bundled), a .safetensors file (also svd.safetensors, svd_xt.safetensors) or a diffusers "
        "folder; default %(default)s",
    )
    model.add_argument("--device", default="cpu", help="cpu, cuda, mps; default %(default)s")
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
        "--float32",
        action="store_true",
        help="compute in full precision: slower, slightly different pictures",
    )
    model.add_argument("--seed", type=int, default=0, help="default %(default)s")
    verb.add_argument("--scaffold-out", type=Path, metavar="MP4", help="also write the scaffold video")
    verb.add_argument(
        "--contact-sheet", type=Path, metavar="PNG", help="also write frames of both in one picture"
    )


if __name__ == "__main__":
    sys.exit(main())
