"""From photograph and path to the scaffold: the arguments that verbs share, and what they ask for."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from ..apps import Stages, Walk
    from ..panorama import Panorama
    from ..recon import ReconBackend
    from ..trajectory import Trajectory

__all__ = [
    "PHOTO_HELP",
    "add_depth_arguments",
    "add_path_arguments",
    "add_photo_arguments",
    "add_walk_arguments",
    "make_backend",
    "make_trajectory",
    "make_walk",
    "read_photo",
    "report_walk",
    "write_frames",
]

PHOTO_HELP = "a 360° photograph, twice as wide as high (JPEG, PNG, TIFF, EXR...)"
_PRESET_FPS = 7.0


def make_trajectory(args: argparse.Namespace) -> Trajectory:
    """The path that `--path` names: a preset or a file."""
    from ..trajectory import PRESETS, interpolate, preset_path, read_trajectory

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


def make_backend(args: argparse.Namespace) -> ReconBackend:
    """What estimates the distance: a backend, or the depth image that was given."""
    from ..recon import get_backend

    if args.depth is None:
        options = {"weights": args.weights, "download": args.download} if args.backend != "tiny" else {}
        return get_backend(args.backend, **options)
    return get_backend("given", depth=args.depth, kind=args.depth_kind, scale=args.depth_scale)


def read_photo(args: argparse.Namespace, file: Path) -> Panorama:
    """A photograph, resized and levelled as the arguments say."""
    from ..panorama import load_panorama

    return load_panorama(
        file,
        height=args.source_height,
        roll=math.radians(args.roll_deg),
        pitch=math.radians(args.pitch_deg),
        yaw=math.radians(args.yaw_deg),
    )


def make_walk(args: argparse.Namespace, stages: Stages, trajectory: Trajectory) -> Walk:
    """Photograph or finished cache, and scaffold; writes the cache where `--cache-out` says so."""
    from ..apps import walk_cache, walk_scaffold
    from ..cache import load_ply, save_ply
    from ..recon import ReconSettings

    if args.photo.suffix.lower() == ".ply":
        if args.depth or args.weights or args.cache_out:
            raise InputError(
                f"{args.photo} is a finished 3D cache: --depth, --weights and --cache-out are for photographs"
            )
        with stages.run("cache"):
            cache = load_ply(args.photo)
        return walk_cache(cache, trajectory, height=args.height, stages=stages)
    with stages.run("photo"):
        panorama = read_photo(args, args.photo)
    walk = walk_scaffold(
        panorama,
        trajectory,
        make_backend(args),
        height=args.height,
        settings=ReconSettings(confidence_threshold=args.confidence),
        stages=stages,
    )
    if args.cache_out:
        save_ply(walk.cache, args.cache_out)
    return walk


def write_frames(
    args: argparse.Namespace,
    path: Path,
    frames: Tensor,
    walk: Walk,
    stages: Stages,
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Frames (T, 3, H, W) as a 360° video."""
    from ..video import write_video

    with stages.run(path.name) as progress:
        write_video(
            path,
            frames,
            fps=walk.scaffold.trajectory.fps,
            codec=args.codec,
            crf=args.crf,
            metadata=metadata,
            progress=progress,
        )


def report_walk(walk: Walk, stages: Stages, out: Path) -> str:
    """What was made, how much of it is holes, how long it took, where the path comes too close."""
    holes = 100 * (1 - float(walk.scaffold.coverage.float().mean()))
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.seconds.items())
    lines = [f"wrote {out}; {len(walk.scaffold.rgb)} frames, {holes:.1f} % holes in the scaffold ({times})"]
    if walk.clearance.warning:
        lines.append(walk.clearance.warning)
    return "\n  ".join(lines)


def add_walk_arguments(verb: argparse.ArgumentParser, *, frames: int | None, height: int | None) -> None:
    """Everything from the photograph to the video; None takes the model's own frames and height."""
    verb.add_argument("photo", type=Path, help=f"{PHOTO_HELP}, or a finished 3D cache (.ply)")
    verb.add_argument("--out", type=Path, required=True, metavar="MP4", help="the video to write")
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there")
    add_path_arguments(verb, frames=frames)
    own = "the model's own" if height is None else "%(default)s"
    size = add_photo_arguments(verb)
    size.add_argument(
        "--height", type=int, default=height, help=f"of the video, width is twice that; default {own}"
    )
    size.add_argument("--codec", choices=("h264", "h265", "av1"), default="h264", help="default %(default)s")
    size.add_argument("--crf", type=int, default=18, help="quality, lower is better; default %(default)s")
    cache = add_depth_arguments(verb)
    cache.add_argument(
        "--cache-out", type=Path, metavar="PLY", help="write the cache as a point cloud with faces"
    )


def add_path_arguments(verb: argparse.ArgumentParser, *, frames: int | None) -> None:
    """Presets and files; see `make_trajectory`."""
    own = "the model's own" if frames is None else "%(default)s"
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


def add_photo_arguments(verb: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Size and levelling of the photograph; see `read_photo`."""
    size = verb.add_argument_group("picture")
    size.add_argument("--source-height", type=int, help="resize the photograph first; default its own height")
    for angle in ("roll", "pitch", "yaw"):
        size.add_argument(
            f"--{angle}-deg", type=float, default=0.0, help=f"level or turn the photograph: {angle}"
        )
    return size


def add_depth_arguments(verb: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Where the distance comes from; see `make_backend`."""
    cache = verb.add_argument_group("3D cache")
    cache.add_argument("--backend", default="tiny", help="what estimates the distance; default %(default)s")
    cache.add_argument("--weights", type=Path, help="folder with the files of that depth network")
    cache.add_argument("--download", action="store_true", help="allow its download from Hugging Face")
    cache.add_argument("--depth", type=Path, help="a depth image (16-bit PNG, EXR, NPY) instead of a backend")
    cache.add_argument(
        "--depth-kind", choices=("distance", "z_depth", "inverse", "relative"), default="distance"
    )
    cache.add_argument("--depth-scale", type=float, default=1.0, help="metres per unit; default %(default)s")
    cache.add_argument(
        "--confidence", type=float, default=0.25, help="leave out points below; default %(default)s"
    )
    return cache
