"""Ready-made paths. All start at the world origin, looking along +z: in the first anchor's place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from ..errors import InputError
from ._keyframes import EASINGS, Easing, Keyframe, KeyframePath, as_choice, as_frames, as_number, as_rate

_Pose: TypeAlias = tuple[tuple[float, float, float], float]
_TURN_PER_KEY = math.radians(22.5)
_DIRECTIONS = {
    "forward": (0.0, 0.0, 1.0),
    "back": (0.0, 0.0, -1.0),
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "up": (0.0, -1.0, 0.0),
    "down": (0.0, 1.0, 0.0),
}
_DEFAULT_ANGLE = {
    "forward_turn": math.radians(60),
    "orbit": 2 * math.pi,
    "arc": math.pi / 2,
    "spiral": 2 * math.pi,
    "look_around": 2 * math.pi,
}
PRESETS: tuple[str, ...] = (*_DIRECTIONS, *_DEFAULT_ANGLE)


def preset_path(
    name: str,
    *,
    frames: int,
    fps: float,
    distance: float = 1.0,
    angle: float | None = None,
    radius: float = 1.0,
    easing: Easing = "linear",
) -> KeyframePath:
    """A path by name, over exactly `frames` frames.

    - forward, back, left, right, up, down: `distance` straight on, without a turn.
    - forward_turn: `distance` straight ahead while the view turns by `angle` (default 60 degrees).
    - orbit: a circle of `radius` around the point `radius` ahead, facing it, over `angle` (full by default).
    - arc: a bend of `radius`, looking along the way, over `angle` (default 90 degrees).
    - spiral: circling out to `radius` and up by `distance` over `angle` (default a full turn), without a turn
      of the view.
    - look_around: turn on the spot by `angle` (default a full turn).

    Args:
        name: one of PRESETS.
        frames: number of frames.
        fps: frames per second.
        distance: metres (the cache's unit where its scale is not known), not 0 where it is used.
        angle: radians, positive to the right, not 0.
        radius: metres, above 0.
        easing: how the whole movement starts and ends.

    Raises:
        InputError: an unknown name or a value out of range.
    """
    as_choice("name", name, PRESETS)
    as_choice("easing", easing, EASINGS)
    frames, fps = as_frames("frames", frames), as_rate("fps", fps)
    distance, radius = as_number("distance", distance), as_number("radius", radius)
    angle = _DEFAULT_ANGLE.get(name, 1.0) if angle is None else as_number("angle", angle)
    if distance == 0:
        raise InputError(
            "distance: expected a distance other than 0, got 0; use look_around to stay in place"
        )
    if angle == 0:
        raise InputError(
            "angle: expected an angle other than 0, got 0; use forward for a path without a turn"
        )
    if radius <= 0:
        raise InputError(
            f"radius: expected a radius above 0, got {radius:g}; turn left with a negative angle"
        )
    duration = (frames - 1) / fps
    if name in _DIRECTIONS:
        segments, pose = 1, _straight(name, distance)
    else:
        segments, pose = (
            max(3, math.ceil(abs(angle) / _TURN_PER_KEY)),
            _turning(name, distance, angle, radius),
        )
    if frames == 1:
        return KeyframePath(keyframes=(_key(0.0, pose(0.0)),), fps=fps, frames=1)
    closed = name in ("orbit", "look_around", "arc") and math.isclose(abs(angle), 2 * math.pi)
    if segments == 1:
        keys = (_key(0.0, pose(0.0), easing), _key(duration, pose(1.0)))
    else:
        steps = [k / segments for k in range(segments + 1)]
        poses = [pose(p) for p in steps]
        if closed:
            poses[-1] = (poses[0][0], poses[-1][1])
        keys = tuple(_key(duration * _when(easing, p), at) for p, at in zip(steps, poses, strict=True))
    # The speed at the seam only repeats where the movement is even.
    loop = closed and easing == "linear"
    return KeyframePath(keyframes=keys, fps=fps, frames=frames, loop=loop)


def _key(time: float, pose: _Pose, easing: Easing = "linear") -> Keyframe:
    position, yaw = pose
    quaternion = (math.cos(yaw / 2), 0.0, math.sin(yaw / 2), 0.0)
    return Keyframe(time=time, position=position, quaternion_wxyz=quaternion, easing=easing)


def _when(easing: str, progress: float) -> float:
    """The time 0..1 at which an eased movement has made `progress`."""
    if easing == "ease_in":
        return math.sqrt(progress)
    if easing == "ease_out":
        return 1.0 - math.sqrt(1.0 - progress)
    if easing == "ease_in_out":
        return 0.5 - math.sin(math.asin(max(-1.0, min(1.0, 1.0 - 2.0 * progress))) / 3.0)
    return progress


def _straight(name: str, distance: float) -> Callable[[float], _Pose]:
    x, y, z = (c * distance for c in _DIRECTIONS[name])
    return lambda p: ((x * p, y * p, z * p), 0.0)


def _turning(name: str, distance: float, angle: float, radius: float) -> Callable[[float], _Pose]:
    side = math.copysign(1.0, angle)

    def forward_turn(p: float) -> _Pose:
        return (0.0, 0.0, distance * p), angle * p

    def orbit(p: float) -> _Pose:
        a = angle * p
        return (-radius * math.sin(a), 0.0, radius * (1.0 - math.cos(a))), a

    def arc(p: float) -> _Pose:
        a = angle * p
        return (side * radius * (1.0 - math.cos(a)), 0.0, side * radius * math.sin(a)), a

    def spiral(p: float) -> _Pose:
        a = angle * p
        return (radius * p * math.sin(a), -distance * p, radius * p * math.cos(a)), 0.0

    def look_around(p: float) -> _Pose:
        return (0.0, 0.0, 0.0), angle * p

    return {f.__name__: f for f in (forward_turn, orbit, arc, spiral, look_around)}[name]
