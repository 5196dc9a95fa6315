"""Several panoramas of one scene: where each was taken, one scale for all, and who contradicts whom."""

from __future__ import annotations

from ._agreement import Agreement, compare_panoramas, say_disagreement
from ._align import Alignment, align_estimates, fit_alignment, scale_poses
from ._find import METHODS, check_given, find_poses
from ._given import poses_from_file, poses_from_gps, poses_from_matrices
from ._points import points_at_poses
from ._scene import SceneReport, align_scene, reconstruct_scene
from ._sfm import poses_from_pictures
from ._types import PanoramaPoses

__all__ = [
    "METHODS",
    "Agreement",
    "Alignment",
    "PanoramaPoses",
    "SceneReport",
    "align_estimates",
    "align_scene",
    "check_given",
    "compare_panoramas",
    "find_poses",
    "fit_alignment",
    "points_at_poses",
    "poses_from_file",
    "poses_from_gps",
    "poses_from_matrices",
    "poses_from_pictures",
    "reconstruct_scene",
    "say_disagreement",
    "scale_poses",
]
