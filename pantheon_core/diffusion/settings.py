"""Settings of one generation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InputError
from .schedule import SIGMA_MAX, SIGMA_MIN

__all__ = ["SamplerSettings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplerSettings:
    """Everything beside the pictures that decides the result.

    Attributes:
        steps: denoising steps.
        guidance_min: guidance at the first frame.
        guidance_max: guidance at the last frame; 1 and 1 halve the work.
        fps: frames per second told to the model.
        motion_bucket: amount of motion told to the model, 0..255.
        noise_aug: noise added to the conditioning frames, on the -1..1 scale.
        seed: of all noise, drawn on the CPU.
        spherical: convolutions wrap around in width.
        poles: they also continue over the poles. Only with `spherical`.
        sigma_min: last noise level before 0.
        sigma_max: first noise level.
        encode_chunk: frames encoded at once.
        decode_chunk: frames decoded together.
        decode_overlap: frames that neighbouring decoded windows share.
        keep_scaffold: 0..1, see `compose_with_scaffold`; None takes the model's own.
        feather: pixels over which kept scaffold fades into painted parts.
        autocast: compute in bfloat16 where that is safe: faster on most CPUs, slightly different pictures.
    """

    steps: int = 25
    guidance_min: float = 1.0
    guidance_max: float = 3.0
    fps: float = 7.0
    motion_bucket: float = 127.0
    noise_aug: float = 0.02
    seed: int = 0
    spherical: bool = True
    poles: bool = False
    sigma_min: float = SIGMA_MIN
    sigma_max: float = SIGMA_MAX
    encode_chunk: int = 8
    decode_chunk: int = 8
    decode_overlap: int = 2
    keep_scaffold: float | None = None
    feather: int = 0
    autocast: bool = False

    def __post_init__(self) -> None:
        checks = (
            ("steps", "a whole number >= 1", self.steps >= 1),
            ("guidance_min", "a finite number >= 0", 0 <= self.guidance_min < math.inf),
            ("guidance_max", "a finite number >= 0", 0 <= self.guidance_max < math.inf),
            ("fps", "more than 0", 0 < self.fps < math.inf),
            ("motion_bucket", "0 to 255", 0 <= self.motion_bucket <= 255),
            ("noise_aug", "0 to 10", 0 <= self.noise_aug <= 10),
            ("sigma_min", "more than 0, less than sigma_max", 0 < self.sigma_min < self.sigma_max),
            ("seed", "0 to 2^64 - 1", 0 <= self.seed < 2**64),
            ("encode_chunk", ">= 1", self.encode_chunk >= 1),
            ("decode_chunk", ">= 1", self.decode_chunk >= 1),
            ("decode_overlap", "0 to decode_chunk - 1", 0 <= self.decode_overlap < self.decode_chunk),
            ("keep_scaffold", "None or 0 to 1", self.keep_scaffold is None or 0 <= self.keep_scaffold <= 1),
            ("feather", "0 to 64", 0 <= self.feather <= 64),
            ("poles", "False unless spherical is True", self.spherical or not self.poles),
        )
        for name, expected, fine in checks:
            if not fine:
                raise InputError(f"SamplerSettings.{name}: expected {expected}, got {getattr(self, name)!r}")
