"""Files that ship with the package: sample panoramas (CC0) and the bundled weights."""

from __future__ import annotations

from pathlib import Path

from ..errors import BackendUnavailableError

__all__ = ["sample_panoramas", "weights_path"]

_ROOT = Path(__file__).parent


def sample_panoramas() -> dict[str, Path]:
    """The bundled photographs by name, e.g. "hotel_room"; credits in assets/panoramas/README.md."""
    return {path.stem: path for path in sorted((_ROOT / "panoramas").glob("*.jpg"))}


def weights_path(name: str) -> Path:
    """Path of a bundled weight file, by its name without suffix.

    Raises:
        BackendUnavailableError: no such file; the message lists what is there.
    """
    path = _ROOT / "weights" / f"{name}.safetensors"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.safetensors"))) or "none"
        raise BackendUnavailableError(
            f"bundled weights {name!r} are not at {path}; present: {there}. "
            "Reinstall the package with its data files."
        )
    return path
