from __future__ import annotations

import math

import pytest
import torch

from pantheon_core.cache import CacheSettings, cache_from_erp
from pantheon_core.errors import ConventionError, InputError, ShapeError
from pantheon_core.geometry import erp_rays, rotation_from_yaw_pitch_roll

H = 32
W = 2 * H


def everything():
    return torch.ones(H, W, dtype=torch.bool)


def floor_and_ceiling(height=1.5):
    """Distances to two endless planes, cut at 60 m."""
    return (height / erp_rays(H)[..., 1].abs()).clamp_max(60.0)


def sphere(radius=2.0):
    return torch.full((H, W), radius)


def test_every_pixel_and_both_poles_become_one_closed_surface():
    rgb = torch.rand(3, H, W)
    cache = cache_from_erp(rgb, sphere(), everything())
    assert cache.points.shape == (H * W + 2, 3)
    assert cache.triangles.shape == ((H - 1) * W * 2 + 2 * W, 3)
    assert not cache.edge.any()
    sides = torch.cat([cache.triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]).sort(-1).values
    assert (sides.unique(dim=0, return_counts=True)[1] == 2).all()
    assert torch.allclose(cache.points[: H * W].view(H, W, 3), 2 * erp_rays(H), atol=1e-6)
    assert torch.equal(cache.colors[: H * W].view(H, W, 3).permute(2, 0, 1), (rgb * 255).round().byte())


def test_the_pole_of_a_plane_lies_in_it():
    cache = cache_from_erp(torch.rand(3, H, W), floor_and_ceiling(), everything())
    assert torch.allclose(cache.points[-2:], torch.tensor([[0.0, -1.5, 0], [0.0, 1.5, 0]]), atol=1e-5)


def test_pixels_that_are_not_sure_or_not_valid_give_no_point():
    valid, sky = everything(), ~everything()
    valid[3, 4] = False
    sky[5] = True
    confidence = torch.ones(H, W)
    confidence[10, 10] = 0.2
    distance = sphere()
    distance[3, 4] = float("nan")
    cache = cache_from_erp(torch.rand(3, H, W), distance, valid, confidence=confidence, sky=sky)
    assert len(cache.points) == H * W + 2 - W - 2
    assert cache.points.isfinite().all()
    assert int(cache.triangles.max()) < len(cache.points)
    assert (cache.confidence >= 0.25).all()


def test_a_slanted_floor_is_no_depth_edge_and_a_step_is():
    distance = floor_and_ceiling()
    assert not cache_from_erp(torch.rand(3, H, W), distance, everything()).edge.float().mean() > 0.04
    wide = cache_from_erp(
        torch.rand(3, H, W), distance, everything(), settings=CacheSettings(edge_rule="range")
    )
    assert wide.edge.float().mean() > 0.3
    stepped = sphere()
    stepped[10:20, 10:20] = 1.0
    cache = cache_from_erp(torch.rand(3, H, W), stepped, everything())
    spans = cache.points[cache.triangles.long()].norm(dim=-1)
    crosses = spans.amax(-1) - spans.amin(-1) > 0.5
    assert crosses.any()
    assert torch.equal(cache.edge, crosses)


def test_the_camera_places_points_and_sky():
    pose = torch.eye(4)
    pose[:3, :3] = rotation_from_yaw_pitch_roll(*(torch.tensor(a) for a in (math.pi / H * 5, 0.0, 0.0)))
    pose[:3, 3] = torch.tensor([5.0, 6.0, 7.0])
    rgb, sky = torch.rand(3, H, W), ~everything()
    sky[: H // 2, 20:40] = True
    cache = cache_from_erp(rgb, sphere(), everything(), sky=sky, T_world_cam=pose)
    far = (cache.points - torch.tensor([5.0, 6.0, 7.0])).norm(dim=-1)
    assert torch.allclose(far[:-2], torch.tensor(2.0), atol=1e-4)
    assert torch.allclose(far, torch.tensor(2.0), atol=5e-3)
    assert torch.equal(cache.sky.mask, sky.roll(5, -1))
    assert torch.allclose(cache.sky.rgb[:, cache.sky.mask], rgb.roll(5, -1)[:, cache.sky.mask], atol=1e-3)
    assert torch.equal(cache.T_world_anchor[0], pose)


def test_the_sky_goes_on_smoothly_behind_what_stood_before_it():
    rgb = torch.zeros(3, H, W)
    rgb[2] = 0.8
    sky = ~everything()
    sky[: H // 2] = True
    sky[4:8, 10:20] = False
    rgb[:, ~sky] = 0.1
    cache = cache_from_erp(rgb, sphere(), everything(), sky=sky)
    assert (cache.sky.rgb[2] - 0.8).abs().max() < 1e-5
    assert cache_from_erp(rgb, sphere(), everything()).sky is None


def test_wrong_arguments_are_refused():
    rgb, d, ok = torch.rand(3, H, W), sphere(), everything()
    with pytest.raises(ConventionError, match="twice as wide"):
        cache_from_erp(rgb[..., :-1], d, ok)
    with pytest.raises(ShapeError, match="distance"):
        cache_from_erp(rgb, d[:-1], ok[:-1])
    with pytest.raises(InputError, match="mark them as not valid"):
        cache_from_erp(rgb, d * 0, ok)
    with pytest.raises(InputError, match="edge_rtol"):
        CacheSettings(edge_rtol=-0.1)
    with pytest.raises(InputError, match="edge_rule"):
        CacheSettings(edge_rule="other")
    with pytest.raises(ConventionError):
        cache_from_erp(rgb, d, ok, T_world_cam=torch.eye(4) * 2)
