"""Fine-tuning of a checkpoint on clips with points: full and LoRA, resume, validation, variants."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pantheon_core.diffusion import load_model, read_config
from pantheon_core.errors import InputError
from pantheon_core.training import LoRAConfig, ValidationConfig, train
from pantheon_core.training.latents import LatentClip
from pantheon_core.training.model_start import load_base, select_trained, start_from
from pantheon_core.training.run_log import read_rows
from pantheon_core.training.samples import draw_sample


class Stop(RuntimeError):
    pass


def _curve(config) -> list[dict[str, float]]:
    rows = read_rows(Path(config.output) / "log.jsonl")
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def _assert_same_weights(one: Path, other: Path) -> None:
    """Bit for bit; the files differ in the order of their header."""
    a, b = load_file(one), load_file(other)
    assert set(a) == set(b)
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("kind", [pytest.param("full", marks=pytest.mark.slow), "lora"])
def test_a_broken_run_ends_with_the_same_curve_and_the_same_weights(tune, tmp_path, kind):
    pytest.importorskip("peft")
    whole = tune(unet={"train": kind}, output=str(tmp_path / "whole"))
    broken = dataclasses.replace(whole, output=str(tmp_path / "broken"))
    train(whole)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        train(broken, progress=stop)
    result = train(broken)
    assert (result.step, result.finished) == (4, True)
    assert _curve(whole) == _curve(broken)
    assert [row["step"] for row in _curve(broken)] == [1, 2, 3, 4]
    name = "lora.safetensors" if kind == "lora" else "model.safetensors"
    _assert_same_weights(tmp_path / "whole" / name, tmp_path / "broken" / name)


@pytest.mark.slow
def test_lower_precision_stays_near_the_curve(tune, tmp_path):
    pytest.importorskip("peft")
    curves = {}
    for computed, base in (("fp32", "fp32"), ("bf16", "bf16"), ("fp16", "fp32")):
        folder = tmp_path / computed
        train(tune(precision=computed, output=str(folder), unet={"train": "lora", "base_precision": base}))
        curves[computed] = [row["loss"] for row in read_rows(folder / "log.jsonl")]
    for computed in ("bf16", "fp16"):
        assert curves[computed] == pytest.approx(curves["fp32"], rel=0.03)


@pytest.mark.slow
def test_micro_batches_give_the_same_step(tune, tmp_path):
    at_once = tune(steps=2, batch=4, output=str(tmp_path / "a"), unet={"frames": (3, 3)})
    train(at_once)
    parts = dataclasses.replace(at_once, micro_batch=1, output=str(tmp_path / "b"))
    train(parts)
    for one, other in zip(_curve(at_once), _curve(parts), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.slow
def test_validation_writes_videos_and_curves_and_leaves_training_alone(tune, tmp_path):
    config = tune(
        steps=2,
        output=str(tmp_path / "with"),
        data={"validation_path": tune().data.path},
        validation=ValidationConfig(every=1, clips=2, frames=3, steps=1, tensorboard=False),
    )
    train(config)
    folder = tmp_path / "with"
    rows = read_rows(folder / "validation.jsonl")
    assert [row["step"] for row in rows] == [1, 2]
    assert all({"psnr", "ssim"} <= set(row) for row in rows)
    assert (folder / "validation" / "step_0000002" / "clip_1.mp4").stat().st_size > 1000
    assert (folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    plain = tune(steps=2, output=str(tmp_path / "without"))
    train(plain)
    assert _curve(plain) == _curve(config)
    _assert_same_weights(folder / "model.safetensors", tmp_path / "without" / "model.safetensors")


def test_validation_without_held_out_clips_is_refused(tune):
    with pytest.raises(InputError, match=r"data\.validation_path"):
        train(tune(validation=ValidationConfig(every=1, tensorboard=False)))


def test_the_finished_model_says_how_it_was_trained(tune, tmp_path):
    train(tune(steps=1, unet={"variant": "dual", "hole_fill": "background"}, model={"name": "mine"}))
    config = read_config(tmp_path / "run" / "model.safetensors")
    assert (config.variant, config.conditioning, config.frames) == ("dual", "scaffold", 4)
    assert (config.name, config.hole_fill, config.token_roles) == ("mine", "background", True)


def test_an_adapter_run_can_also_write_the_merged_model(tune, tmp_path):
    pytest.importorskip("peft")
    settings = LoRAConfig(r=2, alpha=4.0, merge=True)
    train(tune(steps=2, unet={"train": "lora"}, lora=settings, learning_rate=1e-2))
    merged = load_model(tmp_path / "run" / "model.safetensors")
    base = load_model(tune().unet.base)
    changed = [
        name
        for (name, a), b in zip(
            merged.unet.state_dict().items(), base.unet.state_dict().values(), strict=True
        )
        if float((a - b).abs().max()) > 1e-3
    ]
    assert changed
    assert all(name.rsplit(".", 1)[0].endswith(settings.target_modules) for name in changed)


def _latent_clip(anchors: int) -> LatentClip:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(8, 4, 2, 4, generator=generator)
    return LatentClip(
        truth=latents,
        scaffold=latents + 1,
        holes=torch.ones(8, 1, 2, 4),
        rgb=torch.zeros(8, 3, 16, 32, dtype=torch.uint8),
        anchors=anchors,
    )


@pytest.mark.parametrize(("variant", "roles"), [("single", {1}), ("dual", {2}), ("both", {1, 2})])
def test_variants_decide_the_anchors(tune, variant, roles):
    config, seen = tune(unet={"variant": variant}), set()
    for seed in range(16):
        sample = draw_sample(_latent_clip(1), config, torch.Generator().manual_seed(seed), frames=4)
        seen.add(len(sample.roles))
        assert torch.equal(sample.scaffold[-1], sample.truth[-1]) == (len(sample.roles) == 2)
    assert seen == roles


def test_only_clips_seen_from_both_ends_run_backwards(tune):
    config = tune(unet={"variant": "single", "reverse_share": 1.0})
    for anchors, backwards in ((1, False), (2, True)):
        clip = _latent_clip(anchors)
        sample = draw_sample(clip, config, torch.Generator().manual_seed(3), frames=8)
        first = clip.truth[-1 if backwards else 0]
        assert any(torch.equal(sample.truth[0], first.roll(shift, -1)) for shift in range(4))


@pytest.mark.parametrize("kind", ["full", "temporal"])
def test_what_is_trained(tune, kind):
    config = tune(unet={"train": kind})
    model = load_base(config)
    select_trained(model, config)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    unet = [name for name, _ in model.unet.named_parameters()]
    trained = {name.removeprefix("unet.") for name in names if name.startswith("unet.")}
    assert not [name for name in names if name.startswith(("vae.", "image_encoder."))]
    if kind == "full":
        assert trained == set(unet)
    else:
        assert trained
        assert all("tempor" in name or "time_" in name for name in trained)
        assert len(trained) < 0.7 * len(unet)


def test_the_log_is_complete_json_lines(tune, tmp_path):
    train(tune(steps=1))
    row = json.loads((tmp_path / "run" / "log.jsonl").read_text())
    assert row["step"] == 1
    assert "loss" in row
    assert not [key for key in row if key.endswith("/weight")]


def test_a_start_of_another_network_is_refused(tune, tmp_path):
    model = load_base(tune())
    checkpoint = tmp_path / "checkpoint.pt"
    torch.save({"averaged": {"unet.of.no.such.layer": torch.zeros(1)}}, checkpoint)
    with pytest.raises(InputError, match=r"of another network .*unet\.of\.no\.such\.layer"):
        start_from(model, checkpoint)
