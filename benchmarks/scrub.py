"""Quick looks at a scaffold: what a frame costs, and how far its thinned-out caches are from the whole one.

For each scene a cache of a traced panorama, and a path through it. Times are milliseconds of one processor,
of `ScrubScene.frame` alone, after the first frame: what a clock shows on a machine that does nothing else.
JPEG and PNG add about 5 ms at 256 x 512. Against the whole cache at 256 rows:

- quick_psnr: of "quick" frames, over all pixels, in dB.
- coverage_error: largest difference of a report's coverage from the full frames', in parts of the sphere. It
  grows with the length of the holes' outlines: a pixel counts as covered when any part of it is, and those of
  a report are larger.

    python benchmarks/scrub.py --json benchmarks/results/scrub.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pantheon_core.apps import Anchor, ScrubScene
from pantheon_core.cache import CacheSettings, cache_from_erp
from pantheon_core.synthetic import generate_scene, scene_path, trace
from pantheon_core.trajectory import Trajectory

HEIGHT = 256


def milliseconds(scene: ScrubScene, path: Trajectory, height: int, detail: str) -> dict[str, float]:
    """Median and 95th percentile over the inner frames of the path."""
    scene.frame(path, 1, height=height, detail=detail)
    times = []
    for index in range(1, len(path) - 1):
        begin = time.thread_time()
        scene.frame(path, index, height=height, detail=detail)
        times.append(1e3 * (time.thread_time() - begin))
    times.sort()
    return {"p50": round(times[len(times) // 2], 1), "p95": round(times[int(len(times) * 0.95)], 1)}


def measure(kind: str, seed: int, height: int, frames: int) -> dict[str, object]:
    """One scene."""
    made = generate_scene(seed, kind)
    seen = trace(made, torch.eye(4), height)
    cache = cache_from_erp(seen.rgb, seen.distance, seen.valid, sky=seen.sky, settings=CacheSettings())
    path = Trajectory(T_world_cam=scene_path(made, seed, frames, 7.0), fps=7.0)
    valid = torch.ones_like(seen.valid)
    scene = ScrubScene(cache, [Anchor(rgb=seen.rgb, valid=valid, T_world_cam=torch.eye(4))])
    quick = milliseconds(scene, path, HEIGHT, "quick")
    small = milliseconds(scene, path, HEIGHT // 2, "quick")
    full = milliseconds(scene, path, HEIGHT, "full")
    scene.report(path, minimum=0.2)
    begin = time.thread_time()
    report = scene.report(path, minimum=0.2)
    per_frame = 1e3 * (time.thread_time() - begin) / frames
    errors, qualities = [], []
    for index in range(1, frames - 1, 4):
        whole = scene.frame(path, index, height=HEIGHT)
        thin = scene.frame(path, index, height=HEIGHT, detail="quick")
        qualities.append(-10 * math.log10(float((whole.rgb - thin.rgb).square().mean())))
        errors.append(abs(whole.covered - float(report.covered[index])))
    return {
        "kind": kind,
        "seed": seed,
        "points": len(cache.points),
        "least_covered": round(float(report.covered.min()), 4),
        "quick_256_ms": quick,
        "quick_128_ms": small,
        "full_256_ms": full,
        "report_ms_per_frame": round(per_frame, 1),
        "quick_psnr": round(sum(qualities) / len(qualities), 1),
        "coverage_error": round(max(errors), 4),
    }


def main() -> None:
    """Measure and print; optionally write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--height", type=int, default=512, help="of the panorama; 512 is 0.5 M points")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1_000_001)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for kind in ("room", "street", "garden"):
        rows.append(measure(kind, args.seed, args.height, args.frames))
        print(json.dumps(rows[-1]), flush=True)
    meta = {
        "height": args.height,
        "frames": args.frames,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "load": round(os.getloadavg()[0], 2),
    }
    if args.json:
        args.json.write_text(json.dumps({"meta": meta, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
