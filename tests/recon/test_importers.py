"""Every file here is written by the test itself, byte by byte where the format is binary."""

from __future__ import annotations

import io
import json
import math
import pickle
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pantheon_core.errors import ConventionError, InputError, MediaError
from pantheon_core.geometry import crop_rotations, erp_rays, erp_to_perspective, rotation_from_yaw_pitch_roll
from pantheon_core.recon.importers import ImportOptions, detect_scene, import_scene
from pantheon_core.recon.importers._exr import read_exr_channel
from pantheon_core.video import write_video

H = 32
ALL = ImportOptions(panoramas=0, height=0)


def exr(values: np.ndarray, channel: str, folder: Path) -> bytes:
    OpenEXR = pytest.importorskip("OpenEXR")
    path = folder / "written.exr"
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {channel: np.ascontiguousarray(values)}) as file:
        file.write(str(path))
    return path.read_bytes()


def box(eye: tuple[float, float, float], half: tuple[float, float, float] = (2.0, 1.5, 3.0)) -> torch.Tensor:
    """Distances (H, 2H) from a place in a box to its walls: analytic truth."""
    rays = erp_rays(H)
    wall = torch.where(rays > 0, torch.tensor(half), -torch.tensor(half)) - torch.tensor(eye)
    return (wall / torch.where(rays.abs() < 1e-9, 1e-9, rays)).amin(-1)


def picture(seed: int) -> torch.Tensor:
    image = torch.rand(3, 4, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(image[None], (H, 2 * H), mode="bilinear")[0]


# --- OpenEXR


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_one_channel_of_any_name(tmp_path: Path, kind: type) -> None:
    values = np.linspace(0.1, 40, 8 * 16).reshape(8, 16).astype(kind)
    values[0, 0], values[0, 1] = np.inf, 0
    for channel in ("Z", "Y"):
        got = read_exr_channel(exr(values, channel, tmp_path), "depth.exr")
        assert got.shape == (8, 16)
        assert torch.equal(got, torch.from_numpy(values.astype(np.float32)))


def test_damaged_exr_is_said(tmp_path: Path) -> None:
    whole = exr(np.ones((8, 16), np.float16), "Z", tmp_path)
    for data in (b"", b"not exr at all", whole[:40], whole[:-10], whole[: len(whole) // 2]):
        with pytest.raises(MediaError, match=r"depth\.exr: .*(damaged|OpenEXR)"):
            read_exr_channel(data, "depth.exr")
    colours = exr(np.ones((8, 16, 3), np.float32), "RGB", tmp_path)
    with pytest.raises(MediaError, match="expected one channel of depth, such as Z, got B, G, R"):
        read_exr_channel(colours, "depth.exr")


# --- ViPE


def vipe_folder(root: Path, *, frames: int = 5, without: tuple[int, ...] = (), start: int = 0) -> Path:
    """Camera i stands i/4 metres to the right of the box's middle, and its world is turned by 90 degrees."""
    for part in ("pose", "rgb", "depth", "mask", "intrinsics", "vipe"):
        (root / part).mkdir(parents=True)
    turn = np.eye(4)
    turn[:3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    numbers = [i for i in range(start, frames) if i not in without]
    poses = []
    for i in numbers:
        pose = np.eye(4)
        pose[0, 3] = i / 4
        poses.append(turn @ pose)
    np.savez(root / "pose" / "walk.npz", data=np.stack(poses).astype(np.float32), inds=np.array(numbers))
    (root / "intrinsics" / "walk_camera.txt").write_text("".join(f"{i}: PANORAMA\n" for i in numbers))
    write_video(root / "rgb" / "walk.mp4", iter([picture(i) for i in range(frames)]), fps=12, codec="h264")
    with (
        zipfile.ZipFile(root / "depth" / "walk.zip", "w") as depth,
        zipfile.ZipFile(root / "mask" / "walk.zip", "w") as mask,
    ):
        for i in numbers:
            values = box((i / 4, 0, 0)).numpy().astype(np.float16)
            depth.writestr(f"{i:05d}.exr", exr(values, "Z", root))
            instances = np.zeros((H, 2 * H), np.uint8)
            instances[:4], instances[-4:] = 2, 1
            buffer = io.BytesIO()
            Image.fromarray(instances).save(buffer, "PNG")
            mask.writestr(f"{i:05d}.png", buffer.getvalue())
    (root / "mask" / "walk.txt").write_text("1: person\n2: sky\n")
    points = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 3.0], [0.0, -1.5, 0.0]], dtype=torch.float32)
    world = points @ torch.from_numpy(turn[:3, :3].T).float()
    torch.save(
        {
            "dense_disp_xyz": world,
            "dense_disp_rgb": torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]),
            "dense_disp_packinfo": torch.tensor([[[0, 2]], [[2, 1]]]),
            "dense_disp_frame_inds": [start, frames - 1],
            "device": torch.device("cpu"),
        },
        root / "vipe" / "walk_slam_map.pt",
    )
    return root


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


