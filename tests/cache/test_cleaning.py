from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from pantheon_core.cache import CacheSettings, cache_from_erp, merge_caches
from pantheon_core.cache.cleaning import (
    CleanSettings,
    clean_cache,
    edge_mask,
    merge_overlaps,
    thin_cache,
)
from pantheon_core.cache.cleaning._floaters import stray_points
from pantheon_core.cache.cleaning._grid import anchor_grid, around, components
from pantheon_core.errors import InputError
from pantheon_core.geometry import erp_rays

H = 128
W = 2 * H
ALL = torch.ones(H, W, dtype=torch.bool)
HALF = torch.tensor([2.0, 1.5, 3.0])


def room(center=(0.0, 0.0, 0.0)):
    """Distances to the walls of a box around the origin, from a place in it."""
    rays, place = erp_rays(H), torch.tensor(center)
    wall = torch.where(rays > 0, HALF - place, HALF + place)
    return (wall / rays.abs().clamp_min(1e-9)).amin(-1)


def pillar():
    """The room with something square 1 m before the camera."""
    distance = room()
    distance[40:88, 100:140] = 1.0
    return distance


def at(*place):
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor(place)
    return pose


def seen(distance, *, rgb=None, place=(0.0, 0.0, 0.0), valid=ALL, **more):
    rgb = torch.full((3, H, W), 0.5) if rgb is None else rgb
    return cache_from_erp(rgb, distance, valid, T_world_cam=at(*place), **more)


def far(cache):
    """(H, W) distances that a cache of one panorama holds, 0 where none."""
    return anchor_grid(cache, 0).distance


def test_the_grid_of_an_anchor_is_found_again():
    valid = torch.rand(H, W) > 0.3
    distance = room((0.5, 0.2, -0.3))
    cache = seen(distance, place=(0.5, 0.2, -0.3), valid=valid)
    grid = anchor_grid(cache, 0)
    assert torch.equal(grid.valid, valid)
    assert torch.allclose(grid.distance[valid], distance[valid], rtol=1e-5)
    assert torch.equal(grid.number[valid], torch.arange(int(valid.sum())))
    assert anchor_grid(dataclasses.replace(cache, anchor_pixel_angle=None), 0) is None


def test_padding_goes_on_over_the_poles():
    rays = erp_rays(16).movedim(-1, 0)
    padded = around(rays, 1)
    step = (padded[:, 1:] - padded[:, :-1]).norm(dim=0)
    assert float(step.max()) < 1.01 * math.pi / 16
    step = (padded[:, :, 1:] - padded[:, :, :-1]).norm(dim=0)
    assert float(step.max()) < 1.01 * math.pi / 16


def test_components_join_what_is_connected(generator):
    first, second = torch.randint(0, 200, (2, 120), generator=generator)
    label = components(200, first, second)
    parent = list(range(200))

    def root(k):
        while parent[k] != k:
            k = parent[k]
        return k

    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    assert label.tolist() == [root(k) for k in range(200)]


