"""Our sampling beside diffusers' own pipeline: time and peak memory on the same weights.

    python benchmarks/pipeline.py [--json FILE] [--heights 128 256] [--rounds 6 3] [--whole 2 0]

The job is the one that `tests/diffusion/test_conformance.py` shows to give the same video: the UNet and the
autoencoder of pantheon-tiny driven by the first frame alone, as stock Stable Video Diffusion is, 14 frames.
Steps: processor time, all ways in turn in one process, in a changing order, without decoding; a ratio is
taken within a round, then median and quartiles over rounds. Memory, and the time of decoding: each way alone
in a fresh process, which runs once at a small size first; the peak of each part above what was resident
before (VmHWM, set back at every mark), the median of the runs. `--whole`: how often with decoding; 0 leaves
it out.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import multiprocessing
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

FRAMES, SEED, FPS = 14, 0, 7
PARTS = ("encode", "steps", "decode")
MEMORY_RUNS = 3
"""Without decoding; their median counts."""


@dataclass(frozen=True)
class Way:
    """One way to make the video.

    Attributes:
        theirs: diffusers' pipeline; else our `generate`.
        guided: guidance from 1 to 3, which needs the unconditional branch too; else without.
        chunk: frames decoded together.
        spherical: with convolutions that wrap around.
        together: both branches of the guidance in one batch, as the pipeline always has them.
    """

    theirs: bool = False
    guided: bool = False
    chunk: int = 8
    spherical: bool = False
    together: bool = False


WAYS = {
    "diffusers": Way(theirs=True, chunk=FRAMES),
    "diffusers, decoding by 8": Way(theirs=True),
    "ours": Way(),
    "ours, spherical": Way(spherical=True),
    "guided: diffusers": Way(theirs=True, guided=True, chunk=FRAMES),
    "guided: ours": Way(guided=True),
    "guided: ours, one batch": Way(guided=True, together=True),
}
Mark = Callable[[str], None]


class Enough(Exception):
    """Nothing after this part is wanted."""


class Bench:
    """The networks, and one run of any way over them: a single step, since all cost the same."""

    def __init__(self) -> None:
        from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
            StableVideoDiffusionPipeline,
        )
        from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
        from transformers import CLIPImageProcessor

        from pantheon_core.assets import weights_path
        from pantheon_core.diffusion import ModelConfig, PantheonModel, build_tiny, load_model

        tiny = load_model(weights_path("pantheon_tiny"))
        # The pipeline shows the image encoder 224 pixels, pantheon-tiny's takes fewer: another in its place.
        encoder = build_tiny(encoder_size=224, token_dim=tiny.token_dim).image_encoder
        config = ModelConfig(conditioning="first_frame", crops=0, frames=FRAMES)
        self.model = PantheonModel(config, tiny.unet, tiny.vae, encoder).eval()
        scheduler = EulerDiscreteScheduler(
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            sigma_min=0.002,
            sigma_max=700.0,
            timestep_spacing="leading",
            timestep_type="continuous",
            use_karras_sigmas=True,
            steps_offset=1,
        )
        self.pipe = StableVideoDiffusionPipeline(
            vae=tiny.vae,
            image_encoder=encoder,
            unet=tiny.unet,
            scheduler=scheduler,
            feature_extractor=CLIPImageProcessor(),
        )
        self.pipe.set_progress_bar_config(disable=True)

    def run(self, way: Way, height: int, frames: int, mark: Mark) -> None:
        """Make the video; `mark(part)` is told when a part begins, and the end; it may raise `Enough`."""
        generator = torch.Generator().manual_seed(SEED)
        pixels = torch.randint(256, (height, 2 * height, 3), generator=generator, dtype=torch.uint8)
        started = False

        def first_call(*_: object) -> None:
            nonlocal started
            if not started:
                started = True
                mark("steps")

        hook = self.model.unet.register_forward_pre_hook(first_call)
        try:
            mark("encode")
            with suppress(Enough):
                (self._theirs if way.theirs else self._ours)(way, pixels, frames, mark)
                mark("end")
        finally:
            hook.remove()

    def _theirs(self, way: Way, pixels: torch.Tensor, frames: int, mark: Mark) -> None:
        from PIL import Image

        def stepped(_: object, __: int, ___: object, kept: dict[str, Any]) -> dict[str, Any]:
            mark("decode")
            return kept

        self.pipe(
            Image.fromarray(pixels.numpy()),  # it does not resize tensors for its image encoder
            height=pixels.shape[0],
            width=pixels.shape[1],
            num_frames=frames,
            num_inference_steps=1,
            min_guidance_scale=1.0,
            max_guidance_scale=3.0 if way.guided else 1.0,
            fps=FPS,
            decode_chunk_size=way.chunk,
            generator=torch.Generator().manual_seed(SEED),
            output_type="pt",
            callback_on_step_end=stepped,  # pyright: ignore[reportArgumentType] (their hint is out of date)
        )

    def _ours(self, way: Way, pixels: torch.Tensor, frames: int, mark: Mark) -> None:
        from pantheon_core.diffusion import HoldSettings, SamplerSettings, generate

        settings = SamplerSettings(
            steps=1,
            guidance_max=3.0 if way.guided else 1.0,
            guidance_together=way.together,
            fps=FPS,
            seed=SEED,
            decode_chunk=way.chunk,
            spherical=way.spherical,
            hold=HoldSettings(strength=0.0),
        )

        def stepped(done: int, _: int) -> None:
            if done == 1:
                mark("decode")

        image = pixels.permute(2, 0, 1) / 255.0
        scaffold = image.expand(frames, -1, -1, -1)
        coverage = torch.ones(frames, *image.shape[-2:], dtype=torch.bool)
        generate(self.model, scaffold, coverage, [image], settings=settings, progress=stepped)


class Marks:
    """Notes a figure when a part begins; without `decode` it ends the run where decoding would begin."""

    def __init__(self, figure: Callable[[str], float], *, decode: bool) -> None:
        self.figure, self.decode = figure, decode
        self.noted: list[float] = []

    def __call__(self, part: str) -> None:
        """A part begins."""
        self.noted.append(self.figure(part))
        if part == "decode" and not self.decode:
            raise Enough

    def spans(self) -> dict[str, float]:
        """Part -> its end less its beginning."""
        return {p: b - a for p, a, b in zip(PARTS, self.noted, self.noted[1:], strict=False)}


def measure_steps(bench: Bench, height: int, rounds: int) -> dict[str, Any]:
    """Processor seconds of encoding and of a step, per way."""
    names = [name for name, way in WAYS.items() if not (way.theirs and way.chunk < FRAMES)]
    times: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for round_ in range(rounds):
        turn = round_ % len(names)
        for name in names[turn:] + names[:turn]:
            marks = Marks(lambda _: time.process_time(), decode=False)
            bench.run(WAYS[name], height, FRAMES, marks)
            times[name].append(marks.spans())
    return {
        name: {
            "encode_seconds": statistics.median(one["encode"] for one in runs),
            "step_seconds": statistics.median(one["steps"] for one in runs),
            "step_ratio_quartiles": statistics.quantiles(
                [a["steps"] / b["steps"] for a, b in zip(runs, times[_peer(name)], strict=True)], n=4
            ),
        }
        for name, runs in times.items()
    }


def _peer(name: str) -> str:
    return "guided: diffusers" if WAYS[name].guided else "diffusers"


def _status(key: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(key))


def measure_alone(bench: Bench, way: Way, height: int, *, decode: bool) -> dict[str, dict[str, float]]:
    """Peak MiB of each part above what this process held before, and its processor seconds."""
    bench.run(way, 64, 2, Marks(lambda _: 0.0, decode=decode))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    base = _status("VmRSS")
    peaks: list[float] = []

    def figure(_: str) -> float:
        peaks.append((_status("VmHWM") - base) / 1024)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return time.process_time()

    marks = Marks(figure, decode=decode)
    bench.run(way, height, FRAMES, marks)
    return {"peak_MiB": dict(zip(PARTS, peaks[1:], strict=False)), "seconds": marks.spans()}


def alone(bench: Bench, name: str, height: int, *, decode: bool) -> dict[str, dict[str, float]]:
    """`measure_alone` in a process of its own."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def run() -> None:
        queue.put(measure_alone(bench, WAYS[name], height, decode=decode))

    process = context.Process(target=run)
    process.start()
    found = queue.get()
    process.join()
    return found


