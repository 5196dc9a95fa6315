"""Triangles by themselves: which hide, which show, and what they cover."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from pantheon_core.cache import PointCache
from pantheon_core.geometry import erp_rays
from pantheon_core.render import render

H = 64


def quad(distance, half, color, edge, first=0):
    """A square facing the origin: (4, 3) points, colours, two triangles, flags."""
    corners = torch.tensor([[-half, -half], [half, -half], [half, half], [-half, half]])
    points = torch.cat((corners, torch.full((4, 1), distance)), 1)
    colors = torch.tensor(color, dtype=torch.uint8).expand(4, 3)
    return points, colors, torch.tensor([[0, 1, 2], [0, 2, 3]]) + first, torch.full((2,), edge)


def from_quads(*quads):
    points, colors, triangles, edge = (torch.cat(parts) for parts in zip(*quads, strict=True))
    return PointCache(
        points=points,
        colors=colors,
        confidence=torch.ones(len(points)),
        anchor=torch.zeros(len(points), dtype=torch.int16),
        triangles=triangles.int(),
        edge=edge,
        T_world_anchor=torch.eye(4)[None],
    )


def test_triangles_over_depth_edges_are_not_drawn(backend):
    wall = quad(4.0, 3.0, (255, 0, 0), False)
    edge = quad(2.0, 0.5, (0, 255, 0), True, first=4)
    frame = render(from_quads(wall, edge), torch.eye(4), H, backend=backend)
    middle = (slice(H // 2 - 2, H // 2 + 2), slice(H - 2, H + 2))
    assert frame.coverage[middle].all()
    assert (frame.rgb[0][middle] - 1).abs().max() < 1e-6


def test_the_far_side_of_a_surface_hides_and_is_a_hole(backend):
    cache = from_quads(quad(2.0, 1.0, (255, 255, 255), False))
    behind = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))  # looks back
    behind[2, 3] = 4.0
    frame = render(cache, behind, H, backend=backend)
    assert not frame.coverage[H // 2, H]


def test_the_nearest_surface_wins(backend):
    near, far = quad(2.0, 0.5, (0, 0, 255), False), quad(4.0, 3.0, (255, 0, 0), False, first=4)
    frame = render(from_quads(near, far), torch.eye(4), H, backend=backend)
    assert frame.rgb[:, H // 2, H].tolist() == [0, 0, 1]
    assert frame.distance[H // 2, H] == pytest.approx(2.0, rel=1e-2)


@pytest.mark.parametrize("corner", [0, 1, 2])
def test_a_triangle_with_a_corner_in_the_camera_shows_nothing(backend, corner):
    wall = quad(2.0, 50.0, [200, 100, 50], False)
    beside = torch.tensor([[-3.0, -6.5, -5.5], [-8.3, -12.3, 1.3]])  # rounding gives this one a volume
    points = torch.cat((torch.zeros(1, 3), beside)).roll(corner, 0)
    colors = torch.zeros(3, 3, dtype=torch.uint8)
    through = points, colors, torch.tensor([[4, 5, 6]]), torch.zeros(1, dtype=torch.bool)
    frame = render(from_quads(wall, through), torch.eye(4), H, backend=backend)
    assert torch.equal(frame.rgb, render(from_quads(wall), torch.eye(4), H, backend=backend).rgb)
    assert frame.distance[frame.coverage].min() > 1.9


def test_large_triangles_cover_exactly_what_they_span(backend):
    """Sides far longer than a pixel, around a pole: against the tetrahedron's analytic cover, everything."""
    points = torch.tensor([[0.0, -1, 0.2], [1.0, 0.4, 0.0], [-0.6, 0.5, 0.8], [-0.5, 0.4, -1.0]])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 2, 3]])
    cache = PointCache(
        points=points,
        colors=torch.full((4, 3), 255, dtype=torch.uint8),
        confidence=torch.ones(4),
        anchor=torch.zeros(4, dtype=torch.int16),
        triangles=triangles.int(),
        edge=torch.zeros(4, dtype=torch.bool),
        T_world_anchor=torch.eye(4)[None],
    )
    for one in range(4):
        part = dataclasses.replace(cache, triangles=cache.triangles[one : one + 1], edge=cache.edge[:1])
        frame = render(part, torch.eye(4), H, backend=backend)
        weights = torch.linalg.solve(points[triangles[one]].T.double(), erp_rays(H).double().reshape(-1, 3).T)
        inside = (weights > 1e-4).all(0).view(H, 2 * H)
        outside = (weights < -1e-4).any(0).view(H, 2 * H)
        surface = frame.distance > 0
        assert surface[inside].all()
        bare = points[sorted(set(range(4)) - set(triangles[one].tolist()))]
        toward = torch.nn.functional.normalize(bare, dim=-1)
        cap = (erp_rays(H) @ toward.T).amax(-1) > math.cos(1.5 * math.pi / H)
        assert not surface[outside & ~cap].any()
    assert render(cache, torch.eye(4), H, backend=backend).coverage.all()
