"""The camera of a video, found from its frames."""

from __future__ import annotations

import dataclasses
import gc
import json
import math
import weakref
from pathlib import Path

import pytest
import torch
from box_walk import FAST, WALK, H, blur, errors_of, frame, known_places, shaky_walk

from pantheon_core.errors import ConventionError, InputError, MediaError
from pantheon_core.geometry import (
    se3_from,
    se3_inverse,
)
from pantheon_core.recon.poses import PanoramaPoses
from pantheon_core.recon.video_in import TrackSettings, track_frames, track_video
from pantheon_core.video import write_video


@pytest.fixture(scope="module")
def walk() -> list[torch.Tensor]:
    return [frame(T) for T in WALK]


def test_track_of_a_shaky_walk(walk: list[torch.Tensor]) -> None:
    track = track_frames(lambda: iter(walk), fps=12, count=20, settings=FAST, solver=known_places(WALK, walk))
    assert (track.start, track.stop, track.frames) == (0, 20, 20)
    assert track.trajectory.fps == 12
    assert bool(track.residual.isfinite().all())
    degrees, metres = errors_of(track, WALK)
    assert float(degrees.median()) < 0.1
    assert float(degrees.quantile(0.95)) < 0.25
    way = float(WALK[:, :3, 3].diff(dim=0).norm(dim=1).sum())
    assert float(metres.quantile(0.95)) < 0.01 * way
    assert "20 of 20 frames placed" in track.report()
    assert len(track.as_dict()["keys"]) == len(track.keys)  # pyright: ignore[reportArgumentType]


def test_frames_before_the_first_key_are_placed(walk: list[torch.Tensor]) -> None:
    """The walk begins blurred: the first key frame comes later, those before it are fitted backwards."""
    video = [blur(rgb, 1) if i < 3 else rgb for i, rgb in enumerate(walk[:12])]
    track = track_frames(lambda: iter(video), fps=12, settings=FAST, solver=known_places(WALK, video))
    assert track.start == 0
    assert track.keys[0].frame == 3
    assert bool(track.residual.isfinite().all())
    degrees, metres = errors_of(track, WALK)
    assert float(degrees[:3].max()) < 0.5
    assert float(metres[:3].max()) < 0.02


@pytest.mark.parametrize("silent", [1, None])
def test_key_frames_that_saw_no_points(walk: list[torch.Tensor], silent: int | None) -> None:
    """One key frame, or all, have a place and no points: from the same spot as another, or from GPS."""
    known = known_places(WALK, walk)

    def solve(rgb, valid, progress) -> PanoramaPoses:
        poses = known(rgb, valid, progress)
        seen = poses.observation_panorama != silent if silent else poses.observation_panorama < 0
        return dataclasses.replace(
            poses,
            observation_panorama=poses.observation_panorama[seen],
            observation_point=poses.observation_point[seen],
        )

    settings = dataclasses.replace(FAST, parallax=math.radians(1))
    track = track_frames(lambda: iter(walk[:8]), fps=12, settings=settings, solver=solve)
    degrees, metres = errors_of(track, WALK)
    if silent:
        assert bool(track.residual.isfinite().all())
        assert float(degrees.max()) < 0.5
    else:
        assert bool(track.residual.isnan().all())
        assert any("guess" in text for text in track.warnings)
    assert float(metres[[key.frame for key in track.keys]].max()) < 0.01


def test_path_length_makes_it_metric(walk: list[torch.Tensor]) -> None:
    settings = dataclasses.replace(FAST, path_length=7.0, parallax=math.radians(1))
    track = track_frames(lambda: iter(walk[:8]), fps=12, settings=settings, solver=known_places(WALK, walk))
    assert track.poses.metric
    way = float(track.trajectory.positions.diff(dim=0).norm(dim=1).sum())
    assert way == pytest.approx(7.0, rel=1e-4)
    keys = torch.tensor([key.frame - track.start for key in track.keys])
    assert torch.allclose(track.poses.T_world_cam[:, :3, 3], track.trajectory.positions[keys], atol=0.05)


def test_without_places_the_turning_is_left(walk: list[torch.Tensor]) -> None:
    def lost(rgb, valid, progress) -> PanoramaPoses:
        count = len(rgb)
        return PanoramaPoses(
            T_world_cam=torch.eye(4).repeat(count, 1, 1),
            registered=torch.zeros(count, dtype=torch.bool),
            warnings=("nothing matched",),
        )

    settings = dataclasses.replace(FAST, parallax=math.radians(1))
    track = track_frames(lambda: iter(walk[:8]), fps=12, settings=settings, solver=lost)
    assert not any(key.registered for key in track.keys)
    assert float(track.trajectory.positions.abs().max()) == 0
    assert any("no motion" in text for text in track.warnings)
    assert "nothing matched" in track.warnings
    assert bool(track.residual.isnan().all())


