"""Whole tasks, wired from the parts: what the command line and the nodes run."""

from __future__ import annotations

from .contact_sheet import contact_sheet, save_png
from .scaffold import Anchor, Scaffold, render_scaffold
from .walk import Stages, Walk, panorama_cache, walk_scaffold

__all__ = [
    "Anchor",
    "Scaffold",
    "Stages",
    "Walk",
    "contact_sheet",
    "panorama_cache",
    "render_scaffold",
    "save_png",
    "walk_scaffold",
]
