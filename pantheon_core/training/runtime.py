"""Where a process of a run computes, in what precision, and what it exchanges with the others.

Several processes are started by `accelerate launch` (or torchrun). Every process holds the whole model, takes
its share of each batch, and gradients are averaged before the step: what a sample contributes depends on its
place in the batch alone, so any number of processes gives the same curve to rounding.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..errors import BackendUnavailableError, InputError
from .config import TrainConfig

__all__ = ["Runtime", "start_runtime"]

_BUCKET = 32 * 1024 * 1024
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Runtime:
    """One process of a run.

    Attributes:
        device: of the networks.
        rank: number of this process, from 0.
        world: number of processes.
        autocast_dtype: of the computation, None for float32.
        scaler: loss scaling for float16, else None.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    world: int = 1
    autocast_dtype: torch.dtype | None = None
    scaler: torch.amp.GradScaler | None = None
    _accelerator: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Context of the forward pass."""
        if self.autocast_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def slots(self, batch: int) -> range:
        """Places in the batch that are this process's.

        Raises:
            InputError: the batch cannot be divided evenly.
        """
        if batch % self.world:
            raise InputError(
                f"config: batch: expected a multiple of the {self.world} processes, got {batch}; every "
                "process must have the same share"
            )
        return range(self.rank, batch, self.world)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes. In buckets: many small messages are slow."""
        if self.world == 1:
            return
        for bucket in _buckets(parameters):
            for parameter in bucket:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            grads = [p.grad for p in bucket if p.grad is not None]
            flat = self._accelerator.reduce(torch.cat([g.flatten() for g in grads]), reduction="mean")
            for grad, mean in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
                grad.copy_(mean.view_as(grad))

    def average(self, values: dict[str, float]) -> dict[str, float]:
        """Means of numbers over the processes; all must have the same keys in the same order."""
        if self.world == 1:
            return values
        # MPS and some CUDA set-ups have no float64 to exchange.
        mine = torch.tensor(list(values.values()), dtype=torch.float32, device=self.device)
        return dict(zip(values, self._accelerator.reduce(mine, reduction="mean").tolist(), strict=True))

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.world > 1:
            self._accelerator.wait_for_everyone()


def start_runtime(config: TrainConfig) -> Runtime:
    """Join the other processes, if the launcher started several, and choose device and precision.

    Raises:
        InputError: a device that is not there.
        BackendUnavailableError: several processes without accelerate.
    """
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    accelerator = _accelerator(config) if several else None
    device = accelerator.device if accelerator is not None else _device(config.device)
    return Runtime(
        device=device,
        rank=accelerator.process_index if accelerator is not None else 0,
        world=accelerator.num_processes if accelerator is not None else 1,
        autocast_dtype=_DTYPES.get(config.precision),
        scaler=torch.amp.GradScaler(device.type) if config.precision == "fp16" else None,
        _accelerator=accelerator,
    )


def _accelerator(config: TrainConfig) -> Any:
    try:
        from accelerate import Accelerator
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            "training in several processes needs accelerate: pip install 'pantheon360[train]'"
        ) from error
    return Accelerator(cpu=config.device == "cpu" or not torch.cuda.is_available())


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"config: device: expected auto or a device that is there, got {name!r} ({error})"
        ) from error
    return device


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterable[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if bucket and (size >= _BUCKET or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel() * parameter.element_size()
    if bucket:
        yield bucket
