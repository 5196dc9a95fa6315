"""How two anchors are blended."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

from comfy_api.latest import io

from .schema import Fusion, advanced, schema


class DualAnchorLatentFusion(io.ComfyNode):
    """Settings of the latent fusion between a start and an end panorama."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Weights over frames, and re-injected noise."""
        return schema(
            "DualAnchorLatentFusion",
            stage="5 Generate",
            display_name="Dual-Anchor Latent Fusion",
            description="For paths that end on a second panorama: the video is denoised forward from the "
            "start and backward from the end at once, and both are blended in every step. Doubles the "
            "time of sampling.",
            search_aliases=["time reversal fusion", "trf", "interpolation", "in-between", "two anchors"],
            inputs=[
                io.Combo.Input(
                    "weights",
                    options=["linear", "cosine", "sigmoid", "forward"],
                    default="linear",
                    tooltip="How the share of the start falls over the frames. Linear is the published "
                    "way; forward leaves the end out, to compare.",
                ),
                advanced(
                    io.Float.Input,
                    "sharpness",
                    default=10.0,
                    min=0.1,
                    max=100.0,
                    step=0.5,
                    tooltip="Of the sigmoid: how fast it changes over in the middle.",
                ),
                io.Int.Input(
                    "reinject_steps",
                    default=0,
                    min=0,
                    max=100,
                    tooltip="Length of the windows of steps that are repeated with fresh noise, to make "
                    "both ends agree. 0 repeats nothing; then reinject_repeats must be 0 too.",
                ),
                io.Int.Input(
                    "reinject_repeats",
                    default=0,
                    min=0,
                    max=20,
                    tooltip="How often each window is repeated. Each repeat costs its steps again.",
                ),
                io.Float.Input(
                    "reinject_until",
                    default=0.5,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="The windows lie in this first part of the steps.",
                ),
                advanced(
                    io.Float.Input,
                    "forward_below",
                    default=0.0,
                    min=0.0,
                    max=700.0,
                    step=0.05,
                    optional=True,
                    tooltip="Below this noise level only the path from the start is run: faster, and the "
                    "last details are one path's. 0 blends to the end. Sampling goes from 700 to 0.",
                ),
            ],
            outputs=[Fusion.Output(display_name="fusion", tooltip="For the Pantheon sampler.")],
        )

    @classmethod
    def validate_inputs(cls, reinject_steps: int = 0, reinject_repeats: int = 0) -> bool | str:
        """One without the other would do nothing."""
        for name, value, top in (
            ("reinject_steps", reinject_steps, 100),
            ("reinject_repeats", reinject_repeats, 20),
        ):
            if not 0 <= value <= top:
                return f"{name}: expected 0 to {top}, got {value}."
        if (reinject_steps == 0) != (reinject_repeats == 0):
            return (
                f"reinject_steps is {reinject_steps} and reinject_repeats is {reinject_repeats}: together "
                "they would do nothing. Set both to 0, or both to 1 or more."
            )
        return True

    @classmethod
    def execute(cls, **settings) -> io.NodeOutput:
        """The core's settings carry the same names."""
        from ..pantheon_core.diffusion import FusionSettings

        return io.NodeOutput(FusionSettings(**settings))
