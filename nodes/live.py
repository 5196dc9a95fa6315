"""Pictures of a running sampler, for the sphere in its node. What draws them is under `web/live-1/`."""

from __future__ import annotations

import sys
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any

import comfy.utils
import torch
from comfy.cli_args import LatentPreviewMethod, args

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

EVENT = "pantheon360_preview"
"""Sent before each picture: what the next one of that node shows."""

PERIOD = 0.25
"""Least seconds from one picture to the next."""

MAX_BYTES = 56 * 1024
"""Most bytes of a picture, coded as the host codes it."""

_HOST_QUALITY = 95
_FRAMES = 5
_WIDTHS = (256, 192, 128, 96, 64)


class LivePreview:
    """Progress on the host's bar, and now and then a picture with it.

    The pictures go through the host's own channel, so that its queue and other clients show them as well: a
    few frames of the video, one below the other. Only the newest is kept, until the next report of progress.
    """

    def __init__(self, node_id: str | None, steps: int) -> None:
        """For one run of one node.

        Args:
            node_id: of the node as the host runs it.
            steps: denoising steps, of a window if there are several.
        """
        self._bar = comfy.utils.ProgressBar(1)
        self._node_id = node_id
        self._steps = steps
        self._wanted = previews_wanted()
        self._next: tuple[dict[str, Any], Image] | None = None
        self._due = 0.0

    def report(self, done: int, total: int) -> None:
        """Show progress and a picture that waits; raises the host's interrupt."""
        if self._next is None:
            self._bar.update_absolute(done, total)
            return
        (said, picture), self._next = self._next, None
        _send(said)
        self._bar.update_absolute(done, total, ("JPEG", picture, None))

    def show(self, step: int, frames: Tensor, *, window: int = 1, windows: int = 1) -> None:
        """Take the rough frames (T, 3, h, w) rgb 0..1 of a step, if it is time for a picture."""
        last = step == self._steps and window == windows
        now = time.monotonic()
        if not self._wanted or (now < self._due and not last):
            return
        self._due = now + PERIOD
        shown = sample_frames(len(frames))
        said = {"node_id": self._node_id, "step": step, "steps": self._steps, "window": window}
        said |= {"windows": windows, "frames": [index + 1 for index in shown], "of": len(frames)}
        self._next = said, strip(frames[shown])


def previews_wanted() -> bool:
    """False where the user switched previews off: in the settings for this run, or when starting the host.

    A host that was started without `--preview-method` has it at none too, as the previews of some samplers
    cost time. These do not, so only a spoken no counts.
    """
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    running = getattr(getattr(server, "prompt_queue", None), "currently_running", {})
    for item in list(running.values()):
        method = item[3].get("preview_method")
        if method not in (None, "default"):
            return method != LatentPreviewMethod.NoPreviews.value
    named = any(one.partition("=")[0] == "--preview-method" for one in sys.argv)
    return not named or args.preview_method is not LatentPreviewMethod.NoPreviews


def sample_frames(count: int) -> list[int]:
    """Which frames of a video a picture shows: a few, from the first to the last."""
    return sorted({round(i * (count - 1) / (_FRAMES - 1)) for i in range(_FRAMES)})


def strip(frames: Tensor) -> Image:
    """Frames (T, 3, h, w) rgb 0..1, one below the other, as large as `MAX_BYTES` allows."""
    *larger, least = _WIDTHS
    pictures = (_stacked(frames, width) for width in larger)
    fitting = (one for one in pictures if _coded_size(one) <= MAX_BYTES)
    return next(fitting, None) or _stacked(frames, least)


def _coded_size(picture: Image) -> int:
    coded = BytesIO()
    picture.save(coded, format="JPEG", quality=_HOST_QUALITY)
    return coded.tell()


def _stacked(frames: Tensor, width: int) -> Image:
    from PIL import Image

    height = width // 2
    picture = Image.new("RGB", (width, height * len(frames)))
    # Three columns from the other side: where the panorama closes, its resampled edges fit.
    wrapped = torch.nn.functional.pad(frames.clamp(0, 1), (3, 3, 0, 0), mode="circular")
    pixels = (wrapped * 255).round().byte().movedim(1, -1).cpu().numpy()
    box = (3, 0, 3 + frames.shape[-1], frames.shape[-2])
    for index, frame in enumerate(pixels):
        small = Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC, box=box)
        picture.paste(small, (0, index * height))
    return picture


def _send(said: dict[str, Any]) -> None:
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.send_sync(EVENT, said, server.client_id)
