"""Scenes that other programs reconstructed: ViPE, Matrix-3D and COLMAP folders."""

from __future__ import annotations

from ._registry import SCENE_KINDS, detect_scene, import_scene
from ._types import ImportedPanorama, ImportedScene, ImportOptions

__all__ = [
    "SCENE_KINDS",
    "ImportOptions",
    "ImportedPanorama",
    "ImportedScene",
    "detect_scene",
    "import_scene",
]
