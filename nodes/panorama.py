"""Panoramas into the graph, and where each was taken."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import io

from .convert import from_image, to_image
from .host import SAMPLES_FOLDER
from .schema import Panorama, advanced, schema
from .types import PlacedPanorama

_STAGE = "1 Panorama"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".exr", ".hdr")
_PANORAMA_TIP = "One or more panoramas with their positions. Goes into Build 3D Cache."


def _list_images() -> list[str]:
    """Pictures in the input folder and, with their folder, the bundled samples."""
    root = Path(folder_paths.get_input_directory())
    names: list[str] = []
    for folder, prefix in ((root, ""), (root / SAMPLES_FOLDER, f"{SAMPLES_FOLDER}/")):
        files = folder.iterdir() if folder.is_dir() else ()
        names += sorted(prefix + path.name for path in files if path.suffix.lower() in _SUFFIXES)
    return names


class LoadPanorama(io.ComfyNode):
    """A 360 degree photograph from a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The host asks for this on every listing, so new files appear on refresh."""
        names = _list_images()
        sample = f"{SAMPLES_FOLDER}/hotel_room.jpg"
        # None is the host's own default for a list that may be empty, though its types say otherwise.
        default: Any = sample if sample in names else None
        return schema(
            "LoadPanorama",
            stage=_STAGE,
            display_name="Load Panorama (360°)",
            description="Loads a 360° photograph (equirectangular, 2:1). Reads its panorama metadata, "
            "places a cropped panorama on the full sphere, and levels the horizon.",
            search_aliases=["360", "equirectangular", "photosphere", "load 360 image", "panorama"],
            inputs=[
                io.Combo.Input(
                    "image",
                    options=names,
                    default=default,
                    upload=io.UploadType.image,
                    image_folder=io.FolderType.input,
                    tooltip="The photograph: JPEG, PNG, WebP, TIFF, EXR or HDR. The files under "
                    "pantheon360/ come with the pack (CC0).",
                ),
                io.Int.Input(
                    "height",
                    default=512,
                    min=64,
                    max=8192,
                    step=32,
                    tooltip="Height in pixels that the picture is resized to; its width is twice that. "
                    "The 3D cache gets one point per pixel, so 512 gives half a million.",
                ),
                io.Float.Input(
                    "yaw_deg",
                    default=0.0,
                    min=-180.0,
                    max=180.0,
                    step=1.0,
                    tooltip="Turns the view to the right by this many degrees. The middle of the turned "
                    "picture is 'forward' for camera paths.",
                ),
                io.Boolean.Input(
                    "level_by_file",
                    default=False,
                    tooltip="Level by the tilt that the camera recorded in the file, instead of the two "
                    "angles below.",
                ),
                io.Float.Input(
                    "pitch_deg",
                    default=0.0,
                    min=-90.0,
                    max=90.0,
                    step=0.1,
                    tooltip="Levels a camera that looked up (positive) or down by this many degrees.",
                ),
                io.Float.Input(
                    "roll_deg",
                    default=0.0,
                    min=-180.0,
                    max=180.0,
                    step=0.1,
                    tooltip="Levels a camera that was tilted clockwise (positive) by this many degrees.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The levelled panorama as a picture."),
                Panorama.Output(display_name="panorama", tooltip=_PANORAMA_TIP),
            ],
        )

    @classmethod
    def validate_inputs(cls, image: str | None = None) -> bool | str:
        """Say what is wrong with the file before anything runs."""
        if image is None:  # it comes from another node
            return True
        if not image:
            return "No panorama is chosen. Upload a 360° photograph with the button on the node."
        if not folder_paths.exists_annotated_filepath(image):
            return (
                f"The panorama '{image}' is not in the input folder. Upload it again, or choose another file."
            )
        return True

    @classmethod
    def fingerprint_inputs(cls, image: str, **_options: object) -> str:
        """The file's content: the same name may hold a new picture."""
        return hashlib.sha256(Path(folder_paths.get_annotated_filepath(image)).read_bytes()).hexdigest()

    @classmethod
    def execute(
        cls, image: str, height: int, yaw_deg: float, level_by_file: bool, pitch_deg: float, roll_deg: float
    ) -> io.NodeOutput:
        """Read, place on the sphere, level, resize."""
        from ..pantheon_core.panorama import load_panorama

        path = Path(folder_paths.get_annotated_filepath(image))
        found = load_panorama(
            path,
            height=height,
            roll=None if level_by_file else math.radians(roll_deg),
            pitch=None if level_by_file else math.radians(pitch_deg),
            yaw=math.radians(yaw_deg),
        )
        placed = PlacedPanorama(
            name=path.stem,
            rgb=found.rgb,
            valid=found.valid,
            T_world_cam=torch.eye(4),
            heading=found.heading,
            metadata=found.metadata,
        )
        return io.NodeOutput(to_image(found.rgb), (placed,))


