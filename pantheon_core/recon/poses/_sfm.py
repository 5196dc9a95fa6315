"""Poses of several panoramas from the pictures alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...errors import Progress
from ...geometry import sample_erp, se3_inverse, transform_points
from ._mapping import SparseScene
from ._pairs import PanoramaPair
from ._search import Pairs, Search, consistent_scene, contradictions, search_pairs
from ._types import PanoramaPoses
from ._words import listed, names_of, turn_in_degrees, why_not_registered

__all__ = ["colours_of", "poses_from_pictures"]

_FEW_POINTS = 20
_FLAT = 0.9
_THICK = 0.03


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
    names = names_of(len(panoramas), names)
    search = search_pairs(panoramas, valid=valid, names=names, seed=seed, progress=progress)
    return _solve(search, panoramas, names)


def _solve(search: Search, panoramas: Sequence[Tensor], names: Sequence[str]) -> PanoramaPoses:
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
    sparse = _alone(len(kept)) if len(kept) == 1 else consistent_scene(inner)
    contradicted = [(kept[i], kept[j]) for i, j in contradictions(inner, sparse)]
    sparse = _spread_out(sparse, kept, len(panoramas))
    poses, registered = sparse.T_world_cam.clone(), sparse.registered.clone()
    if twins and not bool(registered.any()):
        # Nothing is measured, but some share a place: the largest such group is the world.
        groups = [other for other, _ in twins.values()]
        registered[max(groups, key=lambda one: (groups.count(one), -one))] = True
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
    found = PanoramaPoses(
        T_world_cam=poses.float(),
        registered=registered,
        points=points.float(),
        colors=torch.zeros(len(points), 3, dtype=torch.uint8),
        observation_panorama=sparse.observation_panorama,
        observation_point=sparse.observation_point,
        metric=False,
        warnings=tuple(warnings),
        method="sfm",
    )
    return replace(found, colors=colours_of(found, panoramas))


def colours_of(poses: PanoramaPoses, panoramas: Sequence[Tensor]) -> Tensor:
    """(N, 3) uint8 of each point, from the last panorama that sees it."""
    colours = poses.colors.clone()
    for index, rgb in enumerate(panoramas):
        mine = poses.observation_point[poses.observation_panorama == index]
        if not len(mine):
            continue
        local = transform_points(se3_inverse(poses.T_world_cam[index]), poses.points[mine])
        rays = torch.nn.functional.normalize(local, dim=-1)
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
        turn = turn_in_degrees(rotation)
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
        if sparse.registered[index]
        and index not in twins
        and places > 1
        and int((sparse.observation_panorama == index).sum()) < _FEW_POINTS
    ]
    if weak:
        warnings.append(f"{listed(weak)}: placed by fewer than {_FEW_POINTS} points, the place may be wrong")
    flat = [names[index] for index in range(len(names)) if sparse.registered[index] and _flat(sparse, index)]
    if flat:
        warnings.append(
            f"{listed(flat)}: placed by points that nearly all lie in one plane. A carpet, a lawn or tiles "
            "that repeat fit together in several ways; check these places"
        )
    return warnings


def _flat(sparse: SparseScene, panorama: int) -> bool:
    """Whether nine in ten of the points that a panorama sees lie in one plane, which they then prove little.

    The plane is sought among those of three points each; it is as thick as 3 % of the median distance.
    """
    mine = sparse.points[sparse.observation_point[sparse.observation_panorama == panorama]]
    if len(mine) < _FEW_POINTS:
        return False
    local = mine - sparse.T_world_cam[panorama, :3, 3]
    sample = local[torch.randint(len(local), (300, 3), generator=torch.Generator().manual_seed(0))]
    normal = torch.linalg.cross(sample[:, 1] - sample[:, 0], sample[:, 2] - sample[:, 0])
    length = normal.norm(dim=1)
    normal = normal[length > 0] / length[length > 0, None]
    off = (local @ normal.T - (sample[length > 0, 0] * normal).sum(1)).abs()
    near = off < _THICK * local.norm(dim=1).median()
    return len(normal) > 0 and float(near.double().mean(0).max()) > _FLAT


def _contradiction(pair: PanoramaPair, key: tuple[int, int], names: Sequence[str]) -> str:
    return (
        f"{names[key[0]]} and {names[key[1]]}: {int(pair.inliers.sum())} features that they share contradict "
        "the places that were found. The scene may repeat itself (like windows or tiles); check these places"
    )
