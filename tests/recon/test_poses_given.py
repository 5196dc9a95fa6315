"""Poses from files, GPS and matrices, and the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from pantheon_core.errors import ConventionError, InputError, MediaError
from pantheon_core.geometry import rotation_from_yaw_pitch_roll, se3_from, se3_inverse
from pantheon_core.panorama import Panorama
from pantheon_core.recon.poses import (
    PanoramaPoses,
    find_poses,
    poses_from_file,
    poses_from_gps,
    poses_from_matrices,
)
from pantheon_core.trajectory import Trajectory, write_trajectory

PLACES = torch.stack(
    [
        se3_from(rotation_from_yaw_pitch_roll(torch.tensor(yaw)), torch.tensor(place))
        for yaw, place in ((0.5, [3.0, 0.0, 1.0]), (1.2, [1.1, 0.1, 0.4]), (-2.0, [0.2, -0.1, 1.3]))
    ]
)


def _photo(heading_deg: float | None = None, **metadata: str) -> Panorama:
    return Panorama(
        rgb=torch.zeros(3, 8, 16),
        valid=torch.ones(8, 16, dtype=torch.bool),
        heading=None if heading_deg is None else math.radians(heading_deg),
        metadata=metadata,
    )


def test_gps_becomes_metres_in_the_first_cameras_frame() -> None:
    # At the equator a second of arc of longitude is 30.922 m, of latitude 30.715 m (WGS 84).
    arc = 1 / 3600
    poses = poses_from_gps(
        [
            _photo(90.0, latitude="0.0", longitude="10.0"),
            _photo(120.0, latitude="0.0", longitude=f"{10 + arc:.9f}"),
            _photo(0.0, latitude=f"{arc:.9f}", longitude="10.0"),
        ]
    )
    assert poses.metric
    assert poses.registered.all()
    # The first camera looks east: east is ahead, north is to the left.
    torch.testing.assert_close(
        poses.T_world_cam[1, :3, 3], torch.tensor([0.0, 0.0, 30.922]), atol=0.01, rtol=0
    )
    torch.testing.assert_close(
        poses.T_world_cam[2, :3, 3], torch.tensor([-30.715, 0.0, 0.0]), atol=0.01, rtol=0
    )
    turned = rotation_from_yaw_pitch_roll(torch.tensor(math.radians(30.0)))
    torch.testing.assert_close(poses.T_world_cam[1, :3, :3], turned)
    assert any("3 to 10 m" in warning for warning in poses.warnings)


def test_gps_altitude_is_up() -> None:
    here = {"latitude": "47.0", "longitude": "8.0"}
    low, high = (_photo(0.0, altitude=altitude, **here) for altitude in ("400.0", "405.0"))
    poses = poses_from_gps([low, high], use_altitude=True)
    torch.testing.assert_close(poses.T_world_cam[1, :3, 3], torch.tensor([0.0, -5.0, 0.0]), atol=1e-4, rtol=0)
    flat = poses_from_gps([low, high], names=["a", "b"])
    assert flat.T_world_cam[1, :3, 3].abs().max() < 1e-6
    assert any("a and b: recorded at the same place" in warning for warning in flat.warnings)


def test_gps_says_what_is_missing() -> None:
    here = {"latitude": "47.0", "longitude": "8.0"}
    poses = poses_from_gps(
        [_photo(10.0), _photo(None, **here), _photo(None, image_direction="90.0", **here)],
        names=["no place", "no heading", "direction"],
    )
    assert poses.registered.tolist() == [False, False, True]
    assert "no place has no place: its file records no latitude" in poses.warnings[0]
    assert "no heading has no place: its file records no heading" in poses.warnings[1]
    torch.testing.assert_close(poses.T_world_cam[2], torch.eye(4))
    with pytest.raises(InputError, match="none of their files records"):
        poses_from_gps([_photo(), _photo(5.0, latitude="abc", longitude="8")])


@pytest.mark.parametrize(("name", "format"), [("p.json", "pantheon"), ("p.tum", "tum"), ("m", "colmap")])
def test_a_file_gives_one_pose_per_panorama(tmp_path: Path, name: str, format: str) -> None:
    path = tmp_path / name / "images.txt" if format == "colmap" else tmp_path / name
    write_trajectory(Trajectory(T_world_cam=PLACES, fps=1.0), path, format=format)
    poses = poses_from_file(path, 3, scale=2.0)
    expected = se3_inverse(PLACES[0]) @ PLACES
    expected[:, :3, 3] *= 2
    torch.testing.assert_close(poses.T_world_cam, expected, atol=1e-5, rtol=0)
    assert poses.metric
    with pytest.raises(InputError, match="one pose for each of the 2 panoramas, in their order, got 3"):
        poses_from_file(path, 2)


def test_files_that_are_not_there_or_no_poses(tmp_path: Path) -> None:
    with pytest.raises((MediaError, InputError)):
        poses_from_file(tmp_path / "none.tum", 2)
    with pytest.raises(InputError, match="format"):
        poses_from_file(tmp_path / "none.tum", 2, format="mp3")
    with pytest.raises(InputError, match="file: expected a file with poses together"):
        find_poses([_photo(), _photo()], method="file")
    with pytest.raises(InputError, match="method"):
        find_poses([_photo(), _photo()], method="magic")


def test_matrices_are_checked_and_rebased() -> None:
    poses = poses_from_matrices(torch.stack([PLACES[0], PLACES[1], PLACES[0]]))
    torch.testing.assert_close(poses.T_world_cam[0], torch.eye(4), atol=1e-6, rtol=0)
    assert "panoramas 1 and 3 are given at exactly the same place" in poses.warnings[0]
    with pytest.raises(ConventionError):
        poses_from_matrices(PLACES * 2)
    with pytest.raises(InputError):
        poses_from_matrices(PLACES * math.nan)


def test_the_type_checks_its_indices() -> None:
    with pytest.raises(InputError, match="observation_point"):
        PanoramaPoses(
            T_world_cam=PLACES,
            registered=torch.ones(3, dtype=torch.bool),
            points=torch.zeros(2, 3),
            colors=torch.zeros(2, 3, dtype=torch.uint8),
            observation_panorama=torch.tensor([0]),
            observation_point=torch.tensor([2]),
        )


def test_the_command_writes_poses_report_and_cache(tmp_path: Path) -> None:
    from PIL import Image

    from pantheon_core.cli import main
    from pantheon_core.synthetic import generate_scene, trace

    scene = generate_scene(1_000_011, "room")
    own = se3_inverse(PLACES[0]) @ PLACES
    photos = []
    for index in range(2):
        pixels = (trace(scene, own[index], 64).rgb.permute(1, 2, 0) * 255).round().byte()
        photos.append(str(tmp_path / f"{index}.png"))
        Image.fromarray(pixels.numpy()).save(photos[-1])
    write_trajectory(Trajectory(T_world_cam=PLACES[:2], fps=1.0), tmp_path / "given.json", format="pantheon")
    out, report, cache = (tmp_path / name for name in ("out.tum", "report.json", "scene.ply"))
    arguments = ["poses", *photos, "--method", "file", "--poses-file", str(tmp_path / "given.json"), "-q"]
    arguments += ["--source-height", "64", "--out", str(out), "--report", str(report)]
    assert main([*arguments, "--backend", "tiny", "--cache-out", str(cache)]) == 0
    torch.testing.assert_close(poses_from_file(out, 2).T_world_cam, own[:2], atol=1e-4, rtol=0)
    told = json.loads(report.read_text())
    assert told["units"] == "m"
    assert [entry["registered"] for entry in told["panoramas"]] == [True, True]
    assert cache.stat().st_size > 10_000
    assert main(arguments) == 2  # the files are there
    assert main([*arguments, "--overwrite", "--first-to-second", "4"]) == 0
    moved = poses_from_file(out, 2).T_world_cam[1, :3, 3]
    assert float(moved.norm()) == pytest.approx(4.0, abs=1e-4)
