"""What pairs of panoramas have in common, and the scene that most of them agree on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...check import check_erp, check_finite, check_shape
from ...errors import InputError, Progress
from ...geometry import resize_erp, se3_inverse
from ._epipolar import epipolar_inliers, spread
from ._features import SphereFeatures, find_features, load_pycolmap
from ._mapping import SparseScene, map_scene
from ._pairs import MIN_INLIERS, PanoramaPair, find_pair

__all__ = ["Search", "consistent_scene", "contradictions", "says_otherwise", "search_pairs"]

_WORK_HEIGHT = 1024
_UNIT_HEIGHT = 512
_TOLERANCE_PIXELS = 0.85
_SEARCHES = 10
_STRONG = 12
_OTHER_TURN = math.radians(3)
_OTHER_DIRECTION = math.radians(15)
_PREFERS = 0.8

Pairs = Mapping[tuple[int, int], PanoramaPair]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Search:
    """Features of panoramas and what every pair has in common.

    Attributes:
        features: of each of P panoramas.
        pairs: (i, j) with i < j -> what the two share.
        height: of the equirectangular picture whose pixels are the unit of thresholds.
        tolerance: radians by which a feature may be off.
        seed: of random samples.
    """

    features: Sequence[SphereFeatures]
    pairs: Pairs
    height: int
    tolerance: float
    seed: int

    def rays(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Directions (M, 3) of a pair's matches in its two cameras."""
        matches = self.pairs[key].matches
        return self.features[key[0]].rays[matches[:, 0]], self.features[key[1]].rays[matches[:, 1]]


def search_pairs(
    panoramas: Sequence[Tensor],
    *,
    valid: Sequence[Tensor] | None,
    names: Sequence[str],
    seed: int,
    progress: Progress | None,
) -> Search:
    """Features of all panoramas, and what every pair has in common; see `poses_from_pictures`."""
    load_pycolmap()
    if len(panoramas) < 2:
        raise InputError(f"panoramas: expected two or more of one scene, got {len(panoramas)}")
    if valid is not None and len(valid) != len(panoramas):
        raise InputError(f"valid: expected {len(panoramas)} masks, one per panorama, got {len(valid)}")
    for name, rgb in zip(names, panoramas, strict=True):
        check_shape(name, rgb, "3 H W")
        check_erp(name, rgb)
        check_finite(name, rgb)
    total = len(panoramas) + math.comb(len(panoramas), 2)
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
    return Search(features=features, pairs=pairs, height=height, tolerance=tolerance, seed=seed)


def _features_of(rgb: Tensor, valid: Tensor | None) -> SphereFeatures:
    if rgb.shape[-2] > _WORK_HEIGHT:
        rgb = resize_erp(rgb.float(), _WORK_HEIGHT)
        if valid is not None:
            valid = resize_erp(valid[None].float(), _WORK_HEIGHT)[0] > 0.99
    return find_features(rgb, valid)


def consistent_scene(search: Search) -> SparseScene:
    """The scene that most of the sphere supports, trying others where strong pairs contradict."""
    usable = {key: pair for key, pair in search.pairs.items() if pair.direction is not None}
    best = _map(search, {key: pair.material for key, pair in usable.items()})
    best_score = _score(search, best)
    forced: tuple[tuple[int, int], ...] = ()
    tried: set[frozenset[tuple[int, int]]] = set()
    for _ in range(_SEARCHES):
        lost = {
            key: search.pairs[key].spread - _support(search, best, key)
            for key in _unsolved(search, best)
            if key not in forced and frozenset((*forced, key)) not in tried
        }
        if not lost:
            break
        trial = (*forced, max(lost, key=lambda key: lost[key]))
        tried.add(frozenset(trial))
        tree = _spanning_tree(usable, trial, len(search.features))
        rough = _map(search, {key: usable[key].material for key in tree})
        scene = _map(search, _explained(search, rough))
        score = _score(search, scene)
        if score > best_score:
            best, best_score, forced = scene, score, trial
    return best


