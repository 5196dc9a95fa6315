"""Distances of several panoramas to one scale, who contradicts whom, and the scene of all."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from pantheon_core.errors import InputError
from pantheon_core.geometry import erp_rays, rotation_from_yaw_pitch_roll, se3_from, transform_points
from pantheon_core.recon import DistanceEstimate
from pantheon_core.recon.poses import (
    PanoramaPoses,
    align_estimates,
    compare_panoramas,
    fit_alignment,
    reconstruct_scene,
    say_disagreement,
    scale_poses,
)
from pantheon_core.recon.poses._align import distances_at_points
from pantheon_core.synthetic import TracedFrame, generate_scene, trace

HEIGHT = 64
PLACES = torch.stack(
    [
        se3_from(rotation_from_yaw_pitch_roll(torch.tensor(yaw)), torch.tensor(place))
        for yaw, place in ((0.0, [0.0, 0.0, 0.0]), (1.2, [1.1, 0.1, 0.4]), (-2.0, [0.2, -0.1, 1.3]))
    ]
)


@pytest.fixture(scope="module")
def room() -> list[TracedFrame]:
    scene = generate_scene(1_000_011, "room")
    return [trace(scene, place, HEIGHT) for place in PLACES]


def _estimate(frame: TracedFrame, *, metric: bool = True) -> DistanceEstimate:
    return DistanceEstimate(
        distance=frame.distance,
        confidence=frame.valid.float(),
        sky=frame.sky.float(),
        valid=frame.valid,
        metric=metric,
    )


def _poses(room: list[TracedFrame], *, scale: float = 1.0, metric: bool = True) -> PanoramaPoses:
    """True places with every 31st pixel as a point, in a unit of 1 / scale metres."""
    points, panorama = [], []
    for index, frame in enumerate(room):
        local = (erp_rays(HEIGHT) * frame.distance[..., None]).reshape(-1, 3)[::31]
        points.append(transform_points(PLACES[index], local))
        panorama += [index] * len(local)
    everything = torch.cat(points)
    poses = PanoramaPoses(
        T_world_cam=PLACES,
        registered=torch.ones(len(room), dtype=torch.bool),
        points=everything,
        colors=torch.zeros(len(everything), 3, dtype=torch.uint8),
        observation_panorama=torch.tensor(panorama),
        observation_point=torch.arange(len(everything)),
        metric=True,
        method="test",
    )
    return dataclasses.replace(scale_poses(poses, scale, metric=True), metric=metric)


def _noisy(values: Tensor, spread: float = 0.01) -> Tensor:
    return values * (1 + spread * torch.randn(len(values), dtype=values.dtype))


def test_a_ratio_is_found_among_outliers() -> None:
    true = torch.rand(200, dtype=torch.float64) * 5 + 1
    dense = _noisy(true * 1.7)
    dense[:60] *= 4
    found = fit_alignment(dense, true)
    assert found.kind == "ratio"
    assert found.gain == pytest.approx(1.7, rel=0.02)


def test_an_affine_error_is_found_among_outliers() -> None:
    true = torch.rand(300, dtype=torch.float64) * 5 + 1
    dense = _noisy(1 / ((1 / true - 0.08) / 1.4), 0.005)
    dense[:45] *= 3
    found = fit_alignment(dense, true)
    assert found.kind == "affine"
    assert found.gain == pytest.approx(1.4, rel=0.02)
    assert found.shift == pytest.approx(0.08, abs=0.005)
    assert found.error < 0.3 * found.error_ratio


def test_a_ratio_stays_a_ratio_where_affine_does_not_help() -> None:
    true = torch.rand(300, dtype=torch.float64) * 5 + 1
    assert fit_alignment(_noisy(true * 0.6, 0.05), true).kind == "ratio"
    assert fit_alignment(true[:5], true[:5]).kind == "none"


def test_everything_comes_to_metres_by_consensus(room: list[TracedFrame]) -> None:
    estimates = [_estimate(frame) for frame in room]
    # One of three errs by half; the others agree on the metre.
    estimates[1] = dataclasses.replace(estimates[1], distance=estimates[1].distance * 1.5)
    aligned, poses, alignments, warnings = align_estimates(estimates, _poses(room, scale=0.37, metric=False))
    assert poses.metric
    torch.testing.assert_close(poses.T_world_cam, PLACES, atol=1e-3, rtol=0)
    assert alignments[1].gain == pytest.approx(1.5, rel=1e-3)
    for one, frame in zip(aligned, room, strict=True):
        assert one is not None
        assert one.metric
        torch.testing.assert_close(one.distance, frame.distance, rtol=2e-3, atol=0)
    assert "differ by up to 50 %" in warnings[0]


def test_a_panorama_without_points_borrows_the_gain(room: list[TracedFrame]) -> None:
    poses = _poses(room)
    keep = poses.observation_panorama != 2
    poses = dataclasses.replace(
        poses,
        observation_panorama=poses.observation_panorama[keep],
        observation_point=poses.observation_point[keep],
    )
    doubled = [
        dataclasses.replace(_estimate(frame, metric=False), distance=frame.distance * 2) for frame in room
    ]
    aligned, poses, alignments, warnings = align_estimates(doubled, poses)
    assert [one.kind for one in alignments] == ["ratio", "ratio", "borrowed"]
    assert aligned[2] is not None
    torch.testing.assert_close(aligned[2].distance, room[2].distance, rtol=2e-3, atol=0)
    assert "could not be brought to metres" in warnings[0]


def test_true_places_agree_and_a_wrong_one_is_named(room: list[TracedFrame]) -> None:
    estimates = [_estimate(frame) for frame in room]
    right = compare_panoramas(estimates, PLACES)
    assert len(right) == 6
    assert max(one.disagreement for one in right) < 0.05
    assert say_disagreement(right, 3) == ()
    wrong = PLACES.clone()
    wrong[1, :3, :3] = rotation_from_yaw_pitch_roll(torch.tensor(1.0)) @ wrong[1, :3, :3]
    told = say_disagreement(compare_panoramas(estimates, wrong), 3, ["hall", "stairs", "cellar"])
    assert len(told) == 1
    assert told[0].startswith("stairs contradicts all others")


def test_a_wrong_scale_is_seen(room: list[TracedFrame]) -> None:
    estimates = [_estimate(frame) for frame in room]
    estimates[2] = dataclasses.replace(estimates[2], distance=estimates[2].distance * 0.5)
    told = say_disagreement(compare_panoramas(estimates, PLACES), 3)
    assert any("panorama 3" in sentence for sentence in told)


def test_a_scene_of_several_panoramas(room: list[TracedFrame]) -> None:
    poses = dataclasses.replace(
        _poses(room), registered=torch.tensor([True, True, False]), warnings=("panorama 3 was lost",)
    )
    keep = poses.observation_panorama != 2
    poses = dataclasses.replace(
        poses,
        observation_panorama=poses.observation_panorama[keep],
        observation_point=poses.observation_point[keep],
    )
    halved = [dataclasses.replace(_estimate(frame), distance=frame.distance / 2) for frame in room]
    cache, report = reconstruct_scene(
        [frame.rgb for frame in room], "tiny", poses, estimates=halved, names=["a", "b", "c"]
    )
    assert cache.metric
    torch.testing.assert_close(cache.T_world_anchor, PLACES[:2])
    # Points of the second panorama lie where its own distances say, in the world.
    own = cache.points[cache.anchor == 1]
    exact = transform_points(PLACES[1], erp_rays(HEIGHT) * room[1].distance[..., None]).reshape(-1, 3)
    assert float(torch.cdist(own[::50], exact).amin(1).max()) < 0.01
    lines = "\n".join(report.lines())
    assert "2 of 3 panoramas placed" in lines
    assert "a: distances times 2.000" in lines
    assert "left out: c" in lines
    assert "panorama 3 was lost" in lines


def test_a_scene_estimates_what_it_is_not_given(room: list[TracedFrame]) -> None:
    cache, report = reconstruct_scene([frame.rgb for frame in room[:2]], "tiny", _first_two(room))
    assert len(cache.T_world_anchor) == 2
    assert all(one.kind in ("kept", "ratio", "affine") for one in report.alignments)
    assert all(one.error <= one.error_before for one in report.alignments)
    assert max(one.error for one in report.alignments) < math.log(1.5)


def _first_two(room: list[TracedFrame]) -> PanoramaPoses:
    poses = _poses(room)
    keep = poses.observation_panorama != 2
    return dataclasses.replace(
        poses,
        T_world_cam=poses.T_world_cam[:2],
        registered=poses.registered[:2],
        observation_panorama=poses.observation_panorama[keep],
        observation_point=poses.observation_point[keep],
    )


def test_wrong_numbers_of_things(room: list[TracedFrame]) -> None:
    poses = _poses(room)
    estimates = [_estimate(frame) for frame in room]
    with pytest.raises(InputError, match="estimates: expected 3"):
        align_estimates(estimates[:2], poses)
    with pytest.raises(InputError, match="panoramas: expected 3"):
        reconstruct_scene([room[0].rgb], "tiny", poses)
    lost = dataclasses.replace(poses, registered=torch.zeros(3, dtype=torch.bool), warnings=("too dark",))
    with pytest.raises(InputError, match="at least one panorama with a place, got none: too dark"):
        reconstruct_scene([frame.rgb for frame in room], "tiny", lost)
    with pytest.raises(InputError, match="None for panoramas that are not registered"):
        align_estimates(estimates, lost)
    with pytest.raises(InputError, match="tolerance"):
        compare_panoramas(estimates, PLACES, tolerance=0)
    with pytest.raises(InputError, match="factor"):
        scale_poses(poses, math.nan, metric=True)


def test_distances_that_no_factor_improves_are_kept() -> None:
    # Six in ten points are right, the others say anything from there to five times as far: a factor in the
    # middle of them all would be wrong for most.
    generator = torch.Generator().manual_seed(0)
    dense = torch.rand(100, generator=generator, dtype=torch.float64) * 4 + 1
    sparse = dense * (0.05 * torch.randn(100, generator=generator, dtype=torch.float64)).exp()
    astray = torch.arange(100) * 7 % 100 >= 60
    sparse[astray] *= torch.linspace(1.5, 5, 40, dtype=torch.float64)
    kept = fit_alignment(dense, sparse)
    assert (kept.kind, kept.gain, kept.shift) == ("kept", 1.0, 0.0)
    assert kept.error == kept.error_before < kept.error_ratio
    assert fit_alignment(dense * 1.5, sparse).kind == "ratio"


def test_points_that_a_third_panorama_sees_count_alone() -> None:
    confirmed, doubtful = 40, 50
    rays = torch.nn.functional.normalize(torch.randn(confirmed + doubtful, 3), dim=1)
    radius = torch.cat((torch.full((confirmed,), 2.0), torch.full((doubtful,), 0.5)))
    number = torch.arange(confirmed + doubtful)
    poses = PanoramaPoses(
        T_world_cam=torch.eye(4).repeat(3, 1, 1),
        registered=torch.ones(3, dtype=torch.bool),
        points=rays * radius[:, None],
        colors=torch.zeros(len(rays), 3, dtype=torch.uint8),
        observation_panorama=torch.tensor([0] * len(rays) + [1] * len(rays) + [2] * confirmed),
        observation_point=torch.cat((number, number, number[:confirmed])),
        metric=True,
        method="test",
    )
    estimate = DistanceEstimate(
        distance=torch.full((HEIGHT, 2 * HEIGHT), 2.0),
        confidence=torch.ones(HEIGHT, 2 * HEIGHT),
        sky=torch.zeros(HEIGHT, 2 * HEIGHT),
        valid=torch.ones(HEIGHT, 2 * HEIGHT, dtype=torch.bool),
        metric=True,
    )
    _, sparse = distances_at_points(poses, 0, estimate)
    torch.testing.assert_close(sparse, torch.full((confirmed,), 2.0, dtype=torch.float64))
    few = dataclasses.replace(
        poses,
        observation_panorama=poses.observation_panorama[:-15],
        observation_point=poses.observation_point[:-15],
    )
    assert len(distances_at_points(few, 0, estimate)[1]) == confirmed + doubtful
