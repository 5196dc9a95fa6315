"""A video of any length, straight to a file."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import comfy.model_management
import folder_paths
from comfy_api.latest import InputImpl, io, ui

from ..pantheon_core.trajectory import Trajectory as CameraTrajectory
from .host import progress, show_text
from .live import LivePreview
from .sample import MEMORY_MARGIN
from .schema import Cache, Fusion, Hold, Model, Trajectory, advanced, schema
from .types import BuiltCache, LoadedModel
from .video import codec_inputs, workflow_of
from .viewer import UI_KEY, entry_of

if TYPE_CHECKING:
    from ..pantheon_core.apps.long import LongSettings
    from ..pantheon_core.diffusion import FusionSettings, HoldSettings

_WORK = "pantheon360_windows"
"""Folder in the output folder; a run that was stopped goes on there."""


class PantheonLongVideo(io.ComfyNode):
    """Scaffold, generation and saving window by window."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Scene, path and model; windows; coding."""
        return schema(
            "PantheonLongVideo",
            stage="6 Save",
            display_name="Long 360° Video",
            description="Paints a path of any length in windows that go on from one another, and writes the "
            "video. Memory does not grow with the length. Every finished window is on disk: a run that was "
            "stopped goes on where it was when it is queued again with the same inputs.",
            search_aliases=["long video", "endless", "chain", "context windows", "resume", "many frames"],
            inputs=[
                Model.Input("model", tooltip="From Load Pantheon Model."),
                Cache.Input("cache", tooltip="The scene, from Build 3D Cache."),
                Trajectory.Input("trajectory", tooltip="The camera path, of any number of frames."),
                io.Int.Input(
                    "height",
                    default=256,
                    min=64,
                    max=4096,
                    step=32,
                    tooltip="Height of the frames in pixels; the width is twice that.",
                ),
                io.Int.Input(
                    "window",
                    default=0,
                    min=0,
                    max=200,
                    tooltip="Frames painted at once; 0 takes the number that the model was made for.",
                ),
                io.Int.Input(
                    "overlap",
                    default=2,
                    min=1,
                    max=50,
                    tooltip="Frames that a window shares with the one before; the latents fade over there.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    tooltip="Of all noise; every window has a seed of its own, made from it. A run that was "
                    "stopped goes on with the same one.",
                ),
                io.Int.Input("steps", default=12, min=1, max=200, tooltip="Denoising steps of every window."),
                *_guidance_inputs(),
                *codec_inputs("video/pantheon360_long"),
                Fusion.Input(
                    "fusion",
                    optional=True,
                    tooltip="From Dual-Anchor Latent Fusion, for windows that end on a panorama.",
                ),
                Hold.Input(
                    "hold", optional=True, tooltip="From Hold to Scaffold, for stock Stable Video Diffusion."
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The finished file.")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, window: int = 0, overlap: int = 2) -> bool | str:
        """A window must bring new frames."""
        if window and overlap >= window:
            return f"overlap is {overlap} and window is {window}: expected a smaller overlap than the window."
        return True

    @classmethod
    def execute(
        cls,
        model: LoadedModel,
        cache: BuiltCache,
        trajectory: CameraTrajectory,
        height: int,
        window: int,
        overlap: int,
        filename_prefix: str,
        codec: str,
        crf: int,
        keep_scaffold: float,
        fusion: FusionSettings | None = None,
        hold: HoldSettings | None = None,
        **sampler,
    ) -> io.NodeOutput:
        """Windows to disk, then all of them through the encoder."""
        from ..pantheon_core.apps.long import LongSettings
        from ..pantheon_core.diffusion import SamplerSettings

        settings = LongSettings(
            height=height,
            window=window,
            overlap=overlap,
            fusion=fusion,
            sampler=SamplerSettings(
                fps=trajectory.fps,
                keep_scaffold=None if keep_scaffold < 0 else keep_scaffold,
                hold=hold,
                **sampler,
            ),
        )
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), 2 * height, height
        )
        path = Path(folder) / f"{name}_{counter:05}_.mp4"
        text = _generate(model, cache, trajectory, settings, path, codec=codec, crf=crf, hidden=cls.hidden)
        show_text(cls.hidden.unique_id, text)
        saved = ui.SavedResult(path.name, subfolder, io.FolderType.output)
        seen = entry_of(path, "images", folder=io.FolderType.output, spherical=True)
        shown = {**ui.PreviewVideo([saved]).as_dict(), UI_KEY: [seen]}
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)), ui=shown)


def _generate(
    model: LoadedModel,
    cache: BuiltCache,
    trajectory: CameraTrajectory,
    settings: LongSettings,
    path: Path,
    *,
    codec: str,
    crf: int,
    hidden,
) -> str:
    """Paint, encode, tidy up; returns what was made."""
    from ..pantheon_core.apps import Anchor
    from ..pantheon_core.apps.long import generate_long, run_fingerprint
    from ..pantheon_core.diffusion.generate import denoising_steps
    from ..pantheon_core.diffusion.memory import estimate_memory
    from ..pantheon_core.video import write_video

    anchors = [Anchor(rgb=one.rgb, valid=one.valid, T_world_cam=one.T_world_cam) for one in cache.panoramas]
    size = min(settings.window or model.model.config.frames, len(trajectory))
    need = estimate_memory(model.model, size, settings.height, settings.sampler)
    comfy.model_management.load_models_gpu(
        [model.patcher], memory_required=int(need.working * MEMORY_MARGIN), force_full_load=True
    )
    inputs = (model.model, cache.cache, trajectory, anchors)
    work = Path(folder_paths.get_output_directory()) / _WORK / run_fingerprint(*inputs, settings)[:16]
    live = LivePreview(
        hidden.unique_id, denoising_steps(model.model.config, settings.sampler, settings.fusion)
    )
    made = generate_long(
        *inputs,
        work,
        settings=settings,
        progress=live.report,
        preview=lambda window, windows, step, frames: live.show(step, frames, window=window, windows=windows),
    )
    write_video(
        path,
        made.frames(),
        fps=trajectory.fps,
        codec=codec,
        crf=crf,
        metadata=workflow_of(hidden),
        progress=progress(len(trajectory)),
        total=len(trajectory),
    )
    made.store.remove()
    holes = 100 * (1 - float(made.coverage.mean()))
    return (
        f"{len(trajectory)} frames in {len(made.store.windows)} windows, {holes:.1f} % holes in the scaffold"
    )


def _guidance_inputs() -> list[io.Input]:
    """As of the Pantheon sampler."""
    return [
        io.Float.Input(
            "guidance_min",
            default=1.0,
            min=0.0,
            max=20.0,
            step=0.1,
            tooltip="Guidance at the first frame of each window.",
        ),
        io.Float.Input(
            "guidance_max",
            default=1.0,
            min=0.0,
            max=20.0,
            step=0.1,
            tooltip="The same at the last frame. If both are 1, sampling takes half the time.",
        ),
        io.Float.Input(
            "keep_scaffold",
            default=-1.0,
            min=-1.0,
            max=1.0,
            step=0.05,
            tooltip="How far the video keeps the scaffold's own pixels where it covers, which also keeps a "
            "chain of windows from drifting. -1 is what the model was made for.",
        ),
        advanced(
            io.Int.Input,
            "decode_chunk",
            default=8,
            min=3,
            max=64,
            tooltip="Frames decoded together. Less needs less memory.",
        ),
    ]
