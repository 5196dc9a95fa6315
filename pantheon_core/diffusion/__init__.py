"""Video generation: checkpoints, spherical convolution, conditioning and coding."""

from __future__ import annotations

from .checkpoint import load_model, read_config, save_model
from .codec import decode_latents, encode_video
from .conditioning import encode_tokens
from .config import ModelConfig
from .model import PantheonModel, build_tiny
from .schedule import karras_sigmas
from .spherical import spherical

__all__ = [
    "ModelConfig",
    "PantheonModel",
    "build_tiny",
    "decode_latents",
    "encode_tokens",
    "encode_video",
    "karras_sigmas",
    "load_model",
    "read_config",
    "save_model",
    "spherical",
]
