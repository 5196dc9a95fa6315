"""The public calls: one frame, and a stream of frames."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from ..cache import PointCache
from ..check import check_finite, check_rotation, check_shape
from ..errors import InputError, Progress
from ..warp_runtime import warp_available
from ._scene import RenderedFrame, prepare
from ._torch import TorchRenderer
from ._warp import WarpRenderer

__all__ = ["Backend", "render", "render_path"]

Backend: TypeAlias = Literal["auto", "torch", "warp"]


def render(
    cache: PointCache,
    T_world_cam: Tensor,
    height: int,
    *,
    backend: Backend = "auto",
    device: torch.device | str | None = None,
) -> RenderedFrame:
    """Render a cache into one equirectangular frame. For many frames use `render_path`.

    Args:
        cache: what to show.
        T_world_cam: (4, 4) camera, p_world = T_world_cam @ p_cam.
        height: H; the frame is H x 2 H.
        backend: "auto" takes Warp where it is installed, else plain torch.
        device: where to work; None means where the cache is.

    Raises:
        InputError: an empty cache, a height below 2, a backend that is not known.
        BackendUnavailableError: Warp was asked for and is not installed.
    """
    check_shape("T_world_cam", T_world_cam, "4 4")
    return next(render_path(cache, T_world_cam[None], height, backend=backend, device=device, workers=1))


def render_path(
    cache: PointCache,
    T_world_cam: Tensor,
    height: int,
    *,
    backend: Backend = "auto",
    device: torch.device | str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[RenderedFrame]:
    """Render a cache along a path, frame by frame; memory holds one frame per worker whatever the length.

    Args:
        cache: what to show; it is uploaded once.
        T_world_cam: (T, 4, 4) cameras.
        height: H; frames are H x 2 H.
        backend, device: as in `render`.
        workers: Warp on the CPU renders so many frames at once, one thread each; None means one per core.
            The frames do not depend on it. Other backends render one at a time.
        progress: called with (frames done, frames) before each frame is handed out; may raise to stop.

    Yields:
        T frames in order.

    Raises:
        InputError, BackendUnavailableError: as `render`, at the call and not at the first frame.
    """
    frames = check_shape("T_world_cam", T_world_cam, "T 4 4")["T"]
    check_finite("T_world_cam", T_world_cam)
    check_rotation("T_world_cam[:, :3, :3]", T_world_cam[:, :3, :3])
    if height < 2:
        raise InputError(f"height: expected at least 2, got {height}")
    if workers is not None and workers < 1:
        raise InputError(f"workers: expected at least 1, got {workers}")
    if backend not in ("auto", "torch", "warp"):
        raise InputError(f'backend: expected "auto", "torch" or "warp", got {backend!r}')
    target = torch.device(device) if device is not None else cache.points.device
    fast = backend == "warp" or (backend == "auto" and target.type in ("cpu", "cuda") and warp_available())
    with torch.no_grad():
        scene = prepare(cache, target)
    draw: Callable[[Tensor], RenderedFrame]
    draw = WarpRenderer(scene, height) if fast else TorchRenderer(scene, height)
    count = min(workers or os.cpu_count() or 1, frames) if fast and target.type == "cpu" else 1
    return _stream(draw, T_world_cam, count, progress)


def _stream(
    draw: Callable[[Tensor], RenderedFrame], T_world_cam: Tensor, workers: int, progress: Progress | None
) -> Iterator[RenderedFrame]:
    frames = len(T_world_cam)
    if workers <= 1:
        for index in range(frames):
            frame = draw(T_world_cam[index])
            if progress:
                progress(index + 1, frames)
            yield frame
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="pantheon-render")
    try:
        waiting: deque[Future[RenderedFrame]] = deque()
        started = 0
        for index in range(frames):
            while started < frames and len(waiting) < workers:
                waiting.append(pool.submit(draw, T_world_cam[started]))
                started += 1
            frame = waiting.popleft().result()
            if progress:
                progress(index + 1, frames)
            yield frame
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
