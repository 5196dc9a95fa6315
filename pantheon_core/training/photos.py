"""Training views of real panoramas: turned, cropped, jittered in colour, with black holes at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..assets import sample_panoramas
from ..errors import InputError
from ..geometry import erp_rays, rotation_from_yaw_pitch_roll, sample_erp

__all__ = ["PhotoBank", "random_holes"]


class PhotoBank:
    """Panoramas in memory as uint8 (3, H, W), and random views of them.

    Args:
        names: bundled photographs by name.
        extra: further files, or folders of .jpg.
        height: stored height in pixels.

    Raises:
        InputError: a name or path that is not there.
    """

    def __init__(self, names: Sequence[str] = (), extra: Sequence[str] = (), *, height: int = 512) -> None:
        bundled = sample_panoramas()
        missing = [name for name in names if name not in bundled]
        if missing:
            raise InputError(f"photos: no bundled photograph {missing}; there are {', '.join(bundled)}")
        paths = [bundled[name] for name in names]
        for item in extra:
            path = Path(item)
            paths += sorted(path.glob("*.jpg")) if path.is_dir() else [path]
        if not paths:
            raise InputError("photos: expected at least one photograph, got none; name them in [data] photos")
        self.images = [_load(path, height) for path in paths]

    def clip(
        self, generator: torch.Generator, *, frames: int, height: int, crop: tuple[int, int] | None
    ) -> Tensor:
        """A clip of one photograph by a camera that turns slowly.

        Args:
            frames: number of frames.
            height: height of the whole panorama that is seen, in pixels.
            crop: (rows, columns) of a random window, or None for the whole panorama.

        Returns:
            (frames, 3, h, w), 0..1.
        """
        pick = int(torch.randint(len(self.images), (1,), generator=generator))
        image = self.images[pick].float().div_(255.0)
        rays = erp_rays(height)
        if crop is not None:
            rows, columns = crop
            top = int(torch.randint(height - rows + 1, (1,), generator=generator))
            left = int(torch.randint(2 * height - columns + 1, (1,), generator=generator))
            rays = rays[top : top + rows, left : left + columns]
        draw = torch.rand(6, generator=generator)
        tilt = 0.15 if draw[5] < 0.6 else 1.5
        yaw, pitch, roll = draw[0] * 2 * math.pi, (draw[1] - 0.5) * 2 * tilt, (draw[2] - 0.5) * 2 * tilt
        speed = (draw[3] - 0.5) * 8 * math.pi / height, (draw[4] - 0.5) * 4 * math.pi / height
        views = []
        for frame in range(frames):
            turn = rotation_from_yaw_pitch_roll(yaw + frame * speed[0], pitch + frame * speed[1], roll)
            views.append(sample_erp(image, rays @ turn.T.to(rays)))
        return _jitter(torch.stack(views).clamp_(0, 1), generator)


def random_holes(frames: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """(frames, 1, height, width) bool masks of blobs and slivers that move a little from frame to frame."""
    cells = int(torch.randint(2, 9, (1,), generator=generator))
    noise = torch.randn(2, 1, cells, 2 * cells, generator=generator)
    mix = torch.linspace(0, float(torch.rand(1, generator=generator)), frames)[:, None, None, None]
    field = torch.nn.functional.interpolate(
        noise[:1] * (1 - mix) + noise[1:] * mix, size=(height, width), mode="bicubic"
    )
    fine = torch.randn(1, 1, height // 2, width // 2, generator=generator)
    field = field + 0.6 * torch.nn.functional.interpolate(fine, size=(height, width), mode="bilinear")
    level = 0.5 + 1.5 * float(torch.rand(1, generator=generator))
    return field > level


def _jitter(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Gain, contrast, saturation, tint and mirror, the same for every frame of a clip."""
    draw = torch.rand(8, generator=generator)
    gamma = math.exp((float(draw[0]) - 0.5) * 0.9)
    gain = 0.8 + 0.5 * float(draw[1])
    tint = 1 + (draw[2:5] - 0.5) * 0.2
    saturation = 0.4 + 1.2 * float(draw[5])
    frames = frames.clamp(1e-4, 1) ** gamma * gain * tint[:, None, None]
    grey = frames.mean(1, keepdim=True)
    frames = (grey + (frames - grey) * saturation).clamp(0, 1)
    return frames.flip(-1) if draw[6] < 0.5 else frames


def _load(path: Path, height: int) -> Tensor:
    import numpy as np
    from PIL import Image

    if not path.is_file():
        raise InputError(f"photos: no such file {path}")
    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((2 * height, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1).contiguous()
