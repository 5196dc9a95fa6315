"""Photographs in: 360° pictures of every usual kind, with their metadata, placed level on the full sphere."""

from __future__ import annotations

from ._mask import feather_mask, grow_mask, hole_mask
from .load import load_panorama
from .panorama import Panorama, level, panorama_from_image, resize

__all__ = [
    "Panorama",
    "feather_mask",
    "grow_mask",
    "hole_mask",
    "level",
    "load_panorama",
    "panorama_from_image",
    "resize",
]
