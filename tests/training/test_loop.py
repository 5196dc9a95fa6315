"""The loop: exact resume, schedule, averaged weights."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from pantheon_core.errors import InputError
from pantheon_core.training import TrainConfig, load_config
from pantheon_core.training.loop import fit, learning_rate_factor, step_generator


def _net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 1))


def _loss(net: nn.Module):
    def step(number: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        x = torch.randn(8, 6, generator=generator)
        return {"loss": (net(x) - x.sum(1, keepdim=True)).square().mean()}

    return step


def _config(folder, **changes) -> TrainConfig:
    settings = {
        "steps": 24,
        "warmup": 4,
        "decay_steps": 8,
        "log_every": 4,
        "checkpoint_every": 5,
        "precision": "fp32",
    }
    return TrainConfig(output=str(folder), learning_rate=1e-2, **{**settings, **changes})


def test_resumed_run_is_bit_for_bit_the_unbroken_one(tmp_path):
    whole, broken = _net(), _net()
    one = fit(_config(tmp_path / "a"), whole, _loss(whole))

    class Stop(RuntimeError):
        pass

    def stop(done: int, total: int) -> None:
        if done == 17:
            raise Stop

    with pytest.raises(Stop):
        fit(_config(tmp_path / "b"), broken, _loss(broken), progress=stop)
    fresh = _net()
    two = fit(_config(tmp_path / "b"), fresh, _loss(fresh))
    assert one.step == two.step == 24
    for a, b in zip(whole.state_dict().values(), fresh.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for key, value in one.averaged.items():
        assert torch.equal(value, two.averaged[key])


def test_log_holds_the_loss_curve_and_it_falls(tmp_path):
    net = _net()
    result = fit(_config(tmp_path, steps=200), net, _loss(net))
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(4, 201, 4))
    assert result.finished
    assert rows[-1]["loss"] < 0.2 * rows[0]["loss"]


def test_checkpoint_of_another_network_is_refused(tmp_path):
    net = _net()
    fit(_config(tmp_path), net, _loss(net))
    other = nn.Linear(3, 3)
    with pytest.raises(InputError, match="another network"):
        fit(_config(tmp_path), other, _loss(other))


def test_learning_rate_warms_up_and_falls_to_nothing(tmp_path):
    config = _config(tmp_path)
    factors = [learning_rate_factor(step, config) for step in range(config.steps)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[10] == 1.0
    assert factors[-1] == pytest.approx(1 / 8)


def test_randomness_depends_on_seed_and_step_alone():
    def draw(seed: int, step: int) -> list[float]:
        return torch.rand(3, generator=step_generator(seed, step)).tolist()

    assert draw(1, 5) == draw(1, 5)
    assert draw(1, 5) != draw(1, 6)
    assert draw(1, 5) != draw(2, 5)


def test_settings_name_what_is_wrong(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('stage = "vae"\n[vae]\nchanels = [64]\n')
    with pytest.raises(InputError, match="unknown key 'chanels'"):
        load_config(path)
    path.write_text('stage = "vea"\n')
    with pytest.raises(InputError, match="expected one of clips, vae, unet"):
        load_config(path)
    with pytest.raises(InputError, match="no such file"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["clips", "vae", "unet"])
def test_shipped_settings_load(name):
    from pathlib import Path

    import pantheon_core.training as training

    folder = Path(training.__file__).parent / "configs"
    assert load_config(folder / f"{name}.toml").stage == name
