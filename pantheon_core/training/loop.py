"""The training loop: exact resume, learning-rate schedule, averaged weights, logs, several processes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import InputError, Progress
from ..files import replacing
from .config import TrainConfig
from .run_log import RunLog
from .runtime import Runtime

__all__ = ["FitResult", "fit", "learning_rate_factor", "slot_generator", "step_generator"]

_log = logging.getLogger(__name__)

Values = dict[str, Tensor]
StepLoss = Callable[[int, torch.Generator], "Values | Iterable[Values]"]
Export = Callable[[dict[str, Tensor]], object]
Validate = Callable[[int, dict[str, Tensor]], dict[str, float]]

_MOST_SKIPPED = 100


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


def slot_generator(seed: int, step: int, slot: int) -> torch.Generator:
    """Randomness of one place in the batch of one step, on whichever process it is worked out."""
    return torch.Generator().manual_seed(((seed * 1_000_003 + step) * 4099 + slot) * 7919 + 101)


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Warm up linearly, stay at 1, fall linearly to 0 over the last `decay_steps`."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    return warm * max(0.0, min(1.0, (config.steps - step) / max(1, config.decay_steps)))


def fit(
    config: TrainConfig,
    module: nn.Module,
    step_loss: StepLoss,
    *,
    runtime: Runtime | None = None,
    export: Export | None = None,
    validate: Validate | None = None,
    whole: bool = True,
    progress: Progress | None = None,
) -> FitResult:
    """Minimise `step_loss(step, generator)["loss"]` over the parameters of `module` that need gradients.

    The state (weights, averages, optimiser, step) is in `output/checkpoint.pt`, written atomically; a run
    started again with the same settings goes on from there, bit for bit as if it had not stopped.

    Args:
        config: schedule and folder; changing `steps`, `max_seconds` or the data between resumes is allowed.
        module: everything that is trained, and whatever else its checkpoint should carry.
        step_loss: returns at least "loss"; all values are logged: means over steps, or where there is a value
            "name/weight" beside "name", the sum of the one over the sum of the other. Or it returns several
            such, one per micro-batch, whose sums are the step's: gradients add up. It must draw from
            generators of (seed, step) only.
        runtime: device, precision and the other processes; None for this one alone in float32.
        export: called with the averaged weights every `export_every` steps.
        validate: called with (step, averaged weights) every `validation.every` steps; returns what to log.
        whole: checkpoints hold all weights; False keeps only those that are trained.
        progress: called with (steps done, steps).

    Raises:
        InputError: the gradient is not finite, or the checkpoint is of another network.
    """
    return _Run(config, module, runtime or Runtime(), whole).go(step_loss, export, validate, progress)


class _Run:
    """State of one run between its steps."""

    def __init__(self, config: TrainConfig, module: nn.Module, runtime: Runtime, whole: bool) -> None:
        self.config, self.module, self.runtime, self.whole = config, module, runtime, whole
        self.folder = Path(config.output)
        self.trained = {k: p for k, p in module.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.trained.values(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.98),
        )
        self.averaged = {key: p.detach().clone() for key, p in self.trained.items()}
        self.step, self.sums, self.count, self.skipped = 0, {}, 0, 0
        if runtime.is_main:
            self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        self.log: RunLog | None = None
        if runtime.average({"step": float(self.step)})["step"] != self.step:
            raise InputError(
                f"config: output: the processes found different checkpoints in {self.folder}; give all "
                "machines the same folder, or copies of the same checkpoint.pt"
            )
        if runtime.is_main:
            with replacing(self.folder / "config.json") as partial:
                where = {"processes": runtime.world, "device": str(runtime.device)}
                text = json.dumps({**config.as_dict(), "runtime": where}, indent=1)
                partial.write_text(text, encoding="utf-8")
            self.log = RunLog(self.folder, self.step, tensorboard=config.validation.tensorboard)

    def go(
        self,
        step_loss: StepLoss,
        export: Export | None,
        validate: Validate | None,
        progress: Progress | None,
    ) -> FitResult:
        config, losses, start = self.config, [], time.monotonic()
        self.module.train()
        try:
            while self.step < config.steps:
                self._advance(step_loss)
                if self._due(config.log_every):
                    losses.append(self._write_log(time.monotonic() - start))
                if progress is not None and self.runtime.is_main:
                    progress(self.step, config.steps)
                # The checkpoint comes last: a run killed before it does these again, one killed after, not.
                if validate is not None and config.validation.every and self._due(config.validation.every):
                    self._validate(validate)
                last = self.step == config.steps
                if export is not None and config.export_every and self._due(config.export_every) and not last:
                    self._alone(lambda: export(self.averaged))
                late = self._late(start)
                if self._due(config.checkpoint_every) or late:
                    self._save()
                if late:
                    break
        finally:
            if self.log is not None:
                self.log.draw()
                self.log.close()
        finished = self.step >= config.steps
        return FitResult(step=self.step, finished=finished, losses=tuple(losses), averaged=self.averaged)

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.steps

    def _late(self, start: float) -> bool:
        """Whether time is up, the same on all processes: the first one's clock counts."""
        if not self.config.max_seconds:
            return False
        late = self.runtime.is_main and time.monotonic() - start > self.config.max_seconds
        return self.runtime.average({"late": float(late)})["late"] > 0

    def _advance(self, step_loss: StepLoss) -> None:
        """One optimiser step."""
        config, runtime, scaler = self.config, self.runtime, self.runtime.scaler
        parameters = list(self.trained.values())
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(self.step, config)
        self.optimizer.zero_grad(set_to_none=True)
        made = step_loss(self.step, step_generator(config.seed, self.step))
        parts = cast("Iterable[Values]", [made] if isinstance(made, dict) else made)
        values: dict[str, float] = {}
        for part in parts:
            loss = part["loss"]
            (loss if scaler is None else scaler.scale(loss)).backward()
            for key, value in part.items():
                values[key] = values.get(key, 0.0) + float(value.detach())
        runtime.average_gradients(parameters)
        if scaler is not None:
            scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip_grad)
        finite = bool(torch.isfinite(norm))
        self._check_finite(finite)
        if scaler is None:
            self.optimizer.step()
        else:
            scaler.step(self.optimizer)
            scaler.update()
        self._average(min(config.ema, (1 + self.step) / (10 + self.step)))
        self.step += 1
        self.count += 1
        values["grad_norm"] = float(norm) if finite else 0.0
        for key, value in runtime.average(values).items():
            self.sums[key] = self.sums.get(key, 0.0) + value

    def _check_finite(self, finite: bool) -> None:
        """With loss scaling a few steps without a finite gradient are how the scale is found."""
        self.skipped = 0 if finite else self.skipped + 1
        if not finite and (self.runtime.scaler is None or self.skipped > _MOST_SKIPPED):
            raise InputError(
                f"training: the gradient is not finite at step {self.step}; lower the learning rate"
            )

    def _average(self, decay: float) -> None:
        with torch.no_grad():
            for average, now in zip(self.averaged.values(), self.trained.values(), strict=True):
                average.lerp_(now, 1.0 - decay)

    def _write_log(self, seconds: float) -> float:
        means = _means(self.sums, self.count)
        self.sums, self.count = {}, 0
        if self.log is not None:
            self.log.write("train", self.step, {"seconds": round(seconds, 1), **means})
        return means["loss"]

    def _validate(self, validate: Validate) -> None:
        def run() -> None:
            if self.log is not None:
                self.log.write("validation", self.step, validate(self.step, self.averaged))
                self.log.draw()

        self._alone(run)
        self.module.train()

    def _alone(self, work: Callable[[], object]) -> None:
        """Work of the first process, for which the others wait."""
        if self.runtime.is_main:
            work()
        self.runtime.wait()

    def _save(self) -> None:
        def write() -> None:
            weights = self.module.state_dict()
            state: dict[str, Any] = {
                "step": self.step,
                "model": weights if self.whole else {key: weights[key] for key in self.trained},
                "averaged": self.averaged,
                "optimizer": self.optimizer.state_dict(),
                "log": {"sums": self.sums, "count": self.count, "skipped": self.skipped},
            }
            if self.runtime.scaler is not None:
                state["scaler"] = self.runtime.scaler.state_dict()
            with replacing(self.folder / "checkpoint.pt") as partial:
                torch.save(state, partial)

        self._alone(write)

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True, map_location="cpu")
        try:
            missing = set(self.trained) - set(state["model"])
            if missing or set(self.averaged) != set(state["averaged"]):
                raise InputError(f"it lacks {sorted(missing)[:3]}" if missing else "it trains other weights")
            unknown = self.module.load_state_dict(state["model"], strict=False).unexpected_keys
            if unknown:
                raise InputError(f"it has {unknown[:3]}")
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"training: {path} is of another network; choose another output folder ({error})"
            ) from error
        for key, value in state["averaged"].items():
            self.averaged[key].copy_(value)
        if self.runtime.scaler is not None and "scaler" in state:
            self.runtime.scaler.load_state_dict(state["scaler"])
        log = state.get("log", {"sums": {}, "count": 0, "skipped": 0})
        self.step, self.sums = int(state["step"]), dict(log["sums"])
        self.count, self.skipped = int(log["count"]), int(log["skipped"])
        _log.info("resumed %s at step %d", path, self.step)


def _means(sums: dict[str, float], count: int) -> dict[str, float]:
    """Sums over steps as means; weighted values without any weight are left out."""
    means = {}
    for key, value in sums.items():
        weight = sums.get(f"{key}/weight", float(count))
        if weight > 0 and not key.endswith("/weight"):
            means[key] = value / weight
    return means
