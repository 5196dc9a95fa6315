from __future__ import annotations

import math

import pytest
import torch

from pantheon_core.cache import PointCache, SkyLayer, cache_from_erp, merge_caches
from pantheon_core.errors import BackendUnavailableError, ConventionError, InputError, InterruptedByUser
from pantheon_core.geometry import erp_rays, rotation_from_yaw_pitch_roll
from pantheon_core.render import render, render_path

H = 64


def turned(yaw=0.0, pitch=0.0, roll=0.0):
    pose = torch.eye(4)
    angles = (torch.tensor(float(a)) for a in (yaw, pitch, roll))
    pose[:3, :3] = rotation_from_yaw_pitch_roll(*angles)
    return pose


def dense_scene(room, height=H):
    """No depth edges, so that every pixel is surface."""
    rgb, t = room.view(height)
    smooth = torch.full_like(t, 2.0) + 0.2 * torch.sin(erp_rays(height)[..., 0] * 2)
    return rgb, smooth, cache_from_erp(rgb, smooth, torch.ones_like(t, dtype=torch.bool))


def test_the_source_view_comes_back(room, backend):
    rgb, t, cache = dense_scene(room)
    frame = render(cache, torch.eye(4), H, backend=backend)
    assert frame.coverage.all()
    assert (frame.rgb - rgb).abs().max() < 0.5 / 255 + 2e-3
    assert torch.allclose(frame.distance, t, rtol=1e-3)
    assert (frame.anchor == 0).all()


def test_the_source_view_comes_back_over_depth_edges(room, backend):
    rgb, t = room.view(H)
    frame = render(room.cache(H), torch.eye(4), H, backend=backend)
    assert frame.coverage.all()
    # Silhouettes are drawn softer than this source, which has one ray in each pixel.
    assert ((frame.rgb - rgb).abs() < 0.02).float().mean() > 0.99
    assert ((frame.distance / t - 1).abs() < 0.01).float().mean() > 0.995


@pytest.mark.parametrize("pixels", [1, 17, 64])
def test_turning_by_pixels_rolls_the_frame(room, backend, pixels):
    rgb, _, cache = dense_scene(room)
    frame = render(cache, turned(yaw=pixels * math.pi / H), H, backend=backend)
    assert frame.coverage.all()
    assert (frame.rgb - rgb.roll(-pixels, -1)).abs().max() < 0.01


def test_seam_and_poles_have_no_holes_in_any_attitude(room, backend):
    _, _, cache = dense_scene(room)
    poses = [
        turned(0.3, 0.2, 0.1),
        turned(2.5, -1.2, 0.7),
        turned(0.0, math.pi / 2, 0.0),
        turned(0.0, 0.0, 3.0),
    ]
    for pose in poses:
        pose[:3, 3] = torch.tensor([0.21, -0.17, 0.4])
        assert render(cache, pose, H, backend=backend).coverage.all()


def test_a_moved_camera_sees_the_room_as_it_is(room, backend):
    position = (0.4, 0.1, 0.3)
    truth, far = room.view(2 * H, position)
    frame = render(room.cache(2 * H), room.moved(*position), 2 * H, backend=backend)
    seen = room.seen_from(position, 2 * H)
    both = frame.coverage & seen
    assert both.sum() >= 0.99 * seen.sum()
    assert (frame.rgb - truth)[:, both].square().mean() < 10 ** (-3.6)
    assert ((frame.distance / far - 1).abs() < 0.02)[both].float().mean() > 0.998
    assert (frame.coverage & ~seen).float().mean() < 1.5e-3


def test_holes_are_black_and_have_no_distance(room, backend):
    frame = render(room.cache(H), room.moved(0.9, 0.1, 0.3), H, backend=backend)
    hole = ~frame.coverage
    assert hole.any()
    assert frame.rgb[:, hole].abs().max() == 0
    assert frame.distance[hole].abs().max() == 0
    assert (frame.anchor[hole] == -1).all()
    assert (frame.anchor[frame.coverage] == 0).all()


