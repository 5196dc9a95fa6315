"""Names of Stability's single files ("sgm" layout) for the weights of diffusers' and transformers' classes.

By rule, not by list: each function takes a weight's name in its class and gives the place in the file.

Source: the module trees of Stability-AI/generative-models (VideoUNet, VideoDecoder) and of open_clip's vision
tower, as configs/inference/svd.yaml there builds them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ..errors import InputError

__all__ = ["CLIP", "UNET", "VAE", "Source", "clip_source", "unet_source", "vae_source"]

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "conditioner.embedders.0.open_clip.model.visual."

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_VAE_ENDS = {
    "conv_in": "conv_in",
    "conv_norm_out": "norm_out",
    "conv_out": "conv_out",
    "time_conv_out": "conv_out.time_mix_conv",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_CLIP_ENDS = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "pre_layrnorm.weight": "ln_pre.weight",
    "pre_layrnorm.bias": "ln_pre.bias",
    "post_layernorm.weight": "ln_post.weight",
    "post_layernorm.bias": "ln_post.bias",
}
_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_THIRDS = ("q_proj", "k_proj", "v_proj")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where one weight lies in the file, and how it is made from what lies there.

    Attributes:
        key: full name in the file.
        form: "same"; "linear", a 1x1 convolution (O, I, 1, 1) that is a matrix (O, I) here; "transposed".
        third: 0, 1 or 2 where the file holds query, key and value stacked along the first axis.
    """

    key: str
    form: Literal["same", "linear", "transposed"] = "same"
    third: int | None = None

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """The weight's shape, given the shape in the file."""
        if self.third is not None:
            return (stored[0] // 3, *stored[1:])
        if self.form == "linear":
            return stored[:2] if all(size == 1 for size in stored[2:]) else stored
        return stored[::-1] if self.form == "transposed" else stored

    def take(self, stored: Tensor) -> Tensor:
        """The weight, given the tensor in the file; without a copy where memory allows."""
        if self.third is not None:
            size = stored.shape[0] // 3
            return stored[self.third * size : (self.third + 1) * size]
        if self.form == "linear":
            return stored.flatten(1)
        return stored.t().contiguous() if self.form == "transposed" else stored


def unet_source(name: str, *, layers: int, attention_up: tuple[bool, ...]) -> Source:
    """Place of a weight of `UNetSpatioTemporalConditionModel`.

    Args:
        name: of the weight.
        layers: residual blocks per level on the way down; one more on the way up.
        attention_up: whether each up block has attention: the upsampler's number depends on it.
    """
    module, end = _split(name)
    if module in _UNET_ENDS:
        return Source(key=f"{UNET}{_UNET_ENDS[module]}.{end}")
    found = re.fullmatch(r"(down|mid|up)_block(?:s\.(\d+))?\.(\w+)\.(\d+)\.(.+)", name)
    if found is None:
        raise _unknown(name)
    side, block, kind, layer, rest = found[1], int(found[2] or 0), found[3], int(found[4]), found[5]
    if kind == "resnets":
        rest = _resnet(rest, name)
    elif kind == "attentions":
        rest = _attention(rest)
    per_block = layers + 1
    if side == "mid":
        place = f"middle_block.{2 * layer if kind == 'resnets' else 1}"
    elif side == "down":
        # The file numbers the first convolution, all layers and all downsamplers in one row.
        place, rest = {
            "resnets": (f"input_blocks.{1 + block * per_block + layer}.0", rest),
            "attentions": (f"input_blocks.{1 + block * per_block + layer}.1", rest),
            "downsamplers": (f"input_blocks.{(block + 1) * per_block}.0", rest.replace("conv.", "op.", 1)),
        }[kind]
    else:
        # An upsampler stands behind the last layer of its block, and behind the attention if there is one.
        place = {
            "resnets": f"output_blocks.{block * per_block + layer}.0",
            "attentions": f"output_blocks.{block * per_block + layer}.1",
            "upsamplers": f"output_blocks.{(block + 1) * per_block - 1}.{1 + attention_up[block]}",
        }[kind]
    return Source(key=f"{UNET}{place}.{rest}")


def vae_source(name: str, *, levels: int) -> Source:
    """Place of a weight of `AutoencoderKLTemporalDecoder`.

    Args:
        name: of the weight.
        levels: number of sizes; the file numbers the decoder's blocks from the largest picture.
    """
    if name.startswith("quant_conv."):
        return Source(key=f"{VAE}{name}")
    half, rest = name.split(".", 1)
    module, end = _split(rest)
    if module in _VAE_ENDS:
        return Source(key=f"{VAE}{half}.{_VAE_ENDS[module]}.{end}")
    found = re.fullmatch(r"(down|mid|up)_block(?:s\.(\d+))?\.(\w+)\.(\d+)\.(.+)", rest)
    if found is None:
        raise _unknown(name)
    side, block, kind, layer, rest = found[1], int(found[2] or 0), found[3], int(found[4]), found[5]
    module, end = _split(rest)
    if kind == "attentions":
        key = f"{VAE}{half}.mid.attn_{layer + 1}.{_VAE_ATTENTION[module]}.{end}"
        return Source(key=key, form="linear" if end == "weight" and module != "group_norm" else "same")
    if kind == "resnets":
        rest = _vae_resnet(rest, name)
    level = levels - 1 - block if side == "up" else block
    place = {
        "resnets": f"mid.block_{layer + 1}" if side == "mid" else f"{side}.{level}.block.{layer}",
        "downsamplers": f"down.{level}.downsample",
        "upsamplers": f"up.{level}.upsample",
    }[kind]
    return Source(key=f"{VAE}{half}.{place}.{rest}")


def clip_source(name: str, *, fused: bool) -> Source:
    """Place of a weight of `CLIPVisionModelWithProjection`.

    Args:
        name: of the weight.
        fused: True for open_clip's own names, with stacked query, key and value; False for files saved by
            ComfyUI, which keep transformers' names.
    """
    if not fused:
        return Source(key=f"{CLIP}{name}")
    if name == "visual_projection.weight":
        return Source(key=f"{CLIP}proj", form="transposed")
    inner = name.removeprefix("vision_model.")
    if inner in _CLIP_ENDS:
        return Source(key=f"{CLIP}{_CLIP_ENDS[inner]}")
    found = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", inner)
    if found is None:
        raise _unknown(name)
    layer, module, end = found.groups()
    place = f"{CLIP}transformer.resblocks.{layer}."
    if module.removeprefix("self_attn.") in _THIRDS:
        third = _THIRDS.index(module.removeprefix("self_attn."))
        return Source(key=f"{place}attn.in_proj_{end}", third=third)
    return Source(key=f"{place}{_CLIP_LAYER[module]}.{end}")


def _split(name: str) -> tuple[str, str]:
    module, _, end = name.rpartition(".")
    return module, end


def _resnet(rest: str, name: str) -> str:
    """A residual block of the UNet: two, one over the picture and one over time, and their mixer."""
    if rest == "time_mixer.mix_factor":
        return rest
    module, end = _split(rest)
    place, _, layer = module.partition(".")
    if layer not in _RESNET or place not in ("spatial_res_block", "temporal_res_block"):
        raise _unknown(name)
    return f"{'time_stack.' if place == 'temporal_res_block' else ''}{_RESNET[layer]}.{end}"


def _vae_resnet(rest: str, name: str) -> str:
    """A residual block of the autoencoder; only those of the decoder also work over time."""
    if rest == "time_mixer.mix_factor":
        return "mix_factor"
    if rest.startswith("temporal_res_block."):
        return _resnet(rest, name)
    return rest.removeprefix("spatial_res_block.").replace("conv_shortcut", "nin_shortcut")


def _attention(rest: str) -> str:
    rest = rest.replace("temporal_transformer_blocks.", "time_stack.", 1)
    rest = rest.replace("time_pos_embed.linear_1.", "time_pos_embed.0.", 1)
    return rest.replace("time_pos_embed.linear_2.", "time_pos_embed.2.", 1)


def _unknown(name: str) -> InputError:
    return InputError(
        f"weight {name}: it has no place in Stability's file layout; the installed diffusers or transformers "
        "is of a version that this package does not know"
    )
