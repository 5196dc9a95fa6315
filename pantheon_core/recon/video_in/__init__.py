"""360° video in: key frames by motion and sharpness, and the pose of every frame."""

from __future__ import annotations

from ._track import track_frames, track_video
from ._types import KeyFrame, Solver, TrackSettings, VideoTrack

__all__ = ["KeyFrame", "Solver", "TrackSettings", "VideoTrack", "track_frames", "track_video"]
