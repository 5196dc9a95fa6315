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

- psnr_visible: over all visible pixels, holes black: quality and completeness in one number.

Peers (`--peers`) draw the same panorama in the same run, frame by frame in turn with ours, one thread each:
the soft splat of GEN3C and TrajectoryCrafter, Matrix-3D's cube faces, Open3D's ray casting of our own mesh.
Open3D is measured where it can be imported; docs/benchmarks.md says how to install it beside the project.

    python benchmarks/scaffold.py --peers --json benchmarks/results/scaffold.json
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pantheon_core.cache import CacheSettings, PointCache, cache_from_erp
from pantheon_core.geometry import erp_rays, rays_to_erp_pixels, sample_erp
from pantheon_core.render import PreparedCache
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


Draw: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


def ours(cache: PointCache, height: int, backend: str) -> Draw:
    """Our renderer, prepared once, as a function from a camera to rgb, distance and coverage."""
    ready = PreparedCache(cache, backend=backend)

    def draw(pose: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        frame = ready.render(pose, height)
        return frame.rgb, frame.distance, frame.coverage

    return draw


def ways(cache: PointCache, source: View, height: int, peers: bool) -> dict[str, Draw]:
    """All ways to draw a scene that can run here."""
    found: dict[str, Draw] = {name: ours(cache, height, name) for name in ("warp", "torch")}
    if not peers:
        return found
    from peers.cube_mesh import CubeMesh
    from peers.ray_cast import RayCast
    from peers.soft_splat import TorchSplat
    from peers.soft_splat_warp import WarpSplat

    # They know no sky layer: its pixels lie at TrajectoryCrafter's greatest depth.
    far = torch.where(source.sky, 1000.0, source.distance)
    points = (erp_rays(height) * far[..., None]).reshape(-1, 3)
    colors = (source.rgb.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).reshape(-1, 3)
    found["soft splat, torch"] = TorchSplat(points, colors, height)
    found["soft splat, Warp"] = WarpSplat(points, colors, height)
    found["cube faces"] = CubeMesh(source.rgb, source.distance, ~source.sky, erp_rays(height))
    try:
        found["Open3D ray casting"] = RayCast(cache, height)
    except ImportError as error:
        print(f"Open3D left out: {error}")
    return found


def measure(drawn: tuple[Tensor, Tensor, Tensor], source: View, target: View) -> dict[str, float]:
    """One target view."""
    rgb, distance, covered = drawn
    toward, visible, hidden = visibility(source, target)
    bound = sample_erp(source.rgb, toward, mode="bilinear", antialias=False)
    both = covered & visible
    surface = covered & (distance > 0) & ~target.sky
    off = (distance / target.distance.clamp_min(1e-9) - 1).abs() > 0.05
    rows = torch.zeros_like(covered)
    polar = max(1, round(len(covered) / 18))
    rows[:polar] = rows[-polar:] = True
    return {
        "psnr": psnr(rgb, target.rgb, both),
        "bound": psnr(bound, target.rgb, both),
        "psnr_visible": psnr(rgb * covered, target.rgb, visible),
        "visible_covered": float((visible & covered).sum() / visible.sum() * 100),
        "false": float((covered & hidden).float().mean() * 100),
        "wrong_depth": float((surface & off).sum() / surface.sum() * 100),
        "holes": float((~covered).float().mean() * 100),
        "truly_hidden": float((~visible).float().mean() * 100),
        "polar_holes": float((~covered & visible & rows).sum() / rows.sum() * 100),
    }


def clock(draws: dict[str, Draw], pose: Tensor, repeats: int) -> dict[str, list[float]]:
    """Processor milliseconds per frame on one thread, upload not counted, all ways in turn.

    Processor time, because other work on the machine hardly changes it.
    """
    busy: dict[str, list[float]] = {name: [] for name in draws}
    for index in range(repeats + 1):
        for name, draw in draws.items():
            start = time.process_time()
            draw(pose)
            if index:
                busy[name].append((time.process_time() - start) * 1e3)
    return busy


def times(runs: list[dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Median and spread per way over all scenes, and the median ratio to the soft splat in torch."""
    out = {}
    for name in runs[0]:
        all_ms = [ms for run in runs for ms in run[name]]
        figures = {"median": statistics.median(all_ms), "least": min(all_ms), "most": max(all_ms)}
        base = "soft splat, torch"
        if base in runs[0]:
            pairs = [a / b for run in runs for a, b in zip(run[name], run[base], strict=True)]
            figures["ratio"] = statistics.median(pairs)
        out[name] = {key: round(value, 3 if key == "ratio" else 1) for key, value in figures.items()}
    return out


def mean(rows: list[dict[str, float | str]]) -> dict[str, float]:
    """Mean of every figure."""
    names = [name for name in rows[0] if name not in ("way", "kind", "seed", "move")]
    return {name: round(sum(float(row[name]) for row in rows) / len(rows), 4) for name in names}


def versions() -> dict[str, str]:
    """Of what is installed of the packages that are measured."""
    found = {}
    for name in ("torch", "warp-lang", "open3d"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


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
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="measure other ways to draw in the same run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = CacheSettings(edge_rule=args.edge_rule)
    rows: list[dict[str, float | str]] = []
    runs: list[dict[str, list[float]]] = []
    sizes: list[dict[str, int]] = []
    for kind in args.kinds:
        for seed in args.seeds:
            scene = generate_scene(seed, kind)
            source = View(scene, torch.eye(4), args.height)
            cache = cache_from_erp(
                source.rgb, source.distance, ~source.sky, sky=source.sky, settings=settings
            )
            draws = ways(cache, source, args.height, args.peers)
            path = scene_path(scene, seed, 49, 7.0)
            far = path[:, :3, 3].norm(dim=-1)
            for index in sorted({int((far - move).abs().argmin()) for move in args.moves}):
                target = View(scene, path[index], args.height)
                for way, draw in draws.items():
                    row: dict[str, float | str] = {"way": way, "kind": kind, "seed": seed}
                    row["move"] = round(float(far[index]), 3)
                    row |= {k: round(v, 4) for k, v in measure(draw(path[index]), source, target).items()}
                    rows.append(row)
                    print(json.dumps(row), flush=True)
            runs.append(clock(draws, path[int(far.argmax())], args.repeats))
            triangles = 0 if cache.triangles is None else len(cache.triangles)
            sizes.append({"points": len(cache.points), "triangles": triangles})
    result = {
        "meta": {
            "height": args.height,
            "versions": versions(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "load": round(os.getloadavg()[0], 2),
            "caches": sizes,
        },
        "mean": {way: mean([row for row in rows if row["way"] == way]) for way in runs[0]},
        "cpu_ms_one_thread": times(runs),
        "rows": rows,
    }
    print(json.dumps({k: result[k] for k in ("meta", "mean", "cpu_ms_one_thread")}, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
