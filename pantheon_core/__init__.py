"""Pantheon360: 360° video from panoramas and a camera path.

The sub-packages are imported on first use, so `import pantheon_core` stays light: no torch, no diffusers.
Conventions of frames, units and tensor layouts: docs/conventions.md.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

_SUBPACKAGES = (
    "apps",
    "assets",
    "cache",
    "check",
    "diffusion",
    "errors",
    "geometry",
    "metrics",
    "panorama",
    "recon",
    "render",
    "synthetic",
    "training",
    "trajectory",
    "video",
)

__all__ = ["__version__", *_SUBPACKAGES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
