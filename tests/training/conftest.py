"""A small data set of clips and a small checkpoint, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pantheon_core.cache import cache_from_erp
from pantheon_core.diffusion import ModelConfig, build_tiny, load_model, save_model
from pantheon_core.synthetic import generate_scene, scene_path, trace
from pantheon_core.training import DataConfig, LoRAConfig, TrainConfig, UNetConfig
from pantheon_core.training.clip_format import write_clip_files

HEIGHT, FRAMES = 32, 6


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory) -> Path:
    """Three clips in the folder format; the second one as a video, the others as images."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(3):
        scene = generate_scene(number, "room")
        path = scene_path(scene, number, FRAMES, 7.0, share=(0.3, 0.6))
        frames = [trace(scene, pose, HEIGHT, samples=1) for pose in path]
        cache = cache_from_erp(frames[0].rgb, frames[0].distance, frames[0].valid, sky=frames[0].sky)
        rgb = torch.stack([frame.rgb for frame in frames])
        write_clip_files(folder, f"clip{number}", rgb, path, cache, fps=7.0, images=number != 1)
    return folder


@pytest.fixture(scope="session")
def base_file(tmp_path_factory) -> Path:
    """A checkpoint with the smallest networks."""
    config = ModelConfig(height=HEIGHT, frames=4, token_roles=True, crop_size=32)
    sizes = {"unet_channels": (32, 32), "vae_channels": (32,) * 4, "token_dim": 32, "encoder_size": 16}
    model = build_tiny(config, **sizes, encoder_layers=1)
    with torch.no_grad():
        # Else the UNet's last layers are nearly silent and gradients of what lies before them small.
        model.unet.conv_out.weight.mul_(20)
    return save_model(model, tmp_path_factory.mktemp("base") / "base.safetensors")


@pytest.fixture(scope="session")
def adapter(base_file, tmp_path_factory):
    """A model with adapters that do something, and their file."""
    pytest.importorskip("peft")
    from pantheon_core.training.lora import inject_lora, save_lora

    settings = LoRAConfig(r=3, alpha=6.0)
    model = load_model(base_file)
    inject_lora(model, settings)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
            if ".lora_" in name:
                parameter.copy_(parameter.half())  # as the file keeps them
        model.get_parameter("token_embedding.role")[0] += 1.0
    return model, save_lora(model, tmp_path_factory.mktemp("lora") / "a.safetensors", settings)


@pytest.fixture
def tune(clip_folder, base_file, tmp_path):
    """Settings of a few steps of fine-tuning; keyword arguments replace settings of the run or of [unet]."""

    def settings(*, unet: dict | None = None, data: dict | None = None, **changes) -> TrainConfig:
        run = {
            "output": str(tmp_path / "run"),
            "steps": 4,
            "batch": 2,
            "learning_rate": 1e-3,
            "warmup": 1,
            "decay_steps": 1,
            "log_every": 1,
            "checkpoint_every": 2,
            "precision": "fp32",
            "device": "cpu",
            "lora": LoRAConfig(r=2, alpha=4.0),
        }
        place = {"source": "folder", "path": str(clip_folder), "height": HEIGHT}
        tuned = {"base": str(base_file), "frames": (3, 4)}
        return TrainConfig(
            stage="unet",
            data=DataConfig(**{**place, **(data or {})}),
            unet=UNetConfig(**{**tuned, **(unet or {})}),
            **{**run, **changes},
        )

    return settings
