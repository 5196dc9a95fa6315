"""When a path passes its keyframes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from pantheon_core.trajectory import Keyframe, KeyframePath, interpolate, key_frames

KEYS = (
    Keyframe(time=0.5, position=(0, 0, 0)),
    Keyframe(time=0.7, position=(0, 0, 3)),
    Keyframe(time=2.0, position=(1, 0, 3.5), easing="ease_in"),
    Keyframe(time=2.5, position=(1, 0, 3.5), quaternion_wxyz=(0, 0, 1, 0)),
    Keyframe(time=3.5, position=(4, 1, 3)),
)


@pytest.mark.parametrize("spline", ["linear", "catmull_rom"])
def test_at_constant_speed_the_camera_is_at_its_keys_there(spline: str) -> None:
    path = KeyframePath(keyframes=KEYS, fps=100.0, frames=301, spline=spline, constant_speed=True)  # type: ignore[arg-type]
    at = key_frames(path)
    assert at.tolist() == sorted(at.tolist())
    assert float(at[0]) == 0
    assert float(at[-1]) == pytest.approx(300, abs=0.1)
    positions = interpolate(path).positions
    for frame, key in zip(at.tolist(), KEYS, strict=True):
        near = positions[round(frame)]
        assert torch.allclose(near, torch.tensor(key.position, dtype=torch.float32), atol=0.03)
    # The two at one place are as far apart in time as their keys say.
    assert float(at[3] - at[2]) == pytest.approx(50, abs=0.2)
    plain = key_frames(dataclasses.replace(path, constant_speed=False))
    assert plain.tolist() == pytest.approx([0, 20, 150, 200, 300])
    assert abs(float(at[1] - plain[1])) > 20


def test_a_key_that_is_not_reached_keeps_its_own_time() -> None:
    path = KeyframePath(keyframes=KEYS, fps=10.0, frames=16, constant_speed=True)
    at = key_frames(path)
    assert at.tolist() == sorted(at.tolist())
    assert float(at[-1]) == pytest.approx(30)
    one = KeyframePath(keyframes=KEYS[:1], fps=10.0, frames=16, constant_speed=True)
    assert key_frames(one).tolist() == [0]
