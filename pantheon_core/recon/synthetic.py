"""Backend "synthetic": the exact distances of a procedural scene."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import Progress
from ..synthetic import Scene, generate_scene, trace
from ._types import DistanceEstimate

__all__ = ["SyntheticBackend"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SyntheticBackend:
    """Traces the scene from the panorama's camera; the panorama must be a picture of that scene.

    Attributes:
        scene: the scene, or None to generate it from `seed` and `kind`.
        seed: see `generate_scene`.
        kind: "room", "street", "garden" or "any".
        T_scene_cam: (4, 4) camera in the scene's world; None is the scene's origin.
    """

    scene: Scene | None = None
    seed: int = 0
    kind: str = "any"
    T_scene_cam: Tensor | None = None
    name: str = field(default="synthetic", init=False)

    def estimate(self, rgb: Tensor, *, progress: Progress | None = None) -> DistanceEstimate:
        """Ground truth at the size of `rgb` (3, H, W)."""
        check_shape("rgb", rgb, "3 H W")
        height, _ = check_erp("rgb", rgb)
        scene = self.scene or generate_scene(self.seed, self.kind)  # type: ignore[arg-type]
        camera = torch.eye(4) if self.T_scene_cam is None else self.T_scene_cam
        check_shape("T_scene_cam", camera, "4 4")
        frame = trace(scene, camera, height)
        if progress:
            progress(1, 1)
        valid = frame.valid.to(rgb.device)
        return DistanceEstimate(
            distance=torch.where(valid, frame.distance.to(rgb.device), 0.0),
            confidence=torch.ones_like(valid, dtype=torch.float32),
            sky=frame.sky.to(rgb.device).float(),
            valid=valid,
            metric=True,
        )
