"""Several panoramas of one scene: where each was taken, one scale for all, and who contradicts whom."""

from __future__ import annotations

from ._agreement import Agreement, compare_panoramas, say_disagreement
from ._align import Alignment, align_estimates, fit_alignment
from ._sfm import poses_from_pictures
from ._types import PanoramaPoses

__all__ = [
    "Agreement",
    "Alignment",
    "PanoramaPoses",
    "align_estimates",
    "compare_panoramas",
    "fit_alignment",
    "poses_from_pictures",
    "say_disagreement",
]
