"""Poses of several panoramas from the pictures alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...check import check_erp, check_finite, check_shape
from ...errors import InputError, Progress
from ...geometry import resize_erp, sample_erp, se3_inverse, transform_points
from ._features import SphereFeatures, find_features, load_pycolmap
from ._mapping import SparseScene, map_scene
from ._pairs import MIN_INLIERS, PanoramaPair, epipolar_inliers, find_pair, spread
from ._types import PanoramaPoses
from ._words import listed, names_of, why_not_registered

__all__ = ["poses_from_pictures"]

_WORK_HEIGHT = 1024
_UNIT_HEIGHT = 512
_TOLERANCE_PIXELS = 0.85
_SEARCHES = 8
_STRONG = 12
_OTHER_TURN = math.radians(3)
_OTHER_DIRECTION = math.radians(15)
_PREFERS = 0.8
_FEW_POINTS = 20

Pairs = Mapping[tuple[int, int], PanoramaPair]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Search:
    """What the search for a consistent scene works on; P panoramas at different places."""

    features: Sequence[SphereFeatures]
    pairs: Pairs
    height: int
    tolerance: float
    seed: int


def poses_from_pictures(
    panoramas: Sequence[Tensor],
    *,
    valid: Sequence[Tensor] | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PanoramaPoses:
    """Find where panoramas of one scene were taken: classical structure from motion on the sphere.

    SIFT features of perspective views become directions on the sphere, one camera with one centre per
    panorama. Pairs are matched and checked on the whole sphere, pycolmap's incremental mapper registers and
    adjusts. Where strong pairs contradict the outcome, as repeating walls and floors make them, other
    outcomes are tried and the one that most of the sphere supports is kept.

    The unit is arbitrary: the median distance between registered cameras is 1. The same pictures and seed
    give the same numbers.

    Args:
        panoramas: P tensors (3, H, W) float 0..1, W = 2 H, levelled; 2 or more.
        valid: P masks (H, W) bool, False where the picture must not be used (people, tripod, missing).
        names: of the panoramas, for messages; numbers from 1 else.
        seed: of the random samples.
        progress: called with (steps done, steps).

    Returns:
        The poses; panoramas that found no place are not `registered`, and `warnings` says why.

    Raises:
        InputError: fewer than two panoramas, or as many masks or names as panoramas are not given.
        BackendUnavailableError: pycolmap is missing or too old.
    """
    load_pycolmap()
    names = names_of(len(panoramas), names)
    if len(panoramas) < 2:
        raise InputError(f"panoramas: expected two or more of one scene, got {len(panoramas)}")
    if valid is not None and len(valid) != len(panoramas):
        raise InputError(f"valid: expected {len(panoramas)} masks, one per panorama, got {len(valid)}")
    for name, rgb in zip(names, panoramas, strict=True):
        check_shape(name, rgb, "3 H W")
        check_erp(name, rgb)
        check_finite(name, rgb)
    total = len(panoramas) + math.comb(len(panoramas), 2) + 1
    steps = itertools.count(1)

    def step() -> None:
        if progress:
            progress(next(steps), total)

    features = []
    for index, rgb in enumerate(panoramas):
        features.append(_features_of(rgb, None if valid is None else valid[index]))
        step()
    height = min(_UNIT_HEIGHT, max(rgb.shape[-2] for rgb in panoramas))
    tolerance = _TOLERANCE_PIXELS * math.pi / height
    pairs = {}
    for first, second in itertools.combinations(range(len(panoramas)), 2):
        pairs[first, second] = find_pair(
            features[first], features[second], height=height, tolerance=tolerance, seed=seed
        )
        step()
    search = _Search(features=features, pairs=pairs, height=height, tolerance=tolerance, seed=seed)
    poses = _solve(search, panoramas, names)
    step()
    return poses


def _features_of(rgb: Tensor, valid: Tensor | None) -> SphereFeatures:
    if rgb.shape[-2] > _WORK_HEIGHT:
        rgb = resize_erp(rgb.float(), _WORK_HEIGHT)
        if valid is not None:
            valid = resize_erp(valid[None].float(), _WORK_HEIGHT)[0] > 0.99
    return find_features(rgb, valid)


def _solve(search: _Search, panoramas: Sequence[Tensor], names: Sequence[str]) -> PanoramaPoses:
    twins = _twins(search.pairs, len(panoramas))
    kept = [index for index in range(len(panoramas)) if index not in twins]
    inner = replace(
        search,
        features=[search.features[index] for index in kept],
        pairs={
            (kept.index(i), kept.index(j)): pair
            for (i, j), pair in search.pairs.items()
            if i in kept and j in kept
        },
    )
    sparse = _alone(len(kept)) if len(kept) == 1 else _consistent_scene(inner)
    contradicted = [(kept[i], kept[j]) for i, j in _contradictions(inner, sparse)]
    sparse = _spread_out(sparse, kept, len(panoramas))
    poses, registered = sparse.T_world_cam.clone(), sparse.registered.clone()
    for index, (other, rotation) in twins.items():
        if registered[other]:
            poses[index] = poses[other]
            poses[index, :3, :3] = poses[other, :3, :3] @ rotation
            registered[index] = True
    warnings = _warnings(search.pairs, twins, sparse, registered, names)
    warnings += [_contradiction(search.pairs[pair], pair, names) for pair in contradicted]
    return _finished(poses, registered, sparse, panoramas, warnings)


def _alone(count: int) -> SparseScene:
    """One place only: it is the world."""
    nothing = torch.zeros(0, dtype=torch.int64)
    return SparseScene(
        T_world_cam=torch.eye(4, dtype=torch.float64).repeat(count, 1, 1),
        registered=torch.ones(count, dtype=torch.bool),
        points=torch.zeros(0, 3, dtype=torch.float64),
        observation_panorama=nothing,
        observation_point=nothing,
        error=math.nan,
    )


def _twins(pairs: Pairs, count: int) -> dict[int, tuple[int, Tensor]]:
    """Panorama -> an earlier one taken from the same place, and the turn R_earlier_panorama."""
    twins: dict[int, tuple[int, Tensor]] = {}
    for second in range(count):
        for first in range(second):
            pair = pairs[first, second]
            if first not in twins and pair.same_place and pair.R_first_second is not None:
                twins[second] = (first, pair.R_first_second)
                break
    return twins


# ------------------------------------------------------------------------------ the consistent scene


def _consistent_scene(search: _Search) -> SparseScene:
    """The scene that most of the sphere supports, trying others where strong pairs contradict."""
    usable = {key: pair for key, pair in search.pairs.items() if pair.direction is not None}
    best = _map(search, {key: pair.matches[pair.inliers] for key, pair in usable.items()})
    best_score = _score(search, best)
    current, forced = best, []
    for _ in range(_SEARCHES):
        open_ones = [key for key in _contradictions(search, current) if key not in forced]
        if not open_ones:
            break
        forced.append(max(open_ones, key=lambda key: search.pairs[key].spread))
        tree = _spanning_tree(usable, forced, len(search.features))
        rough = _map(search, {key: usable[key].matches[usable[key].inliers] for key in tree})
        current = _map(search, _explained(search, rough))
        score = _score(search, current)
        if score > best_score:
            best, best_score = current, score
    return best


def _map(search: _Search, matches: Mapping[tuple[int, int], Tensor]) -> SparseScene:
    return map_scene(search.features, matches, height=search.height, seed=search.seed)


def _spanning_tree(pairs: Pairs, forced: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """The strongest pairs that link all without a loop, the forced ones first."""
    group = list(range(count))
    tree = []
    for key in [*forced, *sorted(pairs, key=lambda key: (-pairs[key].spread, key))]:
        first, second = group[key[0]], group[key[1]]
        if first != second:
            tree.append(key)
            group = [first if one == second else one for one in group]
    return tree


def _relative(scene: SparseScene, first: int, second: int) -> tuple[Tensor, Tensor] | None:
    """Turn and direction from one registered camera to another, or None."""
    if not (scene.registered[first] and scene.registered[second]):
        return None
    motion = se3_inverse(scene.T_world_cam[first]) @ scene.T_world_cam[second]
    return motion[:3, :3], torch.nn.functional.normalize(motion[:3, 3], dim=0)


def _rays(search: _Search, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
    matches = search.pairs[key].matches
    first, second = search.features[key[0]].rays, search.features[key[1]].rays
    return first[matches[:, 0]], second[matches[:, 1]]


def _support(search: _Search, scene: SparseScene, key: tuple[int, int]) -> int:
    """Cells of the sphere in which the pair's matches agree with the scene."""
    motion = _relative(scene, *key)
    return 0 if motion is None else spread(*_rays(search, key), *motion, search.tolerance)


