"""pantheon-tiny on photographs: what can be measured where there is no truth, and pictures to look at.

    python benchmarks/tiny_photos.py [PHOTO ...] [--weights FILE] [--height 256] [--json FILE] [--sheet JPG]

Each photograph is reconstructed by the bundled distance network and walked through in a straight line; its
holes are painted. Without a photograph named, the bundled ones. What is measured:

- holes: share of pixels that the model paints, in %.
- kept: largest difference of a covered pixel to the scaffold, 0 to 1: what could flicker there.
- seam: step over the ±180° column divided by the steps beside it, median over frames; and the scaffold's.
- border: step from a covered to a painted pixel divided by the steps between covered ones near holes, 1 where
  painting begins unseen; and that of plain pull-push.
- flicker: second difference over three frames where all three are painted, in grey levels; and pull-push's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tiny import metadata
from torch import Tensor

from pantheon_core.apps import Stages, save_png, walk_scaffold
from pantheon_core.assets import sample_panoramas, weights_path
from pantheon_core.diffusion import SamplerSettings, generate, load_model
from pantheon_core.geometry import resize_erp
from pantheon_core.metrics import seam_discontinuity
from pantheon_core.panorama import load_panorama
from pantheon_core.recon import ReconSettings, get_backend
from pantheon_core.render import pull_push
from pantheon_core.trajectory import interpolate, preset_path

NEAR = 4
"""Pixels; steps between covered pixels are taken so near to holes."""


def border_step(frames: Tensor, coverage: Tensor) -> float | None:
    """Mean step over the holes' borders divided by that between covered pixels near them, along rows.

    Args:
        frames: (T, 3, H, W).
        coverage: (T, H, W) bool.

    Returns:
        None without a hole.
    """
    step = (frames - frames.roll(-1, -1)).abs().mean(1)
    beside = coverage.roll(-1, -1)
    wide = torch.nn.functional.pad((~coverage).float(), (NEAR, NEAR), mode="circular")
    near = torch.nn.functional.max_pool1d(wide, 2 * NEAR + 1, stride=1) > 0
    over, among = coverage ^ beside, coverage & beside & near
    return float(step[over].mean() / step[among].mean()) if over.any() and among.any() else None


def flicker(frames: Tensor, coverage: Tensor) -> float | None:
    """Mean second difference over time in grey levels, where three frames in a row are painted; else None."""
    painted = ~(coverage[:-2] | coverage[1:-1] | coverage[2:])
    second = (frames[:-2] - 2 * frames[1:-1] + frames[2:]).abs().mean(1)
    return float(255 * second[painted].mean()) if painted.any() else None


def walk(path: Path, model, options: argparse.Namespace) -> tuple[dict[str, Any], list[Tensor]]:
    """Figures of one photograph, and its pictures: photograph, last scaffold, last frame."""
    panorama = load_panorama(path, height=2 * options.height)
    trajectory = interpolate(
        preset_path(options.path, frames=options.frames, fps=7.0, distance=options.distance)
    )
    made = walk_scaffold(
        panorama,
        trajectory,
        get_backend("tiny"),
        height=options.height,
        settings=ReconSettings(),
        stages=Stages(),
    ).scaffold
    settings = SamplerSettings(steps=options.steps, guidance_min=1.0, guidance_max=1.0, autocast=True)
    start = time.process_time()
    video = generate(
        model, made.rgb, made.coverage, made.anchors, distance=made.distance, settings=settings
    ).frames
    seconds = time.process_time() - start
    plain = pull_push(made.rgb, made.coverage)
    covered = made.coverage[:, None].expand_as(video)
    figures = {
        "photo": path.stem,
        "holes": 100 * float((~made.coverage).float().mean()),
        "kept": float((video - made.rgb).abs()[covered].max()),
        "seam": float(seam_discontinuity(video).median()),
        "seam_scaffold": float(seam_discontinuity(made.rgb).median()),
        "border": border_step(video, made.coverage),
        "border_pull_push": border_step(plain, made.coverage),
        "flicker": flicker(video, made.coverage),
        "flicker_pull_push": flicker(plain, made.coverage),
        "seconds": seconds,
    }
    return figures, [resize_erp(panorama.rgb, options.height), made.rgb[-1], video[-1]]


def write_sheet(rows: list[list[Tensor]], path: Path) -> None:
    """One row per photograph; JPEG where the name says so."""
    gap = 4
    picture = torch.cat(
        [torch.cat([torch.nn.functional.pad(c, (0, gap, 0, gap)) for c in row], -1) for row in rows], 1
    )
    if path.suffix == ".png":
        save_png(picture, path)
        return
    pixels = (picture.permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    Image.fromarray(pixels).save(path, quality=88)


def main() -> None:
    """Run and print or write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="*", type=Path, help="panoramas; default the bundled ones")
    parser.add_argument("--weights", type=Path, default=None, help="checkpoint; default: the bundled one")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--frames", type=int, default=14)
    parser.add_argument("--path", default="forward", help="preset with a length")
    parser.add_argument("--distance", type=float, default=0.8, help="length of the path in metres")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    parser.add_argument("--sheet", type=Path, default=None, help="write pictures here (.png, .jpg)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.weights or weights_path("pantheon_tiny"))
    rows, pictures = [], []
    for path in options.photos or sorted(sample_panoramas().values()):
        figures, shown = walk(path, model, options)
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}, flush=True)
        rows.append(figures)
        pictures.append(shown)
    keys = [key for key in rows[0] if key != "photo"]
    known = {key: [row[key] for row in rows if row[key] is not None] for key in keys}
    median = {key: statistics.median(values) for key, values in known.items() if values}
    print("median", {key: round(value, 3) for key, value in median.items()})
    if options.json:
        names = ("height", "frames", "path", "distance", "steps")
        settings = {name: getattr(options, name) for name in names}
        report = {"median": median, "photos": rows, "settings": settings, "meta": metadata()}
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    if options.sheet:
        write_sheet(pictures, options.sheet)


if __name__ == "__main__":
    main()
