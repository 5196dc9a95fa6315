"""Whole tasks, wired from the parts: what the command line and the nodes run."""

from __future__ import annotations

from .contact_sheet import contact_sheet, save_png
from .scaffold import Anchor, Scaffold, render_scaffold
from .scrub import ScrubFrame, ScrubReport, ScrubScene, hole_heat
from .walk import MINIMUM_CLEARANCE, Stages, Walk, panorama_cache, walk_scaffold

__all__ = [
    "MINIMUM_CLEARANCE",
    "Anchor",
    "Scaffold",
    "ScrubFrame",
    "ScrubReport",
    "ScrubScene",
    "Stages",
    "Walk",
    "contact_sheet",
    "hole_heat",
    "panorama_cache",
    "render_scaffold",
    "save_png",
    "walk_scaffold",
]
