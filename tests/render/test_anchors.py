"""Several anchors along a path: no popping, no ghosts, the same in any attitude; streams and stops."""

from __future__ import annotations

import math
import weakref

import pytest
import torch
from torch.nn import functional as F

from pantheon_core.cache import cache_from_erp, merge_caches
from pantheon_core.errors import InterruptedByUser
from pantheon_core.geometry import (
    erp_rays,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
    sample_erp,
)
from pantheon_core.render import _api, render, render_path

H = 64
FIRST, LAST = (-0.6, 0.0, -0.3), (0.6, 0.0, 0.3)


def anchor(room, position, *, gain=1.0, wobble=0.0, seed=0):
    """A panorama of the room with its own exposure and its own slow error of the distance."""
    rgb, t = room.view(H, position)
    low = torch.randn(1, 1, 8, 17, generator=torch.Generator().manual_seed(seed))
    low[..., -1] = low[..., 0]
    error = F.interpolate(low, (H, 2 * H), mode="bicubic", align_corners=True)[0, 0]
    everything = torch.ones_like(t, dtype=torch.bool)
    pose = room.moved(*position)
    return cache_from_erp((rgb * gain).clamp(0, 1), t * (1 + wobble * error), everything, T_world_cam=pose)


def along(room, frames):
    """(T, 4, 4) from the first anchor to the last."""
    return torch.stack(
        [
            room.moved(*(a + (b - a) * k / (frames - 1) for a, b in zip(FIRST, LAST, strict=True)))
            for k in range(frames)
        ]
    )


def followed(room, cache, poses):
    """((T, P) brightness of fixed points of the room in every frame, (T, P) seen there)."""
    _, t = room.view(H)
    points = (erp_rays(H) * t[..., None]).reshape(-1, 3)[::3]
    values, seen = [], []
    for pose, frame in zip(poses, render_path(cache, poses, H), strict=True):
        toward = points - pose[:3, 3]
        far = toward.norm(dim=-1)
        rays = (toward / far[:, None])[None]
        near = sample_erp(frame.distance[None], rays, mode="nearest", antialias=False)[0, 0]
        whole = sample_erp(frame.coverage[None].float(), rays, antialias=False)[0, 0] > 0.999
        values.append(sample_erp(frame.rgb, rays, antialias=False)[:, 0].mean(0))
        seen.append(whole & ((near / far - 1).abs() < 0.06))
    return torch.stack(values), torch.stack(seen)


def test_exposure_goes_over_from_anchor_to_anchor_without_popping(room):
    gain = 1.1
    both = merge_caches([anchor(room, FIRST), anchor(room, LAST, gain=gain)])
    values, seen = followed(room, both, along(room, 25))
    truth, _ = followed(room, anchor(room, FIRST), along(room, 25)[:1])
    always = seen.all(0)
    ratio = (values / truth)[:, always & (truth[0] > 0.2)].median(-1).values
    assert ratio[0] == pytest.approx(1.0, abs=0.01)
    assert ratio[12] == pytest.approx((1 + gain) / 2, abs=0.015)
    assert ratio[-1] == pytest.approx(gain, abs=0.01)
    assert (ratio.diff() > -1e-3).all()
    assert ratio.diff().max() < 0.012  # a tenth over 24 steps, and no step of it at once


def test_surfaces_that_disagree_fade_and_do_not_flicker(room):
    caches = [anchor(room, FIRST, wobble=0.02, seed=1), anchor(room, LAST, gain=1.1, wobble=0.02, seed=2)]
    values, seen = followed(room, merge_caches(caches), along(room, 49))
    bend = (values[2:] - 2 * values[1:-1] + values[:-2]).abs()
    jumps = bend[seen[2:] & seen[1:-1] & seen[:-2]]
    assert jumps.quantile(0.99) < 0.012
    assert jumps.mean() < 0.0015


def test_between_the_anchors_nothing_is_seen_twice(room):
    """Half way, blended frames are as true as the better anchor alone wherever both see the surface."""
    middle = (0.0, 0.0, 0.0)
    truth, _ = room.view(H, middle)
    singles = [anchor(room, FIRST), anchor(room, LAST)]
    alone = [render(cache, room.moved(*middle), H) for cache in singles]
    frame = render(merge_caches(singles), room.moved(*middle), H)
    both = alone[0].coverage & alone[1].coverage
    error = [(f.rgb - truth)[:, both].square().mean() for f in (*alone, frame)]
    assert error[2] <= 1.05 * max(error[:2])
    assert error[2] < 10 ** (-3.2)


@pytest.mark.parametrize(
    ("pixels", "pitch"), [(1, 0.0), (64, 0.0), (0, math.pi / 2), (31, -math.pi / 2), (100, 0.7)]
)
def test_a_turned_camera_sees_the_same_turned(room, backend, pixels, pitch):
    """Looking anywhere, over seam and poles: the same scene as looking ahead, direction by direction."""
    both = merge_caches([anchor(room, FIRST), anchor(room, LAST)])
    ahead, turned = room.moved(0.2, 0.1, -0.1), room.moved(0.2, 0.1, -0.1)
    rotation = rotation_from_yaw_pitch_roll(torch.tensor(pixels * math.pi / H), pitch)
    turned[:3, :3] = rotation
    plain, other = render(both, ahead, H, backend=backend), render(both, turned, H, backend=backend)
    rays = rotate_vectors(rotation[None, None], erp_rays(H))
    inverse = torch.where(plain.coverage, 1 / plain.distance.clamp_min(1e-6), 0.0)
    expected = 1 / sample_erp(inverse[None], rays, antialias=False)[0].clamp_min(1e-6)
    covered = sample_erp(plain.coverage[None].float(), rays, antialias=False)[0]
    clear = (covered > 0.999) & other.coverage
    assert clear.float().mean() > 0.9
    assert ((other.distance / expected - 1).abs() < 0.03)[clear].float().mean() > 0.97
    if pitch == 0.0:
        assert torch.equal(other.coverage, plain.coverage.roll(-pixels, -1))
        assert (other.rgb - plain.rgb.roll(-pixels, -1)).abs().mean() < 1e-3
    else:
        color = sample_erp(plain.rgb, rays, antialias=False)
        assert (other.rgb - color)[:, clear].abs().mean() < 0.01


@pytest.mark.parametrize(
    ("backend", "workers", "frames"), [("torch", 1, 60), ("warp", 1, 300), ("warp", 3, 300)]
)
def test_a_stream_keeps_no_frame(room, backend, workers, frames):
    if backend == "warp":
        pytest.importorskip("warp")
    poses = torch.eye(4).repeat(frames, 1, 1)
    alive: weakref.WeakSet = weakref.WeakSet()
    most = 0
    for frame in render_path(room.cache(8), poses, 8, backend=backend, workers=workers):
        alive.add(frame.rgb)
        most = max(most, len(alive))
        del frame
    assert most <= 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_comes_within_a_frame(room, monkeypatch, workers):
    pytest.importorskip("warp")
    drawn = []

    class Counted(_api.WarpRenderer):
        def __call__(self, T_world_cam):
            drawn.append(1)
            return super().__call__(T_world_cam)

    def stop(index, total):
        raise InterruptedByUser("stop")

    monkeypatch.setattr(_api, "WarpRenderer", Counted)
    poses = torch.eye(4).repeat(100, 1, 1)
    with pytest.raises(InterruptedByUser):
        next(render_path(room.cache(16), poses, 16, backend="warp", workers=workers, progress=stop))
    assert len(drawn) <= workers
