"""The scaffold becomes a video."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import comfy.model_management
from comfy_api.latest import io

from .convert import to_image
from .host import show_text
from .live import LivePreview
from .schema import Fusion, Hold, Model, Scaffold, advanced, schema
from .types import LoadedModel

if TYPE_CHECKING:
    from ..pantheon_core.apps import Scaffold as RenderedScaffold
    from ..pantheon_core.diffusion import FusionSettings

# What an allocator's fragments and the kernels' scratch space come to beside the live tensors.
MEMORY_MARGIN = 1.1


class PantheonSampler(io.ComfyNode):
    """Denoises the video over its scaffold."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Model, scaffold, and the sampler's settings."""
        return schema(
            "PantheonSampler",
            stage="5 Generate",
            display_name="Pantheon Sampler (360°)",
            description="Paints the scaffold: fills what the photographs did not see, and makes the "
            "frames one video. Seamless around the sphere. The same seed gives the same video.",
            search_aliases=["ksampler", "360 video", "svd sampler", "generate panorama video"],
            inputs=[
                Model.Input("model", tooltip="From Load Pantheon Model."),
                Scaffold.Input("scaffold", tooltip="From Render Scaffold. It carries the true panoramas."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Of all noise; drawn on the CPU, so that it does not depend on the graphics "
                    "card.",
                ),
                io.Int.Input(
                    "steps", default=12, min=1, max=200, tooltip="Denoising steps. More is slower and finer."
                ),
                io.Float.Input(
                    "guidance_min",
                    default=1.0,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    tooltip="How strongly the first frame is held to the photograph. It rises over the "
                    "frames.",
                ),
                io.Float.Input(
                    "guidance_max",
                    default=1.0,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    tooltip="The same at the last frame. If both are 1, sampling takes half the time; "
                    "Stable Video Diffusion likes 3.",
                ),
                io.Float.Input(
                    "keep_scaffold",
                    default=-1.0,
                    min=-1.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How far the video keeps the scaffold's own pixels where it covers: 0 takes "
                    "the model's everywhere, 1 paints only the holes. -1 is what the model was made for.",
                ),
                *_expert_inputs(),
                Fusion.Input(
                    "fusion",
                    optional=True,
                    tooltip="From Dual-Anchor Latent Fusion, for a path that ends on a second panorama.",
                ),
                *_later_inputs(),
                Hold.Input(
                    "hold",
                    optional=True,
                    tooltip="From Hold to Scaffold, for Stable Video Diffusion as it is. Without it such a "
                    "model is held with the default values; models trained on scaffolds are not held.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The video's latents, one per frame."),
                io.Image.Output(display_name="images", tooltip="The video's frames."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: LoadedModel,
        scaffold: RenderedScaffold,
        keep_scaffold: float,
        fusion: FusionSettings | None = None,
        **settings,
    ) -> io.NodeOutput:
        """Let the host make room, sample with previews, unpack."""
        from ..pantheon_core.diffusion import SamplerSettings, VideoTask
        from ..pantheon_core.diffusion.generate import denoising_steps
        from ..pantheon_core.diffusion.memory import estimate_memory, generate_with_retry

        sampler = SamplerSettings(
            fps=scaffold.trajectory.fps,
            keep_scaffold=None if keep_scaffold < 0 else keep_scaffold,
            **settings,
        )
        frames, height, _ = scaffold.coverage.shape
        need = estimate_memory(model.model, frames, height, sampler)
        comfy.model_management.load_models_gpu(
            [model.patcher], memory_required=int(need.working * MEMORY_MARGIN), force_full_load=True
        )
        show_text(cls.hidden.unique_id, f"{need}; free: {_free_memory(model)}")
        live = LivePreview(cls.hidden.unique_id, denoising_steps(model.model.config, sampler, fusion))
        made = generate_with_retry(
            model.model,
            VideoTask(
                scaffold_rgb=scaffold.rgb,
                coverage=scaffold.coverage,
                anchors=scaffold.anchors,
                distance=scaffold.distance,
            ),
            settings=sampler,
            fusion=fusion,
            progress=live.report,
            preview=live.show,
        )
        # The host keeps latents unscaled, as its VAE decoder takes them.
        samples = made.latents[0] / model.model.scaling_factor
        return io.NodeOutput({"samples": samples}, to_image(made.frames))


def _free_memory(model: LoadedModel) -> str:
    free: Any = comfy.model_management.get_free_memory(model.patcher.load_device)
    return f"{free / 2**30:.1f} GiB"


def _expert_inputs() -> list[io.Input]:
    """What few need to change."""
    return [
        advanced(
            io.Boolean.Input,
            "spherical",
            default=True,
            tooltip="Let the network see around the left and right border, so that no seam shows.",
        ),
        advanced(
            io.Float.Input,
            "motion_bucket",
            default=127.0,
            min=0.0,
            max=255.0,
            step=1.0,
            tooltip="How much movement the model is told to expect.",
        ),
        advanced(
            io.Float.Input,
            "noise_aug",
            default=0.02,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Noise on the scaffold before the model sees it. More frees the model from its faults.",
        ),
        advanced(
            io.Int.Input,
            "decode_chunk",
            default=8,
            min=3,
            max=64,
            tooltip="Frames decoded together. Less needs less memory: for Stable Video Diffusion at 512x1024 "
            "about 2 GB a frame. If memory runs out, it is halved once.",
        ),
    ]


def _later_inputs() -> list[io.Input]:
    """Optional and behind the others: workflows made before they existed keep their values."""
    return [
        io.Combo.Input(
            "sampler",
            options=["euler", "heun", "dpmpp_2m", "dpmpp_2m_sde"],
            default="euler",
            optional=True,
            tooltip="euler is Stable Video Diffusion's own. heun is more exact and takes twice as "
            "long; dpmpp_2m is more exact at no cost; dpmpp_2m_sde adds fresh noise in every step.",
        ),
        io.Combo.Input(
            "schedule",
            options=["karras", "exponential", "align_your_steps"],
            default="karras",
            optional=True,
            tooltip="How the noise falls over the steps. karras is Stable Video Diffusion's own; "
            "exponential spends more steps on detail; align_your_steps is made for about 10 steps.",
        ),
        advanced(
            io.Combo.Input,
            "guidance_shape",
            options=["linear", "triangle", "constant"],
            default="linear",
            optional=True,
            tooltip="linear goes from guidance_min at the first frame to guidance_max at the last; "
            "triangle has guidance_max in the middle, for two panoramas; constant is guidance_max "
            "everywhere.",
        ),
        advanced(
            io.Boolean.Input,
            "guidance_together",
            default=False,
            optional=True,
            tooltip="Run the model with and without guidance in one batch: the same picture, faster "
            "on a graphics card that has the memory.",
        ),
    ]
