"""The cache as a PLY file that other programs open, and point clouds of other programs as caches.

The file holds points, colours, confidence, anchors, the surface, and in comments the anchors' cameras, the
origin, the scale and the provenance. The sky layer is not in it: PLY has no place for images.

Source: G. Turk, The PLY Polygon File Format, 1994.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConventionError, InputError, MediaError
from ..files import replacing
from ._ply_read import Ply, read_ply
from ._types import PointCache

__all__ = ["load_ply", "save_ply"]

_TAG = "pantheon360"
_FAR = 1000.0  # beyond this, float32 misplaces pixels: coordinates are then re-centred


def save_ply(cache: PointCache, path: str | Path) -> None:
    """Write a cache as binary little-endian PLY; the file appears whole or not at all.

    Coordinates are float, or double with the origin added where the cache has one. The sky layer and
    `anchor_pixel_angle` of unknown anchors are not written.

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
    header += ["end_header", ""]
    try:
        with replacing(path) as partial, partial.open("wb") as file:
            file.write("\n".join(header).encode("ascii"))
            file.write(vertex.tobytes())
            file.write(faces.tobytes())
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


def load_ply(path: str | Path) -> PointCache:
    """Read a point cloud or a cache: ASCII or binary, little or big endian; unknown properties are skipped.

    A cloud of another program gets one anchor at the frame's zero, confidence 1, white where it has no
    colours, and is not metric. Coordinates farther out than a kilometre are re-centred in float64: `origin`
    says by how much. Its axes are taken as they are (+x right, +y down, +z forward).

    Raises:
        MediaError: the file is not there, is damaged, is not PLY, or has no vertices with x, y and z.
    """
    path = Path(path)
    ply = read_ply(path)
    vertex = ply.elements.get("vertex", {})
    if not {"x", "y", "z"} <= vertex.keys():
        raise MediaError(
            f"path: {path} has no vertices with x, y and z; expected a point cloud, got elements "
            f"{sorted(ply.elements)} with vertex properties {sorted(vertex)}"
        )
    raw = np.stack([np.asarray(vertex[axis], np.float64) for axis in "xyz"], -1)
    if not np.isfinite(raw).all():
        raise MediaError(f"path: {path} has coordinates that are NaN or infinite; clean the cloud first")
    notes = _notes(ply, path)
    origin = _origin(raw, notes)
    poses = notes.get("T_world_anchor") or [np.eye(4).tolist()]
    angle = notes.get("anchor_pixel_angle")
    count = len(raw)
    triangles, edge = _faces(ply, count, path)
    try:
        return PointCache(
            points=torch.from_numpy((raw - origin).astype(np.float32)),
            colors=_colors(vertex, count),
            confidence=_column(vertex, "confidence", count, 1, torch.float32),
            anchor=_column(vertex, "anchor", count, 0, torch.int16),
            triangles=triangles,
            edge=edge,
            T_world_anchor=torch.tensor(poses, dtype=torch.float32),
            anchor_pixel_angle=None if angle is None else torch.tensor(angle, dtype=torch.float32),
            origin=torch.from_numpy(origin),
            metric=bool(notes.get("metric", False)),
            provenance=notes.get("provenance") or {"source": path.name},
        )
    except (InputError, ConventionError, TypeError, ValueError) as error:
        raise MediaError(f"path: {path} contradicts itself: {error}") from error


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


def _origin(raw: np.ndarray, notes: dict[str, Any]) -> np.ndarray:
    if "origin" in notes:
        return np.asarray(notes["origin"], np.float64)
    if not len(raw):
        return np.zeros(3)
    middle = (raw.min(0) + raw.max(0)) / 2
    return np.round(middle) if np.abs(raw).max() > _FAR else np.zeros(3)


def _column(vertex: dict[str, Any], name: str, count: int, default: float, dtype: torch.dtype) -> Tensor:
    if name not in vertex:
        return torch.full((count,), default, dtype=dtype)
    return torch.from_numpy(np.ascontiguousarray(vertex[name], dtype=np.float64)).to(dtype)


def _colors(vertex: dict[str, Any], count: int) -> Tensor:
    """Red, green, blue, whatever they are called; floating ones are 0..1."""
    for names in (
        ("red", "green", "blue"),
        ("r", "g", "b"),
        ("diffuse_red", "diffuse_green", "diffuse_blue"),
    ):
        if set(names) <= vertex.keys():
            values = np.stack([np.asarray(vertex[name]) for name in names], -1)
            if values.dtype.kind == "f":
                values = (np.nan_to_num(values).clip(0, 1) * 255).round()
            elif values.dtype.itemsize == 2:
                values = values // 257
            return torch.from_numpy(values.astype(np.uint8))
    return torch.full((count, 3), 255, dtype=torch.uint8)


def _faces(ply: Ply, count: int, path: Path) -> tuple[Tensor | None, Tensor | None]:
    """Triangles (polygons are cut into fans) and their edge flags."""
    face = ply.elements.get("face", {})
    lists = face.get("vertex_indices", face.get("vertex_index"))
    if lists is None:
        return None, None
    flags = np.asarray(face.get("edge", np.zeros(len(lists)))) != 0
    if isinstance(lists, np.ndarray) and lists.ndim == 2 and lists.shape[1] == 3:
        triangles = lists.astype(np.int64)
    else:
        fans = [(p[0], p[k], p[k + 1], i) for i, p in enumerate(lists) for k in range(1, len(p) - 1)]
        table = np.asarray(fans, np.int64).reshape(-1, 4)
        triangles, flags = table[:, :3], flags[table[:, 3]]
    if len(triangles) and not 0 <= triangles.min() <= triangles.max() < count:
        raise MediaError(
            f"path: {path} has faces that name vertices {triangles.min()}..{triangles.max()} of {count}"
        )
    return torch.from_numpy(triangles.astype(np.int32)), torch.from_numpy(flags)
