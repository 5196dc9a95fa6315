"""COLMAP models: sparse points, and pictures that are panoramas, rigs of crops of panoramas, or perspective.

`cameras`, `images` and `points3D` as .bin or .txt, in the folder, in `sparse/0` or in `sparse`; the pictures
in `images`. World to camera, Hamilton quaternions, OpenCV axes, an arbitrary unit. Pictures of the model
EQUIRECTANGULAR (COLMAP 4.1) are panoramas; their pixels are this project's. Views from one centre are taken
together as one panorama: those of one rig frame where frames.bin says so, else three or more whose centres
coincide. Its camera is the rig's (the first view's where there is no rig).

Source: https://colmap.github.io/format.html; COLMAP 4.1, src/colmap/sensor/models.h.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from ...errors import ConventionError, InputError, Progress
from ...geometry import rotation_from_quaternion_wxyz, se3_from, se3_inverse
from ...trajectory.formats._files import natural
from ._assemble import SparsePoints, assemble
from ._colmap_binary import read_binary
from ._colmap_model import ColmapImage, ColmapModel
from ._colmap_pictures import panorama_picture
from ._colmap_text import read_text
from ._detect import find_colmap
from ._pictures import spread
from ._types import ImportedPanorama, ImportedScene, ImportOptions, step

__all__ = ["import_colmap"]

_SPHERICAL = "EQUIRECTANGULAR"
_FEWEST_VIEWS = 3
_SAME_CENTRE = 1e-4
"""Centres closer than this share of the scene's extent are one."""
_UNIT = 5e-3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Station:
    """One place where pictures were taken: a camera of the result.

    Attributes:
        name: for messages and previews.
        T_file_cam: (4, 4) float64.
        images: the views, or the one picture.
        spherical: it is one panorama.
    """

    name: str
    T_file_cam: Tensor
    images: tuple[ColmapImage, ...]
    spherical: bool


def import_colmap(folder: Path, options: ImportOptions, *, progress: Progress | None = None) -> ImportedScene:
    """Import a COLMAP model or data set.

    Args:
        folder: of the model, or the one that has `sparse` and `images`.
        options: how much, the unit, and the frame rate of the path: pictures in the order of their names.
        progress: called with (panoramas done, panoramas).

    Raises:
        InputError: no model, no pictures in it, or contents that do not fit together.
        ConventionError: a quaternion is not of unit length.
        MediaError: a file is missing or damaged.
    """
    place = find_colmap(folder)
    if place is None:
        raise InputError(f"{folder}: expected a COLMAP model (cameras and images, .bin or .txt), got none")
    model = read_binary(place) if (place / "images.bin").is_file() else read_text(place)
    if not model.images:
        raise InputError(f"{place}: expected a model with registered pictures, got none")
    _check_cameras(model, place)
    stations, warnings = _stations(model)
    panoramas = []
    if any(_is_panorama(station) for station in stations):
        left_out = sum(not _is_panorama(station) for station in stations)
        if left_out:
            warnings.append(f"{left_out} perspective pictures beside the panoramas are left out.")
        stations = [station for station in stations if _is_panorama(station)]
        chosen = spread(len(stations), options.panoramas)
        for done, row in enumerate(chosen):
            panoramas.append(
                _panorama(stations[row], row, model, _pictures(folder, place), options, warnings)
            )
            step(progress, done + 1, len(chosen))
    else:
        warnings.append("The pictures are perspective ones: their path and points are taken, no panoramas.")
    T_file_cam = torch.stack([station.T_file_cam for station in stations])
    sparse = _sparse(model, stations)
    return assemble("colmap", T_file_cam, panoramas, sparse, options, fps=options.fps, warnings=warnings)


def _check_cameras(model: ColmapModel, place: Path) -> None:
    for image in model.images:
        if image.camera not in model.cameras:
            raise InputError(
                f"{place}: picture {image.name} has camera {image.camera}, which the cameras file lacks; "
                "the files are of two models"
            )


def _is_panorama(station: Station) -> bool:
    return station.spherical or len(station.images) >= _FEWEST_VIEWS


def _motion(values: tuple[float, ...], name: str) -> Tensor:
    """(4, 4) float64 camera to file from QW QX QY QZ TX TY TZ of world to camera."""
    row = torch.tensor(values, dtype=torch.float64)
    length = float(row[:4].norm())
    if not bool(row.isfinite().all()):
        raise InputError(f"{name}: expected finite numbers in its pose, got NaN or infinity")
    if abs(length - 1) > _UNIT:
        raise ConventionError(f"{name}: expected a unit quaternion, got one of length {length:.4g}")
    return se3_inverse(se3_from(rotation_from_quaternion_wxyz(row[:4]), row[4:]))


