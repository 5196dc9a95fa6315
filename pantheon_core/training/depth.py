"""Training of the bundled distance network, resumable and seeded.

`python -m pantheon_core.training.depth --data .cache/depth/a --test .cache/depth/test --run .cache/depth/run
--photos ../shared/panoramas --fastdepth ../shared/models/fastdepth_nyu.onnx --height 128 --minutes 20`

Data: frames that `training.depth_data` renders from procedural scenes, and photographs with layout labels by
hand (`training.depth_labels`). The run folder holds last.pt (to resume), curve.jsonl and the weights.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..recon._tiny_net import TinyDepthNet
from ..recon._tiny_weights import save_tiny
from .depth_augment import augment_colour, roll_and_flip
from .depth_data import DepthFrames, pool_distance
from .depth_from_onnx import load_fastdepth, tiny_from_fastdepth
from .depth_losses import DepthTarget, depth_loss
from .depth_photos import LabelledPhoto, load_photos

__all__ = ["DepthTrainSettings", "frame_batch", "train_depth"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthTrainSettings:
    """How to train.

    Attributes:
        height: ERP height the network sees, a divisor of the frames' height, a multiple of 32.
        batch: panoramas per step.
        minutes: of wall clock, also the length of the learning rate's schedule.
        rate: highest learning rate; FastDepth's own layers get `base_ratio` of it.
        base_ratio: see `rate`.
        photo_chance: chance that an item of a batch is a labelled photograph.
        ema: decay of the averaged weights that are kept.
        seed: of everything random.
    """

    height: int = 128
    batch: int = 6
    minutes: float = 20.0
    rate: float = 1e-3
    base_ratio: float = 0.5
    photo_chance: float = 0.15
    ema: float = 0.99
    seed: int = 0


def _target_of(distance: Tensor, floor: Tensor) -> DepthTarget:
    """Targets (B, h, w) from pooled distances (inf on the sky) and floor heights (B,)."""
    h = distance.shape[1]
    lat = (0.5 - (torch.arange(h) + 0.5) / h) * math.pi
    down = -torch.sin(lat)[:, None]
    sky = torch.isinf(distance)
    near = torch.where(sky, torch.ones_like(distance), distance).clamp(0.2, 80.0)
    off = (distance * down / floor.clamp(min=0.1)[:, None, None] - 1).abs()
    is_floor = (down > 0.02) & (off < 0.04) & (floor > 0)[:, None, None] & ~sky
    return DepthTarget(
        log_distance=near.log(),
        valid=~sky,
        sky=sky.float(),
        floor=is_floor.float(),
        labelled=torch.ones_like(sky),
        metric=torch.ones(len(distance)),
    )


def frame_batch(frames: DepthFrames, index: Tensor, height: int) -> tuple[Tensor, DepthTarget]:
    """Frames as rgb (B, 3, H, W) at `height` and targets at half of it, without augmentation."""
    rgb = frames.rgb[index].float() / 255
    factor = rgb.shape[2] // height
    if factor > 1:
        rgb = F.avg_pool2d(rgb, factor)
    distance = pool_distance(frames.distance[index].float(), 2 * factor)
    return rgb, _target_of(distance, frames.floor[index])


class _Sampler:
    """Draws augmented batches."""

    def __init__(
        self, frames: DepthFrames, photos: list[LabelledPhoto], settings: DepthTrainSettings
    ) -> None:
        self.frames, self.photos, self.settings = frames, photos, settings

    def batch(self, step: int) -> tuple[Tensor, DepthTarget]:
        """The batch of a step: the same on every run and after every resume."""
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + step)
        rgbs, targets = [], []
        for _ in range(self.settings.batch):
            photo = self.photos and float(torch.rand(1, generator=generator)) < self.settings.photo_chance
            rgb, target = self._photo(generator) if photo else self._frame(generator)
            names = ("log_distance", "valid", "sky", "floor", "labelled")
            parts = roll_and_flip([rgb[0]] + [getattr(target, name) for name in names], generator)
            rgbs.append(augment_colour(parts[0], generator))
            targets.append(dict(zip(names, parts[1:], strict=True), metric=target.metric))
        joined = {name: torch.cat([t[name] for t in targets]) for name in targets[0]}
        return torch.stack(rgbs), DepthTarget(**joined)

    def _frame(self, generator: torch.Generator) -> tuple[Tensor, DepthTarget]:
        index = torch.randint(len(self.frames.rgb), (1,), generator=generator)
        return frame_batch(self.frames, index, self.settings.height)

    def _photo(self, generator: torch.Generator) -> tuple[Tensor, DepthTarget]:
        photo = self.photos[int(torch.randint(len(self.photos), (1,), generator=generator))]
        return photo.rgb[None], photo.target


def _parameter_groups(net: TinyDepthNet, settings: DepthTrainSettings) -> list[dict[str, object]]:
    named = [(n, p) for n, p in net.named_parameters() if p.requires_grad]
    old = [p for n, p in named if n.startswith(("stem", "encoder", "decoder"))]
    new = [p for n, p in named if not n.startswith(("stem", "encoder", "decoder"))]
    return [{"params": old, "ratio": settings.base_ratio}, {"params": new, "ratio": 1.0}]


def _rate(settings: DepthTrainSettings, step: int, progress: float) -> float:
    warm = min(1.0, (step + 1) / 100)
    return settings.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def _save(run: Path, state: dict[str, object]) -> None:
    part = run / "last.part.pt"
    torch.save(state, part)
    part.replace(run / "last.pt")


def train_depth(
    net: TinyDepthNet,
    frames: DepthFrames,
    photos: list[LabelledPhoto],
    run: Path,
    *,
    settings: DepthTrainSettings,
) -> TinyDepthNet:
    """Train for `settings.minutes`; continues from run/last.pt where it is there.

    Returns:
        The network with averaged weights, also saved to run/tiny_depth.safetensors.
    """
    run.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(_parameter_groups(net, settings), lr=settings.rate, weight_decay=1e-4)
    for parameter in net.parameters():
        if parameter.ndim == 4:  # depthwise gradients are faster so
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    average = copy.deepcopy(net)
    step, spent = 0, 0.0
    if (run / "last.pt").is_file():
        state = torch.load(run / "last.pt", weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
    sampler = _Sampler(frames, photos, settings)
    now = saved = time.monotonic()
    sums: dict[str, float] = {}
    while spent < settings.minutes * 60:
        rate = _rate(settings, step, spent / settings.minutes / 60)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["ratio"]
        rgb, target = sampler.batch(step)
        loss, parts = depth_loss(net(rgb.contiguous(memory_format=torch.channels_last)), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        decay = min(settings.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), net.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        step += 1
        before, now = now, time.monotonic()
        spent += min(now - before, 10.0)  # a machine that slept has not trained
        for name, value in {"loss": float(loss.detach()), **parts}.items():
            sums[name] = sums.get(name, 0.0) + value / 50
        if step % 50 == 0:
            _log(run, {"step": step, "minutes": spent / 60, "rate": rate, **sums})
            sums = {}
        if time.monotonic() - saved > 120:
            saved = time.monotonic()
            _save(run, _state(net, average, optimizer, step, spent))
            save_tiny(average, run / "tiny_depth.safetensors", height=settings.height, step=step)
    _save(run, _state(net, average, optimizer, step, spent))
    save_tiny(average, run / "tiny_depth.safetensors", height=settings.height, step=step)
    return average


def _state(
    net: TinyDepthNet, average: TinyDepthNet, optimizer: torch.optim.Optimizer, step: int, spent: float
) -> dict[str, object]:
    return {
        "net": net.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "spent": spent,
    }


def _log(run: Path, row: dict[str, float]) -> None:
    rounded = {name: round(value, 6) for name, value in row.items()}
    with (run / "curve.jsonl").open("a") as file:
        file.write(json.dumps(rounded) + "\n")
    _LOG.info("%s", rounded)


def main() -> None:
    """Command line."""
    from ..recon._tiny_weights import load_tiny

    parser = argparse.ArgumentParser(description="Train the bundled distance network.")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="weights to start from instead of FastDepth's")
    parser.add_argument("--fastdepth", type=Path, required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--photo-chance", type=float, default=0.15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frozen", type=int, default=0, help="leave so many encoder blocks as they are")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    teacher = load_fastdepth(args.fastdepth)
    net = load_tiny(args.start) if args.start else tiny_from_fastdepth(teacher)
    for module in (net.stem, *net.encoder[: args.frozen]) if args.frozen else ():
        module.requires_grad_(False)
    frames = DepthFrames.load_all(args.data)
    photos = load_photos(args.photos, args.height, teacher) if args.photos else []
    settings = DepthTrainSettings(
        height=args.height,
        batch=args.batch,
        minutes=args.minutes,
        rate=args.rate,
        photo_chance=args.photo_chance,
        seed=args.seed,
    )
    train_depth(net.train(), frames, photos, args.run, settings=settings)


if __name__ == "__main__":
    main()
