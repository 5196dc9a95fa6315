"""Clips as the trainer sees them, and the files that the stage "clips" writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError
from ..files import replacing

__all__ = ["HELD_OUT_SEED", "Clip", "ClipFolder", "ClipJob", "write_clip"]

HELD_OUT_SEED = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip:
    """A window of a clip.

    Attributes:
        rgb: (T, 3, H, W) uint8, the truth.
        scaffold: (T, 3, H, W) uint8, black in holes; anchor frames are the true panoramas.
        coverage: (T, H, W) bool; all True in anchor frames.
        distance: (T, H, W) float16 metres as rendered; 0 in holes and on the sky.
        anchors: 1 (first frame) or 2 (first and last): the frames that the cache was built from.
        key: names truth and scaffold where both are always the same, so that latents may be kept; else "".
        window: the frames are the training window as it is to be; else one is chosen from them.
    """

    rgb: Tensor
    scaffold: Tensor
    coverage: Tensor
    distance: Tensor
    anchors: int
    key: str = ""
    window: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipJob:
    """What makes one clip; the file is a function of this.

    Attributes:
        seed: of scene, path and disturbance; 1,000,000 and above is never trained on.
        kind: of scene.
        height: of the frames, pixels.
        source_height: of the panorama the cache is built from, pixels.
        frames: number of frames.
        anchors: 1 or 2.
        corrupt: the cache is built from a disturbed distance map.
        wide: the path is long for the scene, so that large holes open.
    """

    seed: int
    kind: Literal["room", "street", "garden"]
    height: int = 128
    source_height: int = 128
    frames: int = 14
    anchors: int = 1
    corrupt: bool = False
    wide: bool = False

    @property
    def filename(self) -> str:
        """Unique among the jobs of one folder."""
        return f"{self.kind}_{self.seed:07d}_{self.height}_{self.anchors}{'w' * self.wide}.safetensors"


class ClipFolder:
    """The clip files of a folder. Their list is taken once, in the constructor.

    Args:
        folder: where `render_clips` wrote.
        held_out: the clips that training must not see, else the others.
        height: keep clips of this height only; None keeps all.

    Raises:
        InputError: no clip there.
    """

    def __init__(self, folder: str | Path, *, held_out: bool, height: int | None = None) -> None:
        self.files = [
            path
            for path in sorted(Path(folder).glob("*.safetensors"))
            if (_seed(path) >= HELD_OUT_SEED) == held_out and height in (None, _height(path))
        ]
        if not self.files:
            raise InputError(f'data.clips: no clips in {folder}; run the stage "clips" first')
        sizes = [_height(path) for path in self.files]
        self._by_height = {
            size: [i for i, other in enumerate(sizes) if other == size] for size in sorted(set(sizes))
        }

    @property
    def heights(self) -> tuple[int, ...]:
        """Heights of the clips, rising."""
        return tuple(self._by_height)

    def draw(self, position: int, generator: torch.Generator, *, frames: int, height: int) -> Clip:
        """A random clip of one height, whole; see `sources.ClipSource`."""
        choice = self._by_height[height]
        return self.read(choice[int(torch.randint(len(choice), (1,), generator=generator))])

    def window(self, generator: torch.Generator, *, frames: int) -> Clip:
        """A random window of at most `frames` frames."""
        index = int(torch.randint(len(self.files), (1,), generator=generator))
        place = float(torch.rand(1, generator=generator))
        return self.read(index, frames=frames, place=place)

    def read(self, index: int, *, frames: int | None = None, place: float = 0.0) -> Clip:
        """A window of clip `index`, `place` 0..1 of the way along; None takes all frames."""
        from safetensors import safe_open

        with safe_open(self.files[index], framework="pt") as file:
            total = file.get_slice("rgb").get_shape()[0]
            count = min(frames or total, total)
            start = min(int(place * (total - count + 1)), total - count)
            names = ("rgb", "scaffold", "coverage", "distance")
            part = {name: file.get_slice(name)[start : start + count] for name in names}
            anchors = int(file.metadata()["anchors"])
        key = self.files[index].name if count == total else ""
        return Clip(**{**part, "coverage": part["coverage"].bool()}, anchors=anchors, key=key)


def write_clip(path: Path, job: ClipJob, clip: Clip) -> None:
    """Write one clip file; it appears under its name only when complete."""
    from safetensors.torch import save_file

    tensors = {"rgb": clip.rgb, "scaffold": clip.scaffold, "coverage": clip.coverage.to(torch.uint8)}
    tensors["distance"] = clip.distance
    with replacing(path) as partial:
        save_file(tensors, partial, metadata={"anchors": str(job.anchors), "corrupt": str(int(job.corrupt))})


def _seed(path: Path) -> int:
    return int(path.stem.split("_")[1])


def _height(path: Path) -> int:
    return int(path.stem.split("_")[2])
