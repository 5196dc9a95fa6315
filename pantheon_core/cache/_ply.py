"""The cache as a PLY file that other programs open, and point clouds of other programs as caches.

The file holds points, colours, confidence, anchors, the surface, and in comments the anchors' cameras, the
origin, the scale and the provenance. The sky follows as an element of its own, which other programs skip: the
pixels of its panorama row by row, and whether an anchor saw sky there.

Source: G. Turk, The PLY Polygon File Format, 1994.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConventionError, InputError, MediaError
from ..files import replacing
from ._ply_read import Ply, read_ply
from ._types import PointCache, SkyLayer

__all__ = ["load_ply", "save_ply"]

_log = logging.getLogger(__name__)

_TAG = "pantheon360"
_BLOCK = 1 << 20  # rows that are converted at once
_FAR = 1000.0  # beyond this, float32 misplaces pixels: coordinates are then re-centred
_WIDE = 1e5  # a cloud that reaches this far from its middle is coarser than a centimetre at its rim


def save_ply(cache: PointCache, path: str | Path) -> None:
    """Write a cache as binary little-endian PLY; the file appears whole or not at all.

    Coordinates are float, or double with the origin added where the cache has one. The sky's colours are
    rounded to 8 bits.

    Raises:
        MediaError: the file cannot be written.
    """
    path = Path(path)
    vertex, wide = _vertex_array(cache)
    header = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {_TAG} {line}" for line in _comments(cache)),
    ]
    header += [f"element vertex {len(vertex)}"]
    header += [f"property {'double' if wide else 'float'} {axis}" for axis in "xyz"]
    header += [f"property uchar {name}" for name in ("red", "green", "blue")]
    header += ["property float confidence", "property short anchor"]
    faces = np.zeros(0, np.uint8)
    if cache.triangles is not None and cache.edge is not None:
        header += [f"element face {len(cache.triangles)}", "property list uchar int vertex_indices"]
        header += ["property uchar edge"]
        faces = np.zeros(len(cache.triangles), [("n", "u1"), ("v", "<i4", 3), ("edge", "u1")])
        faces["n"], faces["v"], faces["edge"] = 3, cache.triangles.cpu().numpy(), cache.edge.cpu().numpy()
    sky = _sky_array(cache.sky)
    if len(sky):
        header += [f"element sky {len(sky)}"]
        header += [f"property uchar {name}" for name in ("red", "green", "blue", "seen")]
    header += ["end_header", ""]
    try:
        with replacing(path) as partial, partial.open("wb") as file:
            file.write("\n".join(header).encode("ascii"))
            for table in (vertex, faces, sky):
                for start in range(0, len(table), _BLOCK):
                    file.write(table[start : start + _BLOCK].tobytes())
    except OSError as error:
        raise MediaError(f"path: cannot write {path}: {error.strerror or error}") from error


def _vertex_array(cache: PointCache) -> tuple[np.ndarray, bool]:
    wide = bool((cache.origin != 0).any())
    number = "<f8" if wide else "<f4"
    fields = [("p", number, 3), ("c", "u1", 3), ("confidence", "<f4"), ("anchor", "<i2")]
    out = np.zeros(len(cache.points), fields)
    points = cache.points.cpu()
    out["p"] = (points.double() + cache.origin.cpu()).numpy() if wide else points.numpy()
    out["c"], out["confidence"] = cache.colors.cpu().numpy(), cache.confidence.cpu().numpy()
    out["anchor"] = cache.anchor.cpu().numpy()
    return out, wide


def _sky_array(sky: SkyLayer | None) -> np.ndarray:
    """(2 h h, 4) uint8 red, green, blue, seen; no row without a sky."""
    if sky is None:
        return np.zeros((0, 4), np.uint8)
    color = (sky.rgb.cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return torch.cat((color, sky.mask[None].cpu().to(torch.uint8))).flatten(1).T.contiguous().numpy()


def _comments(cache: PointCache) -> list[str]:
    """One JSON value for a line, ASCII: every reader of PLY skips them."""
    angle = cache.anchor_pixel_angle
    return [
        f"origin {json.dumps(cache.origin.tolist())}",
        f"metric {json.dumps(cache.metric)}",
        f"provenance {json.dumps(cache.provenance)}",
        f"anchor_pixel_angle {json.dumps(None if angle is None else angle.tolist())}",
        *(f"T_world_anchor {json.dumps(pose.tolist())}" for pose in cache.T_world_anchor.cpu()),
    ]


def load_ply(
    path: str | Path, *, max_points: int | None = None, memory_limit: int | None = None
) -> PointCache:
    """Read a point cloud or a cache: ASCII or binary, little or big endian; unknown properties are skipped.

    A cloud of another program gets one anchor at the frame's zero, confidence 1, white where it has no
    colours, and is not metric. Coordinates farther out than a kilometre are re-centred in float64: `origin`
    says by how much. Its axes are taken as they are (+x right, +y down, +z forward). Large files are read in
    blocks; the memory needed is estimated from the header before anything is allocated.

    Args:
        path: of the file.
        max_points: take every n-th point, so that at most so many are left, and no faces; None takes all.
        memory_limit: bytes that the cache may take; None for four fifths of what is free.

    Raises:
        MediaError: the file is not there, is damaged, is not PLY, or has no vertices with x, y and z.
        MemoryBudgetError: the cloud does not fit in the memory.
        InputError: `max_points` is not positive.
    """
    path = Path(path)
    if max_points is not None and max_points < 1:
        raise InputError(f"max_points: expected at least 1 or None, got {max_points}")
    ply = read_ply(path, memory_limit=memory_limit, max_points=max_points)
    vertex = ply.elements.get("vertex", {})
    if not {"x", "y", "z"} <= vertex.keys():
        raise MediaError(
            f"path: {path} has no vertices with x, y and z; expected a point cloud, got elements "
            f"{sorted(ply.elements)} with vertex properties {sorted(vertex)}"
        )
    notes = _notes(ply, path)
    total = len(vertex["x"])
    step = 1 if max_points is None else max(1, -(-total // max_points))
    vertex = {name: column[::step] for name, column in vertex.items()}
    points, origin = _points(vertex, notes, path)
    poses = notes.get("T_world_anchor") or [np.eye(4).tolist()]
    angle = notes.get("anchor_pixel_angle")
    count = len(points)
    triangles, edge = (None, None) if step > 1 else _faces(ply, count, path)
    try:
        return PointCache(
            points=torch.from_numpy(points),
            colors=_colors(vertex, count),
            confidence=_column(vertex, "confidence", count, 1, np.dtype(np.float32)),
            anchor=_column(vertex, "anchor", count, 0, np.dtype(np.int16)),
            triangles=triangles,
            edge=edge,
            sky=_sky(ply),
            T_world_anchor=torch.tensor(poses, dtype=torch.float32),
            anchor_pixel_angle=None if angle is None else torch.tensor(angle, dtype=torch.float32),
            origin=torch.from_numpy(origin),
            metric=bool(notes.get("metric", False)),
            provenance=notes.get("provenance") or {"source": path.name},
        )
    except (InputError, ConventionError, TypeError, ValueError) as error:
        raise MediaError(f"path: {path} contradicts itself: {error}") from error


def _sky(ply: Ply) -> SkyLayer | None:
    """Raises InputError or ConventionError where its pixels make no panorama."""
    pixels = ply.elements.get("sky", {})
    if not {"red", "green", "blue", "seen"} <= pixels.keys():
        return None
    table = torch.from_numpy(np.stack([pixels[name] for name in ("red", "green", "blue", "seen")]))
    height = math.isqrt(table.shape[1] // 2)
    if table.shape[1] != 2 * height * height:
        raise InputError(
            f"sky: expected the pixels of a panorama twice as wide as high, got {table.shape[1]}"
        )
    table = table.view(4, height, 2 * height)
    return SkyLayer(rgb=table[:3].float() / 255, mask=table[3] > 0)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))


def _points(vertex: dict[str, Any], notes: dict[str, Any], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) float32 and the (3,) float64 origin that was taken off them."""
    axes = [vertex[axis] for axis in "xyz"]
    count = len(axes[0])
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for block in _blocks(count):
        for i, axis in enumerate(axes):
            some = np.asarray(axis[block], np.float64)
            if not np.isfinite(some).all():
                raise MediaError(
                    f"path: {path} has coordinates that are NaN or infinite; clean the cloud first"
                )
            low[i], high[i] = min(low[i], some.min()), max(high[i], some.max())
    origin = _origin(low, high, count, notes, path)
    points = np.empty((count, 3), np.float32)
    for block in _blocks(count):
        for i, axis in enumerate(axes):
            points[block, i] = np.asarray(axis[block], np.float64) - origin[i]
    if count:
        spread = float(np.abs(np.stack((low, high)) - origin).max())
        if spread > _WIDE:
            _log.warning(
                "%s: points lie up to %.3g units from their middle; single precision places those to within "
                "%.2g units only. Leave far points out before loading.",
                path,
                spread,
                spread * 2.0**-24,
            )
    return points, origin


