"""`pantheon360 poses`: where several panoramas of one scene were taken, and the scene that they show."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ._console import Bars, Verbs, refuse_overwrite
from ._scene_files import write_json

if TYPE_CHECKING:
    from ..recon import ReconBackend
    from ..recon.poses import PanoramaPoses, SceneReport
    from ..trajectory import Trajectory

__all__ = ["add"]

_NO_BACKEND = "none"


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser(
        "poses", parents=[common], help="where several panoramas of one scene were taken; one cache of all"
    )
    verb.add_argument("photos", type=Path, nargs="+", help="two or more 360° photographs of one scene")
    verb.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the poses, a path of ours where it is .json"
    )
    verb.add_argument("--out-format", help="write them in another format: tum, colmap, nerfstudio, ...")
    verb.add_argument("--report", type=Path, metavar="JSON", help="also write what was found, by photograph")
    verb.add_argument("--cache-out", type=Path, metavar="PLY", help="also write one 3D cache of all")
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there")
    find = verb.add_argument_group("poses")
    find.add_argument(
        "--method",
        choices=("auto", "sfm", "gps", "file"),
        default="auto",
        help="sfm: from the pictures, needs pycolmap; gps: from the photographs' own record; file: see "
        "--poses-file; default %(default)s",
    )
    find.add_argument("--poses-file", type=Path, metavar="FILE", help="one pose per photograph, in order")
    find.add_argument(
        "--first-to-second", type=float, metavar="METRES", help="measured distance of the first two cameras"
    )
    find.add_argument("--source-height", type=int, default=1024, help="work at; default %(default)s")
    find.add_argument("--seed", type=int, default=0, help="of the search; default %(default)s")
    depth = verb.add_argument_group("distances")
    depth.add_argument(
        "--backend",
        default=_NO_BACKEND,
        help="estimate distances, bring them to one scale and compare the panoramas; default %(default)s",
    )
    depth.add_argument("--weights", type=Path, help="folder with the files of that depth network")
    depth.add_argument("--download", action="store_true", help="allow its download from Hugging Face")
    verb.set_defaults(run=_run)


def _run(args: argparse.Namespace, bars: Bars) -> str:
    from ..cache import save_ply
    from ..panorama import load_panorama
    from ..recon.poses import align_scene, find_poses, reconstruct_scene
    from ..trajectory import write_trajectory

    refuse_overwrite(args, args.out, args.report, args.cache_out)
    if len(args.photos) < 2:
        raise InputError("photos: expected two or more of one scene, got one")
    if args.cache_out and args.backend == _NO_BACKEND:
        raise InputError("--cache-out: a cache needs distances; choose a --backend, for instance tiny")
    backend = _backend(args)
    panoramas = [load_panorama(file, height=args.source_height) for file in args.photos]
    names = [file.name for file in args.photos]
    poses = find_poses(
        panoramas,
        method=args.method,
        file=args.poses_file,
        names=names,
        seed=args.seed,
        progress=bars("poses"),
    )
    if not bool(poses.registered.any()):
        raise InputError("no places were found: " + "; ".join(poses.warnings))
    poses = _scaled(poses, args.first_to_second)
    if backend is None:
        _, report = align_scene([None] * len(panoramas), poses, names=names)
    else:
        cache, report = reconstruct_scene(
            [one.rgb for one in panoramas],
            backend,
            poses,
            valid=[one.valid for one in panoramas],
            names=names,
            progress=bars("distances"),
        )
        if args.cache_out:
            save_ply(cache, args.cache_out)
    write_trajectory(_trajectory(report.poses), args.out, format=_format(args))
    if args.report:
        write_json(args.report, _as_json(args.photos, report))
    return "\n  ".join((f"wrote {args.out}", *report.lines()))


def _backend(args: argparse.Namespace) -> ReconBackend | None:
    from ..recon import get_backend

    if args.backend == _NO_BACKEND:
        return None
    options = {"weights": args.weights, "download": args.download} if args.backend != "tiny" else {}
    return get_backend(args.backend, **options)


def _format(args: argparse.Namespace) -> str | None:
    if args.out_format is None and args.out.suffix.lower() == ".json":
        return "pantheon"
    return args.out_format


def _scaled(poses: PanoramaPoses, metres: float | None) -> PanoramaPoses:
    from ..recon.poses import scale_poses

    if metres is None:
        return poses
    apart = float((poses.T_world_cam[0, :3, 3] - poses.T_world_cam[1, :3, 3]).norm())
    if not metres > 0 or not bool(poses.registered[:2].all()) or apart < 1e-9:
        raise InputError(
            "--first-to-second: expected metres above 0 between two photographs that found places apart, got "
            f"{metres:g} m for two that are {apart:g} apart"
        )
    return scale_poses(poses, metres / apart, metric=True)


def _trajectory(poses: PanoramaPoses) -> Trajectory:
    from ..trajectory import Trajectory as Path360

    return Path360(T_world_cam=poses.T_world_cam[poses.registered], fps=1.0)


def _as_json(files: list[Path], report: SceneReport) -> dict[str, Any]:
    from ..geometry import quaternion_wxyz_from_rotation

    poses = report.poses
    turns = quaternion_wxyz_from_rotation(poses.T_world_cam[:, :3, :3].double()).tolist()
    entries = []
    for index, file in enumerate(files):
        entry: dict[str, Any] = {"file": str(file), "registered": bool(poses.registered[index])}
        if poses.registered[index]:
            entry["position"] = poses.T_world_cam[index, :3, 3].tolist()
            entry["quaternion_wxyz"] = turns[index]
            entry["points"] = int((poses.observation_panorama == index).sum())
        entries.append(entry)
    for one in report.alignments:
        entries[one.panorama]["distances"] = {
            "fit": one.kind,
            "gain": one.gain,
            "shift": one.shift,
            "points": one.points,
            # JSON has no NaN: without enough points there is no error to tell.
            "error": one.error if one.error == one.error else None,
        }
    return {
        "version": 1,
        "convention": "opencv_c2w",
        "units": "m" if poses.metric else "unknown",
        "method": poses.method,
        "panoramas": entries,
        "comparisons": [
            {
                "first": one.first,
                "second": one.second,
                "agrees": one.agrees,
                "hidden": one.hidden,
                "contradicts": one.contradicts,
                "gross": one.gross,
            }
            for one in report.agreements
        ],
        "warnings": list(report.warnings),
    }
