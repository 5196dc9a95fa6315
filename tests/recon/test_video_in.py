"""A box room whose walls carry a smooth texture: exact frames of any camera, cheap and without aliasing."""

from __future__ import annotations

import dataclasses
import gc
import json
import math
import weakref
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from pantheon_core.errors import ConventionError, InputError, MediaError
from pantheon_core.geometry import (
    erp_rays,
    rotate_erp,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
    se3_from,
    se3_inverse,
    transform_points,
)
from pantheon_core.recon.poses import PanoramaPoses
from pantheon_core.recon.video_in import TrackSettings, VideoTrack, track_frames, track_video
from pantheon_core.recon.video_in._check import without_contradicted
from pantheon_core.recon.video_in._flow import cut_patches, find_corners, follow
from pantheon_core.recon.video_in._follower import Follower
from pantheon_core.recon.video_in._gray import make_pyramid, sharpness, to_gray
from pantheon_core.recon.video_in._pnp import place_camera
from pantheon_core.recon.video_in._refine import interpolate_poses
from pantheon_core.recon.video_in._rotation import angles, fit_rotation
from pantheon_core.recon.video_in._select import Selector, Shot
from pantheon_core.video import write_video

H = 96
HALF = torch.tensor([2.5, 1.4, 3.5])
FAST = TrackSettings(height=H, tracking_height=H, corners=80)


