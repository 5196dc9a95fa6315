"""Folders of ViPE."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scene_folders import ALL, H, box, picture, vipe_folder

from pantheon_core.errors import InputError, MediaError
from pantheon_core.recon.importers import ImportOptions, detect_scene, import_scene
from pantheon_core.recon.importers.vipe import _slam_map


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written once: encoding the video takes longest."""
    return vipe_folder(tmp_path_factory.mktemp("made") / "vipe")


@pytest.fixture
def vipe(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "vipe"))


def test_vipe_folder(vipe: Path) -> None:
    folder = vipe
    assert detect_scene(folder) == "vipe"
    scene = import_scene(folder, options=ALL)
    assert scene.kind == "vipe"
    assert scene.warnings == ()
    assert scene.trajectory.fps == 12
    # the first camera is the world, so ViPE's own turn of the world is gone
    wanted = torch.tensor([[i / 4, 0, 0] for i in range(5)])
    assert torch.allclose(scene.trajectory.positions, wanted, atol=1e-6)
    assert torch.allclose(scene.trajectory.T_world_cam[:, :3, :3], torch.eye(3).expand(5, 3, 3), atol=1e-6)
    assert [one.frame for one in scene.panoramas] == [0, 1, 2, 3, 4]
    for i, one in enumerate(scene.panoramas):
        assert one.rgb is not None
        assert one.estimate is not None
        assert float((one.rgb - picture(i)).abs().mean()) < 0.05  # the video is lossy
        estimate, truth = one.estimate, box((i / 4, 0, 0))
        middle = slice(4, -4)
        assert torch.allclose(estimate.distance[middle], truth[middle], rtol=1e-3)  # halves
        assert bool(estimate.valid[middle].all())
        assert not estimate.valid[:4].any()
        assert bool((estimate.sky[:4] == 1).all())
        assert not estimate.valid[-4:].any()
        assert not estimate.sky[-4:].any()
        assert not estimate.metric


