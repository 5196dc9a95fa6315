"""The result as a file."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import json
from pathlib import Path

import folder_paths
from comfy.cli_args import args
from comfy_api.latest import io, ui

from .convert import from_image
from .host import progress
from .schema import advanced, schema
from .viewer import UI_KEY, entry_of


class SaveERPVideo(io.ComfyNode):
    """An MP4 that players know as 360 degrees."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Frames, time, coding."""
        return schema(
            "SaveERPVideo",
            stage="6 Save",
            display_name="Save 360° Video",
            description="Writes an MP4 with spherical metadata (V1 and V2), which VR players and YouTube "
            "show as 360°, with the workflow inside: drop the file on the canvas to get it back.",
            search_aliases=[
                "save 360 video",
                "mp4",
                "vr video",
                "spherical metadata",
                "youtube 360",
                "export",
            ],
            inputs=[
                io.Image.Input("images", tooltip="The frames, twice as wide as high."),
                io.Float.Input(
                    "fps", default=7.0, min=0.1, max=120.0, step=0.1, tooltip="Frames per second of the file."
                ),
                *codec_inputs("video/pantheon360"),
                advanced(
                    io.Boolean.Input,
                    "spherical",
                    default=True,
                    tooltip="Mark the file as a 360° video. Switch it off for a flat one of any shape.",
                ),
                io.Audio.Input(
                    "audio", optional=True, tooltip="Sound for the video; it is cut to its length."
                ),
            ],
            outputs=[],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, images, fps: float, filename_prefix: str, codec: str, crf: int, spherical: bool, audio=None
    ) -> io.NodeOutput:
        """Encode frame by frame; the file gets its name when it is complete."""
        from ..pantheon_core.video import VideoWriter

        height, width = images.shape[1:3]
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), width, height
        )
        file = f"{name}_{counter:05}_.mp4"
        report = progress(len(images))
        with VideoWriter(
            Path(folder) / file,
            fps=fps,
            codec=codec,
            crf=crf,
            spherical=spherical,
            metadata=workflow_of(cls.hidden),
            audio=None if audio is None else (audio["waveform"][0], int(audio["sample_rate"])),
        ) as writer:
            for index in range(len(images)):
                report(index, len(images))
                writer.write(from_image(images[index : index + 1])[0])
        report(len(images), len(images))
        saved = ui.SavedResult(file, subfolder, io.FolderType.output)
        seen = entry_of(Path(folder) / file, "images", folder=io.FolderType.output, spherical=spherical)
        return io.NodeOutput(ui={**ui.PreviewVideo([saved]).as_dict(), UI_KEY: [seen]})


def codec_inputs(prefix: str) -> list[io.Input]:
    """Where a video goes and how it is coded."""
    return [
        io.String.Input(
            "filename_prefix",
            default=prefix,
            tooltip="Folder and beginning of the name inside ComfyUI's output folder. "
            "%date:yyyy-MM-dd% and the like are filled in.",
        ),
        io.Combo.Input(
            "codec",
            options=["h264", "h265", "av1"],
            default="h264",
            tooltip="H.264 plays everywhere; H.265 and AV1 are smaller.",
        ),
        io.Int.Input(
            "crf",
            default=18,
            min=0,
            max=51,
            tooltip="Quality: lower is better and larger. 18 is hard to tell from the original.",
        ),
    ]


def workflow_of(hidden) -> dict[str, str] | None:
    """Prompt and workflow as the frontend reads them back, unless the host was told to leave them out."""
    if args.disable_metadata or hidden is None:
        return None
    found = dict(hidden.extra_pnginfo or {})
    if hidden.prompt is not None:
        found["prompt"] = hidden.prompt
    return {key: json.dumps(value) for key, value in found.items()}
