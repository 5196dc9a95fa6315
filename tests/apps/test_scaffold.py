from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pantheon_core.apps import Anchor, contact_sheet, render_scaffold, save_png
from pantheon_core.cache import CacheSettings, PointCache, cache_from_erp, merge_caches
from pantheon_core.errors import InputError, ShapeError
from pantheon_core.geometry import rotation_from_yaw_pitch_roll, se3_from
from pantheon_core.synthetic import generate_scene, trace
from pantheon_core.trajectory import Trajectory, interpolate, preset_path

HEIGHT = 32


def _anchor(T_world_cam: Tensor) -> tuple[Anchor, PointCache]:
    frame = trace(generate_scene(7, "room"), T_world_cam, HEIGHT)
    cache = cache_from_erp(
        frame.rgb,
        frame.distance,
        frame.valid,
        sky=frame.sky,
        T_world_cam=T_world_cam,
        settings=CacheSettings(),
    )
    return Anchor(rgb=frame.rgb, valid=torch.ones_like(frame.valid), T_world_cam=T_world_cam), cache


@pytest.fixture(scope="module")
def start() -> tuple[Anchor, PointCache]:
    return _anchor(torch.eye(4))


def _straight(distance: float, frames: int = 3) -> Trajectory:
    return interpolate(preset_path("forward", frames=frames, fps=7, distance=distance))


def test_first_frame_is_the_photograph_and_later_ones_have_holes(start: tuple[Anchor, PointCache]) -> None:
    anchor, cache = start
    scaffold = render_scaffold(cache, _straight(0.3), [anchor], height=HEIGHT)
    assert torch.equal(scaffold.rgb[0], anchor.rgb)
    assert scaffold.coverage[0].all()
    assert len(scaffold.anchors) == 1
    assert not scaffold.coverage[2].all()
    assert (scaffold.rgb[2][:, ~scaffold.coverage[2]] == 0).all()
    assert (scaffold.rgb[2] - scaffold.rgb[0]).abs().mean() > 0.01


def test_the_photograph_turns_with_the_first_camera(start: tuple[Anchor, PointCache]) -> None:
    anchor, cache = start
    turned = torch.eye(4)
    turned[:3, :3] = rotation_from_yaw_pitch_roll(
        torch.tensor(math.pi / 2), torch.tensor(0.0), torch.tensor(0.0)
    )
    scaffold = render_scaffold(cache, Trajectory(T_world_cam=turned[None], fps=7.0), [anchor], height=HEIGHT)
    assert torch.allclose(scaffold.rgb[0], anchor.rgb.roll(-HEIGHT // 2, dims=-1), atol=1e-5)


def test_two_anchors_are_in_the_first_and_last_frame(start: tuple[Anchor, PointCache]) -> None:
    there = se3_from(torch.eye(3), torch.tensor([0.0, 0.0, 0.3]))
    second, cache = _anchor(there)
    both = merge_caches([start[1], cache])
    scaffold = render_scaffold(both, _straight(0.3, frames=4), [start[0], second], height=HEIGHT)
    assert len(scaffold.anchors) == 2
    assert torch.equal(scaffold.rgb[-1], second.rgb)
    assert torch.equal(scaffold.rgb[0], start[0].rgb)


def test_a_path_beside_every_anchor_keeps_its_rendered_first_frame(
    start: tuple[Anchor, PointCache], caplog: pytest.LogCaptureFixture
) -> None:
    anchor, cache = start
    beside = se3_from(torch.eye(3), torch.tensor([0.2, 0.0, 0.0]))
    scaffold = render_scaffold(cache, Trajectory(T_world_cam=beside[None], fps=7.0), [anchor], height=HEIGHT)
    assert "no anchor" in caplog.text
    assert not torch.equal(scaffold.rgb[0], anchor.rgb)


def test_bad_input(start: tuple[Anchor, PointCache]) -> None:
    with pytest.raises(InputError, match="at least one panorama"):
        render_scaffold(start[1], _straight(0.1), [], height=HEIGHT)
    with pytest.raises(InputError, match="positive number of pixels"):
        render_scaffold(start[1], _straight(0.1), [start[0]], height=0)


def test_contact_sheet_shows_the_frames_and_keeps_a_file_when_writing_fails(tmp_path: Path) -> None:
    video = torch.rand(5, 3, 16, 32)
    sheet = contact_sheet({"scaffold": video, "video": video}, columns=3, height=16)
    assert sheet.shape == (3, 2 * (16 + 18 + 4) + 4, 3 * (32 + 4) + 4)
    assert torch.allclose(sheet[:, 22:38, 4:36], video[0], atol=1 / 255)
    with pytest.raises(InputError, match="same length"):
        contact_sheet({"a": video, "b": video[:2]})
    path = tmp_path / "sheet.png"
    save_png(sheet, path)
    before = path.read_bytes()
    with pytest.raises(ShapeError):
        save_png(sheet[None], path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_a_masked_photograph_leaves_what_others_saw(start: tuple[Anchor, PointCache]) -> None:
    """The scene shows through where the photograph is masked; without a scene there it is a hole."""
    anchor, cache = start
    upper = HEIGHT // 2
    valid = torch.ones_like(anchor.valid)
    valid[:upper] = False
    photo = Anchor(rgb=torch.full_like(anchor.rgb, 0.25), valid=valid, T_world_cam=anchor.T_world_cam)
    made = render_scaffold(cache, _straight(0.3), [photo], height=HEIGHT)
    assert (made.rgb[0][:, upper:] == 0.25).all()
    assert (made.rgb[0] - anchor.rgb)[:, :upper].abs().mean() < 0.01  # rendered, not the photograph
    assert made.coverage[0].all()
    below = dataclasses.replace(
        cache,
        triangles=None,
        edge=None,
        sky=None,
        points=cache.points.clone().index_fill_(1, torch.tensor(1), 2.0),
    )
    alone = render_scaffold(below, _straight(0.3), [photo], height=HEIGHT)
    assert not alone.coverage[0][: upper - 2].any()
