"""From a folder, or the hub's cache, to a network; a download only when it was asked for."""

from __future__ import annotations

import pickle
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ...errors import BackendUnavailableError, InputError
from .._weights import hub_folder
from ..transformers_depth import DepthModel
from ._models import MULTIVIEW_MODELS, MultiViewModel

__all__ = ["find_weights", "load_network"]


def find_weights(
    model: MultiViewModel | DepthModel,
    weights: Path | str | None,
    size: str,
    *,
    download: bool,
    needs_config: bool,
) -> Path:
    """The folder with model.safetensors.

    Args:
        model: which.
        weights: that folder, or the file in it; None for the published weights.
        size: key of the model's variants, "" for the first.
        download: allowed.
        needs_config: the folder must hold config.json too.

    Raises:
        InputError: an unknown size.
        BackendUnavailableError: nothing there, and no download allowed or possible.
    """
    if size and size not in model.variants:
        raise InputError(f"size: expected one of {', '.join(model.variants)}, got {size!r}")
    variant = model.variants[size or next(iter(model.variants))]
    files = "config.json and model.safetensors" if needs_config else "model.safetensors"
    how = (
        f"Give as weights a folder with {files} of https://huggingface.co/{variant.hub}, or allow the "
        f"download (download=True, about {variant.gigabytes:.1f} GB, licence: {variant.licence})."
    )
    if weights is None:
        folder = hub_folder(variant.hub, title=model.title, how=how, download=download)
    else:
        folder = Path(weights).expanduser()
        folder = folder.parent if folder.is_file() else folder
    complete = any(folder.glob("*.safetensors")) and (not needs_config or (folder / "config.json").is_file())
    if not complete:
        raise BackendUnavailableError(f"weights: {folder} does not hold {files}. {how}")
    return folder


@lru_cache(maxsize=1)
def load_network(name: str, folder: Path, device: torch.device) -> Any:
    """The network in evaluation mode; the last one is kept for the next panoramas.

    Raises:
        BackendUnavailableError: its package is not installed.
        InputError: the folder holds something else.
    """
    model = MULTIVIEW_MODELS[name]
    try:
        cls = getattr(import_module(model.module), model.class_name)
    except (ImportError, AttributeError) as error:
        raise BackendUnavailableError(
            f"{model.title} is not installed ({error}). Install it into this Python: {model.install}"
        ) from error
    try:
        net = cls.from_pretrained(str(folder))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(f"weights: {folder} cannot be loaded as {model.title}: {error}") from error
    return net.to(device).eval()
