"""Pantheon360 as ComfyUI loads it. Nothing heavy is imported; the nodes come with `comfy_entrypoint`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes.extension import PantheonExtension

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> PantheonExtension:
    """Called once by the host to get the nodes."""
    from .nodes.extension import PantheonExtension

    return PantheonExtension()
