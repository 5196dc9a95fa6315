"""Key frames of a stream: where enough has moved, the sharpest frame around."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ...errors import PantheonError
from ...geometry import quaternion_wxyz_from_rotation, rotation_from_quaternion_wxyz, slerp
from ._follower import Follower, Motion, same_scene
from ._gray import Pyramid, make_pyramid, sharpness, to_gray
from ._types import TrackSettings

__all__ = ["FrameRecord", "Selector", "Shot"]

_EARLY, _LATE = 0.75, 1.25
"""A window of candidates is open between these multiples of the parallax asked for."""
_LOST, _NEARLY_LOST = 0.35, 0.55
"""Shares of corners found below which a key frame is due at once, and soon."""
_AS_SHARP = 0.8
"""Of the sharpest of the first frames: as good for a beginning."""
_BLURRED = 0.6
"""Of the shot's median sharpness: below, the window stays open for a better frame."""
_SUSPECT = 0.3
"""A frame that shows less than this share of the corners that the one before showed may be a cut."""
_PATIENCE = 6
"""Frames that may be blank or blurred before it is one."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameRecord:
    """What is known of a frame after the first pass.

    Attributes:
        frame: number in the video.
        sharpness: see `sharpness`.
        key: number of the frame it was compared with; its own where it is a key frame.
        parallax: radians to that frame; of a key frame, to the one before.
        R_frame_start: (3, 3) float64, its camera from the camera of the shot's first key frame.
    """

    frame: int
    sharpness: float
    key: int
    parallax: float
    R_frame_start: Tensor


@dataclass(kw_only=True, slots=True)
class Shot:
    """Frames between two cuts.

    Attributes:
        first: number of its first frame.
        records: by number, without gaps.
        keys: numbers of the key frames; none where frames could not be followed at all.
        blurred: key frames for which there was no sharp one.
        unseen: frames that were passed over, between others that were followed.
        largest_parallax: radians, to the key frame before.
    """

    first: int
    records: dict[int, FrameRecord] = field(default_factory=dict)
    keys: list[int] = field(default_factory=list)
    blurred: list[int] = field(default_factory=list)
    unseen: list[int] = field(default_factory=list)
    largest_parallax: float = 0.0

    def __len__(self) -> int:
        return len(self.records)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Seen:
    """A frame of the window, with its picture."""

    number: int
    picture: Pyramid
    sharp: float


class Selector:
    """Takes the frames of a video one by one; `shots` is complete after `finish`.

    It holds the pictures of one window and one key frame at tracking size, whatever the video's length.
    """

    def __init__(self, settings: TrackSettings) -> None:
        self.settings = settings
        self.shots: list[Shot] = []
        self._number = -1
        self._opening: list[_Seen] = []
        self._reset()

    def _reset(self) -> None:
        self._follower: Follower | None = None
        self._key = -1
        self._R_key_start = torch.eye(3, dtype=torch.float64)
        self._window: list[tuple[_Seen, Motion]] = []
        self._pending: list[_Seen] = []
        self._last: tuple[_Seen, Motion] | None = None

    def add(self, rgb: Tensor) -> None:
        """The next frame (3, H, W)."""
        gray = to_gray(rgb)
        self._number += 1
        picture = make_pyramid(gray, self.settings.tracking_height)
        self._take(_Seen(number=self._number, picture=picture, sharp=sharpness(gray)))

    def finish(self) -> list[Shot]:
        """After the last frame: the last key frames. Returns the shots in the order of their frames."""
        if self._opening:
            self._start()
        left, self._pending = self._pending, []
        self._end_shot()
        self._leave_out(left)
        self.shots.sort(key=lambda shot: shot.first)
        return self.shots

    def _take(self, seen: _Seen) -> None:
        if self._follower is not None:
            self._run(deque([seen]))
            return
        self._opening.append(seen)
        if len(self._opening) >= self.settings.window:
            self._start()

    # --- the start and the end of a shot

    def _start(self) -> None:
        """The first of the sharp ones begins; those before it are followed backwards."""
        opening, self._opening = self._opening, []
        sharpest = max(seen.sharp for seen in opening)
        best = next(i for i, seen in enumerate(opening) if seen.sharp >= _AS_SHARP * sharpest)
        self.shots.append(Shot(first=opening[best].number))
        self._become_key(opening[best], None)
        start = self._last
        for seen in reversed(opening[:best]):
            motion = self._advance(seen)
            if self._is_other(seen, motion):
                self._pending.append(seen)
            else:
                self._accept(seen, motion)
        self.shots[-1].first = min(self.shots[-1].records)
        self._leave_out(self._pending[::-1])
        self._pending, self._window, self._last = [], [], start
        if self._follower is not None:
            self._follower.rewind()
        self._run(deque(opening[best + 1 :]))

    def _end_shot(self) -> None:
        """A key frame near the end, so that as few frames as can be lie beyond the last one."""
        least = 0.3 * self.settings.parallax
        if self._last is not None and self._last[1].parallax >= least and self._window:
            late = [one for one in self._window if one[1].parallax >= least]
            for seen in self._choose(late or self._window[-1:]):
                self._accept(seen, self._advance(seen))
        self._reset()

    def _leave_out(self, frames: list[_Seen]) -> None:
        """Frames that belong to no neighbour: a shot of their own, without key frames."""
        if not frames:
            return
        nowhere = Shot(first=frames[0].number)
        for seen in frames:
            nowhere.records[seen.number] = FrameRecord(
                frame=seen.number,
                sharpness=seen.sharp,
                key=seen.number,
                parallax=0.0,
                R_frame_start=torch.eye(3, dtype=torch.float64),
            )
        # Before the shot that is running, which stays the last of the list.
        self.shots.insert(max(0, len(self.shots) - 1), nowhere)

    # --- the frames between

    def _run(self, queue: deque[_Seen]) -> None:
        """Frames in order; a new key frame puts those after it back into the queue."""
        while queue:
            seen = queue.popleft()
            motion = self._advance(seen)
            if self._is_other(seen, motion):
                self._pending.append(seen)
                if len(self._pending) > _PATIENCE:
                    after, self._pending = [*self._pending, *queue], []
                    self._end_shot()
                    for later in after:
                        self._take(later)
                    return
                continue
            self._accept(seen, motion)
            self._window = [*self._window, (seen, motion)][-max(1, self.settings.window) :]
            if self._due(motion):
                early = _EARLY * self.settings.parallax
                candidates = [
                    one for one in self._window if one[1].parallax >= early or one is self._window[-1]
                ]
                queue.extendleft(reversed(self._choose(candidates)))

    def _advance(self, seen: _Seen) -> Motion:
        if self._follower is None:
            raise PantheonError(f"frame {seen.number} came before its shot's first key frame")
        return self._follower.advance(seen.picture)

    def _is_other(self, seen: _Seen, motion: Motion) -> bool:
        """Whether a frame shows nothing of the one before: a cut, a blank or a blurred frame."""
        if self._last is None or self._follower is None:
            return False
        # A key frame must not be taken because a blurred frame shows little.
        blurred = motion.share < _LOST and seen.sharp < _BLURRED * self._usual_sharpness()
        if not blurred:
            if motion.share > _SUSPECT * self._last[1].share:
                return False
            if same_scene(self._last[0].picture, seen.picture, lowest=self.settings.lowest):
                return False
        self._follower.undo()
        return True

    def _accept(self, seen: _Seen, motion: Motion) -> None:
        """Record a frame, and those that were passed over since the last one."""
        shot = self.shots[-1]
        shot.largest_parallax = max(shot.largest_parallax, motion.parallax)
        now = motion.R_frame_key @ self._R_key_start
        if self._pending and self._last is not None:
            self._bridge(self._last[0].number, seen.number, now, motion)
        self._put(seen, motion, now)
        self._last = (seen, motion)

    def _bridge(self, first: int, last: int, R_last_start: Tensor, motion: Motion) -> None:
        """Frames between two that were followed turn evenly from one to the other."""
        ends = torch.stack((self.shots[-1].records[first].R_frame_start, R_last_start))
        before, after = quaternion_wxyz_from_rotation(ends)
        for seen in self._pending:
            between = slerp(before, after, (seen.number - first) / (last - first))
            self._put(seen, motion, rotation_from_quaternion_wxyz(between))
            self.shots[-1].unseen.append(seen.number)
        self._pending = []

    def _put(self, seen: _Seen, motion: Motion, R_frame_start: Tensor) -> None:
        self.shots[-1].records[seen.number] = FrameRecord(
            frame=seen.number,
            sharpness=seen.sharp,
            key=self._key,
            parallax=motion.parallax,
            R_frame_start=R_frame_start,
        )

    def _due(self, motion: Motion) -> bool:
        """Whether a key frame is chosen now."""
        target = self.settings.parallax
        if motion.share < _LOST or motion.parallax >= 2 * target:
            return True
        if motion.parallax < _LATE * target and motion.share >= _NEARLY_LOST:
            return False
        best = max(seen.sharp for seen, m in self._window if m.parallax >= _EARLY * target or m is motion)
        return best >= _BLURRED * self._usual_sharpness()

    def _usual_sharpness(self) -> float:
        return statistics.median(record.sharpness for record in self.shots[-1].records.values())

    def _choose(self, candidates: list[tuple[_Seen, Motion]]) -> list[_Seen]:
        """Make the sharpest candidate the key frame; gives the frames after it, to be followed from it."""
        best = max(candidates, key=lambda one: one[0].sharp)
        if best[0].sharp < _BLURRED * self._usual_sharpness():
            self.shots[-1].blurred.append(best[0].number)
        after = [seen for seen, _ in self._window if seen.number > best[0].number]
        self._become_key(*best)
        return after

    def _become_key(self, seen: _Seen, motion: Motion | None) -> None:
        if motion is not None:
            self._R_key_start = motion.R_frame_key @ self._R_key_start
        self._key = seen.number
        self.shots[-1].keys.append(seen.number)
        still = Motion(
            share=1.0,
            parallax=motion.parallax if motion else 0.0,
            R_frame_key=torch.eye(3, dtype=torch.float64),
        )
        self._put(seen, still, self._R_key_start)
        self._window, self._last = [], (seen, replace(still, parallax=0.0))
        settings = self.settings
        self._follower = Follower(seen.picture, corners=settings.corners, lowest=settings.lowest)
