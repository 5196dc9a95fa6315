"""Camera paths from and to the files of other programs."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths
from comfy_api.latest import io, ui

from ..pantheon_core.trajectory.formats import FORMATS
from .host import show_text
from .schema import Trajectory, advanced, schema
from .trajectory import describe

if TYPE_CHECKING:
    from ..pantheon_core.trajectory import Trajectory as CameraTrajectory

_STAGE = "3 Path"
_BY_CONTENT = "by content"
_SUFFIXES = {suffix for one in FORMATS.values() for suffix in one.suffixes}


def _list_files() -> list[str]:
    """Files in the input folder that may hold a camera path."""
    folder = Path(folder_paths.get_input_directory())
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in files if path.suffix.lower() in _SUFFIXES)


class PantheonLoadTrajectory(io.ComfyNode):
    """A camera path from a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The host asks for this on every listing, so new files appear on refresh."""
        return schema(
            "PantheonLoadTrajectory",
            stage=_STAGE,
            display_name="Load Trajectory (360°)",
            description="Reads a camera path from a file of the input folder: keyframes of this pack, "
            "nerfstudio, COLMAP, TUM, RealEstate10K, GEN3C, Matrix-3D, ViPE, NPY or glTF.",
            search_aliases=["camera path", "import camera", "nerfstudio", "colmap", "gltf", "blender camera"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=_list_files(),
                    tooltip="The file, in ComfyUI's input folder. Copy it there and refresh the list.",
                ),
                io.Combo.Input(
                    "format",
                    options=[_BY_CONTENT, *FORMATS],
                    default=_BY_CONTENT,
                    tooltip="What wrote the file. 'by content' finds it in nearly every case.",
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=120.0,
                    step=0.1,
                    tooltip="Frames per second. 0 keeps the file's own; files without times need a number.",
                ),
                io.Boolean.Input(
                    "start_at_panorama",
                    default=True,
                    tooltip="Move the path so that its first camera is the first panorama's place and looks "
                    "forward. Switch it off where the file's origin is the panorama.",
                ),
                advanced(
                    io.Float.Input,
                    "scale",
                    default=1.0,
                    min=0.000001,
                    max=1000000.0,
                    step=0.01,
                    tooltip="Metres per unit of the file. Many reconstructions have a unit of their own.",
                ),
            ],
            outputs=[
                Trajectory.Output(display_name="trajectory", tooltip="One camera pose per frame."),
                io.String.Output(display_name="report", tooltip="Frames, seconds and length of the path."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Say what is wrong with the file before anything runs."""
        if file is None:  # it comes from another node
            return True
        if not file or not folder_paths.exists_annotated_filepath(file):
            return f"The camera path '{file}' is not in the input folder. Copy it there and refresh the list."
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str, **_options: object) -> str:
        """The file's content: the same name may hold a new path."""
        return hashlib.sha256(Path(folder_paths.get_annotated_filepath(file)).read_bytes()).hexdigest()

    @classmethod
    def execute(
        cls, file: str, format: str, fps: float, start_at_panorama: bool, scale: float
    ) -> io.NodeOutput:
        """Read, place, scale."""
        from ..pantheon_core.trajectory import read_trajectory

        trajectory = read_trajectory(
            folder_paths.get_annotated_filepath(file),
            format=None if format == _BY_CONTENT else format,
            fps=fps or None,
            rebase=start_at_panorama,
            scale=scale,
        )
        text = describe(trajectory, None, 0.0)
        show_text(cls.hidden.unique_id, text)
        return io.NodeOutput(trajectory, text, ui=ui.PreviewText(text))


class PantheonSaveTrajectory(io.ComfyNode):
    """A camera path into a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What to write, and where."""
        return schema(
            "PantheonSaveTrajectory",
            stage=_STAGE,
            display_name="Save Trajectory (360°)",
            description="Writes a camera path into ComfyUI's output folder, for Blender (glTF), nerfstudio, "
            "COLMAP and others.",
            search_aliases=["camera path", "export camera", "nerfstudio", "colmap", "gltf", "blender camera"],
            inputs=[
                Trajectory.Input("trajectory", tooltip="The path: one camera pose per frame."),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default="gltf",
                    tooltip="The program that will read it. gltf opens in Blender and most 3D programs.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="camera/pantheon360",
                    tooltip="Folder and beginning of the name inside ComfyUI's output folder.",
                ),
            ],
            outputs=[io.String.Output(display_name="path", tooltip="The file that was written.")],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, trajectory: CameraTrajectory, format: str, filename_prefix: str) -> io.NodeOutput:
        """Write it whole, under a name that was free."""
        from ..pantheon_core.trajectory import write_trajectory

        folder, name, counter, _, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory()
        )
        path = Path(folder) / f"{name}_{counter:05}_"
        # COLMAP knows its files by their names alone: they get a folder.
        path = path / "images.txt" if format == "colmap" else path.with_name(path.name + _ending(format))
        write_trajectory(trajectory, path, format=format)
        show_text(cls.hidden.unique_id, str(path))
        return io.NodeOutput(str(path), ui=ui.PreviewText(str(path)))


def _ending(format: str) -> str:
    """One file of everything where there is a choice: .glb rather than .gltf."""
    return FORMATS[format].suffixes[-1] if format == "gltf" else FORMATS[format].suffixes[0]
