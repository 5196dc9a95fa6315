"""Pairs of panoramas and what is built on them, on rays without pictures."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pantheon_core.geometry import rotation_from_yaw_pitch_roll, se3_from
from pantheon_core.recon.poses._epipolar import epipolar_inliers, spread
from pantheon_core.recon.poses._features import SphereFeatures
from pantheon_core.recon.poses._linking import weakly_linked
from pantheon_core.recon.poses._mapping import SparseScene
from pantheon_core.recon.poses._pairs import PanoramaPair, rotation_between
from pantheon_core.recon.poses._sfm import _warnings
from pantheon_core.recon.poses._upright import upright_motion
from pantheon_core.recon.poses._words import why_not_registered


def test_a_turn_and_a_motion_explain_directions() -> None:
    points = torch.randn(300, 3, dtype=torch.float64) * 4
    R = rotation_from_yaw_pitch_roll(*torch.tensor([1.0, 0.2, 0.1], dtype=torch.float64))
    step = torch.tensor([0.3, -0.1, 0.9], dtype=torch.float64)
    first = torch.nn.functional.normalize(points, dim=1)
    second = torch.nn.functional.normalize((points - step) @ R, dim=1)
    towards = step / step.norm()
    explained, parallax = epipolar_inliers(first, second, R, towards, 1e-4)
    true = (first * (second @ R.T)).sum(1).clamp(-1, 1).arccos()
    assert explained.all()
    torch.testing.assert_close(parallax, true, atol=1e-6, rtol=0)
    # Seen the wrong way round every point would be behind the cameras.
    assert not epipolar_inliers(first, second, R, -towards, 1e-4)[0].any()
    assert spread(first, second, R, towards, 1e-4) > 40
    turned = first @ R
    turned[:50] = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=1)
    rotation, agree = rotation_between(first, turned, 0.01)
    torch.testing.assert_close(rotation, R)
    assert agree[50:].all()
    assert agree[:50].float().mean() < 0.1


def _looks(points: Tensor, place: Tensor) -> Tensor:
    return torch.nn.functional.normalize((points - place[:3, 3]) @ place[:3, :3], dim=1)


@pytest.mark.parametrize("lean", [0.0, 0.03])
def test_levelled_cameras_are_found_where_few_matches_are_right(lean: float) -> None:
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(250, 3, generator=generator, dtype=torch.float64) * torch.tensor([5.0, 1.5, 5.0])
    place = se3_from(
        rotation_from_yaw_pitch_roll(*torch.tensor([2.3, lean, -lean], dtype=torch.float64)),
        torch.tensor([0.9, 0.1, -1.6], dtype=torch.float64),
    )
    first, second = _looks(points, torch.eye(4, dtype=torch.float64)), _looks(points, place)
    right = 35
    second[right:] = second[right:][torch.randperm(len(points) - right, generator=generator)]
    motion = upright_motion(first, second, 0.004)
    assert motion is not None
    assert math.degrees(math.acos(min(1.0, (float((motion[0].T @ place[:3, :3]).trace()) - 1) / 2))) < 0.5
    towards = torch.nn.functional.normalize(place[:3, 3], dim=0)
    assert float(motion[1] @ towards) > math.cos(math.radians(1.5))
    chance = second[torch.randperm(len(second), generator=generator)]
    nothing = upright_motion(first, chance, 0.004)
    assert nothing is None or int(epipolar_inliers(first, chance, *nothing, 0.008)[0].sum()) < 20


def test_two_that_belong_together_without_a_place_say_what_they_share() -> None:
    matches = torch.arange(60).reshape(30, 2)
    linked = PanoramaPair(matches=matches, inliers=torch.ones(30, dtype=torch.bool))
    nothing = PanoramaPair(matches=matches[:9], inliers=torch.zeros(9, dtype=torch.bool))
    placed = torch.zeros(2, dtype=torch.bool)
    told = why_not_registered(0, {(0, 1): linked}, placed, ["hall", "stairs"])
    assert "hall has no place: it shares 30 features with stairs" in told
    pairs = {(0, 1): linked, (2, 3): linked} | {(i, j): nothing for i in (0, 1) for j in (2, 3)}
    placed = torch.tensor([False, False, True, True])
    told = why_not_registered(0, pairs, placed, ["hall", "stairs", "attic", "roof"])
    assert "hall has no place: it belongs with stairs, but nothing links these with the rest" in told


def test_shared_points_tell_how_long_a_step_is() -> None:
    generator = torch.Generator().manual_seed(5)
    points = torch.randn(40, 3, generator=generator, dtype=torch.float64) * 4
    turn = rotation_from_yaw_pitch_roll(torch.tensor(0.7, dtype=torch.float64))
    towards = torch.nn.functional.normalize(torch.tensor([0.4, 0.0, 1.0], dtype=torch.float64), dim=0)
    base = se3_from(turn, torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64))
    place = base @ se3_from(turn.T, 1.7 * towards)
    features = [
        SphereFeatures(rays=_looks(points, one), descriptors=torch.zeros(40, 128).numpy())
        for one in (base, place)
    ]
    features[1].rays[15:] = features[1].rays[15:].flip(0)
    matches = torch.arange(20)[:, None].expand(-1, 2)
    pair = PanoramaPair(
        matches=matches,
        inliers=torch.ones(20, dtype=torch.bool),
        R_first_second=turn.T,
        direction=towards,
    )
    tracks = {0: dict(enumerate(points))}
    found = weakly_linked({0: base}, tracks, features, {(0, 1): pair}, 0.002)
    assert found is not None
    assert found[0] == 1
    torch.testing.assert_close(found[1], place, atol=1e-9, rtol=0)
    few = {0: {index: points[index] for index in range(12, 20)}}
    assert weakly_linked({0: base}, few, features, {(0, 1): pair}, 0.002) is None
    back = PanoramaPair(
        matches=matches,
        inliers=torch.ones(20, dtype=torch.bool),
        R_first_second=turn,
        direction=-(turn @ towards),
    )
    found = weakly_linked({1: base}, {1: tracks[0]}, features[::-1], {(0, 1): back}, 0.002)
    assert found is not None
    torch.testing.assert_close(found[1], place, atol=1e-9, rtol=0)


def test_points_in_one_plane_prove_little() -> None:
    generator = torch.Generator().manual_seed(2)
    points = torch.randn(120, 3, generator=generator, dtype=torch.float64) * 4
    floor = points.clone()
    floor[:112, 1] = 1.6
    scene = SparseScene(
        T_world_cam=torch.eye(4, dtype=torch.float64).repeat(2, 1, 1),
        registered=torch.ones(2, dtype=torch.bool),
        points=torch.cat((points, floor)),
        observation_panorama=torch.arange(2).repeat_interleave(120),
        observation_point=torch.arange(240),
        error=0.0,
    )
    nothing = PanoramaPair(
        matches=torch.zeros(0, 2, dtype=torch.int64), inliers=torch.zeros(0, dtype=torch.bool)
    )
    told = _warnings({(0, 1): nothing}, {}, scene, scene.registered, ["hall", "stairs"])
    assert len(told) == 1
    assert told[0].startswith("stairs: placed by points that nearly all lie in one plane")
