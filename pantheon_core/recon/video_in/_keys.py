"""The key frames of a video: chosen, read, placed, and chosen closer where that fails."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...check import check_erp, check_shape
from ...errors import InputError, MediaError, Progress
from ...geometry import erp_rays, resize_erp
from ..poses import PanoramaPoses
from ._check import without_contradicted
from ._select import Selector, Shot
from ._solve import structure_from_motion
from ._types import Solver, TrackSettings

__all__ = ["Keys", "Source", "Steps", "find_keys", "moves"]

Source = Callable[[], Iterable[Tensor]]
"""Gives the frames (3, H, W) from the first on, each time it is called."""

_FEWEST_KEYS = 6
_REGISTERED = 0.7
"""Share of the key frames that must get a place before closer ones are tried."""
_CLOSEST = math.radians(1)
_STILL = math.radians(0.3)
_FAR_APART = math.radians(20)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Keys:
    """The key frames of the longest shot.

    Attributes:
        shot: what is known of its frames.
        frames: of the whole video.
        numbers: K frame numbers.
        rgb: K pictures (3, H, W).
        poses: K rows.
        warnings: sentences.
    """

    shot: Shot
    frames: int
    numbers: list[int]
    rgb: list[Tensor]
    poses: PanoramaPoses
    warnings: list[str]


class Steps:
    """One progress over the three passes and the solver, each counted as a pass."""

    def __init__(self, progress: Progress | None, frames: int) -> None:
        self.progress, self.frames = progress, frames

    def part(self, number: int, of: int = 3) -> Progress:
        """The progress function of a part."""

        def report(done: int, total: int) -> None:
            if self.progress:
                whole = number * 1000 + round(1000 * min(1.0, done / max(total, 1)))
                self.progress(min(whole, of * 1000), of * 1000)

        return report


def find_keys(source: Source, settings: TrackSettings, solver: Solver | None, steps: Steps) -> Keys:
    """Choose and place key frames; where too few get a place, closer ones, which share more of what they see.

    Raises:
        InputError: fewer than two frames.
        ConventionError: frames that are not 2:1.
    """
    while True:
        shots, total, settings = _select(source, settings, steps)
        shot = max(shots, key=len)
        warnings = _warn_of_shots(shots, shot)
        numbers = _thin(shot, settings, warnings)
        rgb = _key_pictures(source, numbers, settings, steps)
        solve = solver or structure_from_motion(numbers)
        poses = _solve(rgb, solve, settings, steps, moves(shot))
        measured = torch.stack([shot.records[number].R_frame_start for number in numbers])
        poses = without_contradicted(poses, measured, numbers)
        closer = _closer(settings)
        placed = int(poses.registered.sum())
        if not moves(shot) or closer is None or placed >= _REGISTERED * len(numbers):
            return Keys(shot=shot, frames=total, numbers=numbers, rgb=rgb, poses=poses, warnings=warnings)
        settings = closer


def _select(source: Source, settings: TrackSettings, steps: Steps) -> tuple[list[Shot], int, TrackSettings]:
    """Records and key frames; with little motion once more, closer together."""
    report = steps.part(0)
    while True:
        selector, total = Selector(settings), 0
        for rgb in source():
            check_shape("frame", rgb, "3 H W")
            check_erp("frame", rgb, video=True)
            selector.add(rgb)
            total += 1
            report(total, steps.frames)
        if total < 2:
            raise InputError(f"video: expected at least two frames, got {total}")
        shots = selector.finish()
        shot = max(shots, key=len)
        # One step to about as many as are wanted: every step decodes the video again.
        closer = _closer(settings, max(1, len(shot.keys) - 1) / _FEWEST_KEYS)
        if len(shot.keys) >= _FEWEST_KEYS or not moves(shot) or closer is None:
            return shots, total, settings
        settings = closer


def _closer(settings: TrackSettings, share: float = 0.5) -> TrackSettings | None:
    """Key frames at a share of the parallax; None where they are as close as is of use."""
    if settings.parallax <= _CLOSEST:
        return None
    return dataclasses.replace(settings, parallax=max(_CLOSEST, share * settings.parallax))


def moves(shot: Shot) -> bool:
    """Whether the camera moves enough to tell distances."""
    return shot.largest_parallax >= _STILL


def _warn_of_shots(shots: list[Shot], shot: Shot) -> list[str]:
    warnings = []
    others = [one for one in shots if one is not shot and one.keys]
    if others:
        cuts = ", ".join(str(one.first) for one in shots[1:] if one.keys)
        warnings.append(
            f"The video has cuts at frame {cuts:.60}: only the longest shot, frames {shot.first} to "
            f"{shot.first + len(shot) - 1}, is tracked. Cut the video there to track the others."
        )
    for one in shots:
        if not one.keys:
            warnings.append(
                f"Frames {one.first} to {one.first + len(one) - 1} show nothing that their neighbours show "
                "(blank, blurred or of another scene): they are left out."
            )
    if shot.unseen:
        frames = ", ".join(map(str, shot.unseen[:10])) + (", ..." if len(shot.unseen) > 10 else "")
        warnings.append(
            f"{len(shot.unseen)} frames are too blurred or blank to be followed ({frames}): their poses "
            "are interpolated unless sparse points are seen in them."
        )
    if shot.blurred:
        frames = ", ".join(map(str, shot.blurred[:10]))
        warnings.append(f"All frames around {frames} are blurred; poses there are less exact.")
    if not moves(shot):
        warnings.append(
            f"The camera hardly moves (parallax up to {math.degrees(shot.largest_parallax):.2f} degrees): "
            "positions and points cannot be found from it."
        )
    return warnings


def _thin(shot: Shot, settings: TrackSettings, warnings: list[str]) -> list[int]:
    """At most `max_keys` of the shot's key frames, evenly, the first and the last among them."""
    keys = sorted(shot.keys)
    if len(keys) <= settings.max_keys:
        return keys
    last = len(keys) - 1
    kept = sorted({round(i * last / (settings.max_keys - 1)) for i in range(settings.max_keys)})
    apart = settings.parallax * len(keys) / len(kept)
    if apart > _FAR_APART:
        warnings.append(
            f"{len(keys)} key frames are needed and {len(kept)} are allowed: neighbours are about "
            f"{math.degrees(apart):.0f} degrees apart and may not be matched. Allow more, or split the video."
        )
    return [keys[i] for i in kept]


