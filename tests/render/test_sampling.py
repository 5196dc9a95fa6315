"""Colours between pixels, and pixels between surfaces."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from pantheon_core.cache import CacheSettings, cache_from_erp, merge_caches
from pantheon_core.geometry import erp_rays, rotation_from_yaw_pitch_roll
from pantheon_core.render import render
from pantheon_core.render._samples import every_pixel, quarters
from pantheon_core.render._scene import prepare

H = 64


def waves(height, turn=0.0):
    """(3, H, W) colours that vary over some seven pixels of a panorama of H = 64, seen after a turn."""
    lon = ((torch.arange(2 * height) + 0.5) / (2 * height) - 0.5) * 2 * math.pi + turn
    lat = (0.5 - (torch.arange(height) + 0.5) / height) * math.pi
    stripes = torch.sin(18 * lon)[None] * torch.cos(lat)[:, None] ** 2
    return (0.5 + 0.4 * stripes).expand(3, -1, -1)


def ball(rgb, **settings):
    everything = torch.ones(rgb.shape[1:], dtype=torch.bool)
    return cache_from_erp(rgb, 2.0 * everything, everything, settings=CacheSettings(**settings))


def turned(yaw):
    pose = torch.eye(4)
    pose[:3, :3] = rotation_from_yaw_pitch_roll(torch.tensor(yaw), torch.tensor(0.0), torch.tensor(0.0))
    return pose


@pytest.mark.parametrize("pixels", [0.25, 0.5])
def test_colours_between_pixels_follow_a_curve_and_not_a_chord(backend, pixels):
    turn = pixels * math.pi / H
    truth = waves(H, turn)
    cache = ball(waves(H))
    off = (render(cache, turned(turn), H, backend=backend).rgb - truth).square().mean().sqrt()
    straight = dataclasses.replace(cache, anchor_pixel_angle=None)
    chord = (render(straight, turned(turn), H, backend=backend).rgb - truth).square().mean().sqrt()
    assert off < 0.4 * chord


def test_bends_are_those_of_the_panorama_in_every_cache():
    cache = ball(waves(H))
    bend = prepare(cache, torch.device("cpu")).parts[0].bend
    assert bend.abs().amax() > 5
    rgb, away = waves(H), torch.eye(4)
    away[:3, :3] = rotation_from_yaw_pitch_roll(*(torch.tensor(a) for a in (1.0, 0.4, -0.2)))
    away[:3, 3] = torch.tensor([3.0, 0.5, -1.0])
    everything = torch.ones(rgb.shape[1:], dtype=torch.bool)
    other = cache_from_erp(rgb, 2.0 * everything, everything, T_world_cam=away)
    parts = prepare(merge_caches([cache, other]), torch.device("cpu")).parts
    assert torch.equal(parts[0].bend, bend)
    assert torch.equal(parts[1].bend, bend)


def test_no_bend_without_a_grid_and_none_across_a_depth_edge():
    cache = ball(waves(H))
    half = turned(0.5 * math.pi / H)[:3, :3]
    beside = dataclasses.replace(cache, points=cache.points @ half)
    assert not prepare(beside, torch.device("cpu")).parts[0].bend.any()
    rgb, everything = torch.zeros(3, H, 2 * H), torch.ones(H, 2 * H, dtype=torch.bool)
    near = ~everything
    near[20:40, 20:40] = True
    rgb[:, near] = 1.0
    step = cache_from_erp(rgb, torch.where(near, 1.0, 3.0), everything)
    part = prepare(step, torch.device("cpu")).parts[0]
    # All colours change at the step. Only a diagonal that ends behind one of its corners may look past it.
    assert int(part.bend.any(-1).any(-1).sum()) <= 8


def test_a_silhouette_is_mixed_and_the_rest_of_the_pixel_is_its_centre(backend):
    """A bright patch before a dark ball, both finer than the frame: the pixels of its border are mixed."""
    fine = 4 * H
    rays = erp_rays(fine)
    near = rays[..., 2] > 0.8
    rgb = near.float().expand(3, -1, -1)
    distance = torch.where(near, 2.0, 4.0)
    cache = cache_from_erp(rgb, distance, torch.ones_like(near))
    frame = render(cache, torch.eye(4), H, backend=backend)
    truth = torch.nn.functional.avg_pool2d(rgb[None], 4)[0, 0]
    mixed = (truth > 0.02) & (truth < 0.98)
    centre = near[2::4, 2::4]
    assert frame.coverage.all()
    error = (frame.rgb[0] - truth)[mixed].square().mean()
    assert error < 0.5 * (centre.float() - truth)[mixed].square().mean()
    assert (((frame.distance - 2).abs() < 0.1) | ((frame.distance - 4).abs() < 0.2)).all()
    assert (frame.rgb[0] - truth)[~mixed].abs().amax() < 0.3


def test_quarters_lie_in_their_pixels():
    chosen = torch.zeros(2 * H * H, dtype=torch.bool)
    chosen[torch.tensor([0, 5, 2 * H * H - 1])] = True
    samples = quarters(chosen, H)
    y, x = samples.where // (4 * H), samples.where % (4 * H)
    pixel = (y // 2) * 2 * H + x // 2
    assert pixel.view(3, 4).unique(dim=1).flatten().tolist() == [0, 5, 2 * H * H - 1]
    assert len(samples.where.unique()) == 12
    assert samples.slot[chosen].tolist() == [0, 1, 2]
    assert (every_pixel(4, torch.device("cpu")).slot >= 0).all()
