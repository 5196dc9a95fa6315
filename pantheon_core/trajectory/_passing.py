"""When a path passes its keyframes."""

from __future__ import annotations

import torch
from torch import Tensor

from ._interpolate import _Curve, _warp
from ._keyframes import KeyframePath

_SAMPLES = 4096
_REACHED = 1e-9


def key_frames(path: KeyframePath) -> Tensor:
    """The frame at which the camera is at each keyframe, with fractions where one lies between two frames.

    At constant speed that follows from the way travelled, else from the keyframe's own time. A keyframe that
    the frames do not reach is given the frame that its time would have.

    Returns:
        (K,) float64, rising; within 1/4096 of the path's length of the exact frame at constant speed.
    """
    times = torch.tensor([key.time for key in path.keyframes], dtype=torch.float64)
    own = (times - times[0]) * path.fps
    if not path.constant_speed or len(times) == 1 or path.frames == 1:
        return own
    frame = torch.linspace(0, path.frames - 1, _SAMPLES + 1, dtype=torch.float64)
    warped = _warp(
        path, times, (times[0] + frame / path.fps).clamp(max=float(times[-1])), _Curve(path, times)
    )
    # The first sample at or after the key; where the camera rests, time does not rise.
    after = torch.searchsorted(warped.cummax(0).values, times - _REACHED).clamp(max=_SAMPLES)
    before = (after - 1).clamp(min=0)
    rise = warped[after] - warped[before]
    part = torch.where(rise > 0, (times - warped[before]) / torch.where(rise > 0, rise, 1.0), 1.0).clamp(0, 1)
    passed = frame[before] + part * (frame[after] - frame[before])
    return torch.where(times <= warped[-1] + 1e-6, passed, torch.maximum(own, frame[-1:]))
