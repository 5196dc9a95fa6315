"""Which program made a folder, by the names of its files alone: nothing heavy is loaded for a listing."""

from __future__ import annotations

from pathlib import Path

__all__ = ["MATRIX3D_CAMERAS", "find_colmap", "find_matrix3d", "find_vipe"]

MATRIX3D_CAMERAS = ("pano_video_cam.json", "condition/cameras.npz")
_COLMAP_PLACES = (".", "sparse/0", "sparse", "colmap/sparse/0", "0")


def find_vipe(folder: Path) -> list[str]:
    """Names of the videos that a ViPE folder has poses of."""
    poses = folder / "pose"
    return sorted(path.stem for path in poses.glob("*.npz")) if poses.is_dir() else []


def find_matrix3d(folder: Path) -> bool:
    """The folder holds the cameras of a Matrix-3D video."""
    return any((folder / name).is_file() for name in MATRIX3D_CAMERAS)


def find_colmap(folder: Path) -> Path | None:
    """Where in a folder the model lies."""
    for place in _COLMAP_PLACES:
        for suffix in (".bin", ".txt"):
            if all((folder / place / f"{part}{suffix}").is_file() for part in ("cameras", "images")):
                return folder / place
    return None