def _map(search: Search, matches: Mapping[tuple[int, int], Tensor]) -> SparseScene:
    """The largest scene of those that hang together; of equal ones that with the earliest panorama."""
    groups = _groups(matches, len(search.features))
    scenes = []
    for group in groups:
        own = {key: found for key, found in matches.items() if key[0] in group}
        scenes.append(_mapped(search, own))
    if not scenes:
        return _mapped(search, {})
    return max(scenes, key=lambda scene: int(scene.registered.sum()))


def _mapped(search: Search, matches: Mapping[tuple[int, int], Tensor]) -> SparseScene:
    return map_scene(
        search.features,
        matches,
        search.pairs,
        height=search.height,
        tolerance=search.tolerance,
        seed=search.seed,
    )


def _groups(keys: Iterable[tuple[int, int]], count: int) -> list[set[int]]:
    """Panoramas that are linked, in the order of the earliest of each group; single ones left out."""
    group = list(range(count))
    for first, second in keys:
        old, new = max(group[first], group[second]), min(group[first], group[second])
        group = [new if one == old else one for one in group]
    numbers = sorted({one for one in group if group.count(one) > 1})
    return [{index for index, one in enumerate(group) if one == number} for number in numbers]


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


def _support(search: Search, scene: SparseScene, key: tuple[int, int]) -> int:
    """Cells of the sphere in which the pair's matches agree with the scene."""
    motion = _relative(scene, *key)
    return 0 if motion is None else spread(*search.rays(key), *motion, search.tolerance)


def _score(search: Search, scene: SparseScene) -> int:
    return sum(_support(search, scene, key) for key in search.pairs)


def contradictions(search: Search, scene: SparseScene) -> list[tuple[int, int]]:
    """Pairs of registered panoramas that by themselves say clearly something else."""
    return [
        key
        for key, pair in search.pairs.items()
        if pair.spread >= _STRONG and says_otherwise(search, key, _relative(scene, *key))
    ]


def _unsolved(search: Search, scene: SparseScene) -> list[tuple[int, int]]:
    """Contradictions, and strong pairs with a panorama that found no place."""
    lost = [
        key
        for key, pair in search.pairs.items()
        if pair.spread >= _STRONG and pair.direction is not None and _relative(scene, *key) is None
    ]
    return contradictions(search, scene) + lost


def says_otherwise(search: Search, key: tuple[int, int], motion: tuple[Tensor, Tensor] | None) -> bool:
    """True where a pair's own motion is another one (turn and direction), and its matches prefer it."""
    pair = search.pairs[key]
    if motion is None or pair.direction is None or pair.R_first_second is None:
        return False
    rotation, direction = motion
    turn = (float((rotation.T @ pair.R_first_second).trace()) - 1) / 2
    differs = turn < math.cos(_OTHER_TURN) or float(direction @ pair.direction) < math.cos(_OTHER_DIRECTION)
    support = spread(*search.rays(key), rotation, direction, search.tolerance)
    return differs and support < _PREFERS * pair.spread


def _explained(search: Search, scene: SparseScene) -> dict[tuple[int, int], Tensor]:
    """Of every pair the matches that agree with the scene, far ones included."""
    out = {}
    for key, pair in search.pairs.items():
        motion = _relative(scene, *key)
        if motion is None:
            if pair.direction is not None:
                out[key] = pair.material
            continue
        explained, _ = epipolar_inliers(*search.rays(key), *motion, search.tolerance)
        if int(explained.sum()) >= MIN_INLIERS:
            first, second = search.features[key[0]].rays, search.features[key[1]].rays
            further, _ = epipolar_inliers(
                first[pair.further[:, 0]], second[pair.further[:, 1]], *motion, search.tolerance
            )
            out[key] = torch.cat((pair.matches[explained], pair.further[further]))
    return out
