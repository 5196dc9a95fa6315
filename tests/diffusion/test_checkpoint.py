from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pantheon_core.diffusion import (
    ModelConfig,
    PantheonModel,
    SamplerSettings,
    build_tiny,
    generate,
    load_model,
    read_config,
    save_model,
)
from pantheon_core.errors import BackendUnavailableError, InputError


@pytest.fixture(scope="module")
def saved(build_nano: Callable[..., PantheonModel], tmp_path_factory: pytest.TempPathFactory) -> tuple:
    model = build_nano(variant="dual", token_roles=True, token_yaw=True, description="für Tests")
    return model, save_model(model, tmp_path_factory.mktemp("model") / "nano.safetensors")


def rewrite(source: Path, target: Path, *, drop: str = "", add: str = "", **header: object) -> Path:
    """A copy with a tensor or header entries changed."""
    with safe_open(source, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys() if key != drop}  # noqa: SIM118
        metadata = file.metadata()
    if add:
        tensors[add] = torch.zeros(2)
    values = {**json.loads(metadata["pantheon360"]), **header}
    save_file(tensors, target, metadata={**metadata, "pantheon360": json.dumps(values)})
    return target


def test_round_trip(saved: tuple) -> None:
    model, path = saved
    loaded = load_model(path)
    assert read_config(path) == loaded.config == model.config
    assert loaded.part_configs() == model.part_configs()
    wanted = model.state_dict()
    assert loaded.state_dict().keys() == wanted.keys()
    assert all(torch.equal(value, wanted[key]) for key, value in loaded.state_dict().items())
    assert not loaded.training
    assert {p.name for p in path.parent.iterdir()} == {path.name}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(saved: tuple, tmp_path: Path, dtype: torch.dtype) -> None:
    model, full = saved
    path = save_model(model, tmp_path / "half.safetensors", dtype=dtype)
    assert path.stat().st_size < 0.55 * full.stat().st_size
    loaded = load_model(path, dtype=dtype)
    assert loaded.dtype == dtype
    # The autoencoder overflows in float16 and stays in float32.
    assert loaded.vae.dtype == (torch.float32 if dtype == torch.float16 else dtype)
    assert next(loaded.vae.decoder.parameters()).dtype == dtype
    assert load_model(path).dtype == torch.float32


def test_a_failed_save_leaves_the_old_file(
    saved: tuple, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, _ = saved
    path = tmp_path / "nano.safetensors"
    path.write_bytes(b"old")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_model(model, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_and_unexpected_weights_are_named(saved: tuple, tmp_path: Path) -> None:
    key = "unet.conv_in.weight"
    broken = rewrite(saved[1], tmp_path / "a.safetensors", drop=key, add="unet.surplus")
    with pytest.raises(InputError, match=r"1 missing: unet.conv_in.weight; 1 unexpected: unet.surplus"):
        load_model(broken)


def test_weights_of_another_architecture(saved: tuple, tmp_path: Path) -> None:
    other = build_tiny(saved[0].config, unet_channels=(64, 64), vae_channels=(32,) * 4, token_dim=32)
    broken = rewrite(saved[1], tmp_path / "a.safetensors", parts=other.part_configs())
    with pytest.raises(InputError, match="of another shape"):
        load_model(broken)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"version": 99}, "update the package"),
        ({"config": {"variant": "triple"}}, "variant"),
        ({"config": {"colour": 1}}, "newer version"),
        ({"parts": {"unet": {}}}, "missing"),
        ({"parts": {"unet": {"block_out_channels": 3}, "vae": {}, "image_encoder": {}}}, "architecture"),
    ],
)
def test_damaged_headers(saved: tuple, tmp_path: Path, header: dict, words: str) -> None:
    broken = rewrite(saved[1], tmp_path / "a.safetensors", **header)
    with pytest.raises(InputError, match=words):
        load_model(broken)


def test_damaged_and_foreign_files(saved: tuple, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved[1].read_bytes()[:-1000])
    text = tmp_path / "page.safetensors"
    text.write_text("<html>404</html>")
    for path in (cut, text):
        with pytest.raises(InputError, match="damaged"):
            load_model(path)
    plain = tmp_path / "plain.safetensors"
    save_file({"a": torch.zeros(1)}, plain)
    with pytest.raises(InputError, match="no Pantheon360 config"):
        read_config(plain)
    stability = tmp_path / "svd.safetensors"
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1)}, stability)
    with pytest.raises(InputError, match="no weights of the autoencoder"):
        load_model(stability)
    with pytest.raises(BackendUnavailableError, match="no such file"):
        load_model(tmp_path / "absent.safetensors")
    with pytest.raises(InputError, match="not a diffusers folder"):
        load_model(tmp_path)
    with pytest.raises(InputError, match="float16, bfloat16 or float32"):
        load_model(saved[1], dtype=torch.int8)


def test_config_round_trip_and_refusals() -> None:
    config = ModelConfig(variant="dual", crops=4, keep_scaffold=0.5, name="ä")
    assert ModelConfig.from_dict(json.loads(config.to_json())) == config
    for values in (
        {"frames": 0},
        {"hole_value": 2.0},
        {"crop_fov_deg": 0.0},
        {"crops": 0, "token_yaw": True},
    ):
        with pytest.raises(InputError, match="ModelConfig"):
            ModelConfig(**values)


def test_tiny_fits_in_the_repository() -> None:
    """At most 25 MB in half precision."""
    assert 2 * sum(p.numel() for p in build_tiny().parameters()) < 25e6


def test_weights_depend_on_the_seed_alone() -> None:
    sizes = {"unet_channels": (32, 32), "vae_channels": (32,) * 4, "token_dim": 32, "encoder_layers": 1}
    state = torch.get_rng_state()
    a, b, c = (build_tiny(seed=seed, **sizes).unet.conv_in.weight for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_half_precision_model_generates(
    build_nano: Callable[..., PantheonModel], clip: tuple[Tensor, Tensor, list[Tensor]], tmp_path: Path
) -> None:
    """UNet and decoder in float16, the encoder in float32: near the picture of the exact model."""
    scaffold, coverage, anchors = clip
    model = build_nano()
    model.vae.register_to_config(force_upcast=True)
    half = load_model(save_model(model, tmp_path / "model.safetensors"), dtype=torch.float16)
    assert (half.vae.dtype, half.unet.dtype) == (torch.float32, torch.float16)
    settings = SamplerSettings(steps=2, sigma_max=20.0, guidance_max=1.0)
    exact = generate(model, scaffold, coverage, anchors[:1], settings=settings).frames
    close = generate(half, scaffold, coverage, anchors[:1], settings=settings).frames
    assert float((close - exact).abs().mean()) < 0.01
