"""Where the sky is, by a segmentation model of transformers, on views merged on the sphere.

Any model that labels pixels and knows a class "sky" will do: SegFormer, UperNet, BEiT, DPT, MaskFormer,
Mask2Former, EoMT, trained on ADE20K, Cityscapes or COCO.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..check import check_erp, check_finite, check_shape
from ..errors import BackendUnavailableError, InputError, MemoryBudgetError, Progress
from ..geometry import erp_to_perspective, perspective_to_erp
from .fusion import sphere_views
from .tiny import TinyBackend
from .transformers_depth import VIEW_FOV, Variant
from .transformers_depth._load import find_folder, read_json

if TYPE_CHECKING:
    from torch import nn

__all__ = ["SKY_WEIGHTS", "SkySegmenter", "release_sky_model", "sky_probability"]

SKY_WEIGHTS = Variant(
    hub="facebook/mask2former-swin-small-ade-semantic",
    gigabytes=0.28,
    vram_gigabytes=1.5,
    licence="see its page",
)
"""What is downloaded when that is asked for and nothing else is named."""

_LEVEL_VIEWS = 6
_SIZE, _MULTIPLE, _LARGEST = 512, 32, 768
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True, kw_only=True, slots=True)
class SkySegmenter:
    """How the sky is found.

    Attributes:
        weights: folder with config.json and model.safetensors, or a repository of the hub; None takes the
            published weights where they are in the hub's cache or may be downloaded.
        download: fetch weights that are not there.
        device: "cuda", "cpu", "mps"; None for a GPU where there is one.
        view_size: pixels of the square views of 90°; None for what the model was made for.
        batch: views at once.
    """

    weights: Path | str | None = None
    download: bool = False
    device: str | None = None
    view_size: int | None = None
    batch: int = 2

    title = "Sky segmentation"

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"batch: expected at least 1, got {self.batch}")
        if self.view_size is not None and self.view_size < 64:
            raise InputError(f"view_size: expected at least 64 pixels, got {self.view_size}")

    @torch.no_grad()
    def probability(self, rgb: Tensor, *, progress: Progress | None = None) -> Tensor:
        """How surely each pixel of a panorama (3, H, W), 0..1, is sky: (H, W) 0..1 on its device.

        The model sees 14 views that overlap; where several see a pixel, those count most that see it near
        their middle.

        Raises:
            BackendUnavailableError: no weights, or transformers does not know the model.
            InputError: the weights are of another kind of model, or know no sky.
            MemoryBudgetError: the GPU is too small.
        """
        height = _checked(rgb)
        folder = find_folder(self, SKY_WEIGHTS, self.weights, download=self.download)
        device = torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model = _load(folder, device)
        size = self.view_size or model.size
        picture = rgb.detach().cpu().float().clamp(0, 1)
        rotations = sphere_views(level=_LEVEL_VIEWS)
        found = []
        for start in range(0, len(rotations), self.batch):
            some = rotations[start : start + self.batch]
            views = erp_to_perspective(picture, some, fov_x=VIEW_FOV, height=size, width=size)
            found.append(_sky_of_views(model, views))
            if progress:
                progress(start + len(some), len(rotations))
        merged, _ = perspective_to_erp(torch.cat(found)[:, None], rotations, fov_x=VIEW_FOV, height=height)
        return merged[0].clamp(0, 1).to(rgb.device)


def sky_probability(
    rgb: Tensor, segmenter: SkySegmenter | None = None, *, progress: Progress | None = None
) -> Tensor:
    """Sky of a panorama, (3, H, W) to (H, W) 0..1, by a segmentation model or else by the bundled network.

    Args:
        rgb: levelled panorama, 0..1.
        segmenter: the model; None takes the bundled network, which needs no weights and is less exact.
        progress: called with (views done, views).

    Raises:
        PantheonError: as `SkySegmenter.probability`.
    """
    if segmenter is not None:
        return segmenter.probability(rgb, progress=progress)
    _checked(rgb)
    return TinyBackend().estimate(rgb, progress=progress).sky


def release_sky_model() -> None:
    """Give back the memory of the model that is kept for the next panorama."""
    _load.cache_clear()


def _checked(rgb: Tensor) -> int:
    check_shape("rgb", rgb, "3 H W")
    check_finite("rgb", rgb)
    return check_erp("rgb", rgb)[0]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Model:
    """A network, the numbers of its classes that are sky, its views' size, and how colours are normalised."""

    net: nn.Module
    universal: bool
    sky: tuple[int, ...]
    size: int
    mean: Tensor
    std: Tensor
    device: torch.device