class PanoramaFromImage(io.ComfyNode):
    """An IMAGE from another node as a panorama."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """One picture in, one panorama out."""
        return schema(
            "PantheonPanoramaFromImage",
            stage=_STAGE,
            display_name="Panorama from Image (360°)",
            description="Takes a 2:1 equirectangular picture, for instance one that another model "
            "generated, as a panorama.",
            search_aliases=["image to panorama", "equirectangular from image"],
            inputs=[
                io.Image.Input(
                    "image", tooltip="One equirectangular picture, exactly twice as wide as high."
                ),
            ],
            outputs=[Panorama.Output(display_name="panorama", tooltip=_PANORAMA_TIP)],
        )

    @classmethod
    def execute(cls, image) -> io.NodeOutput:
        """Check it and take it."""
        from ..pantheon_core.errors import InputError
        from ..pantheon_core.panorama import panorama_from_image

        if len(image) != 1:
            raise InputError(
                f"image: expected one picture, got a batch of {len(image)}. Pick one with Image From Batch."
            )
        found = panorama_from_image(from_image(image)[0])
        placed = PlacedPanorama(name="image", rgb=found.rgb, valid=found.valid, T_world_cam=torch.eye(4))
        return io.NodeOutput((placed,))


class PlacePanorama(io.ComfyNode):
    """Where a panorama was taken, relative to the first one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Six numbers."""

        def metres(name: str, tip: str) -> io.Float.Input:
            return io.Float.Input(name, default=0.0, min=-1000.0, max=1000.0, step=0.01, tooltip=tip)

        def degrees(name: str, tip: str) -> io.Float.Input:
            return advanced(io.Float.Input, name, default=0.0, min=-180.0, max=180.0, step=0.1, tooltip=tip)

        return schema(
            "PantheonPlacePanorama",
            stage=_STAGE,
            display_name="Place Panorama (360°)",
            description="Says where the camera of a panorama stood, measured from the first panorama of "
            "the scene.",
            search_aliases=["panorama pose", "camera position"],
            inputs=[
                Panorama.Input("panorama", tooltip="The panorama to place. It must be a single one."),
                metres("right", "Metres to the right of the first panorama (negative: to the left)."),
                metres("up", "Metres above the first panorama (negative: below)."),
                metres("forward", "Metres ahead of the first panorama, along the middle of its picture."),
                degrees("yaw_deg", "Degrees that its camera was turned to the right."),
                degrees("pitch_deg", "Degrees that its camera looked up."),
                degrees("roll_deg", "Degrees that its camera was tilted clockwise."),
            ],
            outputs=[Panorama.Output(display_name="panorama", tooltip="The panorama at its place.")],
        )

    @classmethod
    def execute(
        cls,
        panorama: tuple[PlacedPanorama, ...],
        right: float,
        up: float,
        forward: float,
        yaw_deg: float,
        pitch_deg: float,
        roll_deg: float,
    ) -> io.NodeOutput:
        """Replace the pose."""
        from ..pantheon_core.errors import InputError
        from ..pantheon_core.geometry import rotation_from_yaw_pitch_roll, se3_from

        if len(panorama) != 1:
            raise InputError(
                f"panorama: expected a single one, got {len(panorama)}. Place each before Join Panoramas."
            )
        angles = [torch.tensor(math.radians(angle)) for angle in (yaw_deg, pitch_deg, roll_deg)]
        pose = se3_from(rotation_from_yaw_pitch_roll(*angles), torch.tensor([right, -up, forward]))
        return io.NodeOutput((dataclasses.replace(panorama[0], T_world_cam=pose),))


class JoinPanoramas(io.ComfyNode):
    """Several placed panoramas of one scene."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Two, and two more on demand."""
        more = "Another panorama of the same scene, at its place."
        return schema(
            "PantheonJoinPanoramas",
            stage=_STAGE,
            display_name="Join Panoramas (360°)",
            description="Collects panoramas of one scene, in the order in which a path visits them.",
            search_aliases=["panorama list", "merge panoramas", "street view"],
            inputs=[
                Panorama.Input("first", tooltip="The panorama that defines the scene's origin."),
                Panorama.Input("second", tooltip="The next panorama, at its place (Place Panorama)."),
                Panorama.Input("third", optional=True, tooltip=more),
                Panorama.Input("fourth", optional=True, tooltip=more),
            ],
            outputs=[Panorama.Output(display_name="panoramas", tooltip=_PANORAMA_TIP)],
        )

    @classmethod
    def execute(cls, first, second, third=(), fourth=()) -> io.NodeOutput:
        """One tuple of all."""
        return io.NodeOutput((*first, *second, *(third or ()), *(fourth or ())))
