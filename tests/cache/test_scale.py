from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from pantheon_core.cache import cache_from_erp, merge_caches
from pantheon_core.cache.cleaning import scale_by_camera_height, scale_by_distance, scale_cache
from pantheon_core.errors import InputError, ShapeError
from pantheon_core.geometry import erp_rays

H = 64
ALL = torch.ones(H, 2 * H, dtype=torch.bool)
RGB = torch.full((3, H, 2 * H), 0.5)


def room(floor=1.3, *, tilt=0.0):
    """A box of 5 x 2.4 x 6 units, the camera `floor` above its floor, which may slope along x."""
    rays = erp_rays(H)
    walls = torch.tensor([2.5, 1.1, 3.0])
    distance = (walls / rays.abs().clamp_min(1e-9)).amin(-1)
    ground = floor / (rays[..., 1] - math.tan(tilt) * rays[..., 0]).clamp_min(1e-9)
    below = torch.minimum((walls / rays.abs().clamp_min(1e-9))[..., [0, 2]].amin(-1), ground)
    return torch.where(rays[..., 1] > 0, below, distance)


def test_the_camera_height_scales_everything():
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([1.0, 0.2, 3.0])
    first = cache_from_erp(RGB, room(), ALL, metric=False)
    both = merge_caches([first, cache_from_erp(RGB, room(), ALL, metric=False, T_world_cam=pose)])
    scaled, report = scale_by_camera_height(both, 1.6)
    assert report.measured == pytest.approx(1.3, rel=0.01)
    assert report.factor == pytest.approx(1.6 / 1.3, rel=0.01)
    assert report.certainty > 0.6
    assert "This is sure" in report.text
    assert scaled.metric
    assert torch.allclose(scaled.points, both.points * report.factor)
    assert torch.allclose(scaled.T_world_anchor[1, :3, 3], pose[:3, 3] * report.factor)
    assert torch.equal(scaled.T_world_anchor[1, :3, :3], pose[:3, :3])


def test_noise_a_table_and_a_slope_do_not_mislead_it(generator):
    distance = room(tilt=math.radians(4)) * (1 + 0.02 * torch.randn(H, 2 * H, generator=generator))
    rays = erp_rays(H)
    table = (rays[..., 1] > 0) & (torch.atan2(rays[..., 0], rays[..., 2]).abs() < 0.7)
    distance = torch.where(table, torch.minimum(distance, 0.6 / rays[..., 1].clamp_min(1e-9)), distance)
    report = scale_by_camera_height(cache_from_erp(RGB, distance, ALL), 1.6)[1]
    assert report.measured == pytest.approx(1.3 * math.cos(math.radians(4)), rel=0.02)
    assert math.degrees(report.tilt) == pytest.approx(4, abs=0.7)


def test_a_doubtful_floor_is_called_so(generator):
    rough = 0.5 + 3 * torch.rand(H, 2 * H, generator=generator)
    report = scale_by_camera_height(cache_from_erp(RGB, rough, ALL), 1.6)[1]
    assert report.certainty < 0.3
    assert "NOT sure" in report.text
    assert "known distance" in report.text


def test_nothing_below_is_said():
    above = erp_rays(H)[..., 1] < 0
    with pytest.raises(InputError, match="nothing below the camera"):
        scale_by_camera_height(cache_from_erp(RGB, room(), above), 1.6)
    wall = cache_from_erp(RGB, room(), ALL)
    for height in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="camera_height"):
            scale_by_camera_height(wall, height)
    with pytest.raises(InputError, match="anchor"):
        scale_by_camera_height(wall, 1.6, anchor=1)


def test_a_known_distance():
    cache = cache_from_erp(RGB, room(), ALL, metric=False)
    left, right = torch.tensor([-1.0, 0.0, 0.0]), torch.tensor([2.0, 0.0, 0.0])
    scaled, report = scale_by_distance(cache, left, right, 10.0)
    assert report.measured == pytest.approx(5.0, rel=0.01)
    assert report.factor == pytest.approx(2.0, rel=0.01)
    assert scaled.metric
    with pytest.raises(InputError, match="same point"):
        scale_by_distance(cache, left, left, 10.0)
    with pytest.raises(ShapeError, match="first"):
        scale_by_distance(cache, left[:2], right, 10.0)
    with pytest.raises(InputError, match="distance"):
        scale_by_distance(cache, left, right, 0.0)
    hole = cache_from_erp(RGB, room(), erp_rays(H)[..., 0] > 0)
    with pytest.raises(InputError, match="first: there is sky or nothing"):
        scale_by_distance(hole, left, right, 10.0)


def test_the_origin_scales_with_the_rest():
    cache = cache_from_erp(RGB, room(), ALL, metric=False)
    far = dataclasses.replace(cache, origin=torch.tensor([10.0, 0, 0], dtype=torch.float64))
    scaled = scale_cache(far, 0.5, metric=False)
    assert scaled.origin.tolist() == [5.0, 0, 0]
    assert not scaled.metric
    assert scaled.provenance["scale"] == 0.5
    with pytest.raises(InputError, match="factor"):
        scale_cache(far, 0.0, metric=True)
