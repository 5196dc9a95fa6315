"""Videos of any length: windows of the model's frames, chained, each on disk as soon as it is done."""

from __future__ import annotations

from ._plan import Window, plan_windows
from ._run import LongSettings, LongVideo, WindowPreview, generate_long, run_fingerprint
from ._store import WindowStore

__all__ = [
    "LongSettings",
    "LongVideo",
    "Window",
    "WindowPreview",
    "WindowStore",
    "generate_long",
    "plan_windows",
    "run_fingerprint",
]
