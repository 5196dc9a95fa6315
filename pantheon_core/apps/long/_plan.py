"""Where the windows of a long video lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...errors import InputError

__all__ = ["Window", "plan_windows"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A part of the path that is generated at once.

    Attributes:
        start: its first frame.
        stop: the frame after its last.
        keep: the frame after the last one that the video takes from it; what follows is the next window's.
        chained: it goes on from the window before; False starts anew, at the path's start or at a panorama.
        ends_on_anchor: its last frame is a true panorama.
    """

    start: int
    stop: int
    keep: int
    chained: bool
    ends_on_anchor: bool


def plan_windows(frames: int, size: int, overlap: int, anchors: Sequence[int] = ()) -> list[Window]:
    """Divide a path. Windows differ by one frame in length at most between two panoramas.

    Args:
        frames: of the whole path.
        size: most frames of a window.
        overlap: frames that a window shares with the one it goes on from.
        anchors: frames that stand on a true panorama: a window ends there, and the next one begins.

    Raises:
        InputError: sizes that leave nothing new in a window.
    """
    if frames < 1:
        raise InputError(f"frames: expected at least 1, got {frames}")
    if not 1 <= overlap < size:
        raise InputError(
            f"window, overlap: expected 1 <= overlap < window, got a window of {size} and an overlap of "
            f"{overlap}; a window must bring new frames"
        )
    inside = sorted({index for index in anchors if 0 < index < frames - 1})
    borders = [0, *inside, frames - 1]
    windows: list[Window] = []
    for first, last in pairwise(borders):
        length = last - first + 1
        count = max(1, -(-(length - overlap) // (size - overlap)))
        total = length + (count - 1) * overlap
        start = first
        for part in range(count):
            stop = start + total // count + (part < total % count)
            final = part == count - 1
            keep = stop if final and last == frames - 1 else stop - (1 if final else overlap)
            windows.append(
                Window(
                    start=start,
                    stop=stop,
                    keep=keep,
                    chained=part > 0,
                    ends_on_anchor=final and last in anchors,
                )
            )
            start = stop - overlap
    return windows
