"""Video files: streaming encode with 360° and workflow metadata, streaming decode."""

from __future__ import annotations

from ._codecs import CODECS, list_codecs
from ._reader import VideoInfo, read_video, video_info
from ._spherical import inject_spherical, spherical_versions
from ._writer import VideoWriter, write_video

__all__ = [
    "CODECS",
    "VideoInfo",
    "VideoWriter",
    "inject_spherical",
    "list_codecs",
    "read_video",
    "spherical_versions",
    "video_info",
    "write_video",
]
