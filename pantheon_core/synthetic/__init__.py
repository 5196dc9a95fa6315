"""Procedural scenes with exact ray-traced panoramas, distances and camera paths."""

from __future__ import annotations

from ._generate import HOLDOUT_SEED, KINDS, generate_scene
from ._paths import MIN_CLEARANCE, free_position, scene_clearance, scene_path
from ._scene import Scene
from ._tracer import TracedFrame, trace

__all__ = [
    "HOLDOUT_SEED",
    "KINDS",
    "MIN_CLEARANCE",
    "Scene",
    "TracedFrame",
    "free_position",
    "generate_scene",
    "scene_clearance",
    "scene_path",
    "trace",
]
