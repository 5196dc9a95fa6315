"""Video generation: checkpoints, conditioning, sampling, latent fusion, spherical convolution."""

from __future__ import annotations

from .checkpoint import load_model, read_config, save_model
from .codec import decode_latents, encode_video
from .compose import compose_with_scaffold
from .conditioning import encode_tokens
from .config import HoleFill, ModelConfig
from .fusion import FusionSettings
from .generate import GeneratedVideo, VideoTask, generate, generate_task
from .hold import HoldSettings
from .model import PantheonModel, build_tiny
from .samplers import sample_euler
from .schedule import karras_sigmas
from .settings import SamplerSettings
from .spherical import spherical

__all__ = [
    "FusionSettings",
    "GeneratedVideo",
    "HoldSettings",
    "HoleFill",
    "ModelConfig",
    "PantheonModel",
    "SamplerSettings",
    "VideoTask",
    "build_tiny",
    "compose_with_scaffold",
    "decode_latents",
    "encode_tokens",
    "encode_video",
    "generate",
    "generate_task",
    "karras_sigmas",
    "load_model",
    "read_config",
    "sample_euler",
    "save_model",
    "spherical",
]
