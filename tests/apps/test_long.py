from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pantheon_core.apps import Anchor
from pantheon_core.apps.long import LongSettings, generate_long, plan_windows
from pantheon_core.cache import PointCache, cache_from_erp, merge_caches
from pantheon_core.diffusion import ModelConfig, PantheonModel, SamplerSettings, build_tiny
from pantheon_core.errors import InputError, InterruptedByUser, MediaError
from pantheon_core.synthetic import generate_scene, trace
from pantheon_core.trajectory import Trajectory

HEIGHT = 64
QUICK = SamplerSettings(steps=1, sigma_max=20.0, guidance_max=1.0)
SETTINGS = LongSettings(height=HEIGHT, window=4, overlap=2, sampler=QUICK)


def straight(frames: int, length: float = 0.6) -> Trajectory:
    poses = torch.eye(4).repeat(frames, 1, 1)
    poses[:, 2, 3] = torch.linspace(0, length, frames)
    return Trajectory(T_world_cam=poses, fps=7.0)


def tiny(**config: object) -> PantheonModel:
    torch.manual_seed(0)
    values = {"name": "random", "frames": 4, "height": HEIGHT, "keep_scaffold": 1.0, **config}
    return build_tiny(
        ModelConfig(**values), unet_channels=(32, 32), vae_channels=(32, 32, 32, 32), token_dim=32
    )


@pytest.fixture(scope="module")
def model() -> PantheonModel:
    return tiny()


@pytest.fixture(scope="module")
def scene() -> tuple[PointCache, list[Anchor]]:
    """A room with panoramas at the ends of `straight`."""
    room = generate_scene(11, "room")
    caches, anchors = [], []
    for pose in straight(2).T_world_cam:
        seen = trace(room, pose, HEIGHT)
        caches.append(cache_from_erp(seen.rgb, seen.distance, seen.valid, sky=seen.sky, T_world_cam=pose))
        anchors.append(Anchor(rgb=seen.rgb, valid=torch.ones_like(seen.valid), T_world_cam=pose))
    return merge_caches(caches), anchors


@given(
    st.integers(1, 200),
    st.integers(2, 30),
    st.integers(1, 29),
    st.lists(st.integers(0, 199), max_size=4),
)
def test_windows_hold_every_frame_once(frames: int, size: int, overlap: int, stops: list[int]) -> None:
    overlap = min(overlap, size - 1)
    windows = plan_windows(frames, size, overlap, stops)
    kept = [range(w.start, w.keep) for w in windows]
    # What a window keeps begins where the one before stopped keeping.
    assert [i for part in kept for i in part] == list(range(frames))
    assert all(1 <= w.stop - w.start <= size for w in windows)
    assert windows[0].chained is False
    for before, after in pairwise(windows):
        assert after.start == (before.stop - overlap if after.chained else before.stop - 1)
        assert after.chained != (before.stop - 1 in stops and before.ends_on_anchor)
    assert windows[-1].ends_on_anchor == (frames - 1 in stops)


