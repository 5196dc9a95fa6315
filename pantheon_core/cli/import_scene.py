"""`pantheon360 import`: scenes that other programs reconstructed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ._console import Bars, Verbs, refuse_overwrite
from ._scene_files import (
    add_path_out,
    refuse_full_folder,
    write_distance,
    write_json,
    write_path,
    write_picture,
)

if TYPE_CHECKING:
    from ..recon.importers import ImportedScene

__all__ = ["add"]

_KINDS = ("vipe", "matrix3d", "colmap")


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser(
        "import", parents=[common], help="read a folder of ViPE, Matrix-3D or COLMAP; docs/importers.md"
    )
    verb.add_argument("folder", type=Path, help="of the scene")
    verb.add_argument("--kind", choices=_KINDS, help="what made it [found by its files]")
    verb.add_argument("--name", help="of the video, where a ViPE folder has several")
    add_path_out(verb)
    verb.add_argument(
        "--panoramas-out", type=Path, metavar="DIR", help="panoramas as PNG, distances as NPY, scene.json"
    )
    verb.add_argument("--points-out", type=Path, metavar="PLY", help="the sparse points")
    verb.add_argument(
        "--panoramas", type=int, default=8, help="panoramas to take at most; 0 takes all [%(default)s]"
    )
    verb.add_argument("--height", type=int, default=512, help="of the panoramas; 0 keeps it [%(default)s]")
    verb.add_argument("--scale", type=float, default=0.0, help="metres per unit of the scene [unknown]")
    verb.add_argument("--fps", type=float, default=24.0, help="of the path, where no video says it [24]")
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there")
    verb.set_defaults(run=_run)


def _run(args: argparse.Namespace, bars: Bars) -> str:
    from ..cache import save_ply
    from ..recon.importers import ImportOptions, import_scene

    refuse_overwrite(args, args.path_out, args.points_out)
    refuse_full_folder(args, args.panoramas_out)
    options = ImportOptions(panoramas=args.panoramas, height=args.height, scale=args.scale, fps=args.fps)
    scene = import_scene(
        args.folder, kind=args.kind, name=args.name, options=options, progress=bars("import")
    )
    if args.points_out:
        if scene.points is None:
            raise InputError("--points-out: the scene has no sparse points; leave the option out")
        save_ply(scene.points, args.points_out)
    write_path(scene.trajectory, args)
    if args.panoramas_out:
        _write_panoramas(scene, args.panoramas_out)
    return scene.report()


def _write_panoramas(scene: ImportedScene, folder: Path) -> None:
    """`0000.png`, `0000_distance.npy`, and where each was taken."""
    places = []
    for i, one in enumerate(scene.panoramas):
        entry: dict[str, object] = {"T_world_cam": scene.poses.T_world_cam[i].tolist(), "frame": one.frame}
        if one.rgb is not None:
            entry["image"] = f"{i:04d}.png"
            write_picture(folder / f"{i:04d}.png", one.rgb)
        if one.estimate is not None:
            entry["distance"] = f"{i:04d}_distance.npy"
            write_distance(folder / f"{i:04d}_distance.npy", one.estimate.distance)
        places.append({"name": one.name, **entry})
    write_json(folder / "scene.json", {"metric": scene.poses.metric, "panoramas": places})
