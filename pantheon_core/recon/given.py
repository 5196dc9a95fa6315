"""Backend "given": distances that the user already has, as a file or a tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import ConventionError, InputError, MediaError, Progress, ShapeError
from ..geometry import erp_rays, resize_erp, sample_erp
from ._types import DistanceEstimate
from .tiny import TinyBackend

__all__ = ["DepthKind", "GivenBackend", "fit_relative", "nothing_measured", "read_depth", "with_sky"]

DepthKind = Literal["distance", "z_depth", "inverse", "relative"]

# A fitted inverse distance below this share of the fit's typical one says no more than "far".
_RELATIVE_FAR = 0.02
_SKY_FAR = 0.2  # the same, where the guess sees sky


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GivenBackend:
    """Distances from a 16-bit PNG, OpenEXR or NPY file, or from a tensor.

    Attributes:
        depth: path, or a tensor (H, W), (1, H, W) or (3, H, W) of which the first channel counts. W = 2 H.
        kind: what a value v means. "distance": along the ray, metres = scale v. "z_depth": along the axis of
            the cube face that the pixel falls on, as tools store it that render six square views and stitch
            them; a panorama has no single optical axis. "inverse": metres = scale / v; v = 0 is at infinity.
            "relative": white is near and no more is known, as in pictures of depth that were stretched to
            fill black to white; distance = scale / (a v + b), with a and b fitted to what the bundled network
            guesses, and never metric.
        scale: see `kind`; files of integers count raw, so millimetres in a 16-bit PNG need 0.001.
        metric: the result is in metres.

    0, negative values and NaN are missing. Infinity, and 0 of "inverse", is sky: nothing stands there.
    """

    depth: Path | str | Tensor
    kind: DepthKind = "distance"
    scale: float = 1.0
    metric: bool = True
    name: str = field(default="given", init=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(DepthKind):
            raise InputError(f"kind: expected one of {', '.join(get_args(DepthKind))}, got {self.kind!r}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"scale: expected a finite number above 0, got {self.scale}")

    def estimate(self, rgb: Tensor, *, progress: Progress | None = None) -> DistanceEstimate:
        """Distances resampled to the size of `rgb` (3, H, W)."""
        check_shape("rgb", rgb, "3 H W")
        height, _ = check_erp("rgb", rgb)
        values = self.depth if isinstance(self.depth, Tensor) else read_depth(Path(self.depth))
        values = _single_channel(values).to(device=rgb.device, dtype=torch.float32)
        if self.kind == "relative":
            values = fit_relative(values, TinyBackend().estimate(rgb))
        distance, sky = self._to_distance(values)
        distance, sky = _resample(distance, sky, height)
        valid = (distance > 0) & ~sky
        if progress:
            progress(1, 1)
        return DistanceEstimate(
            distance=torch.where(valid, distance, 0.0),
            confidence=torch.ones_like(distance),
            sky=sky.float(),
            valid=valid,
            metric=self.metric and self.kind != "relative",
        )

    def _to_distance(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(H, W) metres, 0 where missing, and (H, W) bool sky."""
        if self.kind in ("inverse", "relative"):
            sky = values == 0
            distance = self.scale / values
        else:
            sky = values == math.inf
            distance = self.scale * values
        if self.kind == "z_depth":
            distance = distance / erp_rays(values.shape[0], device=values.device).abs().amax(-1)
        good = distance.isfinite() & (distance > 0)
        if not bool((good | sky).any()):
            raise InputError(
                f"depth: expected some values above 0, got none ({values.numel()} pixels are 0, negative or "
                "NaN); check the file and the kind"
            )
        return torch.where(good, distance, 0.0), sky


def fit_relative(values: Tensor, guess: DistanceEstimate) -> Tensor:
    """Inverse distances (H, W) from a map that is linear in them, by a robust fit to guessed distances.

    Args:
        values: (H, W), large is near; NaN and infinity are missing.
        guess: of the same panorama, any size.

    Returns:
        (H, W) inverse distances in the guess's unit, 0 where the map says no more than "far", or only a
        little more and the guess sees sky; NaN where missing.

    Raises:
        InputError: the map is flat, or rises with the distance.
    """
    height = values.shape[0]
    seen = resize_erp(guess.valid.to(values)[None], height)[0] > 0.99
    target = resize_erp((1 / guess.distance.clamp(min=1e-6) * guess.valid).to(values)[None], height)[0]
    use = seen & values.isfinite()
    rays = erp_rays(height, device=values.device)
    x, y = values[use].double(), target[use].double()
    area = torch.hypot(rays[..., 0], rays[..., 2])[use].double()
    if len(x) < 16 or float(x.std()) < 1e-6:
        raise InputError("depth: expected a picture with some contrast, got one grey; check the kind")
    weight = area
    slope, offset = torch.zeros(()), torch.zeros(())
    for _ in range(20):
        total = weight.sum()
        mean_x, mean_y = (weight * x).sum() / total, (weight * y).sum() / total
        spread = (weight * (x - mean_x) ** 2).sum()
        slope = (weight * (x - mean_x) * (y - mean_y)).sum() / spread.clamp(min=1e-20)
        offset = mean_y - slope * mean_x
        residual = (slope * x + offset - y).abs()
        scale = (1.5 * residual.median()).clamp(min=1e-9)
        weight = area / (1 + (residual / scale) ** 2) ** 2
    if not float(slope) > 0:
        raise InputError(
            "depth: expected a picture whose near parts are white for the kind 'relative', got one that is "
            "white far away; invert it, or choose the kind 'distance'"
        )
    inverse = slope * values.double() + offset
    typical = inverse[use].median().clamp(min=1e-12)
    sky = resize_erp(guess.sky.to(values)[None], height)[0] >= 0.5
    far = (inverse < _RELATIVE_FAR * typical) | (sky & (inverse < _SKY_FAR * typical))
    return torch.where(far, 0.0, inverse).to(values.dtype)


