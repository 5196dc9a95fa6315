"""The inputs of Build3DCache by which depth comes in."""

from __future__ import annotations

from comfy_api.latest import io

from .depth_sources import DEPTH_KINDS
from .schema import DA3Geometry, MoGeGeometry, advanced, point_cloud_input


def depth_inputs() -> list[io.Input]:
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
            "(white is near, black is sky); the depth of six stitched square views; or relative: white is "
            "near, stretched to fill black to white as most depth nodes do, fitted to the bundled network's "
            "guess.",
        ),
        MoGeGeometry.Input(
            "moge_geometry",
            optional=True,
            tooltip="Points from ComfyUI's own MoGe nodes: of the panorama, or of a flat view that looks "
            "along the middle of the panorama and fills its part of it.",
        ),
        advanced(
            io.String.Input,
            "weights",
            default="",
            optional=True,
            tooltip="Folder with the depth network's files (config.json and model.safetensors; "
            "model.pt for MoGe; the clone with model.pth for DAP). Empty takes what is in this "
            "machine's Hugging Face cache. Not for the bundled network.",
        ),
        advanced(
            io.Boolean.Input,
            "download",
            default=False,
            optional=True,
            tooltip="Allow the depth network to be downloaded from Hugging Face if it is not there "
            "yet: 0.1 to 6 GB, under its own licence.",
        ),
    ]


def more_geometry_inputs() -> list[io.Input]:
    """Geometry of newer hosts, a mask of the sky, and point clouds."""
    return [
        DA3Geometry.Input(
            "da3_geometry",
            optional=True,
            tooltip="What ComfyUI's own Depth Anything 3 node gives: of the panoramas themselves, or of "
            "views in its multiview mode, the first of which looks along the middle of the panorama.",
        ),
        io.Mask.Input(
            "sky_mask",
            optional=True,
            tooltip="White where there is sky, one for each panorama, 2:1. Replaces what the depth network "
            "takes for sky.",
        ),
        point_cloud_input(
            "point_cloud",
            tooltip="A PLY point cloud instead of a depth: ComfyUI's 3D file, or a path (relative ones are "
            "in the input folder). Its zero is the first panorama's place.",
        ),
        advanced(
            io.Combo.Input,
            "point_cloud_axes",
            options=["auto", "y down", "y up", "z up"],
            default="auto",
            optional=True,
            tooltip="Which way the cloud's axes point. Auto takes files of this pack as they are, and others "
            "as ComfyUI's viewers show them, with y up.",
        ),
        advanced(
            io.Float.Input,
            "view_fov_deg",
            default=0.0,
            min=0.0,
            max=170.0,
            step=0.1,
            optional=True,
            tooltip="Horizontal angle of the views in da3_geometry, where it does not know it itself (mono "
            "mode). 0 takes what the geometry says.",
        ),
    ]
