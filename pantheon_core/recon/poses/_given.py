"""Poses that are known: from a file, from GPS and compass, or from the user; and what the pictures say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ...check import check_finite, check_shape
from ...errors import InputError
from ...geometry import rotation_from_yaw_pitch_roll, se3_from, se3_inverse
from ...panorama import Panorama
from ...trajectory.formats import FORMATS, detect_format
from ._types import PanoramaPoses
from ._words import listed, names_of

__all__ = ["poses_from_file", "poses_from_gps", "poses_from_matrices"]

_EQUATOR = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_SAME_GPS_METRES = 0.5


def poses_from_matrices(T_world_cam: Tensor, *, metric: bool = True, method: str = "given") -> PanoramaPoses:
    """Known cameras (P, 4, 4) in any world, as poses in the first one's frame.

    Raises:
        ShapeError: not (P, 4, 4).
        InputError: values that are not finite.
        ConventionError: a rotation is none.
    """
    count = check_shape("T_world_cam", T_world_cam, "P 4 4")["P"]
    check_finite("T_world_cam", T_world_cam)
    motion = T_world_cam.detach().cpu().double()
    if count:
        motion = se3_inverse(motion[0]) @ motion
    poses = PanoramaPoses(
        T_world_cam=motion.float(),
        registered=torch.ones(count, dtype=torch.bool),
        metric=metric,
        method=method,
    )
    places = motion[:, :3, 3]
    pairs = itertools.combinations(range(count), 2)
    same = [(i, j) for i, j in pairs if bool((places[i] == places[j]).all())]
    if not same:
        return poses
    told = listed([f"{i + 1} and {j + 1}" for i, j in same[:5]])
    return replace(poses, warnings=(f"panoramas {told} are given at exactly the same place",))


def poses_from_file(
    path: Path | str, count: int, *, format: str | None = None, scale: float = 1.0
) -> PanoramaPoses:
    """Poses of `count` panoramas from a file with one pose for each, in their order.

    Args:
        path: of any format of `trajectory.FORMATS`.
        count: how many panoramas there are.
        format: a key of FORMATS; None goes by name and content.
        scale: metres per unit of the file.

    Raises:
        MediaError: the file cannot be read.
        InputError: it holds another number of poses, or is wrong in itself.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise InputError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    if not 0 < scale < math.inf:
        raise InputError(f"scale: expected metres per unit above 0, got {scale:g}")
    motion = FORMATS[detect_format(path) if format is None else format].read(path).T_world_cam.clone()
    if len(motion) != count:
        raise InputError(
            f"{path}: expected one pose for each of the {count} panoramas, in their order, got {len(motion)}"
        )
    motion[:, :3, 3] *= scale
    return poses_from_matrices(motion, method="file")


def poses_from_gps(
    panoramas: Sequence[Panorama], *, names: Sequence[str] | None = None, use_altitude: bool = False
) -> PanoramaPoses:
    """Poses from the latitude, longitude and compass heading in the photographs' files.

    Metres on the plane that touches the earth (WGS 84) at the first panorama. The headings turn the levelled
    panoramas; those without place or heading are not registered.

    Args:
        panoramas: as loaded, levelled.
        names: for messages.
        use_altitude: take the recorded altitude too; it is often wrong by ten metres, so that one height for
            all is the better guess on level ground.

    Raises:
        InputError: none has a place and a heading.
    """
    names = names_of(len(panoramas), names)
    warnings, placed = [], {}
    for index, one in enumerate(panoramas):
        fix = _fix(one, use_altitude, names[index], warnings)
        if fix is not None:
            placed[index] = fix
    if not placed:
        raise InputError(
            "panoramas: none of their files records latitude, longitude and heading (PoseHeadingDegrees or "
            "GPSImgDirection); find the poses from the pictures, or give them"
        )
    motion = torch.eye(4, dtype=torch.float64).repeat(len(panoramas), 1, 1)
    registered = torch.zeros(len(panoramas), dtype=torch.bool)
    start, heading = next(iter(placed.values()))
    for index, (earth, own) in placed.items():
        east, north, up = _east_north_up(earth, start).tolist()
        right = east * math.cos(heading) - north * math.sin(heading)
        forward = east * math.sin(heading) + north * math.cos(heading)
        down = -up if use_altitude else 0.0
        turn = rotation_from_yaw_pitch_roll(torch.tensor(own - heading, dtype=torch.float64))
        motion[index] = se3_from(turn, torch.tensor([right, down, forward], dtype=torch.float64))
        registered[index] = True
    warnings += _accuracy(motion, registered, names, use_altitude)
    return PanoramaPoses(
        T_world_cam=motion.float(),
        registered=registered,
        metric=True,
        warnings=tuple(warnings),
        method="gps",
    )


