"""A picture that shows what a cache holds, seen from where its panoramas were taken."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..pantheon_core.cache import PointCache
    from ..pantheon_core.render import RenderedFrame

_HEIGHT = 192
_LABEL_HEIGHT = 20


def cache_picture(cache: PointCache, T_world_cam: Tensor, name: str) -> Tensor:
    """Colours, distance, confidence and coverage of a cache seen from one place, labelled, below each other.

    Args:
        cache: the cache.
        T_world_cam: (4, 4), where to look from.
        name: of that place.

    Returns:
        (3, h, w), 0..1.
    """
    from ..pantheon_core.render import render

    seen = render(cache, T_world_cam, _HEIGHT)
    grey = (cache.confidence.clamp(0, 1) * 255).round().to(torch.uint8)[:, None].expand(-1, 3)
    confidence = render(dataclasses.replace(cache, colors=grey, sky=None), T_world_cam, _HEIGHT)
    solid = seen.coverage & (seen.distance > 0)
    near, far = _range(seen.distance, solid)
    unit = "m" if cache.metric else "units"
    average = float(cache.confidence.mean()) if len(cache.points) else 0.0
    rows = (
        (f"{name} ({len(cache.points):,} points)", seen.rgb),
        (
            f"distance: white {near:.2f} {unit}, black {far:.2f} {unit}",
            _distance_grey(seen, solid, near, far),
        ),
        (f"confidence: {average:.2f} on average", confidence.rgb),
        (
            f"scene {float(solid.float().mean()):.0%} (grey), "
            f"sky {float((seen.coverage & ~solid).float().mean()):.0%} (blue), "
            f"unknown {float((~seen.coverage).float().mean()):.0%} (black)",
            _coverage_colours(seen, solid),
        ),
    )
    return torch.cat([_labelled(label, picture.float().cpu()) for label, picture in rows], dim=1)


def _range(distance: Tensor, solid: Tensor) -> tuple[float, float]:
    """Second and 98th percentile of the distances."""
    values = distance[solid].float()
    return (float(values.quantile(0.02)), float(values.quantile(0.98))) if len(values) else (0.0, 0.0)


def _distance_grey(seen: RenderedFrame, solid: Tensor, near: float, far: float) -> Tensor:
    """White is near, evenly in the logarithm; what is no surface is dark red."""
    if far > near:
        ratio = torch.tensor(far / near).log()
        grey = 1 - ((seen.distance.clamp_min(1e-6) / near).log() / ratio).clamp(0, 1)
    else:
        grey = torch.full_like(seen.distance, 0.5)
    return torch.where(solid, grey, grey.new_tensor([0.25, 0.0, 0.0])[:, None, None])


def _coverage_colours(seen: RenderedFrame, solid: Tensor) -> Tensor:
    grey, blue = seen.rgb.new_tensor([0.6, 0.6, 0.6]), seen.rgb.new_tensor([0.2, 0.45, 0.9])
    picture = torch.where(seen.coverage, blue[:, None, None], 0.0)
    return torch.where(solid, grey[:, None, None], picture)


def _labelled(label: str, picture: Tensor) -> Tensor:
    """The picture under a dark line of text."""
    import numpy as np
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (picture.shape[-1], _LABEL_HEIGHT), (24, 24, 24))
    ImageDraw.Draw(strip).text((6, 4), label, fill=(235, 235, 235))
    text = torch.from_numpy(np.asarray(strip).copy()).movedim(-1, 0).float() / 255
    return torch.cat([text, picture.clamp(0, 1)], dim=1)