@pytest.mark.parametrize("attitude", [(0.0, 0.0, 0.0), (2.0, 0.9, -0.4)])
def test_torch_and_warp_agree(room, attitude):
    pytest.importorskip("warp")
    rgb, t = room.view(96)
    sky = erp_rays(96)[..., 1] < -0.8
    valid = torch.rand(t.shape) > 0.02
    cache = cache_from_erp(rgb, t, valid & ~sky, sky=sky)
    pose = turned(*attitude)
    pose[:3, 3] = torch.tensor([0.3, -0.2, 0.5])
    a, b = (render(cache, pose, 96, backend=name) for name in ("torch", "warp"))
    assert (a.coverage != b.coverage).float().mean() <= 1e-4
    same = (a.coverage == b.coverage) & ((a.distance - b.distance).abs() < 1e-3 * (1 + a.distance))
    assert same.float().mean() > 1 - 2e-4
    assert (a.rgb - b.rgb)[:, same].abs().max() < 1e-3
    assert (a.rgb - b.rgb)[:, same].abs().mean() < 1e-5
    assert (a.anchor[same] == b.anchor[same]).all()


def test_bare_points_are_round_at_every_latitude(backend):
    lat = torch.tensor([0.0, 0.7, 1.3, 1.52])
    points = torch.stack((torch.zeros(4), -lat.sin(), lat.cos()), -1) * 3
    for point in points:
        cache = PointCache(
            points=point[None],
            colors=torch.full((1, 3), 255, dtype=torch.uint8),
            confidence=torch.ones(1),
            anchor=torch.zeros(1, dtype=torch.int16),
            T_world_anchor=torch.eye(4)[None],
        )
        frame = render(cache, torch.eye(4), H, backend=backend)
        off = torch.linalg.vector_norm(erp_rays(H) - point / 3, dim=-1)
        radius = 2 * math.sin(0.65 * math.pi / H)
        assert frame.coverage[off < 0.99 * radius].all()
        assert not frame.coverage[off > 1.01 * radius].any()
        assert torch.allclose(frame.distance[frame.coverage], torch.tensor(3.0))


def test_the_sky_turns_and_never_moves(room, backend):
    rgb, t = room.view(H)
    everything = torch.ones_like(t, dtype=torch.bool)
    cache = cache_from_erp(rgb, t, ~everything, sky=everything)
    away = turned(yaw=10 * math.pi / H)
    away[:3, 3] = torch.tensor([100.0, -3.0, 7.0])
    frame = render(cache, away, H, backend=backend)
    assert frame.coverage.all()
    assert (frame.rgb - rgb.roll(-10, -1)).abs().max() < 1e-3
    assert (frame.distance == 0).all()
    assert (frame.anchor == -1).all()


def test_directions_without_sky_stay_holes(room, backend):
    rgb, t = room.view(H)
    sky = erp_rays(H)[..., 1] < 0
    cache = cache_from_erp(rgb, t, torch.zeros_like(sky), sky=sky)
    frame = render(cache, torch.eye(4), H, backend=backend)
    assert torch.equal(frame.coverage, sky)


def test_frames_do_not_depend_on_the_workers(room):
    pytest.importorskip("warp")
    cache = room.cache(48)
    poses = torch.stack([room.moved(0.1 * k, 0.0, 0.05 * k) for k in range(7)])
    alone = list(render_path(cache, poses, 48, backend="warp", workers=1))
    for many in (2, 5):
        together = list(render_path(cache, poses, 48, backend="warp", workers=many))
        assert len(together) == 7
        for a, b in zip(alone, together, strict=True):
            assert torch.equal(a.rgb, b.rgb)
            assert torch.equal(a.distance, b.distance)
            assert torch.equal(a.coverage, b.coverage)
            assert torch.equal(a.anchor, b.anchor)


def test_a_path_is_a_stream_that_can_be_stopped(room, backend):
    poses = torch.eye(4).repeat(50, 1, 1)
    done = []

    def progress(index, total):
        assert total == 50
        done.append(index)
        if index == 3:
            raise InterruptedByUser("stop")

    frames = render_path(room.cache(16), poses, 16, backend=backend, progress=progress)
    assert next(frames).rgb.shape == (3, 16, 32)
    with pytest.raises(InterruptedByUser):
        list(frames)
    assert done == [1, 2, 3]


