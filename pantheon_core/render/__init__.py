"""The cache seen from anywhere: the scaffold."""

from __future__ import annotations

from ..cache import pull_push
from ._api import Backend, render, render_path
from ._prepared import PreparedCache
from ._scene import RenderedFrame

__all__ = ["Backend", "PreparedCache", "RenderedFrame", "pull_push", "render", "render_path"]
