"""Which kind of folder it is, and importing it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ...errors import InputError, MediaError, Progress
from ._detect import find_colmap, find_matrix3d, find_vipe
from ._types import ImportedScene, ImportOptions

__all__ = ["SCENE_KINDS", "detect_scene", "import_scene"]

SCENE_KINDS = ("vipe", "matrix3d", "colmap")


def detect_scene(folder: str | PathLike[str]) -> str | None:
    """The kind of a folder, one of SCENE_KINDS, by the names of its files; None where it is none."""
    path = Path(folder)
    if not path.is_dir():
        return None
    if find_vipe(path):
        return "vipe"
    if find_matrix3d(path):
        return "matrix3d"
    return "colmap" if find_colmap(path) else None


def import_scene(
    folder: str | PathLike[str],
    *,
    kind: str | None = None,
    name: str | None = None,
    options: ImportOptions | None = None,
    progress: Progress | None = None,
) -> ImportedScene:
    """Import a scene that another program reconstructed; docs/importers.md has the layouts and axes.

    Args:
        folder: of the scene.
        kind: one of SCENE_KINDS; None finds it by the files.
        name: of the video, where a ViPE folder has several.
        options: how much of it, and its unit.
        progress: called with (steps done, steps).

    Raises:
        MediaError: a file is missing or damaged.
        InputError: the folder is of no kind, an option is out of range, or its files do not fit together.
        ConventionError: matrices or quaternions are no rotations, or pictures are not 2:1.
    """
    path = Path(folder)
    if not path.is_dir():
        raise MediaError(f"{path}: there is no such folder; check the name")
    found = detect_scene(path) if kind is None else kind
    options = options or ImportOptions()
    if found is None:
        raise InputError(
            f"{path}: expected a folder of ViPE (pose/NAME.npz), Matrix-3D (pano_video_cam.json or "
            "condition/cameras.npz) or COLMAP (cameras, images), got none of them"
        )
    if found not in SCENE_KINDS:
        raise InputError(f"kind: expected one of {', '.join(SCENE_KINDS)}, got {found!r}")
    if name is not None and found != "vipe":
        raise InputError(
            f"name: expected only with a ViPE folder of several videos, got {name!r} for {found}"
        )
    if found == "vipe":
        from .vipe import import_vipe

        return import_vipe(path, options, name=name, progress=progress)
    if found == "matrix3d":
        from .matrix3d import import_matrix3d

        return import_matrix3d(path, options, progress=progress)
    from .colmap import import_colmap

    return import_colmap(path, options, progress=progress)
