"""The windows of a long video on disk: a folder with one file per window and a manifest.

A window's file is complete when it has its name, and counts when the manifest knows its checksum: a run that
is killed at any moment goes on behind the last such window.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, MediaError
from ...files import replacing
from ._plan import Window

__all__ = ["StoredWindow", "WindowStore"]

_log = logging.getLogger(__name__)
_MANIFEST = "manifest.json"
_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredWindow:
    """What is kept of a window.

    Attributes:
        frames: (n, 3, H, W) uint8, those that the video takes from it.
        chain_frame: (3, H, W) uint8, the frame that the next window goes on from.
        tail: (L, C, h, w) float32 scaled latents of the frames that the next window shares.
        coverage: (n,) float32, share of each frame that the scaffold covers.
    """

    frames: Tensor
    chain_frame: Tensor
    tail: Tensor
    coverage: Tensor


class WindowStore:
    """The folder of one run.

    Args:
        folder: made if it is not there.
        fingerprint: of everything that decides the result.
        windows: the plan.
        frame_bytes: of one stored frame, to see beforehand that the disk has room.

    Raises:
        InputError: the folder belongs to another run, or holds other things.
        MediaError: the disk has no room.
    """

    def __init__(self, folder: Path, *, fingerprint: str, windows: list[Window], frame_bytes: int) -> None:
        self.folder = Path(folder)
        self.fingerprint = fingerprint
        self.windows = windows
        self._sums: list[str] = []
        manifest = self.folder / _MANIFEST
        if manifest.is_file():
            self._sums = self._read(manifest)
        elif self.folder.exists() and any(not self._unfinished(path) for path in self.folder.iterdir()):
            raise InputError(
                f"{self.folder}: expected an empty folder or one of a run to go on with, got one with other "
                "files; name another"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        for pattern in (".manifest-*", ".window_*"):
            for left in self.folder.glob(pattern):
                # Half-written files of a killed run.
                left.unlink()
        kept = windows[len(self._sums) - 1].keep if self._sums else 0
        needed = (windows[-1].keep - kept) * frame_bytes
        free = shutil.disk_usage(self.folder).free
        if free < 1.05 * needed:
            raise MediaError(
                f"{self.folder}: the windows still to come need {needed / 2**30:.1f} GiB, the disk has "
                f"{free / 2**30:.1f} GiB free; make room, or name a folder elsewhere"
            )

    @property
    def done(self) -> int:
        """How many windows are finished; they are always the first ones."""
        return len(self._sums)

    def save(self, window: StoredWindow) -> None:
        """Add the next window."""
        from safetensors.torch import save_file

        index = self.done
        with replacing(self._path(index)) as partial:
            # Cloned: views of one tensor would each be written whole, which the format refuses.
            save_file({name: value.clone() for name, value in _fields(window).items()}, partial)
            digest = _checksum(partial)
        self._sums.append(digest)
        self._write_manifest()

    def read(self, index: int) -> StoredWindow:
        """A finished window.

        Raises:
            MediaError: its file is gone or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return StoredWindow(**load_file(self._path(index)))
        except (OSError, SafetensorError, TypeError) as error:
            raise MediaError(
                f"{self._path(index)}: cannot be read ({error}); delete {self.folder} to start anew"
            ) from error

    def frames(self) -> Iterator[np.ndarray]:
        """All finished frames in order, (H, W, 3) uint8; one window is in memory at a time."""
        for index in range(self.done):
            yield from self.read(index).frames.permute(0, 2, 3, 1).contiguous().numpy()

    def remove(self) -> None:
        """Delete the files of the run, and the folder if nothing else is in it."""
        for index in range(len(self.windows)):
            self._path(index).unlink(missing_ok=True)
        (self.folder / _MANIFEST).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _unfinished(self, path: Path) -> bool:
        """Whether it is what a run leaves that was killed before its first manifest."""
        return path.name.startswith(".") or path == self._path(0)

    def _path(self, index: int) -> Path:
        return self.folder / f"window_{index:05d}.safetensors"

    def _read(self, manifest: Path) -> list[str]:
        """Checksums of the windows that are whole."""
        try:
            values: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
            version, fingerprint, sums = values["version"], values["fingerprint"], list(values["sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{manifest}: not a manifest of a long video ({error}); name another folder"
            ) from error
        if version != _VERSION or fingerprint != self.fingerprint:
            raise InputError(
                f"{self.folder}: belongs to another run (other photographs, path, model or settings); name "
                "another folder, or delete this one to start anew"
            )
        for index, digest in enumerate(sums):
            path = self._path(index)
            if not path.is_file() or _checksum(path) != digest:
                _log.warning("%s is missing or damaged; it and what follows is made again", path)
                return sums[:index]
        return sums

    def _write_manifest(self) -> None:
        values = {
            "version": _VERSION,
            "fingerprint": self.fingerprint,
            "windows": [asdict(window) for window in self.windows],
            "sha256": self._sums,
        }
        with replacing(self.folder / _MANIFEST) as partial:
            partial.write_text(json.dumps(values, indent=1), encoding="utf-8")


def _fields(window: StoredWindow) -> dict[str, Tensor]:
    return {name: getattr(window, name) for name in StoredWindow.__slots__}


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fingerprint_of(*parts: Tensor | str | None) -> str:
    """A checksum of tensors and texts."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{tuple(part.shape)} {part.dtype}".encode())
            digest.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
