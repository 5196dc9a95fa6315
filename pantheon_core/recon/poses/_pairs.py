"""Two panoramas: which features are the same, and how the cameras stand to one another."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...geometry import nearest_rotation, rays_to_erp_pixels
from ._epipolar import epipolar_inliers, spread
from ._features import SphereFeatures, load_pycolmap
from ._upright import upright_motion

__all__ = ["PanoramaPair", "find_pair", "match_features", "rotation_between"]

_RATIO = 0.8
_FARTHEST = 0.7
_RATIO_ALONG = 0.7
_FARTHEST_ALONG = 0.4
_CHUNK = 2048
MIN_INLIERS = 20
"""Fewer matches that one motion explains are chance; none of 28 unrelated pairs reached 15."""
_SAME_PLACE = 0.9
_ROUNDS = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PanoramaPair:
    """What two panoramas say about their cameras.

    Attributes:
        matches: (M, 2) int64, features of the first and the second that look the same.
        inliers: (M,) bool, those that one motion explains; none when the panoramas do not belong together.
        R_first_second: (3, 3) float64, or None where no motion was found.
        direction: (3,) float64 unit, to the second camera in the first one's frame; None as above, and for
            cameras at the same place.
        same_place: a turn alone explains the matches.
        spread: how much of the sphere supports `direction`, see `spread`.
        further: (G, 2) int64, features that are alike among those which the motion lets be the same. They fit
            by choice, so they say nothing for or against the motion, but points can be built on them.
    """

    matches: Tensor
    inliers: Tensor
    R_first_second: Tensor | None = None
    direction: Tensor | None = None
    same_place: bool = False
    spread: int = 0
    further: Tensor = field(default_factory=lambda: torch.zeros(0, 2, dtype=torch.int64))

    @property
    def material(self) -> Tensor:
        """(K, 2) all matches that fit the motion."""
        return torch.cat((self.matches[self.inliers], self.further))


def match_features(first: SphereFeatures, second: SphereFeatures) -> Tensor:
    """(M, 2) int64 indices of mutual nearest neighbours that no other feature comes close to."""
    a, b = torch.from_numpy(first.descriptors), torch.from_numpy(second.descriptors)
    if len(a) < 2 or len(b) < 2:
        return torch.zeros(0, 2, dtype=torch.int64)
    nearest, likenesses = [], []
    back = torch.full((len(b),), -2.0)
    for start in range(0, len(a), _CHUNK):
        likeness = a[start : start + _CHUNK] @ b.T
        top, index = likeness.topk(2, dim=1)
        nearest.append(index[:, 0])
        likenesses.append(top)
        back = torch.maximum(back, likeness.amax(0))
    towards, top = torch.cat(nearest), torch.cat(likenesses)
    angle = top.clamp(-1, 1).arccos()
    clear = (angle[:, 0] < _FARTHEST) & (angle[:, 0] < _RATIO * angle[:, 1])
    kept = (clear & (top[:, 0] == back[towards])).nonzero()[:, 0]
    # Of two that are equally near to one feature, the first.
    earliest = torch.full((len(b),), len(a)).scatter_reduce(0, towards[kept], kept, "amin")
    kept = kept[earliest[towards[kept]] == kept]
    return torch.stack((kept, towards[kept]), dim=1)


def _further_matches(
    first: SphereFeatures, second: SphereFeatures, motion: _Motion, matches: Tensor, tolerance: float
) -> Tensor:
    """(G, 2) matches that a motion helps to find: a feature competes only with others in its plane.

    Far apart, the same thing looks different from two places, and among all features of a panorama another
    one comes close. Few of them lie in the plane of the ray and both cameras.
    """
    a, b = torch.from_numpy(first.descriptors), torch.from_numpy(second.descriptors)
    normal = torch.linalg.cross(motion.direction.expand_as(first.rays), first.rays)
    normal = torch.nn.functional.normalize(normal, dim=1)
    turned = second.rays @ motion.rotation.T
    # Nothing further away than this can be a match, or come too close to one.
    least = math.cos(_FARTHEST_ALONG / _RATIO_ALONG)
    found, likenesses = [], []
    for start in range(0, len(a), _CHUNK):
        likeness = a[start : start + _CHUNK] @ b.T
        row, column = (likeness > least).nonzero(as_tuple=True)
        near = ((normal[row + start] * turned[column]).sum(1)).abs() < tolerance
        found.append(torch.stack((row[near] + start, column[near]), dim=1))
        likenesses.append(likeness[row[near], column[near]])
    pair, angle = torch.cat(found), torch.cat(likenesses).clamp(-1, 1).arccos()
    best = angle == _least(angle, pair[:, 0], len(a))[pair[:, 0]]
    second_best = _least(angle[~best], pair[~best, 0], len(a))[pair[:, 0]]
    mutual = angle == _least(angle, pair[:, 1], len(b))[pair[:, 1]]
    kept = best & mutual & (angle < _FARTHEST_ALONG) & (angle < _RATIO_ALONG * second_best)
    pair = pair[kept]
    fits, _ = epipolar_inliers(
        first.rays[pair[:, 0]], second.rays[pair[:, 1]], motion.rotation, motion.direction, tolerance
    )
    known = matches[motion.inliers]
    new = ~torch.isin(pair[:, 0], known[:, 0]) & ~torch.isin(pair[:, 1], known[:, 1])
    return pair[fits & new]


def _least(angle: Tensor, group: Tensor, count: int) -> Tensor:
    """(count,) the smallest angle of each group; pi where there is none."""
    return torch.full((count,), math.pi).scatter_reduce(0, group, angle, "amin")


def rotation_between(
    first: Tensor, second: Tensor, tolerance: float, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The turn that brings most of the directions `second` (M, 3) onto `first` (M, 3).

    Args:
        first: unit directions, M at least 2.
        second: the same features in the other camera.
        tolerance: radians within which a pair agrees.
        seed: of the random samples.

    Returns:
        R_first_second (3, 3), and (M,) bool which pairs agree.
    """
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randint(len(first), (256, 2), generator=generator)
    sample = sample[sample[:, 0] != sample[:, 1]]
    trial = _wahba(first[sample], second[sample])
    turned = torch.einsum("hij,mj->hmi", trial, second)
    agree = (turned * first).sum(-1) > math.cos(tolerance)
    inliers = agree[agree.sum(1).argmax()]
    rotation = trial[agree.sum(1).argmax()]
    for _ in range(3):
        if int(inliers.sum()) < 2:
            break
        rotation = _wahba(first[inliers], second[inliers])
        inliers = ((second @ rotation.T) * first).sum(-1) > math.cos(tolerance)
    return rotation, inliers


