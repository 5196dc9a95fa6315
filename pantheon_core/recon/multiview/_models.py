"""The multi-view networks that there are backends for: where they come from and what they need."""

from __future__ import annotations

from dataclasses import dataclass

from ..transformers_depth import Variant

__all__ = ["MULTIVIEW_MODELS", "MultiViewModel"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiViewModel:
    """A network with its package.

    Attributes:
        title: for people.
        module: that holds its class.
        class_name: of the network; made by `from_pretrained(folder)`.
        install: the command that brings the package.
        output: what its numbers are.
        crop: pixels of the square views, a multiple of its patch.
        needs_config: the folder must hold config.json, as the class has no other way to know its size.
        vram_per_view: gigabytes on a GPU for each view, beside those of the weights, about.
        variants: published weights by size; the first is the default.
    """

    title: str
    module: str
    class_name: str
    install: str
    output: str
    crop: int
    needs_config: bool
    vram_per_view: float
    variants: dict[str, Variant]


_NOT_COMMERCIAL = "CC-BY-NC-4.0 (not commercial)"


def _variant(hub: str, gigabytes: float, vram: float, licence: str) -> Variant:
    return Variant(hub=hub, gigabytes=gigabytes, vram_gigabytes=vram, licence=licence)


MULTIVIEW_MODELS: dict[str, MultiViewModel] = {
    "pi3": MultiViewModel(
        title="Pi3",
        module="pi3.models.pi3",
        class_name="Pi3",
        install="pip install --no-deps git+https://github.com/yyfz/Pi3.git",
        output="points up to one common factor, camera poses",
        crop=518,
        needs_config=False,
        vram_per_view=0.06,
        variants={"large": _variant("yyfz233/Pi3", 3.7, 5, _NOT_COMMERCIAL)},
    ),
    "pi3x": MultiViewModel(
        title="Pi3X",
        module="pi3.models.pi3x",
        class_name="Pi3X",
        install="pip install --no-deps git+https://github.com/yyfz/Pi3.git",
        output="points in metres, about; camera poses; knows the views' angle and the rig",
        crop=518,
        needs_config=False,
        vram_per_view=0.08,
        variants={"large": _variant("yyfz233/Pi3X", 5.5, 7, _NOT_COMMERCIAL)},
    ),
    "vggt": MultiViewModel(
        title="VGGT",
        module="vggt.models.vggt",
        class_name="VGGT",
        install="pip install --no-deps git+https://github.com/facebookresearch/vggt.git",
        output="z-depth up to one common factor, camera poses",
        crop=518,
        needs_config=False,
        vram_per_view=0.2,
        variants={
            "1b": _variant("facebook/VGGT-1B", 5.0, 7, _NOT_COMMERCIAL),
            "1b-commercial": _variant("facebook/VGGT-1B-Commercial", 5.0, 7, "Meta's own, on request"),
        },
    ),
    "depth_anything_3": MultiViewModel(
        title="Depth Anything 3",
        module="depth_anything_3.api",
        class_name="DepthAnything3",
        install="pip install depth-anything-3 (it wants numpy below 2 and many packages: better in an "
        "environment of its own)",
        output="z-depth up to one common factor (nested: in metres, with sky), camera poses",
        crop=504,
        needs_config=True,
        vram_per_view=0.1,
        variants={
            "base": _variant("depth-anything/DA3-BASE", 0.5, 2, "Apache-2.0"),
            "small": _variant("depth-anything/DA3-SMALL", 0.3, 1, "Apache-2.0"),
            "large": _variant("depth-anything/DA3-LARGE-1.1", 1.4, 4, _NOT_COMMERCIAL),
            "giant": _variant("depth-anything/DA3-GIANT-1.1", 4.6, 8, _NOT_COMMERCIAL),
            "nested": _variant("depth-anything/DA3NESTED-GIANT-LARGE-1.1", 6.0, 10, _NOT_COMMERCIAL),
        },
    ),
}
"""By name in the registry."""
