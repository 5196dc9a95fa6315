"""Held-out scenes with everything known: true frames, distances, poses, and the scaffold of a real cache."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pantheon_core.cache import CacheSettings, cache_from_erp, merge_caches
from pantheon_core.metrics import crops_psnr_ssim, interpolation_error, warping_error
from pantheon_core.render import render_path
from pantheon_core.synthetic import generate_scene, scene_path, trace
from pantheon_core.training.clips import HELD_OUT_SEED, disturb

Fault = Literal["good", "noisy", "scale"]
FAULTS: tuple[Fault, ...] = ("good", "noisy", "scale")
KINDS: tuple[Literal["room", "street", "garden"], ...] = ("room", "street", "garden")
SCALE_FAULT = 0.9
"""What all distances of a wrongly scaled cache are multiplied by."""

_FPS = 7.0
_SHARE = (0.25, 0.6)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeldOutVideo:
    """One path through one scene.

    Attributes:
        name: kind and seed.
        truth: (T, 3, H, W) traced frames.
        true_distance: (T, H, W) metres, 0 on the sky.
        T_world_cam: (T, 4, 4).
        scaffold: (T, 3, H, W) as rendered, black in holes; the anchors' frames are renders too.
        coverage: (T, H, W) bool.
        distance: (T, H, W) of the scaffold.
    """

    name: str
    truth: Tensor
    true_distance: Tensor
    T_world_cam: Tensor
    scaffold: Tensor
    coverage: Tensor
    distance: Tensor


def make_video(
    index: int, kind: str, *, anchors: int, fault: Fault = "good", frames: int = 14, height: int = 128
) -> HeldOutVideo:
    """Trace the truth, build the cache from the end frames, render it along the path."""
    seed = HELD_OUT_SEED + 300 + index
    scene = generate_scene(seed, kind)
    path = scene_path(scene, seed, frames, _FPS, share=_SHARE)
    traced = [trace(scene, pose, height, samples=2) for pose in path]
    caches = []
    for place in (0, frames - 1)[:anchors]:
        source = trace(scene, path[place], 2 * height, samples=2)
        distance, valid, rule = source.distance, source.valid, "plane"
        if fault == "noisy":
            rng = torch.Generator().manual_seed(seed * 2 + place)
            distance, valid = disturb(distance, valid, rng)
            rule = "range"
        elif fault == "scale":
            distance = distance * SCALE_FAULT
        settings = CacheSettings(edge_rule=rule)
        made = cache_from_erp(
            source.rgb, distance, valid, sky=source.sky, T_world_cam=path[place], settings=settings
        )
        caches.append(made)
    cache = caches[0] if anchors == 1 else merge_caches(caches)
    rendered = list(render_path(cache, path, height, workers=1))
    coverage = torch.stack([frame.coverage for frame in rendered])
    return HeldOutVideo(
        name=f"{kind} {seed}",
        truth=torch.stack([frame.rgb for frame in traced]),
        true_distance=torch.stack([frame.distance * ~frame.sky for frame in traced]),
        T_world_cam=path,
        scaffold=torch.stack([frame.rgb for frame in rendered]) * coverage[:, None],
        coverage=coverage,
        distance=torch.stack([frame.distance for frame in rendered]),
    )


def psnr_where(picture: Tensor, truth: Tensor, where: Tensor) -> float:
    """PSNR in dB over the pixels of `where` (T, H, W); NaN where there is none."""
    square = (picture - truth).square().mean(1)[where].mean()
    return float(-10 * square.clamp_min(1e-10).log10())


def score(frames: Tensor, video: HeldOutVideo, *, inner: slice) -> dict[str, float]:
    """All figures of one result; `inner` are the frames that were not given."""
    crops = crops_psnr_ssim(frames, video.truth)
    holes = ~video.coverage[inner]
    warped = warping_error(frames, video.true_distance, video.T_world_cam)
    covered = warping_error(frames, video.true_distance, video.T_world_cam, mask=video.coverage)
    return {
        "end_psnr": float(crops.psnr[-1]),
        "end_ssim": float(crops.ssim[-1]),
        "psnr": float(crops.psnr[inner].mean()),
        "ssim": float(crops.ssim[inner].mean()),
        "covered_psnr": psnr_where(frames[inner], video.truth[inner], ~holes),
        "hole_psnr": psnr_where(frames[inner], video.truth[inner], holes),
        "interpolation_error": float(interpolation_error(frames, video.truth)[inner].mean()),
        "warping_error": 1e3 * float(warped.nanmean()),
        "flicker_covered": 1e3 * float(covered.nanmean()),
    }


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means of every figure over the rows that have it."""
    result = {}
    for key in rows[0]:
        values = [row[key] for row in rows if row[key] == row[key]]
        result[key] = statistics.fmean(values) if values else float("nan")
    return result


def table(title: str, columns: list[str], lines: dict[str, dict[str, float]]) -> str:
    """A Markdown table, one line per way."""
    head = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    body = [
        f"| {name} | "
        + " | ".join(f"{values[c]:.4f}" if "ssim" in c else f"{values[c]:.2f}" for c in columns)
        for name, values in lines.items()
    ]
    return "\n".join([*head, *(line + " |" for line in body)])


def metadata() -> dict[str, str | int | None]:
    """What the figures depend on."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip() or None,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
