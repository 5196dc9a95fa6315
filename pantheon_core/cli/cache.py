"""`pantheon360 cache`: photographs to a clean 3D cache, with a picture and the numbers of what it holds."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ._console import Bars, Verbs, refuse_overwrite
from ._walk import PHOTO_HELP, add_depth_arguments, add_photo_arguments, make_backend, read_photo

if TYPE_CHECKING:
    from torch import Tensor

    from ..apps import BuiltCache, CacheReport, Stages
    from ..cache.cleaning import CleanSettings
    from ..panorama import Panorama

__all__ = ["add"]


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser(
        "cache", parents=[common], help="photographs to a cleaned 3D cache, with a picture of what it holds"
    )
    verb.add_argument("photo", type=Path, nargs="+", help=f"{PHOTO_HELP}; several need --poses")
    verb.add_argument("--out", type=Path, required=True, metavar="PLY", help="the cache to write")
    verb.add_argument("--picture", type=Path, metavar="PNG", help="also write a labelled picture of it")
    verb.add_argument("--json", type=Path, help="also write its numbers, and what cleaning did")
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there")
    verb.add_argument(
        "--poses", type=Path, help="file with a camera for each photograph, of any kind that --path reads"
    )
    add_photo_arguments(verb)
    depth = add_depth_arguments(verb)
    depth.add_argument(
        "--sky-weights",
        type=Path,
        metavar="FOLDER",
        help="find the sky with this segmentation model of transformers (ADE20K, Cityscapes)",
    )
    depth.add_argument("--no-sky", action="store_true", help="keep what looks like sky, e.g. indoors")
    masks = verb.add_argument_group("holes")
    masks.add_argument(
        "--mask",
        type=Path,
        help="picture, white where a hole is to be, of the photograph as it is in its file; for every one",
    )
    masks.add_argument(
        "--grow-deg", type=float, default=0.0, help="enlarge the mask by so much; default %(default)s"
    )
    masks.add_argument(
        "--nadir-deg", type=float, default=0.0, help="radius of a hole straight below; default %(default)s"
    )
    _add_cleaning(verb)
    verb.set_defaults(run=_run)


def _add_cleaning(verb: argparse.ArgumentParser) -> None:
    clean = verb.add_argument_group("cleaning")
    clean.add_argument("--no-clean", action="store_true", help="leave the cache as it was reconstructed")
    clean.add_argument("--edges", choices=("off", "repair", "cut", "all"), default="repair", help=_DEFAULT)
    clean.add_argument("--floaters", choices=("off", "repair", "cut"), default="repair", help=_DEFAULT)
    clean.add_argument("--overlap", choices=("off", "conflicts", "merge"), default="conflicts", help=_DEFAULT)
    for name in ("min-distance", "max-distance"):
        clean.add_argument(f"--{name}", type=float, default=0.0, help="from the camera; default no limit")
    clean.add_argument("--voxel", type=float, default=0.0, help="thin to one point per cube of this size")
    clean.add_argument(
        "--camera-height", type=float, metavar="METRES", help="scale the cache by the height above the floor"
    )


_DEFAULT = "default %(default)s"


def _run(args: argparse.Namespace, bars: Bars) -> str:
    from ..apps import Stages, build_cache
    from ..cache import save_ply
    from ..recon import ReconSettings

    refuse_overwrite(args, args.out, args.picture, args.json)
    if args.depth is not None and len(args.photo) > 1:
        raise InputError(f"--depth: one depth image fits one photograph, got {len(args.photo)}")
    stages = Stages(progress=bars)
    poses = _poses(args)
    clean = None if args.no_clean else _clean_settings(args)
    backend, sky = make_backend(args), _sky(args)
    with stages.run("photo"):
        panoramas = [_masked(args, read_photo(args, path)) for path in args.photo]
    built = build_cache(
        panoramas,
        backend,
        T_world_cam=poses,
        settings=ReconSettings(confidence_threshold=args.confidence, remove_sky=not args.no_sky),
        sky=sky,
        clean=clean,
        camera_height=args.camera_height,
        stages=stages,
    )
    save_ply(built.cache, args.out)
    return _write_reports(args, built, stages)


def _clean_settings(args: argparse.Namespace) -> CleanSettings:
    from ..cache.cleaning import CleanSettings

    names = ("edges", "floaters", "overlap", "min_distance", "max_distance", "voxel")
    return CleanSettings(**{name: getattr(args, name) for name in names})


def _poses(args: argparse.Namespace) -> Tensor | None:
    """(A, 4, 4), or None for a single photograph."""
    count = len(args.photo)
    if args.poses is None:
        if count > 1:
            raise InputError(
                f"--poses: {count} photographs need a file that says where each was taken, e.g. a COLMAP or "
                "nerfstudio folder, TUM or NPY"
            )
        return None
    from ..trajectory import read_trajectory

    found = read_trajectory(args.poses, fps=1.0).T_world_cam
    if len(found) != count:
        raise InputError(f"--poses: expected {count} cameras, one per photograph, got {len(found)}")
    return found.float()


def _sky(args: argparse.Namespace) -> Any:
    if args.sky_weights is None:
        return None
    from ..recon.sky_segmentation import SkySegmenter

    return SkySegmenter(weights=args.sky_weights).probability


def _masked(args: argparse.Namespace, panorama: Panorama) -> Panorama:
    if args.mask is None and args.nadir_deg == 0:
        return panorama
    from ..panorama import hole_mask

    # levelled and turned as the photographs are, over which it was painted
    mask = None if args.mask is None else read_photo(args, args.mask).rgb.mean(0)
    holes = hole_mask(
        panorama.valid.shape[0],
        mask=mask,
        nadir=math.radians(args.nadir_deg),
        grow=math.radians(args.grow_deg),
    )
    return dataclasses.replace(panorama, valid=panorama.valid & ~holes)


def _write_reports(args: argparse.Namespace, built: BuiltCache, stages: Stages) -> str:
    """The picture, the JSON, and what to say."""
    lines = [str(built.cleaned)] if built.cleaned else []
    lines += [built.scaled.text] if built.scaled else []
    if args.picture or args.json:
        import torch

        from ..apps import cache_report, save_png

        steps = built.cleaned.steps if built.cleaned else ()
        notes = [str(step) for step in steps if step.removed or step.moved]
        notes += [built.scaled.text] if built.scaled else []
        with stages.run("report"):
            reports = [
                cache_report(built.cache, pose, name=path.stem, notes=notes)
                for path, pose in zip(args.photo, built.cache.T_world_anchor, strict=True)
            ]
        if args.picture:
            save_png(torch.cat([report.picture for report in reports], dim=1), args.picture)
        if args.json:
            _write_json(args.json, built, reports)
        lines += [f"{report.name}: {text}" for report in reports for text in report.warnings]
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.seconds.items())
    said = "\n".join(lines).replace("\n", "\n  ")
    return f"wrote {args.out}; {len(built.cache.points):,} points ({times})\n  {said}".rstrip()


def _write_json(path: Path, built: BuiltCache, reports: list[CacheReport]) -> None:
    from ..files import replacing

    content = {
        "views": [report.as_json() for report in reports],
        "cleaned": built.cleaned.as_json() if built.cleaned else None,
        "scaled": dataclasses.asdict(built.scaled) if built.scaled else None,
        "provenance": built.cache.provenance,
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
