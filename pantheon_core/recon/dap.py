"""Backend "dap": Depth Any Panoramas, which takes the whole panorama; from a clone of its repository.

What is relied on: the clone's `networks.models.make({"name": "dap", "args": {...}})` gives a module that
turns images (B, 3, 512, 1024) of 0..1 into a dict with `pred_depth` (B, 1, h, w), distance along the ray in
hundreds of metres, and `pred_mask` (B, 1, h, w), above one half where there is sky. The module's parts are
found relative to the working folder. The weights are a dict of tensors, whose names may start with "module.".

Source: https://github.com/Insta360-Research-Team/DAP, test/infer.py, networks/dap.py and config/infer.yaml.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import BackendUnavailableError, InputError, MemoryBudgetError, Progress
from ..geometry import resize_erp
from ._types import DistanceEstimate
from ._weights import hub_file
from .given import GivenBackend
from .transformers_depth import DepthModel, Variant

__all__ = ["DAP_MODEL", "DAPBackend"]

DAP_MODEL = DepthModel(
    title="DAP",
    class_name="networks.models",
    model_type="dap",
    estimation="metric",
    quantity="distance",
    freedom="metric",
    large_is="far",
    crop=512,
    half=False,
    far=100.0,
    preprocessor={},
    variants={
        "large": Variant(
            hub="Insta360-Research/DAP-weights",
            gigabytes=1.5,
            vram_gigabytes=4,
            licence="MIT; its backbone is Meta's DINOv3, under the DINOv3 licence",
        )
    },
)
"""What its numbers mean: distances to 100 m."""

_CHECKPOINT = "model.pth"
_METRES = 100.0
_ARGS = {
    "midas_model_type": "vitl",
    "fine_tune_type": "hypersim",
    "min_depth": 0.01,
    "max_depth": 1.0,
    "train_decoder": True,
}
_CLONE = "git clone https://github.com/Insta360-Research-Team/DAP"
_LOCK = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DAPBackend:
    """Distances of the whole panorama at once, in metres to 100 m, with sky.

    Attributes:
        weights: the file model.pth or its folder; None for the hub's.
        code: the clone of the repository; None looks for it at the weights' folder and the ones above.
        download: fetch weights that are not there; else they come from the folder or the hub's cache alone.
        device: "cuda", "cpu"; None for a GPU where there is one.
        scale: multiplies the distances.
    """

    weights: Path | str | None = None
    code: Path | str | None = None
    download: bool = False
    device: str | None = None
    scale: float = 1.0
    name: str = field(default="dap", init=False)

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise InputError(f"scale: expected a number above 0, got {self.scale}")

    @property
    def model(self) -> DepthModel:
        """Licence, memory and what its numbers mean."""
        return DAP_MODEL

    def estimate(self, rgb: Tensor, *, progress: Progress | None = None) -> DistanceEstimate:
        """Distances at the size of `rgb` (3, H, W), metres.

        Raises:
            BackendUnavailableError: no weights, or no clone; the sentence says where to get them.
            InputError: the weights are of another model.
            MemoryBudgetError: the GPU is too small.
        """
        check_shape("rgb", rgb, "3 H W")
        height, _ = check_erp("rgb", rgb)
        path = _find(self.weights, download=self.download)
        device = torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        net = _load(path, _clone(self.code, path), device)
        if progress:
            progress(1, 2)
        picture = resize_erp(rgb.detach().cpu().float().clamp(0, 1), DAP_MODEL.crop)
        try:
            with torch.no_grad():
                out = net(picture[None].to(device))
        except torch.cuda.OutOfMemoryError as error:
            raise MemoryBudgetError(
                "DAP: the GPU's memory is too small; it needs about 4 GB, or take device='cpu'"
            ) from error
        distance, sky = (out[name][0, 0].float().cpu() for name in ("pred_depth", "pred_mask"))
        estimate = _estimate(distance * (_METRES * self.scale), sky.clamp(0, 1), height)
        if progress:
            progress(2, 2)
        return DistanceEstimate(
            distance=estimate.distance.to(rgb.device),
            confidence=estimate.confidence.to(rgb.device),
            sky=estimate.sky.to(rgb.device),
            valid=estimate.valid.to(rgb.device),
            metric=True,
        )


def _estimate(distance: Tensor, sky: Tensor, height: int) -> DistanceEstimate:
    encoded = torch.where(sky > 0.5, math.inf, distance)
    found = GivenBackend(depth=encoded).estimate(torch.zeros(3, height, 2 * height))
    soft = resize_erp(sky[None], height)[0].clamp(0, 1)
    return DistanceEstimate(
        distance=found.distance,
        confidence=found.valid.float(),
        sky=torch.where(found.valid, soft.clamp(max=0.49), torch.maximum(soft, found.sky)),
        valid=found.valid,
        metric=True,
    )


def _find(weights: Path | str | None, *, download: bool) -> Path:
    """The checkpoint: a file, a folder with it, or the hub's."""
    variant = DAP_MODEL.variants["large"]
    how = (
        f"Give as weights the file {_CHECKPOINT} of https://huggingface.co/{variant.hub}, or allow the "
        f"download (download=True, about {variant.gigabytes:.1f} GB, licence: {variant.licence})."
    )
    if weights is None:
        return hub_file(variant.hub, _CHECKPOINT, title=DAP_MODEL.title, how=how, download=download)
    path = Path(weights).expanduser()
    path = path / _CHECKPOINT if path.is_dir() else path
    if not path.is_file():
        raise BackendUnavailableError(f"weights: there is no file {path}. {how}")
    return path


def _clone(code: Path | str | None, weights: Path) -> Path:
    """The folder of the repository."""
    tried = [Path(code).expanduser()] if code is not None else [*weights.resolve().parents][:3]
    for folder in tried:
        if (folder / "networks" / "models.py").is_file():
            return folder.resolve()
    raise BackendUnavailableError(
        f"DAP has no package; it runs from a clone of its repository, which is not at {tried[0]}. Run: "
        f"{_CLONE} and put {_CHECKPOINT} into that folder, or name the clone with code="
    )


@lru_cache(maxsize=1)
def _load(path: Path, code: Path, device: torch.device) -> Any:
    """The network; the last one is kept for the next panorama."""
    with _LOCK, _inside(code):
        try:
            models = importlib.import_module("networks.models")
            importlib.import_module("networks.dap")
        except ImportError as error:
            raise BackendUnavailableError(
                f"DAP's code at {code} cannot be imported ({error}). Install what its requirements.txt names "
                "that is missing: pip install opencv-python einops torchvision"
            ) from error
        if code not in Path(str(models.__file__)).resolve().parents:
            raise BackendUnavailableError(
                f"DAP: another package called 'networks' is loaded already, from {models.__file__}; it and "
                "DAP cannot run in one program"
            )
        net = models.make({"name": "dap", "args": dict(_ARGS)})
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = {key.removeprefix("module."): value for key, value in state.items()}
        missing = net.load_state_dict(state, strict=False).missing_keys
    except (OSError, RuntimeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"weights: {path} cannot be loaded as DAP: {error}") from error
    if missing:
        raise InputError(
            f"weights: {path} lacks {len(missing)} of the tensors of DAP, e.g. {missing[0]}; it holds "
            "something else, or is damaged"
        )
    return net.to(device).eval()


@contextlib.contextmanager
def _inside(code: Path) -> Iterator[None]:
    """Import and work from the clone's folder: it has no package, and finds its parts relative to it."""
    before = Path.cwd()
    sys.path.insert(0, str(code))
    os.chdir(code)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(str(code))
