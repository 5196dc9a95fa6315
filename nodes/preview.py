"""A picture that shows what a cache holds, seen from where its panoramas were taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ..pantheon_core.cache import PointCache


def cache_picture(cache: PointCache, T_world_cam: Tensor, name: str) -> Tensor:
    """Colour, distance, confidence, sky, depth edges and coverage of a cache, and what a step ahead shows.

    Args:
        cache: the cache.
        T_world_cam: (4, 4), where to look from.
        name: of that place.

    Returns:
        (3, h, w), 0..1, of one size for all caches.
    """
    from ..pantheon_core.apps import cache_report

    return cache_report(cache, T_world_cam, name=name).picture
