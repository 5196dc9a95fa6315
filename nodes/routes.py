"""The pack's addresses on the host's server, under /pantheon360/cache. See web/scrub-1/README.md."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from typing import Any

from ..pantheon_core.errors import PantheonError
from .render_thread import RenderThread
from .scrub import Reply, ScrubService, error_reply
from .scrub_request import MAX_BODY, RequestError
from .session import SESSION

log = logging.getLogger(__name__)

_PREFIX = "/pantheon360/cache/{key}"


def register() -> None:
    """Add the addresses to the running server, once; outside of one there is nothing to add to."""
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is None:
        return
    known = {getattr(route, "path", None) for route in server.routes}
    if _PREFIX not in known:
        add_routes(server.routes, ScrubService(SESSION, RenderThread()))


def add_routes(table: Any, service: ScrubService) -> None:
    """Add the addresses to an aiohttp route table."""
    web = importlib.import_module("aiohttp.web")  # the host brings it

    async def reply(found: Callable[[], Any]) -> Any:
        try:
            answer = await asyncio.to_thread(found)
            if not isinstance(answer, Reply):
                answer = await asyncio.wrap_future(answer)
        except PantheonError as error:
            answer = error_reply(error)
        headers = {"Cache-Control": "private, max-age=86400, immutable" if answer.lasting else "no-store"}
        return web.Response(
            body=answer.body, status=answer.status, content_type=answer.content_type, headers=headers
        )

    @table.get(_PREFIX)
    async def info(request: Any) -> Any:
        return await reply(lambda: service.info(request.match_info["key"]))

    @table.get(_PREFIX + "/cloud")
    async def cloud(request: Any) -> Any:
        return await reply(lambda: service.cloud(request.match_info["key"], request.query.get("budget")))

    @table.get(_PREFIX + "/backdrop/{index}")
    async def backdrop(request: Any) -> Any:
        key, index = request.match_info["key"], request.match_info["index"]
        return await reply(lambda: service.backdrop(key, index, request.query.get("height")))

    @table.post(_PREFIX + "/scrub")
    async def scrub(request: Any) -> Any:
        return await posted(request, service.scrub)

    @table.post(_PREFIX + "/report")
    async def report(request: Any) -> Any:
        return await posted(request, service.report)

    async def posted(request: Any, answer: Callable[[str, bytes], Any]) -> Any:
        body = await _body(request)
        if body is None:
            sentence = f"The path is too large: expected at most {MAX_BODY:,} bytes."
            return await reply(_raising(RequestError(sentence, status=413)))
        return await reply(lambda: answer(request.match_info["key"], body))


async def _body(request: Any) -> bytes | None:
    """The body, or None where it is too large; no more than the limit is ever read."""
    found = bytearray()
    async for chunk in request.content.iter_chunked(1 << 16):
        found += chunk
        if len(found) > MAX_BODY:
            return None
    return bytes(found)


def _raising(error: PantheonError) -> Callable[[], Any]:
    def run() -> Any:
        raise error

    return run
