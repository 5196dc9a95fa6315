"""Panoramas become a 3D cache."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io

from ..pantheon_core.errors import InputError
from ..pantheon_core.recon import BACKENDS
from .convert import from_image, to_image
from .host import progress
from .preview import cache_picture
from .schema import Cache, MoGeGeometry, Panorama, advanced, schema
from .session import cache_ui
from .types import BuiltCache, PlacedPanorama

if TYPE_CHECKING:
    from torch import Tensor

    from ..pantheon_core.recon import DistanceEstimate

AUTO = "auto"
GIVEN = "given depth"
DEPTH_KINDS = {"distance": "distance", "inverse distance": "inverse", "cube depth": "z_depth"}
_BUNDLED = "tiny"
# These two need more than a picture: they have their own inputs and nodes here.
_ESTIMATORS = [name for name in BACKENDS if name not in ("given", "synthetic")]


class Build3DCache(io.ComfyNode):
    """Reconstructs the scene of one or several panoramas."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Panoramas, where the depth comes from, what to leave out."""
        return schema(
            "Build3DCache",
            stage="2 Scene",
            display_name="Build 3D Cache (360°)",
            description="Turns panoramas into one 3D scene: a surface where the picture is dense, the sky at "
            "infinity. The depth is estimated, or comes from another node.",
            search_aliases=["point cloud", "depth", "reconstruct", "3d cache", "moge", "depth anything"],
            inputs=[
                Panorama.Input("panoramas", tooltip="One panorama, or several of one scene at their places."),
                io.Combo.Input(
                    "backend",
                    options=[AUTO, *_ESTIMATORS, GIVEN],
                    default=AUTO,
                    tooltip="Where the depth comes from. Auto takes the depth that is connected or that "
                    "came with the panorama, and else estimates it with the bundled network. The others need "
                    "weights, see below; indoor, outdoor, Depth Pro, ZoeDepth and MoGe are in metres.",
                ),
                io.Float.Input(
                    "scale",
                    default=1.0,
                    min=0.0001,
                    max=10000.0,
                    step=0.01,
                    tooltip="All distances are multiplied by this. Use it where a depth is not in metres.",
                ),
                io.Float.Input(
                    "confidence",
                    default=0.25,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Points that the reconstruction trusts less than this are left out. 0.25 is the "
                    "published value.",
                ),
                io.Boolean.Input(
                    "sky",
                    default=True,
                    tooltip="Put the sky at infinity, so that it turns with the camera and never moves. "
                    "Switch it off indoors if a wall is taken for sky.",
                ),
                advanced(
                    io.Float.Input,
                    "edge_step",
                    default=0.05,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="A step in distance between neighbouring pixels above this fraction is an "
                    "edge: no surface is stretched over it.",
                ),
                advanced(
                    io.Float.Input,
                    "grazing",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Surfaces that were seen at a flatter angle than this (its sine) are left out.",
                ),
                *_depth_inputs(),
            ],
            outputs=[
                Cache.Output(display_name="cache", tooltip="The 3D scene with its panoramas."),
                io.Image.Output(
                    display_name="preview",
                    tooltip="What the scene holds, seen from each panorama: colours, distance, "
                    "confidence, coverage.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        panoramas: tuple[PlacedPanorama, ...],
        backend: str,
        scale: float,
        confidence: float,
        sky: bool,
        edge_step: float,
        grazing: float,
        depth_kind: str = "inverse distance",
        depth=None,
        moge_geometry: dict | None = None,
        weights: str = "",
        download: bool = False,
    ) -> io.NodeOutput:
        """Distances of each panorama, a cache of each, then all in one."""
        from ..pantheon_core.cache import CacheSettings, merge_caches
        from ..pantheon_core.recon import ReconSettings, cache_from_estimate

        settings = ReconSettings(
            confidence_threshold=confidence,
            remove_sky=sky,
            cache=CacheSettings(edge_rtol=edge_step, grazing=grazing),
        )
        known = _known_distances(panoramas, backend, depth, depth_kind, moge_geometry)
        estimates = [
            _scaled(_estimate(one, backend, weights, download) if found is None else found, one, scale)
            for one, found in zip(panoramas, known, strict=True)
        ]
        caches = [
            cache_from_estimate(
                one.rgb, estimate, settings=settings, T_world_cam=one.T_world_cam, backend=backend
            )
            for one, estimate in zip(panoramas, estimates, strict=True)
        ]
        cache = merge_caches(caches) if len(caches) > 1 else caches[0]
        if not len(cache.points) and cache.sky is None:
            raise InputError(
                "panoramas: nothing of them is trusted enough to become a point. Lower confidence, or "
                "connect another depth."
            )
        pictures = [cache_picture(cache, one.T_world_cam, one.name) for one in panoramas]
        built = BuiltCache(cache=cache, panoramas=panoramas)
        return io.NodeOutput(built, to_image(torch.stack(pictures)), ui=cache_ui(built))


def _depth_inputs() -> list[io.Input]:
    """Depth from elsewhere, and where a depth network finds its files."""
    return [
        io.Image.Input(
            "depth",
            optional=True,
            tooltip="A depth picture for each panorama, 2:1, from any node.",
        ),
        io.Combo.Input(
            "depth_kind",
            options=list(DEPTH_KINDS),
            default="inverse distance",
            tooltip="What the depth picture holds: the distance (white is far); one divided by it "
            "(white is near, black is sky), as most depth estimators give; or the depth of six "
            "stitched square views.",
        ),
        MoGeGeometry.Input(
            "moge_geometry",
            optional=True,
            tooltip="Points from ComfyUI's own MoGe panorama node, for a single panorama.",
        ),
        advanced(
            io.String.Input,
            "weights",
            default="",
            optional=True,
            tooltip="Folder with the depth network's files (config.json and model.safetensors, or "
            "model.pt for MoGe). Empty takes what is in this machine's Hugging Face cache. Not for "
            "the bundled network.",
        ),
        advanced(
            io.Boolean.Input,
            "download",
            default=False,
            optional=True,
            tooltip="Allow the depth network to be downloaded from Hugging Face if it is not there "
            "yet: 0.1 to 2 GB, under its own licence.",
        ),
    ]


def _estimate(one: PlacedPanorama, backend: str, weights: str, download: bool) -> DistanceEstimate:
    from ..pantheon_core.recon import get_backend

    name = _BUNDLED if backend == AUTO else backend
    options = {} if name == _BUNDLED else {"weights": weights.strip() or None, "download": download}
    return get_backend(name, **options).estimate(one.rgb, progress=progress())


def _scaled(estimate: DistanceEstimate, one: PlacedPanorama, scale: float) -> DistanceEstimate:
    """In the user's unit, and only where the photograph shows something."""
    return dataclasses.replace(
        estimate,
        distance=estimate.distance * scale,
        valid=estimate.valid & one.valid,
        sky=estimate.sky * one.valid,
    )


def _known_distances(
    panoramas: tuple[PlacedPanorama, ...],
    backend: str,
    depth: Tensor | None,
    depth_kind: str,
    moge_geometry: dict[str, Tensor] | None,
) -> list[DistanceEstimate | None]:
    """What is connected, or came with each panorama; None where the distance must be estimated."""
    from ..pantheon_core.recon import get_backend

    if backend not in (AUTO, GIVEN):
        return [None] * len(panoramas)
    for name, batch in (("depth", depth), ("moge_geometry", (moge_geometry or {}).get("points"))):
        if batch is not None and len(batch) != len(panoramas):
            raise InputError(
                f"{name}: expected one picture for each of the {len(panoramas)} panoramas, got {len(batch)}. "
                "Batch them in the order of the panoramas."
            )
    found: list[DistanceEstimate | None]
    if depth is not None:
        found = [
            get_backend("given", depth=picture, kind=DEPTH_KINDS[depth_kind]).estimate(one.rgb)
            for picture, one in zip(from_image(depth), panoramas, strict=True)
        ]
    elif moge_geometry is not None:
        found = [_from_moge(moge_geometry, index, one) for index, one in enumerate(panoramas)]
    else:
        found = [one.known for one in panoramas]
    missing = [one.name for one, known in zip(panoramas, found, strict=True) if known is None]
    if backend == GIVEN and missing:
        raise InputError(
            f"backend: '{GIVEN}' needs a depth for {', '.join(missing)}. Connect depth or moge_geometry, or "
            f"choose '{AUTO}' to estimate it."
        )
    return found


def _from_moge(geometry: dict[str, Tensor], index: int, one: PlacedPanorama) -> DistanceEstimate:
    """Distances of MoGe's panorama points; their length does not depend on the frame they are in."""
    from ..pantheon_core.recon import get_backend

    distance = geometry["points"][index].float().norm(dim=-1)
    if geometry.get("mask") is not None:
        distance = torch.where(geometry["mask"][index].bool(), distance, 0.0)
    return get_backend("given", depth=distance.cpu(), metric=False).estimate(one.rgb)
