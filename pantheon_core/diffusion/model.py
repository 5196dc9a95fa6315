"""The networks of one checkpoint, held together, and the small architecture that ships with the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import InputError, ShapeError
from .config import ModelConfig

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
    from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
    from transformers import CLIPVisionModelWithProjection

__all__ = ["PantheonModel", "TokenEmbedding", "build_model", "build_tiny", "tiny_configs"]

_START, _END = 0, 1


def _config(part: nn.Module) -> Any:
    """Configs are dictionaries with attributes, which their type hints do not say."""
    return part.config


class TokenEmbedding(nn.Module):
    """Learned offsets that tell cross-attention tokens apart; attention itself sees no order.

    Args:
        dim: token size.
        crops: number of yaw directions, 0 for no yaw embedding.
        roles: whether start and end tokens get different offsets.
    """

    def __init__(self, dim: int, *, crops: int, roles: bool) -> None:
        super().__init__()
        self.yaw = nn.Parameter(torch.randn(crops, dim) * 0.02) if crops else None
        self.role = nn.Parameter(torch.randn(2, dim) * 0.02) if roles else None

    def forward(self, tokens: Tensor, roles: list[int]) -> Tensor:
        """Add the offsets to (B, A, K, D) tokens of A anchors with the given roles (0 start, 1 end)."""
        if self.yaw is not None:
            tokens = tokens + self.yaw
        if self.role is not None:
            tokens = tokens + self.role[roles][:, None]
        return tokens


class PantheonModel(nn.Module):
    """UNet, video autoencoder and image encoder of one checkpoint, and the config that says how to drive it.

    Attributes:
        config: how the model is conditioned.
        unet: 8 channels in (noised latents, scaffold latents), 4 out (v-prediction).
        vae: video autoencoder; 8 pixels per latent.
        image_encoder: CLIP vision model with projection.
        token_embedding: learned token offsets, for configs that declare them, else None.
    """

    def __init__(
        self,
        config: ModelConfig,
        unet: UNetSpatioTemporalConditionModel,
        vae: AutoencoderKLTemporalDecoder,
        image_encoder: CLIPVisionModelWithProjection,
    ) -> None:
        super().__init__()
        self.config = config
        self.unet = unet
        self.vae = vae
        self.image_encoder = image_encoder
        self._check_parts()
        self.token_embedding = (
            TokenEmbedding(
                self.token_dim, crops=config.crops if config.token_yaw else 0, roles=config.token_roles
            )
            if config.token_roles or config.token_yaw
            else None
        )

    def _check_parts(self) -> None:
        latent = self.latent_channels
        unet = _config(self.unet)
        if (unet.in_channels, unet.out_channels) != (2 * latent, latent):
            raise ShapeError(
                f"unet: expected {2 * latent} channels in and {latent} out for a VAE of {latent} latent "
                f"channels, got {unet.in_channels} and {unet.out_channels}"
            )
        if unet.cross_attention_dim != self.token_dim:
            raise ShapeError(
                f"unet: cross_attention_dim {unet.cross_attention_dim} differs from the image encoder's "
                f"projection_dim {self.token_dim}; the two belong to different checkpoints"
            )
        if unet.projection_class_embeddings_input_dim != 3 * unet.addition_time_embed_dim:
            raise ShapeError(
                "unet: expected projection_class_embeddings_input_dim = 3 addition_time_embed_dim (fps, "
                f"motion bucket, augmentation), got {unet.projection_class_embeddings_input_dim} and "
                f"{unet.addition_time_embed_dim}"
            )

    @property
    def latent_channels(self) -> int:
        """Channels of the latent space."""
        return int(_config(self.vae).latent_channels)

    @property
    def scaling_factor(self) -> float:
        """Video latents are the autoencoder's mean times this; scaffold latents are not scaled."""
        return float(_config(self.vae).scaling_factor)

    @property
    def vae_needs_float32(self) -> bool:
        """Whether the autoencoder overflows in half precision."""
        return bool(_config(self.vae).force_upcast)

    @property
    def downscale(self) -> int:
        """Pixels per latent along one side."""
        return 2 ** (len(_config(self.vae).block_out_channels) - 1)

    @property
    def token_dim(self) -> int:
        """Size of a cross-attention token."""
        return int(_config(self.image_encoder).projection_dim)

    @property
    def encoder_size(self) -> int:
        """Side in pixels of the image encoder's input."""
        return int(_config(self.image_encoder).image_size)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the UNet."""
        return self.unet.dtype

    @property
    def device(self) -> torch.device:
        """Device of the UNet."""
        return self.unet.device

    def part_configs(self) -> dict[str, dict[str, Any]]:
        """Architectures of the three networks as JSON values; `build_model` builds the same from them."""
        drop = (
            "_name_or_path",
            "_use_default_values",
            "_class_name",
            "_diffusers_version",
            "transformers_version",
        )
        configs = {
            "unet": dict(_config(self.unet)),
            "vae": dict(_config(self.vae)),
            "image_encoder": _config(self.image_encoder).to_diff_dict(),
        }
        return {part: {k: v for k, v in c.items() if k not in drop} for part, c in configs.items()}


def build_model(config: ModelConfig, parts: dict[str, dict[str, Any]]) -> PantheonModel:
    """Build a model with random weights.

    Args:
        config: how it is conditioned.
        parts: constructor arguments under "unet", "vae" and "image_encoder".

    Raises:
        InputError: a part is missing or its arguments do not describe a network.
    """
    from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
    from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    missing = {"unet", "vae", "image_encoder"} - set(parts)
    if missing:
        raise InputError(
            f"parts: expected the configs of unet, vae and image_encoder, missing {sorted(missing)}"
        )
    try:
        unet = UNetSpatioTemporalConditionModel(**parts["unet"])
        vae = AutoencoderKLTemporalDecoder(**parts["vae"])
        image_encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**parts["image_encoder"]))
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise InputError(f"parts: not the architecture of a video model: {error}") from error
    return PantheonModel(config, unet, vae, image_encoder).eval()


def tiny_configs(
    *,
    unet_channels: tuple[int, ...] = (64, 96, 96),
    vae_channels: tuple[int, ...] = (32, 64, 96, 96),
    token_dim: int = 128,
    encoder_size: int = 64,
    encoder_layers: int = 3,
    frames: int = 14,
) -> dict[str, dict[str, Any]]:
    """Architecture of pantheon-tiny: the classes of Stable Video Diffusion with few channels.

    Args:
        unet_channels: per level, multiples of 32 (GroupNorm's groups); the last level has no attention.
        vae_channels: per level, multiples of 32; each level but the last halves the size.
        token_dim: size of a cross-attention token, a multiple of 32.
        encoder_size: side of the image encoder's input, a multiple of 8.
        encoder_layers: transformer layers of the image encoder.
        frames: number of frames, recorded only.
    """
    levels = len(unet_channels) - 1
    return {
        "unet": {
            "in_channels": 8,
            "out_channels": 4,
            "block_out_channels": list(unet_channels),
            "down_block_types": ["CrossAttnDownBlockSpatioTemporal"] * levels + ["DownBlockSpatioTemporal"],
            "up_block_types": ["UpBlockSpatioTemporal"] + ["CrossAttnUpBlockSpatioTemporal"] * levels,
            "layers_per_block": 1,
            "cross_attention_dim": token_dim,
            "num_attention_heads": [channels // 32 for channels in unet_channels],
            "addition_time_embed_dim": 32,
            "projection_class_embeddings_input_dim": 96,
            "num_frames": frames,
        },
        "vae": {
            "block_out_channels": list(vae_channels),
            "down_block_types": ["DownEncoderBlock2D"] * len(vae_channels),
            "layers_per_block": 1,
            "latent_channels": 4,
        },
        "image_encoder": {
            "hidden_size": token_dim,
            "intermediate_size": 4 * token_dim,
            "projection_dim": token_dim,
            "num_hidden_layers": encoder_layers,
            "num_attention_heads": max(token_dim // 32, 1),
            "image_size": encoder_size,
            "patch_size": 8,
        },
    }


def build_tiny(config: ModelConfig | None = None, *, seed: int = 0, **sizes: Any) -> PantheonModel:
    """Build pantheon-tiny's architecture with random weights that depend on `seed` alone.

    Args:
        config: how it is conditioned; the default is single anchor, scaffold, 14 frames, height 128.
        seed: of the weights. The global random state is left as it was.
        sizes: arguments of `tiny_configs`, for smaller nets in tests.
    """
    config = config or ModelConfig(name="pantheon-tiny")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(config, tiny_configs(**{"frames": config.frames, **sizes}))
