"""Models and data sets of COLMAP."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scene_folders import ALL, COLMAP_TEXT, H, colmap_bytes, colmap_folder, picture, write_rig

from pantheon_core.errors import ConventionError, InputError, MediaError
from pantheon_core.geometry import rotation_from_yaw_pitch_roll
from pantheon_core.recon.importers import ImportOptions, detect_scene, import_scene


@pytest.mark.parametrize("kind", ["bin", "txt"])
def test_colmap_panoramas(tmp_path: Path, kind: str) -> None:
    folder = colmap_folder(tmp_path / "c", kind)
    assert detect_scene(folder) == "colmap"
    scene = import_scene(folder, options=ImportOptions(panoramas=0, height=0, fps=5))
    assert [one.name for one in scene.panoramas] == ["walk_2", "walk_10", "walk_11"]
    assert scene.trajectory.fps == 5
    wanted = torch.tensor([[0.0, 0, 0], [1, 0, 2], [0, -1, 0]])
    assert torch.allclose(scene.trajectory.positions, wanted, atol=1e-6)
    turned = rotation_from_yaw_pitch_roll(math.pi / 2)
    assert torch.allclose(scene.poses.T_world_cam[1, :3, :3], turned, atol=1e-6)
    assert torch.allclose(scene.poses.points, torch.tensor([[1.0, 0, 5], [-1, 0.5, 0]]))
    assert scene.poses.colors.tolist() == [[10, 20, 30], [40, 50, 60]]
    assert scene.points is not None
    assert scene.points.anchor.tolist() == [0, 2]
    pairs = set(
        zip(scene.poses.observation_panorama.tolist(), scene.poses.observation_point.tolist(), strict=True)
    )
    assert pairs == {(0, 0), (1, 0), (2, 1)}
    for one, i in zip(scene.panoramas, (2, 10, 11), strict=True):
        assert one.rgb is not None
        assert torch.allclose(one.rgb, picture(i), atol=1 / 255)
    # by hand: point 100 is 3 ahead of camera walk_10 in the world, that is to its left after a turn right
    seen = torch.linalg.inv(scene.poses.T_world_cam[1].double()) @ torch.tensor([1.0, 0, 5, 1]).double()
    assert torch.allclose(seen[:3], torch.tensor([-3.0, 0, 0]).double(), atol=1e-6)


def test_colmap_far_from_zero_keeps_its_digits(tmp_path: Path) -> None:
    """Geo-referenced models lie millions of metres from zero, where float32 has steps of decimetres."""
    folder = colmap_folder(tmp_path / "c", "txt")
    text = COLMAP_TEXT["images.txt"]
    text = text.replace("4 1 0 0 0 0 0 0 7", "4 1 0 0 0 -5000000 0 0 7")
    text = text.replace("5 1 0 0 0 0 1 0 7", "5 1 0 0 0 -5000000.001 0 0 7")
    (folder / "sparse" / "0" / "images.txt").write_text(text)
    (folder / "sparse" / "0" / "points3D.txt").write_text("1 5000000.125 0 3 1 2 3 0.1 4 0\n")
    scene = import_scene(folder, options=ALL)
    assert torch.allclose(scene.poses.points, torch.tensor([[0.125, 0, 3]]), atol=1e-6)
    assert float(scene.poses.T_world_cam[2, 0, 3]) == pytest.approx(0.001, abs=1e-6)


@pytest.mark.parametrize("frames", [True, False])
def test_colmap_rigs_become_panoramas(tmp_path: Path, frames: bool) -> None:
    panoramas = [picture(0), picture(1)]
    write_rig(tmp_path, panoramas, frames=frames)
    scene = import_scene(tmp_path, options=ImportOptions(panoramas=0, height=H))
    assert [one.name for one in scene.panoramas] == ["pano0", "pano1"]
    wanted = torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    assert torch.allclose(scene.trajectory.positions, wanted, atol=1e-6)
    assert torch.allclose(scene.poses.T_world_cam[:, :3, :3], torch.eye(3).expand(2, 3, 3), atol=1e-6)
    assert scene.poses.observation_panorama.tolist() == [0, 1]
    for one, truth in zip(scene.panoramas, panoramas, strict=True):
        assert one.rgb is not None
        assert one.valid is not None
        level = slice(H // 4 + 2, -H // 4 - 2)  # eight level crops leave caps over the poles
        assert bool(one.valid[level].all())
        assert not one.valid[0].any()
        assert float((one.rgb - truth)[:, level].abs().mean()) < 0.01


@pytest.mark.parametrize("kind", ["binary", "text"])
def test_colmap_as_colmap_itself_writes_it(tmp_path: Path, kind: str) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig = 1, 4, 3
    options.num_points3D = 20
    options.sensor_from_rig_translation_stddev = 0.0
    options.sensor_from_rig_rotation_stddev = 40.0
    made = pycolmap.synthesize_dataset(options)
    getattr(made, f"write_{kind}")(str(tmp_path))
    scene = import_scene(tmp_path, options=ImportOptions(panoramas=0))
    frames = sorted(made.frames.values(), key=lambda frame: frame.frame_id)
    T_file_rig = np.stack([np.eye(4)] * 3)
    T_file_rig[:, :3] = [frame.rig_from_world.inverse().matrix() for frame in frames]
    T_world_rig = np.linalg.inv(T_file_rig[0]) @ T_file_rig
    assert torch.allclose(scene.trajectory.T_world_cam.double(), torch.from_numpy(T_world_rig), atol=1e-5)
    assert len({one.name for one in scene.panoramas}) == 3
    assert len(scene.poses.observation_point) == 3 * 20
    xyz = np.stack([made.points3D[i].xyz for i in sorted(made.points3D)])
    local = (np.linalg.inv(T_file_rig[0]) @ np.c_[xyz, np.ones(20)].T).T[:, :3]
    gap = torch.cdist(scene.poses.points.double(), torch.from_numpy(local))
    assert float(gap.amin(1).max()) < 1e-4


def test_colmap_perspective_keeps_path_and_points(tmp_path: Path) -> None:
    folder = colmap_folder(tmp_path / "c", "txt")
    (folder / "sparse" / "0" / "cameras.txt").write_text("7 SIMPLE_RADIAL 64 48 50 32 24 0.1\n")
    scene = import_scene(folder, options=ALL)
    assert scene.panoramas == ()
    assert len(scene.trajectory) == 3
    assert scene.points is not None
    assert len(scene.points.points) == 2
    assert "perspective" in scene.warnings[0]


def test_colmap_without_pictures_still_gives_poses(tmp_path: Path) -> None:
    folder = colmap_folder(tmp_path / "c", "bin")
    (folder / "images" / "walk_10.png").unlink()
    scene = import_scene(folder, options=ALL)
    assert [one.rgb is None for one in scene.panoramas] == [False, True, False]
    assert "Pictures are missing" in scene.warnings[0]


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_colmap_cut_anywhere_is_said(tmp_path: Path, name: str) -> None:
    folder = colmap_folder(tmp_path / "c", "bin")
    whole = colmap_bytes()[name]
    for size in (0, 4, 11, len(whole) // 2, len(whole) - 1):
        (folder / "sparse" / "0" / name).write_bytes(whole[:size])
        with pytest.raises(MediaError, match=f"{name}: the COLMAP file is damaged or cut off"):
            import_scene(folder)
    (folder / "sparse" / "0" / name).write_bytes(whole + b"\0")
    with pytest.raises(MediaError, match="1 bytes are left over"):
        import_scene(folder)
    (folder / "sparse" / "0" / name).write_bytes(struct.pack("<Q", 1 << 60) + whole[8:])
    with pytest.raises(MediaError, match="too early"):  # a count that would fill the memory
        import_scene(folder)


def test_colmap_bad_text_names_the_line(tmp_path: Path) -> None:
    folder = colmap_folder(tmp_path / "c", "txt")
    place = folder / "sparse" / "0"
    for name, text, said in (
        ("points3D.txt", "100 1 0 5 10 20 300 0.5\n", r"points3D\.txt, line 1"),
        ("points3D.txt", "# one\n100 1 0\n", r"points3D\.txt, line 2"),
        ("images.txt", "4 1 0 0 zero 0 0 0 7 a.png\n\n", r"images\.txt, line 1"),
        ("cameras.txt", "7 EQUIRECTANGULAR 64 32 64\n", "2 parameters of EQUIRECTANGULAR, got 1"),
    ):
        (place / name).write_text(text)
        with pytest.raises(MediaError, match=said):
            import_scene(folder)
        (place / name).write_text(COLMAP_TEXT[name])
    (place / "images.txt").write_text("4 2 0 0 0 0 0 0 7 walk_2.png\n\n")
    with pytest.raises(ConventionError, match="unit quaternion"):
        import_scene(folder)
    (place / "images.txt").write_text("4 1 0 0 0 0 0 0 8 walk_2.png\n\n")
    with pytest.raises(InputError, match="has camera 8"):
        import_scene(folder)


def test_colmap_picture_names_stay_in_the_folder(tmp_path: Path) -> None:
    folder = colmap_folder(tmp_path / "c", "txt")
    Image.new("RGB", (2 * H, H)).save(tmp_path / "secret.png")
    text = COLMAP_TEXT["images.txt"].replace("walk_2.png", "../../secret.png")
    (folder / "sparse" / "0" / "images.txt").write_text(text)
    scene = import_scene(folder, options=ALL)
    assert scene.panoramas[[one.name for one in scene.panoramas].index("secret")].rgb is None
