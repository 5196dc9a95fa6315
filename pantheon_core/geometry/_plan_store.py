"""Plans of the views that were seen last, so that a video pays for its crops' geometry once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace

from ._plan import Plan

__all__ = ["PLANS", "PlanStore"]

_LIMIT = 128 * 2**20
_LARGEST = 32 * 2**20


class PlanStore:
    """Plans by what they depend on, the least recently used ones dropped; safe to use from several threads.

    Attributes:
        nbytes: memory that is held now.
    """

    def __init__(self, limit: int = _LIMIT, largest: int = _LARGEST) -> None:
        """`limit`: bytes that are kept. `largest`: plans of more bytes are not kept."""
        self.nbytes = 0
        self._limit = limit
        self._largest = largest
        self._plans: OrderedDict[Hashable, Plan] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Plan]) -> Plan:
        """The plan kept under `key`, or else a new one."""
        with self._lock:
            found = self._plans.get(key)
            if found is not None:
                self._plans.move_to_end(key)
                return found
        made = make()
        if made.nbytes > self._largest:
            return made
        made = replace(made, taps=tuple(made.taps))
        with self._lock:
            before = self._plans.pop(key, None)  # another thread may have been faster
            self.nbytes += made.nbytes - (before.nbytes if before else 0)
            self._plans[key] = made
            while self.nbytes > self._limit:
                self.nbytes -= self._plans.popitem(last=False)[1].nbytes
        return made


PLANS = PlanStore()
