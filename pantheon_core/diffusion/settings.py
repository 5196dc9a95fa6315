"""Settings of one generation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from ..errors import InputError
from .denoiser import GuidanceShape
from .hold import HoldSettings
from .samplers import SamplerName
from .schedule import SIGMA_MAX, SIGMA_MIN, ScheduleName

__all__ = ["SamplerSettings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplerSettings:
    """Everything beside the pictures that decides the result.

    Attributes:
        steps: denoising steps.
        sampler: "euler", first order; "heun", second order with two model calls per step; "dpmpp_2m", second
            order with one; "dpmpp_2m_sde", the same with fresh noise in every step, drawn on the CPU. All
            serve fusion too.
        schedule: of the noise levels: "karras" (stock Stable Video Diffusion's), "exponential" (more steps at
            little noise), "align_your_steps" (for about 10 steps; only with the default range of sigma).
        guidance_min: guidance at the first frame.
        guidance_max: guidance at the last frame; 1 and 1 halve the work.
        guidance_shape: "linear" rises from the first frame to the last; "triangle" has guidance_min at both
            ends and guidance_max in the middle, for two panoramas; "constant" is guidance_max everywhere.
        guidance_together: run the network with and without conditioning in one batch, not one after the
            other: the same to rounding; more memory, and faster where the device has room.
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
        hold: how covered parts are held to the scaffold while denoising. None: with its default settings for
            models that never see the scaffold ("first_frame"), not at all for the others.
        autocast: compute in bfloat16 where that is safe: faster on most CPUs, slightly different pictures.
    """

    steps: int = 25
    sampler: SamplerName = "euler"
    schedule: ScheduleName = "karras"
    guidance_min: float = 1.0
    guidance_max: float = 3.0
    guidance_shape: GuidanceShape = "linear"
    guidance_together: bool = False
    fps: float = 7.0
    motion_bucket: float = 127.0
    noise_aug: float = 0.02
    seed: int = 0
    spherical: bool = True
    poles: bool = False
    sigma_min: float = SIGMA_MIN
    sigma_max: float = SIGMA_MAX
    encode_chunk: int = 1
    decode_chunk: int = 8
    decode_overlap: int = 2
    keep_scaffold: float | None = None
    feather: int = 0
    hold: HoldSettings | None = None
    autocast: bool = False

    def __post_init__(self) -> None:
        own_range = (self.sigma_min, self.sigma_max) == (SIGMA_MIN, SIGMA_MAX)
        checks = (
            *(
                (name, f"one of {', '.join(get_args(choices))}", getattr(self, name) in get_args(choices))
                for name, choices in (
                    ("sampler", SamplerName),
                    ("schedule", ScheduleName),
                    ("guidance_shape", GuidanceShape),
                )
            ),
            (
                "schedule",
                f"another with sigma_min, sigma_max other than {SIGMA_MIN} and {SIGMA_MAX:g}",
                own_range or self.schedule != "align_your_steps",
            ),
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
