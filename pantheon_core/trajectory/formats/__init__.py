"""Camera paths in the file formats of other programs, and the host's camera sockets: docs/formats.md."""

from __future__ import annotations

from ._registry import FORMATS, FileFormat, detect_format, read_trajectory, write_trajectory
from .host import load3d_cameras, trajectory_from_load3d, trajectory_from_wan_camera, wan_camera_embedding

__all__ = [
    "FORMATS",
    "FileFormat",
    "detect_format",
    "load3d_cameras",
    "read_trajectory",
    "trajectory_from_load3d",
    "trajectory_from_wan_camera",
    "wan_camera_embedding",
    "write_trajectory",
]
