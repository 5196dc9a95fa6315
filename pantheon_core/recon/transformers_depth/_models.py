"""The depth models of transformers that there are backends for, and what each one's numbers mean."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..fusion import DepthFreedom, DepthQuantity

__all__ = ["DEPTH_MODELS", "DepthModel", "Variant"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One published set of weights.

    Attributes:
        hub: repository on the Hugging Face hub.
        gigabytes: to download, about.
        vram_gigabytes: needed on a GPU, about.
        licence: of the weights; read the model's page before using them commercially.
    """

    hub: str
    gigabytes: float
    vram_gigabytes: float
    licence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthModel:
    """A family of weights with one kind of output.

    Attributes:
        title: for people.
        class_name: in transformers.
        model_type: of its config.json.
        estimation: `depth_estimation_type` that the config must have, None where there is no such thing.
        quantity: what a value is, after the model's own post-processing for a known field of view.
        freedom: what is known of its scale.
        large_is: "near" or "far", what a large value means.
        crop: pixels of the square views it is given.
        half: runs in float16 on a GPU without loss.
        far: metres from which on a metric depth says no more than "far"; None takes 0.9 of the largest depth
            in the model's config.
        preprocessor: what its preprocessor_config.json says, for folders without one.
        variants: published weights by size; the first is the default.
    """

    title: str
    class_name: str
    model_type: str
    estimation: str | None
    quantity: DepthQuantity
    freedom: DepthFreedom
    large_is: str
    crop: int
    half: bool
    far: float | None
    preprocessor: dict[str, object] = field(repr=False)
    variants: dict[str, Variant]


_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_DEPTH_ANYTHING: dict[str, object] = {
    "size": {"height": 518, "width": 518},
    "keep_aspect_ratio": True,
    "ensure_multiple_of": 14,
    "resample": 3,
    **_IMAGENET,
}
_FREE, _NON_COMMERCIAL = "Apache-2.0", "CC-BY-NC-4.0 (not commercial)"


def _depth_anything(prefix: str) -> dict[str, Variant]:
    """The three sizes of one kind."""
    rows = (("small", 0.1, 1, _FREE), ("base", 0.39, 2, _NON_COMMERCIAL), ("large", 1.34, 4, _NON_COMMERCIAL))
    return {
        size: Variant(
            hub=f"depth-anything/Depth-Anything-V2-{prefix}{size.capitalize()}-hf",
            gigabytes=gigabytes,
            vram_gigabytes=vram,
            licence=licence,
        )
        for size, gigabytes, vram, licence in rows
    }


def _metric_depth_anything(place: str) -> DepthModel:
    return DepthModel(
        title=f"Depth Anything V2, metric, {place.lower()}s",
        class_name="DepthAnythingForDepthEstimation",
        model_type="depth_anything",
        estimation="metric",
        quantity="z_depth",
        freedom="metric",
        large_is="far",
        crop=518,
        half=True,
        far=None,
        preprocessor=_DEPTH_ANYTHING,
        variants=_depth_anything(f"Metric-{place}-"),
    )


DEPTH_MODELS: dict[str, DepthModel] = {
    "depth_anything_v2": DepthModel(
        title="Depth Anything V2, relative",
        class_name="DepthAnythingForDepthEstimation",
        model_type="depth_anything",
        estimation="relative",
        quantity="inverse_z",
        freedom="affine",
        large_is="near",
        crop=518,
        half=True,
        far=None,
        preprocessor=_DEPTH_ANYTHING,
        variants=_depth_anything(""),
    ),
    "depth_anything_v2_indoor": _metric_depth_anything("Indoor"),
    "depth_anything_v2_outdoor": _metric_depth_anything("Outdoor"),
    "depth_pro": DepthModel(
        title="Depth Pro",
        class_name="DepthProForDepthEstimation",
        model_type="depth_pro",
        estimation=None,
        quantity="inverse_z",
        freedom="metric",
        large_is="near",
        crop=768,
        half=True,
        far=200.0,
        preprocessor={"size": {"height": 1536, "width": 1536}, "resample": 2, **_HALF},
        variants={
            "large": Variant(
                hub="apple/DepthPro-hf",
                gigabytes=1.9,
                vram_gigabytes=6,
                licence="Apple's research licence (not commercial)",
            )
        },
    ),
    "zoedepth": DepthModel(
        title="ZoeDepth",
        class_name="ZoeDepthForDepthEstimation",
        model_type="zoedepth",
        estimation=None,
        quantity="z_depth",
        freedom="metric",
        large_is="far",
        crop=512,
        half=False,
        far=None,
        preprocessor={
            "size": {"height": 384, "width": 512},
            "keep_aspect_ratio": True,
            "ensure_multiple_of": 32,
            "resample": 2,
            "do_pad": True,
            **_HALF,
        },
        variants={
            "nyu-kitti": Variant(
                hub="Intel/zoedepth-nyu-kitti", gigabytes=1.4, vram_gigabytes=4, licence="MIT"
            ),
            "nyu": Variant(hub="Intel/zoedepth-nyu", gigabytes=1.4, vram_gigabytes=4, licence="MIT"),
            "kitti": Variant(hub="Intel/zoedepth-kitti", gigabytes=1.4, vram_gigabytes=4, licence="MIT"),
        },
    ),
}
"""By name in the registry."""
