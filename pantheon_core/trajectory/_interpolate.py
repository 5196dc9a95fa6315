"""From keyframes to one pose per frame.

Everything is a function of path time, in which key k lies at its own time. Easing and constant speed only
warp the frames' times into path time; the curve itself does not change. The curve is a centripetal
Catmull-Rom spline over its own knots (square roots of the chords: no cusps, no loops, whatever the times),
and a monotone cubic maps path time to knots, so that speed is continuous at the keys without overshoot.

Source: Yuksel, Schaefer, Keyser, "Parameterization and applications of Catmull-Rom curves", 2011;
Fritsch, Butland, "A method for constructing local monotone piecewise cubic interpolants", 1984, eq. 2.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from ..geometry import rotation_from_quaternion_wxyz, se3_from
from ._keyframes import KeyframePath, Trajectory
from ._orientation import orientations_at

_SAMPLES_PER_SEGMENT = 256
_COINCIDENT = 1e-9
_logger = logging.getLogger(__name__)


def interpolate(path: KeyframePath) -> Trajectory:
    """The camera pose of every frame.

    A frame at a key's time has that key's pose (to float32 rounding) unless `path.constant_speed` is set.
    Computed in float64 on the CPU.

    Returns:
        Trajectory of `path.frames` poses.
    """
    times = torch.tensor([key.time for key in path.keyframes], dtype=torch.float64)
    frame_times = times[0] + torch.arange(path.frames, dtype=torch.float64) / path.fps
    if float(times[-1]) > float(frame_times[-1]) + 1e-6:
        _logger.warning(
            "The path ends at %.3g s, but %d frames at %g fps end at %.3g s: the rest is cut off. "
            "Use more frames, or stretch the keys with retime.",
            float(times[-1]),
            path.frames,
            path.fps,
            float(frame_times[-1]),
        )
    curve = _Curve(path, times)
    warped = _warp(path, times, frame_times.clamp(max=float(times[-1])), curve)
    positions = curve.positions_at(warped)
    rotations = rotation_from_quaternion_wxyz(orientations_at(path, curve.key_index_at(warped)))
    return Trajectory(T_world_cam=se3_from(rotations, positions).to(torch.float32), fps=path.fps)


class _Curve:
    """The positions of a path as a function of path time."""

    def __init__(self, path: KeyframePath, times: Tensor) -> None:
        self.times = times
        self.smooth = path.spline == "catmull_rom"
        self.smooth_turn = path.orientation == "squad"
        self.loop = path.loop
        self.keys = torch.tensor([key.position for key in path.keyframes], dtype=torch.float64)
        if len(times) == 1:
            return
        chords = self.keys.diff(dim=0)
        length = chords.norm(dim=-1)
        self.still = length <= _COINCIDENT
        # Zero-length segments keep knot length 0; they are never divided by.
        self.intervals = torch.where(self.still, 0.0, length.sqrt())
        self.knots = torch.cat([times.new_zeros(1), self.intervals.cumsum(0)])
        self.leave, self.arrive = _tangents(chords, self.intervals, self.loop)

    def positions_at(self, time: Tensor) -> Tensor:
        """Positions (n, 3) at path times (n,)."""
        if len(self.times) == 1:
            return self.keys.expand(len(time), 3)
        segment, u = _locate(self.times, time)
        if self.smooth:
            knot = _monotone_cubic(self.times, self.knots, time, self.loop)
            interval = self.intervals[segment]
            moving = interval > 0
            along = ((knot - self.knots[segment]) / torch.where(moving, interval, 1.0)).clamp(0.0, 1.0)
            u = torch.where(moving, along, u)
        u = u[:, None]
        start, end = self.keys[segment], self.keys[segment + 1]
        straight = start + (end - start) * u
        if not self.smooth:
            return straight
        # Hermite as the chord plus what bends it: a straight segment then stays exactly straight.
        chord = end - start
        bend = u * (1 - u) * ((1 - u) * (self.leave[segment] - chord) - u * (self.arrive[segment] - chord))
        return straight + bend

    def key_index_at(self, time: Tensor) -> Tensor:
        """Fractional key index (n,) for the orientation: k at the time of key k."""
        if len(self.times) == 1:
            return torch.zeros_like(time)
        if self.smooth_turn:
            index = torch.arange(len(self.times), dtype=torch.float64)
            return _monotone_cubic(self.times, index, time, self.loop)
        segment, u = _locate(self.times, time)
        return segment + u


def _tangents(chords: Tensor, intervals: Tensor, loop: bool) -> tuple[Tensor, Tensor]:
    """Tangents at the start and end of every segment (K-1, 3), scaled to the segment's unit parameter.

    Beyond an open end, and at a stop (a neighbour of zero length), the curve leaves along its chord.
    """
    count = len(intervals)
    previous = torch.arange(count) - 1
    following = torch.arange(count) + 1
    has_previous, has_following = previous >= 0, following < count
    if loop:
        previous, following = previous % count, following % count
        has_previous, has_following = torch.ones_like(has_previous), torch.ones_like(has_following)
    previous, following = previous.clamp(min=0), following.clamp(max=count - 1)

    def blend(other: Tensor, exists: Tensor) -> Tensor:
        usable = exists & (intervals[other] > 0) & (intervals > 0)
        mine = torch.where(intervals > 0, intervals, 1.0)[:, None]
        theirs = torch.where(usable, intervals[other], 1.0)[:, None]
        slope, other_slope = chords / mine, chords[other] / theirs
        across = (chords + chords[other]) / (mine + theirs)
        return torch.where(usable[:, None], mine * (slope + other_slope - across), chords)

    return blend(previous, has_previous), blend(following, has_following)


def _locate(times: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Segment number and fraction 0..1 within it."""
    segment = (torch.searchsorted(times, time, right=True) - 1).clamp(0, len(times) - 2)
    u = (time - times[segment]) / (times[segment + 1] - times[segment]).clamp(min=1e-30)
    return segment, u.clamp(0.0, 1.0)