@lru_cache(maxsize=1)
def _load(folder: Path, device: torch.device) -> _Model:
    config = read_json(folder / "config.json")
    sky = _sky_classes(config, folder)
    cls, universal = _class_of(config, folder)
    from safetensors import SafetensorError

    try:
        net, info = cls.from_pretrained(str(folder), local_files_only=True, output_loading_info=True)
    except ImportError as error:
        raise BackendUnavailableError(
            f"weights: the model in {folder} needs a package that is not installed: {error}"
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise InputError(f"weights: {folder} cannot be loaded as a segmentation model: {error}") from error
    # heads that only serve the training may be missing
    missing = sorted(key for key in info["missing_keys"] if "auxiliary" not in key)
    if missing:
        raise InputError(
            f"weights: {folder} lacks {len(missing)} of the model's tensors, e.g. {missing[0]}; it may hold "
            "the backbone only, or be damaged; download it again"
        )
    path = folder / "preprocessor_config.json"
    settings = read_json(path) if path.is_file() else {}
    mean, std = (
        torch.tensor(settings.get(key) or _IMAGENET[key]).float().reshape(3, 1, 1)
        for key in ("image_mean", "image_std")
    )
    return _Model(
        net=net.to(device).eval().requires_grad_(False),
        universal=universal,
        sky=sky,
        size=_view_size(settings.get("size")),
        mean=mean,
        std=std,
        device=device,
    )


def _sky_classes(config: dict[str, Any], folder: Path) -> tuple[int, ...]:
    labels = config.get("id2label")
    found = [
        int(number)
        for number, label in (labels.items() if isinstance(labels, dict) else ())
        if "sky" in re.findall("[a-z]+", str(label).lower())
    ]
    if not found:
        raise InputError(
            f"weights: the model in {folder} has no class called sky among its "
            f"{len(labels) if isinstance(labels, dict) else 0}; take one that was trained on ADE20K, "
            f"Cityscapes or COCO, such as {SKY_WEIGHTS.hub}"
        )
    return tuple(sorted(found))


def _class_of(config: dict[str, Any], folder: Path) -> tuple[Any, bool]:
    """The auto class of a model, and whether it answers with queries instead of a score for each pixel."""
    try:
        import transformers
        from transformers.models.auto import modeling_auto as auto
    except ImportError as error:
        raise BackendUnavailableError(
            "Sky segmentation needs transformers; run: pip install transformers"
        ) from error
    kind = config.get("model_type")
    if kind == "oneformer":
        raise InputError(
            f"weights: {folder} holds a OneFormer, which is asked in words and is not supported; take a "
            f"Mask2Former, such as {SKY_WEIGHTS.hub}"
        )
    if kind in auto.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES or kind == "maskformer":
        if kind == "maskformer":
            return transformers.MaskFormerForInstanceSegmentation, True
        return transformers.AutoModelForUniversalSegmentation, True
    if kind in auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES:
        return transformers.AutoModelForSemanticSegmentation, False
    raise InputError(
        f"weights: {folder} holds a model of type {kind!r}, which does not segment pictures; take a "
        "SegFormer, UperNet or Mask2Former"
    )


def _view_size(size: object) -> int:
    """Of the views: what the model's processor resizes to, in multiples of 32, at most 768."""
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    side = size if isinstance(size, int) and size > 0 else _SIZE
    return min(_LARGEST, max(_MULTIPLE, round(side / _MULTIPLE) * _MULTIPLE))


def _sky_of_views(model: _Model, views: Tensor) -> Tensor:
    """(B, h, w) 0..1 on the CPU for views (B, 3, h, w)."""
    pixels = ((views - model.mean) / model.std).to(model.device)
    try:
        out = model.net(pixel_values=pixels)
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryBudgetError(
            f"Sky segmentation: the GPU's memory is too small for {len(views)} views at once; take a smaller "
            "batch, a smaller view_size, or device='cpu'"
        ) from error
    if model.universal:
        # how much of each pixel the queries of a class claim; the last class is "nothing"
        share = out.class_queries_logits.float().softmax(-1)[..., :-1]
        claimed = torch.einsum("bqc,bqhw->bchw", share, out.masks_queries_logits.float().sigmoid())
        likely = claimed / claimed.sum(1, keepdim=True).clamp_min(1e-6)
    else:
        likely = out.logits.float().softmax(1)
    sky = likely[:, list(model.sky)].sum(1, keepdim=True).cpu()
    return F.interpolate(sky, views.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
