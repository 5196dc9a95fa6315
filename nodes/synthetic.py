"""Made-up scenes with known geometry: something to try the rest on, and ground truth."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import torch
from comfy_api.latest import io

from .convert import grey_to_image, to_image
from .host import progress
from .schema import Panorama, schema
from .types import PlacedPanorama


class SyntheticPanoramas(io.ComfyNode):
    """Two panoramas of a procedural scene with exact distances and poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A seed and a size."""
        return schema(
            "PantheonSyntheticPanoramas",
            stage="1 Panorama",
            display_name="Synthetic Panoramas (360°)",
            description="Ray-traces a made-up scene from two places that see each other. Poses, distances "
            "and sky are exact, so that no depth has to be estimated. For trying out and measuring.",
            search_aliases=["procedural panorama", "test scene", "ground truth depth"],
            inputs=[
                io.Combo.Input(
                    "kind",
                    options=["room", "street", "garden", "any"],
                    default="room",
                    tooltip="What sort of scene to make.",
                ),
                io.Int.Input(
                    "scene_seed",
                    default=3,
                    min=0,
                    max=2**31 - 1,
                    tooltip="Each number gives another scene; the same number the same one.",
                ),
                io.Int.Input(
                    "height",
                    default=256,
                    min=64,
                    max=2048,
                    step=32,
                    tooltip="Height of the panoramas in pixels; the width is twice that.",
                ),
                io.Float.Input(
                    "reach",
                    default=2.0,
                    min=0.2,
                    max=20.0,
                    step=0.1,
                    tooltip="How far from the first panorama the second may stand, in metres.",
                ),
            ],
            outputs=[
                Panorama.Output(
                    display_name="panoramas", tooltip="Both panoramas at their places, with their distances."
                ),
                io.Image.Output(display_name="images", tooltip="The two pictures as a batch."),
                io.Image.Output(
                    display_name="inverse_distance",
                    tooltip="One divided by the distance in metres (0 on the sky), as a batch of two.",
                ),
            ],
        )

    @classmethod
    def execute(cls, kind: str, scene_seed: int, height: int, reach: float) -> io.NodeOutput:
        """Make the scene, find a second place, trace both."""
        import numpy as np

        from ..pantheon_core.recon import DistanceEstimate
        from ..pantheon_core.synthetic import free_position, generate_scene, trace

        report = progress()
        scene = generate_scene(scene_seed, kind)
        second = torch.eye(4)
        second[:3, 3] = free_position(scene, np.random.default_rng(scene_seed), reach=reach)
        poses = (torch.eye(4), second)
        frames = []
        for index, pose in enumerate(poses):
            report(index, len(poses))
            frames.append(trace(scene, pose, height, samples=2))
        report(len(poses), len(poses))
        placed = tuple(
            PlacedPanorama(
                name=f"{kind} {scene_seed}, {name}",
                rgb=frame.rgb,
                valid=torch.ones_like(frame.valid),
                T_world_cam=pose,
                known=DistanceEstimate(
                    distance=frame.distance,
                    confidence=torch.ones_like(frame.distance),
                    sky=frame.sky.float(),
                    valid=frame.valid,
                    metric=True,
                ),
            )
            for name, pose, frame in zip(("first", "second"), poses, frames, strict=True)
        )
        images = torch.stack([frame.rgb for frame in frames])
        inverse = torch.stack([torch.where(f.valid, 1 / f.distance.clamp_min(1e-6), 0.0) for f in frames])
        return io.NodeOutput(placed, to_image(images), grey_to_image(inverse))
