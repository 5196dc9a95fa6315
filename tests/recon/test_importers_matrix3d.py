"""Folders of Matrix-3D."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_folders import ALL, H, box, exr, matrix3d_folder, picture

from pantheon_core.errors import ConventionError, InputError, MediaError
from pantheon_core.recon.importers import detect_scene, import_scene, matrix3d
from pantheon_core.video import read_video, write_video


@pytest.mark.parametrize("masks", [True, False])
def test_matrix3d_folder(tmp_path: Path, masks: bool) -> None:
    folder = matrix3d_folder(tmp_path / "m", masks=masks)
    assert detect_scene(folder) == "matrix3d"
    scene = import_scene(folder, options=ALL)
    assert torch.allclose(scene.trajectory.positions[:, 2], torch.arange(12) / 10, atol=1e-6)
    assert [one.frame for one in scene.panoramas] == [0, 10]
    assert torch.allclose(scene.poses.T_world_cam[1, :3, 3], torch.tensor([0.0, 0, 1.0]), atol=1e-6)
    later = scene.panoramas[1]
    assert later.rgb is not None
    assert later.estimate is not None
    assert torch.allclose(later.rgb, picture(10), atol=1 / 255)
    assert torch.allclose(later.estimate.distance[4:], box((0, 0, 1.0))[4:], rtol=1e-5)
    assert bool((later.estimate.sky[:4] == 1).all())
    # by hand: the wall ahead is 3 m from camera 0 and 2 m from camera 10
    assert float(later.estimate.distance[H // 2, H]) == pytest.approx(2.0, rel=0.01)


def test_matrix3d_first_frame_and_npz(tmp_path: Path) -> None:
    root = tmp_path / "m"
    matrix3d_folder(root, depths=())
    cameras = np.array(json.loads((root / "pano_video_cam.json").read_text()))
    (root / "pano_video_cam.json").unlink()
    (root / "condition").mkdir()
    np.savez(root / "condition" / "cameras.npz", cameras)
    values = box((0, 0, 0)).numpy()
    (root / "condition" / "firstframe_depth.exr").write_bytes(exr(values, "Y", root))
    write_video(root / "pano_video.mp4", iter([picture(i) for i in range(12)]), fps=24, codec="h264")
    scene = import_scene(root, options=ALL)
    assert scene.trajectory.fps == 24
    assert [one.frame for one in scene.panoramas] == [0]
    estimate = scene.panoramas[0].estimate
    assert estimate is not None
    kept = torch.from_numpy(values < 0.9 * values.max())
    assert torch.equal(estimate.valid, kept)
    assert torch.allclose(estimate.distance[kept], torch.from_numpy(values)[kept], rtol=1e-5)


def test_matrix3d_bad_files(tmp_path: Path) -> None:
    folder = matrix3d_folder(tmp_path / "m", depths=(0, 50))
    with pytest.raises(InputError, match="expected a frame below 12"):
        import_scene(folder)
    (folder / "pano_video_cam.json").write_text(json.dumps([(2 * np.eye(4)).tolist()]))
    with pytest.raises(ConventionError, match=r"pano_video_cam\.json: entry 0"):
        import_scene(folder)
    (folder / "pano_video_cam.json").write_text("[[1, 2")
    with pytest.raises(InputError, match="expected JSON"):
        import_scene(folder)


def test_matrix3d_reads_its_video_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = matrix3d_folder(tmp_path / "m", depths=(0, 4, 7))
    (folder / "geom_optim/data/optimized_depths/0004_rgb.png").unlink()
    (folder / "geom_optim/data/optimized_depths/0007_rgb.png").unlink()
    write_video(folder / "pano_video.mp4", iter([picture(i) for i in range(12)]), fps=24, codec="h264", crf=0)
    opened = []

    def counted(path: Path, **frames: int) -> Iterator[torch.Tensor]:
        opened.append(frames)
        return read_video(path, **frames)

    monkeypatch.setattr(matrix3d, "read_video", counted)
    scene = import_scene(folder, options=ALL)
    assert opened == [{"start": 4, "stop": 8}]
    for one, i in zip(scene.panoramas, (0, 4, 7), strict=True):
        assert one.rgb is not None
        assert float((one.rgb - picture(i)).abs().mean()) < 0.02
    for path in folder.glob("geom_optim/**/*.*"):
        path.unlink()
    opened.clear()
    assert len(import_scene(folder, options=ALL).panoramas) == 12
    assert len(opened) == 1
    write_video(folder / "pano_video.mp4", iter([picture(i) for i in range(9)]), fps=24, codec="h264")
    with pytest.raises(MediaError, match="expected frame 9, which has a camera"):
        import_scene(folder, options=ALL)
