"""The parts of tracking a video: following patches, turning, key frames."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from box_walk import FAST, WALK, H, blur, frame, select
from torch.nn import functional as F

from pantheon_core.geometry import (
    rotate_erp,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
    se3_from,
    se3_inverse,
    transform_points,
)
from pantheon_core.recon.poses import PanoramaPoses
from pantheon_core.recon.video_in._check import without_contradicted
from pantheon_core.recon.video_in._flow import cut_patches, find_corners, follow
from pantheon_core.recon.video_in._follower import Follower
from pantheon_core.recon.video_in._gray import make_pyramid, sharpness, to_gray
from pantheon_core.recon.video_in._pnp import place_camera
from pantheon_core.recon.video_in._refine import interpolate_poses
from pantheon_core.recon.video_in._rotation import angles, fit_rotation
from pantheon_core.recon.video_in._select import Shot


@pytest.fixture(scope="module")
def walk() -> list[torch.Tensor]:
    return [frame(T) for T in WALK]


@pytest.fixture(scope="module")
def shot(walk: list[torch.Tensor]) -> Shot:
    """The walk after the first pass."""
    (only,) = select(walk).shots
    return only


def test_patches_are_followed_over_seam_and_poles() -> None:
    rgb = frame(torch.eye(4), 128)
    turn = rotation_from_yaw_pitch_roll(*(torch.tensor(math.radians(a)).double() for a in (9.0, -6.0, 7.0)))
    first = make_pyramid(to_gray(rgb), 128)
    second = make_pyramid(to_gray(rotate_erp(rgb, turn)), 128)
    rays = find_corners(first, 2500, lowest=-math.pi / 2)
    assert float(rays[:, 1].min()) < -0.95  # some at the poles
    assert float(rays[:, 1].max()) > 0.95
    assert bool(((rays[:, 2] < 0) & (rays[:, 0].abs() < 0.1)).any())  # and some at the seam
    near = rotation_from_yaw_pitch_roll(math.radians(-7.0), math.radians(4.0), math.radians(-5.0)).double()
    found, score = follow(cut_patches(first, rays), second, rotate_vectors(near.float(), rays), near)
    good = score > 0.8
    assert float(good.float().mean()) > 0.8
    truth = rotate_vectors(turn.T.float(), rays)
    pixel = 180 / 128
    assert float(torch.rad2deg(angles(found, truth))[good].median()) < 0.1 * pixel
    measured = fit_rotation(rays, found, good.float())
    assert float(torch.rad2deg(angles(rays.double() @ measured.T, truth.double())).max()) < 0.05 * pixel


def test_brightness_of_the_frame_does_not_matter() -> None:
    rgb = frame(torch.eye(4))
    first, second = make_pyramid(to_gray(rgb), H), make_pyramid(to_gray(0.4 * rgb + 0.3), H)
    rays = find_corners(first, 100, lowest=-1.0)
    found, score = follow(cut_patches(first, rays), second, rays, torch.eye(3))
    assert float(score.min()) > 0.99
    assert float(angles(found, rays).max()) < 1e-3


def test_rotation_ignores_what_moves_otherwise(generator: torch.Generator) -> None:
    source = F.normalize(torch.randn(200, 3, generator=generator), dim=1)
    turn = rotation_from_yaw_pitch_roll(0.3, 0.1, -0.2).double()
    target = (source.double() @ turn.T).float()
    target[:70] = F.normalize(target[:70] + 0.3 * torch.randn(70, 3, generator=generator), dim=1)
    found = fit_rotation(source, target, torch.ones(200))
    assert torch.allclose(found, turn, atol=1e-4)


def test_camera_is_placed_among_wrong_points(generator: torch.Generator) -> None:
    points = 3 * torch.randn(150, 3, generator=generator).double()
    turn = rotation_from_yaw_pitch_roll(0.4, -0.2, 0.1).double()
    truth = se3_from(turn, torch.tensor([0.3, -0.1, 0.5]).double())
    rays = F.normalize(transform_points(se3_inverse(truth), points), dim=1)
    rays[:50] = F.normalize(torch.randn(50, 3, generator=generator).double(), dim=1)
    start = truth.clone()
    start[:3, :3] = truth[:3, :3] @ rotation_from_yaw_pitch_roll(0.08, -0.05, 0.06).double()
    start[:3, 3] += torch.tensor([0.2, -0.15, 0.1])
    placed = place_camera(points, rays, torch.ones(150), start, tolerance=math.radians(1))
    assert placed is not None
    assert torch.allclose(placed.T_world_cam, truth, atol=1e-4)
    assert placed.inliers >= 100
    nonsense = F.normalize(torch.randn(150, 3, generator=generator).double(), dim=1)
    assert place_camera(points, nonsense, torch.ones(150), start, tolerance=math.radians(1)) is None
    assert place_camera(points[:5], rays[:5], torch.ones(5), start, tolerance=1.0) is None


def test_sharpness_orders_blur_and_ignores_exposure() -> None:
    rgb = frame(torch.eye(4))
    values = [sharpness(to_gray(one)) for one in (rgb, blur(rgb, 1), blur(rgb, 2), blur(rgb, 4))]
    assert values == sorted(values, reverse=True)
    assert values[0] > 1.5 * values[1]
    assert sharpness(to_gray(0.5 * rgb + 0.1)) == pytest.approx(values[0], rel=1e-3)
    assert sharpness(to_gray(rgb.roll(37, -1))) == pytest.approx(values[0], rel=1e-3)
    assert sharpness(torch.zeros(H, 2 * H)) == 0


def test_poses_between_keys() -> None:
    truth = WALK[:9]
    drift = rotation_from_yaw_pitch_roll(torch.linspace(0, 0.1, 9).double())
    measured = drift @ truth[:, :3, :3].mT @ truth[0, :3, :3]
    rows = torch.tensor([0, 4, 8])
    found = interpolate_poses(rows, truth[rows], measured)
    assert torch.allclose(found[rows], truth[rows], atol=1e-9)
    middle = (truth[4, :3, 3] + truth[8, :3, 3]) / 2
    assert torch.allclose(found[6, :3, 3], middle)
    # the drift between the keys is taken out, as far as it grows evenly
    off = found[:, :3, :3].mT @ truth[:, :3, :3]
    assert float((off.diagonal(dim1=1, dim2=2).sum(1) - 3).abs().max()) < 1e-4
    alone = interpolate_poses(torch.tensor([4]), truth[4:5], measured)
    assert torch.allclose(alone[:, :3, 3], truth[4, :3, 3].expand(9, 3))


@pytest.mark.parametrize("wrong", [[0], [3], [3, 5]])
def test_places_that_contradict_the_turning_are_taken_back(wrong: list[int]) -> None:
    truth = WALK[:18:3]
    measured = truth[:, :3, :3].mT @ truth[0, :3, :3]
    found = truth.clone()
    found[wrong, :3, :3] = found[wrong, :3, :3] @ rotation_from_yaw_pitch_roll(math.radians(170.0)).double()
    found[wrong, :3, 3] += 1.0
    points = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    poses = PanoramaPoses(
        T_world_cam=(se3_inverse(found[0]) @ found).float(),
        registered=torch.ones(6, dtype=torch.bool),
        points=transform_points(se3_inverse(found[0]).float(), points),
        colors=torch.zeros(12, 3, dtype=torch.uint8),
        # Even points are seen by the first three key frames, odd ones by the last three.
        observation_panorama=torch.arange(36) % 6,
        observation_point=torch.arange(36) // 3,
    )
    left = without_contradicted(poses, measured, list(range(0, 18, 3)))
    assert left.registered.tolist() == [i not in wrong for i in range(6)]
    assert any(f"{3 * wrong[-1]}: the places" in text for text in left.warnings)
    assert not set(wrong) & set(left.observation_panorama.tolist())
    first = 1 if wrong == [0] else 0
    kept = [i for i in range(6) if i not in wrong]
    wanted = se3_inverse(truth[first]) @ truth
    assert torch.allclose(left.T_world_cam[kept].double(), wanted[kept], atol=1e-5)
    there = transform_points(se3_inverse(truth[first]).float(), points)
    # A point that one right key frame alone sees has no place.
    seen = [sum(3 * (i % 2) + j not in wrong for j in range(3)) >= 2 for i in range(12)]
    assert torch.allclose(left.points, there[torch.tensor(seen)], atol=1e-5)
    assert len(left.colors) == sum(seen)
    assert left.observation_point.unique().tolist() == list(range(sum(seen)))
    right = dataclasses.replace(poses, T_world_cam=(se3_inverse(truth[0]) @ truth).float())
    assert without_contradicted(right, measured, list(range(6))) is right


def test_turning_on_the_spot_has_no_parallax() -> None:
    turns = [rotation_from_yaw_pitch_roll(math.radians(4.0 * i), math.radians(2.0 * i)) for i in range(12)]
    video = [frame(se3_from(turn, torch.zeros(3))) for turn in turns]
    (shot,) = select(video).shots
    assert len(shot.keys) == 1
    assert shot.largest_parallax < math.radians(0.3)
    for i in range(12):  # and the turn is measured
        truth = (turns[i].T @ turns[shot.keys[0]]).double()
        found = shot.records[i].R_frame_start
        assert float((found.T @ truth).trace()) > 3 - 2e-5


@pytest.mark.parametrize("degrees", [30.0, -90.0, 170.0])
def test_a_sudden_turn_is_found(degrees: float) -> None:
    """Farther than any patch is looked for: the whole picture says it."""
    turn = rotation_from_yaw_pitch_roll(math.radians(degrees), math.radians(5.0)).double()
    first, second = (
        make_pyramid(to_gray(frame(se3_from(R, torch.zeros(3)))), H) for R in (torch.eye(3), turn)
    )
    motion = Follower(first, corners=80, lowest=-1.0).advance(second)
    assert motion.share > 0.8
    off = motion.R_frame_key @ turn
    assert float(off.trace()) > 3 - 1e-5


def test_keys_follow_the_motion(walk: list[torch.Tensor], shot: Shot) -> None:
    assert sorted(shot.records) == list(range(20))
    assert len(shot.keys) >= 3
    assert shot.keys == sorted(shot.keys)
    between = [shot.records[key].parallax for key in shot.keys[1:-1]]
    assert all(math.radians(3) < parallax < math.radians(11) for parallax in between)
    closer = dataclasses.replace(FAST, parallax=math.radians(2))
    assert len(select(walk[:12], closer).shots[0].keys) > sum(key < 12 for key in shot.keys)


def test_blurred_frames_are_no_keys(walk: list[torch.Tensor], shot: Shot) -> None:
    hit = sorted({*shot.keys, 3, 9, 14})
    video = [blur(rgb, 1) if i in hit else rgb for i, rgb in enumerate(walk)]
    (again,) = select(video).shots
    assert not set(again.keys) & set(hit)
    assert sorted(again.records) == list(range(20))


def test_a_blank_frame_is_bridged(walk: list[torch.Tensor]) -> None:
    video = list(walk[:16])
    video[11] = torch.ones_like(video[11])
    shots = select(video).shots
    assert len(shots) == 1
    assert shots[0].unseen == [11]
    assert 11 not in shots[0].keys


def test_a_cut_is_found(walk: list[torch.Tensor]) -> None:
    other = [frame(T, seed=1) for T in WALK[:10]]
    shots = [one for one in select([*walk[:12], *other]).shots if one.keys]
    assert [one.first for one in shots] == [0, 12]
    assert [len(one) for one in shots] == [12, 10]
