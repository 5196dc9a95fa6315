"""Where a panorama's surfaces end: at their pixels' borders, not at their centres."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from pantheon_core.cache import cache_from_erp, merge_caches
from pantheon_core.geometry import erp_rays, rays_to_erp_pixels
from pantheon_core.render import render
from pantheon_core.render._scene import prepare

H = 24
FINE = 4
NEAR, FAR = 2.0, 4.0


def patch(rows: slice, columns: list[int]) -> torch.Tensor:
    mask = torch.zeros(H, 2 * H, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


def step(near: torch.Tensor):
    """A cache of two spheres around the camera, each pixel on one of them."""
    distance = torch.where(near, NEAR, FAR)
    return cache_from_erp(near.float().expand(3, -1, -1), distance, torch.ones_like(near))


PATCHES = {
    "from pole to pole": patch(slice(1, H - 1), list(range(10, 20))),
    "over the seam": patch(slice(4, 20), [2 * H - 2, 2 * H - 1, 0, 1]),
    "a pole": patch(slice(0, 3), list(range(2 * H))),
    "one row": patch(slice(3, 4), list(range(5, 30))),
    "one pixel": patch(slice(2, 3), [7]),
    "one pixel at a pole": patch(slice(H - 1, H), [30]),
}


@pytest.mark.parametrize("near", PATCHES.values(), ids=PATCHES.keys())
def test_surfaces_end_at_their_pixels_borders_at_every_latitude(near, backend):
    frame = render(step(near), torch.eye(4), FINE * H, backend=backend)
    cells = near.repeat_interleave(FINE, 0).repeat_interleave(FINE, 1)
    assert frame.coverage.all()
    # Only the corners of a patch may be cut, by half of a pixel's quarter.
    assert int(((frame.distance < 3) != cells).sum()) <= 4 * 3
    assert ((frame.distance[cells] - NEAR).abs() < 0.1).float().mean() > 0.8


def test_a_panorama_of_loose_pixels_has_no_gaps(backend):
    generator = torch.Generator().manual_seed(3)
    distance = torch.tensor([NEAR, FAR])[torch.randint(2, (H, 2 * H), generator=generator)]
    rgb = torch.rand((3, H, 2 * H), generator=generator)
    cache = cache_from_erp(rgb, distance, torch.ones(H, 2 * H, dtype=torch.bool))
    frame = render(cache, torch.eye(4), 5 * H, backend=backend)
    assert frame.coverage.all()
    # In the middle of a pixel is what it saw, or that continued from beside it: flat, not on the sphere.
    assert (frame.distance[2::5, 2::5] / distance - 1).abs().max() < 0.02
    assert ((frame.distance > 1.9) & (frame.distance < 4.1))[frame.coverage].all()


def test_a_surface_goes_on_behind_a_nearer_one_and_ends_before_a_farther():
    cache = step(PATCHES["over the seam"])
    for both in (cache, merge_caches([cache, cache])):
        more = prepare(both, torch.device("cpu")).points[len(both.points) :]
        xy = rays_to_erp_pixels(more, H)
        x, y = ((axis - axis.round()).abs() for axis in xy.unbind(-1))
        near = more.norm(dim=-1) < 3
        assert near.any()
        # From a centre half a pixel on is at a border, a whole one at a centre again.
        assert (torch.maximum(x, y)[near] > 0.49).all()
        assert (torch.minimum(x, y)[~near] < 0.01).all()
        at_near = PATCHES["over the seam"][xy[:, 1].round().long(), xy[:, 0].round().long() % (2 * H)]
        assert at_near[~near].any()


def test_a_plane_goes_on_as_a_plane():
    """Twice as well as at the border pixels' own distances, which no test of coverage would see."""
    rays = erp_rays(4 * H)
    normal = torch.tensor([1.0, 0.1, 0.5])
    valid = (rays[..., 2] > 0.5) & ((rays @ normal) > 0.5)
    distance = 3 / (rays @ normal).clamp_min(0.1)
    cache = cache_from_erp(torch.zeros(3, 4 * H, 8 * H), distance, valid)
    scene = prepare(cache, torch.device("cpu"))
    more = scene.points[len(cache.points) :]
    assert not len(scene.parts[0].bare)
    off = ((more @ normal) / 3 - 1).abs()
    here = torch.cdist(more, cache.points).argmin(-1)
    away = torch.nn.functional.normalize(more, dim=-1) * cache.points[here].norm(dim=-1, keepdim=True)
    assert off.mean() < 0.5 * ((away @ normal) / 3 - 1).abs().mean()


def test_points_off_the_grid_stay_caps():
    """Moved or thinned points: a few lie in the middle of a pixel by chance."""
    cache = step(PATCHES["from pole to pole"])
    assert not len(prepare(cache, torch.device("cpu")).parts[0].bare)
    generator = torch.Generator().manual_seed(0)
    moved = cache.points + 0.1 * torch.rand(cache.points.shape, generator=generator)
    scene = prepare(dataclasses.replace(cache, points=moved), torch.device("cpu"))
    assert len(scene.parts[0].bare)
    assert len(scene.points) == len(moved)
