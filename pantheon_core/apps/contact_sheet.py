"""Contact sheets: a few frames of one or several videos side by side, in one PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor

from ..check import check_shape
from ..errors import InputError
from ..files import replacing
from ..geometry import resize_erp

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["contact_sheet", "save_png"]

_MARGIN = 4
_LABEL_HEIGHT = 18


def contact_sheet(videos: Mapping[str, Tensor], *, columns: int = 4, height: int = 192) -> Tensor:
    """Frames of several videos at the same times, one row per video, each row labelled with its name.

    Args:
        videos: name -> (T, 3, H, W) ERP frames, 0 to 1; all of the same T.
        columns: how many frames, spread evenly from the first to the last.
        height: of one frame in the sheet, in pixels.

    Returns:
        (3, h, w) 0 to 1.

    Raises:
        InputError: no video, or videos of different lengths.
    """
    from PIL import Image as images
    from PIL import ImageDraw

    lengths = {len(frames) for frames in videos.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(f"videos: expected one or more of the same length, got lengths {sorted(lengths)}")
    count = lengths.pop()
    picked = torch.linspace(0, count - 1, min(columns, count)).round().long()
    width = 2 * height
    row_height = height + _LABEL_HEIGHT + _MARGIN
    size = (len(picked) * (width + _MARGIN) + _MARGIN, len(videos) * row_height + _MARGIN)
    sheet = images.new("RGB", size, (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for row, (name, frames) in enumerate(videos.items()):
        top = _MARGIN + row * row_height
        for column, index in enumerate(picked.tolist()):
            left = _MARGIN + column * (width + _MARGIN)
            draw.text((left, top + 2), f"{name}, frame {index}", fill=(230, 230, 230))
            sheet.paste(_to_pil(resize_erp(frames[index], height)), (left, top + _LABEL_HEIGHT))
    return _from_pil(sheet)


def save_png(image: Tensor, path: Path) -> None:
    """Write (3, H, W) values 0 to 1 as an 8-bit PNG, in place of an existing one only when complete.

    Raises:
        ShapeError: not (3, H, W).
        OSError: the folder cannot be written.
    """
    check_shape("image", image, "3 H W")
    with replacing(path) as partial:
        _to_pil(image).save(partial, format="PNG")


def _to_pil(image: Tensor) -> Image:
    from PIL import Image as images

    return images.fromarray(
        rearrange((image.clamp(0, 1) * 255).round().byte(), "c h w -> h w c").cpu().numpy()
    )


def _from_pil(image: Image) -> Tensor:
    import numpy as np

    return rearrange(torch.from_numpy(np.array(image)), "h w c -> c h w").float() / 255