def _wahba(first: Tensor, second: Tensor) -> Tensor:
    """Best rotations (..., 3, 3) that bring second (..., M, 3) onto first, by the singular value method."""
    return nearest_rotation(first.transpose(-1, -2) @ second)


def find_pair(
    first: SphereFeatures, second: SphereFeatures, *, height: int, tolerance: float, seed: int = 0
) -> PanoramaPair:
    """Match two panoramas and find the motion between their cameras.

    Args:
        first: features of one.
        second: features of the other.
        height: of the equirectangular picture whose pixels are the unit of the search.
        tolerance: radians by which a feature may be off.
        seed: of the random samples.
    """
    matches = match_features(first, second)
    nothing = torch.zeros(len(matches), dtype=torch.bool)
    if len(matches) < MIN_INLIERS:
        return PanoramaPair(matches=matches, inliers=nothing)
    a, b = first.rays[matches[:, 0]], second.rays[matches[:, 1]]
    rotation, turned_only = rotation_between(a, b, 2 * tolerance, seed=seed)
    motions = _motions(a, b, height=height, tolerance=tolerance, seed=seed)
    most = max((int(motion.inliers.sum()) for motion in motions), default=0)
    if int(turned_only.sum()) >= max(MIN_INLIERS, _SAME_PLACE * most):
        return PanoramaPair(matches=matches, inliers=turned_only, R_first_second=rotation, same_place=True)
    if not motions:
        return PanoramaPair(matches=matches, inliers=nothing)
    best = max(motions, key=lambda motion: (motion.spread, int(motion.inliers.sum())))
    return PanoramaPair(
        matches=matches,
        inliers=best.inliers,
        R_first_second=best.rotation,
        direction=best.direction,
        spread=best.spread,
        further=_further_matches(first, second, best, matches, tolerance),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Motion:
    rotation: Tensor
    direction: Tensor
    inliers: Tensor
    spread: int


def _motions(first: Tensor, second: Tensor, *, height: int, tolerance: float, seed: int) -> list[_Motion]:
    """Motions that many matches agree on, of any kind and of cameras that stand upright."""
    found = _free_motions(first, second, height=height, tolerance=tolerance, seed=seed)
    upright = upright_motion(first, second, tolerance, seed=seed)
    if upright is not None:
        found.append(_motion(first, second, *upright, tolerance))
    return [one for one in found if int(one.inliers.sum()) >= MIN_INLIERS]


def _motion(first: Tensor, second: Tensor, rotation: Tensor, direction: Tensor, tolerance: float) -> _Motion:
    inliers, _ = epipolar_inliers(first, second, rotation, direction, 2 * tolerance)
    cells = spread(first, second, rotation, direction, tolerance)
    return _Motion(rotation=rotation, direction=direction, inliers=inliers, spread=cells)


def _free_motions(
    first: Tensor, second: Tensor, *, height: int, tolerance: float, seed: int
) -> list[_Motion]:
    """Motions of any kind: the best, then the best of what it leaves unexplained.

    A repeating wall or floor, shifted by one tile, may have more matches than the truth, which is then found
    in the second or third round.
    """
    pycolmap = load_pycolmap()
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.random_seed = seed
    options.ransac.max_error = 2.0
    options.detect_watermark = False
    options.compute_relative_pose = True
    camera = sphere_camera(height)
    left = torch.arange(len(first))
    out = []
    for _ in range(_ROUNDS):
        if len(left) < MIN_INLIERS:
            break
        rows = torch.arange(len(left))[:, None].expand(-1, 2).numpy().astype("uint32")
        found = pycolmap.estimate_two_view_geometry(
            camera, to_pixels(first[left], height), camera, to_pixels(second[left], height), rows, options
        )
        if found.cam2_from_cam1 is None or len(found.inlier_matches) < MIN_INLIERS:
            break
        motion = torch.from_numpy(found.cam2_from_cam1.matrix().copy())
        rotation = motion[:, :3].T
        direction = torch.nn.functional.normalize(-(rotation @ motion[:, 3]), dim=0)
        out.append(_motion(first, second, rotation, direction, tolerance))
        keep = torch.ones(len(left), dtype=torch.bool)
        keep[torch.from_numpy(found.inlier_matches[:, 0].astype("int64"))] = False
        left = left[keep & ~out[-1].inliers[left]]
    return out


def sphere_camera(height: int):
    """Camera of a panorama, as pycolmap has it."""
    pycolmap = load_pycolmap()
    model = pycolmap.CameraModelId.EQUIRECTANGULAR
    return pycolmap.Camera.create_from_model_id(1, model, 0, 2 * height, height)


def to_pixels(rays: Tensor, height: int):
    """(K, 2) float64 array of where pycolmap sees directions: its first pixel's centre is at 0.5."""
    return (rays_to_erp_pixels(rays, height) + 0.5).numpy()
