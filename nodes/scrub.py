"""What the page may ask of a cache of this session: what it holds, its points, and quick looks along a path.

Nothing here knows the web server: requests come as values and leave as a `Reply`. See web/scrub-1/README.md.
"""

from __future__ import annotations

import json
import struct
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..pantheon_core.errors import PantheonError
from .render_thread import Busy, RenderThread, Superseded
from .scrub_request import PathRequest, RequestError, read_index, read_number, read_request

if TYPE_CHECKING:
    from torch import Tensor

    from ..pantheon_core.apps import ScrubFrame, ScrubScene
    from ..pantheon_core.errors import Progress
    from ..pantheon_core.render import Backend
    from .session import CacheSession
    from .types import BuiltCache

MAX_POINTS = 1_000_000
MAX_BACKDROP = 1024
_PREPARED = 2  # scenes that are kept ready; each takes some tens of megabytes
_JPEG_QUALITY = 88
_GONE = (
    "This 3D scene is not held by the server any more: it was restarted, or newer scenes took its place. "
    "Run the graph again; if nothing happens, change a setting of Build 3D Cache."
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reply:
    """An answer to the page. `lasting`: the same address will always give the same."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    lasting: bool = False


def json_reply(value: Any, status: int = 200) -> Reply:
    """A value as JSON."""
    return Reply(body=json.dumps(value, allow_nan=False).encode(), status=status)


def error_reply(error: PantheonError) -> Reply:
    """The sentence of an error, with the status that says whose fault it is."""
    status = 400
    if isinstance(error, RequestError):
        status = error.status
    elif isinstance(error, Superseded):
        status = 409
    elif isinstance(error, Busy):
        status = 503
    return json_reply({"error": str(error)}, status)


class ScrubService:
    """Answers for the caches of one session."""

    def __init__(self, session: CacheSession, thread: RenderThread, *, backend: Backend = "auto") -> None:
        self._session, self._thread = session, thread
        self._backend: Backend = backend
        self._scenes: dict[str, ScrubScene] = {}  # only the render thread touches them

    def info(self, key: str) -> Reply:
        """What a cache holds and where its panoramas stand."""
        from .cache_facts import describe_cache

        return json_reply({"key": key, **describe_cache(self._built(key))})

    def cloud(self, key: str, budget: str | None) -> Reply:
        """Points and colours, thinned out evenly to at most `budget`."""
        from .cache_facts import thinned_points

        built = self._built(key)
        limit = read_number("budget", budget, default=500_000, low=100, high=MAX_POINTS)
        positions, colors = thinned_points(built.cache, limit)
        header = {"count": len(positions), "total": len(built.cache.points), "metric": built.cache.metric}
        parts = {"positions": positions.numpy().astype("<f4").tobytes(), "colors": colors.numpy().tobytes()}
        return Reply(
            body=pack(b"P360CLD1", header, parts), content_type="application/octet-stream", lasting=True
        )

    def backdrop(self, key: str, index: str, height: str | None) -> Reply:
        """A panorama that the cache was built from, as JPEG."""
        from ..pantheon_core.geometry import resize_erp

        panoramas = self._built(key).panoramas
        rgb = panoramas[read_index("backdrop", index, len(panoramas))].rgb
        limit = read_number("height", height, default=MAX_BACKDROP, low=32, high=MAX_BACKDROP)
        if rgb.shape[-2] > limit:
            rgb = resize_erp(rgb, limit)
        return Reply(body=_encoded(rgb, "JPEG"), content_type="image/jpeg", lasting=True)

    def scrub(self, key: str, body: bytes) -> Future[Reply]:
        """Frames of the scaffold along a path, rendered in the render thread."""
        request = read_request(body, frames=True)
        built = self._built(key)

        def work(progress: Progress) -> Reply:
            begin = time.perf_counter()
            trajectory = request.trajectory()
            scene = self._scene(key, built)
            frames = []
            for index in request.checked_frames(len(trajectory)):
                frame = scene.frame(trajectory, index, height=request.height, detail=request.detail)
                frames.append(frame)
                progress(len(frames), len(request.frames))
            return _frames_reply(frames, len(trajectory), begin)

        return self._thread.submit(request.client, "frame", _without_gradients(work))

    def report(self, key: str, body: bytes) -> Future[Reply]:
        """Coverage and clearance of every frame of a path."""
        request = read_request(body, frames=False)
        built = self._built(key)

        def work(progress: Progress) -> Reply:
            return _report_reply(self._scene(key, built), request, progress)

        return self._thread.submit(request.client, "report", _without_gradients(work))

    def _built(self, key: str) -> BuiltCache:
        built = self._session.get(key)
        if built is None:
            raise RequestError(_GONE, status=404)
        return built

    def _scene(self, key: str, built: BuiltCache) -> ScrubScene:
        """Ready for looks; made in the render thread, and dropped when two others were asked for since."""
        from ..pantheon_core.apps import Anchor, ScrubScene

        scene = self._scenes.pop(key, None)
        if scene is None:
            anchors = [
                Anchor(rgb=one.rgb, valid=one.valid, T_world_cam=one.T_world_cam) for one in built.panoramas
            ]
            scene = ScrubScene(built.cache, anchors, backend=self._backend)
        self._scenes[key] = scene
        for old in list(self._scenes)[:-_PREPARED]:
            del self._scenes[old]
        return scene


def _without_gradients(work: Any) -> Any:
    """The host makes its tensors in inference mode; work on them must be in it too."""

    def run(progress: Progress) -> Reply:
        import torch

        with torch.inference_mode():
            return work(progress)

    return run


def _frames_reply(frames: list[ScrubFrame], total: int, begin: float) -> Reply:
    from ..pantheon_core.apps import hole_heat

    parts: dict[str, bytes] = {}
    listed = []
    for frame in frames:
        parts[f"rgb{frame.index}"] = _encoded(frame.rgb, "JPEG")
        heat = hole_heat(frame.coverage)
        # Holes start at a quarter: even a crack is told from what is covered.
        parts[f"holes{frame.index}"] = _encoded((0.25 + 0.75 * heat) * ~frame.coverage, "PNG")
        listed.append(
            {
                "frame": frame.index,
                "coverage": frame.covered,
                "clearance": frame.clearance,
                "T_world_cam": frame.T_world_cam.flatten().tolist(),
            }
        )
    height, width = frames[0].coverage.shape
    header = {
        "width": width,
        "height": height,
        "total": total,
        "frames": listed,
        "milliseconds": round(1e3 * (time.perf_counter() - begin), 1),
    }
    return Reply(body=pack(b"P360SCR1", header, parts), content_type="application/octet-stream")


def _report_reply(scene: ScrubScene, request: PathRequest, progress: Progress) -> Reply:
    from ..pantheon_core.trajectory import interpolate, key_frames

    begin = time.perf_counter()
    keys = request.keys()
    trajectory = interpolate(keys)
    found = scene.report(trajectory, minimum=request.clearance, progress=progress)
    poses = trajectory.T_world_cam.flatten(1).tolist()
    return json_reply(
        {
            "coverage": [round(one, 5) for one in found.covered.tolist()],
            "clearance": [None] * len(poses) if found.clearance is None else found.clearance.tolist(),
            "below": list(found.below),
            "minimum": found.minimum,
            "T_world_cam": poses,
            "key_frames": [round(one, 4) for one in key_frames(keys).tolist()],
            "milliseconds": round(1e3 * (time.perf_counter() - begin), 1),
        }
    )


def pack(magic: bytes, header: dict[str, Any], parts: dict[str, bytes]) -> bytes:
    """The pack's binary answer: magic, length of the header, header in JSON, then the parts.

    The header's `parts` say where each lies, in bytes after the header. Each starts at a multiple of four.
    """
    offset, places, data = 0, {}, []
    for name, part in parts.items():
        places[name] = {"offset": offset, "length": len(part)}
        padded = part + b"\0" * (-len(part) % 4)
        data.append(padded)
        offset += len(padded)
    text = json.dumps({**header, "parts": places}, allow_nan=False).encode()
    text += b" " * (-(len(text) + len(magic) + 4) % 4)
    return b"".join([magic, struct.pack("<I", len(text)), text, *data])


def _encoded(values: Tensor, form: str) -> bytes:
    """(3, H, W) or (H, W), 0 to 1, as a picture file."""
    from io import BytesIO

    from PIL import Image

    pixels = (values.clamp(0, 1) * 255).round().byte()
    pixels = pixels.movedim(0, -1) if pixels.ndim == 3 else pixels
    out = BytesIO()
    options = {"quality": _JPEG_QUALITY} if form == "JPEG" else {"compress_level": 1}
    Image.fromarray(pixels.contiguous().cpu().numpy()).save(out, form, **options)
    return out.getvalue()
