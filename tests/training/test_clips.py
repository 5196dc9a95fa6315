"""Clips of synthetic scenes, and a short run of each stage on them."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from pantheon_core.errors import InputError
from pantheon_core.training import DataConfig, TrainConfig, UNetConfig, VAEConfig
from pantheon_core.training.clips import (
    HELD_OUT_SEED,
    ClipFolder,
    ClipJob,
    disturb,
    held_out_jobs,
    make_clip,
    plan_jobs,
    write_clip,
)
from pantheon_core.training.latents import LatentFolder
from pantheon_core.training.losses import edm_input
from pantheon_core.training.unet_stage import batch_loss, build_training_model, decoder_of, draw_sample
from pantheon_core.training.vae_stage import build_vae, load_vae

JOB = ClipJob(seed=3, kind="room", height=64, source_height=64, frames=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips")
    write_clip(path / JOB.filename, JOB, make_clip(JOB))
    return path


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return build_vae(VAEConfig()).eval().requires_grad_(False)


def test_clip_is_a_function_of_its_job(folder):
    again, clip = make_clip(JOB), ClipFolder(folder, held_out=False).read(0)
    assert torch.equal(again.rgb, clip.rgb)
    assert torch.equal(again.scaffold, clip.scaffold)
    assert torch.equal(again.coverage, clip.coverage)
    assert torch.equal(again.distance, clip.distance)


def test_first_frame_is_true_and_holes_are_black(folder):
    clip = ClipFolder(folder, held_out=False).read(0)
    assert torch.equal(clip.scaffold[0], clip.rgb[0])
    assert bool(clip.coverage[0].all())
    assert not clip.coverage[-1].all()
    assert int(clip.scaffold.permute(0, 2, 3, 1)[~clip.coverage].max()) == 0
    error = (clip.scaffold.float() - clip.rgb.float()).abs().mean(1)[clip.coverage]
    assert float(error.mean()) < 12
    assert not clip.distance[~clip.coverage].any()
    seen = clip.distance[1:][clip.coverage[1:]].float()
    assert 0.2 < float(seen.median()) < 10


def test_only_a_decoder_of_the_same_encoder_goes_into_the_model(tmp_path):
    settings = VAEConfig()
    paths = {}
    for name, part in (("start", None), ("decoder", "decoder"), ("other", "encoder")):
        torch.manual_seed(0)
        vae = build_vae(settings)
        if part:
            torch.nn.init.constant_(getattr(vae, part).conv_in.bias, 0.5)
        paths[name] = tmp_path / f"{name}.pt"
        torch.save({"model": vae.state_dict(), "averaged": {}}, paths[name])
    vae = load_vae(paths["start"], settings)

    def chosen(name):
        return decoder_of(TrainConfig(vae=settings, unet=UNetConfig(decoder=str(paths[name]))), vae)

    assert float(chosen("decoder").conv_in.bias.mean()) == 0.5
    with pytest.raises(InputError, match="not that of"):
        chosen("other")


def test_windows_repeat_and_stay_inside(folder):
    clips = ClipFolder(folder, held_out=False)
    one, two = (clips.window(torch.Generator().manual_seed(4), frames=3) for _ in range(2))
    assert torch.equal(one.rgb, two.rgb)
    assert one.rgb.shape == (3, 3, 64, 128)


def test_held_out_seeds_are_kept_apart(folder):
    jobs = plan_jobs(TrainConfig(data=DataConfig(clip_count=4, held_out=2)))
    assert {job.seed >= HELD_OUT_SEED for job in jobs} == {True, False}
    assert len({job.filename for job in jobs}) == len(jobs) == 18
    assert all(job.seed >= HELD_OUT_SEED and not job.corrupt for job in held_out_jobs(3))
    with pytest.raises(InputError, match="no clips"):
        ClipFolder(folder, held_out=True)


def test_disturbed_distances_stay_usable():
    distance = torch.full((32, 64), 4.0)
    valid = torch.ones(32, 64, dtype=torch.bool)
    seen = set()
    for seed in range(6):
        bent, keep = disturb(distance, valid, torch.Generator().manual_seed(seed))
        assert bool(torch.isfinite(bent).all())
        assert float(bent.min()) > 1.0
        assert float(bent.max()) < 16.0
        assert float((bent - distance).abs().max()) > 1e-3
        seen.add(bool(keep.all()))
    assert seen == {True, False}


def test_vae_starts_as_block_means(vae):
    generator = torch.Generator().manual_seed(1)
    coarse = (
        torch.rand(4, 3, 4, 8, generator=generator) * 0.4 + torch.rand(4, 3, 1, 1, generator=generator) * 0.6
    )
    frames = torch.nn.functional.interpolate(coarse, scale_factor=16, mode="bilinear")
    with torch.no_grad():
        decoded = vae.decode(vae.encode(frames * 2 - 1).latent_dist.mode(), num_frames=4).sample / 2 + 0.5
    assert float((decoded - frames).abs().mean()) < 0.03


def test_unet_starts_as_the_scaffold_and_a_short_run_lowers_the_loss(folder, vae):
    config = TrainConfig(precision="fp32", unet=UNetConfig(frames=(3, 3), dual_share=0.0, drop=0.0))
    clip = LatentFolder(ClipFolder(folder, held_out=False), vae).read(0)
    model = build_training_model(config, vae, 0.7)
    sample = draw_sample(clip, config, torch.Generator().manual_seed(0), frames=3)
    latents, sigma = sample.truth[None] * 0.7, torch.tensor([50.0])
    model_input, time, _ = edm_input(latents, torch.randn(latents.shape), sigma)
    with torch.no_grad():
        output = model.unet(
            torch.cat([model_input, sample.scaffold[None]], 2),
            time,
            torch.zeros(1, 8, 128),
            added_time_ids=torch.zeros(1, 3),
            return_dict=False,
        )[0]
    torch.testing.assert_close(-output[0], sample.scaffold * 0.7, atol=0.15, rtol=0.1)

    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-4)
    losses = []
    for _ in range(20):
        # The same noise every time: the run must fit it.
        loss = batch_loss(model, [sample], config, torch.Generator().manual_seed(7))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_dual_samples_have_true_ends_and_roles(folder, vae):
    config = TrainConfig(unet=UNetConfig(dual_share=1.0))
    clip = LatentFolder(ClipFolder(folder, held_out=False), vae).read(0)
    sample = draw_sample(clip, config, torch.Generator().manual_seed(1), frames=5)
    assert sample.roles == [0, 1]
    assert torch.equal(sample.scaffold[-1], sample.truth[-1])
    assert float(sample.holes[-1].max()) == 0.0
    assert not torch.equal(sample.scaffold[-2], sample.truth[-2])


def test_two_anchor_job_names_another_file():
    assert dataclasses.replace(JOB, anchors=2).filename != JOB.filename


def test_first_frame_samples_repeat_the_first_latent_and_have_one_anchor(folder, vae):
    config = TrainConfig(precision="fp32", unet=UNetConfig(conditioning="first_frame", variant="single"))
    clip = LatentFolder(ClipFolder(folder, held_out=False), vae).read(0)
    sample = draw_sample(clip, config, torch.Generator().manual_seed(1), frames=5)
    assert sample.roles == [0]
    assert torch.equal(sample.scaffold, sample.truth[:1].expand_as(sample.truth))
    model = build_training_model(config, vae, 0.7)
    assert (model.config.conditioning, model.config.variant) == ("first_frame", "single")
    assert torch.isfinite(batch_loss(model, [sample], config, torch.Generator().manual_seed(2))["loss"])
