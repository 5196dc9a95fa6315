"""The paper's four variants on held-out scenes with two anchors, with good and with degraded caches.

    python benchmarks/variants.py [--weights FILE] [--count 2] [--steps 8] [--json FILE] [--sheet PNG]

Single sees the start panorama alone, Dual both; Fusion blends in a path that runs backwards from the end
(with the single model its two paths see the true panorama of either end in the scaffold). All see the
scaffold of a cache built from both ends, and are scored as the network paints them, not put back on the
scaffold. The caches: exact distances; distances as a depth network errs; all distances 10 % too short.

Figures as in the paper's ablation: PSNR and SSIM of the end frame and of the frames between on 8 crops, the
interpolation error in grey levels, and the short-term warping error (x 1000, by the true geometry).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from held_out import FAULTS, KINDS, HeldOutVideo, make_video, means, metadata, score, table
from torch import Tensor

from pantheon_core.assets import weights_path
from pantheon_core.diffusion import FusionSettings, PantheonModel, SamplerSettings, generate, load_model

WAYS = ("single", "single + fusion", "dual", "dual + fusion")
COLUMNS = ["end_psnr", "end_ssim", "psnr", "ssim", "interpolation_error", "warping_error"]


def paint(model: PantheonModel, video: HeldOutVideo, way: str, settings: SamplerSettings) -> Tensor:
    """The frames of one variant."""
    own = model.config
    fused = way.endswith("fusion")
    anchors = [video.truth[0], video.truth[-1]]
    try:
        model.config = replace(own, variant="single" if way.startswith("single") else "dual")
        return generate(
            model,
            video.scaffold,
            video.coverage,
            anchors if way != "single" else anchors[:1],
            distance=video.distance,
            settings=settings,
            fusion=FusionSettings() if fused else None,
        ).frames
    finally:
        model.config = own


def main() -> None:
    """Run and print or write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, help="checkpoint; default: the bundled one")
    parser.add_argument("--count", type=int, default=2, help="scenes of each of three kinds")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--sheet", type=Path, help="write a picture of the middle frames here (.png)")
    options = parser.parse_args()
    torch.set_num_threads(1)

    model = load_model(options.weights or weights_path("pantheon_tiny"))
    settings = SamplerSettings(
        steps=options.steps, guidance_min=1.0, guidance_max=1.0, keep_scaffold=0.0, autocast=True
    )
    inner = slice(1, -1)
    rows: dict[str, dict[str, list[dict[str, float]]]] = {f: {way: [] for way in WAYS} for f in FAULTS}
    pictures = []
    for fault in FAULTS:
        for index in range(options.count):
            for kind in KINDS:
                video = make_video(index, kind, anchors=2, fault=fault)
                middle = [video.truth[7], video.scaffold[7]]
                for way in WAYS:
                    frames = paint(model, video, way, settings)
                    rows[fault][way].append(score(frames, video, inner=inner))
                    middle.append(frames[7])
                    print(fault, video.name, way, rows[fault][way][-1], flush=True)
                pictures.append(torch.cat(middle, -1))
    summary = {fault: {way: means(values) for way, values in ways.items()} for fault, ways in rows.items()}
    for fault, ways in summary.items():
        print(table(fault, COLUMNS, ways) + "\n")
    if options.json:
        report = {"summary": summary, "videos": rows, "steps": options.steps, "meta": metadata()}
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    if options.sheet:
        from pantheon_core.apps import save_png

        save_png(torch.cat(pictures, 1), options.sheet)


if __name__ == "__main__":
    main()
