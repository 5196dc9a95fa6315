"""The path editor's addresses on the host's server: files of other programs, read and written by the core."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..pantheon_core.errors import PantheonError
from .path_files import read_path_file, write_path_file
from .render_thread import Busy

log = logging.getLogger(__name__)

_PREFIX = "/pantheon360/path"
_MAX_BYTES = 64 << 20
_AT_ONCE = 2
_MAX_JOBS = 8


class PathJobs:
    """Works on few files at a time, off the server's event loop, and lets few more wait.

    Simplifying a long track takes seconds of a whole core, which the host's own work needs too.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pantheon-path")
        self._jobs: set[Future[Any]] = set()

    def check_room(self) -> None:
        """Say so where no more may wait.

        Raises:
            Busy: as it says.
        """
        if len(self._jobs) >= _MAX_JOBS:
            raise Busy("Too many camera paths are being read and written. Try again in a moment.")

    def submit(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have `work(*args)` called. A job that was cancelled before its turn is left out.

        Raises:
            Busy: too many wait.
        """
        self.check_room()
        job = self._pool.submit(work, *args)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job


def register() -> None:
    """Add the addresses to the running server, once; outside of one there is nothing to add to."""
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is None:
        return
    known = {getattr(route, "path", None) for route in server.routes}
    if f"{_PREFIX}/read" not in known:
        add_routes(server.routes)


def add_routes(table: Any) -> None:
    """Add the addresses to an aiohttp route table."""
    web = importlib.import_module("aiohttp.web")  # the host brings it
    jobs = PathJobs()

    @table.post(f"{_PREFIX}/read")
    async def read(request: Any) -> Any:
        try:
            jobs.check_room()  # before a body is held that has to wait
            content = await _body(request)
            if content is None:
                return _refusal(web, f"The file is larger than {_MAX_BYTES >> 20} MB.", 413)
            name, rate = request.query.get("name", ""), _rate(request.query.get("fps"))
            path = await asyncio.wrap_future(jobs.submit(read_path_file, name, content, rate))
        except PantheonError as error:
            return _refusal(web, str(error), _status(error))
        return web.json_response({"path": path})

    @table.post(f"{_PREFIX}/write")
    async def write(request: Any) -> Any:
        content = await _body(request)
        try:
            asked = json.loads(content or b"")
            path, format = asked["path"], asked["format"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return _refusal(web, "Expected JSON with a path and a format.", 400)
        try:
            name, body = await asyncio.wrap_future(jobs.submit(write_path_file, path, str(format)))
        except PantheonError as error:
            return _refusal(web, str(error), _status(error))
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=body, content_type="application/octet-stream", headers=headers)


async def _body(request: Any) -> bytes | None:
    """The body, or None where it is too large; no more than the limit is ever read."""
    found = bytearray()
    async for chunk in request.content.iter_any():
        found += chunk
        if len(found) > _MAX_BYTES:
            return None
    return bytes(found)


def _rate(text: str | None) -> float | None:
    try:
        rate = float(text or "")
    except ValueError:
        return None
    return rate if math.isfinite(rate) and rate > 0 else None


def _status(error: PantheonError) -> int:
    return 503 if isinstance(error, Busy) else 400


def _refusal(web: Any, sentence: str, status: int) -> Any:
    return web.json_response({"error": sentence}, status=status)
