"""Caches cleaned, and brought to metres."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io

from .convert import to_image
from .host import progress, show_text
from .schema import Cache, advanced, schema
from .session import cache_ui
from .types import BuiltCache, PlacedPanorama

if TYPE_CHECKING:
    from ..pantheon_core.cache import PointCache
    from ..pantheon_core.cache.cleaning import ScaleReport

_STAGE = "2 Scene"
EDGES = {
    "repair": "repair",
    "leave out": "cut",
    "leave out all edges": "all",
    "keep": "off",
}
FLOATERS = {"repair": "repair", "leave out": "cut", "keep": "off"}
OVERLAPS = {"contradictions": "conflicts", "contradictions and doubles": "merge", "keep": "off"}
BY_HEIGHT, BY_DISTANCE = "camera height", "known distance"


class PantheonCleanCache(io.ComfyNode):
    """Repairs or leaves out what is wrong in a cache."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Three choices and two limits; the numbers behind them are advanced."""
        return schema(
            "PantheonCleanCache",
            stage=_STAGE,
            display_name="Clean 3D Cache (360°)",
            description="Puts right what depth estimates get wrong: edges smeared between two surfaces, "
            "specks in the air, double walls of several panoramas; and thins the scene. Says what it did.",
            search_aliases=["filter point cloud", "denoise depth", "floaters", "voxel", "decimate"],
            inputs=[
                Cache.Input("cache", tooltip="The 3D scene to clean."),
                io.Combo.Input(
                    "edges",
                    options=list(EDGES),
                    default="repair",
                    tooltip="Pixels that hang in the air between something near and what is behind it: "
                    "repair puts them onto the nearer of the two, leave out makes holes of them. 'All "
                    "edges' leaves out every pixel at an edge.",
                ),
                io.Combo.Input(
                    "specks",
                    options=list(FLOATERS),
                    default="repair",
                    tooltip="Single pixels and tiny patches in the air: repair puts them onto the surface "
                    "around them, leave out makes holes of them.",
                ),
                io.Combo.Input(
                    "overlaps",
                    options=list(OVERLAPS),
                    default="contradictions",
                    tooltip="For several panoramas. Contradictions: a point goes where a nearer panorama "
                    "sees through it. Doubles: what several saw alike is kept once, from the nearest; "
                    "fewer points, faster frames.",
                ),
                io.Float.Input(
                    "max_distance",
                    default=0.0,
                    min=0.0,
                    max=100000.0,
                    step=0.5,
                    tooltip="Points farther from their panorama than this are left out. 0 keeps all.",
                ),
                io.Float.Input(
                    "voxel",
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=0.005,
                    tooltip="Thins the scene to one point for each cube of this size, in metres. 0 does not.",
                ),
                *_numbers(),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                Cache.Output(display_name="cache", tooltip="The cleaned scene."),
                io.Image.Output(display_name="preview", tooltip="What it holds now, from each panorama."),
                io.String.Output(display_name="report", tooltip="What each step did, in words."),
            ],
        )

    @classmethod
    def execute(
        cls,
        cache: BuiltCache,
        edges: str,
        specks: str,
        overlaps: str,
        max_distance: float,
        voxel: float,
        confidence: float = 0.0,
        min_distance: float = 0.0,
        edge_step: float = 0.03,
        edge_turn_deg: float = 5.0,
        speck_pixels: float = 4.0,
        overlap_step: float = 0.03,
    ) -> io.NodeOutput:
        """Clean, say what was done, look at it."""
        from ..pantheon_core.apps import cache_report
        from ..pantheon_core.cache.cleaning import CleanSettings, clean_cache

        # the combos' values are the settings' words
        modes: dict = {"edges": EDGES[edges], "floaters": FLOATERS[specks], "overlap": OVERLAPS[overlaps]}
        settings = CleanSettings(
            confidence=confidence,
            min_distance=min_distance,
            max_distance=max_distance,
            edge_rtol=edge_step,
            normal_edge=math.radians(edge_turn_deg),
            floater_pixels=speck_pixels,
            overlap_rtol=overlap_step,
            voxel=voxel,
            **modes,
        )
        cleaned, report = clean_cache(cache.cache, settings, progress=progress())
        notes = [str(step) for step in report.steps if step.removed or step.moved]
        pictures = [
            cache_report(cleaned, one.T_world_cam, name=one.name, notes=notes).picture
            for one in cache.panoramas
        ]
        show_text(cls.hidden.unique_id, str(report))
        built = dataclasses.replace(cache, cache=cleaned)
        return io.NodeOutput(built, to_image(torch.stack(pictures)), str(report), ui=cache_ui(built))