def measure(bench: Bench, height: int, rounds: int, whole: int) -> dict[str, Any]:
    """All figures of one size."""
    result: dict[str, Any] = {}
    for name, way in WAYS.items():
        if way.theirs and way.chunk < FRAMES and not whole:
            continue  # it differs in decoding alone
        result[name] = {}
        # Decoding knows nothing of the guidance.
        decode = whole > 0 and not way.guided
        runs = [alone(bench, name, height, decode=decode) for _ in range(whole if decode else MEMORY_RUNS)]
        result[name]["peak_MiB"] = {
            part: statistics.median(one["peak_MiB"][part] for one in runs) for part in runs[0]["peak_MiB"]
        }
        if decode:
            result[name]["decode_seconds"] = [one["seconds"]["decode"] for one in runs]
        print(height, name, result[name], flush=True)
    for name, figures in measure_steps(bench, height, rounds).items():
        result[name] |= figures
    return result


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--heights", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--rounds", type=int, nargs="+", default=[6, 3], help="of steps, per height")
    parser.add_argument("--whole", type=int, nargs="+", default=[2, 0], help="runs with decoding, per height")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    import diffusers

    bench = Bench()
    for way in WAYS.values():
        bench.run(way, 64, 2, lambda _: None)  # warms up
    result: dict[str, Any] = {
        f"{height}x{2 * height}": measure(bench, height, rounds, whole)
        for height, rounds, whole in zip(options.heights, options.rounds, options.whole, strict=True)
    }
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    result["meta"] = {
        "commit": commit.stdout.strip(),
        "device": "cpu",
        "machine": platform.machine(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "model": "pantheon-tiny, driven by the first frame",
        "frames": FRAMES,
        "rounds": options.rounds,
        "whole": options.whole,
        "threads": options.threads,
        "seed": SEED,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
