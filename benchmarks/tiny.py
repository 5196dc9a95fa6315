"""pantheon-tiny on held-out scenes, against the scaffold with holes black or filled without learning.

    python benchmarks/tiny.py [--weights FILE] [--clips FOLDER] [--count 5] [--wide] [--steps 8]
                              [--json FILE] [--sheet PNG]

Scenes come from seeds at and above 1,000,000, which training never uses. Scores follow the paper: PSNR and
SSIM on 8 perspective crops; besides, PSNR over hole pixels alone. Anchor frames are given and left out.

Ways: the scaffold; its holes filled by plain pull-push; filled from the background (pull-push that knows the
distances); the true frames through the autoencoder, which no decode can beat by much; the model's own decode;
the decode put back on the scaffold, which is what users get.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

import torch
from torch import Tensor

from pantheon_core.assets import weights_path
from pantheon_core.diffusion import (
    SamplerSettings,
    compose_with_scaffold,
    decode_latents,
    encode_video,
    generate,
    load_model,
    spherical,
)
from pantheon_core.metrics import crops_psnr_ssim
from pantheon_core.render import pull_push
from pantheon_core.training.clips import Clip, ClipFolder, held_out_jobs, make_clip, write_clip

WAYS = ("scaffold", "pull_push", "background", "autoencoder", "raw", "composed")
SHOWN = ("truth", "scaffold", "pull_push", "background", "raw", "composed")


def hole_psnr(picture: Tensor, truth: Tensor, holes: Tensor) -> float:
    """PSNR in dB over the pixels where `holes` (T, H, W) is True."""
    square = (picture - truth).square().mean(1)[holes].mean()
    return float(-10 * square.clamp_min(1e-10).log10())


def score(picture: Tensor, truth: Tensor, holes: Tensor, inner: slice) -> dict[str, float]:
    """All scores of one video over the frames `inner`."""
    crops = crops_psnr_ssim(picture[inner], truth[inner])
    return {
        "psnr": float(crops.psnr.mean()),
        "ssim": float(crops.ssim.mean()),
        "hole_psnr": hole_psnr(picture[inner], truth[inner], holes[inner]),
    }


def evaluate(
    model, clip: Clip, settings: SamplerSettings
) -> tuple[dict[str, dict[str, float]], dict[str, Tensor]]:
    """Scores of every way on one clip, and the videos."""
    truth, scaffold = clip.rgb.float() / 255, clip.scaffold.float() / 255
    anchors = [truth[0], truth[-1]][: clip.anchors]
    videos = {"scaffold": scaffold, "pull_push": pull_push(scaffold, clip.coverage)}
    distance = clip.distance.float()
    videos["background"] = pull_push(scaffold, clip.coverage, distance=distance)
    with torch.no_grad(), spherical(model.vae), torch.autocast("cpu", torch.bfloat16):
        latents = encode_video(model, truth) * model.scaling_factor
        videos["autoencoder"] = decode_latents(model, latents).float()
    videos["raw"] = generate(
        model, scaffold, clip.coverage, anchors, distance=distance, settings=settings
    ).frames
    videos["composed"] = compose_with_scaffold(
        videos["raw"], scaffold, clip.coverage, distance=distance, feather=0, reach=model.config.detail_reach
    )
    inner = slice(1, -1 if clip.anchors == 2 else None)
    scores = {name: score(video, truth, ~clip.coverage, inner) for name, video in videos.items()}
    return scores, {"truth": truth, **videos}


def sheet(videos: list[dict[str, Tensor]], path: Path) -> None:
    """One row per clip: the last inner frame of the truth and of the ways."""
    from PIL import Image

    rows = []
    for video in videos:
        cells = [video[name][-2] for name in SHOWN]
        rows.append(torch.cat([torch.nn.functional.pad(c, (0, 4, 0, 4)) for c in cells], -1))
    by_width: dict[int, list[Tensor]] = {}
    for row in rows:
        by_width.setdefault(row.shape[-1], []).append(row)
    for width, group in by_width.items():
        picture = (torch.cat(group, 1).permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        Image.fromarray(picture).save(path.with_name(f"{path.stem}_{width}{path.suffix}"))


def main() -> None:
    """Run and print or write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=None, help="checkpoint; default: the bundled one")
    parser.add_argument(
        "--clips", type=Path, default=Path(".cache/clips"), help="folder of clips, filled if empty"
    )
    parser.add_argument("--count", type=int, default=5, help="held-out clips per kind")
    parser.add_argument("--wide", action="store_true", help="paths that are long for their scene")
    parser.add_argument("--height", type=int, default=None, help="only clips of this height")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--guidance", type=float, nargs=2, default=(1.0, 1.0), metavar=("MIN", "MAX"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    parser.add_argument("--sheet", type=Path, default=None, help="write contact sheets here (.png)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    options.clips.mkdir(parents=True, exist_ok=True)
    jobs = [j for j in held_out_jobs(options.count, wide=options.wide) if options.height in (None, j.height)]
    for job in jobs:
        if not (options.clips / job.filename).is_file():
            write_clip(options.clips / job.filename, job, make_clip(job))
    folder = ClipFolder(options.clips, held_out=True)
    index = {path.name: i for i, path in enumerate(folder.files)}
    weights = options.weights or weights_path("pantheon_tiny")
    model = load_model(weights)
    settings = SamplerSettings(
        steps=options.steps,
        guidance_min=options.guidance[0],
        guidance_max=options.guidance[1],
        keep_scaffold=0.0,
        autocast=True,
    )
    rows, pictures, seconds = [], [], []
    for job in jobs:
        clip = folder.read(index[job.filename])
        start = time.perf_counter()
        scores, videos = evaluate(model, clip, settings)
        seconds.append(time.perf_counter() - start)
        inner = ~clip.coverage[1:]
        rows.append(
            {
                "clip": job.filename,
                "kind": job.kind,
                "height": job.height,
                "anchors": job.anchors,
                "holes": float(inner.float().mean()),
                "scores": scores,
            }
        )
        pictures.append(videos)
        print(
            job.filename, {w: {k: round(v, 3) for k, v in s.items()} for w, s in scores.items()}, flush=True
        )
    report = {
        "summary": summary(rows),
        "clips": [row | {"scores": known(row["scores"])} for row in rows],
        "settings": {"steps": options.steps, "wide": options.wide},
        "meta": metadata(),
    }
    report["settings"] |= {"guidance": list(options.guidance), "seconds_per_clip": statistics.median(seconds)}
    print(json.dumps(report["summary"], indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    if options.sheet:
        sheet(pictures, options.sheet)


def known(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Scores for JSON: a clip without holes has none in them."""
    return {
        way: {key: value if math.isfinite(value) else None for key, value in found.items()}
        for way, found in scores.items()
    }


def summary(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Means over clips, and on how many the composed video beats the fillings."""
    result: dict[str, dict[str, float]] = {}
    for way in WAYS:
        result[way] = {}
        for key in ("psnr", "ssim", "hole_psnr"):
            values = [row["scores"][way][key] for row in rows if math.isfinite(row["scores"][way][key])]
            result[way][key] = statistics.fmean(values)
    for other in ("pull_push", "background"):
        result[f"composed_wins_over_{other}"] = {"of": len(rows)} | {
            key: sum(row["scores"]["composed"][key] > row["scores"][other][key] for row in rows)
            for key in ("psnr", "ssim", "hole_psnr")
        }
    return result


def metadata() -> dict[str, str | int | None]:
    """What the figures depend on."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip() or None,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "seed": 0,
    }


if __name__ == "__main__":
    main()
