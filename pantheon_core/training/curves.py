"""Curves of a run as one picture, drawn with Pillow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..files import replacing

if TYPE_CHECKING:
    from PIL import ImageDraw

__all__ = ["draw_curves"]

Points: TypeAlias = list[tuple[float, float]]

_WIDTH, _HEIGHT, _MARGIN = 460, 230, 44
_COLUMNS = 2
_LEFT_OUT = ("step", "seconds")
_BACK, _GRID, _TEXT = (255, 255, 255), (228, 228, 228), (60, 60, 60)
_RAW, _SMOOTH = (176, 200, 230), (24, 84, 160)


def draw_curves(path: Path, rows: dict[str, list[dict[str, float]]]) -> None:
    """Write a PNG with one small chart for every value in the logs, over the steps.

    Thin lines are the values, thick ones their running mean. No file is written without two rows.

    Args:
        path: the PNG; it appears whole or not at all.
        rows: per log its rows, each with "step" and values.
    """
    from PIL import Image, ImageDraw

    charts = {
        f"{log}: {name}": points
        for log, table in rows.items()
        for name in dict.fromkeys(key for row in table for key in row if key not in _LEFT_OUT)
        if len(points := _points(table, name)) >= 2
    }
    if not charts:
        return
    lines = math.ceil(len(charts) / _COLUMNS)
    image = Image.new("RGB", (_COLUMNS * _WIDTH, lines * _HEIGHT), _BACK)
    draw = ImageDraw.Draw(image)
    for index, (title, points) in enumerate(charts.items()):
        _chart(draw, (index % _COLUMNS * _WIDTH, index // _COLUMNS * _HEIGHT), title, points)
    with replacing(path) as partial:
        image.save(partial)


def _points(rows: list[dict[str, float]], name: str) -> Points:
    return [(row["step"], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))]


def _chart(draw: ImageDraw.ImageDraw, corner: tuple[int, int], title: str, points: Points) -> None:
    left, top = corner[0] + _MARGIN + 14, corner[1] + 26
    right, bottom = corner[0] + _WIDTH - 16, corner[1] + _HEIGHT - 26
    low, high = min(v for _, v in points), max(v for _, v in points)
    if high == low:
        low, high = low - 0.5, high + 0.5
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = left + (point[0] - first) / (last - first) * (right - left)
        return x, bottom - (point[1] - low) / (high - low) * (bottom - top)

    draw.text((left, corner[1] + 8), title, fill=_TEXT)
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - top)
        draw.line([(left, y), (right, y)], fill=_GRID)
        draw.text((corner[0] + 6, y - 6), f"{low + share * (high - low):.4g}", fill=_TEXT)
        step = first + share * (last - first)
        draw.text((left + share * (right - left) - 12, bottom + 6), f"{step:.0f}", fill=_TEXT)
    draw.line([place(p) for p in points], fill=_RAW, width=1)
    draw.line([place(p) for p in _smoothed(points)], fill=_SMOOTH, width=2)


def _smoothed(points: Points) -> Points:
    """Mean of the neighbours, about a tenth of the curve; the ends have fewer."""
    reach = len(points) // 20
    out = []
    for index, (step, _) in enumerate(points):
        near = points[max(0, index - reach) : index + reach + 1]
        out.append((step, sum(value for _, value in near) / len(near)))
    return out
