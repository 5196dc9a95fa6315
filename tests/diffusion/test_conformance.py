"""With stock settings our chain is diffusers' pipeline on the same weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableVideoDiffusionPipeline
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    _resize_with_antialiasing,
)
from PIL import Image
from transformers import CLIPImageProcessor

from pantheon_core.diffusion import (
    HoldSettings,
    PantheonModel,
    SamplerSettings,
    generate,
    karras_sigmas,
    load_model,
)
from pantheon_core.diffusion.conditioning import clip_pixels

STEPS, FRAMES = 4, 3


def stock_scheduler() -> EulerDiscreteScheduler:
    """The scheduler of the published Stable Video Diffusion model card."""
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        sigma_min=0.002,
        sigma_max=700.0,
        steps_offset=1,
        timestep_spacing="leading",
        timestep_type="continuous",
        use_karras_sigmas=True,
    )


@pytest.fixture(scope="module")
def stock(build_nano: Callable[..., PantheonModel]) -> PantheonModel:
    from pantheon_core.diffusion import ModelConfig, build_tiny

    config = ModelConfig(conditioning="first_frame", crops=0, frames=FRAMES, height=64)
    # The pipeline resizes to 224 pixels whatever the encoder says.
    sizes = {
        "unet_channels": (32, 64),
        "vae_channels": (32, 32, 32, 32),
        "token_dim": 32,
        "encoder_layers": 1,
    }
    return build_tiny(config, encoder_size=224, **sizes)


def test_equals_stable_video_diffusion_pipeline(stock: PantheonModel) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    pipe = StableVideoDiffusionPipeline(
        vae=stock.vae,
        image_encoder=stock.image_encoder,
        unet=stock.unet,
        scheduler=stock_scheduler(),
        feature_extractor=CLIPImageProcessor(),
    )
    pipe.set_progress_bar_config(disable=True)
    call = {
        "height": 64,
        "width": 128,
        "num_frames": FRAMES,
        "num_inference_steps": STEPS,
        "min_guidance_scale": 1.0,
        "max_guidance_scale": 3.0,
        "fps": 7,
        "motion_bucket_id": 127,
        "noise_aug_strength": 0.02,
    }
    seeded = torch.Generator().manual_seed(3)
    theirs = pipe(Image.fromarray(image), generator=seeded, output_type="latent", **call).frames
    with torch.no_grad():
        their_frames = pipe.decode_latents(theirs, FRAMES)[0].transpose(0, 1) * 0.5 + 0.5

    panorama = torch.from_numpy(image).permute(2, 0, 1) / 255.0
    free = HoldSettings(strength=0.0)
    settings = SamplerSettings(
        steps=STEPS, guidance_min=1.0, guidance_max=3.0, seed=3, spherical=False, hold=free
    )
    ours = generate(
        stock,
        panorama.expand(FRAMES, -1, -1, -1),
        torch.ones(FRAMES, 64, 128, dtype=torch.bool),
        [panorama],
        settings=settings,
    )
    assert ours.latents.shape == theirs.shape
    # Latents pass through 1000 and end near 1: float32 leaves about 1e-4 of their spread.
    spread = float(theirs.std())
    assert float((ours.latents - theirs).abs().max()) < 2e-4 * spread
    assert float((ours.frames - their_frames.clamp(0, 1)).abs().max()) < 2e-4


@pytest.mark.parametrize("steps", [1, 4, 25])
def test_sigmas_equal_the_scheduler(steps: int) -> None:
    scheduler = stock_scheduler()
    scheduler.set_timesteps(steps)
    torch.testing.assert_close(karras_sigmas(steps), scheduler.sigmas, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("size", [(300, 500), (100, 40), (16, 16)])
def test_clip_pixels_equal_the_pipeline(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size)
    resized = (_resize_with_antialiasing(image * 2 - 1, (32, 32)) + 1) / 2
    wanted = CLIPImageProcessor()(
        images=resized,
        do_normalize=True,
        do_center_crop=False,
        do_resize=False,
        do_rescale=False,
        return_tensors="pt",
    ).pixel_values
    torch.testing.assert_close(clip_pixels(image, 32), wanted, rtol=1e-4, atol=2e-5)


def test_loads_a_diffusers_folder(stock: PantheonModel, tmp_path: Path) -> None:
    stock.unet.save_pretrained(tmp_path / "unet")
    stock.vae.save_pretrained(tmp_path / "vae")
    stock.image_encoder.save_pretrained(tmp_path / "image_encoder")
    loaded = load_model(tmp_path)
    assert (loaded.config.conditioning, loaded.config.crops, loaded.config.frames) == (
        "first_frame",
        0,
        FRAMES,
    )
    wanted = stock.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in loaded.state_dict().items())
