"""Adapters: they start without effect, and merged or beside the weights they give the same."""

from __future__ import annotations

import hashlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pantheon_core.diffusion import PantheonModel, load_model, save_model
from pantheon_core.errors import BackendUnavailableError, InputError
from pantheon_core.training import LoRAConfig
from pantheon_core.training.lora import (
    inject_lora,
    load_lora,
    merge_lora,
    merged_copy,
    read_lora,
    save_lora,
)

pytest.importorskip("peft")


def _output(model: PantheonModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 3, 8, 4, 8, generator=generator)
    tokens = torch.randn(1, 8, 32, generator=generator)
    with torch.no_grad():
        return model.unet(x, torch.tensor([0.3]), tokens, added_time_ids=torch.ones(1, 3), return_dict=False)[
            0
        ]


def test_fresh_adapters_change_nothing_and_alone_are_trained(base_file):
    model = load_model(base_file)
    before = _output(model)
    trained = inject_lora(model, LoRAConfig(r=3))
    assert torch.equal(_output(model), before)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == set(trained)
    assert all(".lora_" in name or name.startswith("token_embedding") for name in trained)


def test_merged_and_injected_adapters_agree(base_file, adapter):
    model, path = adapter
    file = read_lora(path)
    wanted = _output(model)
    plain = _output(load_model(base_file))
    assert float((wanted - plain).abs().max()) > 1e-2
    for made in (
        load_lora(load_model(base_file), file),
        merge_lora(load_model(base_file), file),
        merged_copy(model, file),
    ):
        torch.testing.assert_close(_output(made), wanted, atol=1e-3, rtol=1e-3)
        role = "token_embedding.role"
        torch.testing.assert_close(made.get_parameter(role), model.get_parameter(role), atol=1e-3, rtol=1e-3)


def test_no_strength_leaves_the_weights(base_file, adapter):
    none = merge_lora(load_model(base_file), read_lora(adapter[1]), strength=0.0)
    assert torch.equal(_output(none), _output(load_model(base_file)))


def test_the_file_is_small_and_knows_its_settings(base_file, adapter):
    file = read_lora(adapter[1])
    assert file.settings == LoRAConfig(r=3, alpha=6.0)
    assert file.sha256 == hashlib.sha256(adapter[1].read_bytes()).hexdigest()
    assert file.config.frames == 4
    assert adapter[1].stat().st_size < 0.1 * base_file.stat().st_size


def test_a_merged_copy_can_be_saved_as_a_model(adapter, tmp_path):
    copy = merged_copy(adapter[0], read_lora(adapter[1]))
    again = load_model(save_model(copy, tmp_path / "m.safetensors"))
    assert torch.equal(_output(again), _output(copy))


def test_wrong_names_and_files_are_refused(base_file, tmp_path):
    with pytest.raises(InputError, match="linear layers"):
        inject_lora(load_model(base_file), LoRAConfig(target_modules=("to_z",)))
    with pytest.raises(InputError, match="Conv"):
        inject_lora(load_model(base_file), LoRAConfig(target_modules=("conv1",)))
    with pytest.raises(InputError, match="not an adapter"):
        read_lora(base_file)
    with pytest.raises(BackendUnavailableError, match="no such file"):
        read_lora(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="no adapters"):
        save_lora(load_model(base_file), tmp_path / "x.safetensors", LoRAConfig())


def _with(path, target, change):
    """A copy of an adapter's file whose tensors were changed."""
    with safe_open(path, framework="pt") as file:
        save_file(change(load_file(path)), target, metadata=file.metadata())
    return read_lora(target)


def test_adapters_that_do_not_fit_the_model_are_refused(base_file, adapter, tmp_path):
    path = adapter[1]
    first = next(key for key in load_file(path) if key.endswith(".lora_B.weight"))
    for change, says in (
        (lambda w: {k: v for k, v in w.items() if k != first}, "do not fit each other"),
        (lambda w: w | {first: w[first][:, :1].contiguous()}, "do not fit each other"),
        (lambda w: w | {first: w[first][:8].contiguous()}, "another model: unet.*to_"),
        (lambda w: {k: v for k, v in w.items() if "token" not in k}, "token offsets do not fit"),
    ):
        file = _with(path, tmp_path / "changed.safetensors", change)
        model = load_model(base_file)
        before = _output(model)
        with pytest.raises(InputError, match=says):
            merge_lora(model, file)
        assert torch.equal(_output(model), before)
    with pytest.raises(InputError, match="finite"):
        merge_lora(load_model(base_file), read_lora(path), strength=float("nan"))
