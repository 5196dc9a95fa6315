"""Networks that see all views of all panoramas at once: poses and distances in one call."""

from __future__ import annotations

from ._backend import (
    DepthAnything3Backend,
    MultiViewBackend,
    Pi3Backend,
    Pi3XBackend,
    VGGTBackend,
    release_multiview_network,
)
from ._metric import DA3_METRIC_MODEL, DepthAnything3MetricBackend
from ._models import MULTIVIEW_MODELS, MultiViewModel
from ._rig import RigFit, fit_rig
from ._types import MultiViewResult, ViewPredictions

__all__ = [
    "DA3_METRIC_MODEL",
    "MULTIVIEW_MODELS",
    "DepthAnything3Backend",
    "DepthAnything3MetricBackend",
    "MultiViewBackend",
    "MultiViewModel",
    "MultiViewResult",
    "Pi3Backend",
    "Pi3XBackend",
    "RigFit",
    "VGGTBackend",
    "ViewPredictions",
    "fit_rig",
    "release_multiview_network",
]
