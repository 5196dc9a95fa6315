"""Schemas that fit every host version, and the pack's socket types."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from comfy_api.latest import io

Panorama = io.Custom("PANTHEON_PANORAMA")
Cache = io.Custom("PANTHEON_CACHE")
Trajectory = io.Custom("PANTHEON_TRAJECTORY")
Scaffold = io.Custom("PANTHEON_SCAFFOLD")
Model = io.Custom("PANTHEON_MODEL")
Fusion = io.Custom("PANTHEON_FUSION")
Hold = io.Custom("PANTHEON_HOLD")
MoGeGeometry = io.Custom("MOGE_GEOMETRY")
DA3Geometry = io.Custom("DA3_GEOMETRY")

# What newer hosts' nodes give as 3D files; by name, as older hosts have no classes for them.
_POINT_CLOUDS = [io.Custom(name) for name in ("FILE_3D_POINT_CLOUD_ANY", "FILE_3D_PLY", "FILE_3D")]

CATEGORY = "Pantheon360"

_FIELDS = {field.name for field in dataclasses.fields(io.Schema)}
_NEWER_FIELDS = {"search_aliases"}


def schema(node_id: str, *, stage: str, **fields: Any) -> io.Schema:
    """An `io.Schema` in the pack's category; fields that an older host does not know are left out."""
    known = {name: value for name, value in fields.items() if name in _FIELDS or name not in _NEWER_FIELDS}
    return io.Schema(node_id=node_id, category=f"{CATEGORY}/{stage}", **known)


def advanced(widget: type[io.WidgetInput], *args: Any, **options: Any) -> Any:
    """A widget that newer hosts fold away under "advanced"; an ordinary one elsewhere."""
    if "advanced" in inspect.signature(widget.__init__).parameters:
        options["advanced"] = True
    return widget(*args, **options)


def point_cloud_input(name: str, *, tooltip: str) -> Any:
    """A path, or a link from a node that gives a 3D file where the host has such nodes."""
    path = advanced(io.String.Input, name, default="", optional=True, tooltip=tooltip)
    if not hasattr(io, "File3DPointCloudAny"):
        return path
    return io.MultiType.Input(path, types=list(_POINT_CLOUDS))
