"""Two panoramas with known poses and distances: fused from both ends.

python examples/02_between_two_panoramas.py between.mp4
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from pantheon_core.apps import Anchor, render_scaffold
from pantheon_core.assets import weights_path
from pantheon_core.cache import CacheSettings, cache_from_erp, merge_caches
from pantheon_core.diffusion import FusionSettings, SamplerSettings, generate, load_model
from pantheon_core.synthetic import generate_scene, scene_path, trace
from pantheon_core.trajectory import Trajectory
from pantheon_core.video import write_video


def main(out: Path, *, height: int = 256, frames: int = 14, steps: int = 15, seed: int = 1_000_003) -> None:
    """Interpolate between the ends of a path through a procedural room."""
    scene = generate_scene(seed, "room")
    poses = scene_path(scene, seed, frames, 7.0)
    caches, anchors = [], []
    for T_world_cam in (poses[0], poses[-1]):
        seen = trace(scene, T_world_cam, height, samples=2)
        caches.append(
            cache_from_erp(
                seen.rgb,
                seen.distance,
                seen.valid,
                sky=seen.sky,
                T_world_cam=T_world_cam,
                settings=CacheSettings(),
            )
        )
        anchors.append(Anchor(rgb=seen.rgb, valid=torch.ones_like(seen.valid), T_world_cam=T_world_cam))
    scaffold = render_scaffold(
        merge_caches(caches), Trajectory(T_world_cam=poses, fps=7.0), anchors, height=height
    )
    video = generate(
        load_model(weights_path("pantheon_tiny")),
        scaffold.rgb,
        scaffold.coverage,
        scaffold.anchors,
        distance=scaffold.distance,
        settings=SamplerSettings(steps=steps, guidance_max=1.0, seed=1),
        fusion=FusionSettings(weights="linear"),
    )
    write_video(out, video.frames, fps=7)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "output/example_02.mp4"))
