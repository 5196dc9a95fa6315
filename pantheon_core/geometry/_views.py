"""Views of equirectangular images by their plans: batches, interpolation, plans that are kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError, ShapeError
from ._area import area_resize
from ._lookup import look_up
from ._plan import Plan, Taps, pixel_index
from ._plan_store import PLANS

__all__ = ["SampleMode", "check_mode", "fraction_dtype", "kept_plan", "sample_views"]

SampleMode = Literal["bilinear", "nearest", "bicubic"]

_MODES = ("bilinear", "nearest", "bicubic")


def check_mode(erp: Tensor, mode: str) -> None:
    """Raise InputError unless the mode exists and fits the image's type."""
    if mode not in _MODES:
        raise InputError(f"mode: expected one of {', '.join(_MODES)}, got {mode!r}")
    if mode != "nearest" and not erp.is_floating_point():
        raise InputError(
            f'erp: expected a floating type for mode "{mode}", got {erp.dtype}; convert it, or use "nearest"'
        )


def fraction_dtype(erp: Tensor) -> torch.dtype:
    """The type of places between pixels that an image's type deserves."""
    return torch.float64 if erp.dtype == torch.float64 else torch.float32


def kept_plan(make: Callable[[], Plan], rotation: Tensor, *key: object) -> Plan:
    """A plan that depends on a rotation and the values of `key`, made anew only where it is not at hand.

    Only on the CPU: other devices make it faster than they wait for it, and their memory is dear.
    """
    if rotation.device.type != "cpu" or (torch.is_grad_enabled() and rotation.requires_grad):
        return make()
    values = tuple(rotation.detach().flatten().tolist())
    return PLANS.get((*key, rotation.dtype, values), make)


def sample_views(
    erp: Tensor,
    plan: Callable[[int], Plan],
    lead: Sequence[int],
    size: tuple[int, int],
    *,
    mode: SampleMode,
) -> Tensor:
    """Look images up by the plans of views.

    Args:
        erp: (..., C, H, W).
        plan: gives the plan of a view by its number.
        lead: the views' leading axes, which broadcast against the images'.
        size: (h, w) of a view.
        mode: interpolation.

    Returns:
        (..., C, h, w) in the type of `erp`.
    """
    work = erp.float() if erp.dtype in (torch.float16, torch.bfloat16) else erp
    if not lead:
        return _sample(work.contiguous(), plan(0), size, mode).to(erp.dtype)
    *erp_lead, channels, height, width = erp.shape
    try:
        batch = torch.broadcast_shapes(tuple(erp_lead), tuple(lead))
    except RuntimeError as error:
        raise ShapeError(
            f"rays or rotation: expected leading axes that broadcast against those of erp "
            f"{tuple(erp.shape)}, got {tuple(lead)}"
        ) from error
    axes = len(batch)
    own = (1,) * (axes - len(lead)) + tuple(lead)
    work = work.reshape(*(1,) * (axes - len(erp_lead)), *erp_lead, channels, height, width).contiguous()
    varied = [axis for axis in range(axes) if own[axis] != 1]
    views = list(itertools.product(*(range(own[axis]) for axis in varied)))
    if not views:
        return erp.new_empty(*batch, channels, *size)
    parts = []
    for number, view in enumerate(views):
        # An image that all views share stays one: its axis is dropped, as a view's own axis is.
        chosen = {axis: i if work.shape[axis] > 1 else 0 for axis, i in zip(varied, view, strict=True)}
        images = work[tuple(chosen.get(axis, slice(None)) for axis in range(axes))]
        parts.append(_sample(images, plan(number), size, mode))
    out = parts[0] if not varied else torch.stack(parts).reshape(*(own[a] for a in varied), *parts[0].shape)
    return out.movedim(tuple(range(len(varied))), tuple(varied)).to(erp.dtype)


def _sample(images: Tensor, plan: Plan, size: tuple[int, int], mode: SampleMode) -> Tensor:
    """Look all images (..., C, H, W) up by one plan: (..., C, h, w)."""
    while images.shape[-2] > plan.height:
        half = images.shape[-2] // 2
        images = area_resize(area_resize(images, half, dim=-2), 2 * half, dim=-1)
    planes = images.reshape(-1, images.shape[-2] * images.shape[-1])
    total: Tensor | None = None
    for taps in plan.taps:
        if mode == "bilinear":
            total = look_up(planes, taps, plan.height, total)
        else:
            part = _look_up_pixels(planes, taps, plan.height, mode)
            total = part if total is None else total.add_(part)
    if total is None:
        raise ShapeError("plan: expected at least one place per pixel")
    return (total if plan.count == 1 else total.div_(plan.count)).reshape(*images.shape[:-2], *size)


def _look_up_pixels(planes: Tensor, taps: Taps, height: int, mode: SampleMode) -> Tensor:
    """(P, h * w) values of images (P, H * W), nearest or bicubic."""
    if mode == "nearest":
        return planes.index_select(-1, taps.nearest(height))
    row, column = taps.pixels(height)
    across, down = taps.across.flatten(), taps.down.flatten()
    total: Tensor | None = None
    for j, below in _cubic_weights(down.to(planes)):
        for i, right in _cubic_weights(across.to(planes)):
            taken = planes.index_select(-1, pixel_index(row + j, column + i, height))
            part = taken.mul_(right * below)
            total = part if total is None else total.add_(part)
    if total is None:
        raise ShapeError(f"mode {mode!r} has no taps")
    return total


def _cubic_weights(t: Tensor) -> list[tuple[int, Tensor]]:
    return [
        (-1, ((-0.5 * t + 1) * t - 0.5) * t),
        (0, (1.5 * t - 2.5) * t * t + 1),
        (1, ((-1.5 * t + 2) * t + 0.5) * t),
        (2, (0.5 * t - 0.5) * t * t),
    ]