def _texture(points: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """(..., 3) colours 0..1 of points: waves in random directions, 0.2 to 1 m long."""
    generator = torch.Generator().manual_seed(seed)
    waves = F.normalize(torch.randn(40, 3, generator=generator), dim=1)
    waves = waves * (2 * math.pi / (0.3 + 0.9 * torch.rand(40, 1, generator=generator)))
    phase = 2 * math.pi * torch.rand(40, generator=generator)
    mix = torch.randn(40, 3, generator=generator) / math.sqrt(20)
    return torch.sigmoid(1.5 * torch.sin(points @ waves.T + phase) @ mix)


def frame(T_world_cam: torch.Tensor, height: int = H, seed: int = 0) -> torch.Tensor:
    """(3, H, 2H) what a camera in the box sees."""
    rays = rotate_vectors(T_world_cam[:3, :3].float(), erp_rays(height))
    eye = T_world_cam[:3, 3].float()
    away = (torch.where(rays > 0, HALF, -HALF) - eye) / torch.where(rays.abs() < 1e-9, 1e-9, rays)
    points = eye + rays * away.amin(-1, keepdim=True)
    return _texture(points, seed).movedim(-1, 0)


def shaky_walk(frames: int, *, length: float = 1.2, turn: float = 4.0, sway: float = 0.02) -> torch.Tensor:
    """(T, 4, 4) float64: a walk along +z with a hand-held camera, angles in degrees, metres."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(frames + 4, 6, generator=generator, dtype=torch.float64)
    noise = torch.stack([noise[i : i + 5].mean(0) for i in range(frames)]) * math.sqrt(5)
    angle = noise[:, :3] * math.radians(turn) / 2
    place = noise[:, 3:] * sway
    place[:, 2] += torch.linspace(-length / 2, length / 2, frames, dtype=torch.float64)
    return se3_from(rotation_from_yaw_pitch_roll(angle[:, 0], angle[:, 1], angle[:, 2]), place)


def known_places(T_world_cam: torch.Tensor, video: list[torch.Tensor]):
    """A solver that looks the key frames up: poses as from a file, points on the walls."""

    def solve(rgb, valid, progress) -> PanoramaPoses:
        rows = [min(range(len(video)), key=lambda i: float((video[i] - one).abs().max())) for one in rgb]
        T_first = se3_inverse(T_world_cam[rows[0]])
        generator = torch.Generator().manual_seed(0)
        points = (2 * torch.rand(240, 3, generator=generator, dtype=torch.float64) - 1) * HALF
        wall = torch.randint(3, (240, 1), generator=generator)
        sign = torch.sign(points.gather(1, wall)) * HALF.double()[wall]
        points = points.scatter(1, wall, sign)
        count = torch.arange(len(rows))
        return PanoramaPoses(
            T_world_cam=(T_first @ T_world_cam[rows]).float(),
            registered=torch.ones(len(rows), dtype=torch.bool),
            points=transform_points(T_first, points).float(),
            colors=torch.zeros(240, 3, dtype=torch.uint8),
            observation_panorama=count.repeat_interleave(240),
            observation_point=torch.arange(240).repeat(len(rows)),
            method="file",
        )

    return solve


def errors_of(track: VideoTrack, T_world_cam: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Degrees and metres (T,) in the frame of the first registered key frame, whose place both share."""
    first = next(key.frame for key in track.keys if key.registered)
    truth = se3_inverse(T_world_cam[first]) @ T_world_cam[track.start : track.stop]
    found = track.trajectory.T_world_cam.double()
    off = found[:, :3, :3].mT @ truth[:, :3, :3]
    sine = torch.stack(
        (off[:, 2, 1] - off[:, 1, 2], off[:, 0, 2] - off[:, 2, 0], off[:, 1, 0] - off[:, 0, 1])
    )
    cosine = off.diagonal(dim1=1, dim2=2).sum(1) - 1
    degrees = torch.rad2deg(torch.atan2(sine.norm(dim=0), cosine))
    return degrees, (found[:, :3, 3] - truth[:, :3, 3]).norm(dim=1)


def blur(rgb: torch.Tensor, radius: int) -> torch.Tensor:
    side = 2 * radius + 1
    wide = F.pad(rgb[None], (radius, radius, 0, 0), mode="circular")
    wide = F.pad(wide, (0, 0, radius, radius), mode="replicate")
    return F.avg_pool2d(wide, side, stride=1)[0]


WALK = shaky_walk(20, length=1.0)


@pytest.fixture(scope="module")
def walk() -> list[torch.Tensor]:
    return [frame(T) for T in WALK]


@pytest.fixture(scope="module")
def shot(walk: list[torch.Tensor]) -> Shot:
    """The walk after the first pass."""
    (only,) = select(walk).shots
    return only


# --- parts


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


# --- key frames


def select(video: list[torch.Tensor], settings: TrackSettings = FAST) -> Selector:
    selector = Selector(settings)
    for rgb in video:
        selector.add(rgb)
    selector.finish()
    return selector


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


# --- the whole


def test_track_of_a_shaky_walk(walk: list[torch.Tensor]) -> None:
    track = track_frames(lambda: iter(walk), fps=12, count=20, settings=FAST, solver=known_places(WALK, walk))
    assert (track.start, track.stop, track.frames) == (0, 20, 20)
    assert track.trajectory.fps == 12
    assert bool(track.residual.isfinite().all())
    degrees, metres = errors_of(track, WALK)
    assert float(degrees.median()) < 0.1
    assert float(degrees.quantile(0.95)) < 0.25
    way = float(WALK[:, :3, 3].diff(dim=0).norm(dim=1).sum())
    assert float(metres.quantile(0.95)) < 0.01 * way
    assert "20 of 20 frames placed" in track.report()
    assert len(track.as_dict()["keys"]) == len(track.keys)  # pyright: ignore[reportArgumentType]


def test_frames_before_the_first_key_are_placed(walk: list[torch.Tensor]) -> None:
    """The walk begins blurred: the first key frame comes later, those before it are fitted backwards."""
    video = [blur(rgb, 1) if i < 3 else rgb for i, rgb in enumerate(walk[:12])]
    track = track_frames(lambda: iter(video), fps=12, settings=FAST, solver=known_places(WALK, video))
    assert track.start == 0
    assert track.keys[0].frame == 3
    assert bool(track.residual.isfinite().all())
    degrees, metres = errors_of(track, WALK)
    assert float(degrees[:3].max()) < 0.5
    assert float(metres[:3].max()) < 0.02


@pytest.mark.parametrize("silent", [1, None])
def test_key_frames_that_saw_no_points(walk: list[torch.Tensor], silent: int | None) -> None:
    """One key frame, or all, have a place and no points: from the same spot as another, or from GPS."""
    known = known_places(WALK, walk)

    def solve(rgb, valid, progress) -> PanoramaPoses:
        poses = known(rgb, valid, progress)
        seen = poses.observation_panorama != silent if silent else poses.observation_panorama < 0
        return dataclasses.replace(
            poses,
            observation_panorama=poses.observation_panorama[seen],
            observation_point=poses.observation_point[seen],
        )

    settings = dataclasses.replace(FAST, parallax=math.radians(1))
    track = track_frames(lambda: iter(walk[:8]), fps=12, settings=settings, solver=solve)
    degrees, metres = errors_of(track, WALK)
    if silent:
        assert bool(track.residual.isfinite().all())
        assert float(degrees.max()) < 0.5
    else:
        assert bool(track.residual.isnan().all())
        assert any("guess" in text for text in track.warnings)
    assert float(metres[[key.frame for key in track.keys]].max()) < 0.01


def test_path_length_makes_it_metric(walk: list[torch.Tensor]) -> None:
    settings = dataclasses.replace(FAST, path_length=7.0, parallax=math.radians(1))
    track = track_frames(lambda: iter(walk[:8]), fps=12, settings=settings, solver=known_places(WALK, walk))
    assert track.poses.metric
    way = float(track.trajectory.positions.diff(dim=0).norm(dim=1).sum())
    assert way == pytest.approx(7.0, rel=1e-4)
    keys = torch.tensor([key.frame - track.start for key in track.keys])
    assert torch.allclose(track.poses.T_world_cam[:, :3, 3], track.trajectory.positions[keys], atol=0.05)


def test_without_places_the_turning_is_left(walk: list[torch.Tensor]) -> None:
    def lost(rgb, valid, progress) -> PanoramaPoses:
        count = len(rgb)
        return PanoramaPoses(
            T_world_cam=torch.eye(4).repeat(count, 1, 1),
            registered=torch.zeros(count, dtype=torch.bool),
            warnings=("nothing matched",),
        )

    settings = dataclasses.replace(FAST, parallax=math.radians(1))
    track = track_frames(lambda: iter(walk[:8]), fps=12, settings=settings, solver=lost)
    assert not any(key.registered for key in track.keys)
    assert float(track.trajectory.positions.abs().max()) == 0
    assert any("no motion" in text for text in track.warnings)
    assert "nothing matched" in track.warnings
    assert bool(track.residual.isnan().all())


def test_memory_does_not_grow_with_the_video() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def source():
        nonlocal most
        for i in range(45):
            rgb = frame(se3_from(torch.eye(3), torch.tensor([0.0, 0.0, 0.001 * i])), 64)
            alive.append(weakref.ref(rgb))
            yield rgb
            if i % 15 == 14:
                gc.collect()
                most = max(most, sum(one() is not None for one in alive))

    small = TrackSettings(height=64, tracking_height=64, corners=60)
    track = track_frames(source, fps=30, settings=small, solver=lambda *_: pytest.fail("nothing to place"))
    assert len(track.trajectory) == 45
    assert any("hardly moves" in text for text in track.warnings)
    assert most <= 4


def test_video_file(tmp_path: Path, walk: list[torch.Tensor]) -> None:
    path = tmp_path / "walk.mp4"
    write_video(path, iter(walk[:10]), fps=10, crf=12)
    told: list[tuple[int, int]] = []
    track = track_video(
        path,
        settings=FAST,
        solver=known_places(WALK, walk),
        progress=lambda done, total: told.append((done, total)),
    )
    assert track.trajectory.fps == 10
    assert (track.start, track.stop) == (0, 10)
    degrees, _ = errors_of(track, WALK)
    assert float(degrees.median()) < 0.3
    assert told[-1][0] == told[-1][1]


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        track_video(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="at least two frames"):
        track_frames(lambda: iter([torch.zeros(3, 64, 128)]), fps=10)
    with pytest.raises(ConventionError, match=r"equirectangular video.*Export it as a full 360° video"):
        track_frames(lambda: iter([torch.zeros(3, 64, 100)] * 3), fps=10)
    for name, value in (("parallax", 0.0), ("max_keys", 1), ("height", 8), ("path_length", math.inf)):
        with pytest.raises(InputError, match=name):
            dataclasses.replace(FAST, **{name: value})


@pytest.mark.slow
def test_structure_from_motion_places_the_keys() -> None:
    """The real chain on ray-traced frames: a shaky walk through a street, key frames placed by pycolmap."""
    pytest.importorskip("pycolmap")
    from pantheon_core.synthetic import generate_scene, scene_path, trace

    scene = generate_scene(1_000_002, "street")
    truth = scene_path(scene, 0, 20, 12.0, share=(0.3, 0.5)).double()
    shake = shaky_walk(20, length=0.0, turn=3.0, sway=0.015)
    truth[:, :3, :3] = truth[:, :3, :3] @ shake[:, :3, :3]
    truth[:, :3, 3] += shake[:, :3, 3]
    video = [trace(scene, T.float(), 256, samples=2).rgb for T in truth]
    track = track_frames(lambda: iter(video), fps=12, settings=TrackSettings(height=256))
    assert all(key.registered for key in track.keys)
    first = track.keys[0].frame
    centred = (se3_inverse(truth[first]) @ truth)[track.start : track.stop, :3, 3]
    found = track.trajectory.positions.double()
    scale = float((found * centred).sum() / found.square().sum())
    way = float(centred.diff(dim=0).norm(dim=1).sum())
    degrees, _ = errors_of(track, truth)
    assert float(degrees.quantile(0.95)) < 0.5
    assert float((scale * found - centred).norm(dim=1).quantile(0.95)) < 0.02 * way


def test_the_verb_writes_what_was_found(
    tmp_path: Path,
    walk: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The places come from a function, as pycolmap is an extra; all else is the verb's own."""
    from pantheon_core.cache import load_ply
    from pantheon_core.cli import main
    from pantheon_core.recon.video_in import _keys
    from pantheon_core.trajectory import read_trajectory

    monkeypatch.setattr(_keys, "structure_from_motion", lambda numbers: known_places(WALK, walk))
    video, out = tmp_path / "walk.mp4", tmp_path / "out"
    write_video(video, iter(walk[:8]), fps=10, crf=12)
    files = ["--path-out", str(out / "path.json"), "--keys-out", str(out / "keys")]
    files += ["--points-out", str(out / "points.ply"), "--report", str(out / "report.json")]
    verb = ["track", str(video), "-q", "--height", str(H), "--parallax-deg", "1", *files]
    assert main(verb) == 0
    assert "8 of 8 frames placed" in capsys.readouterr().err
    assert len(read_trajectory(out / "path.json")) == 8
    assert len(load_ply(out / "points.ply").points) == 240
    report = json.loads((out / "report.json").read_text())
    keys = json.loads((out / "keys" / "keys.json").read_text())
    assert [one["image"] for one in keys["panoramas"]] == [
        f"{key['frame']:05d}.png" for key in report["keys"]
    ]
    assert all((out / "keys" / one["image"]).is_file() for one in keys["panoramas"])
    assert main(verb) == 2
    assert main(["track", str(tmp_path / "none.mp4")]) == 2