def _monotone_cubic(times: Tensor, values: Tensor, time: Tensor, loop: bool) -> Tensor:
    """Rising values through the keys, once differentiable, without overshoot."""
    width, rise = times.diff(), values.diff()
    delta = rise / width
    slope = torch.cat(
        [_end_slope(width, delta), _inner_slopes(width, delta), _end_slope(width.flip(0), delta.flip(0))]
    )
    if loop:
        slope[[0, -1]] = _inner_slopes(width[[-1, 0]], delta[[-1, 0]])
    segment, u = _locate(times, time)
    w = width[segment]
    start, chord = values[segment], rise[segment]
    bend = (1 - u) * (slope[segment] * w - chord) - u * (slope[segment + 1] * w - chord)
    return start + chord * u + u * (1 - u) * bend


def _inner_slopes(width: Tensor, delta: Tensor) -> Tensor:
    """Slopes (K-2,) at the keys between: a weighted harmonic mean, 0 where a neighbour stands still."""
    h0, h1, d0, d1 = width[:-1], width[1:], delta[:-1], delta[1:]
    blend = (h0 + 2 * h1) / (3 * (h0 + h1))
    denominator = blend * d1 + (1 - blend) * d0
    return torch.where(d0 * d1 > 0, d0 * d1 / torch.where(denominator > 0, denominator, 1.0), 0.0)


def _end_slope(width: Tensor, delta: Tensor) -> Tensor:
    """Slope (1,) at the first key: of the parabola through three keys, kept within what stays monotone."""
    if len(width) == 1:
        return delta[:1]
    h0, h1, d0, d1 = width[:1], width[1:2], delta[:1], delta[1:2]
    slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
    return torch.minimum(slope.clamp(min=0.0), 3 * d0)


def _warp(path: KeyframePath, times: Tensor, time: Tensor, curve: _Curve) -> Tensor:
    """Path time of every frame: easing within segments, or one speed over the moving ones."""
    if len(times) == 1:
        return time
    if path.constant_speed:
        return _even_speed(path, times, time, curve)
    return _eased(path, times, time)


def _eased(path: KeyframePath, times: Tensor, time: Tensor) -> Tensor:
    segment, u = _locate(times, time)
    out = u.clone()
    for easing in {key.easing for key in path.keyframes} - {"linear"}:
        uses = torch.tensor([key.easing == easing for key in path.keyframes])[segment]
        out = torch.where(uses, _EASE[easing](u), out)
    return times[segment] + out * times.diff()[segment]


_EASE = {
    "ease_in": lambda u: u * u,
    "ease_out": lambda u: u * (2 - u),
    "ease_in_out": lambda u: u * u * (3 - 2 * u),
}


def _even_speed(path: KeyframePath, times: Tensor, time: Tensor, curve: _Curve) -> Tensor:
    """Stops keep their durations; the moving segments share the rest in proportion to their lengths."""
    steps = torch.linspace(0, 1, _SAMPLES_PER_SEGMENT + 1, dtype=torch.float64)
    widths = times.diff()
    table = times[:-1, None] + widths[:, None] * steps
    table[:, -1] = times[1:]
    points = curve.positions_at(table.flatten()).reshape(len(widths), -1, 3)
    pieces = points.diff(dim=1).norm(dim=-1)
    lengths = torch.where(curve.still, 0.0, pieces.sum(1))
    if float(lengths.sum()) == 0.0:
        return _eased(path, times, time)
    moving_time = widths[~curve.still].sum()
    durations = torch.where(curve.still, widths, moving_time * lengths / lengths.sum())
    starts = times[0] + torch.cat([durations.new_zeros(1), durations.cumsum(0)])
    # Only the inverse is needed: the warped clock at every table entry, and the entry's path time.
    spent = torch.where(curve.still[:, None], 0.0, pieces).cumsum(1) / lengths.clamp(min=1e-30)[:, None]
    spent = torch.where(curve.still[:, None], steps[1:], spent)
    clock = torch.cat([starts[:1], (starts[:-1, None] + durations[:, None] * spent).flatten()])
    path_time = torch.cat([times[:1], table[:, 1:].flatten()])
    segment, u = _locate(clock, time)
    warped = path_time[segment] + u * (path_time[segment + 1] - path_time[segment])
    owner, _ = _locate(times, warped)
    return torch.where(curve.still[owner], _eased(path, times, warped), warped)
