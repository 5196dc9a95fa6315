"""Convolutions that know that a panorama is a sphere, switched on and off around a call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError

__all__ = ["spherical"]

_NAME = "_conv_forward"
_lock = threading.RLock()
# Per patched convolution: what its instance dictionary held before, and the overrides in force, newest last.
_patched: WeakKeyDictionary[nn.Module, tuple[Any, list[_Override]]] = WeakKeyDictionary()


@contextmanager
def spherical(*modules: nn.Module, poles: bool = False) -> Iterator[None]:
    """Make every spatially padded convolution below `modules` wrap around in width.

    Within the block a network of such convolutions commutes with rolls of its input in width by multiples of
    its total stride. Temporal convolutions (kernel 3x1x1) and attention, which has no position, need no
    change. The asymmetric padding of the autoencoder's downsampling (one column right, one row below, added
    by the layer itself) is included. On exit, whatever is raised, every module is as it was found; blocks
    may be nested, may overlap in threads, and may share modules: the block entered last decides.

    Args:
        modules: networks to change; each convolution is changed once even if it is reached several ways.
        poles: also continue the rows over the poles (reversed in height, rolled by half the width) instead of
            padding with zeros. Needs an even width at every level.

    Raises:
        InputError: a padded convolution is transposed or one-dimensional, which this cannot make spherical.
    """
    overrides = [_Override(conv, asymmetric, poles) for conv, asymmetric in _find(modules)]
    installed: list[_Override] = []
    try:
        for override in overrides:
            _install(override)
            installed.append(override)
        yield
    finally:
        for override in reversed(installed):
            _remove(override)


class _Override:
    """Replacement of one convolution's `_conv_forward`."""

    def __init__(self, conv: nn.Conv2d | nn.Conv3d, asymmetric: bool, poles: bool) -> None:
        self.conv = conv
        self.poles = poles
        self.asymmetric = asymmetric
        # (left, right, top, bottom) and, for 3D, (front, back), as F.pad has them; covers padding="same" too.
        self.pads = tuple(conv._reversed_padding_repeated_twice)

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        left, right, top, bottom = self.pads[:4]
        if self.asymmetric:
            # The layer has added a column of zeros at the right and a row below: take them off, pad truly.
            input, (left, right, top, bottom) = input[..., :-1, :-1], (0, 1, 0, 1)
        # Rows before columns, so that the corners beyond the poles wrap too.
        if self.poles and (top or bottom):
            input, top, bottom = _pad_poles(input, top, bottom), 0, 0
        input = _pad_width(input, left, right)
        if top or bottom:
            input = F.pad(input, (0, 0, top, bottom))
        conv = self.conv
        if isinstance(conv, nn.Conv3d):
            if any(self.pads[4:]):
                input = F.pad(input, (0, 0, 0, 0, *self.pads[4:]))
            return F.conv3d(input, weight, bias, conv.stride, 0, conv.dilation, conv.groups)
        return F.conv2d(input, weight, bias, conv.stride, 0, conv.dilation, conv.groups)


def _pad_width(x: Tensor, left: int, right: int) -> Tensor:
    if not (left or right):
        return x
    if max(left, right) > x.shape[-1]:
        raise InputError(f"spherical: padding of {max(left, right)} columns exceeds the width {x.shape[-1]}")
    return torch.cat([x[..., x.shape[-1] - left :], x, x[..., :right]], dim=-1)


def _pad_poles(x: Tensor, top: int, bottom: int) -> Tensor:
    height, width = x.shape[-2:]
    if width % 2:
        raise InputError(
            f"spherical(poles=True): expected an even width at every level, got {width}; use a panorama "
            "width that is a multiple of 128, or poles=False"
        )
    rows = [
        x[..., :top, :].flip(-2).roll(width // 2, -1),
        x,
        x[..., height - bottom :, :].flip(-2).roll(width // 2, -1),
    ]
    return torch.cat(rows, dim=-2)


def _find(modules: tuple[nn.Module, ...]) -> list[tuple[nn.Conv2d | nn.Conv3d, bool]]:
    """Every convolution with padding in height or width, once, and whether its layer pads asymmetrically."""
    from diffusers.models.downsampling import Downsample2D

    seen = {id(m): m for module in modules for m in module.modules()}
    asymmetric = {
        id(m.conv) for m in seen.values() if isinstance(m, Downsample2D) and m.use_conv and m.padding == 0
    } | {id(m.conv) for m in seen.values() if _pads_like_sgm(m)}
    found: list[tuple[nn.Conv2d | nn.Conv3d, bool]] = []
    for module in seen.values():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            if id(module) in asymmetric:
                found.append((module, True))
            elif any(module._reversed_padding_repeated_twice[:4]):
                found.append((module, False))
        elif (
            isinstance(module, (nn.ConvTranspose2d, nn.ConvTranspose3d)) and max(module.kernel_size[-2:]) > 1
        ):
            raise InputError(f"spherical: {type(module).__name__} cannot be made circular in width")
    return found


def _pads_like_sgm(module: nn.Module) -> bool:
    """Whether it is the autoencoder's downsampling of Stability's own code, which ComfyUI's classes keep."""
    conv = getattr(module, "conv", None)
    return (
        type(module).__name__ == "Downsample"
        and bool(getattr(module, "with_conv", False))
        and isinstance(conv, nn.Conv2d)
        and conv.padding == (0, 0)
        and conv.stride == (2, 2)
    )


def _install(override: _Override) -> None:
    with _lock:
        conv = override.conv
        if conv not in _patched:
            _patched[conv] = (conv.__dict__.get(_NAME), [])
        _patched[conv][1].append(override)
        conv.__dict__[_NAME] = override


def _remove(override: _Override) -> None:
    with _lock:
        conv = override.conv
        found, stack = _patched[conv]
        stack.remove(override)
        if stack:
            conv.__dict__[_NAME] = stack[-1]
            return
        del _patched[conv]
        if found is None:
            conv.__dict__.pop(_NAME, None)
        else:
            conv.__dict__[_NAME] = found
