"""`pantheon360 track`: the camera of a 360° video."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ._console import Bars, Verbs, refuse_overwrite
from ._scene_files import add_path_out, refuse_full_folder, write_json, write_path, write_picture

if TYPE_CHECKING:
    from ..recon.video_in import VideoTrack

__all__ = ["add"]


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser(
        "track", parents=[common], help="key frames and the camera path of a 360° video (needs pycolmap)"
    )
    verb.add_argument("video", type=Path, help="equirectangular video, twice as wide as high")
    add_path_out(verb)
    verb.add_argument("--keys-out", type=Path, metavar="DIR", help="key frames as PNG, with keys.json")
    verb.add_argument("--points-out", type=Path, metavar="PLY", help="the sparse points")
    verb.add_argument("--report", type=Path, metavar="JSON", help="what was found, as numbers")
    verb.add_argument("--height", type=int, default=512, help="rows of the key frames [%(default)s]")
    verb.add_argument(
        "--parallax-deg",
        type=float,
        default=5.0,
        help="a key frame is taken when things have moved by so many degrees [%(default)s]",
    )
    verb.add_argument("--max-keys", type=int, default=40, help="key frames at most [%(default)s]")
    verb.add_argument(
        "--lowest-deg",
        type=float,
        default=-60.0,
        help="nothing below this latitude is used: photographer and tripod [%(default)s]",
    )
    verb.add_argument(
        "--path-length", type=float, default=0.0, help="metres of the whole way, where known [unknown]"
    )
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there")
    verb.set_defaults(run=_run)


def _run(args: argparse.Namespace, bars: Bars) -> str:
    from ..recon.video_in import TrackSettings, track_video

    refuse_overwrite(args, args.path_out, args.points_out, args.report)
    refuse_full_folder(args, args.keys_out)
    settings = TrackSettings(
        height=args.height,
        parallax=math.radians(args.parallax_deg),
        max_keys=args.max_keys,
        lowest=math.radians(args.lowest_deg),
        path_length=args.path_length,
    )
    track = track_video(args.video, settings=settings, progress=bars("track"))
    write_path(track.trajectory, args)
    if args.keys_out:
        _write_keys(track, args.keys_out)
    if args.points_out:
        _write_points(track, args.points_out)
    if args.report:
        write_json(args.report, track.as_dict())
    return track.report()


def _write_keys(track: VideoTrack, folder: Path) -> None:
    """`00012.png` per key frame, and where each was taken."""
    places = []
    for i, key in enumerate(track.keys):
        name = f"{key.frame:05d}.png"
        write_picture(folder / name, key.rgb)
        if key.registered:
            places.append({"image": name, "T_world_cam": track.poses.T_world_cam[i].tolist()})
    write_json(folder / "keys.json", {"metric": track.poses.metric, "panoramas": places})


def _write_points(track: VideoTrack, path: Path) -> None:
    import torch

    from ..cache import PointCache, save_ply

    count = len(track.poses.points)
    cache = PointCache(
        points=track.poses.points,
        colors=track.poses.colors,
        confidence=torch.ones(count),
        anchor=torch.zeros(count, dtype=torch.int16),
        T_world_anchor=torch.eye(4)[None],
        metric=track.poses.metric,
        provenance={"source": "video", "method": track.poses.method},
    )
    save_ply(cache, path)
