"""Settings of a training run, read from TOML."""

from __future__ import annotations

import importlib
import types
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from ..diffusion import HoleFill
from ..diffusion.config import Conditioning
from ..errors import BackendUnavailableError, InputError

__all__ = ["DataConfig", "TrainConfig", "UNetConfig", "VAEConfig", "load_config"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """What a run trains on.

    Attributes:
        photos: bundled photographs by name (`assets.sample_panoramas`); the held-out ones are left out here.
        extra_photos: more panorama files or folders of .jpg, not shipped with the project.
        clips: folder of clip files (`clips.py`).
        clip_count: clips the data process renders per kind.
        held_out: clips per kind from seeds at and above 1,000,000, never trained on.
        corrupt_share: share of clips whose cache is built from a disturbed distance map.
        wide_share: share of clips with a path that is long for its scene.
    """

    photos: tuple[str, ...] = ()
    extra_photos: tuple[str, ...] = ()
    clips: str = ".cache/clips"
    clip_count: int = 300
    held_out: int = 5
    corrupt_share: float = 0.5
    wide_share: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class VAEConfig:
    """The VAE stage.

    Attributes:
        channels: output channels of the four blocks (8x smaller latents).
        layers: residual layers per block.
        crop: (height, width) of a training crop in pixels.
        full_share: share of steps on whole 128x256 panoramas with spherical padding.
        clip_share: share of steps on synthetic clips (needs `data.clips`).
        hole_share: share of photograph steps with black holes, as scaffolds have them.
        kl_weight: weight of the KL term, per latent element.
        start: checkpoint whose averaged weights the stage starts from; empty starts as block means.
        freeze_encoder: train the decoder alone, so that a UNet trained on the encoder's latents stays valid.
        latent_noise: most noise added to the latents before decoding, relative to their deviation; it makes
            the decoder forgive the UNet's errors.
    """

    channels: tuple[int, ...] = (96, 96, 96, 128)
    layers: int = 1
    crop: tuple[int, int] = (64, 128)
    full_share: float = 0.0
    clip_share: float = 0.0
    hole_share: float = 0.25
    kl_weight: float = 1e-5
    start: str = ""
    freeze_encoder: bool = False
    latent_noise: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class UNetConfig:
    """The UNet stage, methods §2.6.

    Attributes:
        vae: trained VAE checkpoint (.pt of the VAE stage).
        decoder: checkpoint of a VAE stage that went on from `vae` with a frozen encoder: its decoder goes
            into the finished model; empty takes the decoder of `vae`.
        start: checkpoint.pt of an earlier unet stage to start from; empty starts as a copy of the scaffold.
        conditioning: "scaffold"; or "first_frame", the first panorama's latent repeated over the frames and
            its tokens alone, as stock Stable Video Diffusion is conditioned.
        hole_fill: what the VAE sees in the scaffold's holes, as in `diffusion.ModelConfig`.
        channels: of the UNet's levels; the first must be 96 (`unet_start.py`).
        p_mean: mean of ln sigma.
        p_std: standard deviation of ln sigma.
        drop: probability of each of the three conditioning dropouts: tokens, latents, both.
        dual_share: share of clips trained with the end frame as a second anchor.
        reverse_share: share of clips played backwards.
        hole_weight: extra weight of the squared error where the scaffold has holes (1: none).
        large_share: share of steps on clips of the greatest height in the folder (256x512).
        frames: fewest and most frames of a training window.
        noise_aug: mean and deviation of ln of the noise put on the scaffold latents.
    """

    vae: str = ""
    decoder: str = ""
    start: str = ""
    conditioning: Conditioning = "scaffold"
    hole_fill: HoleFill = "value"
    channels: tuple[int, ...] = (96, 64, 96)
    p_mean: float = 0.7
    p_std: float = 1.6
    drop: float = 0.1
    dual_share: float = 0.25
    reverse_share: float = 0.3
    hole_weight: float = 1.0
    large_share: float = 0.06
    frames: tuple[int, int] = (8, 14)
    noise_aug: tuple[float, float] = (-3.0, 0.5)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One training run: a stage, its data and its schedule (warm up, constant, linear decay to zero).

    Attributes:
        stage: "clips" renders training clips, "vae" and "unet" train.
        output: folder for checkpoint.pt, log.jsonl and the finished model.
        steps: total optimiser steps; may be changed between resumes.
        decay_steps: last steps, over which the learning rate falls to zero.
        max_seconds: stop (with a checkpoint) after this long; 0 means no limit.
        export_every: write the averaged weights as a model file this often; 0 only at the end.
        bf16: autocast to bfloat16; the weights stay float32.
    """

    stage: Literal["clips", "vae", "unet"] = "vae"
    output: str = "runs/tiny"
    seed: int = 0
    steps: int = 1000
    batch: int = 4
    learning_rate: float = 5e-4
    warmup: int = 100
    decay_steps: int = 300
    weight_decay: float = 1e-2
    clip_grad: float = 1.0
    ema: float = 0.999
    threads: int = 1
    bf16: bool = True
    log_every: int = 20
    checkpoint_every: int = 200
    export_every: int = 0
    max_seconds: float = 0.0
    data: DataConfig = field(default_factory=DataConfig)
    vae: VAEConfig = field(default_factory=VAEConfig)
    unet: UNetConfig = field(default_factory=UNetConfig)

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dict, for logs and provenance."""
        return asdict(self)


def load_config(source: str | Path | TrainConfig, **overrides: Any) -> TrainConfig:
    """Read a run's settings.

    Args:
        source: path of a TOML file, or settings already built.
        overrides: top-level settings to replace.

    Raises:
        InputError: unknown key, a value of the wrong type, or no such file.
        BackendUnavailableError: Python 3.10, which has no TOML reader.
    """
    if isinstance(source, TrainConfig):
        return replace(source, **overrides)
    try:
        tomllib = importlib.import_module("tomllib")
    except ModuleNotFoundError as error:
        raise BackendUnavailableError("training settings in TOML need Python 3.11 or newer") from error
    path = Path(source)
    if not path.is_file():
        raise InputError(f"config: no such file {path}")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"config: {path} is not valid TOML: {error}") from error
    return replace(_build(TrainConfig, data, str(path)), **overrides)


def _build(kind: type, data: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            raise InputError(f"config {where}: unknown key {key!r}; known: {', '.join(sorted(known))}")
        values[key] = _convert(hints[key], value, f"{where}: {key}")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if (
        isinstance(hint, type)
        and not isinstance(hint, types.GenericAlias)
        and hasattr(hint, "__dataclass_fields__")
    ):
        if not isinstance(value, dict):
            raise InputError(f"config {where}: expected a table, got {value!r}")
        return _build(hint, value, where)
    if isinstance(value, list):
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    choices = getattr(hint, "__args__", None) if getattr(hint, "__origin__", None) is Literal else None
    if choices is not None and value not in choices:
        raise InputError(f"config {where}: expected one of {', '.join(choices)}, got {value!r}")
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) and not isinstance(value, hint):
        raise InputError(f"config {where}: expected {hint.__name__}, got {value!r}")
    return value
