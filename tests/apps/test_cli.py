from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pantheon_core.apps import save_png
from pantheon_core.cache import load_ply
from pantheon_core.cli import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, main
from pantheon_core.diffusion import ModelConfig, build_tiny, save_model
from pantheon_core.errors import InterruptedByUser
from pantheon_core.geometry import erp_rays
from pantheon_core.panorama import load_panorama
from pantheon_core.trajectory import path_to_json, preset_path
from pantheon_core.video import read_video, video_info

HEIGHT = 64


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photo.png, depth.npy (a room of 3 m) and model.safetensors (random weights)."""
    folder = tmp_path_factory.mktemp("cli")
    rays = erp_rays(HEIGHT)
    save_png((0.5 + 0.3 * torch.sin(5 * rays)).permute(2, 0, 1), folder / "photo.png")
    np.save(folder / "depth.npy", (3 / rays.abs().amax(-1)).numpy())
    torch.manual_seed(0)
    save_model(build_tiny(ModelConfig(frames=4, height=HEIGHT, name="random")), folder / "model.safetensors")
    return folder


def _scaffold(files: Path, *more: str) -> int:
    given = ["--depth", str(files / "depth.npy"), "--frames", "3", "--height", str(HEIGHT), "-q"]
    return main(["scaffold", str(files / "photo.png"), *given, *more])


def test_scaffold_writes_video_mask_and_cache(files: Path, tmp_path: Path) -> None:
    out, mask, ply = tmp_path / "s.mp4", tmp_path / "m.mp4", tmp_path / "c.ply"
    code = _scaffold(files, "--out", str(out), "--mask-out", str(mask), "--cache-out", str(ply))
    assert code == EXIT_OK
    info = video_info(out)
    assert (info.frames, info.height, info.width) == (3, HEIGHT, 2 * HEIGHT)
    first = next(iter(read_video(out)))
    assert (first - load_panorama(files / "photo.png").rgb).abs().mean() < 0.02
    assert len(load_ply(ply).points) >= 2 * HEIGHT**2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.ply", "m.mp4", "s.mp4"]


def test_a_finished_cache_is_rendered_without_its_photographs(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ply, first, again = tmp_path / "c.ply", tmp_path / "first.mp4", tmp_path / "again.mp4"
    assert _scaffold(files, "--out", str(first), "--cache-out", str(ply)) == EXIT_OK
    walk = ["scaffold", str(ply), "--frames", "3", "--height", str(HEIGHT), "-q"]
    assert main([*walk, "--out", str(again)]) == EXIT_OK
    for one, other in zip(read_video(first), read_video(again), strict=True):
        assert (one - other).abs().mean() < 0.02
    paint = ["generate", str(ply), "--model", str(files / "model.safetensors"), "--steps", "1", "-q"]
    assert main([*paint, "--out", str(tmp_path / "painted.mp4")]) == EXIT_OK
    assert main([*walk, "--out", str(tmp_path / "no.mp4"), "--depth", str(files / "depth.npy")]) == EXIT_USAGE
    assert "finished 3D cache" in capsys.readouterr().err
    assert main([*paint, "--window", "4", "--frames", "8", "--out", str(tmp_path / "no.mp4")]) == EXIT_USAGE
    assert "finished 3D cache" in capsys.readouterr().err
    assert not (tmp_path / "no.mp4").exists()


def test_a_path_from_a_file(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "path.json"
    path.write_text(path_to_json(preset_path("left", frames=5, fps=12, distance=0.2)), encoding="utf-8")
    assert _scaffold(files, "--path", str(path), "--out", str(tmp_path / "s.mp4")) == EXIT_OK
    info = video_info(tmp_path / "s.mp4")
    assert (info.frames, info.fps) == (5, 12)


def test_paths_of_other_programs(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "poses.npy", tmp_path / "s.mp4"
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 0, 3] = [40.0, 40.1, 40.2]
    np.save(path, poses)
    assert _scaffold(files, "--path", str(path), "--out", str(out)) == EXIT_USAGE
    assert "poses.npy: fps: the file does not say its frame rate" in capsys.readouterr().err
    given = ["--path", str(path), "--path-rebase", "--path-scale", "0.5", "--fps", "12", "--out", str(out)]
    assert _scaffold(files, *given) == EXIT_OK
    assert (video_info(out).frames, video_info(out).fps) == (3, 12)
    first = next(iter(read_video(out)))
    assert (first - load_panorama(files / "photo.png").rgb).abs().mean() < 0.02
    out.unlink()
    assert _scaffold(files, *given, "--path-format", "usd") == EXIT_USAGE
    assert "format: expected one of pantheon" in capsys.readouterr().err


def test_generate_writes_everything_and_the_same_twice(files: Path, tmp_path: Path) -> None:
    videos = []
    for name in ("a", "b"):
        out, sheet = tmp_path / f"{name}.mp4", tmp_path / f"{name}.png"
        given = [
            "--depth",
            str(files / "depth.npy"),
            "--model",
            str(files / "model.safetensors"),
            "--steps",
            "2",
        ]
        more = [
            "--out",
            str(out),
            "--contact-sheet",
            str(sheet),
            "--path",
            "forward_turn",
            "--seed",
            "3",
            "-q",
        ]
        assert main(["generate", str(files / "photo.png"), *given, *more]) == EXIT_OK
        assert sheet.is_file()
        videos.append(torch.stack(list(read_video(out))))
    assert videos[0].shape == (4, 3, HEIGHT, 2 * HEIGHT)
    assert torch.equal(*videos)


def test_no_frames_is_an_error_and_not_the_default(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--depth", str(files / "depth.npy"), "--model", str(files / "model.safetensors"), "-q"]
    out = tmp_path / "s.mp4"
    assert (
        main(["generate", str(files / "photo.png"), *given, "--frames", "0", "--out", str(out)]) == EXIT_USAGE
    )
    assert "frames" in capsys.readouterr().err
    assert not out.exists()


def test_existing_files_are_kept_unless_told(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s.mp4"
    out.write_bytes(b"precious")
    assert _scaffold(files, "--out", str(out)) == EXIT_USAGE
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"precious"
    assert _scaffold(files, "--out", str(out), "--overwrite") == EXIT_OK
    assert video_info(out).frames == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--path", "sideways"], "expected a file with a camera path or one of forward"),
        (["--frames", "0"], "frames"),
        (["--depth-scale", "nan"], "scale"),
        (["--confidence", "2"], "expected 0 to 1"),
    ],
)
def test_wrong_input_is_a_sentence_and_leaves_nothing(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert _scaffold(files, "--out", str(tmp_path / "s.mp4"), *arguments) == EXIT_USAGE
    message = capsys.readouterr().err
    assert says in message
    assert "Traceback" not in message
    assert not list(tmp_path.iterdir())


def test_a_missing_photograph_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["scaffold", str(tmp_path / "gone.jpg"), "--out", str(tmp_path / "s.mp4"), "-q"])
    assert code == EXIT_USAGE
    assert "gone.jpg" in capsys.readouterr().err


def test_interruption_leaves_nothing(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(done: int, total: int) -> None:
        raise InterruptedByUser

    monkeypatch.setattr("pantheon_core.cli.bars", lambda stack, quiet: lambda name: stop)
    assert _scaffold(files, "--out", str(tmp_path / "s.mp4")) == EXIT_INTERRUPTED
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["generate", "scaffold", "train"])
def test_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert "usage: pantheon360" in capsys.readouterr().out


_LONG = ("--window", "4", "--frames", "12", "--steps", "1", "--path", "forward", "--distance", "0.2")


def _long(files: Path, out: Path, *more: str) -> list[str]:
    given = ["--depth", str(files / "depth.npy"), "--model", str(files / "model.safetensors"), "-q"]
    return ["generate", str(files / "photo.png"), *given, *_LONG, "--out", str(out), *more]


def test_a_long_video_killed_at_any_moment_ends_with_the_same_bytes(files: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.mp4", tmp_path / "broken.mp4"
    assert main(_long(files, whole)) == EXIT_OK
    assert video_info(whole).frames == 12
    moment, windows = random.Random(3), tmp_path / "broken_windows"
    kills = 0
    for _ in range(40):
        command = [sys.executable, "-m", "pantheon_core.cli", *_long(files, broken)]
        run = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
        try:
            # From the first file on, so that the kills fall into the work and not into the start.
            before = len(list(windows.glob("*"))) if windows.exists() else 0
            while run.poll() is None and kills < 3:
                if windows.exists() and len(list(windows.glob("*"))) > before:
                    time.sleep(moment.uniform(0, 0.3))
                    run.kill()
                    kills += 1
                time.sleep(0.002)
            run.wait(timeout=300)
        finally:
            run.kill()
        if run.returncode == 0:
            break
    assert kills >= 2
    assert broken.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.mp4", "whole.mp4"]
