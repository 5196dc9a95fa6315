"""One photograph, a path, a video: the stages one by one.

python examples/01_walk_from_one_photo.py photo.jpg walk.mp4
"""

from __future__ import annotations

import sys
from pathlib import Path

from pantheon_core.apps import Stages, walk_scaffold
from pantheon_core.assets import sample_panoramas, weights_path
from pantheon_core.diffusion import SamplerSettings, generate, load_model
from pantheon_core.panorama import load_panorama
from pantheon_core.recon import ReconSettings, get_backend
from pantheon_core.trajectory import interpolate, preset_path
from pantheon_core.video import write_video


def main(photo: Path, out: Path, *, height: int = 256, frames: int = 14, steps: int = 15) -> None:
    """Walk 0.6 m forward from a photograph."""
    trajectory = interpolate(preset_path("forward", frames=frames, fps=7, distance=0.6))
    walk = walk_scaffold(
        load_panorama(photo),
        trajectory,
        get_backend("tiny"),
        height=height,
        settings=ReconSettings(),
        stages=Stages(),
    )
    scaffold = walk.scaffold
    print(f"{100 * float((~scaffold.coverage).float().mean()):.1f} % of the scaffold is holes")
    video = generate(
        load_model(weights_path("pantheon_tiny")),
        scaffold.rgb,
        scaffold.coverage,
        scaffold.anchors,
        distance=scaffold.distance,
        settings=SamplerSettings(steps=steps, guidance_max=1.0, seed=1),
    )
    write_video(out, video.frames, fps=7)


if __name__ == "__main__":
    photo, out = (*sys.argv[1:], *[None] * 2)[:2]
    main(Path(photo) if photo else sample_panoramas()["hotel_room"], Path(out or "output/example_01.mp4"))
