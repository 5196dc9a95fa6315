"""What the models' own image processors do, for square views as tensors.

Their classes need torchvision (Depth Pro) or 8-bit images (the others); the steps are few, so they are done
here on floats, by the same configuration file.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError, MemoryBudgetError
from ._load import DepthNetwork

__all__ = ["depths_of_views", "preprocess"]

_MODES = {0: "nearest", 2: "bilinear", 3: "bicubic"}


def preprocess(rgb: Tensor, model_type: str, settings: dict[str, Any]) -> Tensor:
    """Views (B, 3, h, w), 0..1, as the model takes them.

    Args:
        rgb: square or other views.
        model_type: "depth_anything", "depth_pro" or "zoedepth"; their processors differ in order and in how
            they resize.
        settings: of preprocessor_config.json.

    Raises:
        InputError: a resampling or size that is not known here.
    """
    if model_type == "depth_anything":
        size = _target(rgb, settings)
        return _normalise(_resize(rgb, size, settings, antialias=True), settings)
    if model_type == "depth_pro":
        normal = _normalise(rgb, settings)
        return _resize(normal, _target(rgb, settings), settings, antialias=False)
    if settings.get("do_pad", True):
        rows, columns = (_zoe_padding(side) for side in rgb.shape[-2:])
        rgb = F.pad(rgb, (columns, columns, rows, rows), mode="reflect")
    size = _target(rgb, settings)
    if size != tuple(rgb.shape[-2:]):
        rgb = F.interpolate(rgb, size, mode=_mode(settings), align_corners=True)
    return _normalise(rgb, settings)


def depths_of_views(network: DepthNetwork, rgb: Tensor, *, fov_x: float) -> Tensor:
    """Values (B, h, w) float32 on the CPU, of the model's quantity, for views (B, 3, h, w) of a known angle.

    Raises:
        MemoryBudgetError: the device's memory is too small.
    """
    pixels = preprocess(rgb.float().cpu(), network.model.model_type, network.preprocessor)
    try:
        with torch.inference_mode():
            out = network.net(pixel_values=pixels.to(network.device, network.dtype)).predicted_depth
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryBudgetError(
            f"{network.model.title}: the GPU's memory is too small for {len(rgb)} views at once; take a "
            "smaller batch, a smaller model, or device='cpu'"
        ) from error
    values = out.float().cpu()[:, None]
    height, width = rgb.shape[-2:]
    if network.model.model_type == "zoedepth" and network.preprocessor.get("do_pad", True):
        rows, columns = _zoe_padding(height), _zoe_padding(width)
        values = _to_size(values, (height + 2 * rows, width + 2 * columns))
        values = values[..., rows : rows + height, columns : columns + width]
    values = _to_size(values, (height, width))[:, 0]
    if network.model.model_type == "depth_pro":
        # its output is the inverse depth for a focal length of one image width
        values = (values * (2 * math.tan(fov_x / 2))).clamp(1e-4, 1e4)
    return values


def _to_size(values: Tensor, size: tuple[int, int]) -> Tensor:
    # linear, not the processors' cubic: overshoot beside an edge would be a surface that is not there
    if tuple(values.shape[-2:]) == size:
        return values
    return F.interpolate(values, size, mode="bilinear", align_corners=False)


def _zoe_padding(side: int) -> int:
    return int(math.sqrt(side / 2) * 3)


def _mode(settings: dict[str, Any]) -> str:
    resample = settings.get("resample", 2)
    if resample not in _MODES:
        raise InputError(f"preprocessor_config.json: expected resample 0, 2 or 3, got {resample!r}")
    return _MODES[resample]


def _resize(rgb: Tensor, size: tuple[int, int], settings: dict[str, Any], *, antialias: bool) -> Tensor:
    mode = _mode(settings)
    if tuple(rgb.shape[-2:]) == size:
        return rgb
    if mode == "nearest":
        return F.interpolate(rgb, size, mode="nearest-exact")
    # one axis after the other: a picture of 8 bits, which the class resizes, cannot overshoot in between
    wide = F.interpolate(rgb, (rgb.shape[-2], size[1]), mode=mode, align_corners=False, antialias=antialias)
    wide = wide.clamp(0, 1) if antialias else wide
    both = F.interpolate(wide, size, mode=mode, align_corners=False, antialias=antialias)
    return both.clamp(0, 1) if antialias else both


def _target(rgb: Tensor, settings: dict[str, Any]) -> tuple[int, int]:
    """(height, width) that the processor resizes to."""
    height, width = rgb.shape[-2:]
    if not settings.get("do_resize", True):
        return height, width
    wanted = settings.get("size")
    if isinstance(wanted, int):
        wanted = {"height": wanted, "width": wanted}
    if not isinstance(wanted, dict) or not {"height", "width"} <= wanted.keys():
        raise InputError(f"preprocessor_config.json: expected a size with height and width, got {wanted!r}")
    down, across = wanted["height"] / height, wanted["width"] / width
    if settings.get("keep_aspect_ratio", False):
        # the factor that changes the image least counts for both sides
        down = across = across if abs(1 - across) < abs(1 - down) else down
    multiple = settings.get("ensure_multiple_of", 1)

    def side(length: float) -> int:
        return max(1, round(length / multiple)) * multiple

    return side(down * height), side(across * width)


def _normalise(rgb: Tensor, settings: dict[str, Any]) -> Tensor:
    if not settings.get("do_normalize", True):
        return rgb
    mean = torch.tensor(settings["image_mean"]).reshape(3, 1, 1)
    return (rgb - mean) / torch.tensor(settings["image_std"]).reshape(3, 1, 1)