def with_sky(estimate: DistanceEstimate, sky: Tensor) -> DistanceEstimate:
    """An estimate with another sky: nothing stands where it is, and nothing else is sky.

    Args:
        estimate: of a panorama.
        sky: (h, w) 0..1, w = 2 h, any size.

    Raises:
        ShapeError, ConventionError: it is no panorama.
    """
    check_shape("sky", sky, "H W")
    check_erp("sky", sky)
    height = estimate.distance.shape[0]
    mask = resize_erp(sky.detach().to(estimate.distance)[None], height)[0].clamp(0, 1)
    valid = estimate.valid & (mask < 0.5)
    return replace(estimate, distance=torch.where(valid, estimate.distance, 0.0), sky=mask, valid=valid)


def nothing_measured(rgb: Tensor) -> DistanceEstimate:
    """The estimate of a panorama (3, H, W) of which nothing is known."""
    height, width = check_erp("rgb", rgb)
    zeros = torch.zeros(height, width)
    return DistanceEstimate(distance=zeros, confidence=zeros, sky=zeros, valid=zeros.bool(), metric=False)


def _single_channel(values: Tensor) -> Tensor:
    if values.ndim == 3 and values.shape[0] in (1, 3, 4):
        values = values[0]
    if values.ndim != 2:
        raise ShapeError(f"depth: expected (H, W), (1, H, W) or (3, H, W), got {tuple(values.shape)}")
    if values.shape[1] != 2 * values.shape[0]:
        raise ConventionError(
            f"depth: expected an equirectangular map, twice as wide as high, got {values.shape[1]} x "
            f"{values.shape[0]}; depth of a perspective view cannot be used for a panorama"
        )
    return values


def _resample(distance: Tensor, sky: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """To another height: linear in inverse distance on surfaces, the nearest sample across edges and holes.

    A plane is linear in inverse distance on its image, so floors stay flat; at an edge an average would
    stand in the air between the two surfaces.
    """
    if distance.shape[0] == height:
        return distance, sky
    rays = erp_rays(height, device=distance.device)
    inverse = torch.where(distance > 0, 1 / distance.clamp(min=1e-9), 0.0)
    wide = torch.cat((inverse[:, -1:], inverse, inverse[:, :1]), 1)[None, None]
    wide = torch.nn.functional.pad(wide, (0, 0, 1, 1), mode="replicate")
    high = torch.nn.functional.max_pool2d(wide, 3, stride=1)[0]
    low = -torch.nn.functional.max_pool2d(-wide, 3, stride=1)[0]
    # slanted floors change by a few percent a pixel; steps above a tenth are edges
    smooth = (low > 0) & (high < low * 1.1)
    fields = torch.stack((inverse, sky.float(), smooth[0].float()))
    near = sample_erp(fields, rays, mode="nearest", antialias=False)
    linear = sample_erp(inverse[None], rays, antialias=False)[0]
    inverse = torch.where(near[2] > 0.5, linear, near[0])
    return torch.where(inverse > 0, 1 / inverse.clamp(min=1e-9), 0.0), near[1] > 0.5


def read_depth(path: Path) -> Tensor:
    """Raw values (H, W) float32 of a depth file: .npy, 16-bit .png, .exr (its first or only channel).

    Raises:
        MediaError: missing, damaged, or of another kind.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise MediaError(f"depth: there is no file {path}")
    if suffix == ".npy":
        return _read_npy(path)
    if suffix not in (".png", ".exr"):
        raise MediaError(f"depth: expected a .png (16 bit), .exr or .npy file, got {path.name}")
    from ..panorama._decode import decode

    pixels = decode(path).pixels
    if pixels.dtype == np.uint8:
        raise MediaError(
            f"depth: {path.name} has 8 bits, 256 steps are too coarse for distances; save it with 16 bits"
        )
    return torch.from_numpy(pixels[..., 0].astype(np.float32))


def _read_npy(path: Path) -> Tensor:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MediaError(f"depth: {path.name} cannot be read as NPY: {error}") from error
    if array.dtype.kind not in "fiu":
        raise MediaError(f"depth: expected numbers in {path.name}, got {array.dtype}")
    array = np.squeeze(array)
    if array.ndim != 2:
        raise MediaError(f"depth: expected one (H, W) map in {path.name}, got shape {array.shape}")
    return torch.from_numpy(array.astype(np.float32))