def test_vipe_map_and_axes(vipe: Path) -> None:
    """By hand: the red point is 2 m to the right of camera 0 and 1 m to the right of camera 4."""
    scene = import_scene(vipe, options=ALL)
    points, cache = scene.poses.points, scene.points
    assert cache is not None
    assert torch.allclose(points, torch.tensor([[2.0, 0, 0], [0, 0, 3], [0, -1.5, 0]]), atol=1e-5)
    assert torch.equal(scene.poses.colors, torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255]]).byte())
    pairs = set(
        zip(scene.poses.observation_panorama.tolist(), scene.poses.observation_point.tolist(), strict=True)
    )
    assert pairs == {(0, 0), (0, 1), (4, 2)}
    assert cache.anchor.tolist() == [0, 0, 4]
    # the pixel to the right of the middle by a quarter of the width looks along +x
    right = scene.panoramas[4].estimate
    assert right is not None
    assert float(right.distance[H // 2, 3 * H // 2]) == pytest.approx(1.0, rel=0.01)


def test_vipe_gaps_selection_and_scale(tmp_path: Path) -> None:
    folder = vipe_folder(tmp_path / "vipe", frames=6, without=(3,), start=1)
    scene = import_scene(folder, options=ImportOptions(panoramas=2, height=16, scale=2.0))
    assert len(scene.trajectory) == 5
    assert torch.allclose(scene.trajectory.positions[:, 0], torch.arange(5) / 2, atol=1e-6)
    assert [one.frame for one in scene.panoramas] == [0, 4]
    rgb, estimate = scene.panoramas[0].rgb, scene.panoramas[0].estimate
    assert rgb is not None
    assert estimate is not None
    assert rgb.shape == (3, 16, 32)
    assert estimate.metric
    assert scene.poses.metric
    assert float(estimate.distance[8, 24]) == pytest.approx(2 * 1.75, rel=0.03)
    assert any("start at frame 1" in text or "starts at frame 1" in text for text in scene.warnings)
    assert any("1 frames between" in text for text in scene.warnings)


def test_vipe_perspective_keeps_the_path(vipe: Path) -> None:
    folder = vipe
    (folder / "intrinsics" / "walk_camera.txt").write_text("0: PINHOLE\n")
    scene = import_scene(folder, options=ALL)
    assert scene.panoramas == ()
    assert len(scene.trajectory) == 5
    assert scene.points is not None
    assert "perspective" in scene.warnings[0]


def test_a_map_with_code_in_it_is_refused(vipe: Path, tmp_path: Path) -> None:
    folder = vipe
    marker = tmp_path / "ran"

    class Harm:
        def __reduce__(self):
            return (Path.touch, (marker,))

    with (folder / "vipe" / "walk_slam_map.pt").open("wb") as file:
        pickle.dump({"dense_disp_xyz": Harm()}, file, protocol=2)
    with pytest.raises(MediaError, match="map of ViPE as tensors only"):
        import_scene(folder)
    assert not marker.exists()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_a_map_that_is_cut_off_is_said(vipe: Path, share: float) -> None:
    path = vipe / "vipe" / "walk_slam_map.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(MediaError, match=r"walk_slam_map\.pt: expected the map of ViPE.*empty, damaged"):
        import_scene(vipe)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_damaged_map_is_said_or_still_readable(vipe: Path) -> None:
    """Any bytes: whatever torch says of them comes out as one sentence."""
    path = vipe / "vipe" / "walk_slam_map.pt"
    generator = np.random.default_rng(0)
    said = 0
    for legacy in (False, True):
        data = torch.load(path, weights_only=True)
        torch.save(data, path, _use_new_zipfile_serialization=not legacy)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(40):
            bytes_ = whole.copy()
            bytes_[generator.integers(0, len(whole), 20)] = generator.integers(0, 256, 20)
            path.write_bytes(bytes_.tobytes())
            try:
                _slam_map(path, 0, 5)
            except MediaError:
                said += 1
        path.write_bytes(whole.tobytes())
    assert said > 20


def test_vipe_damage_is_said(vipe: Path) -> None:
    folder = vipe
    whole = (folder / "depth" / "walk.zip").read_bytes()
    (folder / "depth" / "walk.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="expected a ZIP archive of depth"):
        import_scene(folder)
    (folder / "depth" / "walk.zip").write_bytes(whole)
    with zipfile.ZipFile(folder / "depth" / "walk.zip", "w") as archive:
        archive.writestr("00000.exr", b"\x76\x2f\x31\x01 no more")
    with pytest.raises(MediaError, match=r"walk\.zip, 00000\.exr: .*damaged"):
        import_scene(folder)
    np.savez(folder / "pose" / "walk.npz", data=np.zeros((2, 4, 4)), inds=np.arange(3))
    with pytest.raises(InputError, match="inds: expected one whole number for each of the 2 poses"):
        import_scene(folder)
    (folder / "pose" / "other.npz").write_bytes(b"")
    with pytest.raises(InputError, match="has 2 videos"):
        import_scene(folder)


def test_the_verb_writes_what_was_read(
    vipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pantheon_core.cache import load_ply
    from pantheon_core.cli import main
    from pantheon_core.trajectory import read_trajectory

    out = tmp_path / "out"
    files = ["--path-out", str(out / "path.json"), "--points-out", str(out / "points.ply")]
    verb = ["import", str(vipe), "-q", "--panoramas", "2", "--height", "16", *files]
    assert main([*verb, "--panoramas-out", str(out / "panoramas")]) == 0
    assert "5 cameras at 12 per second" in capsys.readouterr().err
    assert len(read_trajectory(out / "path.json")) == 5
    assert len(load_ply(out / "points.ply").points) == 3
    scene = json.loads((out / "panoramas" / "scene.json").read_text())
    assert [one["frame"] for one in scene["panoramas"]] == [0, 4]
    for one in scene["panoramas"]:
        with Image.open(out / "panoramas" / one["image"]) as image:
            assert image.size == (32, 16)
        assert np.load(out / "panoramas" / one["distance"]).shape == (16, 32)
    assert main(verb) == 2  # files that are there stay
    assert "already there" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none")]) == 2