def test_edges_are_jumps_that_turn():
    assert edge_mask(room(), ALL).float().mean() < 0.15
    floor = (1.5 / erp_rays(H)[..., 1].abs()).clamp_max(1e4)
    assert not edge_mask(floor, ALL)[1 : H // 2 - 4].any()
    found = edge_mask(pillar(), ALL)
    ring = torch.zeros_like(found)
    ring[39:89, 99:141] = True
    ring[41:87, 101:139] = False
    assert found[ring].all()
    assert not found[44:84, 104:136].any()


def test_a_true_cache_stays_as_it_is():
    cache = seen(pillar(), rgb=torch.rand(3, H, W))
    cleaned, report = clean_cache(cache)
    assert torch.equal(cleaned.points, cache.points)
    assert torch.equal(cleaned.triangles, cache.triangles)
    assert torch.equal(cleaned.edge, cache.edge)
    assert all(step.removed == step.moved == 0 for step in report.steps)
    assert not report.warnings
    assert cleaned.provenance["clean.edges"] == "repair"


@pytest.mark.parametrize("mode", ["repair", "cut"])
def test_what_hangs_between_two_surfaces_goes_to_one_of_them(mode):
    distance, truth = pillar(), pillar()
    distance[48:80, 98:100] = torch.tensor([2.2, 1.4])  # from the wall at 3 m to the pillar at 1 m
    distance[48:80, 140:142] = torch.tensor([1.4, 2.2])
    cache = seen(distance)
    cleaned, report = clean_cache(cache, CleanSettings(edges=mode, floaters="off"))
    step = next(s for s in report.steps if s.name == "depth edges")
    now = far(cleaned)
    smeared = torch.zeros_like(ALL)
    smeared[48:80, 98:100] = smeared[48:80, 140:142] = True
    assert torch.allclose(now[~smeared], truth[~smeared], rtol=1e-4)
    if mode == "cut":
        assert step.removed == 128
        assert (now[smeared] == 0).all()
        assert cleaned.triangles is not None
        assert int(cleaned.triangles.max()) < len(cleaned.points)
    else:
        assert (step.removed, step.moved) == (0, 128)
        on_one = ((now - 1).abs() < 0.01) | ((now - truth).abs() / truth < 0.06)
        assert on_one[smeared].all()
        corners = cleaned.points[cleaned.triangles.long()].norm(dim=-1)
        assert torch.equal(cleaned.edge, corners.amax(-1) > 1.5 * corners.amin(-1))


def test_all_edges_can_go_as_with_bare_points():
    cleaned, _ = clean_cache(seen(pillar()), CleanSettings(edges="all"))
    assert torch.equal(far(cleaned) == 0, edge_mask(pillar(), ALL))


@pytest.mark.parametrize("mode", ["repair", "cut"])
def test_specks_are_removed_or_put_back(mode, generator):
    truth = room()
    wrong = torch.rand(H, W, generator=generator) < 0.01
    wrong[0] = wrong[-1] = False
    distance = torch.where(wrong, truth * 0.4, truth)
    cleaned, report = clean_cache(seen(distance), CleanSettings(floaters=mode, edges="off"))
    now = far(cleaned)
    assert torch.allclose(now[~wrong], truth[~wrong], rtol=1e-4)
    step = next(s for s in report.steps if s.name == "floaters")
    if mode == "cut":
        assert step.removed == int(wrong.sum())
        assert (now[wrong] == 0).all()
    else:
        assert step.moved == int(wrong.sum())
        assert ((now / truth)[wrong] - 1).abs().max() < 0.1
        assert cleaned.edge.float().mean() < 1e-3


def test_confidence_and_distance_limits():
    confidence = torch.ones(H, W)
    confidence[:, :10] = 0.3
    cache = seen(room((0.5, 0, 0)), confidence=confidence, place=(0.5, 0, 0))
    limits = CleanSettings(confidence=0.5, min_distance=1.6, max_distance=2.5, edges="off", floaters="off")
    cleaned, report = clean_cache(cache, limits)
    away = (cleaned.points - torch.tensor([0.5, 0, 0])).norm(dim=-1)
    assert 1.6 <= away.min() < 1.65
    assert 2.4 < away.max() <= 2.5
    assert (cleaned.confidence >= 0.5).all()
    assert [s.name for s in report.steps] == ["broken points", "confidence", "distance"]
    assert any("look at the picture" in warning for warning in report.warnings)
    removed = sum(step.removed for step in report.steps)
    assert len(cache.points) - removed == len(cleaned.points)
    assert f"{report.steps[1].removed:,} of" in str(report)
    assert report.as_json()["steps"][2]["name"] == "distance"


def test_broken_points_and_points_at_the_camera_are_stated():
    cache = seen(room())
    points = cache.points.clone()
    points[5] = float("nan")
    points[7, 1] = float("inf")
    points[9] = 1e-7
    cleaned, report = clean_cache(dataclasses.replace(cache, points=points))
    assert len(cleaned.points) == len(points) - 3
    assert cleaned.points.isfinite().all()
    assert "NaN or infinite" in str(report)
    assert "1 of them at the camera itself" in str(report)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_empty_and_tiny_caches_come_through(count):
    cache = seen(room(), settings=CacheSettings(surface=False))
    few = dataclasses.replace(
        cache, **{n: getattr(cache, n)[:count] for n in ("points", "colors", "confidence", "anchor")}
    )
    cleaned, report = clean_cache(few, CleanSettings(voxel=0.5, overlap="merge"))
    assert len(cleaned.points) <= count
    assert "points" in report.warnings[0]


def test_stray_points_of_a_cloud():
    generator = torch.Generator().manual_seed(1)
    plane = torch.rand(4000, 3, generator=generator) * torch.tensor([4.0, 0.01, 4.0])
    strays = torch.tensor([[2.0, -2.0, 2.0], [9.0, 9.0, 9.0], [1.0, 3.0, 1.0]])
    cache = seen(room(), settings=CacheSettings(surface=False))
    points = torch.cat((plane, strays))
    n = len(points)
    cloud = dataclasses.replace(
        cache,
        points=points,
        colors=torch.zeros(n, 3, dtype=torch.uint8),
        confidence=torch.ones(n),
        anchor=torch.zeros(n, dtype=torch.int16),
        anchor_pixel_angle=None,
    )
    found = stray_points(cloud, torch.ones(n, dtype=torch.bool))
    assert found.nonzero()[:, 0].tolist() == [4000, 4001, 4002]
    assert len(clean_cache(cloud)[0].points) == 4000


def test_thinning_keeps_a_closed_surface_closed():
    cache = seen(room(), rgb=torch.rand(3, H, W))
    thin = thin_cache(cache, 0.25)
    assert len(thin.points) < 0.5 * len(cache.points)
    sides = torch.cat([thin.triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]).sort(-1).values
    assert (sides.unique(dim=0, return_counts=True)[1] < 2).float().mean() < 0.05  # folds
    # points keep their places and order
    place = {tuple(p): i for i, p in enumerate(cache.points.tolist())}
    index = [place[tuple(p)] for p in thin.points.tolist()]
    assert index == sorted(index)
    cells = (thin.points / 0.25).floor()
    assert len(cells.unique(dim=0)) == len(cells)
    grey = thin.colors.float().mean() - cache.colors.float().mean()
    assert grey.abs() < 3


def test_thinning_keeps_anchors_apart_and_refuses_nonsense():
    both = merge_caches([seen(room()), seen(room())])
    thin = thin_cache(both, 0.5)
    assert torch.equal(*(thin.points[thin.anchor == k] for k in (0, 1)))
    for voxel in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="voxel"):
            thin_cache(both, voxel)
    with pytest.raises(InputError, match="too small"):
        thin_cache(both, 1e-12)


