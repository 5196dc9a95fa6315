"""Poses by whichever way there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import BackendUnavailableError, InputError, Progress
from ...panorama import Panorama
from ._features import load_pycolmap
from ._given import poses_from_file, poses_from_gps
from ._points import points_at_poses
from ._sfm import poses_from_pictures
from ._types import PanoramaPoses
from ._words import names_of

__all__ = ["METHODS", "check_given", "find_poses"]

METHODS = ("auto", "sfm", "gps", "file")
"""auto: from the pictures where pycolmap is installed, else from GPS; sfm: from the pictures."""


def find_poses(
    panoramas: Sequence[Panorama],
    *,
    method: str = "auto",
    file: Path | str | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PanoramaPoses:
    """Find or read where panoramas were taken.

    Poses from GPS and from a file are checked against the pictures where pycolmap is installed.

    Args:
        panoramas: of one scene, levelled.
        method: one of METHODS.
        file: a file with one pose for each panorama, for "file".
        names: for messages.
        seed: of random samples.
        progress: called with (steps done, steps).

    Raises:
        InputError: an unknown method, a missing file, or what the method needs is not there.
        BackendUnavailableError: the method needs pycolmap, which is missing or too old.
        MediaError: the file cannot be read.
    """
    if method not in METHODS:
        raise InputError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    if (method == "file") != (file is not None):
        raise InputError("file: expected a file with poses together with method 'file', and only then")
    names = names_of(len(panoramas), names)
    if method == "auto":
        method = _automatic(panoramas)
    if method == "sfm":
        return poses_from_pictures(
            [one.rgb for one in panoramas],
            valid=[one.valid for one in panoramas],
            names=names,
            seed=seed,
            progress=progress,
        )
    if file is not None:
        poses = poses_from_file(file, len(panoramas))
    else:
        poses = poses_from_gps(panoramas, names=names)
    return check_given(panoramas, poses, names=names, seed=seed, progress=progress)


def check_given(
    panoramas: Sequence[Panorama],
    poses: PanoramaPoses,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PanoramaPoses:
    """Given poses with shared points and what the pictures say of them; a warning without pycolmap."""
    try:
        load_pycolmap()
    except BackendUnavailableError as error:
        warning = f"the given places were not checked against the pictures ({error})"
        return replace(poses, warnings=(*poses.warnings, warning))
    if len(panoramas) < 2:
        return poses
    return points_at_poses(
        [one.rgb for one in panoramas],
        poses,
        valid=[one.valid for one in panoramas],
        names=names,
        seed=seed,
        progress=progress,
    )


def _automatic(panoramas: Sequence[Panorama]) -> str:
    try:
        load_pycolmap()
    except BackendUnavailableError as error:
        located = [one for one in panoramas if "latitude" in one.metadata and "longitude" in one.metadata]
        if located:
            return "gps"
        raise BackendUnavailableError(
            f"{error}; GPS and a compass heading could stand in, but the files record none"
        ) from error
    return "sfm"