def test_previews_say_of_which_window_they_are(
    model: PantheonModel, scene: tuple[PointCache, list[Anchor]], tmp_path: Path
) -> None:
    cache, anchors = scene
    seen: list[tuple[int, ...]] = []
    generate_long(
        model,
        cache,
        straight(6, length=0.3),
        anchors,
        tmp_path,
        settings=replace(SETTINGS, sampler=replace(QUICK, steps=2)),
        preview=lambda window, windows, step, frames: seen.append((window, windows, step, *frames.shape)),
    )
    windows = len(plan_windows(6, 4, 2))
    assert windows == 2
    size = (4, 3, HEIGHT // 8, HEIGHT // 4)
    assert seen == [(window, windows, step, *size) for window in (1, 2) for step in (1, 2)]


def test_windows_without_new_frames_are_refused() -> None:
    with pytest.raises(InputError, match="must bring new frames"):
        plan_windows(20, 4, 4)


def test_a_long_video_stopped_and_resumed_is_the_same(
    model: PantheonModel, scene: tuple[PointCache, list[Anchor]], tmp_path: Path
) -> None:
    cache, anchors = scene
    path = straight(10, length=0.5)
    whole = generate_long(model, cache, path, anchors, tmp_path / "whole", settings=SETTINGS)
    frames = list(whole.frames())
    assert [f.shape for f in frames] == [(HEIGHT, 2 * HEIGHT, 3)] * 10
    assert whole.coverage.shape == (10,)

    reports: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        reports.append((done, total))
        if done > 0.6 * total:
            raise InterruptedByUser("stopped")

    folder = tmp_path / "parts"
    with pytest.raises(InterruptedByUser):
        generate_long(model, cache, path, anchors, folder, settings=SETTINGS, progress=stop)
    assert reports[0] == (0, 4000)
    finished = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert len(finished) == 2
    # A damaged file is made again, with what follows.
    damaged = folder / "window_00001.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    again = generate_long(model, cache, path, anchors, folder, settings=SETTINGS)
    assert all((a == b).all() for a, b in zip(again.frames(), frames, strict=True))
    assert (folder / "manifest.json").read_bytes() == (tmp_path / "whole" / "manifest.json").read_bytes()

    with pytest.raises(InputError, match="another run"):
        generate_long(model, cache, path, anchors, folder, settings=replace(SETTINGS, overlap=1))
    damaged.unlink()
    with pytest.raises(MediaError, match="cannot be read"):
        again.store.read(1)
    again.store.remove()
    assert not folder.exists()


def test_true_panoramas_stand_where_the_path_meets_them(
    model: PantheonModel, scene: tuple[PointCache, list[Anchor]], tmp_path: Path
) -> None:
    """Anchors inside the path, the second one in its middle: start, middle and no jump in the plan."""
    cache, anchors = scene
    poses = straight(9, length=1.2).T_world_cam
    path = Trajectory(T_world_cam=poses, fps=7.0)
    made = generate_long(model, cache, path, anchors, tmp_path / "a", settings=SETTINGS)
    starts = [(w.start, w.stop, w.chained, w.ends_on_anchor) for w in made.store.windows]
    assert starts == [(0, 4, False, False), (2, 5, True, True), (4, 8, False, False), (6, 9, True, False)]
    frames = list(made.frames())
    for index, anchor in ((0, anchors[0]), (4, anchors[1])):
        shown = torch.from_numpy(frames[index]).permute(2, 0, 1) / 255
        assert float((shown - anchor.rgb).abs().max()) < 0.01


def test_a_window_goes_on_from_the_one_before(
    model: PantheonModel, scene: tuple[PointCache, list[Anchor]], tmp_path: Path
) -> None:
    """With the network's own pictures alone, a chained border is as smooth as the inside of a window."""
    cache, anchors = scene
    path = straight(7, length=0.01)
    settings = replace(SETTINGS, sampler=replace(QUICK, keep_scaffold=0.0))
    chained = generate_long(model, cache, path, anchors, tmp_path / "a", settings=settings)
    frames = torch.stack([torch.from_numpy(f) for f in chained.frames()]).float()
    steps = frames.diff(dim=0).abs().mean((1, 2, 3))
    assert float(steps[1]) < 3 * float(steps[0])


def test_the_dual_model_says_what_it_needs(scene: tuple[PointCache, list[Anchor]], tmp_path: Path) -> None:
    cache, anchors = scene
    with pytest.raises(InputError, match="panorama at either end"):
        generate_long(
            tiny(variant="dual"), cache, straight(9, 1.2), anchors, tmp_path / "a", settings=SETTINGS
        )
    other = tmp_path / "full"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        generate_long(tiny(), cache, straight(9), anchors, other, settings=SETTINGS)


def test_a_run_killed_before_its_first_manifest_is_started_anew(
    model: PantheonModel, scene: tuple[PointCache, list[Anchor]], tmp_path: Path
) -> None:
    cache, anchors = scene
    call = (model, cache, straight(4), anchors)
    whole = generate_long(*call, tmp_path / "whole", settings=SETTINGS).store
    folder = tmp_path / "killed"
    folder.mkdir()
    (folder / "window_00000.safetensors").write_bytes(b"of a run that had no time for its manifest")
    (folder / ".manifest-abc.json").write_bytes(b"{")
    store = generate_long(*call, folder, settings=SETTINGS).store
    assert store.read(0).frames.equal(whole.read(0).frames)
    assert not list(folder.glob(".manifest-*"))