def two_rooms(*, scale=1.0, exposure=0.0, hidden=False):
    """The room from two places 2.4 m apart; the second's distances and colours may be off."""
    first = room((0.0, 0.0, -1.2))
    if hidden:  # something stands right behind the first camera
        first[30:98, :40] = first[30:98, -40:] = 0.6
    rgb = torch.full((3, H, W), 0.5)
    return merge_caches(
        [
            seen(first, rgb=rgb, place=(0.0, 0.0, -1.2)),
            seen(room((0, 0, 1.2)) * scale, rgb=rgb + exposure, place=(0.0, 0.0, 1.2)),
        ]
    )


def test_what_two_anchors_saw_is_kept_once_from_the_nearer():
    cache = two_rooms()
    merged = merge_overlaps(cache, band=0.25)
    assert len(merged.points) < 0.92 * len(cache.points)
    for anchor, sign in ((0, 1), (1, -1)):
        of_it, before = merged.points[merged.anchor == anchor], cache.points[cache.anchor == anchor]
        # the far wall's middle belongs to the other, the near wall stays whole
        middle = of_it[(sign * of_it[:, 2] > 2.9) & (of_it[:, :2].abs().amax(-1) < 0.7)]
        assert not len(middle)
        assert (sign * of_it[:, 2] < -2.9).sum() == (sign * before[:, 2] < -2.9).sum()


def test_what_only_the_far_anchor_sees_stays():
    hidden = two_rooms(hidden=True)
    behind = (hidden.anchor == 1) & (hidden.points[:, 2] < -2.9)
    behind &= hidden.points[:, :2].abs().amax(-1) < 0.7  # the thing hides this from the first anchor
    merged = merge_overlaps(hidden)
    now = (merged.anchor == 1) & (merged.points[:, 2] < -2.9) & (merged.points[:, :2].abs().amax(-1) < 0.7)
    assert behind.sum() == now.sum() > 50
    open_room = merge_overlaps(two_rooms())
    seen_twice = (open_room.anchor == 1) & (open_room.points[:, 2] < -2.9)
    assert (open_room.points[seen_twice, :2].abs().amax(-1) < 0.7).sum() == 0


def test_double_walls_go_when_distances_disagree():
    cache = two_rooms(scale=0.85)
    merged, report = clean_cache(cache, CleanSettings(edges="off", floaters="off"))
    step = next(s for s in report.steps if s.name == "overlaps")
    assert step.removed > 0
    gone = 1 - len(merged.points[merged.anchor == 1]) / len(cache.points[cache.anchor == 1])
    assert gone > 0.05
    assert (merged.anchor == 0).sum() == (cache.anchor == 0).sum()
    # where they agree, the default leaves both for the renderer to blend
    agreed = two_rooms()
    assert len(clean_cache(agreed)[0].points) == len(agreed.points)


def test_colours_pass_over_smoothly():
    merged = merge_overlaps(two_rooms(exposure=0.2), band=0.5)
    colors = merged.colors[:, 0].float() / 255
    finer = (merged.points - torch.tensor([0.0, 0, 1.2])).norm(dim=-1)
    finer = (merged.points - torch.tensor([0.0, 0, -1.2])).norm(dim=-1) / finer
    first = merged.anchor == 0
    assert (colors[first & (finer < 0.9)] - 0.5).abs().max() < 0.03
    rim = first & (finer > 1.42)
    assert rim.any()
    assert (colors[rim].mean() - 0.7).abs() < 0.06


def test_wrong_settings_are_refused():
    for wrong in (
        {"confidence": 2.0},
        {"voxel": -1.0},
        {"edge_rtol": 0.0},
        {"edges": "some"},
        {"floaters": "some"},
        {"overlap": "some"},
        {"min_distance": 3.0, "max_distance": 2.0},
        {"max_distance": math.nan},
    ):
        with pytest.raises(InputError, match=r"CleanSettings\." + list(wrong)[-1]):
            CleanSettings(**wrong)
    with pytest.raises(InputError, match="band"):
        merge_overlaps(two_rooms(), band=0.0)
