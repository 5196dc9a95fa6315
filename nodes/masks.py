"""What of a panorama is not to be in the scene, and where its sky is."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io

from ..pantheon_core.errors import InputError
from .host import progress
from .schema import Panorama, advanced, schema
from .types import PlacedPanorama

if TYPE_CHECKING:
    from torch import Tensor

_STAGE = "1 Panorama"
BUNDLED, MODEL = "bundled network", "segmentation model"


class PantheonMaskPanorama(io.ComfyNode):
    """Makes holes where the photographer, the tripod or something that moves is."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A mask, a disc below the camera, and how much to grow them."""

        def degrees(name: str, highest: float, tip: str, *, folded: bool = False) -> io.Float.Input:
            made = {"default": 0.0, "min": 0.0, "max": highest, "step": 0.5, "tooltip": tip}
            if folded:
                return advanced(io.Float.Input, name, optional=True, **made)
            return io.Float.Input(name, **made)

        return schema(
            "PantheonMaskPanorama",
            stage=_STAGE,
            display_name="Mask Panorama (360°)",
            description="Takes the photographer, the tripod, people or cars out of a panorama. Their "
            "pixels become holes of the 3D scene, which other panoramas or the video model fill.",
            search_aliases=["tripod", "nadir", "remove photographer", "exclude", "panorama mask"],
            inputs=[
                Panorama.Input("panorama", tooltip="One panorama, or several."),
                degrees(
                    "nadir_deg",
                    90.0,
                    "Radius of a hole straight below the camera, where tripod and photographer are.",
                ),
                degrees("grow_deg", 45.0, "The mask is enlarged by so many degrees on the sphere."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White becomes a hole. One mask for all panoramas or one for each, twice as wide "
                    "as high, of any size; for instance from a segmentation node.",
                ),
                degrees("zenith_deg", 90.0, "Radius of a hole straight above.", folded=True),
                degrees(
                    "feather_deg",
                    45.0,
                    "Softens the edge of the mask that comes out, for painters that blend. The holes of the "
                    "panorama itself are sharp.",
                    folded=True,
                ),
            ],
            outputs=[
                Panorama.Output(display_name="panorama", tooltip="With holes. Goes into Build 3D Cache."),
                io.Mask.Output(display_name="holes", tooltip="1 where the panorama has holes now."),
            ],
        )

    @classmethod
    def execute(
        cls,
        panorama: tuple[PlacedPanorama, ...],
        nadir_deg: float,
        grow_deg: float,
        zenith_deg: float = 0.0,
        feather_deg: float = 0.0,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        """Clear what the masks cover; the colours stay, so that depth is estimated undisturbed."""
        from ..pantheon_core.panorama import feather_mask, hole_mask

        out, soft = [], []
        for one, own in zip(panorama, _masks(mask, len(panorama)), strict=True):
            holes = hole_mask(
                one.valid.shape[0],
                mask=own,
                nadir=math.radians(nadir_deg),
                zenith=math.radians(zenith_deg),
                grow=math.radians(grow_deg),
            ).to(one.valid.device)
            valid = one.valid & ~holes
            if not bool(valid.any()):
                raise InputError(
                    f"mask: it covers all of {one.name}, so nothing would be left. Is it the wrong way "
                    "round? White becomes a hole; Invert Mask turns it."
                )
            out.append(dataclasses.replace(one, valid=valid))
            soft.append(feather_mask(~valid, math.radians(feather_deg)).cpu())
        return io.NodeOutput(tuple(out), _one_size(soft))


def _masks(mask: Tensor | None, count: int) -> list[Tensor | None]:
    """One (h, w) for each panorama."""
    if mask is None:
        return [None] * count
    batch = mask[None] if mask.ndim == 2 else mask
    if len(batch) not in (1, count):
        raise InputError(
            f"mask: expected one mask, or one for each of the {count} panoramas, got a batch of {len(batch)}"
        )
    return [batch[0 if len(batch) == 1 else index].float().cpu() for index in range(count)]


def _one_size(masks: list[Tensor]) -> Tensor:
    """(B, H, W) at the height of the first."""
    from ..pantheon_core.geometry import resize_erp

    height = masks[0].shape[0]
    return torch.stack([m if m.shape[0] == height else resize_erp(m[None], height)[0] for m in masks])


class PantheonSkyMask(io.ComfyNode):
    """Finds the sky of panoramas."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Which network."""
        return schema(
            "PantheonSkyMask",
            stage=_STAGE,
            display_name="Sky Mask (360°)",
            description="Finds the sky of a panorama, for Build 3D Cache or any other node that takes a "
            "mask: with the bundled network, or more exactly with a segmentation model.",
            search_aliases=["sky segmentation", "segformer", "mask2former", "ade20k"],
            inputs=[
                Panorama.Input("panorama", tooltip="One panorama, or several."),
                io.Combo.Input(
                    "network",
                    options=[BUNDLED, MODEL],
                    default=BUNDLED,
                    tooltip="The bundled network needs nothing. A segmentation model (SegFormer, UperNet, "
                    "Mask2Former and others that know a sky) needs its weights, see below.",
                ),
                advanced(
                    io.String.Input,
                    "weights",
                    default="",
                    optional=True,
                    tooltip="Folder with config.json and model.safetensors of a segmentation model, or its "
                    "name on Hugging Face. Empty takes facebook/mask2former-swin-small-ade-semantic from "
                    "this machine's cache.",
                ),
                advanced(
                    io.Boolean.Input,
                    "download",
                    default=False,
                    optional=True,
                    tooltip="Allow the model to be downloaded from Hugging Face if it is not there yet: "
                    "about 0.3 GB, under its own licence.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="sky", tooltip="How surely each pixel is sky, 0 to 1; one for each panorama."
                ),
            ],
        )

    @classmethod
    def execute(
        cls, panorama: tuple[PlacedPanorama, ...], network: str, weights: str = "", download: bool = False
    ) -> io.NodeOutput:
        """One mask for each panorama, at the size of the first."""
        from ..pantheon_core.recon.sky_segmentation import SkySegmenter, sky_probability

        segmenter = SkySegmenter(weights=weights.strip() or None, download=download)
        found = [
            sky_probability(one.rgb, segmenter if network == MODEL else None, progress=progress())
            for one in panorama
        ]
        return io.NodeOutput(_one_size([sky.cpu() for sky in found]))
