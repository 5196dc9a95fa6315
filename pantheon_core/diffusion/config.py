"""What a checkpoint says about itself: how it was trained and therefore how it must be driven."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from ..errors import InputError

__all__ = ["Conditioning", "HoleFill", "ModelConfig", "Variant"]

Variant = Literal["single", "dual", "both"]
Conditioning = Literal["scaffold", "first_frame"]
HoleFill = Literal["value", "background"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """How a video model is conditioned.

    Attributes:
        variant: "single" sees the tokens of the start panorama, "dual" those of the start and the end, "both"
            was trained for either and sees those of as many as there are.
        conditioning: "scaffold" concatenates the latent of every rendered frame, "first_frame" repeats the
            latent of the first panorama over all frames, as stock Stable Video Diffusion does.
        frames: the number of frames that it was trained with. Others work, less well.
        height: the panorama height in pixels that it was trained with (width = 2 height).
        hole_value: rgb value 0..1 of scaffold pixels that nothing covers.
        hole_fill: what the autoencoder sees where nothing covers: "value" is hole_value everywhere,
            "background" is filled from what lies behind, by the scaffold's distances
            (`render.pull_push`).
        name: short name.
        description: one or two sentences for people: what it is, what it was trained on.
        crops: number of perspective crops around the horizon, one token each; 0 means one token of the whole
            image squeezed to a square, as stock Stable Video Diffusion does.
        crop_fov_deg: horizontal field of view of a crop, degrees.
        crop_size: side of a crop in pixels, before it is resized to the image encoder's size.
        token_roles: a learned embedding tells start tokens from end tokens.
        token_yaw: a learned embedding tells the yaw of a crop. Such a model does not commute with yaw.
        keep_scaffold: 0..1, how far covered pixels of the decoded frames are put back to the scaffold's.
        detail_reach: pixels; with keep_scaffold, painted detail counts by the share of hole within this reach
            (`compose_with_scaffold`). For small models, whose latents blur over hole borders: a latent's
            8 pixels; 0 trusts the model everywhere.
    """

    variant: Variant = "single"
    conditioning: Conditioning = "scaffold"
    frames: int = 14
    height: int = 128
    hole_value: float = 0.0
    hole_fill: HoleFill = "value"
    name: str = "unnamed"
    description: str = ""
    crops: int = 8
    crop_fov_deg: float = 90.0
    crop_size: int = 64
    token_roles: bool = False
    token_yaw: bool = False
    keep_scaffold: float = 0.0
    detail_reach: int = 0

    def __post_init__(self) -> None:
        for field, allowed in (
            ("variant", Variant),
            ("conditioning", Conditioning),
            ("hole_fill", HoleFill),
        ):
            if getattr(self, field) not in get_args(allowed):
                raise InputError(
                    f"ModelConfig.{field}: expected one of {get_args(allowed)}, got {getattr(self, field)!r}"
                )
        for field, least in (
            ("frames", 1),
            ("height", 32),
            ("crops", 0),
            ("crop_size", 8),
            ("detail_reach", 0),
        ):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"ModelConfig.{field}: expected a whole number >= {least}, got {value!r}")
        for field, low, high in (
            ("hole_value", 0.0, 1.0),
            ("keep_scaffold", 0.0, 1.0),
            ("crop_fov_deg", 1.0, 170.0),
        ):
            value = getattr(self, field)
            if not isinstance(value, (int, float)) or not low <= value <= high:
                raise InputError(f"ModelConfig.{field}: expected {low:g} to {high:g}, got {value!r}")
        if self.token_yaw and self.crops == 0:
            raise InputError("ModelConfig.token_yaw: needs crops > 0; a token of the whole image has no yaw")

    @property
    def crop_fov(self) -> float:
        """Horizontal field of view of a crop, radians."""
        return math.radians(self.crop_fov_deg)

    @property
    def tokens_per_anchor(self) -> int:
        """How many tokens one panorama gives."""
        return max(self.crops, 1)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def to_json(self) -> str:
        """As one line of JSON."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Read what `to_dict` wrote.

        Raises:
            InputError: an unknown field (a newer file) or a value out of range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(
                f"model config: unknown fields {unknown}; the checkpoint was made by a newer version of "
                "Pantheon360, update the package"
            )
        return cls(**values)