# --- Matrix-3D


def matrix3d_folder(root: Path, *, depths: tuple[int, ...] = (0, 10), masks: bool = True) -> Path:
    """Camera i has gone i/10 metres forward, so world to camera has -i/10 in z."""
    place = root / "geom_optim" / "data" / "optimized_depths"
    place.mkdir(parents=True)
    cameras = []
    for i in range(12):
        matrix = np.eye(4)
        matrix[2, 3] = -i / 10
        cameras.append(matrix.tolist())
    (root / "pano_video_cam.json").write_text(json.dumps(cameras))
    for i in depths:
        values = box((0, 0, i / 10)).numpy().astype(np.float32)
        values[:4] = 2 * values.max()  # the background shell
        (place / f"{i:04d}.exr").write_bytes(exr(values, "Y", root))
        rgb = (picture(i).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(rgb).save(place / f"{i:04d}_rgb.png")
        if masks:
            mask = np.full((H, 2 * H), 255, np.uint8)
            mask[:4] = 0
            Image.fromarray(mask).save(place / f"{i:04d}_mask.png")
    return root


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


# --- COLMAP

YAW90 = (math.sqrt(0.5), 0.0, -math.sqrt(0.5), 0.0)
"""World to camera of a camera that was turned right by 90 degrees: a rotation about +y by -90 degrees."""


def colmap_bytes() -> dict[str, bytes]:
    """Three panoramas: at (0,0,0), at (1,0,2) turned right by 90 degrees, at (0,-1,0); two points."""
    cameras = struct.pack("<Q", 1) + struct.pack("<IiQQ2d", 7, 17, 2 * H, H, 2 * H, H)
    images = struct.pack("<Q", 3)
    # t = -R c: for (1,0,2) turned by 90 degrees, R = [[0,0,-1],[0,1,0],[1,0,0]], so t = (2,0,-1)
    for number, q, t, name in (
        (4, (1, 0, 0, 0), (0, 0, 0), b"walk_2.png"),
        (9, YAW90, (2, 0, -1), b"walk_10.png"),
        (5, (1, 0, 0, 0), (0, 1, 0), b"walk_11.png"),
    ):
        images += struct.pack("<I7dI", number, *q, *t, 7) + name + b"\0"
        images += struct.pack("<Q", 2) + struct.pack("<ddQ", 1.5, 2.5, 100) * 2
    points = struct.pack("<Q", 2)
    points += struct.pack("<Q3d3Bd", 100, 1.0, 0.0, 5.0, 10, 20, 30, 0.5)
    points += struct.pack("<Q", 3) + struct.pack("<II", 4, 0) + struct.pack("<II", 9, 0) * 2
    points += struct.pack("<Q3d3Bd", 101, -1.0, 0.5, 0.0, 40, 50, 60, 0.5)
    points += struct.pack("<Q", 1) + struct.pack("<II", 5, 1)
    return {"cameras.bin": cameras, "images.bin": images, "points3D.bin": points}


COLMAP_TEXT = {
    "cameras.txt": f"# cameras\n7 EQUIRECTANGULAR {2 * H} {H} {2 * H} {H}\n",
    "images.txt": (
        "# two lines each\n4 1 0 0 0 0 0 0 7 walk_2.png\n1.5 2.5 100 3 4 -1\n"
        "9 0.70710678118654752 0 -0.70710678118654752 0 2 0 -1 7 walk_10.png\n\n"
        "5 1 0 0 0 0 1 0 7 walk_11.png\n\n"
    ),
    "points3D.txt": "100 1 0 5 10 20 30 0.5 4 0 9 0 9 1\n101 -1 0.5 0 40 50 60 0.5 5 1\n",
}


def colmap_folder(root: Path, kind: str) -> Path:
    place = root / "sparse" / "0"
    place.mkdir(parents=True)
    (root / "images").mkdir()
    for name, content in colmap_bytes().items() if kind == "bin" else COLMAP_TEXT.items():
        data = content if isinstance(content, bytes) else content.encode()
        (place / name).write_bytes(data)
    for i in (2, 10, 11):
        rgb = (picture(i).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(rgb).save(root / "images" / f"walk_{i}.png")
    return root


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


def write_rig(root: Path, panoramas: list[torch.Tensor], *, frames: bool) -> None:
    """Eight crops of 90 degrees per panorama, panorama i at (i, 0, 0)."""
    (root / "images").mkdir(parents=True)
    size, turns = 24, crop_rotations(8, dtype=torch.float64)
    lines, points, frame_lines, number = [], "", [], 0
    for i, pano in enumerate(panoramas):
        crops = erp_to_perspective(pano, turns.float(), fov_x=math.pi / 2, height=size, width=size)
        members = []
        for k in range(8):
            number += 1
            name = f"pano{i}_{k}.png"
            rgb = (crops[k].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
            Image.fromarray(rgb).save(root / "images" / name)
            half = (
                -k * math.pi / 8
            )  # world to camera turns back by k 45 degrees; half of it in the quaternion
            turn = f"{math.cos(half):.17g} 0 {math.sin(half):.17g} 0"
            shift = -(turns[k].T @ torch.tensor([float(i), 0, 0], dtype=torch.float64))
            lines += [f"{number} {turn} {' '.join(f'{v:.17g}' for v in shift.tolist())} 1 {name}", ""]
            members.append(number)
        pairs = " ".join(f"CAMERA 1 {member}" for member in members)
        frame_lines.append(f"{i + 1} 1 1 0 0 0 {-i} 0 0 {len(members)} {pairs}")
        points += f"{i + 1} {i} 0 2 9 9 9 0.1 {members[0]} 0 {members[1]} 0\n"
    (root / "cameras.txt").write_text(
        f"1 PINHOLE {size} {size} {size / 2} {size / 2} {size / 2} {size / 2}\n"
    )
    (root / "images.txt").write_text("\n".join(lines) + "\n")
    (root / "points3D.txt").write_text(points)
    if frames:
        (root / "frames.txt").write_text("\n".join(frame_lines) + "\n")


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


# --- all


def test_other_folders_are_refused(tmp_path: Path) -> None:
    assert detect_scene(tmp_path) is None
    with pytest.raises(InputError, match="expected a folder of ViPE"):
        import_scene(tmp_path)
    with pytest.raises(MediaError, match="no such folder"):
        import_scene(tmp_path / "none")
    with pytest.raises(InputError, match="kind: expected one of"):
        import_scene(tmp_path, kind="metashape")
    for wrong in ({"panoramas": -1}, {"height": 9000}, {"scale": math.nan}, {"fps": 0.0}):
        options: dict[str, Any] = dict(wrong)
        with pytest.raises(InputError, match=next(iter(options))):
            ImportOptions(**options)


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
