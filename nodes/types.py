"""What travels through the pack's sockets. Plain data; the tensors are the core's (channel first)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from ..pantheon_core.cache import PointCache
    from ..pantheon_core.recon import DistanceEstimate


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlacedPanorama:
    """A panorama and where it was taken. A PANTHEON_PANORAMA socket carries a tuple of these.

    Attributes:
        name: for messages and previews.
        rgb: (3, H, W) equirectangular, 0..1.
        valid: (H, W), False where a partial panorama has no picture.
        T_world_cam: (4, 4), camera to world, metres.
        known: its distances, where they came with the picture, else None.
        heading: compass direction of the picture's centre in radians, where the file says it.
        metadata: what the file says of itself, for poses by GPS.
    """

    name: str
    rgb: Tensor
    valid: Tensor
    T_world_cam: Tensor
    known: DistanceEstimate | None = None
    heading: float | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BuiltCache:
    """The 3D cache and the panoramas it was made from (PANTHEON_CACHE)."""

    cache: PointCache
    panoramas: tuple[PlacedPanorama, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoadedModel:
    """A generator and the host's memory manager for it (PANTHEON_MODEL).

    Attributes:
        model: a `pantheon_core.diffusion.PantheonModel`.
        patcher: the host's ModelPatcher around it.
    """

    model: Any
    patcher: Any
