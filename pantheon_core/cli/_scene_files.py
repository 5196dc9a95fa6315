"""Placed panoramas, paths and reports as files, for the verbs that find or import them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, MediaError
from ..files import replacing

if TYPE_CHECKING:
    from torch import Tensor

    from ..trajectory import Trajectory

__all__ = [
    "add_path_out",
    "refuse_full_folder",
    "write_distance",
    "write_json",
    "write_path",
    "write_picture",
]


def add_path_out(verb: argparse.ArgumentParser) -> None:
    """Where the camera path goes, and in which format."""
    verb.add_argument(
        "--path-out",
        type=Path,
        metavar="FILE",
        help="the camera path: .json (this project's), .glb, .tum, .npy, images.txt and others",
    )
    verb.add_argument("--path-format", metavar="NAME", help="where the name does not say it; docs/formats.md")


def refuse_full_folder(args: argparse.Namespace, folder: Path | None) -> None:
    """A folder with files in it stays unless `--overwrite` was given.

    Raises:
        InputError: there are files.
    """
    if folder is not None and folder.is_dir() and any(folder.iterdir()) and not args.overwrite:
        raise InputError(f"{folder}: already has files; give another folder or add --overwrite")


def write_path(trajectory: Trajectory, args: argparse.Namespace) -> None:
    """The path as the arguments of `add_path_out` say."""
    from ..trajectory import write_trajectory

    if args.path_out is None:
        return
    own = args.path_format is None and args.path_out.name.lower().endswith(".json")
    named = args.path_out.name.lower() in ("transforms.json", "camera_path.json")
    write_trajectory(trajectory, args.path_out, format="pantheon" if own and not named else args.path_format)


def write_picture(path: Path, rgb: Tensor) -> None:
    """A PNG of (3, H, W) 0..1."""
    from PIL import Image

    pixels = (rgb.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    with _written(path) as partial:
        Image.fromarray(pixels).save(partial, "PNG")


def write_distance(path: Path, distance: Tensor) -> None:
    """An NPY of (H, W) float32, 0 where there is none; Build 3D Cache and `--depth` read it."""
    import numpy as np

    with _written(path) as partial, partial.open("wb") as file:
        np.save(file, distance.float().cpu().numpy())


def write_json(path: Path, data: dict[str, object]) -> None:
    """A JSON file."""
    with _written(path) as partial:
        partial.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """`replacing`, whose system errors become sentences."""
    try:
        with replacing(path) as partial:
            yield partial
    except OSError as error:
        raise MediaError(f"{path}: cannot be written ({error.strerror or error})") from error
