"""The model that a UNet run trains: a small new one, or an existing checkpoint to fine-tune."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..diffusion import ModelConfig
from ..errors import InputError
from .config import TrainConfig
from .unet_start import start_as_scaffold

if TYPE_CHECKING:
    from ..diffusion import PantheonModel

__all__ = ["build_training_model", "load_base", "select_trained", "start_from"]

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def build_training_model(config: TrainConfig, vae: Any, scaling_factor: float) -> PantheonModel:
    """The small model with a trained, frozen VAE and a fresh UNet and image encoder.

    The UNet starts as a copy of the scaffold (`unet_start.py`).
    """
    from ..diffusion.model import build_model, tiny_configs

    parts = tiny_configs(unet_channels=tuple(config.unet.channels), frames=config.unet.frames[1])
    parts["vae"] = {k: v for k, v in dict(vae.config).items() if not k.startswith("_")}
    parts["vae"]["scaling_factor"] = scaling_factor
    settings = ModelConfig(
        height=128,
        token_roles=True,
        keep_scaffold=1.0,
        detail_reach=8,
        name="pantheon-tiny",
        description="Small demonstration model, trained on procedural scenes on two CPU cores. "
        "It paints plausible colour and texture into holes, not new objects.",
    )
    if config.unet.conditioning == "first_frame":
        settings = replace(
            settings,
            keep_scaffold=0.0,
            detail_reach=0,
            name="pantheon-tiny-stock",
            description="Small model conditioned on the first frame alone, as stock Stable Video Diffusion "
            "is; for comparisons.",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build_model(_as_trained(settings, config), parts)
        start_as_scaffold(model.unet, scaling_factor)
    model.vae.load_state_dict(vae.state_dict())
    return model


def load_base(config: TrainConfig) -> PantheonModel:
    """The checkpoint `unet.base`, under the config that it is trained for.

    Raises:
        InputError: a token embedding is asked for that the config of the run does not describe.
    """
    from ..diffusion import PantheonModel, load_model

    base = load_model(config.unet.base, dtype=_PRECISIONS[config.unet.base_precision])
    settings = replace(
        _as_trained(base.config, config),
        **({} if "height" in config.model else {"height": config.data.height}),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = PantheonModel(settings, base.unet, base.vae, base.image_encoder)
    if model.token_embedding is not None and base.token_embedding is not None:
        model.token_embedding.load_state_dict(base.token_embedding.state_dict())
    return model


def start_from(model: PantheonModel, path: str | Path) -> None:
    """Take over the averaged weights of an earlier run's checkpoint.pt.

    Raises:
        InputError: there is none, or it is of another network.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"unet.start: no checkpoint at {path}")
    state = torch.load(path, weights_only=True, map_location="cpu")
    try:
        unknown = model.load_state_dict(state["averaged"], strict=False).unexpected_keys
        if unknown:
            raise InputError(f"this model has no {unknown[0]}")
    except (RuntimeError, KeyError, InputError) as error:
        raise InputError(f"unet.start: {path} is of another network ({error})") from error


def select_trained(model: PantheonModel, config: TrainConfig) -> None:
    """Freeze all that the run does not train. Adapters are injected here.

    Raises:
        InputError: nothing is left to train.
    """
    settings = config.unet
    if settings.train == "lora":
        from .lora import inject_lora

        inject_lora(model, config.lora, seed=config.seed)
        return
    model.requires_grad_(False)
    if settings.train == "full":
        model.unet.requires_grad_(True)
    else:
        for name, part in model.unet.named_modules():
            if _is_temporal(name):
                part.requires_grad_(True)
    encoder = settings.train_image_encoder
    if (not settings.base) if encoder is None else encoder:
        model.image_encoder.requires_grad_(True)
    if isinstance(model.token_embedding, nn.Module):
        model.token_embedding.requires_grad_(True)
    if not any(p.requires_grad for p in model.parameters()):
        raise InputError("unet.train: this model has no such weights")


def _is_temporal(name: str) -> bool:
    parts = ("temporal_res_block", "temporal_transformer_blocks", "time_pos_embed", "time_mixer")
    return name.rsplit(".", 1)[-1] in parts


def _as_trained(settings: ModelConfig, config: TrainConfig) -> ModelConfig:
    """What the run itself decides, and the table [model] over it."""
    first_frame = config.unet.conditioning == "first_frame"
    decided: dict[str, Any] = {
        "variant": config.unet.variant,
        "conditioning": config.unet.conditioning,
        "frames": config.unet.frames[1],
        "hole_fill": "value" if first_frame else config.unet.hole_fill,
    }
    return ModelConfig.from_dict({**settings.to_dict(), **decided, **config.model})