def _key_pictures(source: Source, keys: list[int], settings: TrackSettings, steps: Steps) -> list[Tensor]:
    """The key frames at the size that is kept."""
    wanted, found = set(keys), []
    report = steps.part(1)
    for number, rgb in enumerate(itertools.islice(source(), keys[-1] + 1)):
        if number in wanted:
            height = min(settings.height, rgb.shape[-2])
            found.append(resize_erp(rgb, height).clamp(0, 1))
        report(number, 2 * keys[-1] + 1)
    if len(found) < len(keys):
        raise MediaError(f"video: expected frame {keys[len(found)]} again, got a video that ends before")
    return found


def _solve(
    rgb: list[Tensor], solver: Solver, settings: TrackSettings, steps: Steps, moves: bool
) -> PanoramaPoses:
    """Poses of the key frames; none where there is only one, or nothing moved."""
    count = len(rgb)
    nothing = PanoramaPoses(
        T_world_cam=torch.eye(4).repeat(count, 1, 1),
        registered=torch.zeros(count, dtype=torch.bool),
    )
    if count < 2 or not moves:
        return nothing
    height = rgb[0].shape[-2]
    seen = -erp_rays(height)[..., 1] >= math.sin(settings.lowest)
    report = steps.part(1)
    return solver(rgb, [seen] * count, lambda done, of: report(of + done, 2 * of))