def _stations(model: ColmapModel) -> tuple[list[Station], list[str]]:
    """Places in the order of their first picture's name, and warnings."""
    images = sorted(model.images, key=lambda image: natural(image.name))
    poses = {image.id: _motion(image.motion, image.name) for image in images}
    centres = torch.stack([poses[image.id][:3, 3] for image in images])
    extent = float((centres - centres[0]).norm(dim=1).max())
    tolerance = _SAME_CENTRE * extent if extent > 0 else 1e-9
    warnings: list[str] = []
    single = [image for image in images if model.cameras[image.camera].model == _SPHERICAL]
    views = [image for image in images if model.cameras[image.camera].model != _SPHERICAL]
    found = [
        Station(
            name=PurePosixPath(image.name).stem,
            T_file_cam=poses[image.id],
            images=(image,),
            spherical=True,
        )
        for image in single
    ]
    for members, motion in _groups(model, views, poses, tolerance, warnings):
        name = _common_name(members)
        T_file_cam = poses[members[0].id] if motion is None else _motion(motion, f"the rig of {name}")
        found.append(Station(name=name, T_file_cam=T_file_cam, images=tuple(members), spherical=False))
    found.sort(key=lambda station: natural(station.images[0].name))
    if len({station.name for station in found}) < len(found):
        found = [replace(station, name=f"{station.name}_{i:04d}") for i, station in enumerate(found)]
    return found, warnings


def _groups(
    model: ColmapModel,
    views: list[ColmapImage],
    poses: dict[int, Tensor],
    tolerance: float,
    warnings: list[str],
) -> list[tuple[list[ColmapImage], tuple[float, ...] | None]]:
    """Views by place, with the motion of the rig where one says it."""
    by_id = {image.id: image for image in views}
    frames = [
        (sorted((by_id[i] for i in frame.images if i in by_id), key=lambda one: natural(one.name)), frame)
        for frame in model.frames
    ]
    rigs = [(members, frame.motion) for members, frame in frames if len(members) > 1]
    if rigs:
        wide = [members for members, _ in rigs if _spread_of(members, poses) > tolerance]
        if wide:
            warnings.append(
                f"{len(wide)} rig frames have cameras that are apart: they make no panoramas, their pictures "
                "are taken one by one."
            )
        kept = [(members, motion) for members, motion in rigs if members not in wide]
        used = {image.id for members, _ in kept for image in members}
        return [*kept, *(([image], None) for image in views if image.id not in used)]
    centres = torch.zeros(0, 3, dtype=torch.float64)
    groups: list[list[ColmapImage]] = []
    for image in views:
        centre = poses[image.id][:3, 3]
        near = ((centres - centre).norm(dim=1) <= tolerance).nonzero()
        if len(near):
            groups[int(near[0])].append(image)
        else:
            groups.append([image])
            centres = torch.cat((centres, centre[None]))
    whole = [group for group in groups if len(group) >= _FEWEST_VIEWS]
    rest = [[image] for group in groups if len(group) < _FEWEST_VIEWS for image in group]
    return [(group, None) for group in (*whole, *rest)]


def _spread_of(members: list[ColmapImage], poses: dict[int, Tensor]) -> float:
    centres = torch.stack([poses[image.id][:3, 3] for image in members])
    return float((centres - centres[0]).norm(dim=1).max())


def _common_name(members: list[ColmapImage]) -> str:
    """What the views' names share: their file name in folders per view, else the start of their names."""
    paths = [PurePosixPath(image.name) for image in members]
    if len({path.name for path in paths}) == 1:
        return paths[0].stem
    letters = itertools.takewhile(
        lambda column: len(set(column)) == 1, zip(*(image.name for image in members), strict=False)
    )
    shared = "".join(column[0] for column in letters).rstrip("/_-. ")
    return shared.replace("/", "_") or paths[0].stem


def _pictures(folder: Path, place: Path) -> list[Path]:
    """Folders that the pictures may be in, the likeliest first."""
    places = (folder / "images", place / "images", place.parent / "images", place.parent.parent / "images")
    return [path for path in dict.fromkeys((*places, folder)) if path.is_dir()]


def _panorama(
    station: Station,
    row: int,
    model: ColmapModel,
    folders: list[Path],
    options: ImportOptions,
    warnings: list[str],
) -> ImportedPanorama:
    turns = torch.stack(
        [station.T_file_cam[:3, :3].T @ _motion(image.motion, image.name)[:3, :3] for image in station.images]
    )
    found = panorama_picture(
        [image.name for image in station.images],
        [model.cameras[image.camera] for image in station.images],
        turns.float(),
        folders=folders,
        height=options.height,
        warnings=warnings,
    )
    if found is None:
        return ImportedPanorama(name=station.name, frame=row)
    return ImportedPanorama(name=station.name, frame=row, rgb=found[0], valid=found[1])


def _sparse(model: ColmapModel, stations: list[Station]) -> SparsePoints:
    """The points, with each place's observations once."""
    row = {image.id: i for i, station in enumerate(stations) for image in station.images}
    pairs = torch.zeros(0, 2, dtype=torch.int64)
    if len(model.track_image):
        ids, position = model.track_image.unique(return_inverse=True)
        frame = torch.tensor([row.get(int(number), -1) for number in ids])[position]
        pairs = torch.stack((frame, model.track_point), dim=1)[frame >= 0].unique(dim=0)
    return SparsePoints(points=model.points, colors=model.colors, frame=pairs[:, 0], point=pairs[:, 1])
