"""Camera paths: keyframes, presets, interpolation, their files, and the distance to the scene."""

from __future__ import annotations

from ._clearance import ClearanceReport, clearance
from ._interpolate import interpolate
from ._json import path_from_json, path_to_json
from ._keyframes import EASINGS, MAX_FRAMES, Easing, Keyframe, KeyframePath, Trajectory, retime
from ._passing import key_frames
from ._presets import PRESETS, preset_path
from ._simplify import simplify
from .formats import read_trajectory, write_trajectory

__all__ = [
    "EASINGS",
    "MAX_FRAMES",
    "PRESETS",
    "ClearanceReport",
    "Easing",
    "Keyframe",
    "KeyframePath",
    "Trajectory",
    "clearance",
    "interpolate",
    "key_frames",
    "path_from_json",
    "path_to_json",
    "preset_path",
    "read_trajectory",
    "retime",
    "simplify",
    "write_trajectory",
]
