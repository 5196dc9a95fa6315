"""Perspective views and cube maps."""

from __future__ import annotations

import math

import pytest
import torch

from pantheon_core.errors import ShapeError
from pantheon_core.geometry import (
    crop_rotations,
    cubemap_rotations,
    cubemap_to_erp,
    erp_rays,
    erp_to_cubemap,
    erp_to_perspective,
    perspective_depth_to_distance,
    perspective_rays,
    perspective_to_erp,
    rotation_from_yaw_pitch_roll,
)

FIELD = erp_rays(128).permute(2, 0, 1)


def test_view_pixels_are_their_directions() -> None:
    rotation = rotation_from_yaw_pitch_roll(2.9, -0.8, 0.4)
    view = erp_to_perspective(FIELD, rotation, fov_x=1.4, height=48, width=64)
    expected = perspective_rays(48, 64, 1.4) @ rotation.T
    torch.testing.assert_close(view.permute(1, 2, 0), expected, atol=3e-4, rtol=0)


def test_perspective_angles() -> None:
    rays = perspective_rays(2, 90, math.radians(90), dtype=torch.float64)
    assert float(rays[0, 0, 0]) < 0 < float(rays[0, -1, 0])
    slope = rays[..., 0] / rays[..., 2]
    # The outer edges, half a pixel past the last centres, are at 45 degrees.
    assert float(slope[0, -1] + (slope[0, -1] - slope[0, -2]) / 2) == pytest.approx(1, abs=1e-12)


def test_depth_to_distance_of_a_wall() -> None:
    distance = perspective_depth_to_distance(torch.full((5, 5), 2.0), math.radians(90))
    points = perspective_rays(5, 5, math.radians(90)) * distance[..., None]
    torch.testing.assert_close(points[..., 2], torch.full((5, 5), 2.0))
    assert float(distance[2, 2]) == pytest.approx(2)


@pytest.mark.parametrize("feather", [True, False])
def test_perspective_round_trip(feather: bool) -> None:
    rotations = torch.cat(
        (crop_rotations(8), rotation_from_yaw_pitch_roll(torch.zeros(2), torch.tensor([1.5708, -1.5708])))
    )
    views = erp_to_perspective(FIELD, rotations, fov_x=math.radians(100), height=96, width=96)
    erp, weight = perspective_to_erp(views, rotations, fov_x=math.radians(100), height=64, feather=feather)
    assert bool((weight > 0).all())
    assert float((erp - erp_rays(64).permute(2, 0, 1)).abs().max()) < (0.004 if feather else 0.02)


def test_what_no_view_sees_is_black() -> None:
    rotations = crop_rotations(8)
    views = torch.ones(8, 3, 32, 32)
    erp, weight = perspective_to_erp(views, rotations, fov_x=math.pi / 2, height=64)
    assert float(weight[0].max()) == 0
    assert float(erp[:, 0].max()) == 0
    seen = weight > 0
    torch.testing.assert_close(erp[:, seen], torch.ones(3, int(seen.sum())))
    assert bool(seen[32].all())


def test_cube_faces_look_where_their_names_say() -> None:
    forward = cubemap_rotations()[:, :, 2]
    expected = [[0, 0, 1], [1, 0, 0], [0, 0, -1], [-1, 0, 0], [0, -1, 0], [0, 1, 0]]
    assert torch.equal(forward, torch.tensor(expected, dtype=torch.float32))
    faces = erp_to_cubemap(FIELD, 33)
    torch.testing.assert_close(faces[:, :, 16, 16], forward, atol=1e-3, rtol=0)


def test_cubemap_round_trip() -> None:
    erp = cubemap_to_erp(erp_to_cubemap(FIELD[None], 64), 64)
    assert erp.shape == (1, 3, 64, 128)
    torch.testing.assert_close(erp[0].permute(1, 2, 0), erp_rays(64), atol=1.5e-3, rtol=0)


def test_cube_edges_are_continuous() -> None:
    # The longitude of the edge between front and right is 45 degrees.
    erp = cubemap_to_erp(erp_to_cubemap(FIELD, 16), 256)
    steps = erp[:, 128].diff(dim=-1).norm(dim=0)
    assert float(steps.max()) < 1.6 * float(steps.median())


def test_cubemap_needs_six_square_faces() -> None:
    with pytest.raises(ShapeError, match="faces"):
        cubemap_to_erp(torch.zeros(5, 3, 8, 8), 8)
    with pytest.raises(ShapeError, match="rotations"):
        perspective_to_erp(torch.zeros(2, 3, 8, 8), torch.eye(3)[None], fov_x=1.0, height=8)
