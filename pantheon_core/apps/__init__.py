"""Whole tasks, wired from the parts: what the command line and the nodes run."""

from __future__ import annotations

from .cache_build import BuiltCache, build_cache
from .cache_report import CacheReport, cache_report
from .contact_sheet import contact_sheet, save_png
from .scaffold import Anchor, Scaffold, render_cache, render_scaffold
from .scrub import ScrubFrame, ScrubReport, ScrubScene, hole_heat
from .walk import MINIMUM_CLEARANCE, Stages, Walk, panorama_cache, walk_cache, walk_scaffold

__all__ = [
    "MINIMUM_CLEARANCE",
    "Anchor",
    "BuiltCache",
    "CacheReport",
    "Scaffold",
    "ScrubFrame",
    "ScrubReport",
    "ScrubScene",
    "Stages",
    "Walk",
    "build_cache",
    "cache_report",
    "contact_sheet",
    "hole_heat",
    "panorama_cache",
    "render_cache",
    "render_scaffold",
    "save_png",
    "walk_cache",
    "walk_scaffold",
]
