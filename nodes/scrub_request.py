"""What the page sends, read and checked."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from ..pantheon_core.errors import InputError

if TYPE_CHECKING:
    from ..pantheon_core.trajectory import KeyframePath, Trajectory

MAX_BODY = 1 << 20
MAX_FRAMES = 1000
MAX_KEYS = 2000
MAX_BATCH = 16
HEIGHTS = (64, 128, 192, 256)
_RUN_FIELDS = ("frames", "fps", "spline", "constant_speed", "clearance")
_SPLINES = ("as given", "catmull_rom", "linear")


class RequestError(InputError):
    """A request that cannot be answered."""

    def __init__(self, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PathRequest:
    """A path as it is in the editor, and what is asked of it.

    Attributes:
        client: who asks; a newer request of the same client takes the place of an older one.
        path: the keyframes' JSON.
        run: the widgets of the node, as they are now; what is missing stays as the path has it.
        frames: numbers of the frames to render.
        height: H of the frames.
        detail: "quick" while something moves, else "full".
    """

    client: str
    path: str
    run: dict[str, Any]
    frames: tuple[int, ...] = ()
    height: int = 128
    detail: Literal["quick", "full"] = "full"

    @property
    def clearance(self) -> float:
        """Metres below which a frame gets a warning."""
        return self.run.get("clearance", 0.0)

    def trajectory(self) -> Trajectory:
        """The poses that a run of TrajectoryFromKeyframes makes of this path.

        Raises:
            InputError: as `keys`.
        """
        from ..pantheon_core.trajectory import interpolate

        return interpolate(self.keys())

    def keys(self) -> KeyframePath:
        """The keyframes as a run takes them, over its frames and at its speed.

        Raises:
            InputError: the path is none, or it has too many keyframes.
        """
        from ..pantheon_core.trajectory import path_from_json, retime

        keys = path_from_json(self.path)
        if len(keys.keyframes) > MAX_KEYS:
            raise InputError(f"keyframes: expected at most {MAX_KEYS}, got {len(keys.keyframes)}")
        frames, fps = self.run.get("frames", keys.frames), self.run.get("fps", keys.fps)
        if frames > MAX_FRAMES:
            raise InputError(f"frames: expected at most {MAX_FRAMES}, got {frames}; split the path")
        if "frames" in self.run or "fps" in self.run:
            keys = retime(keys, frames=frames, fps=fps)
        if self.run.get("spline", "as given") != "as given":
            keys = dataclasses.replace(keys, spline=self.run["spline"])
        if self.run.get("constant_speed", False):
            keys = dataclasses.replace(keys, constant_speed=True)
        return keys

    def checked_frames(self, count: int) -> tuple[int, ...]:
        """The numbers of the frames, all of which the path has.

        Raises:
            RequestError: it has not.
        """
        if max(self.frames) >= count:
            raise RequestError(f"frames: expected numbers from 0 to {count - 1}, got {max(self.frames)}")
        return self.frames


def read_request(body: bytes, *, frames: bool) -> PathRequest:
    """A scrub (`frames`) or a report, from the body of its request.

    Raises:
        RequestError: it is not JSON, too large, or a field is missing, unknown or out of its range.
    """
    if len(body) > MAX_BODY:
        raise RequestError(f"The path is too large: expected at most {MAX_BODY:,} bytes.", status=413)
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The request is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise RequestError(f"The request must be a JSON object, got {type(data).__name__}")
    known = {"client", "path", "run"} | ({"frames", "height", "detail"} if frames else set())
    for name in data:
        if name not in known:
            raise RequestError(f"{name!s:.40}: unknown field. Known are {', '.join(sorted(known))}")
    client = data.get("client")
    if not isinstance(client, str) or not 1 <= len(client) <= 64:
        raise RequestError("client: expected a text of 1 to 64 characters, which tells pages apart")
    path = data.get("path")
    if not isinstance(path, (dict, str)):
        raise RequestError(f"path: expected the keyframes as a JSON object, got {type(path).__name__}")
    text = path if isinstance(path, str) else json.dumps(path)
    run = _read_run(data.get("run", {}))
    if not frames:
        return PathRequest(client=client, path=text, run=run)
    height, detail = data.get("height", 128), data.get("detail", "full")
    if height not in HEIGHTS or isinstance(height, bool):
        raise RequestError(f"height: expected one of {', '.join(map(str, HEIGHTS))}, got {height!s:.40}")
    if detail not in ("quick", "full"):
        raise RequestError(f"detail: expected quick or full, got {detail!s:.40}")
    return PathRequest(
        client=client,
        path=text,
        run=run,
        frames=_read_frames(data.get("frames")),
        height=int(height),
        detail=cast('Literal["quick", "full"]', detail),
    )


def _read_frames(value: Any) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(
        isinstance(one, int) and not isinstance(one, bool) and 0 <= one < MAX_FRAMES for one in value
    )
    if not whole or not 1 <= len(value) <= MAX_BATCH:
        raise RequestError(f"frames: expected a list of 1 to {MAX_BATCH} frame numbers, got {value!s:.80}")
    return tuple(dict.fromkeys(value))


def _read_run(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RequestError(f"run: expected an object with {', '.join(_RUN_FIELDS)}, got {value!s:.40}")
    checks = {
        "frames": lambda x: isinstance(x, int) and 1 <= x <= MAX_FRAMES,
        "fps": lambda x: isinstance(x, (int, float)) and 0 < x <= 1000,
        "spline": lambda x: x in _SPLINES,
        "constant_speed": lambda x: isinstance(x, bool),
        "clearance": lambda x: isinstance(x, (int, float)) and 0 <= x < math.inf,
    }
    for name, one in value.items():
        if name not in checks:
            raise RequestError(f"run.{name!s:.40}: unknown field. Known are {', '.join(_RUN_FIELDS)}")
        misplaced = isinstance(one, bool) and name != "constant_speed"
        if misplaced or not checks[name](one):
            raise RequestError(f"run.{name}: {one!s:.40} is not possible for this widget")
    return value


def read_number(name: str, text: str | None, *, default: int, low: int, high: int) -> int:
    """A whole number of an address's query.

    Raises:
        RequestError: it is none, or out of range.
    """
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise RequestError(f"{name}: expected a whole number from {low} to {high}, got {text:.40}")
    return int(text)


def read_index(name: str, text: str, count: int) -> int:
    """A number below `count`.

    Raises:
        RequestError: there is no such thing.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) < count):
        raise RequestError(f"{name}: expected a number from 0 to {count - 1}, got {text:.40}", status=404)
    return int(text)
