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
from pantheon_core.recon.poses._features import find_features
from pantheon_core.recon.poses._pairs import find_pair
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
