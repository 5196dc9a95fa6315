"""Folders as ViPE, Matrix-3D and COLMAP write them, byte by byte where the format is binary."""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pantheon_core.geometry import crop_rotations, erp_rays, erp_to_perspective
from pantheon_core.recon.importers import ImportOptions
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
