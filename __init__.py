"""Pantheon360 as ComfyUI loads it. Nothing heavy is imported; the nodes come with `comfy_entrypoint`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes.extension import PantheonExtension

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]

_PACKAGE = "pantheon360_pack"


async def comfy_entrypoint() -> PantheonExtension:
    """Called once by the host to get the nodes."""
    return importlib.import_module(f"{_importable_package()}.nodes.extension").PantheonExtension()


def _importable_package() -> str:
    """This package under a name that is an identifier.

    The host names a pack after its path, slashes and all. Warp makes folders and C symbols of the names of
    modules that hold kernels, so the parts of this pack are imported under a name of their own.
    """
    name, number = _PACKAGE, 1
    while name in sys.modules:
        if sys.modules[name].__file__ == __file__:
            return name
        # Another copy of the pack is installed in another folder; the host reports the nodes that clash.
        name, number = f"{_PACKAGE}_{number}", number + 1
    folder = str(Path(__file__).parent)
    spec = importlib.util.spec_from_file_location(name, __file__, submodule_search_locations=[folder])
    if spec is None:
        raise ImportError(f"the pack cannot be imported from {__file__}; clone it again")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    return name
