"""Where several panoramas of one scene were taken."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
import torch
from comfy_api.latest import io, ui

from ..pantheon_core.errors import InputError
from .depth_sources import AUTO, ESTIMATORS, DepthSource, measure
from .host import progress, show_text
from .schema import Panorama, advanced, schema

if TYPE_CHECKING:
    from ..pantheon_core.recon import DistanceEstimate
    from ..pantheon_core.recon.poses import PanoramaPoses
    from .types import PlacedPanorama

_NONE = "none"
_PLACES = "given places"
_METHODS = {AUTO: "auto", "from the pictures": "sfm", "GPS and compass": "gps", "file": "file"}


def _more_inputs() -> list[Any]:
    """What few need: a file of poses, the network's weights, the seed."""
    return [
        advanced(
            io.String.Input,
            "file",
            default="",
            optional=True,
            tooltip="For 'file': one pose per panorama, in any format of Load Trajectory; a path, or "
            "a name in the input folder.",
        ),
        advanced(
            io.String.Input,
            "weights",
            default="",
            optional=True,
            tooltip="Folder with the depth network's files. Empty takes this machine's cache.",
        ),
        advanced(
            io.Boolean.Input,
            "download",
            default=False,
            optional=True,
            tooltip="Allow the depth network to be downloaded if it is not there yet.",
        ),
        advanced(
            io.Int.Input,
            "seed",
            default=0,
            min=0,
            max=2**31 - 1,
            optional=True,
            tooltip="Of the search's random samples. Another seed may help where panoramas find no "
            "place; the same seed gives the same places.",
        ),
    ]


class PantheonEstimatePoses(io.ComfyNode):
    """Finds the places of joined panoramas, and brings their distances to one scale."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Panoramas, how to find the places, what gives the scale."""
        return schema(
            "PantheonEstimatePoses",
            stage="1 Panorama",
            display_name="Estimate Poses (360°)",
            description="Finds where each of several panoramas of one scene was taken, from the pictures "
            "alone, from GPS, or from a file; brings their distances to one scale; and says which panoramas "
            "contradict the others.",
            search_aliases=[
                "colmap",
                "sfm",
                "structure from motion",
                "camera poses",
                "align panoramas",
                "gps",
            ],
            inputs=[
                Panorama.Input("panoramas", tooltip="Two or more panoramas of one scene (Join Panoramas)."),
                io.Combo.Input(
                    "method",
                    options=[*_METHODS, _PLACES],
                    default=AUTO,
                    tooltip="From the pictures needs the package pycolmap (pip install pycolmap). Auto takes "
                    "the pictures, or GPS where pycolmap is missing. 'given places' keeps the places of "
                    "Place Panorama and checks them.",
                ),
                io.Combo.Input(
                    "distances",
                    options=[AUTO, *ESTIMATORS, _NONE],
                    default=AUTO,
                    tooltip="Distances to bring to one scale; Build 3D Cache on 'auto' then uses them. Auto "
                    "takes those that came with the panoramas, else the bundled network. A metric network "
                    "also brings the places to metres.",
                ),
                io.Float.Input(
                    "first_to_second",
                    default=0.0,
                    min=0.0,
                    max=10000.0,
                    step=0.01,
                    tooltip="Metres between the cameras of the first and the second panorama, if you "
                    "measured them: the surest scale. 0 if unknown.",
                ),
                *_more_inputs(),
            ],
            outputs=[
                Panorama.Output(
                    display_name="panoramas",
                    tooltip="Those that found a place, at their places, with distances of one scale.",
                ),
                io.String.Output(
                    display_name="report", tooltip="What was placed, how well it fits, what is doubtful."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        panoramas: tuple[PlacedPanorama, ...],
        method: str,
        distances: str,
        first_to_second: float,
        file: str = "",
        weights: str = "",
        download: bool = False,
        seed: int = 0,
    ) -> io.NodeOutput:
        """Places, then scale, then what contradicts."""
        from ..pantheon_core.recon.poses import align_scene

        if len(panoramas) < 2:
            raise InputError(
                f"panoramas: expected two or more of one scene, got {len(panoramas)}. Connect Join Panoramas."
            )
        names = [one.name for one in panoramas]
        poses = _scaled(_find(panoramas, method, file, seed), first_to_second, names)
        if not bool(poses.registered.any()):
            raise InputError(f"panoramas: no places were found. {'. '.join(poses.warnings)}.")
        estimates: list[DistanceEstimate | None] = [None] * len(panoramas)
        if distances != _NONE:
            source = DepthSource(backend=distances, weights=weights, download=download)
            for index in poses.registered.nonzero()[:, 0].tolist():
                estimates[index] = _shown(panoramas[index], source)
        aligned, report = align_scene(estimates, poses, names=names)
        text = "\n".join(report.lines())
        show_text(cls.hidden.unique_id, text)
        first = int(report.poses.registered.nonzero()[0])
        T_world_first = panoramas[first].T_world_cam.cpu().float()
        placed = tuple(
            dataclasses.replace(
                one, T_world_cam=T_world_first @ report.poses.T_world_cam[index], known=aligned[index]
            )
            for index, one in enumerate(panoramas)
            if report.poses.registered[index]
        )
        return io.NodeOutput(placed, text, ui=ui.PreviewText(text))


def _find(panoramas: tuple[PlacedPanorama, ...], method: str, file: str, seed: int) -> PanoramaPoses:
    from ..pantheon_core.panorama import Panorama as Photograph
    from ..pantheon_core.recon.poses import check_given, find_poses, poses_from_matrices

    # Panoramas that were made in the graph carry no record of a camera.
    photographs = [
        Photograph(
            rgb=one.rgb,
            valid=one.valid,
            heading=one.heading,
            metadata=one.metadata,
        )
        for one in panoramas
    ]
    names = [one.name for one in panoramas]
    if method == _PLACES:
        given = poses_from_matrices(torch.stack([one.T_world_cam.cpu().float() for one in panoramas]))
        return check_given(photographs, given, names=names, seed=seed, progress=progress())
    return find_poses(
        photographs,
        method=_METHODS[method],
        file=_path(file) if _METHODS[method] == "file" else None,
        names=names,
        seed=seed,
        progress=progress(),
    )


def _path(file: str) -> Path:
    if not file.strip():
        raise InputError("file: expected the file with the poses; write its name, or choose another method")
    path = Path(file.strip()).expanduser()
    return path if path.is_absolute() else Path(folder_paths.get_input_directory()) / path


def _scaled(poses: PanoramaPoses, metres: float, names: list[str]) -> PanoramaPoses:
    """In metres by the distance between the first two cameras, where the user knows it."""
    from ..pantheon_core.recon.poses import scale_poses

    if metres == 0:
        return poses
    apart = float((poses.T_world_cam[0, :3, 3] - poses.T_world_cam[1, :3, 3]).norm())
    if not bool(poses.registered[:2].all()) or apart < 1e-9:
        raise InputError(
            f"first_to_second: {names[0]} and {names[1]} did not both find places apart from one another, so "
            "that their distance gives no scale; set it to 0, or connect two others first"
        )
    return scale_poses(poses, metres / apart, metric=True)


def _shown(one: PlacedPanorama, source: DepthSource) -> DistanceEstimate:
    """Its distances where the photograph shows something; each for itself, alignment follows."""
    found = measure((one,), source).estimates[0]
    return dataclasses.replace(found, valid=found.valid & one.valid, sky=found.sky * one.valid)
