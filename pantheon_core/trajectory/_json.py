"""The versioned JSON form of a keyframe path, as workflows and the editor keep it.

{"version": 1, "convention": "opencv_c2w", "units": "m", "fps": 7.0, "frames": 25, "spline": "catmull_rom",
 "orientation": "squad", "constant_speed": false, "loop": false,
 "keyframes": [{"t": 0.0, "position": [0, 0, 0], "quaternion_wxyz": [1, 0, 0, 0], "easing": "linear"}]}

`t` is in seconds. `loop` and `easing` may be left out. An `extra` object, at the top or in a keyframe, is for
others' data and is not read; any other unknown field is an error, so that a misspelt one is not lost.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, cast

from ..errors import ConventionError, InputError
from ._keyframes import (
    EASINGS,
    ORIENTATIONS,
    SPLINES,
    Easing,
    Keyframe,
    KeyframePath,
    Orientation,
    Spline,
    as_choice,
    as_frames,
    as_number,
    as_rate,
    as_vector,
)

VERSION = 1
_PATH_FIELDS = (
    "version",
    "convention",
    "units",
    "fps",
    "frames",
    "spline",
    "orientation",
    "constant_speed",
    "keyframes",
)
_KEY_FIELDS = ("t", "position", "quaternion_wxyz")


def path_to_json(path: KeyframePath) -> str:
    """Write a path as one line of JSON, the form that `path_from_json` reads back exactly."""
    data = {
        "version": VERSION,
        "convention": "opencv_c2w",
        "units": "m",
        "fps": path.fps,
        "frames": path.frames,
        "spline": path.spline,
        "orientation": path.orientation,
        "constant_speed": path.constant_speed,
        "loop": path.loop,
        "keyframes": [
            {
                "t": key.time,
                "position": list(key.position),
                "quaternion_wxyz": list(key.quaternion_wxyz),
                "easing": key.easing,
            }
            for key in path.keyframes
        ],
    }
    return json.dumps(data, allow_nan=False)


def path_from_json(text: str) -> KeyframePath:
    """Read a path from its JSON form.

    Raises:
        InputError: the text is not JSON, a field is missing, unknown or out of range; the message says which.
        ConventionError: another convention, unit, or a quaternion that is not of unit length.
    """
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"keyframes JSON: not valid JSON at line {error.lineno}, column {error.colno} ({error.msg}); "
            "paste the whole text again"
        ) from error
    except RecursionError as error:
        raise InputError("keyframes JSON: not a path, but brackets within brackets without end") from error
    if not isinstance(data, dict):
        raise InputError(f"keyframes JSON: expected an object in braces, got {type(data).__name__}")
    if "version" in data and data["version"] != VERSION:
        raise InputError(
            f"version: expected {VERSION}, got {data['version']!r}; "
            "the file is of another release: update Pantheon360, or export the path again"
        )
    _check_fields("", data, _PATH_FIELDS, ("loop", "extra"))
    for field, wanted in (("convention", "opencv_c2w"), ("units", "m")):
        if data[field] != wanted:
            raise ConventionError(
                f"{field}: expected {wanted!r}, got {data[field]!r}; convert the poses before loading them"
            )
    keys = data["keyframes"]
    if not isinstance(keys, list):
        raise InputError(f"keyframes: expected a list of keyframes, got {type(keys).__name__}")
    return KeyframePath(
        keyframes=tuple(_read_key(f"keyframes[{i}]", key) for i, key in enumerate(keys)),
        fps=as_rate("fps", data["fps"]),
        frames=as_frames("frames", data["frames"]),
        spline=cast("Spline", as_choice("spline", data["spline"], SPLINES)),
        orientation=cast("Orientation", as_choice("orientation", data["orientation"], ORIENTATIONS)),
        constant_speed=_read_flag("constant_speed", data["constant_speed"]),
        loop=_read_flag("loop", data.get("loop", False)),
    )


def _read_key(place: str, data: Any) -> Keyframe:
    if not isinstance(data, dict):
        raise InputError(f"{place}: expected an object in braces, got {data!r}")
    _check_fields(f"{place}.", data, _KEY_FIELDS, ("easing", "extra"))
    easing = as_choice(f"{place}.easing", data.get("easing", "linear"), EASINGS)
    time = as_number(f"{place}.t", data["t"])
    position = as_vector(f"{place}.position", data["position"], 3)
    quaternion = as_vector(f"{place}.quaternion_wxyz", data["quaternion_wxyz"], 4)
    try:
        return Keyframe(
            time=time, position=position, quaternion_wxyz=quaternion, easing=cast("Easing", easing)
        )
    except InputError as error:
        raise type(error)(f"{place}.{error}") from error


def _read_flag(place: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{place}: expected true or false, got {value!r}")
    return value


def _check_fields(
    place: str, data: dict[str, Any], required: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    for field in required:
        if field not in data:
            raise InputError(f"{place}{field}: missing; every path needs {', '.join(required)}")
    for field in data:
        if field not in required and field not in optional:
            raise InputError(
                f"{place}{field}: unknown field; remove it, or put it into an object named extra. "
                f"Known are {', '.join(required + optional)}"
            )


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"keyframes JSON: expected finite numbers, got {name}; replace it")
