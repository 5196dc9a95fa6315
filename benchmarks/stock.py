"""The training-free mode: a first-frame model held to the scaffold, on held-out scenes.

    python benchmarks/stock.py --weights STOCK.safetensors [--count 2] [--steps 12] [--json FILE]
                               [--sheet PNG]

The weights are those of a model that was trained on first frames alone, as stock Stable Video Diffusion is
(`conditioning = "first_frame"`, see docs/training.md). Against it stand its plain sampling, and
pantheon-tiny, which was trained on scaffolds. Scored as the network paints, not put back on the scaffold,
besides where it says so.

Figures: PSNR and SSIM on 8 crops, PSNR over covered pixels (how well the path is followed) and over holes,
warping error (x 1000, by the true geometry) everywhere and in covered parts.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from held_out import KINDS, make_video, means, metadata, score, table

from pantheon_core.assets import weights_path
from pantheon_core.diffusion import HoldSettings, SamplerSettings, generate, load_model

HOLDS = {
    "plain stock": HoldSettings(strength=0.0),
    "held": HoldSettings(),
    "held, released at 1": HoldSettings(full_above=3.0, release_below=1.0),
    "held, released at 0.01": HoldSettings(full_above=0.1, release_below=0.01),
    "held, shrunk by a cell": HoldSettings(shrink=1),
    "held, half": HoldSettings(strength=0.5),
    "held, re-noised": HoldSettings(reinject_steps=2, reinject_repeats=1, reinject_until=0.7),
}
COLUMNS = ["psnr", "ssim", "covered_psnr", "hole_psnr", "warping_error", "flicker_covered"]


def main() -> None:
    """Run and print or write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True, help="a first-frame model")
    parser.add_argument("--count", type=int, default=2, help="scenes of each of three kinds")
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--sheet", type=Path, help="write a picture of the last frames here (.png)")
    options = parser.parse_args()
    torch.set_num_threads(1)

    stock, tuned = load_model(options.weights), load_model(weights_path("pantheon_tiny"))
    plain = SamplerSettings(
        steps=options.steps, guidance_min=1.0, guidance_max=1.0, keep_scaffold=0.0, autocast=True
    )
    runs = {name: (stock, replace(plain, hold=hold)) for name, hold in HOLDS.items()}
    runs["held, put back"] = (stock, replace(plain, hold=HoldSettings(), keep_scaffold=1.0))
    runs["pantheon-tiny"] = (tuned, plain)
    runs["pantheon-tiny, put back"] = (tuned, replace(plain, keep_scaffold=None))
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    pictures = []
    for index in range(options.first, options.first + options.count):
        for kind in KINDS:
            video = make_video(index, kind, anchors=1)
            last = [video.truth[-1], video.scaffold[-1]]
            for name, (model, settings) in runs.items():
                made = generate(
                    model,
                    video.scaffold,
                    video.coverage,
                    [video.truth[0]],
                    distance=video.distance,
                    settings=settings,
                )
                rows[name].append(score(made.frames, video, inner=slice(1, None)))
                last.append(made.frames[-1])
                print(video.name, name, rows[name][-1], flush=True)
            pictures.append(torch.cat(last, -1))
    summary = {name: means(values) for name, values in rows.items()}
    print(table("way", COLUMNS, summary))
    if options.json:
        report = {"summary": summary, "videos": rows, "steps": options.steps, "meta": metadata()}
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    if options.sheet:
        from pantheon_core.apps import save_png

        save_png(torch.cat(pictures, 1), options.sheet)


if __name__ == "__main__":
    main()
