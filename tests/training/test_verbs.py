"""The verbs train, shards and lora of the command line."""

from __future__ import annotations

import pytest

from pantheon_core.cli import EXIT_OK, EXIT_USAGE, main
from pantheon_core.diffusion import load_model, read_config
from pantheon_core.training import LoRAConfig, train


def test_a_folder_becomes_shards(clip_folder, tmp_path):
    assert main(["shards", "-q", str(clip_folder), str(tmp_path), "--prefix", "train"]) == EXIT_OK
    assert [path.name for path in tmp_path.iterdir()] == ["train-000000.tar"]
    assert main(["shards", "-q", str(tmp_path / "none"), str(tmp_path)]) == EXIT_USAGE


def test_settings_are_checked_without_training(tmp_path, capsys):
    path = tmp_path / "run.toml"
    path.write_text('stage = "vae"\n', encoding="utf-8")
    assert main(["train", "--check", str(path)]) == EXIT_OK
    path.write_text("batch = 0\n", encoding="utf-8")
    assert main(["train", "--check", str(path)]) == EXIT_USAGE
    assert "batch: expected at least 1, got 0" in capsys.readouterr().err


def test_an_adapter_is_merged(tune, base_file, tmp_path):
    pytest.importorskip("peft")
    train(tune(steps=1, unet={"train": "lora"}, lora=LoRAConfig(r=1), model={"name": "tuned"}))
    adapter, out = tmp_path / "run" / "lora.safetensors", tmp_path / "merged.safetensors"
    command = ["lora", str(adapter), "--model", str(base_file), "--out", str(out)]
    assert main(command) == EXIT_OK
    assert read_config(out).name == "tuned"
    assert load_model(out).config.variant == "both"
    assert main(command) == EXIT_USAGE


@pytest.mark.slow
def test_the_stage_vae_trains_and_resumes(tmp_path):
    from pantheon_core.training import DataConfig, TrainConfig, VAEConfig

    def settings(steps: int) -> TrainConfig:
        return TrainConfig(
            stage="vae",
            output=str(tmp_path),
            steps=steps,
            batch=2,
            precision="fp32",
            log_every=1,
            data=DataConfig(photos=("hotel_room",)),
            vae=VAEConfig(crop=(32, 32), latent_noise=0.1),
        )

    assert train(settings(2)).step == 2
    result = train(settings(3))
    assert (result.step, len(result.losses)) == (3, 1)
    assert 0 < result.losses[0] < 2
