"""Sentences about panoramas that did not find a place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from ...errors import InputError
from ._pairs import MIN_INLIERS, PanoramaPair

__all__ = ["listed", "names_of", "turn_in_degrees", "why_not_registered"]


def names_of(count: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """The panoramas' names for messages; equal names get their number."""
    if names is None:
        return tuple(f"panorama {index + 1}" for index in range(count))
    if len(names) != count:
        raise InputError(f"names: expected {count}, one per panorama, got {len(names)}")
    return tuple(
        f"{name} (number {index + 1})" if list(names).count(name) > 1 else name
        for index, name in enumerate(names)
    )


def turn_in_degrees(rotation: Tensor) -> float:
    """Angle of a rotation (3, 3) in degrees."""
    return math.degrees(math.acos(max(-1.0, min(1.0, (float(rotation.trace()) - 1) / 2))))


def listed(words: Sequence[str]) -> str:
    """Join words as in "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def why_not_registered(
    index: int,
    pairs: Mapping[tuple[int, int], PanoramaPair],
    registered: Tensor,
    names: Sequence[str],
) -> str:
    """Why a panorama has no place, from what it shares with the others."""
    shared = {
        key[0] if key[1] == index else key[1]: int(pair.inliers.sum())
        for key, pair in pairs.items()
        if index in key
    }
    linked = [other for other, count in shared.items() if count >= MIN_INLIERS]
    name = names[index]
    if not linked:
        looks = max(len(pair.matches) for key, pair in pairs.items() if index in key)
        return (
            f"{name} has no place: it shares nothing with the others that one scene explains (at most "
            f"{looks} features look alike, fewer than {MIN_INLIERS} fit together). It may be of another "
            "scene, too far away, or in other light; take one in between"
        )
    placed = [other for other in linked if registered[other]]
    if bool(registered.any()) and not placed:
        others = listed([names[other] for other in linked])
        return (
            f"{name} has no place: it belongs with {others}, but nothing links these with the rest. They may "
            "be of another scene; place them apart, or take a panorama in between"
        )
    best = max(placed or linked, key=lambda other: shared[other])
    return (
        f"{name} has no place: it shares {shared[best]} features with {names[best]}, too few or too far away "
        "to measure from. Take a panorama nearer to it"
    )
