"""Numbers of the distance network on held-out scenes, beside two baselines.

`python -m pantheon_core.training.depth_eval --data .cache/depth/test --prior .cache/depth/a
--fastdepth ../shared/models/fastdepth_nyu.onnx`
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..recon import DistanceEstimate, ReconBackend
from ..recon.tiny import TinyBackend
from .depth_data import DepthFrames
from .depth_from_onnx import load_fastdepth
from .depth_losses import latitude_weight
from .depth_photos import fuse_fastdepth

__all__ = ["depth_scores", "evaluate", "latitude_baseline"]

_KINDS = ("room", "street", "garden")


def depth_scores(log_distance: Tensor, truth: Tensor) -> dict[str, float]:
    """Scores of log-distances (H, W) against metres (H, W), infinite on the sky; weighted by solid angle.

    Returns:
        abs_rel and delta (share within a factor 1.25), raw and after scaling by the median.
    """
    valid = truth.isfinite()
    weight = latitude_weight(truth.shape[0]).expand_as(truth)[valid]
    error = (log_distance - truth.clamp(0.2, 80.0).log())[valid]
    order = error.argsort()
    half = torch.searchsorted(weight[order].cumsum(0), weight.sum() / 2)
    scores = {}
    for name, e in (("", error - error[order][half]), ("raw_", error)):
        ratio = e.exp()
        scores[f"{name}abs_rel"] = float(((ratio - 1).abs() * weight).sum() / weight.sum())
        within = (e.abs() < 0.2231).float()  # log 1.25
        scores[f"{name}delta"] = float((within * weight).sum() / weight.sum())
    return scores


def latitude_baseline(frames: DepthFrames) -> Tensor:
    """(H, 1) mean log-distance of every latitude over training frames: what needs no image."""
    log = frames.distance.float().clamp(0.2, 80.0).log()
    seen = frames.distance.isfinite()
    total = (log * seen).sum((0, 2)) / seen.sum((0, 2)).clamp(min=1)
    return total[:, None]


def _sky_iou(estimate: DistanceEstimate, truth: Tensor) -> float | None:
    said, true = estimate.sky >= 0.5, truth.isinf()
    union = (said | true).float()
    if not bool(true.any()):
        return None
    weight = latitude_weight(truth.shape[0])
    return float(((said & true) * weight).sum() / (union * weight).sum())


def evaluate(frames: DepthFrames, predict: Callable[[Tensor], Tensor]) -> dict[str, dict[str, float]]:
    """Mean scores per kind and overall of `predict`: rgb (3, H, W) -> log-distance (H, W)."""
    rows: dict[str, list[dict[str, float]]] = {}
    for rgb, distance, kind in zip(frames.rgb, frames.distance, frames.kind, strict=True):
        scores = depth_scores(predict(rgb.float() / 255), distance.float())
        for name in ("all", _KINDS[int(kind)]):
            rows.setdefault(name, []).append(scores)
    return {
        name: {key: sum(r[key] for r in group) / len(group) for key in group[0]}
        for name, group in rows.items()
    }


def _network(frames: DepthFrames, backend: ReconBackend) -> dict[str, dict[str, float]]:
    ious: list[float] = []
    false_sky: list[float] = []
    index = iter(frames.distance)

    def predict(rgb: Tensor) -> Tensor:
        estimate = backend.estimate(rgb)
        truth = next(index).float()
        iou = _sky_iou(estimate, truth)
        if iou is None:
            false_sky.append(float((estimate.sky >= 0.5).float().mean()))
        else:
            ious.append(iou)
        return torch.where(estimate.valid, estimate.distance, 80.0).clamp(0.05, 200).log()

    scores = evaluate(frames, predict)
    scores["all"]["sky_iou"] = sum(ious) / max(1, len(ious))
    scores["all"]["false_sky"] = sum(false_sky) / max(1, len(false_sky))
    return scores


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--prior", type=Path, help="training frames for the latitude baseline")
    parser.add_argument("--fastdepth", type=Path, help="ONNX file for the perspective baseline")
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    frames = DepthFrames.load(args.data, args.limit)
    result = {
        "tiny": _network(frames, TinyBackend(weights=args.weights)),
        "tiny, walls not straightened": _network(
            frames, TinyBackend(weights=args.weights, upright_walls=False)
        ),
        "tiny, neither": _network(
            frames, TinyBackend(weights=args.weights, flat_floor=False, upright_walls=False)
        ),
    }
    if args.prior:
        prior = latitude_baseline(DepthFrames.load(args.prior))
        result["latitude"] = evaluate(frames, lambda rgb: prior.expand(rgb.shape[1:]))
    if args.fastdepth:
        teacher = load_fastdepth(args.fastdepth)
        result["fastdepth"] = evaluate(frames, lambda rgb: fuse_fastdepth(rgb, teacher, rgb.shape[1])[0])
    for method, kinds in result.items():
        for kind, scores in kinds.items():
            row = {"method": method, "kind": kind, **{k: round(v, 4) for k, v in scores.items()}}
            sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
