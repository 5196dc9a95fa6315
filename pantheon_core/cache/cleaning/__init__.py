"""Cleaning of caches: edges, floaters, overlaps, thinning, and the scale in metres; all pure functions."""

from __future__ import annotations

from ._clean import CleanSettings, clean_cache
from ._edges import edge_mask
from ._grid import AnchorGrid, anchor_grid
from ._overlap import merge_overlaps
from ._report import CleanReport, CleanStep
from ._scale import ScaleReport, scale_by_camera_height, scale_by_distance, scale_cache
from ._thin import thin_cache

__all__ = [
    "AnchorGrid",
    "CleanReport",
    "CleanSettings",
    "CleanStep",
    "ScaleReport",
    "anchor_grid",
    "clean_cache",
    "edge_mask",
    "merge_overlaps",
    "scale_by_camera_height",
    "scale_by_distance",
    "scale_cache",
    "thin_cache",
]
