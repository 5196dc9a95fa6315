"""Looking places up in equirectangular images: plain torch, and a Warp kernel that gives the same bits.

The kernel is several times as fast and takes seconds to compile, once per machine. So a process starts with
plain torch, and loads the kernel when it has looked up so much that the kernel would have paid for itself.
Nobody can tell from the result.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable

import torch
from torch import Tensor

from ..warp_runtime import load_warp, quiet_warp, warp_available
from ._plan import Taps

__all__ = ["KERNEL", "Kernel", "look_up"]

_WORTH = 2**28
"""Values: in plain torch they take about as long as the kernel's compilation."""
_BLOCK = 2**18
"""Values that plain torch takes at once: what lies between stays in the processor's cache."""


class Kernel:
    """The Warp kernel, loaded when enough has been looked up; safe to use from several threads."""

    def __init__(self, worth: float = _WORTH) -> None:
        """`worth`: load the kernel after so many values."""
        self.worth = worth
        self._seen = 0
        self._lock = threading.Lock()
        self._launch: Callable[..., None] | None = None

    def ready(self, values: int) -> Callable[..., None] | None:
        """A launcher for the kernel's arguments; None while plain torch is the better way.

        While one thread loads the kernel, the others go on without it.
        """
        if self._launch is not None or not self._lock.acquire(blocking=False):
            return self._launch
        try:
            self._seen += values
            if self._launch is None and self._seen >= self.worth:
                if warp_available():
                    self._launch = _load()
                else:
                    self.worth = math.inf  # looking for it takes longer than looking up
        finally:
            self._lock.release()
        return self._launch


KERNEL = Kernel()


def _load() -> Callable[..., None]:
    wp = load_warp()
    from . import _warp_lookup

    own = threading.local()

    def launch(*arguments: int) -> None:
        if not hasattr(own, "command"):
            own.arguments = (ctypes.c_int64 * len(arguments))()
            pointer = ctypes.addressof(own.arguments)
            kernel = _warp_lookup.lookup_kernel
            own.command = wp.launch(kernel, dim=1, inputs=[pointer], device="cpu", record_cmd=True)
        own.arguments[:] = arguments
        own.command.launch()

    with quiet_warp(wp):
        launch(*[0] * 9)  # no images: compiles
    return launch


def look_up(
    planes: Tensor, taps: Taps, height: int, total: Tensor | None = None, *, kernel: Kernel | None = None
) -> Tensor:
    """Bilinear values of images at places.

    Args:
        planes: (P, H * 2 H) images, floating.
        taps: the places.
        height: H.
        total: (P, h * w) what to add to; it is overwritten. None starts anew.
        kernel: the fast way, for float32 on the CPU without gradients; None is the process's own.

    Returns:
        (P, h * w).
    """
    kernel = KERNEL if kernel is None else kernel
    launch = kernel.ready(len(planes) * taps.index.numel()) if _plain(planes, taps) else None
    if launch is None:
        part = _look_up_torch(planes, taps, height)
        return part if total is None else total.add_(part)
    out = planes.new_empty(len(planes), taps.index.numel()) if total is None else total
    planes = planes.contiguous()
    tensors = (planes, taps.index, taps.across, taps.down, out)
    launch(*(tensor.data_ptr() for tensor in tensors), height, *out.shape, int(total is not None))
    return out


def _plain(planes: Tensor, taps: Taps) -> bool:
    """Whether these are plain arrays of the types that the kernel knows."""
    return (
        planes.device.type == "cpu"
        and type(planes) is Tensor
        and planes.dtype == taps.across.dtype == torch.float32
        and taps.index.dtype == torch.int32
        and taps.index.numel() < 2**31
        and not (torch.is_grad_enabled() and (planes.requires_grad or taps.across.requires_grad))
    )


def _look_up_torch(planes: Tensor, taps: Taps, height: int) -> Tensor:
    index, across, down = taps.index.flatten(), taps.across.flatten(), taps.down.flatten()
    count = len(index)
    block = max(1, _BLOCK // max(1, len(planes)) if planes.device.type == "cpu" else count)
    parts = []
    for start in range(0, max(1, count), block):
        some = slice(start, start + block)
        near = Taps(index=index[some], across=across[some], down=down[some])
        a, b, c, d = (planes.index_select(-1, place) for place in near.corners(height))
        right, below = near.across.to(planes), near.down.to(planes)
        parts.append(_mixed(_mixed(a, c, below), _mixed(b, d, below), right))
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def _mixed(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """From `a` at t = 0 to `b` at 1; rounded after every step, as the kernel does it."""
    return (b - a).mul_(t).add_(a)
