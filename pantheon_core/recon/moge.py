"""Backends "moge" and "moge_v1": Microsoft's MoGe, where its package is installed, on views of the panorama.

What is relied on of the package, versions 1 and 2 alike: `MoGeModel.from_pretrained(path of model.pt)`;
`infer(image (B, 3, h, w) 0..1, fov_x=degrees, use_fp16=bool)` gives a dict with `depth` (B, h, w), z in the
OpenCV camera, infinite where its mask says sky or nothing.

Source: https://github.com/microsoft/MoGe, moge/model/v1.py and v2.py.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import BackendUnavailableError, InputError, MemoryBudgetError
from ._weights import hub_file
from .transformers_depth import VIEW_FOV, DepthModel, Variant, ViewBackend

__all__ = ["MOGE_MODELS", "MoGeBackend", "MoGeV1Backend"]

_CHECKPOINT = "model.pt"
_LICENCE = "see its page (the code is MIT)"


def _moge(version: int, freedom: str, far: float | None, variants: dict[str, Variant]) -> DepthModel:
    return DepthModel(
        title=f"MoGe {version}",
        class_name=f"moge.model.v{version}",
        model_type="moge",
        estimation=None,
        quantity="z_depth",
        freedom="metric" if freedom == "metric" else "scale",
        large_is="far",
        crop=512,
        half=True,
        far=far,
        preprocessor={},
        variants=variants,
    )


def _variant(name: str, gigabytes: float, vram: float) -> Variant:
    return Variant(hub=f"Ruicheng/{name}", gigabytes=gigabytes, vram_gigabytes=vram, licence=_LICENCE)


MOGE_MODELS: dict[str, DepthModel] = {
    # its own mask says where the sky is: the limit is only for what it leaves
    "moge": _moge(
        2,
        "metric",
        1000.0,
        {
            "large": _variant("moge-2-vitl-normal", 1.3, 4),
            "base": _variant("moge-2-vitb-normal", 0.4, 2),
            "small": _variant("moge-2-vits-normal", 0.15, 1),
        },
    ),
    "moge_v1": _moge(1, "scale", None, {"large": _variant("moge-vitl", 1.3, 4)}),
}
"""By name in the registry."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MoGeBackend(ViewBackend):
    """MoGe 2: z-depth in metres, and a mask of what has no depth; `weights` is model.pt or its folder."""

    name: str = field(default="moge", init=False)

    @property
    def model(self) -> DepthModel:
        """Licence, memory and what its numbers mean."""
        return MOGE_MODELS[self.name]

    def _open(self, device: torch.device) -> tuple[Callable[[Tensor], Tensor], float | None]:
        path = _find(self.model, self.weights, self.size, download=self.download)
        net = _load(self.model.class_name, path, device)
        half = device.type == "cuda" and self.dtype != "float32"
        return partial(_depths, net, self.model.title, half), self.model.far


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MoGeV1Backend(MoGeBackend):
    """MoGe 1: z-depth up to a factor."""

    name: str = field(default="moge_v1", init=False)


def _depths(net: Any, title: str, half: bool, views: Tensor) -> Tensor:
    """(B, h, w) z-depths on the CPU, infinite where there is nothing."""
    try:
        found = net.infer(views, fov_x=math.degrees(VIEW_FOV), use_fp16=half)
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryBudgetError(
            f"{title}: the GPU's memory is too small for {len(views)} views at once; take a smaller batch, a "
            "smaller model, or device='cpu'"
        ) from error
    return found["depth"].float().cpu()


def _find(model: DepthModel, weights: Path | str | None, size: str, *, download: bool) -> Path:
    """The checkpoint: a file, a folder with it, or the hub's."""
    if size and size not in model.variants:
        raise InputError(f"size: expected one of {', '.join(model.variants)}, got {size!r}")
    variant = model.variants[size or next(iter(model.variants))]
    how = (
        f"Give as weights the file {_CHECKPOINT} of https://huggingface.co/{variant.hub}, or allow the "
        f"download (download=True, about {variant.gigabytes:.1f} GB, licence: {variant.licence})."
    )
    if weights is not None:
        path = Path(weights).expanduser()
        path = path / _CHECKPOINT if path.is_dir() else path
        if not path.is_file():
            raise BackendUnavailableError(f"weights: there is no file {path}. {how}")
        return path
    return hub_file(variant.hub, _CHECKPOINT, title=model.title, how=how, download=download)


@lru_cache(maxsize=1)
def _load(module: str, path: Path, device: torch.device) -> Any:
    """The network; the last one is kept for the next panorama.

    Raises:
        BackendUnavailableError: the package is not installed.
        InputError: the file is not its checkpoint.
    """
    try:
        cls = import_module(module).MoGeModel
    except ImportError as error:
        raise BackendUnavailableError(
            f"MoGe is not installed ({error}). Install it into this Python: "
            "pip install git+https://github.com/microsoft/MoGe.git"
        ) from error
    try:
        net = cls.from_pretrained(str(path))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(f"weights: {path} cannot be loaded as {module}: {error}") from error
    return net.to(device).eval()
