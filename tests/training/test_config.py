"""Settings: what is wrong is said in one sentence that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest

import pantheon_core.training as training
from pantheon_core.errors import InputError
from pantheon_core.training import load_config

CONFIGS = Path(training.__file__).parent / "configs"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = 1.5", "steps: expected a whole number, got 1.5"),
        ("steps = true", "steps: expected a whole number, got True"),
        ("steps = 0", "steps: expected at least 1, got 0"),
        ('precision = "int8"', "precision: expected one of fp32, bf16, fp16, got 'int8'"),
        ("data = 3", "data: expected a table, got 3"),
        ("[unet]\nframes = 8", "frames: expected a list of 2 values, got 8"),
        ("[unet]\nframes = [8, 4]", "unet.frames: expected two numbers"),
        ("[unet]\ntrain_image_encoder = 1", "train_image_encoder: expected true or false, got 1"),
        ('[unet]\nconditioning = "first_frame"', 'unet.variant: expected "single"'),
        ('[unet]\nbase = "a"\nvae = "b"', "unet.vae: expected empty where base is given"),
        ('[unet]\nbase_precision = "bf16"', "unet.base_precision: expected"),
        ('[data]\nsource = "shards"', "data.path: expected the clips' place"),
        ("[data]\nheight = 100", "data.height: expected a multiple of 32"),
        ("[data.corruption]\npoint_keep = [0.0, 1.0]", "data.corruption.point_keep: expected two numbers"),
        ("[data.corruption]\nshare = 2", "data.corruption.share: expected 0 to 1, got 2.0"),
        ("[lora]\nr = 0", "lora.r: expected at least 1, got 0"),
        ("[validation]\nframes = 1", "validation.frames: expected at least 2"),
        ("[model]\nframes = 3", "model.frames: follows from the table"),
        ("[model]\ncolour = 3", "unknown fields"),
        ("steps = ", "not valid TOML"),
    ],
)
def test_wrong_settings_are_named(tmp_path, text, message):
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value).replace(text, "")


def test_nested_tables_and_lists_arrive(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        "learning_rate = 1\n[data.corruption]\nshare = 1\npoint_keep = [0.1, 1]\n"
        '[lora]\ntarget_modules = ["to_q"]\n[model]\nname = "mine"\n',
        encoding="utf-8",
    )
    config = load_config(path, seed=3)
    assert (config.learning_rate, config.seed) == (1.0, 3)
    assert config.data.corruption.point_keep == (0.1, 1.0)
    assert config.lora.target_modules == ("to_q",)
    assert config.model == {"name": "mine"}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_settings_are_valid(path):
    assert load_config(path).stage in ("clips", "vae", "unet")


def test_every_key_is_explained():
    """docs/training.md has a row for every key of every table."""
    from dataclasses import fields, is_dataclass

    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    config = training.TrainConfig()
    tables = [config, *(getattr(config, f.name) for f in fields(config)), config.data.corruption]
    for table in filter(is_dataclass, tables):
        names = [field.name for field in fields(table)]
        missing = [n for n in names if not any(mark in text for mark in (f"`{n}`", f"[{n}]", f".{n}]"))]
        assert not missing, type(table).__name__
