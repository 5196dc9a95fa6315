"""Poses from the pictures: real renders of a room with photographs as textures, real pycolmap."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pantheon_core.errors import BackendUnavailableError, InputError
from pantheon_core.geometry import (
    rotate_erp,
    rotation_from_yaw_pitch_roll,
    sample_erp,
    se3_from,
    se3_inverse,
    transform_points,
)
from pantheon_core.recon.poses import (
    PanoramaPoses,
    find_poses,
    points_at_poses,
    poses_from_matrices,
    poses_from_pictures,
)
from pantheon_core.recon.poses._epipolar import epipolar_inliers, spread
from pantheon_core.recon.poses._features import SphereFeatures, find_features
from pantheon_core.recon.poses._linking import weakly_linked
from pantheon_core.recon.poses._pairs import PanoramaPair, find_pair, rotation_between
from pantheon_core.recon.poses._upright import upright_motion
from pantheon_core.recon.poses._words import why_not_registered
from pantheon_core.synthetic import TracedFrame, generate_scene, trace

needs_pycolmap = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("pycolmap") is None,
    reason="pycolmap is not installed (optional extra sfm)",
)
HEIGHT = 256


def _pose(yaw: float, x: float, y: float, z: float) -> Tensor:
    wide = torch.tensor(yaw, dtype=torch.float64)
    return se3_from(rotation_from_yaw_pitch_roll(wide), torch.tensor([x, y, z], dtype=torch.float64))


PLACES = torch.stack([_pose(2.1, 0.0, 0.0, 0.0), _pose(-0.8, 1.1, 0.1, 0.4), _pose(0.5, 0.2, -0.1, 1.3)])
"""Three cameras a metre and more apart."""


@pytest.fixture(scope="module")
def room() -> list[TracedFrame]:
    scene = generate_scene(1_000_011, "room")
    return [trace(scene, place, HEIGHT) for place in PLACES]


@pytest.fixture(scope="module")
def found(room: list[TracedFrame]) -> PanoramaPoses:
    return poses_from_pictures([frame.rgb for frame in room])


def _errors(found: Tensor, true: Tensor) -> tuple[float, float]:
    """Largest error in degrees of relative turns and of directions between all pairs."""
    turn = direction = 0.0
    for i in range(len(true)):
        for j in range(i + 1, len(true)):
            a = se3_inverse(found[i].double()) @ found[j].double()
            b = se3_inverse(true[i]) @ true[j]
            cosine = (float((a[:3, :3].T @ b[:3, :3]).trace()) - 1) / 2
            turn = max(turn, math.degrees(math.acos(min(1.0, cosine))))
            cosine = float(torch.nn.functional.cosine_similarity(a[:3, 3], b[:3, 3], dim=0))
            direction = max(direction, math.degrees(math.acos(min(1.0, cosine))))
    return turn, direction


@needs_pycolmap
def test_relative_poses_are_found(found: PanoramaPoses) -> None:
    assert found.registered.all()
    turn, direction = _errors(found.T_world_cam, PLACES)
    assert turn < 0.5
    assert direction < 2.0
    torch.testing.assert_close(found.T_world_cam[0], torch.eye(4), atol=1e-6, rtol=0)


@needs_pycolmap
def test_a_step_straight_ahead_is_found(room: list[TracedFrame]) -> None:
    step = PLACES[1, :3, 3]
    ahead = rotation_from_yaw_pitch_roll(torch.atan2(step[0], step[2]))
    pictures, true = [], []
    for place, frame in zip(PLACES[:2], room[:2], strict=True):
        turn = place[:3, :3].T @ ahead
        pictures.append(rotate_erp(frame.rgb, turn.float()).clamp(0, 1))
        true.append(se3_from(ahead, place[:3, 3]))
    poses = poses_from_pictures(pictures)
    assert poses.registered.all()
    turn, direction = _errors(poses.T_world_cam, torch.stack(true))
    assert turn < 0.5
    assert direction < 2.0


@needs_pycolmap
def test_points_lie_on_the_surfaces_up_to_one_scale(found: PanoramaPoses, room: list[TracedFrame]) -> None:
    from pantheon_core.recon import DistanceEstimate
    from pantheon_core.recon.poses._align import distances_at_points

    ratios = []
    for index, frame in enumerate(room):
        exact = DistanceEstimate(
            distance=frame.distance,
            confidence=frame.valid.float(),
            sky=frame.sky.float(),
            valid=frame.valid,
            metric=True,
        )
        dense, sparse = distances_at_points(found, index, exact)
        assert len(dense) > 30
        ratios.append(dense / sparse)
    every = torch.cat(ratios)
    assert float((every / every.median()).log().abs().median()) < 0.01
    assert found.colors.float().std() > 10


@needs_pycolmap
def test_the_same_pictures_give_the_same_numbers(room: list[TracedFrame]) -> None:
    small = [frame.rgb for frame in room[:2]]
    first, second = poses_from_pictures(small), poses_from_pictures(small)
    assert torch.equal(first.T_world_cam, second.T_world_cam)
    assert torch.equal(first.points, second.points)


@needs_pycolmap
def test_one_place_twice_and_another_scene(room: list[TracedFrame]) -> None:
    turn = rotation_from_yaw_pitch_roll(torch.tensor(1.0))
    again = rotate_erp(room[0].rgb, turn).clamp(0, 1)
    street = trace(generate_scene(1_000_001, "street"), torch.eye(4), HEIGHT).rgb
    poses = poses_from_pictures([room[0].rgb, again, street], names=["hall", "hall again", "street"])
    assert poses.registered.tolist() == [True, True, False]
    torch.testing.assert_close(poses.T_world_cam[1, :3, :3], turn, atol=5e-3, rtol=0)
    assert poses.T_world_cam[1, :3, 3].abs().max() == 0
    told = "\n".join(poses.warnings)
    assert "hall again was taken from the same place as hall" in told
    assert "street has no place: it shares nothing" in told


@needs_pycolmap
def test_pictures_without_features_are_said() -> None:
    poses = poses_from_pictures([torch.zeros(3, 64, 128), torch.full((3, 64, 128), 0.5)])
    assert not poses.registered.any()
    assert len(poses.warnings) == 2


@needs_pycolmap
def test_masks_keep_features_out(room: list[TracedFrame]) -> None:
    wanted = torch.zeros(HEIGHT, 2 * HEIGHT, dtype=torch.bool)
    wanted[:, HEIGHT:] = True
    rays = find_features(room[0].rgb, wanted).rays
    assert len(rays) > 100
    # The right half of the picture is the half of the world to the right.
    assert float(rays[:, 0].min()) > -0.02


@needs_pycolmap
def test_given_poses_against_the_pictures(room: list[TracedFrame]) -> None:
    pictures = [frame.rgb for frame in room[:2]]
    right = points_at_poses(pictures, poses_from_matrices(PLACES[:2]), names=["a", "b"])
    assert right.warnings == ()
    assert right.metric
    assert len(right.points) > 50
    wrong = PLACES[:2].clone()
    wrong[1, :3, :3] = rotation_from_yaw_pitch_roll(torch.tensor(0.4)).double() @ wrong[1, :3, :3]
    told = points_at_poses(pictures, poses_from_matrices(wrong), names=["a", "b"]).warnings
    assert len(told) == 1
    assert "a and b: their pictures contradict the given places" in told[0]
    assert "22.9 degrees" in told[0]


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from pantheon_core.panorama import panorama_from_image

    monkeypatch.setitem(__import__("sys").modules, "pycolmap", None)
    pictures = [torch.zeros(3, 64, 128)] * 2
    with pytest.raises(BackendUnavailableError, match=r'pip install "pycolmap>=4.2"'):
        poses_from_pictures(pictures)
    with pytest.raises(BackendUnavailableError, match="GPS and a compass heading could stand in"):
        find_poses([panorama_from_image(one) for one in pictures])


@needs_pycolmap
def test_wrong_numbers_of_things() -> None:
    picture = torch.zeros(3, 64, 128)
    with pytest.raises(InputError, match="two or more"):
        poses_from_pictures([picture])
    with pytest.raises(InputError, match="valid: expected 2 masks"):
        poses_from_pictures([picture, picture], valid=[torch.ones(64, 128, dtype=torch.bool)])
    with pytest.raises(InputError, match="names: expected 2"):
        poses_from_pictures([picture, picture], names=["one"])


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


@needs_pycolmap
def test_a_motion_helps_to_find_further_matches(room: list[TracedFrame]) -> None:
    features = [find_features(frame.rgb) for frame in room[:2]]
    pair = find_pair(*features, height=HEIGHT, tolerance=0.85 * math.pi / HEIGHT)
    assert len(pair.further) >= 20
    assert not torch.isin(pair.further[:, 0], pair.matches[pair.inliers][:, 0]).any()
    rays = [one.rays[pair.further[:, side]] for side, one in enumerate(features)]
    distance = sample_erp(room[0].distance[None], rays[0].float()[:, None], mode="nearest")[0, :, 0]
    relative = se3_inverse(PLACES[1]) @ PLACES[0]
    seen = torch.nn.functional.normalize(transform_points(relative, rays[0] * distance[:, None]), dim=1)
    off = (seen * rays[1]).sum(1).clamp(-1, 1).arccos()
    assert float((off < math.radians(1.5)).float().mean()) > 0.7
    assert len(pair.material) == int(pair.inliers.sum()) + len(pair.further)


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
