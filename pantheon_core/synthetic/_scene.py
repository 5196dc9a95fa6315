"""The scene as arrays: what both tracers read."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

__all__ = ["BOX", "CONE", "ELLIPSOID", "PRISM", "SHELL", "Scene"]

BOX, CONE, ELLIPSOID, PRISM, SHELL = range(5)
"""Kinds of primitives.

All stand upright and turn about y only. BOX: half sizes. CONE: a vertical cylinder or truncated cone, half =
(radius at the bottom, half height, radius at the top). ELLIPSOID: half axes. PRISM: a gabled roof with the
ridge along local x. SHELL: a box seen from inside.
"""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scene:
    """A static world of N textured primitives under a sky at infinity.

    World axes are OpenCV's (+y down), metres; the origin is a good first camera position, upright, over
    ground at y = `camera_height`.

    Attributes:
        name: "room-12" and the like.
        kind: "room", "street" or "garden".
        seed: what `generate_scene` was given.
        camera_height: of the origin over the ground, metres.
        shape: (N,) int32, one of BOX, CONE, ELLIPSOID, PRISM, SHELL.
        center: (N, 3) metres.
        half: (N, 3) half sizes, metres, see the kinds.
        turn: (N, 2) cosine and sine of the yaw.
        radius: (N,) of the bounding sphere.
        material: (N, 2) int32, rows of `materials` for the sides and for top and bottom.
        tint: (N, 3) multiplies the texture.
        uv_offset: (N, 2) in tiles.
        materials: (M, 6) texture index, tile width and height (m), fit (0 metric, 1 once over the face,
            2 whole repeats), emission (0 lit, above 0 shines by itself), large-scale mottling.
        textures: (K, P, 3) linear rgb, mip levels one after another from SIZE^2 texels down to 1.
        sky: (h, 2h, 3) linear rgb panorama in world orientation.
        lights: (L, 8) kind (0 sun, 1 lamp), direction towards the sun or lamp position, rgb, casts shadows.
        ambient: (3, 3) linear rgb from above, from below, and of the haze.
        atmosphere: (3,) haze distance (m, 0 for none), reach of contact darkening (m), exposure.
    """

    name: str
    kind: str
    seed: int
    camera_height: float
    shape: Tensor
    center: Tensor
    half: Tensor
    turn: Tensor
    radius: Tensor
    material: Tensor
    tint: Tensor
    uv_offset: Tensor
    materials: Tensor
    textures: Tensor
    sky: Tensor
    lights: Tensor
    ambient: Tensor
    atmosphere: Tensor

    def to(self, device: torch.device | str) -> Scene:
        """The scene with its arrays on `device`."""
        moved = {
            f.name: value.to(device)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **moved)

    @property
    def device(self) -> torch.device:
        """Where the arrays are."""
        return self.center.device
