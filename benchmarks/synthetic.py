"""Frames per second of the scene tracer, Warp against plain torch, on one CPU core.

Usage: python benchmarks/synthetic.py [--json PATH] [--repeats 5] [--torch]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch

from pantheon_core.synthetic import KINDS, generate_scene, trace


def _seconds(scene, height: int, samples: int, backend: str, repeats: int) -> list[float]:
    pose = torch.eye(4)
    trace(scene, pose, height, samples=samples, backend=backend)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        trace(scene, pose, height, samples=samples, backend=backend)
        times.append(time.process_time() - start)
    return times


def main() -> None:
    """Measure CPU seconds (not wall-clock, so that a busy machine does not count) and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--torch", action="store_true", help="time the plain-torch twin as well")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for kind in KINDS:
        start = time.process_time()
        scenes = [generate_scene(seed, kind) for seed in (0, 2, 4)]
        generate = (time.process_time() - start) / len(scenes)
        for height, samples in ((128, 1), (128, 2), (256, 1)):
            for backend in ("warp", "torch") if args.torch and samples == 1 else ("warp",):
                times = [t for s in scenes for t in _seconds(s, height, samples, backend, args.repeats)]
                rows.append(
                    {
                        "kind": kind,
                        "height": height,
                        "samples": samples,
                        "backend": backend,
                        "primitives": [len(s.shape) for s in scenes],
                        "generate_s": round(generate, 4),
                        "median_s": round(statistics.median(times), 4),
                        "spread_s": round(max(times) - min(times), 4),
                    }
                )
                print(rows[-1])
    if args.json:
        about = {"torch": torch.__version__, "machine": platform.machine(), "seeds": [0, 2, 4]}
        args.json.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