def test_a_second_anchor_fills_what_the_first_hides(room, backend):
    rgb, t = room.view(H)
    everything = torch.ones_like(t, dtype=torch.bool)
    first = cache_from_erp(rgb, t, everything)
    there = (1.0, 0.0, -0.5)
    rgb2, t2 = room.view(H, there)
    second = cache_from_erp(rgb2, t2, everything, T_world_cam=room.moved(*there))
    both = merge_caches([first, second])
    half = room.moved(0.5, 0.0, -0.25)
    truth, far = room.view(H, (0.5, 0.0, -0.25))
    holes = [int((~render(c, half, H, backend=backend).coverage).sum()) for c in (first, both)]
    assert holes[1] < holes[0]
    frame = render(both, half, H, backend=backend)
    assert (frame.rgb - truth)[:, frame.coverage].square().mean() < 10 ** (-3.0)
    assert ((frame.distance / far - 1).abs() < 0.03)[frame.coverage].float().mean() > 0.99
    assert set(frame.anchor.unique().tolist()) <= {-1, 0, 1}
    at_second = render(both, room.moved(*there), H, backend=backend)
    assert ((at_second.rgb - rgb2).abs() < 0.02).float().mean() > 0.99


def test_two_anchors_agree_between_backends(room):
    pytest.importorskip("warp")
    rgb, t = room.view(48)
    everything = torch.ones_like(t, dtype=torch.bool)
    there = (0.8, 0.1, -0.5)
    rgb2, t2 = room.view(48, there)
    both = merge_caches(
        [
            cache_from_erp(rgb, t, everything),
            cache_from_erp(rgb2, t2, everything, T_world_cam=room.moved(*there)),
        ]
    )
    a, b = (render(both, room.moved(0.3, 0.0, 0.1), 48, backend=name) for name in ("torch", "warp"))
    assert (a.coverage != b.coverage).float().mean() <= 2e-4
    assert (a.rgb - b.rgb).abs().mean() < 1e-4


def test_an_empty_cache_says_what_to_do(room, backend):
    rgb, t = room.view(8)
    nothing = cache_from_erp(rgb, t, torch.zeros_like(t, dtype=torch.bool))
    with pytest.raises(InputError, match="confidence threshold"):
        render(nothing, torch.eye(4), 8, backend=backend)


def test_wrong_arguments_are_refused(room):
    cache = room.cache(8)
    with pytest.raises(InputError, match="backend"):
        render(cache, torch.eye(4), 8, backend="numba")
    with pytest.raises(InputError, match="height"):
        render(cache, torch.eye(4), 1)
    with pytest.raises(ConventionError):
        render(cache, 2 * torch.eye(4), 8)
    with pytest.raises(InputError, match="finite"):
        render(cache, torch.full((4, 4), float("nan")), 8)
    with pytest.raises(InputError, match="workers"):
        render_path(cache, torch.eye(4)[None], 8, workers=0)


def test_without_warp_the_choice_is_torch_or_a_clear_error(room, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "warp", None)
    cache = room.cache(8)
    assert render(cache, torch.eye(4), 8).coverage.any()
    with pytest.raises(BackendUnavailableError, match=r"pip install .*warp-lang"):
        render(cache, torch.eye(4), 8, backend="warp")


def test_sky_of_another_size_is_sampled(room, backend):
    rgb, _ = room.view(16)
    sky = SkyLayer(rgb=rgb, mask=torch.ones(16, 32, dtype=torch.bool))
    cache = PointCache(
        points=torch.zeros(0, 3),
        colors=torch.zeros(0, 3, dtype=torch.uint8),
        confidence=torch.zeros(0),
        anchor=torch.zeros(0, dtype=torch.int16),
        T_world_anchor=torch.eye(4)[None],
        sky=sky,
    )
    frame = render(cache, torch.eye(4), H, backend=backend)
    assert frame.coverage.all()
    fine, _ = room.view(H)
    assert (frame.rgb - fine).abs().mean() < 0.05