def _fix(
    one: Panorama, use_altitude: bool, name: str, warnings: list[str]
) -> tuple[tuple[float, float, float], float] | None:
    """Latitude, longitude (radians), altitude, and heading (radians), or None and a warning."""
    latitude, longitude = (_number(one.metadata, key) for key in ("latitude", "longitude"))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        warnings.append(f"{name} has no place: its file records no latitude and longitude")
        return None
    heading = one.heading
    if heading is None and (degrees := _number(one.metadata, "image_direction")) is not None:
        heading = math.radians(degrees)
    if heading is None:
        warnings.append(f"{name} has no place: its file records no heading, so its orientation is unknown")
        return None
    altitude = _number(one.metadata, "altitude") if use_altitude else 0.0
    if altitude is None:
        warnings.append(f"{name} has no place: its file records no altitude; leave altitudes out")
        return None
    return (math.radians(latitude), math.radians(longitude), altitude), heading


def _number(metadata: Mapping[str, str], key: str) -> float | None:
    try:
        value = float(metadata.get(key, "nan"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _earth_fixed(fix: tuple[float, float, float]) -> Tensor:
    """(3,) metres from the centre of the earth. Source: WGS 84, geodetic to geocentric coordinates."""
    latitude, longitude, altitude = fix
    squared = _FLATTENING * (2 - _FLATTENING)
    normal = _EQUATOR / math.sqrt(1 - squared * math.sin(latitude) ** 2)
    out = (normal + altitude) * math.cos(latitude)
    return torch.tensor(
        [
            out * math.cos(longitude),
            out * math.sin(longitude),
            (normal * (1 - squared) + altitude) * math.sin(latitude),
        ],
        dtype=torch.float64,
    )


def _east_north_up(fix: tuple[float, float, float], start: tuple[float, float, float]) -> Tensor:
    latitude, longitude, _ = start
    step = _earth_fixed(fix) - _earth_fixed(start)
    sin_lat, cos_lat = math.sin(latitude), math.cos(latitude)
    sin_lon, cos_lon = math.sin(longitude), math.cos(longitude)
    axes = torch.tensor(
        [
            [-sin_lon, cos_lon, 0.0],
            [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat],
            [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat],
        ],
        dtype=torch.float64,
    )
    return axes @ step


def _accuracy(motion: Tensor, registered: Tensor, names: Sequence[str], use_altitude: bool) -> list[str]:
    """What to expect of such places, in sentences."""
    out = [
        "places by GPS and compass are off by 3 to 10 m and 5 to 15 degrees as a rule: good for maps and far "
        "scenes, seldom good enough to merge near surfaces"
    ]
    if not use_altitude:
        out.append("all panoramas were put at one height; recorded altitudes were not used")
    known = registered.nonzero()[:, 0].tolist()
    near = [
        f"{names[i]} and {names[j]}"
        for i, j in itertools.combinations(known, 2)
        if float((motion[i, :3, 3] - motion[j, :3, 3]).norm()) < _SAME_GPS_METRES
    ]
    if near:
        out.append(f"{listed(near[:5])}: recorded at the same place, closer than GPS can tell")
    return out
