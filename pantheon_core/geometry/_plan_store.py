"""Plans of the views that come again, so that a video pays for its crops' geometry once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace

from ._plan import Plan

__all__ = ["PLANS", "PlanStore"]

_LIMIT = 128 * 2**20
_LARGEST = 32 * 2**20
_MOST = 512


class PlanStore:
    """Plans by what they depend on, the least recently used ones dropped; safe to use from several threads.

    A plan is kept when it is made for the second time: views that never come again, as those of a camera that
    turns, take no memory and drop nobody else's plan.

    Attributes:
        nbytes: memory that is held now.
    """

    def __init__(self, limit: int = _LIMIT, largest: int = _LARGEST, most: int = _MOST) -> None:
        """`limit`: bytes that are kept. `largest`: plans of more are not kept. `most`: keys remembered."""
        self.nbytes = 0
        self._limit = limit
        self._largest = largest
        self._most = most
        self._plans: OrderedDict[Hashable, Plan | None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Plan]) -> Plan:
        """The plan kept under `key`, or else a new one."""
        with self._lock:
            again = key in self._plans
            found = self._plans.setdefault(key, None)
            self._plans.move_to_end(key)
            self._drop()
        if found is not None:
            return found
        made = make()
        if not again or made.nbytes > self._largest:
            return made
        made = replace(made, taps=tuple(made.taps))
        with self._lock:
            before = self._plans.pop(key, None)  # another thread may have been faster
            self.nbytes += made.nbytes - (before.nbytes if before else 0)
            self._plans[key] = made
            self._drop()
        return made

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._plans.clear()
            self.nbytes = 0

    def _drop(self) -> None:
        while self.nbytes > self._limit or len(self._plans) > self._most:
            oldest = self._plans.popitem(last=False)[1]
            self.nbytes -= oldest.nbytes if oldest else 0


PLANS = PlanStore()
