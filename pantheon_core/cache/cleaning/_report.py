"""What cleaning did, in numbers and words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .._types import PointCache

__all__ = ["CleanReport", "CleanStep", "count"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanStep:
    """One step.

    Attributes:
        name: of the step.
        points_before, points_after: of the cache.
        triangles_before, triangles_after: of its surface, edges included.
        moved: points that were put where they belong.
        note: what there is to say of it, or "".
    """

    name: str
    points_before: int
    points_after: int
    triangles_before: int
    triangles_after: int
    moved: int = 0
    note: str = ""

    @property
    def removed(self) -> int:
        """Points."""
        return self.points_before - self.points_after

    def __str__(self) -> str:
        """In one line."""
        share = 100 * self.removed / max(1, self.points_before)
        line = f"{self.name}: {self.removed:,} of {self.points_before:,} points left out ({share:.2g} %)"
        if self.moved:
            line += f", {self.moved:,} put where they belong"
        return line + (f"; {self.note}" if self.note else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanReport:
    """All steps in their order, and what to look at."""

    steps: tuple[CleanStep, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A line for each step and each warning."""
        lines = [str(step) for step in self.steps] or ["nothing was to be done"]
        return "\n".join((*lines, *(f"Warning: {warning}" for warning in self.warnings)))

    def as_json(self) -> dict[str, Any]:
        """For a JSON file."""
        return {"steps": [asdict(step) for step in self.steps], "warnings": list(self.warnings)}


def count(cache: PointCache) -> tuple[int, int]:
    """Points and triangles."""
    return len(cache.points), 0 if cache.triangles is None else len(cache.triangles)
