"""Latents of clips, encoded once and kept on disk beside the clips."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..diffusion import HoleFill
from ..errors import InputError
from ..render import pull_push
from .clips import Clip, ClipFolder

__all__ = ["LatentClip", "LatentFolder", "latent_statistics", "vae_fingerprint"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LatentClip:
    """A clip as the UNet trains on it.

    Attributes:
        truth: (T, 4, h, w) float32 unscaled latents of the true frames.
        scaffold: (T, 4, h, w) float32 unscaled latents of the scaffold.
        holes: (T, 1, h, w) share 0..1 of uncovered pixels in each latent pixel.
        rgb: (T, 3, H, W) uint8 true frames, for the tokens.
        anchors: 1 or 2 frames of the scaffold that are true panoramas.
    """

    truth: Tensor
    scaffold: Tensor
    holes: Tensor
    rgb: Tensor
    anchors: int


class LatentFolder:
    """The training clips of a folder, encoded when they are first drawn.

    Args:
        clips: which clips.
        vae: trained VAE in eval mode; its weights name the cache folder.
        hole_fill: what is in the holes before encoding, as in `diffusion.ModelConfig`.
    """

    def __init__(self, clips: ClipFolder, vae: Any, *, hole_fill: HoleFill = "value") -> None:
        self.clips = clips
        self.hole_fill: HoleFill = hole_fill
        self._vae = vae
        self._folder = clips.files[0].parent / f"latents_{vae_fingerprint(vae)}"
        self._folder.mkdir(exist_ok=True)
        heights = [int(path.stem.split("_")[2]) for path in clips.files]
        self.by_height = {
            height: [i for i, other in enumerate(heights) if other == height]
            for height in sorted(set(heights))
        }

    def draw_index(self, generator: torch.Generator, *, height: int) -> int:
        """Index of a random clip of one height in pixels."""
        choice = self.by_height[height]
        return choice[int(torch.randint(len(choice), (1,), generator=generator))]

    def read(self, index: int) -> LatentClip:
        """Clip `index` with its latents, from disk or encoded now."""
        clip = self.clips.read(index)
        name = self.clips.files[index].name
        truth = self._kept(f"truth_{name}", lambda: clip.rgb)
        scaffold = self._kept(f"{self.hole_fill}_{name}", lambda: _filled(clip, self.hole_fill))
        return LatentClip(
            truth=truth,
            scaffold=scaffold,
            holes=_hole_share(clip),
            rgb=clip.rgb,
            anchors=clip.anchors,
        )

    def _kept(self, name: str, frames: Callable[[], Tensor]) -> Tensor:
        from safetensors.torch import load_file, save_file

        path = self._folder / name
        if not path.is_file():
            partial = path.with_suffix(f".{os.getpid()}")
            save_file({"latents": self._encode(frames())}, partial)
            partial.replace(path)
        return load_file(path)["latents"].float()

    @torch.no_grad()
    def _encode(self, frames: Tensor) -> Tensor:
        from ..diffusion import spherical

        parts = []
        with spherical(self._vae), torch.autocast("cpu", torch.bfloat16):
            for chunk in frames.split(7):
                pixels = chunk.float() / 127.5 - 1
                parts.append(self._vae.encode(pixels).latent_dist.mode().float())
        return torch.cat(parts).to(torch.float16).contiguous()


def latent_statistics(folder: LatentFolder, count: int = 24) -> tuple[float, float]:
    """Mean and standard deviation of true latents over some clips, for the VAE's scaling factor.

    Raises:
        InputError: the latents are not finite.
    """
    step = max(1, len(folder.clips.files) // count)
    values = torch.cat(
        [folder.read(i).truth.flatten() for i in range(0, len(folder.clips.files), step)][:count]
    )
    mean, std = float(values.mean()), float(values.std())
    if not 1e-3 < std < 1e3:
        raise InputError(
            f"unet.vae: latents have a deviation of {std}; the VAE is not usable, train it longer"
        )
    return mean, std


def vae_fingerprint(vae: Any) -> str:
    """A short name of the encoder's weights."""
    digest = hashlib.sha256()
    for key, value in vae.encoder.state_dict().items():
        digest.update(key.encode())
        digest.update(value.detach().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:10]


def _filled(clip: Clip, hole_fill: HoleFill) -> Tensor:
    """(T, 3, H, W) uint8 scaffold with filled holes."""
    if hole_fill == "value":
        return clip.scaffold
    filled = pull_push(clip.scaffold.float() / 255.0, clip.coverage, distance=clip.distance.float())
    return (filled.clamp(0, 1) * 255).round().to(torch.uint8)


def _hole_share(clip: Clip) -> Tensor:
    return torch.nn.functional.avg_pool2d((~clip.coverage).float()[:, None], 8)
