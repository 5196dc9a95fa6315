"""Scenes that other programs reconstructed."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker

from .host import progress, show_text
from .schema import Cache, Panorama, Trajectory, advanced, schema
from .types import BuiltCache, PlacedPanorama

if TYPE_CHECKING:
    from ..pantheon_core.recon.importers import ImportedScene

_MOST_FOLDERS = 500
_MOST_FILES = 5000


def _list_scenes() -> list[str]:
    """Folders of the input folder, and folders in those, that hold a scene."""
    from ..pantheon_core.recon.importers import detect_scene

    root = Path(folder_paths.get_input_directory())
    if not root.is_dir():
        return []
    first = sorted(path for path in root.iterdir() if path.is_dir())
    first = [path for path in first if os.access(path, os.R_OK | os.X_OK)]
    second = [inner for path in first for inner in sorted(path.iterdir()) if inner.is_dir()]
    found = [path for path in (*first, *second)[:_MOST_FOLDERS] if detect_scene(path)]
    # What lies inside a scene is a part of it.
    kept = [path for path in found if path.parent not in found]
    return sorted(path.relative_to(root).as_posix() for path in kept)


class PantheonImportScene(io.ComfyNode):
    """A folder of ViPE, Matrix-3D or COLMAP."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The host asks for this on every listing, so new folders appear on refresh."""
        names = _list_scenes()
        # None is the host's own default for a list that may be empty, though its types say otherwise.
        default: Any = names[0] if names else None
        return schema(
            "PantheonImportScene",
            stage="1 Panorama",
            display_name="Import Scene (360°)",
            description="Reads a scene that ViPE, Matrix-3D or COLMAP reconstructed: panoramas at their "
            "places with their distances, the sparse points, and the camera's path.",
            search_aliases=["vipe", "colmap", "matrix-3d", "import reconstruction", "slam", "sfm"],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=names,
                    default=default,
                    tooltip="A folder in ComfyUI's input folder. Copy or link it there and refresh the list.",
                ),
                io.Int.Input(
                    "panoramas",
                    default=8,
                    min=0,
                    max=1000,
                    tooltip="How many panoramas to take at most, spread evenly over the scene. 0 takes all.",
                ),
                io.Int.Input(
                    "height",
                    default=512,
                    min=0,
                    max=8192,
                    step=32,
                    tooltip="Height of the panoramas in pixels. 0 keeps the size of the files.",
                ),
                io.Float.Input(
                    "scale",
                    default=0.0,
                    min=0.0,
                    max=1000000.0,
                    step=0.001,
                    tooltip="Metres per unit of the scene. 0: unknown, the unit stays as it is.",
                ),
                advanced(
                    io.Float.Input,
                    "fps",
                    default=24.0,
                    min=0.1,
                    max=240.0,
                    step=0.1,
                    tooltip="Frames per second of the path, where the folder has no video that says it.",
                ),
                advanced(
                    io.String.Input,
                    "name",
                    default="",
                    tooltip="Of the video, where a ViPE folder has several. Empty takes the only one.",
                ),
            ],
            outputs=[
                Panorama.Output(
                    display_name="panoramas",
                    tooltip="At their places, with their distances where the folder has them. Goes into "
                    "Build 3D Cache.",
                ),
                Cache.Output(display_name="points", tooltip="The sparse points of the scene as a 3D cache."),
                Trajectory.Output(display_name="trajectory", tooltip="Every camera of the scene."),
                io.String.Output(
                    display_name="report", tooltip="What the folder has, and what was left out."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None = None) -> bool | str:
        """Say what is wrong with the folder before anything runs."""
        if folder is None:  # it comes from another node
            return True
        if not folder:
            return "No scene is chosen. Copy a folder of ViPE, Matrix-3D or COLMAP into the input folder."
        path = _path_of(folder)
        if path is None or not path.is_dir():
            return f"The folder '{folder}' is not in the input folder. Copy it there and refresh the list."
        return True

    @classmethod
    def fingerprint_inputs(cls, folder: str, **_options: object) -> str:
        """Names, times and sizes of the files."""
        path = _path_of(folder)
        digest = hashlib.sha256()
        for file in sorted(path.rglob("*"))[:_MOST_FILES] if path else ():
            # Of a link that leads nowhere, what it says itself.
            facts = file.lstat()
            digest.update(f"{file} {facts.st_mtime_ns} {facts.st_size}\n".encode())
        return digest.hexdigest()

    @classmethod
    def execute(
        cls, folder: str, panoramas: int, height: int, scale: float, fps: float, name: str
    ) -> io.NodeOutput:
        """Read, and pack what is there."""
        from ..pantheon_core.errors import InputError
        from ..pantheon_core.recon.importers import ImportOptions, import_scene

        path = _path_of(folder)
        if path is None:
            raise InputError(f"folder: expected one inside the input folder, got {folder!r}; copy it there")
        scene = import_scene(
            path,
            name=name or None,
            options=ImportOptions(panoramas=panoramas, height=height, scale=scale, fps=fps),
            progress=progress(),
        )
        text = scene.report()
        show_text(cls.hidden.unique_id, text)
        placed = _placed(scene)
        no_pictures = ExecutionBlocker("Import Scene: the folder has no panoramas with pictures. " + text)
        no_points = ExecutionBlocker("Import Scene: the folder has no sparse points; use the panoramas.")
        return io.NodeOutput(
            placed or no_pictures,
            BuiltCache(cache=scene.points, panoramas=placed) if scene.points is not None else no_points,
            scene.trajectory,
            text,
            ui=ui.PreviewText(text),
        )


def _path_of(folder: str) -> Path | None:
    """The folder's path; None where the name leads out of the input folder."""
    root = Path(folder_paths.get_input_directory())
    path = root / folder
    # Links inside the input folder are the user's own; ".." and absolute names are not.
    return path if path.absolute().is_relative_to(root.absolute()) and ".." not in path.parts else None


def _placed(scene: ImportedScene) -> tuple[PlacedPanorama, ...]:
    return tuple(
        PlacedPanorama(
            name=one.name,
            rgb=one.rgb,
            valid=one.valid,
            T_world_cam=scene.poses.T_world_cam[i],
            known=one.estimate,
        )
        for i, one in enumerate(scene.panoramas)
        if one.rgb is not None and one.valid is not None
    )
