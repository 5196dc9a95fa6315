"""Given poses against the pictures: shared points, and pictures that contradict the poses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...check import check_shape
from ...errors import InputError, Progress
from ...geometry import se3_inverse, transform_points
from ._epipolar import epipolar_inliers
from ._pairs import PanoramaPair
from ._search import Search, says_otherwise, search_pairs
from ._sfm import colours_of
from ._types import PanoramaPoses
from ._words import names_of, turn_in_degrees

__all__ = ["points_at_poses"]

_MIN_PARALLAX = math.radians(2)


def points_at_poses(
    panoramas: Sequence[Tensor],
    poses: PanoramaPoses,
    *,
    valid: Sequence[Tensor] | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PanoramaPoses:
    """Triangulate what the panoramas share at given poses, and say where the pictures contradict them.

    Args:
        panoramas: P tensors (3, H, W) float 0..1, levelled.
        poses: their poses; kept as they are, their points are replaced.
        valid: P masks (H, W) bool.
        names: for messages.
        seed: of the random samples.
        progress: called with (steps done, steps).

    Returns:
        The poses with points, their observations, and further warnings.

    Raises:
        InputError: the numbers of panoramas and poses differ.
        BackendUnavailableError: pycolmap is missing or too old.
    """
    count = check_shape("poses.T_world_cam", poses.T_world_cam, "P 4 4")["P"]
    if len(panoramas) != count:
        raise InputError(f"panoramas: expected {count}, one per pose, got {len(panoramas)}")
    names = names_of(count, names)
    search = search_pairs(panoramas, valid=valid, names=names, seed=seed, progress=progress)
    motion = poses.T_world_cam.double()
    points, seen_by, warnings = [], [], list(poses.warnings)
    for (first, second), pair in search.pairs.items():
        if not (poses.registered[first] and poses.registered[second]):
            continue
        relative = se3_inverse(motion[first]) @ motion[second]
        told = _contradiction(search, (first, second), pair, relative, names)
        if told:
            warnings.append(told)
        place = _triangulate(search, (first, second), pair, relative)
        points.append(transform_points(motion[first], place))
        seen_by.append(torch.tensor([[first, second]]).expand(len(place), 2))
    everything = torch.cat(points) if points else torch.zeros(0, 3, dtype=torch.float64)
    panorama = torch.cat(seen_by) if seen_by else torch.zeros(0, 2, dtype=torch.int64)
    number = torch.arange(len(everything))[:, None].expand(-1, 2)
    found = replace(
        poses,
        points=everything.float(),
        colors=torch.zeros(len(everything), 3, dtype=torch.uint8),
        observation_panorama=panorama.reshape(-1),
        observation_point=number.reshape(-1),
        warnings=tuple(warnings),
    )
    return replace(found, colors=colours_of(found, panoramas))


def _triangulate(search: Search, key: tuple[int, int], pair: PanoramaPair, relative: Tensor) -> Tensor:
    """(K, 3) points of a pair's matches in the first camera, where the pose explains them clearly."""
    baseline = float(relative[:3, 3].norm())
    if baseline < 1e-9 or not len(pair.matches):
        return torch.zeros(0, 3, dtype=torch.float64)
    first, second = search.rays(key)
    rotation, direction = relative[:3, :3], relative[:3, 3] / baseline
    fits, parallax = epipolar_inliers(first, second, rotation, direction, search.tolerance)
    clear = fits & (parallax > _MIN_PARALLAX)
    a, b = first[clear], second[clear] @ rotation.T
    # The point on both rays that is nearest to both: a s = t + b u, by two equations.
    cosine = (a * b).sum(1)
    along_a, along_b = a @ relative[:3, 3], b @ relative[:3, 3]
    scale = (1 - cosine**2).clamp(min=1e-12)
    s, u = (along_a - cosine * along_b) / scale, (cosine * along_a - along_b) / scale
    middle = (a * s[:, None] + relative[:3, 3] + b * u[:, None]) / 2
    return middle[(s > 0) & (u > 0)]


def _contradiction(
    search: Search, key: tuple[int, int], pair: PanoramaPair, relative: Tensor, names: Sequence[str]
) -> str | None:
    baseline = float(relative[:3, 3].norm())
    if pair.R_first_second is None or baseline < 1e-9:
        return None
    first, second = names[key[0]], names[key[1]]
    rotation, direction = relative[:3, :3], relative[:3, 3] / baseline
    turned = turn_in_degrees(rotation.T @ pair.R_first_second)
    if pair.same_place:
        return (
            f"{first} and {second} are given {baseline:.2f} apart, but their pictures look as if taken from "
            f"one place (turned otherwise by {turned:.1f} degrees)"
        )
    if pair.direction is None or not says_otherwise(search, key, (rotation, direction)):
        return None
    aside = math.degrees(math.acos(max(-1.0, min(1.0, float(direction @ pair.direction)))))
    return (
        f"{first} and {second}: their pictures contradict the given places ({int(pair.inliers.sum())} shared "
        f"features say: turned otherwise by {turned:.1f} degrees, direction off by {aside:.0f} degrees)"
    )
