"""Settings of a training run, read from TOML. docs/training.md explains every key."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ..diffusion import ModelConfig
from ..errors import InputError
from .config_parts import (
    CorruptionConfig,
    DataConfig,
    LoRAConfig,
    UNetConfig,
    VAEConfig,
    ValidationConfig,
)
from .config_reader import check_values, from_table, read_toml

__all__ = [
    "CorruptionConfig",
    "DataConfig",
    "LoRAConfig",
    "TrainConfig",
    "UNetConfig",
    "VAEConfig",
    "ValidationConfig",
    "load_config",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One training run: a stage, its data and its schedule (warm up, constant, linear decay to zero).

    Attributes:
        stage: "clips" renders training clips, "vae" and "unet" train.
        output: folder for checkpoint.pt, logs, curves, validation videos and the finished model.
        seed: of everything that is drawn. A step's randomness depends on the seed and its number alone.
        steps: total optimiser steps; may be changed between resumes.
        batch: clips per step, over all processes together.
        micro_batch: clips at once on one device; 0 for all of the process. The gradient is that of the batch.
        learning_rate: of AdamW after the warm-up.
        warmup: first steps, over which the learning rate rises.
        decay_steps: last steps, over which the learning rate falls to zero.
        weight_decay: of AdamW.
        clip_grad: greatest norm of the gradient.
        ema: decay of the averaged weights, which are what is exported.
        threads: of the CPU.
        device: "auto" is CUDA where there is one, else the CPU; "cpu", "cuda", "cuda:1", "mps". With several
            processes the launcher decides.
        precision: of the computation: "bf16" and "fp16" (with loss scaling) autocast; trained weights stay
            float32.
        log_every: steps between lines of log.jsonl.
        checkpoint_every: steps between checkpoints.
        export_every: write the averaged weights as a model file this often; 0 only at the end.
        max_seconds: stop (with a checkpoint) after this long; 0 means no limit.
        data: what to train on.
        vae: the stage "vae".
        unet: the stage "unet".
        lora: adapters.
        validation: held-out clips.
        model: fields of `diffusion.ModelConfig` for the finished model, e.g. name, description, crops.
    """

    stage: Literal["clips", "vae", "unet"] = "vae"
    output: str = "runs/tiny"
    seed: int = 0
    steps: int = 1000
    batch: int = 4
    micro_batch: int = 0
    learning_rate: float = 5e-4
    warmup: int = 100
    decay_steps: int = 300
    weight_decay: float = 1e-2
    clip_grad: float = 1.0
    ema: float = 0.999
    threads: int = 1
    device: str = "auto"
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    log_every: int = 20
    checkpoint_every: int = 200
    export_every: int = 0
    max_seconds: float = 0.0
    data: DataConfig = field(default_factory=DataConfig)
    vae: VAEConfig = field(default_factory=VAEConfig)
    unet: UNetConfig = field(default_factory=UNetConfig)
    lora: LoRAConfig = field(default_factory=LoRAConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    model: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks = [
            *(
                (name, "at least 1", getattr(self, name) >= 1)
                for name in ("steps", "batch", "threads", "log_every", "checkpoint_every")
            ),
            *(
                (name, "at least 0", getattr(self, name) >= 0)
                for name in ("seed", "micro_batch", "warmup", "decay_steps", "weight_decay", "export_every")
            ),
            ("learning_rate", "more than 0", self.learning_rate > 0),
            ("clip_grad", "more than 0", self.clip_grad > 0),
            ("ema", "0 to less than 1", 0 <= self.ema < 1),
            ("max_seconds", "at least 0", self.max_seconds >= 0),
        ]
        check_values("", self, checks)
        decided = sorted({"variant", "conditioning", "frames", "hole_fill", "hole_value"} & set(self.model))
        if decided:
            raise InputError(f"config: model.{decided[0]}: follows from the table [unet]; take it out here")
        ModelConfig.from_dict(self.model)

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dict, for logs and provenance."""
        return asdict(self)


def load_config(source: str | Path | TrainConfig, **overrides: Any) -> TrainConfig:
    """Read a run's settings.

    Args:
        source: path of a TOML file, or settings already built.
        overrides: top-level settings to replace.

    Raises:
        InputError: unknown key, a value of the wrong type or out of range, or no such file.
        BackendUnavailableError: Python 3.10, which has no TOML reader.
    """
    if isinstance(source, TrainConfig):
        return replace(source, **overrides)
    path = Path(source)
    return replace(from_table(TrainConfig, read_toml(path), str(path)), **overrides)
