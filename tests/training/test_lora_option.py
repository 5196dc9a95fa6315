"""`pantheon360 generate --lora`: the video is that of the merged weights, and says what painted it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pantheon_core.apps import save_png
from pantheon_core.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, main
from pantheon_core.diffusion import build_tiny, load_model, save_model
from pantheon_core.geometry import erp_rays
from pantheon_core.training.lora import merge_lora, read_lora
from pantheon_core.video import read_video, video_info

HEIGHT = 32  # of the checkpoint


@pytest.fixture(scope="module")
def painted(base_file, tmp_path_factory):
    """Runs the verb on a small photograph; gives the exit status and the video's path."""
    folder = tmp_path_factory.mktemp("lora_option")
    rays = erp_rays(HEIGHT)
    save_png((0.5 + 0.3 * torch.sin(5 * rays)).permute(2, 0, 1), folder / "photo.png")
    np.save(folder / "depth.npy", (3 / rays.abs().amax(-1)).numpy())
    numbers = iter(range(1000))

    def run(*more: str, model: Path = base_file, out: Path | None = None) -> tuple[int, Path]:
        out = out or folder / f"{next(numbers)}.mp4"
        given = ["--depth", str(folder / "depth.npy"), "--model", str(model), "--steps", "1", "--float32"]
        given += ["--frames", "4", "--keep-scaffold", "0", "--crf", "0", "-q"]
        return main(["generate", str(folder / "photo.png"), *given, *more, "--out", str(out)]), out

    return run


def _frames(path: Path) -> torch.Tensor:
    return torch.stack(list(read_video(path)))


def test_the_video_is_that_of_the_merged_weights(painted, base_file, adapter, tmp_path, capsys):
    file = read_lora(adapter[1])
    videos = {}
    for scale in (0.5, 1.0):
        merged = merge_lora(load_model(base_file), file, strength=scale)
        path = save_model(merged, tmp_path / f"{scale}.safetensors", dtype=torch.float32)
        code, wanted = painted(model=path)
        assert code == EXIT_OK
        more = [] if scale == 1.0 else ["--lora-scale", str(scale)]
        code, out = painted("--lora", str(adapter[1]), *more)
        assert code == EXIT_OK
        assert f"{scale:g} of a.safetensors (sha256 {file.sha256[:12]})" in capsys.readouterr().err
        said = json.loads(video_info(out).metadata["pantheon360"])
        assert (said["lora"], said["lora_sha256"], said["lora_scale"]) == (
            "a.safetensors",
            file.sha256,
            scale,
        )
        assert said["checkpoint"] == base_file.name
        videos[scale] = _frames(out)
        assert torch.equal(videos[scale], _frames(wanted))
        again = painted("--lora", str(adapter[1]), *more)[1]
        assert out.read_bytes() == again.read_bytes()
    plain = _frames(painted()[1])
    assert float((videos[1.0] - plain).abs().mean()) > 1e-3
    assert float((videos[1.0] - videos[0.5]).abs().mean()) > 1e-3


def test_a_wrong_adapter_gets_a_sentence(painted, base_file, adapter, tmp_path, capsys):
    other = save_model(build_tiny(), tmp_path / "other.safetensors")
    for given, model, code, says in (
        (["--lora", str(base_file)], base_file, EXIT_USAGE, "not an adapter file"),
        (["--lora", str(tmp_path / "no.safetensors")], base_file, EXIT_FAILED, "no such file"),
        (["--lora", str(adapter[1])], other, EXIT_USAGE, "trained on another model"),
        (["--lora", str(adapter[1]), "--lora-scale", "nan"], base_file, EXIT_USAGE, "finite"),
        (["--lora-scale", "1"], base_file, EXIT_USAGE, "name it with --lora"),
    ):
        status, out = painted(*given, model=model)
        assert status == code
        assert says in capsys.readouterr().err
        assert not out.exists()


def test_a_long_video_does_not_go_on_with_another_adapter(painted, adapter, tmp_path, capsys):
    work, first = tmp_path / "windows", ["--lora", str(adapter[1])]
    long = ["--window", "3", "--overlap", "1", "--work", str(work), "--keep-windows"]
    code, out = painted(*long, *first)
    assert code == EXIT_OK
    assert "painted by" in capsys.readouterr().err
    (work / "window_00001.safetensors").unlink()
    for other in ([], [*first, "--lora-scale", "0.5"]):
        assert painted(*long, *other)[0] == EXIT_USAGE
        assert "belongs to another run" in capsys.readouterr().err
    code, again = painted(*long, *first)
    assert code == EXIT_OK
    assert again.read_bytes() == out.read_bytes()
