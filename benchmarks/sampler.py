"""What the sampler costs beside its UNet calls. Target: under 3 %.

    python benchmarks/sampler.py [--json FILE] [--rounds 24] [--frames 8] [--height 128] [--device cpu]

In every round, interleaved: the bare UNet calls of a few guided Euler steps on ready-made inputs, then the
same steps by `sample_euler` with guidance and noise scaling, both with spherical convolutions; and the bare
calls with plain ones. `own_work_percent` times the sampler around a UNet that does nothing, against the bare
calls: it is the figure to trust on a busy machine. The others are ratios within a round: median and quartiles
over rounds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pantheon_core.diffusion import build_tiny, karras_sigmas, sample_euler, spherical
from pantheon_core.diffusion.conditioning import added_time_ids
from pantheon_core.diffusion.denoiser import Denoiser, guidance_ramp

IDLE_REPEATS = 20


def clock(call: Callable[[], object], device: str) -> float:
    """Seconds of one call: of processor time on the CPU, which other work on the machine disturbs less."""
    if not device.startswith("cuda"):
        start = time.process_time()
        call()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - start


class Idle(torch.nn.Module):
    """A UNet that does nothing, so that what the sampler does beside it can be timed exactly."""

    def __init__(self, out: torch.Tensor) -> None:
        super().__init__()
        self.out = out
        self.dtype = out.dtype

    def forward(self, *_: object, **__: object) -> tuple[torch.Tensor]:
        """A ready-made prediction."""
        return (self.out,)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run all rounds and return the figures."""
    device = args.device
    model = build_tiny().to(device)
    frames, h = args.frames, args.height // 8
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, frames, 4, h, 2 * h, generator=generator).to(device)
    concat = torch.randn(noise.shape, generator=generator).to(device)
    tokens = torch.randn(1, 8, model.token_dim, generator=generator).to(device)
    time_ids = added_time_ids(7, 127, 0.02, device=device)
    sigmas = karras_sigmas(args.steps)
    denoise = Denoiser(
        unet=model.unet,
        concat=concat,
        tokens=tokens,
        time_ids=time_ids,
        guidance=guidance_ramp(frames, 1.0, 3.0, device=device),
    )
    inputs = torch.cat([noise, concat], 2)
    level = torch.tensor(0.5, device=device)

    def bare() -> None:
        for _ in range(2 * args.steps):
            model.unet(
                inputs, level, encoder_hidden_states=tokens, added_time_ids=time_ids, return_dict=False
            )

    def ours() -> None:
        sample_euler(denoise, noise * 700.0, sigmas)

    idle_denoise = replace(denoise, unet=Idle(noise))

    def idle() -> None:
        for _ in range(IDLE_REPEATS):
            sample_euler(idle_denoise, noise * 700.0, sigmas)

    times: dict[str, list[float]] = {"bare": [], "sampler": [], "bare_plain": [], "idle": []}
    with torch.no_grad():
        for round_ in range(-1, args.rounds):
            order = ["bare", "sampler"] if round_ % 2 else ["sampler", "bare"]
            with spherical(model.unet):
                seconds = {name: clock(bare if name == "bare" else ours, device) for name in order}
            seconds["bare_plain"] = clock(bare, device)
            seconds["idle"] = clock(idle, device) / IDLE_REPEATS
            if round_ >= 0:  # the first one warms up
                for name, value in seconds.items():
                    times[name].append(value)
    ratios = [a / b - 1.0 for a, b in zip(times["sampler"], times["bare"], strict=True)]
    return {
        "own_work_percent": 100.0 * statistics.median(times["idle"]) / statistics.median(times["bare"]),
        # The median over rounds: other work on the machine hits single rounds.
        "sampler_overhead_percent": 100.0 * statistics.median(ratios),
        "sampler_overhead_percent_quartiles": [100.0 * q for q in statistics.quantiles(ratios, n=4)],
        "spherical_overhead_percent": 100.0
        * (statistics.median(a / b for a, b in zip(times["bare"], times["bare_plain"], strict=True)) - 1.0),
        "seconds_per_unet_call": statistics.median(times["bare"]) / (2 * args.steps),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    figures = measure(args)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    result = {
        **figures,
        "meta": {
            "commit": commit.stdout.strip(),
            "device": args.device if args.device == "cpu" else torch.cuda.get_device_name(),
            "machine": platform.machine(),
            "torch": torch.__version__,
            "model": "pantheon-tiny",
            "frames": args.frames,
            "height": args.height,
            "steps": args.steps,
            "rounds": args.rounds,
            "threads": args.threads,
            "seed": 0,
        },
    }
    text = json.dumps(result, indent=2)
    print(text)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