def test_memory_does_not_grow_with_the_video() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def source():
        nonlocal most
        for i in range(45):
            rgb = frame(se3_from(torch.eye(3), torch.tensor([0.0, 0.0, 0.001 * i])), 64)
            alive.append(weakref.ref(rgb))
            yield rgb
            if i % 15 == 14:
                gc.collect()
                most = max(most, sum(one() is not None for one in alive))

    small = TrackSettings(height=64, tracking_height=64, corners=60)
    track = track_frames(source, fps=30, settings=small, solver=lambda *_: pytest.fail("nothing to place"))
    assert len(track.trajectory) == 45
    assert any("hardly moves" in text for text in track.warnings)
    assert most <= 4


def test_video_file(tmp_path: Path, walk: list[torch.Tensor]) -> None:
    path = tmp_path / "walk.mp4"
    write_video(path, iter(walk[:10]), fps=10, crf=12)
    told: list[tuple[int, int]] = []
    track = track_video(
        path,
        settings=FAST,
        solver=known_places(WALK, walk),
        progress=lambda done, total: told.append((done, total)),
    )
    assert track.trajectory.fps == 10
    assert (track.start, track.stop) == (0, 10)
    degrees, _ = errors_of(track, WALK)
    assert float(degrees.median()) < 0.3
    assert told[-1][0] == told[-1][1]


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        track_video(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="at least two frames"):
        track_frames(lambda: iter([torch.zeros(3, 64, 128)]), fps=10)
    with pytest.raises(ConventionError, match=r"equirectangular video.*Export it as a full 360° video"):
        track_frames(lambda: iter([torch.zeros(3, 64, 100)] * 3), fps=10)
    for name, value in (("parallax", 0.0), ("max_keys", 1), ("height", 8), ("path_length", math.inf)):
        with pytest.raises(InputError, match=name):
            dataclasses.replace(FAST, **{name: value})


@pytest.mark.slow
def test_structure_from_motion_places_the_keys() -> None:
    """The real chain on ray-traced frames: a shaky walk through a street, key frames placed by pycolmap."""
    pytest.importorskip("pycolmap")
    from pantheon_core.synthetic import generate_scene, scene_path, trace

    scene = generate_scene(1_000_002, "street")
    truth = scene_path(scene, 0, 20, 12.0, share=(0.3, 0.5)).double()
    shake = shaky_walk(20, length=0.0, turn=3.0, sway=0.015)
    truth[:, :3, :3] = truth[:, :3, :3] @ shake[:, :3, :3]
    truth[:, :3, 3] += shake[:, :3, 3]
    video = [trace(scene, T.float(), 256, samples=2).rgb for T in truth]
    track = track_frames(lambda: iter(video), fps=12, settings=TrackSettings(height=256))
    assert all(key.registered for key in track.keys)
    first = track.keys[0].frame
    centred = (se3_inverse(truth[first]) @ truth)[track.start : track.stop, :3, 3]
    found = track.trajectory.positions.double()
    scale = float((found * centred).sum() / found.square().sum())
    way = float(centred.diff(dim=0).norm(dim=1).sum())
    degrees, _ = errors_of(track, truth)
    assert float(degrees.quantile(0.95)) < 0.5
    assert float((scale * found - centred).norm(dim=1).quantile(0.95)) < 0.02 * way


def test_the_verb_writes_what_was_found(
    tmp_path: Path,
    walk: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The places come from a function, as pycolmap is an extra; all else is the verb's own."""
    from pantheon_core.cache import load_ply
    from pantheon_core.cli import main
    from pantheon_core.recon.video_in import _keys
    from pantheon_core.trajectory import read_trajectory

    monkeypatch.setattr(_keys, "structure_from_motion", lambda numbers: known_places(WALK, walk))
    video, out = tmp_path / "walk.mp4", tmp_path / "out"
    write_video(video, iter(walk[:8]), fps=10, crf=12)
    files = ["--path-out", str(out / "path.json"), "--keys-out", str(out / "keys")]
    files += ["--points-out", str(out / "points.ply"), "--report", str(out / "report.json")]
    verb = ["track", str(video), "-q", "--height", str(H), "--parallax-deg", "1", *files]
    assert main(verb) == 0
    assert "8 of 8 frames placed" in capsys.readouterr().err
    assert len(read_trajectory(out / "path.json")) == 8
    assert len(load_ply(out / "points.ply").points) == 240
    report = json.loads((out / "report.json").read_text())
    keys = json.loads((out / "keys" / "keys.json").read_text())
    assert [one["image"] for one in keys["panoramas"]] == [
        f"{key['frame']:05d}.png" for key in report["keys"]
    ]
    assert all((out / "keys" / one["image"]).is_file() for one in keys["panoramas"])
    assert main(verb) == 2
    assert main(["track", str(tmp_path / "none.mp4")]) == 2
