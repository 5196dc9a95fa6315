"""What a file holds before it becomes a trajectory: poses, and what it says of time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from ...errors import ConventionError, InputError
from ...geometry import (
    nearest_rotation,
    quaternion_wxyz_from_rotation,
    rotation_from_quaternion_wxyz,
    se3_from,
    se3_inverse,
    slerp,
)
from .._keyframes import Trajectory, as_frames, as_number, as_rate

ROTATION_TOLERANCE = 5e-3
"""Files with three decimals are accepted; what is read is then made exactly orthonormal."""
_UNEVEN = 0.1
_SAME_RATE = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lens:
    """What formats that must state a lens are told; a trajectory itself has none.

    Attributes:
        fov: vertical angle of view in radians of a square perspective view.
        height: of the equirectangular frames in pixels; they are twice as wide.
    """

    fov: float
    height: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Samples:
    """Poses as a file has them, already in the project's axes.

    Attributes:
        T_world_cam: (n, 4, 4) float64, camera to world, in the file's unit; see `rigid`.
        where: names an entry of the file, for messages, e.g. "line 7".
        times: (n,) float64 seconds, or None where the file has none.
        numbers: (n,) int64 frame numbers where the file counts frames and may leave some out.
        rate: frames per second, where the file says so and the poses are its frames.
        curve: gives the poses (m, 4, 4) at a frame rate, where the file holds a curve.
    """

    T_world_cam: Tensor
    where: Callable[[int], str]
    times: Tensor | None = None
    numbers: Tensor | None = None
    rate: float | None = None
    curve: Callable[[float], Tensor] | None = None


def to_trajectory(samples: Samples, *, fps: float | None, rebase: bool, scale: float) -> Trajectory:
    """Give the samples even times, a unit and an origin.

    Raises:
        InputError: the rate is missing, the times do not rise, or an option is out of range.
    """
    fps = None if fps is None else as_rate("fps", fps)
    scale = as_number("scale", scale)
    if scale <= 0:
        raise InputError(f"scale: expected metres per unit above 0, got {scale:g}")
    poses, rate = _evenly(samples, fps)
    as_frames("number of frames", len(poses))
    poses = poses.clone()
    if rebase:
        poses = se3_inverse(poses[0]) @ poses
    poses[:, :3, 3] *= scale
    return Trajectory(T_world_cam=poses.to(torch.float32), fps=rate)


def _evenly(samples: Samples, fps: float | None) -> tuple[Tensor, float]:
    """Poses at even times, and their rate."""
    poses = samples.T_world_cam
    times = _times(samples, fps)
    own = samples.rate
    if own is None and times is not None and len(poses) > 1:
        own = _even_rate(times)
    if own is not None and (fps is None or math.isclose(fps, own, rel_tol=_SAME_RATE)):
        return poses, own if fps is None else fps
    if fps is None:
        _ask_for_rate(samples, times)
    if samples.curve is not None:
        return samples.curve(fps), fps
    if times is None or len(poses) == 1:
        return poses, fps
    return resample(poses, times, fps), fps


def _times(samples: Samples, fps: float | None) -> Tensor | None:
    """Seconds of every pose, or None where nothing says them."""
    count = len(samples.T_world_cam)
    if samples.times is not None:
        _check_rising(samples.times, samples.where, "time")
        return samples.times
    if samples.rate is not None:
        return torch.arange(count, dtype=torch.float64) / samples.rate
    if samples.numbers is not None:
        _check_rising(samples.numbers, samples.where, "frame number")
        if fps is not None:
            return samples.numbers.to(torch.float64) / fps
    return None


def _check_rising(values: Tensor, where: Callable[[int], str], what: str) -> None:
    steps = values.diff()
    if bool((steps <= 0).any()):
        i = int((steps <= 0).nonzero()[0])
        raise InputError(
            f"{where(i + 1)}: expected a {what} after {float(values[i]):.9g} of {where(i)}, "
            f"got {float(values[i + 1]):.9g}; sort the entries and remove doubles"
        )


def _even_rate(times: Tensor) -> float | None:
    """Frames per second if the times are evenly spaced within a tenth of a step, else None."""
    steps = len(times) - 1
    step = float(times[-1] - times[0]) / steps
    line = times[0] + step * torch.arange(steps + 1, dtype=torch.float64)
    if float((times - line).abs().max()) > _UNEVEN * step:
        return None
    rate = 1.0 / step
    # Times are written with rounding: 33.333 ms means 30 frames per second.
    for round_rate in (float(round(rate)), round(rate * 1.001) / 1.001):
        if round_rate > 0 and math.isclose(rate, round_rate, rel_tol=_SAME_RATE):
            return round_rate
    return as_rate("frames per second of the file", rate)


def _ask_for_rate(samples: Samples, times: Tensor | None) -> NoReturn:
    if times is not None and len(times) > 1:
        steps = times.diff()
        i = int(steps.argmax())
        raise InputError(
            f"fps: the file's times are uneven ({samples.where(i + 1)} comes {float(steps[i]):.4g} s after "
            f"{samples.where(i)}, the middle step is {float(steps.median()):.4g} s); give the frames per "
            "second to read it at"
        )
    if samples.curve is not None:
        raise InputError("fps: the file holds a curve and no frame rate; give the frames per second")
    raise InputError("fps: the file does not say its frame rate; give the frames per second")


def resample(poses: Tensor, times: Tensor, fps: float) -> Tensor:
    """Poses (m, 4, 4) every 1/fps seconds from the first time on: straight lines and even turns between."""
    at = frame_times(float(times[0]), float(times[-1]), fps)
    segment = (torch.searchsorted(times, at, right=True) - 1).clamp(0, len(times) - 2)
    u = ((at - times[segment]) / (times[segment + 1] - times[segment])).clamp(0.0, 1.0)
    quaternions = quaternion_wxyz_from_rotation(poses[:, :3, :3])
    turned = slerp(quaternions[segment], quaternions[segment + 1], u)
    places = poses[:, :3, 3]
    moved = places[segment] + u[:, None] * (places[segment + 1] - places[segment])
    return se3_from(rotation_from_quaternion_wxyz(turned), moved)


def frame_times(start: float, end: float, fps: float) -> Tensor:
    """Times (m,) float64 every 1/fps seconds from `start` to at most `end`."""
    count = as_frames("number of frames at this fps", math.floor((end - start) * fps + 1e-4) + 1)
    return start + torch.arange(count, dtype=torch.float64) / fps


def rigid(T: Tensor, where: Callable[[int], str]) -> Tensor:
    """Check motions (n, 4, 4) and make their rotations exactly orthonormal.

    Raises:
        InputError: no entries, or a number that is not finite.
        ConventionError: the last row is not 0 0 0 1, or the rotation is off by more than ROTATION_TOLERANCE.
    """
    if len(T) == 0:
        raise InputError("expected at least one pose, got none")
    bad = ~T.isfinite().flatten(1).all(1)
    if bool(bad.any()):
        raise InputError(f"{where(_first(bad))}: expected finite numbers, got NaN or infinity")
    last = T.new_tensor([0.0, 0.0, 0.0, 1.0])
    bad = (T[:, 3] - last).abs().amax(1) > 1e-4
    if bool(bad.any()):
        i = _first(bad)
        raise ConventionError(
            f"{where(i)}: expected the last row 0 0 0 1, got {[round(v, 4) for v in T[i, 3].tolist()]}; "
            "the matrix may be transposed"
        )
    rotation = T[:, :3, :3]
    off = (rotation @ rotation.mT - torch.eye(3, dtype=T.dtype)).abs().flatten(1).amax(1)
    if float(off.max()) > ROTATION_TOLERANCE:
        i = _first(off > ROTATION_TOLERANCE)
        raise ConventionError(
            f"{where(i)}: expected a rotation matrix, got one that is off by {float(off[i]):.3g} from "
            f"orthonormal (at most {ROTATION_TOLERANCE:g}); remove scale and shear"
        )
    mirrored = torch.linalg.det(rotation) < 0
    if bool(mirrored.any()):
        raise ConventionError(
            f"{where(_first(mirrored))}: expected a rotation matrix, got a mirrored one (determinant -1); "
            "the axes are of another handedness"
        )
    return se3_from(nearest_rotation(rotation), T[:, :3, 3])


def rigid_from_quaternions(quaternion_wxyz: Tensor, position: Tensor, where: Callable[[int], str]) -> Tensor:
    """Motions (n, 4, 4) of unit quaternions (n, 4) in the order w, x, y, z and positions (n, 3).

    Raises:
        InputError: no entries, or a number that is not finite.
        ConventionError: a quaternion is not of unit length within ROTATION_TOLERANCE.
    """
    if len(quaternion_wxyz) == 0:
        raise InputError("expected at least one pose, got none")
    bad = ~torch.cat((quaternion_wxyz, position), dim=1).isfinite().all(1)
    if bool(bad.any()):
        raise InputError(f"{where(_first(bad))}: expected finite numbers, got NaN or infinity")
    off = (quaternion_wxyz.norm(dim=1) - 1).abs()
    if float(off.max()) > ROTATION_TOLERANCE:
        i = _first(off > ROTATION_TOLERANCE)
        raise ConventionError(
            f"{where(i)}: expected a unit quaternion, got one whose length is off by {float(off[i]):.3g} "
            f"(at most {ROTATION_TOLERANCE:g})"
        )
    return se3_from(rotation_from_quaternion_wxyz(quaternion_wxyz), position)


def _first(mask: Tensor) -> int:
    return int(mask.nonzero()[0, 0])
