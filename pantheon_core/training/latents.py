"""Latents of clips: encoded when they are drawn, and kept on disk where a clip is always the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..diffusion import HoleFill
from ..errors import InputError
from ..files import replacing
from ..render import pull_push
from .clip_files import Clip, ClipFolder
from .runtime import Runtime

__all__ = ["Encoder", "LatentClip", "LatentFolder", "latent_statistics", "vae_fingerprint"]

_CHUNK = 7


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LatentClip:
    """A clip as the UNet trains on it.

    Attributes:
        truth: (T, 4, h, w) float32 unscaled latents of the true frames.
        scaffold: (T, 4, h, w) float32 unscaled latents of the scaffold.
        holes: (T, 1, h, w) share 0..1 of uncovered pixels in each latent pixel.
        rgb: (T, 3, H, W) uint8 true frames, for the tokens.
        anchors: 1 or 2 frames that the cache was built from.
        window: the frames are the training window as it is to be.
    """

    truth: Tensor
    scaffold: Tensor
    holes: Tensor
    rgb: Tensor
    anchors: int
    window: bool = False


class Encoder:
    """From clips to latents.

    Args:
        vae: trained VAE in eval mode.
        hole_fill: what is in the holes before encoding, as in `diffusion.ModelConfig`.
        kept: folder for the latents of clips that have a key; a folder in it bears the name of the VAE.
        runtime: device; precision is bfloat16 unless the run's is float32 or the VAE asks for full.
    """

    def __init__(
        self,
        vae: Any,
        *,
        hole_fill: HoleFill = "value",
        kept: Path | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.hole_fill: HoleFill = hole_fill
        self._vae = vae
        self._runtime = runtime or Runtime(autocast_dtype=torch.bfloat16)
        self._downscale = 2 ** (len(vae.config.block_out_channels) - 1)
        self._folder = None if kept is None else kept / f"latents_{vae_fingerprint(vae)}"
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def encode(self, clip: Clip) -> LatentClip:
        """A clip with its latents, on the CPU."""
        holes = (~clip.coverage).float()[:, None]
        return LatentClip(
            truth=self._kept("truth", clip.key, lambda: clip.rgb),
            scaffold=self._kept(self.hole_fill, clip.key, lambda: _filled(clip, self.hole_fill)),
            holes=torch.nn.functional.avg_pool2d(holes, self._downscale),
            rgb=clip.rgb,
            anchors=clip.anchors,
            window=clip.window,
        )

    def _kept(self, kind: str, key: str, frames: Callable[[], Tensor]) -> Tensor:
        from safetensors.torch import load_file, save_file

        if self._folder is None or not key:
            return self._encode(frames()).float()
        path = self._folder / f"{kind}_{key}"
        if not path.is_file():
            with replacing(path) as partial:
                save_file({"latents": self._encode(frames())}, partial)
        return load_file(path)["latents"].float()

    @torch.no_grad()
    def _encode(self, frames: Tensor) -> Tensor:
        """(T, 4, h, w) float16: so they are kept, so they are trained on."""
        from ..diffusion import spherical

        parts = []
        with spherical(self._vae), self._precision():
            for chunk in frames.split(_CHUNK):
                pixels = chunk.to(self._vae.device).to(self._vae.dtype) / 127.5 - 1
                parts.append(self._vae.encode(pixels).latent_dist.mode().float().cpu())
        return torch.cat(parts).to(torch.float16).contiguous()

    def _precision(self) -> Any:
        full = self._runtime.autocast_dtype is None or bool(self._vae.config.force_upcast)
        return torch.autocast(self._vae.device.type, torch.bfloat16, enabled=not full)


class LatentFolder:
    """The clips of a folder with their latents, by index.

    Args:
        clips: which clips.
        vae: trained VAE in eval mode.
        hole_fill: see `Encoder`.
    """

    def __init__(self, clips: ClipFolder, vae: Any, *, hole_fill: HoleFill = "value") -> None:
        self.clips = clips
        self._encoder = Encoder(vae, hole_fill=hole_fill, kept=clips.files[0].parent)

    def read(self, index: int) -> LatentClip:
        """Clip `index` with its latents, from disk or encoded now."""
        return self._encoder.encode(self.clips.read(index))


def latent_statistics(clips: Iterable[LatentClip]) -> tuple[float, float]:
    """Mean and standard deviation of true latents over some clips, for the VAE's scaling factor.

    Raises:
        InputError: the latents are not finite, or all alike.
    """
    values = torch.cat([clip.truth.flatten() for clip in clips])
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
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:10]


def _filled(clip: Clip, hole_fill: HoleFill) -> Tensor:
    """(T, 3, H, W) uint8 scaffold with filled holes."""
    if hole_fill == "value":
        return clip.scaffold
    filled = pull_push(clip.scaffold.float() / 255.0, clip.coverage, distance=clip.distance.float())
    return (filled.clamp(0, 1) * 255).round().to(torch.uint8)
