"""Clips as files: a folder of them, or tar shards. docs/training.md describes the format.

A clip is the files that share a name up to its first dot: `NAME.json`, `NAME.poses.npy`, `NAME.mp4` or
`NAME.0000.jpg` and so on, `NAME.points.npz` or `NAME.points.ply`. In a shard they follow one another, as
WebDataset has them. Shards are read in place: only file headers when they are opened, then the bytes of the
clip that is drawn.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..errors import InputError, MediaError
from ..files import replacing

__all__ = ["ClipEntry", "ClipStore", "Member", "open_store", "pack_shards"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One file, on disk for itself or inside a tar.

    Attributes:
        path: of the file or of the tar.
        offset: of its first byte in the tar; None for a file of its own.
        size: bytes.
    """

    path: Path
    offset: int | None
    size: int

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            MediaError: the file is gone or shorter than it was.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset or 0)
                data = file.read(self.size)
        except OSError as error:
            raise MediaError(f"{self.path}: cannot be read ({error}); check the data set") from error
        if len(data) != self.size:
            raise MediaError(f"{self.path}: is cut short; copy it again")
        return data

    @contextmanager
    def as_file(self, suffix: str) -> Iterator[Path]:
        """A path for readers that need one; from a tar it is a temporary copy."""
        if self.offset is None:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="pantheon-clip-") as folder:
            copy = Path(folder) / f"member{suffix}"
            copy.write_bytes(self.read())
            yield copy


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipEntry:
    """The files of one clip.

    Attributes:
        name: what their names share.
        members: by the rest of their names, e.g. "poses.npy", "0003.jpg".
    """

    name: str
    members: dict[str, Member] = field(default_factory=dict)


class ClipStore:
    """All clips of a data set, and the order in which training sees them.

    Args:
        shards: groups of clips; a folder is one group.
    """

    def __init__(self, shards: Sequence[Sequence[ClipEntry]]) -> None:
        self.shards = [list(shard) for shard in shards if shard]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.shards)

    def at(self, position: int, seed: int) -> ClipEntry:
        """The clip at a position of the endless stream.

        Every epoch takes each clip once: shards in a random order, and in each shard its clips in a random
        order. So neighbours in the stream lie in one file, and any position is found without reading on.
        """
        epoch, place = divmod(position, len(self))
        rng = torch.Generator().manual_seed(seed * 1_000_003 + epoch * 31 + 7)
        order = torch.randperm(len(self.shards), generator=rng).tolist()
        ends, total = [], 0
        for index in order:
            total += len(self.shards[index])
            ends.append(total)
        number = bisect_right(ends, place)
        shard = self.shards[order[number]]
        inside = torch.Generator().manual_seed((seed * 1_000_003 + epoch) * 65_537 + order[number])
        first = ends[number] - len(shard)
        return shard[int(torch.randperm(len(shard), generator=inside)[place - first])]

    def in_order(self, number: int) -> ClipEntry:
        """Clip `number` as the files lie, from the start again after the last."""
        flat = [entry for shard in self.shards for entry in shard]
        return flat[number % len(flat)]


def open_store(path: str | Path) -> ClipStore:
    """Find the clips of a data set.

    Args:
        path: a folder of clips, a .tar file, a folder of .tar files, or a pattern such as "data/train-*.tar".

    Raises:
        InputError: there is no clip.
        MediaError: a tar cannot be read.
    """
    path = Path(path)
    if path.is_file():
        tars = [path]
    elif path.is_dir():
        tars = sorted(path.glob("*.tar"))
    else:
        tars = sorted(path.parent.glob(path.name))
    if tars:
        store = ClipStore([_tar_entries(tar) for tar in tars])
    else:
        store = ClipStore([_folder_entries(path)] if path.is_dir() else [])
    if not len(store):
        raise InputError(f"data.path: no clips in {path}; docs/training.md describes the files of a clip")
    return store


def pack_shards(
    folder: str | Path,
    target: str | Path,
    *,
    prefix: str = "clips",
    max_bytes: int = 1 << 30,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Put a folder of clips into tar shards, in the order of their names; no clip is divided.

    The same folder gives the same bytes. A shard appears under its name only when it is complete.

    Args:
        folder: of clips.
        target: folder for the shards `PREFIX-000000.tar` and so on.
        prefix: of their names.
        max_bytes: a shard that has reached this size is closed; at least one clip goes into each.
        progress: called with (clips packed, clips).

    Returns:
        The shards.

    Raises:
        InputError: no clip in the folder, or a size below 1.
    """
    if max_bytes < 1:
        raise InputError(f"max_bytes: expected at least 1, got {max_bytes}")
    entries = _folder_entries(Path(folder)) if Path(folder).is_dir() else []
    if not entries:
        raise InputError(f"folder: no clips in {folder}; docs/training.md describes the files of a clip")
    groups: list[list[ClipEntry]] = [[]]
    size = 0
    for entry in entries:
        if groups[-1] and size >= max_bytes:
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += sum(member.size for member in entry.members.values())
    paths, done = [], 0
    for number, group in enumerate(groups):
        path = Path(target) / f"{prefix}-{number:06d}.tar"
        # Plain headers, and one of PAX more only where a name needs it (over 100 bytes, or beyond ASCII).
        with replacing(path) as partial, tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
            for entry in group:
                _add(tar, entry)
                done += 1
                if progress is not None:
                    progress(done, len(entries))
        paths.append(path)
    return paths


def _add(tar: tarfile.TarFile, entry: ClipEntry) -> None:
    for suffix, member in sorted(entry.members.items()):
        info = tarfile.TarInfo(f"{entry.name}.{suffix}")
        info.size, info.mode = member.size, 0o644
        tar.addfile(info, io.BytesIO(member.read()))


def _folder_entries(folder: Path) -> list[ClipEntry]:
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    return _grouped([(p.name, Member(path=p, offset=None, size=p.stat().st_size)) for p in paths])


def _tar_entries(path: Path) -> list[ClipEntry]:
    try:
        with tarfile.open(path, "r:") as tar:
            files = [
                (info.name, Member(path=path, offset=info.offset_data, size=info.size))
                for info in tar
                if info.isfile()
            ]
    except (tarfile.TarError, OSError) as error:
        raise MediaError(
            f"{path}: not a readable tar ({error}); shards are not compressed, and complete"
        ) from error
    return _grouped(files)


def _grouped(files: list[tuple[str, Member]]) -> list[ClipEntry]:
    """Clips out of files, by the part of the name before the first dot; others are left out."""
    entries: dict[str, ClipEntry] = {}
    for path, member in files:
        place, slash, filename = path.removeprefix("./").rpartition("/")
        stem, dot, suffix = filename.partition(".")
        if stem and dot:
            name = place + slash + stem
            entries.setdefault(name, ClipEntry(name=name)).members[suffix.lower()] = member
    return [entry for entry in entries.values() if "poses.npy" in entry.members]
