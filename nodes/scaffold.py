"""The cache along the path."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import torch
from comfy_api.latest import io

from ..pantheon_core.render import Backend
from ..pantheon_core.trajectory import Trajectory as CameraTrajectory
from .convert import grey_to_image, to_image, to_mask
from .host import progress
from .schema import Cache, Scaffold, Trajectory, advanced, schema
from .types import BuiltCache


class RenderERPScaffold(io.ComfyNode):
    """Renders the cache into one panorama per frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Scene, path, size."""
        return schema(
            "RenderERPScaffold",
            stage="4 Scaffold",
            display_name="Render Scaffold (360°)",
            description="Renders the 3D cache along the path: the scaffold that the model paints over. "
            "The first frame (and the last, if the path ends on a panorama) is the true photograph. "
            "Picture, mask and depth also serve any other video model.",
            search_aliases=["scaffold", "render panorama", "point cloud render", "warp", "reprojection"],
            inputs=[
                Cache.Input("cache", tooltip="The scene, from Build 3D Cache."),
                Trajectory.Input("trajectory", tooltip="The camera path."),
                io.Int.Input(
                    "height",
                    default=256,
                    min=64,
                    max=4096,
                    step=32,
                    tooltip="Height of the frames in pixels; the width is twice that. The bundled model "
                    "was made for 128 to 256.",
                ),
                advanced(
                    io.Combo.Input,
                    "renderer",
                    options=["auto", "warp", "torch"],
                    default="auto",
                    tooltip="Which of two implementations renders; they agree. Auto takes the fast one "
                    "that works.",
                ),
            ],
            outputs=[
                Scaffold.Output(display_name="scaffold", tooltip="For the Pantheon sampler."),
                io.Image.Output(display_name="images", tooltip="The rendered frames; holes are black."),
                io.Mask.Output(display_name="holes", tooltip="1 where nothing of the scene is known."),
                io.Image.Output(
                    display_name="inverse_distance",
                    tooltip="Depth for control models: white is nearest, black is the sky and holes.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, cache: BuiltCache, trajectory: CameraTrajectory, height: int, renderer: Backend
    ) -> io.NodeOutput:
        """Render frame by frame."""
        from ..pantheon_core.apps import Anchor, render_scaffold

        anchors = [
            Anchor(rgb=one.rgb, valid=one.valid, T_world_cam=one.T_world_cam) for one in cache.panoramas
        ]
        made = render_scaffold(
            cache.cache,
            trajectory,
            anchors,
            height=height,
            backend=renderer,
            progress=progress(len(trajectory)),
        )
        inverse = torch.where(made.distance > 0, 1 / made.distance.clamp_min(1e-6), 0.0)
        inverse = inverse / inverse.amax().clamp_min(1e-6)
        return io.NodeOutput(made, to_image(made.rgb), to_mask(~made.coverage), grey_to_image(inverse))
