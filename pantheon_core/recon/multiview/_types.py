"""What a multi-view network says of views, and what becomes of it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...check import check_shape
from ...geometry import se3_inverse
from .._types import DistanceEstimate
from ..fusion import FusionReport
from ..poses import PanoramaPoses
from ._rig import RigFit

__all__ = ["MultiViewResult", "ViewPredictions"]

_TURNED = math.radians(5)
_ASIDE = math.radians(15)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ViewPredictions:
    """A network's answer in the project's conventions.

    Attributes:
        T_world_view: (V, 4, 4) view camera to the network's world, in its unit.
        distance: (V, h, w) along the pixels' rays, in the same unit; not finite or not above 0 is missing.
        confidence: (V, h, w) 0..1.
        sky: (V, h, w) 0..1, or None where the network knows no sky.
        metric: its unit is a metre.
    """

    T_world_view: Tensor
    distance: Tensor
    confidence: Tensor
    sky: Tensor | None
    metric: bool

    def __post_init__(self) -> None:
        sizes = check_shape("views.distance", self.distance, "V h w")
        check_shape("views.T_world_view", self.T_world_view, "V 4 4", V=sizes["V"])
        check_shape("views.confidence", self.confidence, "V h w", **sizes)
        if self.sky is not None:
            check_shape("views.sky", self.sky, "V h w", **sizes)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MultiViewResult:
    """Panoramas with poses and distances in one unit.

    Attributes:
        poses: of the panoramas; the world is the first registered one's camera.
        estimates: distances of each panorama, in the unit of the poses.
        rig: how well the views of each panorama agreed that they have one centre and known directions.
        fusions: what the fusion of each panorama's views found.
    """

    poses: PanoramaPoses
    estimates: tuple[DistanceEstimate, ...]
    rig: RigFit
    fusions: tuple[FusionReport, ...]

    def placed_at(self, T_world_cam: Tensor) -> MultiViewResult:
        """The same distances at places that are known otherwise, which win over the network's.

        Where the given places lie apart, their baselines give the distances their scale: the median ratio
        of given to found baselines over all pairs of registered panoramas. Disagreements become warnings.

        Args:
            T_world_cam: (P, 4, 4) given cameras, metres.

        Raises:
            ShapeError: another number of panoramas.
        """
        check_shape("T_world_cam", T_world_cam, "P 4 4", P=len(self.estimates))
        given, found = T_world_cam.detach().cpu().float(), self.poses.T_world_cam
        registered = self.poses.registered.nonzero()[:, 0].tolist()
        ratios, warnings = [], []
        for a, i in enumerate(registered):
            for j in registered[a + 1 :]:
                own, other = se3_inverse(found[i]) @ found[j], se3_inverse(given[i]) @ given[j]
                if float(own[:3, 3].norm()) < 1e-6 or float(other[:3, 3].norm()) < 1e-6:
                    continue
                ratios.append(float(other[:3, 3].norm() / own[:3, 3].norm()))
                turned = _angle(own[:3, :3].T @ other[:3, :3])
                aside = float(torch.nn.functional.cosine_similarity(own[:3, 3], other[:3, 3], dim=0))
                if turned > _TURNED or math.acos(max(-1.0, min(1.0, aside))) > _ASIDE:
                    warnings.append(
                        f"The given places of panoramas {i + 1} and {j + 1} differ from what the network "
                        f"sees: by {math.degrees(turned):.0f}° in their turn and "
                        f"{math.degrees(math.acos(max(-1.0, min(1.0, aside)))):.0f}° in their direction."
                    )
        factor = float(torch.tensor(ratios).median()) if ratios else 1.0
        estimates = tuple(
            dataclasses.replace(one, distance=one.distance * factor, metric=one.metric or bool(ratios))
            for one in self.estimates
        )
        said = (
            f"The given places are used; the distances were scaled by {factor:.3g} to fit them."
            if ratios
            else "The given places are used."
        )
        poses = dataclasses.replace(
            self.poses,
            T_world_cam=given,
            registered=torch.ones(len(given), dtype=torch.bool),
            metric=self.poses.metric or bool(ratios),
            warnings=(*self.poses.warnings, said, *warnings),
        )
        return dataclasses.replace(self, poses=poses, estimates=estimates)


def _angle(rotation: Tensor) -> float:
    """Radians."""
    # the sine's form keeps its digits near zero, where the cosine's loses half of them
    return 2 * math.asin(min(1.0, float((rotation - torch.eye(3)).norm()) / (2 * math.sqrt(2))))
