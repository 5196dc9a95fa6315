"""Where the sky is: what is as far as the model can say, and what the bundled network calls sky."""

from __future__ import annotations

import torch
from torch import Tensor

from ...geometry import perspective_to_erp
from ..fusion import DepthQuantity

__all__ = ["far_scores", "sky_of"]

# A relative model's inverse depth below this share of its near values (90 % quantile) is "far".
_RELATIVE_FAR = 0.02
_NEAR_QUANTILE = 0.9


def far_scores(
    values: Tensor, rotations: Tensor, fov_x: float, quantity: DepthQuantity, far: float | None, height: int
) -> Tensor:
    """How surely each direction is too far to measure.

    1 from the limit on, 0 nearer than half of it, linear in inverse depth between; the mean of the views that
    see it.

    Args:
        values: (V, h, w) of z-depths or their inverses.
        rotations: (V, 3, 3) panorama camera from view camera.
        fov_x: of the views, radians.
        quantity: what a value is.
        far: the limit in metres; None for a relative model, whose limit is 2 % of its near values.
        height: of the panorama.

    Returns:
        (H, W) 0..1.
    """
    inverse = values if quantity.startswith("inverse") else 1 / values.clamp(min=1e-6)
    if far is None:
        near = inverse.flatten().kthvalue(max(1, int(_NEAR_QUANTILE * inverse.numel()))).values
        limit = (_RELATIVE_FAR * near).clamp(min=1e-12)
    else:
        limit = torch.tensor(1 / far)
    score = (2 - inverse / limit).clamp(0, 1)
    return perspective_to_erp(score[:, None], rotations, fov_x=fov_x, height=height)[0][0]


def sky_of(far: Tensor, network: Tensor | None) -> Tensor:
    """(H, W) 0..1 sky: far, and sky to the bundled network where that is asked.

    Either alone is wrong somewhere: far hills and dark windows are far, white walls look like sky. Their
    geometric mean reaches 0.5 where both say so, or where one is sure and the other at least a quarter.
    """
    return far if network is None else (far * network).clamp(min=0).sqrt()
