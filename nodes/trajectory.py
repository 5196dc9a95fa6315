"""Camera paths."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io, ui

from ..pantheon_core.trajectory import EASINGS, PRESETS
from .host import show_text
from .schema import Cache, Trajectory, advanced, schema
from .session import cache_ui
from .types import BuiltCache

if TYPE_CHECKING:
    from ..pantheon_core.trajectory import Easing, KeyframePath
    from ..pantheon_core.trajectory import Trajectory as CameraTrajectory

FROM_JSON = "keyframes"
BETWEEN = "between panoramas"


def _bend_inputs() -> list[Any]:
    """How the path bends, how fast it goes, how near it may come."""
    return [
        advanced(
            io.Combo.Input,
            "spline",
            options=["as given", "catmull_rom", "linear"],
            default="as given",
            tooltip="How the position bends between keyframes: smooth, straight, or as the path says.",
        ),
        advanced(
            io.Boolean.Input,
            "constant_speed",
            default=False,
            tooltip="Move at one speed along the whole path, whatever the times of the keyframes.",
        ),
        advanced(
            io.Float.Input,
            "clearance",
            default=0.2,
            min=0.0,
            max=100.0,
            step=0.05,
            tooltip="Warn where the path comes closer to the scene than this, in metres. Needs the cache.",
        ),
    ]


class TrajectoryFromKeyframes(io.ComfyNode):
    """A camera path from a preset, from keyframes, or through the panoramas of a cache."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The path, its time, and how it bends."""
        return schema(
            "TrajectoryFromKeyframes",
            stage="3 Path",
            display_name="Trajectory from Keyframes (360°)",
            description="Makes the camera path: a ready-made movement, your own keyframes, or the way "
            "from one panorama to the next. The first panorama stands at the origin and looks forward.",
            search_aliases=["camera path", "keyframes", "camera trajectory", "dolly", "fly through"],
            inputs=[
                io.Combo.Input(
                    "path",
                    options=[*PRESETS, BETWEEN, FROM_JSON],
                    default="forward",
                    tooltip="A ready-made movement; 'between panoramas' goes from the first panorama of "
                    "the cache to the last (connect cache); 'keyframes' is the path of the editor below.",
                ),
                io.Int.Input(
                    "frames",
                    default=14,
                    min=1,
                    max=1000,
                    tooltip="Number of frames. The model likes 14 to 25.",
                ),
                io.Float.Input(
                    "fps", default=7.0, min=0.1, max=120.0, step=0.1, tooltip="Frames per second."
                ),
                *_movement_inputs(),
                io.String.Input(
                    "keyframes",
                    multiline=True,
                    default="",
                    placeholder='{"version": 1, ...}',
                    tooltip="The path as JSON, for 'keyframes'. The editor in the node writes it: press Edit "
                    "path. Connect a text to bring a path from elsewhere. Frames and fps set its time.",
                ),
                *_bend_inputs(),
                Cache.Input(
                    "cache",
                    optional=True,
                    tooltip="The scene: for the path 'between panoramas', and to warn of collisions.",
                ),
            ],
            outputs=[
                Trajectory.Output(display_name="trajectory", tooltip="One camera pose per frame."),
                io.String.Output(
                    display_name="keyframes", tooltip="The path as JSON, to edit and paste back."
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="Length of the path and, with a cache, where it comes too close to the scene.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            # So that a graph can be run as far as the path, and a page that was loaded anew gets the scene's
            # key again: the host tells it nothing of other nodes that need not be run once more.
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, path: str | None = None, keyframes: str | None = None) -> bool | str:
        """Say what is wrong with the keyframes before anything runs."""
        from ..pantheon_core.errors import InputError
        from ..pantheon_core.trajectory import path_from_json

        if path is not None and path not in (*PRESETS, BETWEEN, FROM_JSON):
            return f"path: '{path}' is not known. Choose one of {', '.join((*PRESETS, BETWEEN, FROM_JSON))}."
        # Nothing is known yet of a text that another node will bring.
        if path != FROM_JSON or keyframes is None:
            return True
        if not keyframes.strip():
            return (
                "The path 'keyframes' needs keyframes. Press Edit path in the node, or choose a ready-made "
                "movement."
            )
        try:
            path_from_json(keyframes)
        except InputError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        path: str,
        frames: int,
        fps: float,
        distance: float,
        angle_deg: float,
        radius: float,
        easing: Easing,
        keyframes: str,
        spline: str,
        constant_speed: bool,
        clearance: float,
        cache: BuiltCache | None = None,
    ) -> io.NodeOutput:
        """Make the keyframes, walk through them, look out for walls."""
        import dataclasses

        from ..pantheon_core.trajectory import interpolate, path_from_json, path_to_json, preset_path, retime

        if path == FROM_JSON:
            keys = retime(path_from_json(keyframes), frames=frames, fps=fps)
        elif path == BETWEEN:
            keys = _between(cache, frames, fps, easing)
        else:
            angle = math.radians(angle_deg) if angle_deg else None
            keys = preset_path(
                path, frames=frames, fps=fps, distance=distance, angle=angle, radius=radius, easing=easing
            )
        if spline != "as given":
            keys = dataclasses.replace(keys, spline=spline)
        if constant_speed:
            keys = dataclasses.replace(keys, constant_speed=True)
        trajectory = interpolate(keys)
        text = describe(trajectory, cache, clearance)
        show_text(cls.hidden.unique_id, text)
        shown = ui.PreviewText(text).as_dict() | (cache_ui(cache) if cache is not None else {})
        return io.NodeOutput(trajectory, path_to_json(keys), text, ui=shown)


def _movement_inputs() -> list[io.Input]:
    """The size and the pace of a ready-made movement."""
    return [
        io.Float.Input(
            "distance",
            default=0.5,
            min=-1000.0,
            max=1000.0,
            step=0.05,
            tooltip="How far a ready-made movement goes, in metres; the scale of a cache without "
            "metres is a guess.",
        ),
        io.Float.Input(
            "angle_deg",
            default=0.0,
            min=-3600.0,
            max=3600.0,
            step=1.0,
            tooltip="How far a turning movement turns, in degrees; positive to the right. 0 means "
            "the movement's own angle (a full turn for an orbit).",
        ),
        io.Float.Input(
            "radius",
            default=0.5,
            min=0.01,
            max=1000.0,
            step=0.05,
            tooltip="Radius of an orbit, arc or spiral, in metres.",
        ),
        io.Combo.Input(
            "easing",
            options=list(EASINGS),
            default="linear",
            tooltip="How a movement starts and ends: at once, or softly. Keyframes carry their own.",
        ),
    ]


def _between(cache: BuiltCache | None, frames: int, fps: float, easing: Easing) -> KeyframePath:
    from ..pantheon_core.errors import InputError
    from ..pantheon_core.geometry import quaternion_wxyz_from_rotation
    from ..pantheon_core.trajectory import Keyframe, KeyframePath

    stations = [] if cache is None else [one.T_world_cam for one in cache.panoramas]
    if len(stations) < 2:
        raise InputError(
            f"path: 'between panoramas' needs a cache of two or more panoramas, got {len(stations)}. Connect "
            "the cache to this node, and join two placed panoramas before it."
        )
    step = (frames - 1) / fps / (len(stations) - 1) if frames > 1 else 1.0
    keys = [
        Keyframe(
            time=index * step,
            position=tuple(pose[:3, 3].tolist()),
            quaternion_wxyz=tuple(quaternion_wxyz_from_rotation(pose[:3, :3]).tolist()),
            easing=easing,
        )
        for index, pose in enumerate(stations)
    ]
    return KeyframePath(keyframes=tuple(keys), fps=fps, frames=frames)


def describe(trajectory: CameraTrajectory, cache: BuiltCache | None, minimum: float) -> str:
    """Length and time of the path and, with a scene, where it comes too close."""
    from ..pantheon_core.trajectory import clearance

    steps = trajectory.positions.diff(dim=0).norm(dim=-1)
    lines = [
        f"{len(trajectory)} frames, {len(trajectory) / trajectory.fps:.1f} s, {float(steps.sum()):.2f} m long"
    ]
    if cache is not None and len(cache.cache.points):
        report = clearance(trajectory, cache.cache.points, minimum=minimum)
        lines.append(f"nearest surface: {float(report.distance.min()):.2f} m")
        if report.warning:
            lines.append(report.warning)
    return "\n".join(lines)
