"""Camera paths of the editor from and to files of other programs, as bytes."""

from __future__ import annotations

import io
import json
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ..pantheon_core.errors import InputError

_NAME = "camera_path"


def read_path_file(name: str, content: bytes, fps: float | None) -> dict[str, Any]:
    """The editor's JSON of a file of any format that the core reads.

    A track of poses becomes few keyframes, its first camera the origin that looks along +z.

    Args:
        name: the file's own name; its ending helps to know the format.
        content: of the file.
        fps: frames per second for files without times.

    Raises:
        PantheonError: what is wrong with the file.
    """
    from ..pantheon_core.trajectory import path_to_json, read_trajectory, simplify

    # Only the ending and the last part of the name count: nothing of it may lead out of the folder.
    safe = re.sub(r"[^\w.-]", "_", re.split(r"[/\\]", name)[-1]).lstrip(".")[-100:] or _NAME
    with tempfile.TemporaryDirectory(prefix="pantheon360-") as folder:
        file = Path(folder) / safe
        file.write_bytes(content)
        try:
            try:
                track = read_trajectory(file, rebase=True)
            except InputError:
                if fps is None:
                    raise
                # Some files have no times; for others the same error comes once more.
                track = read_trajectory(file, rebase=True, fps=fps)
        except InputError as error:
            raise type(error)(str(error).replace(f"{file}: ", "")) from error
    return json.loads(path_to_json(simplify(track)))


def write_path_file(path: dict[str, Any], format: str) -> tuple[str, bytes]:
    """Name and content of the file that holds the editor's path; a ZIP where a format has several files.

    Raises:
        PantheonError: the path or the format is not known.
    """
    from ..pantheon_core.trajectory import interpolate, path_from_json, write_trajectory
    from ..pantheon_core.trajectory.formats import FORMATS

    if format not in FORMATS:
        raise InputError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    track = interpolate(path_from_json(json.dumps(path)))
    one = FORMATS[format]
    suffix = one.suffixes[-1] if format == "gltf" else one.suffixes[0]
    with tempfile.TemporaryDirectory(prefix="pantheon360-") as folder:
        # COLMAP knows its files by their names alone.
        file = Path(folder) / ("images.txt" if format == "colmap" else _NAME + suffix)
        write_trajectory(track, file, format=format)
        made = sorted(Path(folder).iterdir())
        if len(made) == 1:
            return made[0].name, made[0].read_bytes()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in made:
                archive.writestr(part.name, part.read_bytes())
        return f"{_NAME}_{format}.zip", packed.getvalue()
