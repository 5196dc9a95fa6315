"""A cache that is looked at again and again, one frame at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cache import PointCache
from ..check import check_finite, check_rotation, check_shape
from ..errors import InputError
from ..warp_runtime import warp_available
from ._api import Backend
from ._scene import RenderedFrame, prepare
from ._torch import TorchRenderer
from ._warp import WarpRenderer

__all__ = ["PreparedCache"]

_MAX_SIZES = 4


class PreparedCache:
    """What `render` works out anew in every call, worked out once and kept: for views from changing places.

    Attributes:
        backend: which implementation renders, "torch" or "warp".
    """

    def __init__(
        self, cache: PointCache, *, backend: Backend = "auto", device: torch.device | str | None = None
    ) -> None:
        """Prepare a cache; the arguments are those of `render`.

        Raises:
            InputError: an empty cache, or a backend that is not known.
            BackendUnavailableError: Warp was asked for and is not installed; raised by the first frame.
        """
        if backend not in ("auto", "torch", "warp"):
            raise InputError(f'backend: expected "auto", "torch" or "warp", got {backend!r}')
        target = torch.device(device) if device is not None else cache.points.device
        fast = backend == "warp" or (
            backend == "auto" and target.type in ("cpu", "cuda") and warp_available()
        )
        self.backend = "warp" if fast else "torch"
        with torch.no_grad():
            self._scene = prepare(cache, target)
        self._renderers: dict[int, TorchRenderer | WarpRenderer] = {}

    def render(self, T_world_cam: Tensor, height: int) -> RenderedFrame:
        """One frame of H x 2 H, the same that `render` gives; the last few heights are kept ready.

        Args:
            T_world_cam: (4, 4) camera, p_world = T_world_cam @ p_cam.
            height: H.

        Raises:
            InputError: a height below 2, or a pose that is none.
        """
        check_shape("T_world_cam", T_world_cam, "4 4")
        check_finite("T_world_cam", T_world_cam)
        check_rotation("T_world_cam[:3, :3]", T_world_cam[:3, :3])
        if height < 2:
            raise InputError(f"height: expected at least 2, got {height}")
        renderer = self._renderers.pop(height, None)
        if renderer is None:
            made = WarpRenderer if self.backend == "warp" else TorchRenderer
            renderer = made(self._scene, height)
        self._renderers[height] = renderer
        if len(self._renderers) > _MAX_SIZES:
            del self._renderers[next(iter(self._renderers))]
        with torch.no_grad():
            return renderer(T_world_cam)
