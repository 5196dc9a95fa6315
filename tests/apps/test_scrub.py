"""Quick looks along a path: the frames of a run, with numbers that hold."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from pantheon_core.apps import Anchor, ScrubScene, hole_heat, render_scaffold
from pantheon_core.apps.scrub import covered_fraction
from pantheon_core.cache import CacheSettings, PointCache, cache_from_erp, coarse_cache, merge_caches
from pantheon_core.errors import InputError
from pantheon_core.geometry import se3_from
from pantheon_core.render import PreparedCache, render
from pantheon_core.synthetic import generate_scene, trace
from pantheon_core.trajectory import Trajectory, clearance, interpolate, preset_path

HEIGHT = 64
SCENES = {"room": 3, "street": 5}


def _anchor(kind: str, T_world_cam: Tensor, height: int = 96) -> tuple[Anchor, PointCache]:
    frame = trace(generate_scene(SCENES[kind], kind), T_world_cam, height)
    cache = cache_from_erp(
        frame.rgb,
        frame.distance,
        frame.valid,
        sky=frame.sky,
        T_world_cam=T_world_cam,
        settings=CacheSettings(),
    )
    return Anchor(rgb=frame.rgb, valid=torch.ones_like(frame.valid), T_world_cam=T_world_cam), cache


@pytest.fixture(scope="module", params=sorted(SCENES))
def start(request: pytest.FixtureRequest) -> tuple[Anchor, PointCache]:
    return _anchor(request.param, torch.eye(4))


@pytest.fixture(scope="module")
def path() -> Trajectory:
    return interpolate(preset_path("forward", frames=4, fps=7, distance=0.6))


def test_frames_are_those_of_a_run(start: tuple[Anchor, PointCache], path: Trajectory) -> None:
    anchor, cache = start
    run = render_scaffold(cache, path, [anchor], height=HEIGHT)
    scene = ScrubScene(cache, [anchor])
    nearest = clearance(path, cache.points, minimum=0).distance
    for index in range(len(path)):
        frame = scene.frame(path, index, height=HEIGHT)
        assert torch.equal(frame.rgb, run.rgb[index])
        assert torch.equal(frame.coverage, run.coverage[index])
        assert frame.clearance == pytest.approx(float(nearest[index]), abs=1e-6)
        assert torch.equal(frame.T_world_cam, path.T_world_cam[index])


def test_last_frame_on_a_second_panorama_is_that_panorama() -> None:
    there = se3_from(torch.eye(3), torch.tensor([0.0, 0.0, 0.6]))
    (first, one), (second, two) = _anchor("room", torch.eye(4)), _anchor("room", there)
    path = interpolate(preset_path("forward", frames=3, fps=7, distance=0.6))
    scene = ScrubScene(merge_caches([one, two]), [first, second])
    run = render_scaffold(merge_caches([one, two]), path, [first, second], height=48)
    assert torch.equal(scene.frame(path, 2, height=48).rgb, run.rgb[2])
    assert scene.frame(path, 2, height=48).covered == 1.0


def test_report_says_for_the_path_what_frames_say(start: tuple[Anchor, PointCache], path: Trajectory) -> None:
    anchor, cache = start
    scene = ScrubScene(cache, [anchor])
    minimum = float(clearance(path, cache.points, minimum=0).distance[2])
    steps: list[tuple[int, int]] = []
    report = scene.report(path, minimum=minimum, progress=lambda done, of: steps.append((done, of)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert report.clearance is not None
    assert report.below == tuple((report.clearance < minimum).nonzero()[:, 0].tolist())
    for index in range(len(path)):
        frame = scene.frame(path, index, height=128)
        assert float(report.covered[index]) == pytest.approx(frame.covered, abs=0.01)
        assert float(report.clearance[index]) == frame.clearance
    assert float(report.covered[0]) > float(report.covered[-1])


def test_quick_frames_of_a_large_cache_look_alike_and_take_fewer_points(path: Trajectory) -> None:
    anchor, cache = _anchor("room", torch.eye(4), height=256)
    coarse = coarse_cache(cache, 20_000)
    assert 10_000 < len(coarse.points) < 30_000
    assert len(coarse.points) < len(cache.points) / 4
    pose = path.T_world_cam[2]
    whole, thin = render(cache, pose, HEIGHT), render(coarse, pose, HEIGHT)
    assert float((whole.rgb - thin.rgb).square().mean()) < 10**-2.4
    assert covered_fraction(thin.coverage) == pytest.approx(covered_fraction(whole.coverage), abs=0.01)
    quick = ScrubScene(cache, [anchor]).frame(path, 2, height=HEIGHT, detail="quick")
    assert float((whole.rgb - quick.rgb).square().mean()) < 10**-2.4


def test_a_coarse_surface_stays_closed_and_its_edges_stay_edges() -> None:
    """Before a plain wall nothing opens; behind a near object the hole stays a hole."""
    height = 128
    distance = torch.full((height, 2 * height), 4.0)
    distance[40:88, 108:148] = 1.0
    cache = cache_from_erp(
        torch.rand(3, height, 2 * height),
        distance,
        torch.ones_like(distance, dtype=torch.bool),
        settings=CacheSettings(),
    )
    coarse = coarse_cache(cache, 4000)
    assert coarse.triangles is not None
    assert coarse.edge is not None
    assert bool(coarse.edge.any())
    assert len(coarse.points) < 6000
    ordered = coarse.triangles.sort(dim=1).values
    assert len(torch.unique(ordered, dim=0)) == len(ordered)
    assert (ordered.diff(dim=1) > 0).all()
    pose = se3_from(torch.eye(3), torch.tensor([0.5, 0.0, 0.0]))
    whole, thin = render(cache, pose, HEIGHT), render(coarse, pose, HEIGHT)
    assert 0.9 < covered_fraction(whole.coverage) < 0.995
    assert covered_fraction(thin.coverage) == pytest.approx(covered_fraction(whole.coverage), abs=0.01)
    # Away from the object every ray meets the wall in both.
    assert thin.coverage[:, :16].all()
    both = (whole.distance > 0) & (thin.distance > 0)
    error = (whole.distance - thin.distance).abs()[both]
    assert float(error.quantile(0.95)) < 0.06


def test_a_small_cache_is_left_alone_and_a_bare_cloud_has_no_triangles() -> None:
    _, cache = _anchor("room", torch.eye(4), height=64)
    assert coarse_cache(cache, len(cache.points)) is cache
    bare = coarse_cache(dataclasses.replace(cache, triangles=None, edge=None), 1000)
    assert bare.triangles is None
    assert len(bare.points) <= 2000
    assert bare.anchor.dtype == cache.anchor.dtype
    with pytest.raises(InputError, match="budget: expected at least 100"):
        coarse_cache(cache, 10)


def test_a_prepared_cache_renders_as_render_does(start: tuple[Anchor, PointCache], path: Trajectory) -> None:
    _, cache = start
    prepared = PreparedCache(cache)
    for height in (32, 48, 32, 64, 96, 128, 32):
        pose = path.T_world_cam[height % 4]
        assert torch.equal(prepared.render(pose, height).rgb, render(cache, pose, height).rgb)
    with pytest.raises(InputError, match="height"):
        prepared.render(path.T_world_cam[0], 1)


def test_coverage_is_by_solid_angle_and_heat_by_what_is_missing_around() -> None:
    coverage = torch.ones(64, 128, dtype=torch.bool)
    coverage[:32] = False
    assert covered_fraction(coverage) == pytest.approx(0.5)
    coverage[:] = True
    coverage[:8] = False  # 22.5 degrees around the pole: an eighth of the rows, 3.8 % of the sphere
    assert covered_fraction(coverage) == pytest.approx((1 + math.cos(math.pi / 8)) / 2, abs=1e-3)
    coverage[:] = True
    coverage[20:50, 120:] = False
    coverage[20:50, :10] = False  # one hole over the seam
    coverage[30, 40] = False
    heat = hole_heat(coverage)
    assert (heat[coverage] == 0).all()
    assert float(heat[35, 0]) == pytest.approx(1.0)
    assert float(heat[35, 127]) == pytest.approx(1.0)
    assert 0 < float(heat[30, 40]) < 0.1


def test_a_sky_alone_has_no_clearance_and_wrong_requests_get_a_sentence(
    start: tuple[Anchor, PointCache], path: Trajectory
) -> None:
    anchor, cache = start
    scene = ScrubScene(cache, [anchor])
    with pytest.raises(InputError, match="frame: expected 0 to 3"):
        scene.frame(path, 4, height=HEIGHT)
    with pytest.raises(InputError, match="minimum"):
        scene.report(path, minimum=math.nan)
    with pytest.raises(InputError, match="at least one panorama"):
        ScrubScene(cache, [])
    if cache.sky is None:
        return
    none = torch.zeros(0, dtype=torch.long)
    sky = dataclasses.replace(
        cache,
        points=cache.points[none],
        colors=cache.colors[none],
        confidence=cache.confidence[none],
        anchor=cache.anchor[none],
        triangles=None,
        edge=None,
    )
    empty = ScrubScene(sky, [anchor])
    assert empty.frame(path, 1, height=HEIGHT).clearance is None
    assert empty.report(path, minimum=1.0).below == ()
