"""Stable Video Diffusion as ComfyUI users have it: one file in Stability's layout ("sgm")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import InputError
from .config import ModelConfig
from .model import PantheonModel, build_model
from .sgm_keys import CLIP, UNET, VAE, Source, clip_source, unet_source, vae_source
from .sgm_layout import Shapes, clip_is_fused, is_sgm, read_architecture

__all__ = [
    "Weights",
    "build_empty",
    "differences",
    "find_sources",
    "is_sgm",
    "open_sgm",
    "sgm_config",
    "shapes_of",
    "stock_config",
]

Weights: TypeAlias = Iterable[tuple[str, Tensor]]
"""(name in the model, tensor), read one after the other."""

_SVD_FRAMES, _SVD_XT_FRAMES = 14, 25

_OWNED = (UNET, VAE, CLIP)
# Beside the three networks the files hold what sampling does not need: the text half of CLIP, a second copy
# of the autoencoder, and in training checkpoints a running average with its counters.
_LEFT_OUT = ("conditioner.", "model_ema.", "denoiser.")
_IDENTITY = f"{VAE}quant_conv."


def stock_config(name: str, frames: int, encoder_size: int) -> ModelConfig:
    """How stock Stable Video Diffusion is driven.

    Args:
        name: short name.
        frames: that it was trained with.
        encoder_size: side of the image encoder's input, pixels.
    """
    return ModelConfig(
        conditioning="first_frame",
        frames=frames,
        height=512,
        name=name,
        description="Stable Video Diffusion weights, not trained on panoramas.",
        crops=0,
        crop_size=encoder_size,
    )


def sgm_config(name: str, shapes: Shapes) -> ModelConfig:
    """The config of a Stability file. Its weights do not say for how many frames they are: its name must.

    Args:
        name: the file's name; with "svd" and without "xt" in it the model is for 14 frames, else for 25.
        shapes: of all weights in the file.

    Raises:
        InputError: see `sgm_layout.read_architecture`.
    """
    return _config(name, read_architecture(shapes))


def _config(name: str, parts: dict[str, dict[str, Any]]) -> ModelConfig:
    short = "svd" in name.lower() and "xt" not in name.lower()
    return stock_config(name, _SVD_FRAMES if short else _SVD_XT_FRAMES, parts["image_encoder"]["image_size"])


def build_empty(config: ModelConfig, parts: dict[str, dict[str, Any]]) -> PantheonModel:
    """The networks without storage: weights are not initialised only to be overwritten."""
    with torch.device("meta"):
        return build_model(config, parts)


def open_sgm(name: str, file: Any, config: ModelConfig | None) -> tuple[PantheonModel, Weights]:
    """The model of a Stability file, still without weights, and the weights for it.

    Args:
        name: the file's name, see `sgm_config`.
        file: the open safetensors file.
        config: replaces the stock config.

    Raises:
        InputError: names that are missing, unexpected or of another shape, or a config that asks for weights
            that such a file does not have.
    """
    shapes = shapes_of(file)
    parts = read_architecture(shapes)
    model = build_empty(config or _config(name, parts), parts)
    if model.token_embedding is not None:
        raise InputError("config: stock weights have not learned token_roles or token_yaw; set both to False")
    sources = find_sources(list(model.state_dict()), parts, fused=clip_is_fused(shapes))
    _check_weights(model, sources, shapes)
    return model, _read_weights(file, sources, shapes)


def differences(missing: list[str], unexpected: list[str], misshapen: list[str]) -> str:
    """What is wrong with a file's weights: how many of each kind, and the first of them; "" if nothing."""
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
    return "; ".join(
        f"{len(keys)} {words}: {', '.join(keys[:4])}{', ...' if len(keys) > 4 else ''}"
        for words, keys in kinds
        if keys
    )


def shapes_of(file: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of all weights in an open safetensors file; no weight is read."""
    return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 (not a dict)


def find_sources(
    names: list[str], parts: dict[str, dict[str, Any]], *, fused: bool = True
) -> dict[str, Source]:
    """Where each weight of a model lies in the file.

    Args:
        names: the model's weights, each with its network in front: "unet.", "vae.", "image_encoder.".
        parts: the architecture, see `sgm_layout.read_architecture`.
        fused: see `sgm_keys.clip_source`.
    """
    unet, vae = parts["unet"], parts["vae"]
    rules = {
        "unet": partial(
            unet_source,
            layers=unet["layers_per_block"],
            attention_up=tuple(kind.startswith("CrossAttn") for kind in unet["up_block_types"]),
        ),
        "vae": partial(vae_source, levels=len(vae["block_out_channels"])),
        "image_encoder": partial(clip_source, fused=fused),
    }
    sources = {}
    for name in names:
        part, inner = name.split(".", 1)
        try:
            sources[name] = rules[part](inner)
        except KeyError as error:
            raise InputError(
                f"weight {name}: it has no place in Stability's file layout ({error}); only stock networks "
                "can be loaded from such a file"
            ) from error
    return sources


def _check_weights(model: nn.Module, sources: Mapping[str, Source], shapes: Shapes) -> None:
    """Compare the file with the architecture.

    Raises:
        InputError: names that are missing, unexpected or of another shape: how many, and the first of each.
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    used = {source.key for source in sources.values()}
    missing = sorted(key for key in used - set(shapes) if not key.startswith(_IDENTITY))
    unexpected = sorted(
        key for key in set(shapes) - used if key.startswith(_OWNED) or not key.startswith(_LEFT_OUT)
    )
    misshapen = [
        f"{source.key} {shapes[source.key]}, which makes {source.shape(shapes[source.key])} instead of "
        f"{wanted[name]}"
        for name, source in sources.items()
        if source.key in shapes and source.shape(shapes[source.key]) != wanted[name]
    ]
    problems = differences(missing, unexpected, misshapen)
    if problems:
        raise InputError(f"its weights are not those of Stable Video Diffusion; {problems}")


def _read_weights(file: Any, sources: Mapping[str, Source], shapes: Shapes) -> Iterator[tuple[str, Tensor]]:
    """Read one weight after the other, as (name in the model, tensor).

    The published files have no `quant_conv`: their encoder gives the moments directly, so that diffusers'
    extra 1x1 convolution is the identity.
    """
    for name, source in sources.items():
        if source.key in shapes:
            yield name, source.take(file.get_tensor(source.key))
        else:
            channels = shapes[f"{VAE}encoder.conv_out.weight"][0]
            identity = torch.eye(channels).view(channels, channels, 1, 1)
            yield name, identity if name.endswith("weight") else torch.zeros(channels)