def _numbers() -> list[io.Input]:
    """What few people change."""

    def number(name: str, default: float, highest: float, step: float, tip: str) -> io.Float.Input:
        low = 0.001 if default else 0.0
        return advanced(
            io.Float.Input, name, default=default, min=low, max=highest, step=step, tooltip=tip, optional=True
        )

    return [
        number("confidence", 0.0, 1.0, 0.01, "Points that are trusted less than this are left out."),
        number("min_distance", 0.0, 1000.0, 0.05, "Points nearer to their panorama are left out."),
        number(
            "edge_step",
            0.03,
            10.0,
            0.01,
            "A step in distance above this fraction is an edge, where the surface also turns.",
        ),
        number("edge_turn_deg", 5.0, 180.0, 1.0, "Degrees by which the surface turns at an edge."),
        number("speck_pixels", 4.0, 10000.0, 1.0, "Patches of fewer pixels are specks."),
        number(
            "overlap_step",
            0.03,
            1.0,
            0.01,
            "Two panoramas see the same surface where their distances differ by less than this fraction.",
        ),
    ]


class PantheonScaleCache(io.ComfyNode):
    """Brings a cache to metres."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """By the camera's height, or by one known distance."""

        def angle(name: str, default: float, end: float, tip: str) -> io.Float.Input:
            return advanced(
                io.Float.Input,
                name,
                default=default,
                min=-end,
                max=end,
                step=0.1,
                tooltip=tip,
                optional=True,
            )

        return schema(
            "PantheonScaleCache",
            stage=_STAGE,
            display_name="Scale 3D Cache to Metres (360°)",
            description="Makes a scene's unit a metre, from the height at which the camera stood or from "
            "one distance that you know. Panoramas and their places are scaled along.",
            search_aliases=["metric scale", "real size", "camera height", "metres"],
            inputs=[
                Cache.Input("cache", tooltip="The 3D scene to scale."),
                io.Combo.Input(
                    "by",
                    options=[BY_HEIGHT, BY_DISTANCE],
                    default=BY_HEIGHT,
                    tooltip="What you know: how high the first panorama's camera stood, or how far apart "
                    "two things are that it sees.",
                ),
                io.Float.Input(
                    "metres",
                    default=1.6,
                    min=0.001,
                    max=100000.0,
                    step=0.01,
                    tooltip="The height or the distance. Tripods and heads are at about 1.6 m.",
                ),
                angle("yaw_a_deg", 0.0, 180.0, "First thing: degrees right of the picture's middle."),
                angle("pitch_a_deg", 0.0, 90.0, "First thing: degrees above the horizon."),
                angle("yaw_b_deg", 90.0, 180.0, "Second thing: degrees right of the picture's middle."),
                angle("pitch_b_deg", 0.0, 90.0, "Second thing: degrees above the horizon."),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                Cache.Output(display_name="cache", tooltip="The scene in metres."),
                io.Float.Output(display_name="factor", tooltip="What all lengths were multiplied by."),
                io.String.Output(display_name="report", tooltip="How it was found and how sure it is."),
            ],
        )

    @classmethod
    def execute(
        cls,
        cache: BuiltCache,
        by: str,
        metres: float,
        yaw_a_deg: float = 0.0,
        pitch_a_deg: float = 0.0,
        yaw_b_deg: float = 90.0,
        pitch_b_deg: float = 0.0,
    ) -> io.NodeOutput:
        """Find the factor and scale everything by it."""
        found: tuple[PointCache, ScaleReport]
        if by == BY_HEIGHT:
            from ..pantheon_core.cache.cleaning import scale_by_camera_height

            found = scale_by_camera_height(cache.cache, metres)
        else:
            from ..pantheon_core.cache.cleaning import scale_by_distance

            rays = [_ray(yaw_a_deg, pitch_a_deg), _ray(yaw_b_deg, pitch_b_deg)]
            found = scale_by_distance(cache.cache, rays[0], rays[1], metres)
        scaled, report = found
        panoramas = tuple(_scaled(one, report.factor) for one in cache.panoramas)
        built = BuiltCache(cache=scaled, panoramas=panoramas)
        show_text(cls.hidden.unique_id, report.text)
        return io.NodeOutput(built, report.factor, report.text, ui=cache_ui(built))


def _ray(yaw_deg: float, pitch_deg: float) -> torch.Tensor:
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    flat = math.cos(pitch)
    return torch.tensor([flat * math.sin(yaw), -math.sin(pitch), flat * math.cos(yaw)])


def _scaled(one: PlacedPanorama, factor: float) -> PlacedPanorama:
    """A panorama's place, and its distances where they came with it."""
    pose = one.T_world_cam.clone()
    pose[:3, 3] *= factor
    known = one.known
    if known is not None:
        known = dataclasses.replace(known, distance=known.distance * factor, metric=True)
    return dataclasses.replace(one, T_world_cam=pose, known=known)