def _notes(ply: Ply, path: Path) -> dict[str, Any]:
    """Our comments' values; T_world_anchor as a list."""
    out: dict[str, Any] = {"T_world_anchor": []}
    for comment in ply.comments:
        tag, _, rest = comment.partition(" ")
        name, _, text = rest.partition(" ")
        if tag != _TAG:
            continue
        try:
            value = json.loads(text)
        except ValueError as error:
            raise MediaError(f"path: {path} has a damaged comment for {name!r}: {error}") from error
        if name == "T_world_anchor":
            out[name].append(value)
        else:
            out[name] = value
    return out


def _origin(low: np.ndarray, high: np.ndarray, count: int, notes: dict[str, Any], path: Path) -> np.ndarray:
    if "origin" in notes:
        origin = np.asarray(notes["origin"], np.float64)
        if origin.shape != (3,) or not np.isfinite(origin).all():
            raise MediaError(f"path: {path} is damaged: its origin is {notes['origin']!r}")
        return origin
    if not count or max(np.abs(low).max(), np.abs(high).max()) <= _FAR:
        return np.zeros(3)
    # halved before the sum, which could overflow; whole numbers are exact in every program
    return np.round(low / 2 + high / 2)


def _column(vertex: dict[str, Any], name: str, count: int, default: float, dtype: np.dtype) -> Tensor:
    if name not in vertex:
        return torch.from_numpy(np.full(count, default, dtype))
    out = np.empty(count, dtype)
    for block in _blocks(count):
        out[block] = vertex[name][block]
    return torch.from_numpy(out)


