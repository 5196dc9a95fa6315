"""Which formats there are, which one a file has, and reading and writing by name."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, MediaError
from ...files import replacing
from .._keyframes import Trajectory, as_choice, as_number
from . import colmap, gen3c, gltf, keyframes, matrix3d, nerfstudio, npy, realestate10k, tum, vipe
from ._files import data_lines, read_bytes, read_json, read_text
from ._samples import Lens, Samples, to_trajectory


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FileFormat:
    """One way to keep a camera path in a file.

    Attributes:
        title: what it is called.
        suffixes: endings a file of it may have.
        names: file names, or endings, that no other format has.
        read: the poses of a file.
        encode: the content of every file that makes up the path, the one with the poses last.
    """

    title: str
    suffixes: tuple[str, ...]
    names: tuple[str, ...] = ()
    read: Callable[[Path], Samples]
    encode: Callable[[Trajectory, Path, Lens], dict[Path, bytes]]


FORMATS: dict[str, FileFormat] = {
    "pantheon": FileFormat(
        title="Pantheon360 keyframes", suffixes=(".json",), read=keyframes.read, encode=keyframes.encode
    ),
    "nerfstudio": FileFormat(
        title="nerfstudio transforms.json",
        suffixes=(".json",),
        names=("transforms.json",),
        read=nerfstudio.read_transforms,
        encode=nerfstudio.encode_transforms,
    ),
    "nerfstudio_path": FileFormat(
        title="nerfstudio camera_path.json",
        suffixes=(".json",),
        names=("camera_path.json",),
        read=nerfstudio.read_camera_path,
        encode=nerfstudio.encode_camera_path,
    ),
    "colmap": FileFormat(
        title="COLMAP images.txt",
        suffixes=(".txt",),
        names=("images.txt",),
        read=colmap.read,
        encode=colmap.encode,
    ),
    "tum": FileFormat(
        title="TUM trajectory", suffixes=(".txt", ".tum"), names=(".tum",), read=tum.read, encode=tum.encode
    ),
    "realestate10k": FileFormat(
        title="RealEstate10K and CameraCtrl text",
        suffixes=(".txt",),
        read=realestate10k.read,
        encode=realestate10k.encode,
    ),
    "gen3c_json": FileFormat(
        title="GEN3C camera path",
        suffixes=(".json",),
        read=gen3c.read_json_path,
        encode=gen3c.encode_json_path,
    ),
    "gen3c_npz": FileFormat(
        title="GEN3C multi-view path",
        suffixes=(".npz",),
        read=gen3c.read_npz_path,
        encode=gen3c.encode_npz_path,
    ),
    "matrix3d": FileFormat(
        title="Matrix-3D path", suffixes=(".json",), read=matrix3d.read, encode=matrix3d.encode
    ),
    "vipe": FileFormat(title="ViPE poses", suffixes=(".npz",), read=vipe.read, encode=vipe.encode),
    "npy": FileFormat(
        title="NumPy array", suffixes=(".npy",), names=(".npy",), read=npy.read, encode=npy.encode
    ),
    "gltf": FileFormat(
        title="glTF camera animation",
        suffixes=(".gltf", ".glb"),
        names=(".gltf", ".glb"),
        read=gltf.read,
        encode=gltf.encode,
    ),
}
"""Every format by name; docs/formats.md says what each holds."""


def read_trajectory(
    path: str | Path,
    *,
    format: str | None = None,
    fps: float | None = None,
    rebase: bool = False,
    scale: float = 1.0,
) -> Trajectory:
    """Read a camera path from a file of any format of FORMATS; docs/formats.md has their axes and limits.

    Args:
        path: the file; for COLMAP also the folder of images.txt.
        format: one of FORMATS; None finds it by name, ending and content.
        fps: frames per second. None keeps the file's frames, which must then have a rate or even times. With
            a number, a file with other times is interpolated at it; a file without times gets it.
        rebase: move the path so that its first camera is the origin and looks along +z.
        scale: metres per unit of the file.

    Raises:
        MediaError: the file cannot be read.
        InputError: the content or an option is wrong; the message names file and line or entry.
        ConventionError: matrices or quaternions are no rotations.
    """
    path = Path(path)
    try:
        name = detect_format(path) if format is None else as_choice("format", format, tuple(FORMATS))
        return to_trajectory(FORMATS[name].read(path), fps=fps, rebase=rebase, scale=scale)
    except (InputError, MediaError) as error:
        raise type(error)(f"{path}: {error}") from error


def write_trajectory(
    trajectory: Trajectory,
    path: str | Path,
    *,
    format: str | None = None,
    fov: float = math.pi / 2,
    height: int = 1024,
) -> None:
    """Write a camera path; every file appears whole or not at all.

    Args:
        trajectory: T frames.
        path: the file to write or replace.
        format: one of FORMATS; None takes it from the name, where that is clear.
        fov: vertical angle of view in radians, for formats that must state one of a perspective camera.
        height: of the equirectangular frames in pixels, for formats that must state it.

    Raises:
        MediaError: the file cannot be written.
        InputError: the name does not say the format, an option is out of range, or a COLMAP folder has
            another model.
    """
    path = Path(path)
    if format is None:
        format = _by_name(path)
        if format is None:
            fitting = [name for name, one in FORMATS.items() if path.suffix.lower() in one.suffixes]
            raise InputError(
                f"{path}: the name does not say the format; give format as one of "
                f"{', '.join(fitting or FORMATS)}"
            )
    as_choice("format", format, tuple(FORMATS))
    fov = as_number("fov", fov)
    if not 0 < fov < math.pi:
        raise InputError(f"fov: expected radians between 0 and pi, got {fov:g}")
    if isinstance(height, bool) or not isinstance(height, int) or height < 1:
        raise InputError(f"height: expected a whole number of pixels from 1 on, got {height!r}")
    files = FORMATS[format].encode(trajectory, path, Lens(fov=fov, height=height))
    try:
        for file, content in files.items():
            with replacing(file) as partial:
                partial.write_bytes(content)
    except OSError as error:
        raise MediaError(f"{path}: cannot be written ({error.strerror})") from error


def _by_name(path: Path) -> str | None:
    """The format that a file name alone says."""
    known = {name: key for key, one in FORMATS.items() for name in one.names}
    return known.get(path.name.lower()) or known.get(path.suffix.lower())


def detect_format(path: Path) -> str:
    """The format of a file, by its name and then by its content."""
    if path.is_dir():
        return "colmap"
    suffix = path.suffix.lower()
    # A name like transforms.json says what to write, but for reading the content decides.
    found = _by_name(path) if suffix not in (".json", ".txt") else None
    if suffix in (".json", ".npz", ".txt"):
        found = {".json": _of_json, ".npz": _of_npz, ".txt": _of_text}[suffix](path)
    if found is None:
        read_bytes(path)  # a missing or empty file is said first
        fitting = [name for name, one in FORMATS.items() if suffix in one.suffixes]
        raise InputError(
            f"its format is not clear from name and content; give format as one of "
            f"{', '.join(fitting or FORMATS)}"
        )
    return found


def _of_json(path: Path) -> str | None:
    data = read_json(path)
    if isinstance(data, list):
        return "matrix3d"
    marks = {
        "convention": "pantheon",
        "camera_path": "nerfstudio_path",
        "frames": "nerfstudio",
        "path": "gen3c_json",
    }
    return next((name for mark, name in marks.items() if isinstance(data, dict) and mark in data), None)


def _of_npz(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except zipfile.BadZipFile:
        return None
    if "w2cs_all" in names or "w2c" in names:
        return "gen3c_npz"
    return "vipe" if {"data", "inds"} <= names else None


def _of_text(path: Path) -> str | None:
    text = read_text(path)
    lines = [line.replace(",", " ").split() for _, line in data_lines(text)[:4]]
    counts = [len(words) for words in lines]
    if path.name.lower() == "images.txt":
        return "colmap"
    if 19 in counts:
        return "realestate10k"
    return "tum" if counts[:1] == [8] else None
