"""One scale for all: dense distances brought to the sparse points that panoramas share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ...errors import InputError
from ...geometry import rays_to_erp_pixels, se3_inverse, transform_points
from .._types import DistanceEstimate
from ._types import PanoramaPoses

__all__ = [
    "Alignment",
    "align_estimates",
    "apply_alignment",
    "distances_at_points",
    "fit_alignment",
    "scale_poses",
]

MIN_RATIO_POINTS = 8
_MIN_AFFINE_POINTS = 60
_ENOUGH_CONFIRMED = 30
_FOLDS = 5
_GAIN = 0.9
_MAX_STRETCH = 3.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Alignment:
    """How one panorama's distances were brought to the common points: 1 / aligned = gain / distance + shift.

    Attributes:
        panorama: its index.
        kind: "ratio" for a common factor alone, "affine" for gain and shift of the inverse distance, "kept"
            where either fits worse than the distances as they were, "borrowed" for the median gain of the
            others where too few points are shared, "none" where nobody shares any and the distances stay as
            they were.
        gain: dimensionless; the distances are divided by it.
        shift: in one over the unit of the points; 0 for a ratio.
        points: how many shared points it was fitted to.
        error_before: median of |log(distance / true)| over them.
        error: the same afterwards, on points that the fit did not see.
        error_ratio: the same for the ratio alone.
    """

    panorama: int
    kind: Literal["none", "borrowed", "kept", "ratio", "affine"] = "none"
    gain: float = 1.0
    shift: float = 0.0
    points: int = 0
    error_before: float = math.nan
    error: float = math.nan
    error_ratio: float = math.nan


def distances_at_points(
    poses: PanoramaPoses, panorama: int, estimate: DistanceEstimate
) -> tuple[Tensor, Tensor]:
    """The dense and the sparse distance of each point that a panorama saw.

    Where 30 or more of them were seen by a third panorama too, the others are left out: two views of a wall
    that repeats agree on a point that is not there, a third one seldom does.

    Returns:
        (K,) dense distances in the estimate's unit and (K,) sparse ones in the unit of the poses, where the
        estimate has a distance.
    """
    mine = poses.observation_point[poses.observation_panorama == panorama]
    confirmed = torch.bincount(poses.observation_point, minlength=len(poses.points))[mine] > 2
    if int(confirmed.sum()) >= _ENOUGH_CONFIRMED:
        mine = mine[confirmed]
    local = transform_points(se3_inverse(poses.T_world_cam[panorama].double()), poses.points[mine].double())
    sparse = local.norm(dim=-1)
    height, width = estimate.distance.shape
    pixel = rays_to_erp_pixels(local, height).round().long()
    rows, columns = pixel[:, 1].clamp(0, height - 1), pixel[:, 0] % width
    dense = estimate.distance.cpu()[rows, columns].double()
    usable = estimate.valid.cpu()[rows, columns] & (dense > 0) & (sparse > 0) & dense.isfinite()
    return dense[usable], sparse[usable]


def fit_alignment(dense: Tensor, sparse: Tensor, *, panorama: int = 0) -> Alignment:
    """Fit distances to points: the median ratio, and gain and shift of the inverse where that is better.

    Which is better is measured on points that the fit did not see (five folds, median of |log|); the second
    needs 60 points and a tenth less error. Where neither is better than the distances as they were, they are
    kept: points that contradict one another teach nothing.

    Args:
        dense: (K,) distances to correct.
        sparse: (K,) what they should be.
        panorama: goes into the result.
    """
    count = len(dense)
    if count < MIN_RATIO_POINTS:
        return Alignment(panorama=panorama, points=count)
    before = _error(dense, sparse)
    fold = torch.arange(count) % _FOLDS
    held_ratio, held_affine = [], []
    for number in range(_FOLDS):
        seen, held = fold != number, fold == number
        held_ratio.append(_log_errors(dense[held] / _ratio(dense[seen], sparse[seen]), sparse[held]))
        gain, shift = _affine(dense[seen], sparse[seen])
        held_affine.append(_log_errors(_inverse_affine(dense[held], gain, shift), sparse[held]))
    by_ratio, by_affine = (float(torch.cat(held).median()) for held in (held_ratio, held_affine))
    found = Alignment(
        panorama=panorama,
        kind="ratio",
        gain=_ratio(dense, sparse),
        points=count,
        error_before=before,
        error=by_ratio,
        error_ratio=by_ratio,
    )
    if count >= _MIN_AFFINE_POINTS and by_affine < _GAIN * by_ratio:
        gain, shift = _affine(dense, sparse)
        if _harmless(dense, gain, shift):
            found = replace(found, kind="affine", gain=gain, shift=shift, error=by_affine)
    return replace(found, kind="kept", gain=1.0, shift=0.0, error=before) if before < found.error else found


def apply_alignment(estimate: DistanceEstimate, alignment: Alignment, *, metric: bool) -> DistanceEstimate:
    """Corrected distances; pixels that the correction would send beyond infinity are no longer valid.

    Args:
        estimate: of one panorama.
        alignment: how to correct it.
        metric: True when the points it was fitted to are in metres.
    """
    distance = estimate.distance
    inverse = alignment.gain / distance.clamp(min=1e-12) + alignment.shift
    # A shift moves what is far most: beyond three times as far as the ratio alone says, it is a guess.
    valid = estimate.valid & (inverse * distance * _MAX_STRETCH > alignment.gain)
    corrected = torch.where(valid, 1 / inverse.clamp(min=1e-12), torch.zeros_like(distance))
    return replace(estimate, distance=corrected, valid=valid, metric=metric)


def align_estimates(
    estimates: Sequence[DistanceEstimate | None], poses: PanoramaPoses
) -> tuple[list[DistanceEstimate | None], PanoramaPoses, tuple[Alignment, ...], tuple[str, ...]]:
    """Bring all panoramas' distances to one scale, and the scene to metres where the distances know them.

    Poses that are not metric take the unit of the distances, as most points of most panoramas have it: the
    median over panoramas of their median ratio; metres, where every estimate is metric. Then each panorama's
    distances are fitted to the shared points.

    Args:
        estimates: P, one per panorama; None for those that are left out.
        poses: of the same P panoramas.

    Returns:
        the corrected estimates, the poses in the unit that was chosen, one alignment per estimate, and
        warnings.

    Raises:
        InputError: not one estimate per panorama, or one for a panorama without a place.
    """
    count = len(poses.T_world_cam)
    if len(estimates) != count:
        raise InputError(f"estimates: expected {count}, one per panorama, got {len(estimates)}")
    if any(one is not None and not poses.registered[index] for index, one in enumerate(estimates)):
        raise InputError("estimates: expected None for panoramas that are not registered")
    warnings: list[str] = []
    poses = _to_their_unit(estimates, poses, warnings)
    known = {index: one for index, one in enumerate(estimates) if one is not None}
    alignments = _borrowed(
        [fit_alignment(*distances_at_points(poses, i, one), panorama=i) for i, one in known.items()]
    )
    out: list[DistanceEstimate | None] = [None] * count
    for alignment in alignments:
        estimate = known[alignment.panorama]
        # Without shared points a distance is in metres only if it was, and the scene is.
        metric = poses.metric and (alignment.kind in ("kept", "ratio", "affine") or estimate.metric)
        out[alignment.panorama] = apply_alignment(estimate, alignment, metric=metric)
    out, poses = _one_kind(out, poses, warnings)
    return out, poses, tuple(alignments), tuple(warnings)


def _borrowed(alignments: list[Alignment]) -> list[Alignment]:
    """Panoramas that share nothing get the gain of the others: one estimator errs alike everywhere."""
    gains = torch.tensor([one.gain for one in alignments if one.kind != "none"])
    if not len(gains):
        return alignments
    middle = float(gains.log().quantile(0.5).exp())
    return [replace(one, kind="borrowed", gain=middle) if one.kind == "none" else one for one in alignments]


def scale_poses(poses: PanoramaPoses, factor: float, *, metric: bool) -> PanoramaPoses:
    """The same scene in another unit: places and points times `factor`.

    Raises:
        InputError: the factor is not a finite number above 0.
    """
    if not 0 < factor < math.inf:
        raise InputError(f"factor: expected a finite number above 0, got {factor:g}")
    motion = poses.T_world_cam.clone()
    motion[:, :3, 3] *= factor
    return replace(poses, T_world_cam=motion, points=poses.points * factor, metric=metric)


def _to_their_unit(
    estimates: Sequence[DistanceEstimate | None], poses: PanoramaPoses, warnings: list[str]
) -> PanoramaPoses:
    known = [(index, one) for index, one in enumerate(estimates) if one is not None]
    if poses.metric or not known:
        return poses
    logs = []
    for index, estimate in known:
        dense, sparse = distances_at_points(poses, index, estimate)
        if len(dense) >= MIN_RATIO_POINTS:
            logs.append(float((dense / sparse).log().median()))
    if not logs:
        warnings.append("no panorama shares enough points to bring the scene to metres: its unit is unknown")
        return poses
    ratios = torch.tensor(logs)
    middle = float(ratios.quantile(0.5))
    metric = all(one.metric for _, one in known)
    off = float((ratios - middle).abs().max())
    if metric and off > math.log(1.25):
        warnings.append(
            f"the panoramas' own metres differ by up to {100 * math.expm1(off):.0f} %; the median was taken"
        )
    return scale_poses(poses, math.exp(middle), metric=metric)


def _one_kind(
    estimates: list[DistanceEstimate | None], poses: PanoramaPoses, warnings: list[str]
) -> tuple[list[DistanceEstimate | None], PanoramaPoses]:
    """A scene is metric as a whole or not at all."""
    if poses.metric and any(one is not None and not one.metric for one in estimates):
        warnings.append(
            "the places are in metres, but some distances could not be brought to metres: too few shared "
            "points"
        )
        plain = [None if one is None else replace(one, metric=False) for one in estimates]
        return plain, replace(poses, metric=False)
    return estimates, poses


def _ratio(dense: Tensor, sparse: Tensor) -> float:
    """The median ratio, moved to the middle of the values around it, as outliers lie to one side."""
    logs = (dense / sparse).log()
    middle = logs.quantile(0.5)
    for _ in range(10):
        off = logs - middle
        weight = 1 / (1 + (off / (2 * 1.4826 * off.abs().quantile(0.5) + 1e-9)) ** 2)
        middle = (weight * logs).sum() / weight.sum()
    return float(middle.exp())


def _log_errors(found: Tensor, true: Tensor) -> Tensor:
    return (found.clamp(min=1e-12) / true).log().abs()


def _error(found: Tensor, true: Tensor) -> float:
    return float(_log_errors(found, true).median())


def _inverse_affine(dense: Tensor, gain: float, shift: float) -> Tensor:
    # A value that the shift sends beyond infinity counts as very wrong, not as missing.
    return 1 / (gain / dense + shift).clamp(min=1e-9)


def _harmless(dense: Tensor, gain: float, shift: float) -> bool:
    """The correction keeps the order of distances and changes none of the points beyond all measure."""
    stretch = (gain / dense + shift) * dense / gain
    return gain > 0 and bool(((stretch > 1 / _MAX_STRETCH) & (stretch < _MAX_STRETCH)).float().mean() > 0.95)


def _affine(dense: Tensor, sparse: Tensor) -> tuple[float, float]:
    """Gain and shift with 1 / sparse = gain / dense + shift, in relative error, outliers weighed down."""
    rows = torch.stack((sparse / dense, sparse), dim=1)
    target = torch.ones_like(sparse)
    solution = torch.tensor([_ratio(dense, sparse), 0.0], dtype=rows.dtype)
    for _ in range(20):
        off = rows @ solution - target
        scale = 1.4826 * float(off.abs().quantile(0.5)) + 1e-9
        weight = 1 / (1 + (off / (2 * scale)) ** 2)
        normal = rows.T @ (rows * weight[:, None])
        solution = torch.linalg.solve(
            normal + 1e-9 * normal.diagonal().sum() * torch.eye(2, dtype=normal.dtype),
            rows.T @ (weight * target),
        )
    return float(solution[0]), float(solution[1])
