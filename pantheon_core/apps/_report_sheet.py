"""Labelled panels in two columns under a title, with lines of text below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

__all__ = ["Panel", "ramp", "sheet"]

_STOPS = ((1.0, 0.93, 0.55), (0.99, 0.60, 0.25), (0.80, 0.24, 0.38), (0.42, 0.13, 0.50), (0.09, 0.07, 0.28))
_BACK, _INK, _FAINT, _WARN = (24, 24, 26), (235, 235, 235), (150, 150, 155), (255, 190, 90)
_LINES = 5


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Panel:
    """A picture (3, h, w) 0..1, its label, and what the two ends of the colour scale mean."""

    label: str
    picture: Tensor
    scale: tuple[str, str] | None = None


def ramp(share: Tensor) -> Tensor:
    """Colours (3, h, w) for values (h, w): 0 is light yellow, 1 dark blue; lighter is always nearer to 0."""
    stops = torch.tensor(_STOPS, device=share.device)
    at = share.clamp(0, 1) * (len(_STOPS) - 1)
    low = at.floor().long().clamp_max(len(_STOPS) - 2)
    part = (at - low)[..., None]
    return torch.lerp(stops[low], stops[low + 1], part).movedim(-1, 0)


def sheet(panels: Sequence[Panel], *, title: str, lines: Sequence[str], width: int) -> Tensor:
    """All panels in one picture (3, h, w) 0..1 whose size depends on their number and the width alone.

    Lines that do not fit are broken; those beyond the fifth are counted only.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    unit = width / 1024
    gap, strip, line = round(6 * unit), round(26 * unit), round(22 * unit)
    wide = (width - 3 * gap) // 2
    high = wide // 2
    rows = -(-len(panels) // 2)
    top = round(40 * unit)
    size = (width, top + rows * (high + strip + gap) + _LINES * line + 2 * gap)
    image = Image.new("RGB", size, _BACK)
    draw = ImageDraw.Draw(image)
    large, small = (ImageFont.load_default(round(points * unit)) for points in (20, 16))
    draw.text((2 * gap, round(9 * unit)), _shortened(draw, title, large, width - 4 * gap), _INK, large)
    for index, panel in enumerate(panels):
        left = gap + (index % 2) * (wide + gap)
        upper = top + (index // 2) * (high + strip + gap)
        draw.text((left + gap, upper + round(3 * unit)), panel.label, _INK, small)
        if panel.scale is not None:
            _draw_scale(draw, panel.scale, small, (left + wide - gap, upper), unit)
        picture = torch.nn.functional.interpolate(
            panel.picture.float().clamp(0, 1)[None], (high, wide), mode="bilinear", align_corners=False
        )[0]
        pixels = (picture * 255).round().byte().movedim(0, -1).cpu().numpy()
        image.paste(Image.fromarray(np.ascontiguousarray(pixels)), (left, upper + strip))
    _draw_lines(draw, lines, small, (2 * gap, size[1] - _LINES * line - gap, width - 4 * gap, line))
    return torch.from_numpy(np.asarray(image).copy()).movedim(-1, 0).float() / 255


def _draw_scale(
    draw: ImageDraw, ends: tuple[str, str], font: FreeTypeFont | BitmapFont, at: tuple[int, int], unit: float
) -> None:
    """A bar of the colours with its ends' meaning, against the right border."""
    right, upper = at
    length, tall = round(110 * unit), round(10 * unit)
    after = right - draw.textlength(ends[1], font)
    start = round(after - length - 6 * unit)
    colors = (ramp(torch.linspace(0, 1, length)[None])[:, 0].T * 255).round().int().tolist()
    for x, color in enumerate(colors):
        draw.line((start + x, upper + 9 * unit, start + x, upper + 9 * unit + tall), tuple(color))
    draw.text((after, upper + round(3 * unit)), ends[1], _FAINT, font)
    before = start - 6 * unit - draw.textlength(ends[0], font)
    draw.text((before, upper + round(3 * unit)), ends[0], _FAINT, font)


def _draw_lines(
    draw: ImageDraw,
    lines: Sequence[str],
    font: FreeTypeFont | BitmapFont,
    box: tuple[int, int, int, int],
) -> None:
    left, top, wide, line = box
    broken = [(part, text) for text in lines for part in _broken(draw, text, font, wide)]
    if len(broken) > _LINES:
        rest = len(broken) - _LINES + 1
        broken = [*broken[: _LINES - 1], (f"... and {rest} more lines", "")]
    for index, (part, text) in enumerate(broken):
        draw.text((left, top + index * line), part, _WARN if text.startswith("Warning") else _INK, font)


def _broken(draw: ImageDraw, text: str, font: FreeTypeFont | BitmapFont, wide: int) -> list[str]:
    """A text in lines that fit."""
    out: list[str] = []
    for word in text.split():
        longer = f"{out[-1]} {word}" if out else word
        if out and draw.textlength(longer, font) <= wide:
            out[-1] = longer
        else:
            out.append(word)
    return out


def _shortened(draw: ImageDraw, text: str, font: FreeTypeFont | BitmapFont, wide: int) -> str:
    if draw.textlength(text, font) <= wide:
        return text
    while text and draw.textlength(text + "...", font) > wide:
        text = text[:-1]
    return text + "..."
