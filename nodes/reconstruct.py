"""Panoramas become a 3D cache."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from ..pantheon_core.errors import InputError
from .convert import to_image
from .depth_inputs import depth_inputs, more_geometry_inputs
from .depth_sources import (
    AUTO,
    ESTIMATORS,
    GIVEN,
    DepthSource,
    check_count,
    in_user_terms,
    measure,
    read_cloud,
)
from .host import show_text
from .preview import cache_picture
from .schema import Cache, Panorama, advanced, schema
from .session import cache_ui
from .types import BuiltCache, PlacedPanorama

if TYPE_CHECKING:
    from torch import Tensor

    from ..pantheon_core.cache import PointCache
    from ..pantheon_core.recon import DistanceEstimate, ReconSettings

log = logging.getLogger(__name__)


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
            search_aliases=[
                "point cloud",
                "depth",
                "reconstruct",
                "3d cache",
                "moge",
                "depth anything",
                "da3",
                "pi3",
                "vggt",
                "ply",
            ],
            inputs=[
                Panorama.Input("panoramas", tooltip="One panorama, or several of one scene at their places."),
                io.Combo.Input(
                    "backend",
                    options=[AUTO, *ESTIMATORS, GIVEN],
                    default=AUTO,
                    tooltip="Where the depth comes from. Auto takes the depth that is connected or that "
                    "came with the panorama, and else estimates it with the bundled network. The others "
                    "need weights, see below; indoor, outdoor, metric, Depth Pro, ZoeDepth, MoGe, DAP and "
                    "Pi3X are in metres. Pi3, Pi3X, VGGT and Depth Anything 3 see all panoramas at once and "
                    "also find where they were taken.",
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
                *depth_inputs(),
                *more_geometry_inputs(),
            ],
            hidden=[io.Hidden.unique_id],
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
        depth_kind: str = "inverse distance",
        depth=None,
        moge_geometry: dict | None = None,
        weights: str = "",
        download: bool = False,
        da3_geometry: dict | None = None,
        sky_mask=None,
        point_cloud: Any = "",
        point_cloud_axes: str = "auto",
        view_fov_deg: float = 0.0,
    ) -> io.NodeOutput:
        """Distances of each panorama, a cache of each, then all in one."""
        from ..pantheon_core.cache import CacheSettings
        from ..pantheon_core.recon import ReconSettings

        if sky_mask is not None:
            check_count("sky_mask", sky_mask, len(panoramas))
        settings = ReconSettings(
            confidence_threshold=confidence,
            remove_sky=sky,
            cache=CacheSettings(edge_rtol=edge_step),
        )
        cloud = read_cloud(point_cloud, point_cloud_axes, scale)
        if cloud is not None:
            cloud = _with_skies(cloud, panoramas, sky_mask) if sky else dataclasses.replace(cloud, sky=None)
            return cls._finish(cloud, panoramas, ())
        source = DepthSource(
            backend=backend,
            weights=weights,
            download=download,
            depth=depth,
            depth_kind=depth_kind,
            moge_geometry=moge_geometry,
            da3_geometry=da3_geometry,
            fov_deg=view_fov_deg,
        )
        found = measure(panoramas, source)
        placed = _scaled_places(found.panoramas, scale) if found.places_found else found.panoramas
        estimates = [
            in_user_terms(estimate, one, scale, None if sky_mask is None else sky_mask[index])
            for estimate, one, index in zip(found.estimates, placed, found.index, strict=True)
        ]
        return cls._finish(_merged(placed, estimates, settings, backend), placed, found.notes)

    @classmethod
    def _finish(
        cls, cache: PointCache, panoramas: tuple[PlacedPanorama, ...], notes: tuple[str, ...]
    ) -> io.NodeOutput:
        """The outputs, with what there is to say shown on the node."""
        if not len(cache.points) and cache.sky is None:
            raise InputError(
                "panoramas: nothing of them is trusted enough to become a point. Lower confidence, or "
                "connect another depth."
            )
        for note in notes:
            log.warning("Build3DCache: %s", note)
        if notes:
            show_text(cls.hidden.unique_id, "\n".join(notes))
        pictures = [cache_picture(cache, one.T_world_cam, one.name) for one in panoramas]
        built = BuiltCache(cache=cache, panoramas=panoramas)
        return io.NodeOutput(built, to_image(torch.stack(pictures)), ui=cache_ui(built))


def _merged(
    panoramas: tuple[PlacedPanorama, ...],
    estimates: list[DistanceEstimate],
    settings: ReconSettings,
    backend: str,
) -> PointCache:
    from ..pantheon_core.cache import merge_caches
    from ..pantheon_core.recon import cache_from_estimate

    return merge_caches(
        [
            cache_from_estimate(
                one.rgb, estimate, settings=settings, T_world_cam=one.T_world_cam, backend=backend
            )
            for one, estimate in zip(panoramas, estimates, strict=True)
        ]
    )


def _with_skies(
    cloud: PointCache, panoramas: tuple[PlacedPanorama, ...], sky_mask: Tensor | None
) -> PointCache:
    """A point cloud under its own sky and those of the panoramas."""
    from ..pantheon_core.cache import merge_caches
    from ..pantheon_core.recon import ReconSettings
    from ..pantheon_core.recon.given import nothing_measured

    if sky_mask is None:
        return cloud
    skies = [
        dataclasses.replace(in_user_terms(nothing_measured(one.rgb), one, 1.0, mask), metric=cloud.metric)
        for one, mask in zip(panoramas, sky_mask, strict=True)
    ]
    return merge_caches([cloud, _merged(panoramas, skies, ReconSettings(), "point cloud")])


def _scaled_places(panoramas: tuple[PlacedPanorama, ...], scale: float) -> tuple[PlacedPanorama, ...]:
    """Places that a network found are in the unit of its distances."""
    placed = []
    for one in panoramas:
        pose = one.T_world_cam.clone()
        pose[:3, 3] *= scale
        placed.append(dataclasses.replace(one, T_world_cam=pose))
    return tuple(placed)
