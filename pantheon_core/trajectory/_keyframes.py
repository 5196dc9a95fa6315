"""What a camera path is made of, and what makes one valid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from ..check import check_finite, check_rotation, check_shape
from ..errors import ConventionError, InputError

Easing: TypeAlias = Literal["linear", "ease_in", "ease_out", "ease_in_out"]
Spline: TypeAlias = Literal["catmull_rom", "linear"]
Orientation: TypeAlias = Literal["squad", "slerp"]

EASINGS: tuple[str, ...] = get_args(Easing)
SPLINES: tuple[str, ...] = get_args(Spline)
ORIENTATIONS: tuple[str, ...] = get_args(Orientation)
MAX_FRAMES = 100_000
_LARGEST = 1e9
_QUATERNION_TOLERANCE = 1e-3
_LOOP_TOLERANCE = 1e-6


def as_number(name: str, value: object) -> float:
    """A finite float from a number or a one-element tensor, or an InputError that names it."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{name}: expected a number, got {value!r}")
    if not abs(value) < _LARGEST:
        raise InputError(f"{name}: expected a finite number below {_LARGEST:g} in size, got {value!s:.40}")
    return float(value)


def as_vector(name: str, value: object, size: int) -> tuple[float, ...]:
    """A tuple of `size` finite floats from a sequence or a tensor, or an InputError that names it."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != size:
        raise InputError(f"{name}: expected a list of {size} numbers, got {value!r}")
    return tuple(as_number(f"{name}[{i}]", item) for i, item in enumerate(value))


def as_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`, else an InputError that lists them."""
    if value not in choices:
        raise InputError(f"{name}: expected one of {', '.join(choices)}; got {value!r}")
    return cast("str", value)


