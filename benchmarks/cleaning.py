"""Cleaning against ground truth: what it costs a true cache, and what it gives a bad one.

Each scene is traced from a source and a moved camera, as in benchmarks/scaffold.py, whose figures these are.
The source's distances are true, or made bad in one way:

- noise: 1 % Gaussian noise on every distance.
- specks: 0.5 % of the pixels at a random distance between a third and three times their own.
- smear: distances blurred over 5x5 pixels where the scene has depth edges, as networks draw them.
- all: the three together.

Each is rendered as it is, cleaned with the defaults ("repair"), and cleaned by leaving out ("cut", "all").

    python benchmarks/cleaning.py --json benchmarks/results/cleaning.json
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from scaffold import View, measure

from pantheon_core.cache import cache_from_erp
from pantheon_core.cache.cleaning import CleanSettings, clean_cache, edge_mask
from pantheon_core.render import render
from pantheon_core.synthetic import generate_scene, scene_path

WAYS = {
    "as it is": None,
    "repair": CleanSettings(),
    "cut": CleanSettings(edges="cut", floaters="cut"),
    "all": CleanSettings(edges="all", floaters="cut"),
}
SHOWN = ("psnr", "psnr_visible", "visible_covered", "false", "wrong_depth", "holes")


def make_bad(distance: Tensor, sky: Tensor, how: str, seed: int) -> Tensor:
    """Distances (H, W) made bad; the sky stays."""
    generator = torch.Generator().manual_seed(seed)
    valid = ~sky
    bad = distance.clone()
    if how in ("smear", "all"):
        edge = F.max_pool2d(edge_mask(distance, valid)[None, None].float(), 3, 1, 1)[0, 0] > 0
        padded = F.pad(torch.where(valid, bad, 0.0)[None, None], (2, 2, 0, 0), mode="circular")
        known = F.pad(valid[None, None].float(), (2, 2, 0, 0), mode="circular")
        total = F.avg_pool2d(padded, 5, 1, (2, 0))[0, 0]
        share = F.avg_pool2d(known, 5, 1, (2, 0))[0, 0].clamp_min(1e-6)
        bad = torch.where(edge & valid, total / share, bad)
    if how in ("noise", "all"):
        bad = bad * (1 + 0.01 * torch.randn(bad.shape, generator=generator)).clamp_min(0.5)
    if how in ("specks", "all"):
        wrong = torch.rand(bad.shape, generator=generator) < 0.005
        factor = torch.exp((torch.rand(bad.shape, generator=generator) * 2 - 1) * 1.0986)
        bad = torch.where(wrong, bad * factor, bad)
    return torch.where(valid, bad, 0.0)


def scene_rows(kind: str, seed: int, height: int, move: float, folder: Path | None) -> list[dict]:
    """All ways on all kinds of bad distances of one scene."""
    stored = None if folder is None else folder / f"{kind}-{seed}-{height}-{move}.pt"
    if stored is not None and stored.is_file():
        source, target = torch.load(stored, weights_only=False)
    else:
        scene = generate_scene(seed, kind)
        path = scene_path(scene, seed, 49, 7.0)
        pose = path[int((path[:, :3, 3].norm(dim=-1) - move).abs().argmin())]
        source, target = View(scene, torch.eye(4), height), View(scene, pose, height)
        if stored is not None:
            torch.save((source, target), stored)
    rows = []
    for how in ("true", "noise", "specks", "smear", "all"):
        distance = make_bad(source.distance, source.sky, how, seed)
        raw = cache_from_erp(source.rgb, distance, ~source.sky, sky=source.sky)
        for way, settings in WAYS.items():
            start = time.process_time()
            cache = raw if settings is None else clean_cache(raw, settings)[0]
            seconds = time.process_time() - start
            row = {"kind": kind, "seed": seed, "bad": how, "way": way, "points": len(cache.points)}
            frame = render(cache, target.T_world_cam, height)
            found = measure((frame.rgb, frame.distance, frame.coverage), source, target)
            row |= {k: round(v, 3) for k, v in found.items()}
            rows.append(row | {"seconds": round(seconds, 2)})
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1_000_001])
    parser.add_argument("--kinds", nargs="+", default=["room", "street", "garden"])
    parser.add_argument("--move", type=float, default=0.5, help="metres from the source")
    parser.add_argument("--keep", type=Path, help="folder that keeps the traced views for the next run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        row
        for kind in args.kinds
        for seed in args.seeds
        for row in scene_rows(kind, seed, args.height, args.move, args.keep)
    ]
    mean = []
    for how in dict.fromkeys(row["bad"] for row in rows):
        for way in WAYS:
            some = [row for row in rows if row["bad"] == how and row["way"] == way]
            entry = {
                name: round(sum(row[name] for row in some) / len(some), 3) for name in (*SHOWN, "seconds")
            }
            mean.append({"bad": how, "way": way} | entry)
    meta = {
        "height": args.height,
        "move": args.move,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    sys.stdout.write("\n".join(json.dumps(row) for row in mean) + "\n")
    if args.json:
        args.json.write_text(json.dumps({"meta": meta, "mean": mean, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
