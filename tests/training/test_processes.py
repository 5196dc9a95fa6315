"""Several processes, started by accelerate, and what they share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pantheon_core.errors import InputError
from pantheon_core.training import train
from pantheon_core.training.loop import fit
from pantheon_core.training.run_log import read_rows
from pantheon_core.training.runtime import Runtime, start_runtime

ROOT = Path(__file__).parents[2]


def _toml(clip_folder, base_file, output, *, batch: int = 2, steps: int = 3) -> str:
    return f"""
stage = "unet"
output = "{output.as_posix()}"
steps = {steps}
batch = {batch}
learning_rate = 1e-3
warmup = 1
decay_steps = 1
log_every = 1
checkpoint_every = 2
precision = "fp32"
device = "cpu"
[data]
source = "folder"
path = "{clip_folder.as_posix()}"
height = 32
[unet]
base = "{base_file.as_posix()}"
frames = [2, 3]
"""


def _run(command: list[str]) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    place = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env={**clean, **place}, stderr=subprocess.PIPE, text=True
    )


def _finish(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=900)
    assert process.returncode == 0, said[-3000:]


def _curve(folder: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_rows(folder / "log.jsonl")]


@pytest.fixture
def written(clip_folder, base_file, tmp_path):
    """Writes settings whose run ends in the folder of that name."""

    def write(name: str, **changes: int) -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(_toml(clip_folder, base_file, tmp_path / name, **changes), encoding="utf-8")
        return path

    return write


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(written, tmp_path):
    pytest.importorskip("accelerate")
    train(written("one"))
    # On machines without a GPU the flag means no more than several processes.
    launch = ["accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes", "2"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1"]
    _finish(_run([*launch, "-m", "pantheon_core.cli", "train", "-q", str(written("two"))]))
    assert json.loads((tmp_path / "two" / "config.json").read_text())["runtime"]["processes"] == 2
    curves = [_curve(tmp_path / name) for name in ("one", "two")]
    assert [row["step"] for row in curves[1]] == [1, 2, 3]
    for one, two in zip(*curves, strict=True):
        assert two == pytest.approx(one, rel=1e-4)
    models = [torch.load(tmp_path / n / "checkpoint.pt", weights_only=True)["model"] for n in ("one", "two")]
    # Adam's first steps are signs of the gradient, which rounding turns where it is nearly 0: weights agree
    # to a hundredth of their way, 3 steps of 1e-3, on average.
    apart = torch.cat([(models[1][name] - value).abs().flatten() for name, value in models[0].items()])
    assert float(apart.mean()) < 3e-5


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_with_the_same_curve(written, tmp_path):
    train(written("whole", steps=8))
    config = written("killed", steps=8)
    process = _run(["pantheon_core.cli", "train", "-q", str(config)])
    while process.poll() is None and len(_curve(tmp_path / "killed")) < 3:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert 3 <= len(_curve(tmp_path / "killed")) < 8
    _finish(_run(["pantheon_core.cli", "train", "-q", str(config)]))
    assert _curve(tmp_path / "killed") == _curve(tmp_path / "whole")
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_places_of_a_batch_are_dealt_out():
    assert [list(Runtime(rank=rank, world=3).slots(6)) for rank in range(3)] == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(InputError, match="multiple of the 4 processes"):
        Runtime(world=4).slots(6)


def test_a_device_that_is_not_there_is_refused(tune):
    with pytest.raises(InputError, match="config: device"):
        start_runtime(tune(device="toaster"))
    assert start_runtime(tune(precision="bf16")).autocast_dtype == torch.bfloat16


def test_loss_scaling_skips_overflow_and_resumes(tune, tmp_path):
    """Float16's scaler: a step whose gradient overflows changes nothing and halves the scale."""

    def run(folder: str, stop: int | None) -> tuple[nn.Module, Runtime]:
        torch.manual_seed(0)
        net = nn.Linear(4, 1)
        runtime = start_runtime(tune(precision="fp16"))

        def loss(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
            if step == stop:
                raise KeyboardInterrupt
            x = torch.randn(8, 4, generator=generator)
            huge = 1e36 if step == 1 else 1.0
            return {"loss": (net(x).float() - 1).square().mean() * huge}

        config = tune(precision="fp16", steps=6, output=str(tmp_path / folder))
        fit(config, net, loss, runtime=runtime)
        return net, runtime

    whole, runtime = run("whole", None)
    assert runtime.scaler is not None
    assert runtime.scaler.get_scale() == 32768.0
    with pytest.raises(KeyboardInterrupt):
        run("broken", 3)
    again, resumed = run("broken", None)
    assert resumed.scaler is not None
    assert resumed.scaler.get_scale() == 32768.0
    assert torch.equal(whole.weight, again.weight)
