"""COLMAP sparse models as text: images.txt with the poses, cameras.txt with the lens.

World to camera, quaternion w, x, y, z (Hamilton), OpenCV camera axes; the world is taken as it is, its scale
is arbitrary. No times: frames go by image name, numbers in names counted as numbers (the ids have no order).
The lens written is EQUIRECTANGULAR, which COLMAP knows from version 4.1 on; its pixels are this project's.

Source: https://colmap.github.io/format.html; COLMAP's src/colmap/sensor/models.h (equirectangular model).
"""

from __future__ import annotations

from pathlib import Path

import torch

from ...errors import InputError
from ...geometry import quaternion_wxyz_from_rotation, se3_inverse
from .._keyframes import Trajectory
from ._files import floats, line, natural, read_text
from ._samples import Lens, Samples, rigid_from_quaternions

_POINTS = "# 3D point list with one line of data per point: none\n"


def read(path: Path) -> Samples:
    """Read images.txt, given itself or its folder; cameras.txt is not needed, a path has no lens."""
    text = read_text(path / "images.txt" if path.is_dir() else path)
    found = []
    lines = enumerate(text.splitlines(), start=1)
    for number, content in lines:
        words = content.split(maxsplit=9)
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 10:
            raise InputError(
                f"line {number}: expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, got "
                f"{len(words)} words; every image has two lines, the second may be empty"
            )
        found.append((words[9], number, floats(f"line {number}", words[1:8])))
        next(lines, None)  # the image's points
    found.sort(key=lambda image: natural(image[0]))

    def where(i: int) -> str:
        return f"line {found[i][1]} ({found[i][0]})"

    table = torch.tensor([image[2] for image in found], dtype=torch.float64).reshape(-1, 7)
    T_cam_world = rigid_from_quaternions(table[:, :4], table[:, 4:], where)
    return Samples(T_world_cam=se3_inverse(T_cam_world), where=where)


def encode(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The texts of images.txt, cameras.txt and an empty points3D.txt beside it.

    Raises:
        InputError: the folder has the cameras or points of another model.
    """
    width = 2 * lens.height
    cameras = (
        "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
        f"1 EQUIRECTANGULAR {width} {lens.height} {width} {lens.height}\n"
    )
    files = {
        path.with_name("cameras.txt"): cameras.encode(),
        path.with_name("points3D.txt"): _POINTS.encode(),
    }
    for side, content in files.items():
        if side.exists() and side.read_bytes() != content:
            raise InputError(f"{side}: already there, from another model; write into an empty folder")
    T_cam_world = se3_inverse(trajectory.T_world_cam.double().cpu())
    turns = quaternion_wxyz_from_rotation(T_cam_world[:, :3, :3]).tolist()
    rows = [
        "# Image list with two lines of data per image:",
        "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME",
        "#   POINTS2D[] as (X, Y, POINT3D_ID)",
    ]
    for i, (turn, place) in enumerate(zip(turns, T_cam_world[:, :3, 3].tolist(), strict=True)):
        rows += [f"{i + 1} {line(turn)} {line(place)} 1 frame_{i:05d}.png", ""]
    return {**files, path: ("\n".join(rows) + "\n").encode()}