def _colors(vertex: dict[str, Any], count: int) -> Tensor:
    """Red, green, blue, whatever they are called; floating ones are 0..1."""
    for names in (
        ("red", "green", "blue"),
        ("r", "g", "b"),
        ("diffuse_red", "diffuse_green", "diffuse_blue"),
    ):
        if set(names) <= vertex.keys():
            out = np.empty((count, 3), np.uint8)
            for block in _blocks(count):
                for i, name in enumerate(names):
                    out[block, i] = _bytes(np.asarray(vertex[name][block]))
            return torch.from_numpy(out)
    return torch.full((count, 3), 255, dtype=torch.uint8)


def _bytes(values: np.ndarray) -> np.ndarray:
    """0..255 of bytes, of 16 bits, or of floats 0..1."""
    if values.dtype.kind == "f":
        return (np.nan_to_num(values).clip(0, 1) * 255).round()
    return values // 257 if values.dtype.itemsize == 2 else values.clip(0, 255)


def _faces(ply: Ply, count: int, path: Path) -> tuple[Tensor | None, Tensor | None]:
    """Triangles (polygons are cut into fans) and their edge flags."""
    face = ply.elements.get("face", {})
    lists = face.get("vertex_indices", face.get("vertex_index"))
    if lists is None:
        return None, None
    flags = np.asarray(face.get("edge", np.zeros(len(lists)))) != 0
    if isinstance(lists, np.ndarray) and lists.ndim == 2 and lists.shape[1] == 3:
        triangles = np.asarray(lists)
    else:
        fans = [(p[0], p[k], p[k + 1], i) for i, p in enumerate(lists) for k in range(1, len(p) - 1)]
        table = np.asarray(fans, np.int64).reshape(-1, 4)
        triangles, flags = table[:, :3], flags[table[:, 3]]
    out = np.empty((len(triangles), 3), np.int32)
    for block in _blocks(len(triangles)):
        some = triangles[block]
        if not 0 <= int(some.min()) <= int(some.max()) < count:
            raise MediaError(
                f"path: {path} has faces that name vertices {some.min()}..{some.max()} of {count}"
            )
        out[block] = some
    return torch.from_numpy(out), torch.from_numpy(np.array(flags))
