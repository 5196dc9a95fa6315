"""Look around in a panorama or a 360 degree video, inside the node. What draws it is under `web/`."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
from comfy_api.latest import Input, InputImpl, io

from ..pantheon_core.check import check_erp
from ..pantheon_core.errors import InputError, MediaError
from ..pantheon_core.files import replacing
from ..pantheon_core.video import video_info
from .convert import from_image
from .host import progress
from .schema import schema

if TYPE_CHECKING:
    from torch import Tensor

# What the viewer looks for among a node's outputs.
UI_KEY = "pantheon_360"
_PLAYABLE = (".mp4", ".webm", ".mov", ".mkv", ".m4v")


class PantheonPreview360(io.ComfyNode):
    """A 360 degree viewer, for one thing or for two to compare."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """One or two things to look at."""
        return schema(
            "PantheonPreview360",
            stage="6 Save",
            display_name="Preview 360°",
            description="Look around in a panorama, a scaffold or a 360° video, inside the node. With a "
            "second input, wipe between the two.",
            search_aliases=[
                "360 viewer",
                "panorama viewer",
                "preview panorama",
                "vr preview",
                "equirectangular viewer",
                "compare 360",
            ],
            inputs=[
                io.MultiType.Input(
                    "images",
                    types=[io.Image, io.Video],
                    optional=True,
                    tooltip="A panorama, the frames of a 360° video, or a video: twice as wide as high.",
                ),
                io.MultiType.Input(
                    "compare",
                    types=[io.Image, io.Video],
                    optional=True,
                    tooltip="A second one to wipe to, for example the scaffold beside the result.",
                ),
                io.Float.Input(
                    "fps",
                    default=7.0,
                    min=0.1,
                    max=120.0,
                    step=0.1,
                    tooltip="Frames per second when the input is several images. A video has its own.",
                ),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, fps: float, images: Any = None, compare: Any = None) -> io.NodeOutput:
        """Put the inputs into files that the browser can read piece by piece."""
        given = {name: one for name, one in (("images", images), ("compare", compare)) if one is not None}
        if not given:
            raise InputError("images: nothing is connected; connect a panorama or a 360° video to look at")
        return io.NodeOutput(ui={UI_KEY: [_entry(name, one, fps) for name, one in given.items()]})


def entry_of(path: Path, name: str, *, folder: io.FolderType, spherical: bool = True) -> dict[str, Any]:
    """How the viewer finds a file.

    Args:
        path: inside the host's folder.
        name: what the viewer calls it.
        folder: which of the host's folders.
        spherical: False for a flat picture or video.
    """
    root = Path(folder_paths.get_directory_by_type(folder.value) or "")
    playable = path.suffix.lower() in _PLAYABLE
    return {
        "name": name,
        # Not "filename": the host lists everything that has one among the results, and would do so twice.
        "file": path.name,
        "subfolder": path.parent.relative_to(root).as_posix() if path.parent != root else "",
        "folder": folder.value,
        "kind": "video" if playable else "image",
        "sound": playable and video_info(path).audio,
        "spherical": spherical,
        "stamp": f"{path.stat().st_mtime_ns:x}",
    }


def _entry(name: str, given: Any, fps: float) -> dict[str, Any]:
    if isinstance(given, Input.Video):
        if isinstance(given, InputImpl.VideoFromFile):
            return _entry_of_file(name, given)
        parts = given.get_components()
        return _entry_of_frames(name, parts.images, float(parts.frame_rate))
    return _entry_of_frames(name, given, fps)


def _entry_of_file(name: str, video: Any) -> dict[str, Any]:
    """A file that the host serves is used where it lies; another is linked or copied into its temp folder."""
    width, height = video.get_dimensions()
    if width != 2 * height:
        raise InputError(f"{name}: expected a 360° video, twice as wide as high; got {width} x {height}")
    source = video.get_stream_source()
    if not isinstance(source, (str, os.PathLike)):
        path = _temporary(".mp4", width, height)
        with replacing(path) as partial:
            partial.write_bytes(source.getvalue())
        return entry_of(path, name, folder=io.FolderType.temp)
    path = Path(source).resolve()
    if path.suffix.lower() not in _PLAYABLE:
        raise MediaError(
            f"{name}: no browser plays a {path.suffix or 'nameless'} file; expected one of "
            f"{', '.join(_PLAYABLE)}. Convert it, or connect its frames."
        )
    for folder in (io.FolderType.output, io.FolderType.input, io.FolderType.temp):
        root = Path(folder_paths.get_directory_by_type(folder.value) or "").resolve()
        if path.is_relative_to(root):
            return entry_of(root / path.relative_to(root), name, folder=folder)
    target = _temporary(path.suffix, width, height)
    try:
        os.link(path, target)
    except OSError:  # another disk, or a file system without links
        with replacing(target) as partial:
            shutil.copyfile(path, partial)
    return entry_of(target, name, folder=io.FolderType.temp)


def _entry_of_frames(name: str, images: Tensor, fps: float) -> dict[str, Any]:
    rgb = from_image(images)
    height, width = check_erp(name, rgb)
    if len(rgb) == 1:
        path = _temporary(".png", width, height)
        _write_png(path, rgb[0])
    else:
        path = _temporary(".mp4", width, height)
        _write_video(path, rgb, fps)
    return entry_of(path, name, folder=io.FolderType.temp)


def _temporary(suffix: str, width: int, height: int) -> Path:
    """A path in the host's temp folder that no other file has."""
    folder, name, counter, _, _ = folder_paths.get_save_image_path(
        "pantheon360/preview", folder_paths.get_temp_directory(), width, height
    )
    path = Path(folder) / f"{name}_{counter:05}_{suffix}"
    while path.exists():
        counter += 1
        path = Path(folder) / f"{name}_{counter:05}_{suffix}"
    return path


def _write_png(path: Path, rgb: Tensor) -> None:
    from PIL import Image

    pixels = (rgb.clamp(0, 1) * 255).round().byte().movedim(0, -1).cpu().numpy()
    with replacing(path) as partial:
        # As the host's own previews: for a file that is read once, time counts more than size.
        Image.fromarray(pixels).save(partial, format="PNG", compress_level=1)


def _write_video(path: Path, rgb: Tensor, fps: float) -> None:
    from ..pantheon_core.video import VideoWriter

    report = progress(len(rgb))
    with VideoWriter(path, fps=fps, crf=16) as writer:
        for index, frame in enumerate(rgb):
            report(index, len(rgb))
            writer.write(frame)
    report(len(rgb), len(rgb))
