"""The newest 3D caches of this server session, each under a key that nobody can guess."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from .types import BuiltCache

# What the page looks for among a node's outputs.
UI_KEY = "pantheon_cache"
_KEY_BYTES = 24


class CacheSession:
    """Keeps a few caches so that the page can ask for them; nothing else can be reached through it.

    Attributes:
        max_caches: the oldest goes when there are more.
        max_bytes: the oldest go when all together are larger; the newest always stays.
    """

    def __init__(self, *, max_caches: int = 8, max_bytes: int = 2 << 30) -> None:
        self.max_caches, self.max_bytes = max_caches, max_bytes
        self._held: dict[str, tuple[BuiltCache, int]] = {}
        # The host runs nodes in a thread of its own.
        self._lock = threading.Lock()

    def remember(self, built: BuiltCache) -> str:
        """The key of a cache, now the newest; the same cache keeps its key."""
        with self._lock:
            key = next((one for one, (held, _) in self._held.items() if held is built), None)
            entry = self._held.pop(key) if key else (built, _bytes(built))
            key = key or secrets.token_urlsafe(_KEY_BYTES)
            self._held[key] = entry
            total = sum(size for _, size in self._held.values())
            while len(self._held) > self.max_caches or (total > self.max_bytes and len(self._held) > 1):
                total -= self._held.pop(next(iter(self._held)))[1]
            return key

    def get(self, key: str) -> BuiltCache | None:
        """The cache of a key, or None where there is none, or no more."""
        with self._lock:
            entry = self._held.get(key)
        return entry[0] if entry else None


SESSION = CacheSession()


def cache_ui(built: BuiltCache) -> dict[str, list[dict[str, Any]]]:
    """What a node that makes or gets a cache tells the page: how to ask for it. Never part of a workflow."""
    cache = built.cache
    return {UI_KEY: [{"key": SESSION.remember(built), "points": len(cache.points), "metric": cache.metric}]}


def _bytes(built: BuiltCache) -> int:
    cache = built.cache
    tensors: list[Tensor | None] = [cache.points, cache.colors, cache.confidence, cache.anchor]
    tensors += [cache.triangles, cache.edge, cache.sky.rgb if cache.sky else None]
    tensors += [one.rgb for one in built.panoramas]
    return sum(one.numel() * one.element_size() for one in tensors if one is not None)
