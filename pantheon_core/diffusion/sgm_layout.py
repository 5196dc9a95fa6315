"""The architecture of a Stability single file, read from the shapes of its weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from ..errors import InputError
from .sgm_keys import CLIP, UNET, VAE, clip_source

__all__ = ["Shapes", "clip_is_fused", "is_sgm", "read_architecture"]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Name in the file -> shape."""

# Shapes do not tell how channels are divided into heads. These are SVD's: 64 channels per head in the UNet,
# 80 in the image encoder (ViT-H/14: 1280 channels, 16 heads).
_UNET_HEAD = 64
_CLIP_HEAD = 80
_SCALING_FACTOR = 0.18215


def is_sgm(names: Mapping[str, Any] | set[str]) -> bool:
    """Whether names are those of a Stability single file with a UNet in it."""
    return f"{UNET}input_blocks.0.0.weight" in names


def clip_is_fused(names: Mapping[str, Any] | set[str]) -> bool:
    """Whether the image encoder has open_clip's names; ComfyUI saves it with those of transformers."""
    return f"{CLIP}vision_model.embeddings.class_embedding" not in names


def read_architecture(shapes: Shapes) -> dict[str, dict[str, Any]]:
    """Constructor arguments of the three networks, as `build_model` takes them.

    Args:
        shapes: of all weights in the file.

    Raises:
        InputError: a network is missing, or its weights are not those of a video model.
    """
    words = {UNET: "UNet", VAE: "autoencoder", CLIP: "image encoder"}
    absent = [f"{word} ({p}*)" for p, word in words.items() if not any(key.startswith(p) for key in shapes)]
    if absent:
        raise InputError(f"no weights of the {' and the '.join(absent)}; expected a complete SVD checkpoint")
    if not any(key.startswith(f"{UNET}input_blocks.1.0.time_stack.") for key in shapes):
        raise InputError("its UNet has no layers over time; this is an image model, expected SVD or SVD-XT")
    if not any(key.startswith(f"{VAE}decoder.") and ".time_stack." in key for key in shapes):
        raise InputError(
            "its decoder has no layers over time (svd_image_decoder); use svd.safetensors or "
            "svd_xt.safetensors, which decode videos"
        )
    return {"unet": _unet(shapes), "vae": _vae(shapes), "image_encoder": _clip(shapes)}


def _shape(shapes: Shapes, key: str) -> tuple[int, ...]:
    if key not in shapes:
        raise InputError(f"1 missing: {key}, without which the architecture cannot be told")
    return shapes[key]


def _count(shapes: Shapes, pattern: str) -> int:
    """One more than the largest number at the pattern's group."""
    matches = (re.match(pattern, key) for key in shapes)
    return 1 + max((int(found[1]) for found in matches if found), default=-1)


def _heads(channels: int, size: int, what: str) -> int:
    if channels % size:
        raise InputError(f"{what} has {channels} channels, expected a multiple of {size} as SVD has")
    return channels // size


def _unet(shapes: Shapes) -> dict[str, Any]:
    blocks = _count(shapes, re.escape(UNET) + r"input_blocks\.(\d+)\.")
    downsamplers = [i for i in range(blocks) if f"{UNET}input_blocks.{i}.0.op.weight" in shapes]
    # The first number is the first convolution's; each level's layers end with a downsampler but the last's.
    per_level = downsamplers[0] if downsamplers else blocks
    starts = range(1, blocks, per_level)
    channels = [_shape(shapes, f"{UNET}input_blocks.{i}.0.out_layers.3.weight")[0] for i in starts]
    attends = [any(key.startswith(f"{UNET}input_blocks.{i}.1.") for key in shapes) for i in starts]
    cross = f"{UNET}middle_block.1.transformer_blocks.0.attn2.to_k.weight"
    ids = _shape(shapes, f"{UNET}label_emb.0.0.weight")[1]
    return {
        "in_channels": _shape(shapes, f"{UNET}input_blocks.0.0.weight")[1],
        "out_channels": _shape(shapes, f"{UNET}out.2.weight")[0],
        "block_out_channels": channels,
        "down_block_types": [
            f"{'CrossAttnDown' if attention else 'Down'}BlockSpatioTemporal" for attention in attends
        ],
        "up_block_types": [
            f"{'CrossAttnUp' if attention else 'Up'}BlockSpatioTemporal" for attention in reversed(attends)
        ],
        "layers_per_block": per_level - 1,
        "cross_attention_dim": _shape(shapes, cross)[1],
        "num_attention_heads": [_heads(c, _UNET_HEAD, "its UNet") for c in channels],
        "addition_time_embed_dim": ids // 3,
        "projection_class_embeddings_input_dim": ids,
    }


def _vae(shapes: Shapes) -> dict[str, Any]:
    levels = _count(shapes, re.escape(VAE) + r"encoder\.down\.(\d+)\.")
    layers = _count(shapes, re.escape(VAE) + r"encoder\.down\.0\.block\.(\d+)\.")
    channels = [_shape(shapes, f"{VAE}encoder.down.{i}.block.0.conv1.weight")[0] for i in range(levels)]
    return {
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "layers_per_block": layers,
        "latent_channels": _shape(shapes, f"{VAE}decoder.conv_in.weight")[1],
        "scaling_factor": _SCALING_FACTOR,
        "force_upcast": True,
    }


def _clip(shapes: Shapes) -> dict[str, Any]:
    fused = clip_is_fused(shapes)

    def shape(name: str) -> tuple[int, ...]:
        source = clip_source(name, fused=fused)
        return source.shape(_shape(shapes, source.key))

    patches = shape("vision_model.embeddings.patch_embedding.weight")
    positions = shape("vision_model.embeddings.position_embedding.weight")[0]
    block = "transformer.resblocks" if fused else "vision_model.encoder.layers"
    return {
        "hidden_size": patches[0],
        "intermediate_size": shape("vision_model.encoder.layers.0.mlp.fc1.weight")[0],
        "projection_dim": shape("visual_projection.weight")[0],
        "num_hidden_layers": _count(shapes, re.escape(f"{CLIP}{block}.") + r"(\d+)\."),
        "num_attention_heads": _heads(patches[0], _CLIP_HEAD, "its image encoder"),
        # One position is the class token's.
        "image_size": patches[-1] * math.isqrt(positions - 1),
        "patch_size": patches[-1],
        "hidden_act": "gelu",
    }
