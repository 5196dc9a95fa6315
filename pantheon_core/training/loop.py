"""The training loop: exact resume, learning-rate schedule, averaged weights, a JSONL log."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, Progress
from .config import TrainConfig

__all__ = ["FitResult", "fit", "learning_rate_factor", "step_generator"]

_log = logging.getLogger(__name__)

StepLoss = Callable[[int, torch.Generator], dict[str, Tensor]]
Export = Callable[[dict[str, Tensor]], object]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FitResult:
    """How a run ended.

    Attributes:
        step: optimiser steps done in all, over all resumes.
        finished: whether `steps` was reached (else the time limit stopped it).
        losses: the logged values of "loss" of this call.
        averaged: the averaged weights by parameter name.
    """

    step: int
    finished: bool
    losses: tuple[float, ...]
    averaged: dict[str, Tensor]


def step_generator(seed: int, step: int) -> torch.Generator:
    """All randomness of one step. It depends on nothing but (seed, step), so a resumed run draws the same."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) * 7919 + 17)


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Warm up linearly, stay at 1, fall linearly to 0 over the last `decay_steps`."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    return warm * max(0.0, min(1.0, (config.steps - step) / max(1, config.decay_steps)))


def fit(
    config: TrainConfig,
    module: nn.Module,
    step_loss: StepLoss,
    *,
    export: Export | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Minimise `step_loss(step, generator)["loss"]` over the parameters of `module`.

    The state (weights, averages, optimiser, step) is in `output/checkpoint.pt`, written atomically; a run
    started again with the same settings goes on from there, bit for bit as if it had not stopped.

    Args:
        config: schedule and folder; changing `steps`, `max_seconds` or the data between resumes is allowed.
        module: everything that is trained, and whatever else its checkpoint should carry.
        step_loss: returns at least "loss"; all values are logged. It must draw from the generator only.
        export: called with the averaged weights every `export_every` steps.
        progress: called with (steps done, steps).

    Raises:
        InputError: the loss is not finite, or the checkpoint is of another network.
    """
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.as_dict(), indent=1), encoding="utf-8")
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98)
    )
    averaged = {k: p.detach().clone() for k, p in module.named_parameters() if p.requires_grad}
    step = _resume(folder / "checkpoint.pt", module, optimizer, averaged)
    start, losses, sums, count = time.monotonic(), [], {}, 0
    module.train()
    while step < config.steps:
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(step, config)
        values = step_loss(step, step_generator(config.seed, step))
        optimizer.zero_grad(set_to_none=True)
        values["loss"].backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip_grad)
        if not torch.isfinite(norm):
            raise InputError(f"training: the gradient is not finite at step {step}; lower the learning rate")
        optimizer.step()
        _average(averaged, module, min(config.ema, (1 + step) / (10 + step)))
        step += 1
        count += 1
        for key, value in {**values, "grad_norm": norm}.items():
            sums[key] = sums.get(key, 0.0) + float(value.detach())
        if step % config.log_every == 0 or step == config.steps:
            means = {key: value / count for key, value in sums.items()}
            losses.append(means["loss"])
            _write_log(folder, step, time.monotonic() - start, means)
            sums, count = {}, 0
        if progress is not None:
            progress(step, config.steps)
        late = bool(config.max_seconds) and time.monotonic() - start > config.max_seconds
        if step % config.checkpoint_every == 0 or step == config.steps or late:
            _save(folder / "checkpoint.pt", module, optimizer, averaged, step)
        if export is not None and config.export_every and step % config.export_every == 0:
            export(averaged)
        if late:
            break
    return FitResult(step=step, finished=step >= config.steps, losses=tuple(losses), averaged=averaged)


def _average(averaged: dict[str, Tensor], module: nn.Module, decay: float) -> None:
    with torch.no_grad():
        trained = (p for p in module.parameters() if p.requires_grad)
        for average, now in zip(averaged.values(), trained, strict=True):
            average.lerp_(now, 1.0 - decay)


def _save(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, averaged: dict[str, Tensor], step: int
) -> None:
    partial = path.with_suffix(".partial")
    state: dict[str, Any] = {
        "step": step,
        "model": module.state_dict(),
        "averaged": averaged,
        "optimizer": optimizer.state_dict(),
    }
    torch.save(state, partial)
    os.replace(partial, path)  # noqa: PTH105 - atomic on every platform, as Path.replace is, but says so


def _resume(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, averaged: dict[str, Tensor]
) -> int:
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    try:
        module.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"training: {path} is of another network; choose another output folder ({error})"
        ) from error
    for key, value in state["averaged"].items():
        averaged[key].copy_(value)
    _log.info("resumed %s at step %d", path, state["step"])
    return int(state["step"])


def _write_log(folder: Path, step: int, seconds: float, means: dict[str, float]) -> None:
    row = {"step": step, "seconds": round(seconds, 1), **{k: round(v, 6) for k, v in means.items()}}
    with (folder / "log.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
    _log.info("step %d: %s", step, row)
