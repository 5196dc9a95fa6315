"""What tracking a 360° video takes and gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from ...check import check_erp, check_shape
from ...errors import InputError, Progress
from ...trajectory import Trajectory
from ..poses import PanoramaPoses

__all__ = ["KeyFrame", "Solver", "TrackSettings", "VideoTrack"]

Solver: TypeAlias = Callable[[list[Tensor], list[Tensor], "Progress | None"], PanoramaPoses]
"""(key frames (3, H, W), their valid (H, W), progress) -> poses with observed sparse points."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackSettings:
    """How a 360° video is tracked. Angles in radians.

    Attributes:
        height: rows of the key frames that are kept and matched; smaller videos keep their size.
        tracking_height: rows of the pictures in which motion is measured.
        parallax: a new key frame is taken when things have moved by this angle (median, after the camera's
            rotation is taken out) since the last one.
        max_keys: key frames at most; a longer video gets them farther apart.
        window: frames among which the sharpest becomes the key frame.
        lowest: nothing below this latitude is used: there are the photographer and the tripod, which move
            with the camera.
        corners: points that are followed from a key frame.
        path_length: metres of the way from the first to the last frame, 0 where unknown: then the unit of
            the result is arbitrary.
    """

    height: int = 512
    tracking_height: int = 256
    parallax: float = math.radians(5)
    max_keys: int = 40
    window: int = 9
    lowest: float = math.radians(-60)
    corners: int = 400
    path_length: float = 0.0

    def __post_init__(self) -> None:
        limits = {
            "height": (64, 8192),
            "tracking_height": (64, 1024),
            "parallax": (math.radians(0.5), math.radians(45)),
            "max_keys": (2, 200),
            "window": (1, 60),
            "lowest": (-math.pi / 2, math.radians(45)),
            "corners": (50, 4000),
            "path_length": (0.0, 1e6),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"TrackSettings.{name}: expected {low:.4g} to {high:.4g}, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeyFrame:
    """A frame that was matched with others.

    Attributes:
        frame: its number in the video, from 0.
        rgb: (3, H, W) float32 0..1.
        sharpness: see `sharpness`; comparable within the video.
        parallax: radians since the key frame before, 0 for the first.
        registered: it got a place.
    """

    frame: int
    rgb: Tensor
    sharpness: float
    parallax: float
    registered: bool

    def __post_init__(self) -> None:
        check_shape("key.rgb", self.rgb, "3 H W")
        check_erp("key.rgb", self.rgb)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VideoTrack:
    """The camera of a 360° video.

    Attributes:
        trajectory: one pose per frame `start` to `stop` - 1, at the video's rate; the world is the first
            registered key frame's camera. Metres when `poses.metric`.
        start: first frame of the shot that was tracked.
        stop: the frame after its last.
        frames: of the whole video.
        keys: K key frames.
        poses: of the key frames, K rows, with the sparse points.
        residual: (T,) radians, median angle between where sparse points are seen and where the pose puts
            them; NaN where a frame was not refined.
        sharpness: (T,) of every frame.
        warnings: sentences for the user.
    """

    trajectory: Trajectory
    start: int
    stop: int
    frames: int
    keys: tuple[KeyFrame, ...]
    poses: PanoramaPoses
    residual: Tensor
    sharpness: Tensor
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        count = check_shape(
            "track.trajectory", self.trajectory.T_world_cam, "T 4 4", T=self.stop - self.start
        )
        check_shape("track.residual", self.residual, "T", T=count["T"])
        check_shape("track.sharpness", self.sharpness, "T", T=count["T"])
        check_shape("track.poses", self.poses.T_world_cam, "K 4 4", K=len(self.keys))

    def report(self) -> str:
        """What was found, in words, angles in degrees."""
        refined = self.residual[self.residual.isfinite()]
        lines = [
            f"{self.stop - self.start} of {self.frames} frames placed (frames {self.start} to "
            f"{self.stop - 1}), {len(self.keys)} key frames, "
            f"{sum(key.registered for key in self.keys)} of them registered, "
            f"{len(self.poses.points)} sparse points."
        ]
        if len(refined):
            middle, high = (math.degrees(float(refined.quantile(part))) for part in (0.5, 0.95))
            lines.append(
                f"{len(refined)} frames refined; residual {middle:.3f} degrees (median), {high:.3f} degrees "
                "(95 %)."
            )
        way = float(self.trajectory.positions.diff(dim=0).norm(dim=1).sum())
        unit = "m" if self.poses.metric else "units (the scale is arbitrary)"
        lines.append(f"The path is {way:.3g} {unit} long.")
        lines.append(
            "Key frames (frame: parallax in degrees, sharpness): "
            + ", ".join(
                f"{key.frame}: {math.degrees(key.parallax):.1f}, {key.sharpness:.3g}"
                + ("" if key.registered else " (not registered)")
                for key in self.keys
            )
        )
        return "\n".join((*lines, *(f"Warning: {text}" for text in self.warnings)))

    def as_dict(self) -> dict[str, object]:
        """The same as numbers, for JSON."""

        def numbers(values: Tensor) -> list[float | None]:
            wide = torch.rad2deg(values)
            return [round(float(v), 5) if bool(v.isfinite()) else None for v in wide]

        return {
            "start": self.start,
            "stop": self.stop,
            "frames": self.frames,
            "fps": self.trajectory.fps,
            "metric": self.poses.metric,
            "sparse_points": len(self.poses.points),
            "keys": [
                {
                    "frame": key.frame,
                    "sharpness": key.sharpness,
                    "parallax_deg": math.degrees(key.parallax),
                    "registered": key.registered,
                }
                for key in self.keys
            ],
            "residual_deg": numbers(self.residual),
            "sharpness": [round(float(v), 6) for v in self.sharpness],
            "warnings": list(self.warnings),
        }
