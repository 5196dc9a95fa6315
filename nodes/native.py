"""The scaffold for ComfyUI's own samplers and Stable Video Diffusion models."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch
from comfy_api.latest import io

from .convert import to_image
from .schema import Scaffold, advanced, schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ..pantheon_core.apps import Scaffold as RenderedScaffold

VIEWS, WHOLE = "8 views", "whole picture"
EVERY, FIRST = "every frame", "first frame"


class PantheonNativeConditioning(io.ComfyNode):
    """What ComfyUI's KSampler needs to paint a scaffold with a Stable Video Diffusion MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The host's three networks, the scaffold, what the model was trained for."""
        return schema(
            "PantheonNativeConditioning",
            stage="5 Generate",
            display_name="Scaffold for KSampler (SVD)",
            description="Gives ComfyUI's own KSampler what it needs to paint the scaffold with a Stable "
            "Video Diffusion model: the model made seamless around the sphere, conditioning, and latents. "
            "Everything that works on a MODEL works with it.",
            search_aliases=["ksampler", "svd conditioning", "native", "image only checkpoint", "lora"],
            inputs=[
                io.Model.Input("model", tooltip="From Image Only Checkpoint Loader, patched as you like."),
                io.ClipVision.Input("clip_vision", tooltip="From the same loader."),
                io.Vae.Input("vae", tooltip="From the same loader."),
                Scaffold.Input("scaffold", tooltip="From Render Scaffold. It carries the true panoramas."),
                io.Combo.Input(
                    "conditioning",
                    options=[EVERY, FIRST],
                    default=FIRST,
                    tooltip="every frame: the model was trained on scaffolds and sees each one. first frame: "
                    "stock Stable Video Diffusion, which then follows the path by hold alone.",
                ),
                io.Combo.Input(
                    "tokens",
                    options=[VIEWS, WHOLE],
                    default=WHOLE,
                    tooltip="8 views: one token for each of eight perspective views around the horizon, as "
                    "the published method has it. whole picture: the photograph squeezed to a square.",
                ),
                io.Boolean.Input(
                    "hold",
                    default=True,
                    tooltip="Start from the scaffold and let the sampler change holes alone (a noise mask). "
                    "For stock models; switch it off for a model that was trained on scaffolds.",
                ),
                io.Float.Input(
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
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Noise on the conditioning frames before the model sees them.",
                ),
                advanced(
                    io.Int.Input,
                    "noise_seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    tooltip="Of that noise; drawn on the CPU.",
                ),
                advanced(
                    io.Boolean.Input,
                    "spherical",
                    default=True,
                    tooltip="Let the networks see around the left and right border, so that no seam shows.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="For KSampler."),
                io.Conditioning.Output(display_name="positive", tooltip="For KSampler."),
                io.Conditioning.Output(display_name="negative", tooltip="For KSampler."),
                io.Latent.Output(display_name="latent", tooltip="For KSampler, one per frame."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        clip_vision: Any,
        vae: Any,
        scaffold: RenderedScaffold,
        conditioning: str,
        tokens: str,
        hold: bool,
        motion_bucket: float,
        noise_aug: float,
        noise_seed: int,
        spherical: bool,
    ) -> io.NodeOutput:
        """Encode frames and photographs with the host's networks."""
        from ..pantheon_core.diffusion.conditioning import augment_frames
        from ..pantheon_core.diffusion.generate import place_anchors
        from ..pantheon_core.diffusion.hold import covered_cells
        from ..pantheon_core.render import pull_push

        frames, covered = place_anchors(scaffold.rgb, scaffold.coverage, scaffold.anchors, hole_value=0.0)
        seen = frames if conditioning == EVERY else frames[:1]
        generator = torch.Generator().manual_seed(noise_seed)
        concat = _encode(vae, augment_frames(seen, noise_aug, generator), spherical)
        embedded = _tokens(clip_vision, scaffold.anchors, tokens == VIEWS)
        told = {
            "motion_bucket_id": motion_bucket,
            "fps": scaffold.trajectory.fps,
            "augmentation_level": noise_aug,
        }
        positive = [[embedded, {**told, "concat_latent_image": concat}]]
        negative = [[torch.zeros_like(embedded), {**told, "concat_latent_image": torch.zeros_like(concat)}]]
        latent: dict[str, Tensor] = {"samples": concat.new_zeros(len(frames), *concat.shape[1:])}
        if hold:
            filled = pull_push(frames, covered, distance=scaffold.distance)
            latent["samples"] = _encode(vae, filled, spherical)
            # The host wants the mask in pixels; a cell counts as covered only if all of it is.
            cells = 1.0 - covered_cells(covered, frames.shape[-1] // concat.shape[-1], 1)
            scale = frames.shape[-1] // concat.shape[-1]
            latent["noise_mask"] = cells.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        return io.NodeOutput(_spherical_model(model) if spherical else model, positive, negative, latent)


def _encode(vae: Any, frames: Tensor, around: bool) -> Tensor:
    """Unscaled latents (T, C, h, w) of the host's autoencoder, a frame at a time: memory decides nothing."""
    from contextlib import ExitStack

    from ..pantheon_core.diffusion import spherical

    with ExitStack() as stack:
        if around:
            stack.enter_context(spherical(vae.first_stage_model))
        return torch.cat([vae.encode(to_image(frame[None])) for frame in frames])


def _tokens(clip_vision: Any, anchors: Sequence[Tensor], views: bool) -> Tensor:
    """(1, S, D) projected features, with the preprocessing that Stable Video Diffusion was trained with."""
    from ..pantheon_core.diffusion.conditioning import clip_pixels, panorama_crops

    size = clip_vision.image_size
    pictures = torch.cat(
        [
            panorama_crops(a, count=8, fov=math.pi / 2, size=size) if views else a[None].float()
            for a in anchors
        ]
    )
    comfy.model_management.load_model_gpu(clip_vision.patcher)
    pixels = clip_pixels(pictures, size).to(clip_vision.load_device)
    embedded = clip_vision.model(pixel_values=pixels, intermediate_output=-2)[2]
    return embedded.float().to(comfy.model_management.intermediate_device())[None]


def _spherical_model(model: Any) -> Any:
    """A clone whose UNet sees around the sphere while it is run, and is left as it was after every call."""
    from ..pantheon_core.diffusion import spherical

    patched = model.clone()
    inner = patched.model_options.get("model_function_wrapper")

    def call(apply_model: Any, args: dict[str, Any]) -> Tensor:
        with spherical(patched.model.diffusion_model):
            if inner is not None:
                return inner(apply_model, args)
            return apply_model(args["input"], args["timestep"], **args["c"])

    patched.set_model_unet_function_wrapper(call)
    return patched