def _score(search: _Search, scene: SparseScene) -> int:
    return sum(_support(search, scene, key) for key in search.pairs)


def _contradictions(search: _Search, scene: SparseScene) -> list[tuple[int, int]]:
    """Pairs of registered panoramas that by themselves say clearly something else."""
    return [
        key
        for key, pair in search.pairs.items()
        if pair.spread >= _STRONG and _says_otherwise(search, scene, key)
    ]


def _says_otherwise(search: _Search, scene: SparseScene, key: tuple[int, int]) -> bool:
    """The pair's own motion is another one, and its matches prefer it."""
    pair, motion = search.pairs[key], _relative(scene, *key)
    if motion is None or pair.direction is None or pair.R_first_second is None:
        return False
    rotation, direction = motion
    turn = (float((rotation.T @ pair.R_first_second).trace()) - 1) / 2
    differs = turn < math.cos(_OTHER_TURN) or float(direction @ pair.direction) < math.cos(_OTHER_DIRECTION)
    return differs and _support(search, scene, key) < _PREFERS * pair.spread


def _explained(search: _Search, scene: SparseScene) -> dict[tuple[int, int], Tensor]:
    """Of every pair the matches that agree with the scene, far ones included."""
    out = {}
    for key, pair in search.pairs.items():
        motion = _relative(scene, *key)
        if motion is None:
            if pair.direction is not None:
                out[key] = pair.matches[pair.inliers]
            continue
        explained, _ = epipolar_inliers(*_rays(search, key), *motion, search.tolerance)
        if int(explained.sum()) >= MIN_INLIERS:
            out[key] = pair.matches[explained]
    return out


