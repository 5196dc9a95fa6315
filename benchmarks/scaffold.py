"""Scaffold against ground truth: how true, how complete and how fast a rendered cache is.

The cache is built from one traced panorama with its true distances and rendered from a moved camera of the
same scene. What counts:

- psnr: covered pixels whose true surface the source saw, against a 4 x 4 supersampled trace.
- bound: the same pixels, coloured by the true surface point's bilinear sample in the source panorama: what
  a perfect surface with this source would give.
- visible_covered: part of the pixels whose true point (or sky direction) the source saw that is covered.
- false: part of the frame that is covered although the source saw the true point in no direction within
  a source pixel of it.
- wrong_depth: part of the covered surface more than 5 % from the true distance.
- holes: part of the frame not covered; truly_hidden: what no renderer can cover; polar_holes: holes that the
  source saw within 10 degrees of a pole.

    python benchmarks/scaffold.py --json benchmarks/results/scaffold.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pantheon_core.cache import CacheSettings, PointCache, cache_from_erp
from pantheon_core.geometry import erp_rays, rays_to_erp_pixels, sample_erp
from pantheon_core.render import render_path
from pantheon_core.synthetic import generate_scene, scene_path, trace

FINE = 4


class View:
    """A traced camera: supersampled rgb, distance and sky at H, and distance and sky at 4 H."""

    def __init__(self, scene: object, T_world_cam: Tensor, height: int) -> None:
        fine = trace(scene, T_world_cam, height * FINE)
        self.rgb = F.avg_pool2d(fine.rgb[None], FINE)[0]
        frame = trace(scene, T_world_cam, height)
        self.distance, self.sky = frame.distance, frame.sky
        self.fine_distance, self.fine_sky = fine.distance, fine.sky
        self.T_world_cam = T_world_cam


def lookup(field: Tensor, rays: Tensor) -> Tensor:
    """Nearest value of (H, W) along rays (h, w, 3)."""
    xy = rays_to_erp_pixels(rays, field.shape[0]).round().long()
    return field[xy[..., 1].clamp(0, field.shape[0] - 1), xy[..., 0] % field.shape[1]]


def spread(field: Tensor, radius: int) -> Tensor:
    """Maximum over a square window, around the seam."""
    padded = F.pad(field[None, None], (radius, radius, 0, 0), mode="circular")
    return F.max_pool2d(padded, 2 * radius + 1, 1, (radius, 0))[0, 0]


def visibility(source: View, target: View) -> tuple[Tensor, Tensor, Tensor]:
    """((H, W, 3) rays from the source to the true points, visible, hidden)."""
    height = target.distance.shape[0]
    T = torch.linalg.inv(source.T_world_cam) @ target.T_world_cam
    rays = erp_rays(height)
    points = (rays * target.distance[..., None]) @ T[:3, :3].T + T[:3, 3]
    far = points.norm(dim=-1)
    toward = torch.where(target.sky[..., None], rays @ T[:3, :3].T, points / far.clamp_min(1e-9)[..., None])
    endless = torch.where(source.fine_sky, math.inf, source.fine_distance)
    seen_at = lookup(spread(endless, 1), toward)  # a fine pixel of slack: the lookup is to the nearest
    widest = lookup(spread(endless, FINE), toward)
    visible = torch.where(target.sky, lookup(source.fine_sky, toward), far <= seen_at * 1.01)
    hidden = torch.where(target.sky, ~torch.isinf(widest), far > widest * 1.02)
    return toward, visible, hidden


def psnr(a: Tensor, b: Tensor, where: Tensor) -> float:
    """Over the pixels of a mask."""
    return float(-10 * torch.log10((a - b)[:, where].square().mean().clamp_min(1e-12)))


def measure(cache: PointCache, source: View, target: View, backend: str) -> dict[str, float]:
    """One target view."""
    height = target.distance.shape[0]
    frame = next(render_path(cache, target.T_world_cam[None], height, backend=backend))
    toward, visible, hidden = visibility(source, target)
    bound = sample_erp(source.rgb, toward, mode="bilinear", antialias=False)
    covered = frame.coverage
    both = covered & visible
    surface = covered & (frame.distance > 0) & ~target.sky
    off = (frame.distance / target.distance.clamp_min(1e-9) - 1).abs() > 0.05
    rows = torch.zeros_like(covered)
    polar = max(1, round(height / 18))
    rows[:polar] = rows[-polar:] = True
    return {
        "psnr": psnr(frame.rgb, target.rgb, both),
        "bound": psnr(bound, target.rgb, both),
        "visible_covered": float((visible & covered).sum() / visible.sum() * 100),
        "false": float((covered & hidden).float().mean() * 100),
        "wrong_depth": float((surface & off).sum() / surface.sum() * 100),
        "holes": float((~covered).float().mean() * 100),
        "truly_hidden": float((~visible).float().mean() * 100),
        "polar_holes": float((~covered & visible & rows).sum() / rows.sum() * 100),
    }


def clock(cache: PointCache, pose: Tensor, height: int, backend: str, repeats: int) -> dict[str, float]:
    """Milliseconds per frame on one thread, upload not counted: median and spread.

    `cpu` is the median processor time, which other work on the machine hardly changes.
    """
    frames = render_path(cache, pose[None].repeat(repeats + 1, 1, 1), height, backend=backend, workers=1)
    next(frames)
    times, busy = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        next(frames)
        times.append((time.perf_counter() - start) * 1e3)
        busy.append((time.process_time() - start_cpu) * 1e3)
    figures = (statistics.median(times), min(times), max(times), statistics.median(busy))
    return dict(zip(("median", "least", "most", "cpu"), (round(x, 1) for x in figures), strict=True))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1_000_001, 1_000_002])
    parser.add_argument("--kinds", nargs="+", default=["room", "street", "garden"])
    parser.add_argument("--moves", type=float, nargs="+", default=[0.3, 0.8], help="metres from the source")
    parser.add_argument("--edge-rule", default="plane")
    parser.add_argument("--grazing", type=float, default=CacheSettings().grazing)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = CacheSettings(edge_rule=args.edge_rule, grazing=args.grazing)
    rows = []
    for kind in args.kinds:
        for seed in args.seeds:
            scene = generate_scene(seed, kind)
            source = View(scene, torch.eye(4), args.height)
            cache = cache_from_erp(
                source.rgb, source.distance, ~source.sky, sky=source.sky, settings=settings
            )
            path = scene_path(scene, seed, 49, 7.0)
            far = path[:, :3, 3].norm(dim=-1)
            done: set[int] = set()
            for move in args.moves:
                index = int((far - move).abs().argmin())
                if index in done:
                    continue
                done.add(index)
                pose = path[index]
                row = {"kind": kind, "seed": seed, "move": round(float(pose[:3, 3].norm()), 3)}
                row |= {
                    k: round(v, 4)
                    for k, v in measure(cache, source, View(scene, pose, args.height), "auto").items()
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
    names = [name for name in rows[0] if name not in ("kind", "seed", "move")]
    result = {
        "meta": {
            "height": args.height,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "load": round(os.getloadavg()[0], 2),
            "points": len(cache.points),
            "triangles": 0 if cache.triangles is None else len(cache.triangles),
        },
        "mean": {name: round(sum(row[name] for row in rows) / len(rows), 4) for name in names},
        "ms_one_thread": {
            name: clock(cache, pose, args.height, name, args.repeats) for name in ("warp", "torch")
        },
        "rows": rows,
    }
    print(json.dumps({k: result[k] for k in ("meta", "mean", "ms_one_thread")}, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
