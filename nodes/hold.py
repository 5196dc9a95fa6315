"""How a model that never saw scaffolds is made to follow one."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

from comfy_api.latest import io

from .schema import Hold, advanced, schema


class PantheonHoldScaffold(io.ComfyNode):
    """Settings of the training-free mode: covered parts are held while denoising."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """How strongly, until when, and repeated steps."""
        return schema(
            "PantheonHoldScaffold",
            stage="5 Generate",
            display_name="Hold to Scaffold (stock SVD)",
            description="For Stable Video Diffusion as it is, which was never trained on scaffolds: wherever "
            "the scaffold covers, the video is held to it while the noise is high, and let go at the end so "
            "that texture settles. Such models are held with these defaults even without this node.",
            search_aliases=["stock svd", "training free", "sdedit", "repaint", "svd_xt"],
            inputs=[
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="The scaffold's share in covered parts at high noise. 0 switches holding off: "
                    "the model then sees the first frame alone and goes its own way.",
                ),
                io.Float.Input(
                    "full_above",
                    default=1.0,
                    min=0.001,
                    max=700.0,
                    step=0.05,
                    tooltip="Noise level above which the whole strength holds. Sampling goes from 700 to 0.",
                ),
                io.Float.Input(
                    "release_below",
                    default=0.1,
                    min=0.001,
                    max=700.0,
                    step=0.01,
                    tooltip="Noise level below which the model is free. Lower keeps closer to the scaffold, "
                    "with its blur and its errors; higher lets the model repaint more.",
                ),
                advanced(
                    io.Int.Input,
                    "shrink",
                    default=0,
                    min=0,
                    max=16,
                    tooltip="Covered parts are shrunk by so many cells of 8 pixels: beside a hole they are "
                    "blurred with what fills it.",
                ),
                advanced(
                    io.Int.Input,
                    "reinject_steps",
                    default=0,
                    min=0,
                    max=100,
                    tooltip="Length of windows of steps that are repeated with fresh noise, so that painted "
                    "and held parts agree. 0 repeats nothing; then reinject_repeats must be 0 too.",
                ),
                advanced(
                    io.Int.Input,
                    "reinject_repeats",
                    default=0,
                    min=0,
                    max=20,
                    tooltip="How often each window is repeated. Each repeat costs its steps again.",
                ),
                advanced(
                    io.Float.Input,
                    "reinject_until",
                    default=0.5,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="The windows lie in this first part of the steps.",
                ),
            ],
            outputs=[Hold.Output(display_name="hold", tooltip="For the Pantheon sampler.")],
        )

    @classmethod
    def validate_inputs(
        cls,
        full_above: float = 1.0,
        release_below: float = 0.1,
        reinject_steps: int = 0,
        reinject_repeats: int = 0,
    ) -> bool | str:
        """Noise levels in their order; one number of the repeats without the other would do nothing."""
        if (reinject_steps == 0) != (reinject_repeats == 0):
            return (
                f"reinject_steps is {reinject_steps} and reinject_repeats is {reinject_repeats}: together "
                "they would do nothing. Set both to 0, or both to 1 or more."
            )
        if not 0 < release_below <= full_above:
            return (
                f"release_below is {release_below} and full_above is {full_above}: expected 0 < "
                "release_below <= full_above. Lower release_below."
            )
        return True

    @classmethod
    def execute(cls, **settings) -> io.NodeOutput:
        """The core's settings carry the same names."""
        from ..pantheon_core.diffusion import HoldSettings

        return io.NodeOutput(HoldSettings(**settings))
