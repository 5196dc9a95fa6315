"""Several panoramas of one scene: where each was taken, one scale for all, and who contradicts whom."""

from __future__ import annotations

from ._types import PanoramaPoses

__all__ = ["PanoramaPoses"]
