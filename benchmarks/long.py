"""Long videos: memory against length, and drift along the chain.

    python benchmarks/long.py memory [--frames 25 100 1000] [--json FILE]
    python benchmarks/long.py drift [--count 1] [--frames 50] [--json FILE] [--sheet PNG]

Memory: peak resident size of one process per length (a network of random weights, 64x128, windows of 14
frames, one denoising step). Drift: pantheon-tiny on held-out scenes along one long path from a single
panorama, 128x256, in windows of 14 with 2 shared; PSNR on 8 crops per window, with every window put back on
the scaffold (as users get it) and with the network's pictures alone going on from one another.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

WAYS = {"re-anchored to the scaffold": None, "network alone": 0.0}


def memory(options: argparse.Namespace) -> dict:
    """Peak memory in MiB per length."""
    result = {}
    for frames in options.frames:
        command = [sys.executable, __file__, "peak", "--frames", str(frames)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result[str(frames)] = json.loads(done.stdout.splitlines()[-1])
        print(frames, result[str(frames)], flush=True)
    return {"peak_MiB": result}


def peak(options: argparse.Namespace) -> dict:
    """One length in this process."""
    from pantheon_core.apps import Anchor
    from pantheon_core.apps.long import LongSettings, generate_long
    from pantheon_core.cache import cache_from_erp
    from pantheon_core.diffusion import ModelConfig, SamplerSettings, build_tiny
    from pantheon_core.synthetic import generate_scene, trace
    from pantheon_core.trajectory import interpolate, preset_path
    from pantheon_core.video import write_video

    torch.manual_seed(0)
    model = build_tiny(ModelConfig(name="random", frames=14, height=64))
    seen = trace(generate_scene(1, "room"), torch.eye(4), 64)
    cache = cache_from_erp(seen.rgb, seen.distance, seen.valid, sky=seen.sky)
    path = interpolate(preset_path("orbit", frames=options.frames[0], fps=7.0, radius=0.3))
    settings = LongSettings(height=64, sampler=SamplerSettings(steps=1, guidance_max=1.0, sigma_max=20.0))
    with tempfile.TemporaryDirectory() as folder:
        made = generate_long(
            model, cache, path, [Anchor.at_origin(seen.rgb)], Path(folder) / "w", settings=settings
        )
        write_video(Path(folder) / "v.mp4", made.frames(), fps=7.0)
    return {"peak": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}


def drift(options: argparse.Namespace) -> dict:
    """PSNR per window of both ways."""
    from held_out import KINDS, make_video

    from pantheon_core.apps import Anchor, save_png
    from pantheon_core.apps.long import LongSettings, generate_long
    from pantheon_core.assets import weights_path
    from pantheon_core.cache import cache_from_erp
    from pantheon_core.diffusion import SamplerSettings, load_model
    from pantheon_core.metrics import crops_psnr_ssim
    from pantheon_core.synthetic import generate_scene, trace
    from pantheon_core.training.clips import HELD_OUT_SEED
    from pantheon_core.trajectory import Trajectory

    model = load_model(weights_path("pantheon_tiny"))
    sampler = SamplerSettings(steps=8, guidance_max=1.0, autocast=True)
    rows, pictures = {}, []
    for index in range(options.count):
        for kind in KINDS:
            video = make_video(index, kind, anchors=1, frames=options.frames[0])
            scene = generate_scene(HELD_OUT_SEED + 300 + index, kind)
            start = trace(scene, video.T_world_cam[0], 256, samples=2)
            cache = cache_from_erp(
                start.rgb, start.distance, start.valid, sky=start.sky, T_world_cam=video.T_world_cam[0]
            )
            anchor = Anchor(
                rgb=start.rgb, valid=torch.ones_like(start.valid), T_world_cam=video.T_world_cam[0]
            )
            path = Trajectory(T_world_cam=video.T_world_cam, fps=7.0)
            last = [video.truth[-1], video.scaffold[-1]]
            for way, keep in WAYS.items():
                settings = LongSettings(height=128, sampler=replace(sampler, keep_scaffold=keep))
                with tempfile.TemporaryDirectory() as folder:
                    made = generate_long(model, cache, path, [anchor], Path(folder) / "w", settings=settings)
                    frames = torch.stack([torch.from_numpy(f) for f in made.frames()])
                    frames = frames.permute(0, 3, 1, 2) / 255
                    windows = made.store.windows
                crops = crops_psnr_ssim(frames[1:], video.truth[1:]).psnr
                per_window = [float(crops[max(w.start - 1, 0) : w.keep - 1].mean()) for w in windows]
                rows.setdefault(way, {})[video.name] = per_window
                last.append(frames[-1])
                print(video.name, way, [round(v, 2) for v in per_window], flush=True)
            pictures.append(torch.cat(last, -1))
    if options.sheet:
        save_png(torch.cat(pictures, 1), options.sheet)
    return {"psnr_per_window": rows}


def main() -> None:
    """Run and print or write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("memory", "drift", "peak"))
    parser.add_argument("--frames", type=int, nargs="+", help="lengths; default 25 100 1000, for drift 50")
    parser.add_argument("--count", type=int, default=1, help="scenes of each of three kinds, for drift")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--sheet", type=Path, help="write the last frames here (.png), for drift")
    options = parser.parse_args()
    options.frames = options.frames or ([50] if options.what == "drift" else [25, 100, 1000])
    torch.set_num_threads(1)
    report = {"memory": memory, "drift": drift, "peak": peak}[options.what](options)
    print(json.dumps(report))
    if options.json:
        from held_out import metadata

        options.json.write_text(json.dumps(report | {"meta": metadata()}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