# --------------------------------------------------------------------------------------- the result


def _spread_out(scene: SparseScene, kept: Sequence[int], count: int) -> SparseScene:
    """The scene of some panoramas, numbered as all are."""
    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    registered = torch.zeros(count, dtype=torch.bool)
    poses[list(kept)], registered[list(kept)] = scene.T_world_cam, scene.registered
    number = torch.tensor(kept, dtype=torch.int64)
    return replace(
        scene,
        T_world_cam=poses,
        registered=registered,
        observation_panorama=number[scene.observation_panorama],
    )


def _finished(
    poses: Tensor,
    registered: Tensor,
    sparse: SparseScene,
    panoramas: Sequence[Tensor],
    warnings: Sequence[str],
) -> PanoramaPoses:
    """In the frame of the first registered panorama, with colours."""
    points = sparse.points
    if bool(registered.any()):
        first = int(registered.nonzero()[0])
        T_first_world = se3_inverse(poses[first])
        poses = torch.where(registered[:, None, None], T_first_world @ poses, poses)
        points = transform_points(T_first_world, points) if len(points) else points
        centres = poses[registered, :3, 3]
        gaps = torch.pdist(centres)
        gaps = gaps[gaps > 1e-9]
        unit = float(gaps.median()) if len(gaps) else 1.0
        poses[:, :3, 3] /= unit
        points = points / unit
    return PanoramaPoses(
        T_world_cam=poses.float(),
        registered=registered,
        points=points.float(),
        colors=_colours(points, poses, sparse, panoramas),
        observation_panorama=sparse.observation_panorama,
        observation_point=sparse.observation_point,
        metric=False,
        warnings=tuple(warnings),
        method="sfm",
    )


def _colours(points: Tensor, poses: Tensor, sparse: SparseScene, panoramas: Sequence[Tensor]) -> Tensor:
    """(N, 3) uint8 of each point, from the last panorama that sees it."""
    colours = torch.zeros(len(points), 3, dtype=torch.uint8)
    for index, rgb in enumerate(panoramas):
        mine = sparse.observation_point[sparse.observation_panorama == index]
        if not len(mine):
            continue
        local = transform_points(se3_inverse(poses[index]), points[mine])
        rays = torch.nn.functional.normalize(local, dim=-1).float()
        found = sample_erp(rgb.cpu().float(), rays[:, None], antialias=False)[..., 0]
        colours[mine] = (found.T.clamp(0, 1) * 255).round().byte()
    return colours


def _warnings(
    pairs: Pairs,
    twins: Mapping[int, tuple[int, Tensor]],
    sparse: SparseScene,
    registered: Tensor,
    names: Sequence[str],
) -> list[str]:
    warnings = []
    for index, (other, rotation) in twins.items():
        turn = math.degrees(math.acos(max(-1.0, min(1.0, (float(rotation.trace()) - 1) / 2))))
        warnings.append(
            f"{names[index]} was taken from the same place as {names[other]}, as far as their pictures can "
            f"say (turned by {turn:.1f} degrees): it is put there, and adds no depth"
        )
    places = len(names) - len(twins)
    if places == 1 and len(names) > 1:
        warnings.append("all panoramas are from one place: no distances follow from them")
    for index in range(len(names)):
        if not registered[index] and index not in twins:
            warnings.append(why_not_registered(index, pairs, registered, names))
    weak = [
        names[index]
        for index in range(len(names))
        if registered[index]
        and index not in twins
        and places > 1
        and int((sparse.observation_panorama == index).sum()) < _FEW_POINTS
    ]
    if weak:
        warnings.append(f"{listed(weak)}: placed by fewer than {_FEW_POINTS} points, the place may be wrong")
    return warnings


def _contradiction(pair: PanoramaPair, key: tuple[int, int], names: Sequence[str]) -> str:
    return (
        f"{names[key[0]]} and {names[key[1]]}: {int(pair.inliers.sum())} features that they share contradict "
        "the places that were found. The scene may repeat itself (like windows or tiles); check these places"
    )
