"""360° video into the graph: key frames at their places, and the camera's path."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
import torch
from comfy_api.latest import io, ui

from .convert import to_image
from .host import progress, show_text
from .schema import Panorama, Trajectory, advanced, schema
from .types import PlacedPanorama

if TYPE_CHECKING:
    from ..pantheon_core.recon.video_in import VideoTrack

_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


def _list_videos() -> list[str]:
    folder = Path(folder_paths.get_input_directory())
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in files if path.suffix.lower() in _SUFFIXES)


class PantheonLoadPanoramaVideo(io.ComfyNode):
    """The camera of a 360° video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The host asks for this on every listing, so new files appear on refresh."""
        names = _list_videos()
        # None is the host's own default for a list that may be empty, though its types say otherwise.
        default: Any = names[0] if names else None
        return schema(
            "PantheonLoadPanoramaVideo",
            stage="1 Panorama",
            display_name="Load 360° Video",
            description="Finds the camera of a 360° video: picks sharp key frames that see different things, "
            "places them, and gives the pose of every frame. Needs the package pycolmap.",
            search_aliases=["360 video", "camera tracking", "slam", "match move", "stabilize", "key frames"],
            inputs=[
                io.Combo.Input(
                    "video",
                    options=names,
                    default=default,
                    upload=io.UploadType.video,
                    tooltip="An equirectangular video, twice as wide as high, from the input folder.",
                ),
                *_inputs_of_tracking(),
                io.Video.Input(
                    "video_input",
                    optional=True,
                    tooltip="A video of another node, used instead of the file.",
                ),
            ],
            outputs=[
                Panorama.Output(
                    display_name="panoramas",
                    tooltip="The key frames that got a place. Goes into Build 3D Cache.",
                ),
                Trajectory.Output(display_name="trajectory", tooltip="The camera's pose in every frame."),
                io.Image.Output(display_name="images", tooltip="The key frames as a batch."),
                io.String.Output(
                    display_name="report", tooltip="What was found: key frames, exactness, warnings."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, video: str | None = None) -> bool | str:
        """Say what is wrong with the file before anything runs."""
        if video and not folder_paths.exists_annotated_filepath(video):
            return f"The video '{video}' is not in the input folder. Upload it again, or choose another file."
        return True

    @classmethod
    def fingerprint_inputs(cls, video: str | None = None, **_options: object) -> str:
        """The file's time and size: videos are too large to be read for this."""
        if not video or not folder_paths.exists_annotated_filepath(video):
            return ""
        facts = Path(folder_paths.get_annotated_filepath(video)).stat()
        return f"{facts.st_mtime_ns} {facts.st_size}"

    @classmethod
    def execute(
        cls,
        video: str | None,
        height: int,
        parallax_deg: float,
        max_keys: int,
        path_length: float,
        lowest_deg: float,
        tracking_height: int,
        video_input: Any = None,
    ) -> io.NodeOutput:
        """Track, and pack what was found."""
        from ..pantheon_core.recon.video_in import TrackSettings, track_video

        settings = TrackSettings(
            height=height,
            tracking_height=tracking_height,
            parallax=math.radians(parallax_deg),
            max_keys=max_keys,
            lowest=math.radians(lowest_deg),
            path_length=path_length,
        )
        with _file_of(video, video_input) as path:
            track = track_video(path, settings=settings, progress=progress())
        text = track.report()
        show_text(cls.hidden.unique_id, text)
        images = torch.stack([key.rgb for key in track.keys])
        name = Path(video).stem if video else "video"
        return io.NodeOutput(
            _placed(track, name), track.trajectory, to_image(images), text, ui=ui.PreviewText(text)
        )


def _inputs_of_tracking() -> list[io.WidgetInput]:
    return [
        io.Int.Input(
            "height",
            default=512,
            min=128,
            max=4096,
            step=32,
            tooltip="Height in pixels of the key frames; smaller videos keep their size.",
        ),
        io.Float.Input(
            "parallax_deg",
            default=5.0,
            min=0.5,
            max=30.0,
            step=0.5,
            tooltip="A new key frame is taken when things have moved by so many degrees, beside the "
            "camera's turning. Less gives more key frames, slower and surer.",
        ),
        io.Int.Input(
            "max_keys",
            default=40,
            min=2,
            max=200,
            tooltip="Key frames at most; a longer video gets them farther apart.",
        ),
        io.Float.Input(
            "path_length",
            default=0.0,
            min=0.0,
            max=100000.0,
            step=0.1,
            tooltip="Metres that the camera went from the first to the last frame. 0: unknown, then the "
            "unit is arbitrary.",
        ),
        advanced(
            io.Float.Input,
            "lowest_deg",
            default=-60.0,
            min=-90.0,
            max=45.0,
            step=1.0,
            tooltip="Nothing below this latitude is used: there are the photographer and the tripod.",
        ),
        advanced(
            io.Int.Input,
            "tracking_height",
            default=256,
            min=64,
            max=1024,
            step=32,
            tooltip="Height in pixels of the pictures in which motion is measured. More is slower and a "
            "little more exact.",
        ),
    ]


@contextmanager
def _file_of(video: str | None, video_input: Any) -> Iterator[Path]:
    """The path of the video; one that another node made in memory becomes a file for as long as needed."""
    from ..pantheon_core.errors import InputError

    if video_input is None:
        if not video:
            raise InputError("video: expected a file or a connected video, got neither; choose a 360° video")
        yield Path(folder_paths.get_annotated_filepath(video))
        return
    source = video_input.get_stream_source()
    if isinstance(source, str):
        yield Path(source)
        return
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        copy = Path(place) / "video.mp4"
        with copy.open("wb") as file:
            shutil.copyfileobj(source, file)
        yield copy


def _placed(track: VideoTrack, name: str) -> tuple[PlacedPanorama, ...]:
    """The registered key frames; the first one alone where none is."""
    rows = [i for i, key in enumerate(track.keys) if key.registered] or [0]
    return tuple(
        PlacedPanorama(
            name=f"{name}, frame {track.keys[i].frame}",
            rgb=track.keys[i].rgb,
            valid=torch.ones(track.keys[i].rgb.shape[1:], dtype=torch.bool),
            T_world_cam=track.poses.T_world_cam[i],
        )
        for i in rows
    )
