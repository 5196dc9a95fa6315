"""Pre-rendered synthetic panoramas for the distance network: chunks of frames on disk, written resumably.

`python -m pantheon_core.training.depth_data --out .cache/depth/train --frames 2000`
"""

from __future__ import annotations

import argparse
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError

if TYPE_CHECKING:
    from ..synthetic import Scene

__all__ = ["DepthFrames", "floor_height", "pool_distance", "render_frames"]

_LOG = logging.getLogger(__name__)
_CHUNK = 20
_KINDS = ("room", "street", "garden")


def floor_height(distance: Tensor, valid: Tensor) -> float:
    """Height of the camera above the largest level surface below it, in metres (0 where there is none).

    Args:
        distance: (H, W) metres.
        valid: (H, W) bool.
    """
    height = distance.shape[0]
    lat = (0.5 - (torch.arange(height) + 0.5) / height) * math.pi
    drop = distance * -torch.sin(lat)[:, None]
    rows = (lat < math.radians(-12.0))[:, None] & valid & (drop < 6.0)
    if not bool(rows.any()):
        return 0.0
    weight = torch.cos(lat)[:, None].expand_as(drop)[rows]
    bins = torch.zeros(601).index_add_(0, (drop[rows] * 100).long(), weight)
    smooth = torch.nn.functional.avg_pool1d(bins[None], 3, stride=1, padding=1)[0]
    best = int(smooth.argmax())
    near = rows & ((drop - (best + 0.5) / 100).abs() < 0.02)
    return float(drop[near].median())


def pool_distance(distance: Tensor, factor: int) -> Tensor:
    """Lower median of each factor x factor block: (B, H, W) -> (B, H/f, W/f); never mixes two surfaces."""
    b, h, w = distance.shape
    blocks = distance.reshape(b, h // factor, factor, w // factor, factor).transpose(2, 3).flatten(3)
    return blocks.kthvalue(max(1, factor * factor // 2), dim=3).values


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthFrames:
    """Frames of a chunk directory in memory.

    Attributes:
        rgb: (N, 3, H, W) uint8.
        distance: (N, H, W) float16 metres, +inf on the sky (on disk only; masks rule once it is loaded).
        floor: (N,) camera height above the floor, metres, 0 where unknown.
        kind: (N,) index into room, street, garden.
    """

    rgb: Tensor
    distance: Tensor
    floor: Tensor
    kind: Tensor

    @staticmethod
    def load(directory: Path, limit: int | None = None) -> DepthFrames:
        """Read every finished chunk.

        Raises:
            InputError: there is none.
        """
        paths = sorted(directory.glob("chunk_*.npz"))
        if not paths:
            raise InputError(f"no chunk_*.npz in {directory}: render some with training.depth_data first")
        parts: dict[str, list[np.ndarray]] = {"rgb": [], "distance": [], "floor": [], "kind": []}
        for path in paths:
            with np.load(path) as chunk:
                for name, values in parts.items():
                    values.append(chunk[name])
        data = {name: torch.from_numpy(np.concatenate(v)[:limit]) for name, v in parts.items()}
        return DepthFrames(**data)

    @staticmethod
    def load_all(directories: list[Path]) -> DepthFrames:
        """The frames of several directories in one."""
        parts = [DepthFrames.load(directory) for directory in directories]
        names = ("rgb", "distance", "floor", "kind")
        return DepthFrames(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def _camera(scene: Scene, generator: np.random.Generator, height_range: tuple[float, float]) -> Tensor:
    """A free upright camera of random height and yaw: T_world_cam (4, 4)."""
    from ..geometry import rotation_from_yaw_pitch_roll, se3_from
    from ..synthetic import free_position

    try:
        position = free_position(scene, generator, reach=5.0).float().clone()
    except InputError:  # crowded rooms: the origin is always a good place
        position = torch.zeros(3)
    if generator.random() < 0.5:  # half keep the scene's own height
        position[1] = scene.camera_height - generator.uniform(*height_range)
    yaw = torch.tensor(generator.uniform(0, 2 * math.pi), dtype=torch.float32)
    return se3_from(rotation_from_yaw_pitch_roll(yaw, yaw * 0, yaw * 0), position)


def render_frames(
    directory: Path, *, frames: int, seed: int = 0, height: int = 256, per_scene: int = 2, samples: int = 1
) -> None:
    """Render `frames` panoramas of procedural scenes into chunks; chunks that are there are kept.

    Args:
        directory: where to write chunk_*.npz.
        frames: how many, rounded up to whole chunks.
        seed: scenes are seeded seed, seed + 1, ...
        height: ERP height in pixels.
        per_scene: cameras per scene.
        samples: supersampling of the colours per axis.
    """
    from ..synthetic import generate_scene, trace

    directory.mkdir(parents=True, exist_ok=True)
    scenes = _CHUNK // per_scene
    for index in range(math.ceil(frames / _CHUNK)):
        path = directory / f"chunk_{index:05d}.npz"
        if path.is_file():
            continue
        rgb, distance, floor, kinds = [], [], [], []
        for number in range(index * scenes, (index + 1) * scenes):
            kind = _KINDS[number % len(_KINDS)]
            scene = generate_scene(seed + number, kind)
            generator = np.random.default_rng(seed + number)
            for _ in range(per_scene):
                frame = trace(scene, _camera(scene, generator, (1.0, 2.2)), height, samples=samples)
                rgb.append((frame.rgb * 255 + 0.5).to(torch.uint8).numpy())
                far = torch.where(frame.valid, frame.distance, torch.inf)
                distance.append(far.to(torch.float16).numpy())
                floor.append(floor_height(frame.distance, frame.valid))
                kinds.append(_KINDS.index(kind))
        part = path.with_suffix(".part.npz")
        np.savez(
            part,
            rgb=np.stack(rgb),
            distance=np.stack(distance),
            floor=np.asarray(floor, np.float32),
            kind=np.asarray(kinds, np.uint8),
        )
        part.rename(path)
        _LOG.info("%s: %d of %d frames", directory.name, (index + 1) * _CHUNK, frames)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--samples", type=int, default=1)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    render_frames(args.out, frames=args.frames, seed=args.seed, height=args.height, samples=args.samples)


if __name__ == "__main__":
    main()
