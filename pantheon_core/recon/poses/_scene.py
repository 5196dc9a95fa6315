"""Several panoramas -> one cache: estimate, align, check, merge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...cache import PointCache, merge_caches
from ...cache.cleaning import merge_overlaps
from ...check import check_erp, check_finite, check_shape
from ...errors import InputError, Progress
from .._reconstruct import cache_from_estimate, get_backend
from .._types import DistanceEstimate, ReconBackend, ReconSettings
from ._agreement import Agreement, compare_panoramas, say_disagreement
from ._align import Alignment, align_estimates
from ._types import PanoramaPoses
from ._words import listed, names_of

__all__ = ["SceneReport", "align_scene", "reconstruct_scene"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SceneReport:
    """What became of each panorama.

    Attributes:
        names: of the panoramas.
        poses: as used: in metres when `poses.metric`.
        alignments: how the distances of each used panorama were brought to one scale.
        agreements: every used panorama against every other one, both ways.
        warnings: sentences: what was left out and why, what is doubtful.
    """

    names: tuple[str, ...]
    poses: PanoramaPoses
    alignments: tuple[Alignment, ...]
    agreements: tuple[Agreement, ...]
    warnings: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """The report in words, a line each."""
        placed = int(self.poses.registered.sum())
        unit = "metres" if self.poses.metric else "a unit that is not known to be a metre"
        out = [
            f"{placed} of {len(self.names)} panoramas placed ({self.poses.method}), distances in "
            f"{unit}, {len(self.poses.points)} shared points"
        ]
        for one in self.alignments:
            if one.kind in ("ratio", "affine"):
                shift = f", 1/distance moved by {one.shift:.4f}" if one.kind == "affine" else ""
                out.append(
                    f"{self.names[one.panorama]}: distances times {1 / one.gain:.3f}{shift}; off by "
                    f"{100 * math.expm1(one.error):.1f} % at {one.points} shared points (before: "
                    f"{100 * math.expm1(one.error_before):.1f} %)"
                )
            else:
                told = f"times {1 / one.gain:.3f} as the others" if one.kind == "borrowed" else "as they were"
                if one.kind == "kept":
                    told += f": off by {100 * math.expm1(one.error):.1f} %, and no factor fits better"
                out.append(f"{self.names[one.panorama]}: {one.points} shared points, distances {told}")
        told = [one.disagreement for one in self.agreements if not math.isnan(one.disagreement)]
        if told:
            out.append(
                f"where panoramas can be compared, {100 * sum(told) / len(told):.0f} % contradicts on "
                f"average, {100 * max(told):.0f} % at worst"
            )
        return (*out, *self.warnings)


def reconstruct_scene(
    panoramas: Sequence[Tensor],
    backend: ReconBackend | str,
    poses: PanoramaPoses,
    *,
    valid: Sequence[Tensor] | None = None,
    names: Sequence[str] | None = None,
    estimates: Sequence[DistanceEstimate | None] | None = None,
    settings: ReconSettings | None = None,
    progress: Progress | None = None,
) -> tuple[PointCache, SceneReport]:
    """Build one cache of several placed panoramas.

    Distances are estimated, brought to the points that the panoramas share (and the whole scene to metres
    where the distances are), compared pairwise, and merged: where several saw the same surface, the one that
    saw it most finely keeps it. Panoramas without a place are left out and named in the report.

    Args:
        panoramas: P tensors (3, H, W) float 0..1, W = 2 H, levelled.
        backend: estimates the distances where `estimates` has none; a backend or its name.
        poses: where the P panoramas were taken.
        valid: P masks (H, W) bool, False where a panorama has no picture or must not be used.
        names: for messages; numbers from 1 else.
        estimates: known distances, one per panorama; None where they must be estimated.
        settings: from distances to the cache.
        progress: called with (panoramas done, panoramas).

    Returns:
        The cache, in the world of `poses`, and the report.

    Raises:
        InputError: numbers that do not fit, or no panorama has a place.
        ShapeError, ConventionError: not panoramas.
    """
    count = check_shape("poses.T_world_cam", poses.T_world_cam, "P 4 4")["P"]
    names = names_of(count, names)
    for what, given in (("panoramas", panoramas), ("valid", valid), ("estimates", estimates)):
        if given is not None and len(given) != count:
            raise InputError(f"{what}: expected {count}, one per pose, got {len(given)}")
    used = poses.registered.nonzero()[:, 0].tolist()
    if not used:
        told = "; ".join(poses.warnings) or "no panorama has a place"
        raise InputError(f"poses: expected at least one panorama with a place, got none: {told}")
    found: list[DistanceEstimate | None] = [None] * count
    for done, index in enumerate(used):
        known = None if estimates is None else estimates[index]
        mask = None if valid is None else valid[index]
        found[index] = _estimate(panoramas[index], known, backend, mask, names[index])
        if progress:
            progress(done + 1, len(used))
    aligned, report = align_scene(found, poses, names=names)
    return _merged(panoramas, aligned, report.poses, backend, settings), report


def align_scene(
    estimates: Sequence[DistanceEstimate | None],
    poses: PanoramaPoses,
    *,
    names: Sequence[str] | None = None,
) -> tuple[list[DistanceEstimate | None], SceneReport]:
    """Bring distances to one scale with the poses, and compare the panoramas; see `reconstruct_scene`.

    Args:
        estimates: P, one per panorama; None for those without a place.
        poses: of the P panoramas.
        names: for messages.

    Returns:
        The corrected distances, and the report with the poses in the unit that was chosen.

    Raises:
        InputError: numbers that do not fit.
    """
    count = len(poses.T_world_cam)
    names = names_of(count, names)
    aligned, poses, alignments, warnings = align_estimates(estimates, poses)
    agreements = compare_panoramas(aligned, poses.T_world_cam)
    left_out = [names[index] for index in range(count) if not poses.registered[index]]
    told = [*poses.warnings, *warnings, *say_disagreement(agreements, count, names)]
    if left_out:
        told.append(f"left out: {listed(left_out)}")
    return aligned, SceneReport(
        names=names, poses=poses, alignments=alignments, agreements=agreements, warnings=tuple(told)
    )


def _estimate(
    rgb: Tensor,
    known: DistanceEstimate | None,
    backend: ReconBackend | str,
    valid: Tensor | None,
    name: str,
) -> DistanceEstimate:
    check_shape(name, rgb, "3 H W")
    height, width = check_erp(name, rgb)
    check_finite(name, rgb)
    if known is None:
        made = get_backend(backend) if isinstance(backend, str) else backend
        known = made.estimate(rgb)
    check_shape(f"distances of {name}", known.distance, "H W", H=height, W=width)
    if valid is None:
        return known
    check_shape(f"mask of {name}", valid, "H W", H=height, W=width)
    return replace(known, valid=known.valid & valid, sky=known.sky * valid)


def _merged(
    panoramas: Sequence[Tensor],
    estimates: Sequence[DistanceEstimate | None],
    poses: PanoramaPoses,
    backend: ReconBackend | str,
    settings: ReconSettings | None,
) -> PointCache:
    name = backend if isinstance(backend, str) else backend.name
    caches = [
        cache_from_estimate(
            panoramas[index],
            estimate,
            settings=settings,
            T_world_cam=poses.T_world_cam[index].to(estimate.distance),
            backend=name,
        )
        for index, estimate in enumerate(estimates)
        if estimate is not None
    ]
    with torch.no_grad():
        return merge_overlaps(merge_caches(caches)) if len(caches) > 1 else caches[0]