def as_frames(name: str, value: object) -> int:
    """A number of frames from 1 to MAX_FRAMES."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_FRAMES:
        raise InputError(
            f"{name}: expected a whole number from 1 to {MAX_FRAMES}, got {value!r}; "
            "split a longer path into several"
        )
    return value


def as_rate(name: str, value: object) -> float:
    """A frame rate above zero, at most 1000 per second."""
    rate = as_number(name, value)
    if not 0.0 < rate <= 1000.0:
        raise InputError(f"{name}: expected frames per second above 0 and up to 1000, got {rate:g}")
    return rate


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Keyframe:
    """A camera pose at a time.

    Sequences and tensors are accepted for position and quaternion and kept as tuples of floats. The
    quaternion must be of unit length within 1e-3 and is normalised.

    Attributes:
        time: seconds from the start of the path.
        position: (3,) of the camera in the world frame, metres (+x right, +y down, +z forward).
        quaternion_wxyz: (4,) rotation from camera to world.
        easing: how time runs between this key and the next; the last key's easing has no effect.
    """

    time: float
    position: tuple[float, ...]
    quaternion_wxyz: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)
    easing: Easing = "linear"

    def __post_init__(self) -> None:
        time = as_number("time", self.time)
        if time < 0:
            raise InputError(f"time: expected seconds from 0 on, got {time:g}")
        quaternion = as_vector("quaternion_wxyz", self.quaternion_wxyz, 4)
        length = math.sqrt(sum(q * q for q in quaternion))
        if abs(length - 1.0) > _QUATERNION_TOLERANCE:
            raise ConventionError(
                f"quaternion_wxyz: expected a unit quaternion (w, x, y, z), got one of length {length:.4g}; "
                "divide it by its length"
            )
        as_choice("easing", self.easing, EASINGS)
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "position", as_vector("position", self.position, 3))
        object.__setattr__(self, "quaternion_wxyz", tuple(q / length for q in quaternion))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeyframePath:
    """Keyframes and how to go through them.

    Frame i is at `keyframes[0].time + i / fps` seconds. After the last key the camera stands still; keys
    later than the last frame shape the curve but are not reached. `retime` stretches the keys over the
    frames.

    Attributes:
        keyframes: at least one, times rising; a single key is a still camera.
        fps: frames per second.
        frames: number of frames, 1 to MAX_FRAMES.
        spline: "catmull_rom" (centripetal, smooth through the keys) or "linear" positions.
        orientation: "squad" (smooth) or "slerp" (constant turn between keys).
        constant_speed: move at one speed from the first to the last key. The times of the keys between then
            follow from the way travelled, and easing acts only where the camera turns on the spot, which
            takes the time its keys say.
        loop: the last key repeats the first one's pose and the curve goes on smoothly from there.
    """

    keyframes: tuple[Keyframe, ...]
    fps: float
    frames: int
    spline: Spline = "catmull_rom"
    orientation: Orientation = "squad"
    constant_speed: bool = False
    loop: bool = False

    def __post_init__(self) -> None:
        keys = tuple(self.keyframes)
        if not keys:
            raise InputError("keyframes: expected at least one, got none; add the pose to start from")
        for i, (before, after) in enumerate(itertools.pairwise(keys)):
            if after.time == before.time:
                raise InputError(
                    f"keyframes[{i + 1}].time: {after.time:g} s is the time of keyframes[{i}] too; "
                    "give every key its own time"
                )
            if after.time < before.time:
                raise InputError(
                    f"keyframes[{i + 1}].time: {after.time:g} s is before keyframes[{i}] at "
                    f"{before.time:g} s; sort the keys by time"
                )
        as_choice("spline", self.spline, SPLINES)
        as_choice("orientation", self.orientation, ORIENTATIONS)
        object.__setattr__(self, "keyframes", keys)
        object.__setattr__(self, "fps", as_rate("fps", self.fps))
        object.__setattr__(self, "frames", as_frames("frames", self.frames))
        if self.loop:
            _check_loop(keys)


def _check_loop(keys: tuple[Keyframe, ...]) -> None:
    if len(keys) < 3:
        raise InputError(f"loop: expected at least 3 keyframes, got {len(keys)}; add keys or switch loop off")
    gap = math.dist(keys[0].position, keys[-1].position)
    dot = sum(a * b for a, b in zip(keys[0].quaternion_wxyz, keys[-1].quaternion_wxyz, strict=True))
    if gap > _LOOP_TOLERANCE or abs(dot) < 1.0 - _LOOP_TOLERANCE:
        raise InputError(
            f"loop: expected the last key to repeat the first one's pose, got one {gap:.3g} m away and "
            f"turned by {math.degrees(2 * math.acos(min(1.0, abs(dot)))):.3g} degrees; "
            "append a copy of the first key or switch loop off"
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trajectory:
    """One camera pose per frame.

    Attributes:
        T_world_cam: (T, 4, 4) float32, camera to world, metres.
        fps: frames per second.
    """

    T_world_cam: Tensor
    fps: float

    def __post_init__(self) -> None:
        check_shape("T_world_cam", self.T_world_cam, "T 4 4")
        if self.T_world_cam.shape[0] == 0:
            raise InputError("T_world_cam: expected at least one frame, got none")
        check_finite("T_world_cam", self.T_world_cam)
        check_rotation("T_world_cam[..., :3, :3]", self.T_world_cam[..., :3, :3])
        object.__setattr__(self, "T_world_cam", self.T_world_cam.to(torch.float32))
        object.__setattr__(self, "fps", as_rate("fps", self.fps))

    def __len__(self) -> int:
        return self.T_world_cam.shape[0]

    @property
    def positions(self) -> Tensor:
        """Camera centres (T, 3) in the world frame, metres."""
        return self.T_world_cam[:, :3, 3]


def retime(path: KeyframePath, *, frames: int, fps: float) -> KeyframePath:
    """The same path with its first key on the first and its last key on the last of `frames` frames.

    All times are scaled alike. With a single key, or a single frame, the times stay as they are.

    Raises:
        InputError: frames or fps is out of range.
    """
    frames, fps = as_frames("frames", frames), as_rate("fps", fps)
    start, end = path.keyframes[0].time, path.keyframes[-1].time
    if frames == 1 or end == start:
        return replace(path, frames=frames, fps=fps)
    scale = (frames - 1) / fps / (end - start)
    keys = tuple(replace(key, time=(key.time - start) * scale) for key in path.keyframes)
    return replace(path, keyframes=keys, frames=frames, fps=fps)
