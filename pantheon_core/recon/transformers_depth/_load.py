"""From a folder, or the hub's cache, to a network; a download only when it was asked for."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from ...errors import BackendUnavailableError, InputError
from ._models import DEPTH_MODELS, DepthModel, Variant

if TYPE_CHECKING:
    from torch import nn

__all__ = ["DepthNetwork", "find_folder", "find_weights", "load_network", "read_json"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthNetwork:
    """A loaded network.

    Attributes:
        net: of the model's class in transformers, in evaluation mode.
        model: what its numbers mean.
        config: its config.json.
        preprocessor: its preprocessor_config.json, or the published one.
        device: where it lies.
        dtype: of its weights.
    """

    net: nn.Module
    model: DepthModel
    config: dict[str, Any]
    preprocessor: dict[str, Any]
    device: torch.device
    dtype: torch.dtype

    @property
    def far(self) -> float | None:
        """Metres from which on it says no more than "far"; None for a relative model."""
        if self.model.freedom != "metric":
            return None
        if self.model.far is not None:
            return self.model.far
        bins = self.config.get("bin_configurations") or [self.config]
        return 0.9 * max(float(one["max_depth"]) for one in bins)


class Titled(Protocol):
    """A model that has a name for people."""

    @property
    def title(self) -> str: ...


def find_weights(name: str, weights: Path | str | None, size: str, *, download: bool) -> Path:
    """The folder with a model's weights.

    Args:
        name: key of `DEPTH_MODELS`.
        weights: a folder; or a repository of the hub; None for the published weights of `size`.
        size: key of the model's variants, "" for the first.
        download: allowed.

    Raises:
        InputError: an unknown size.
        BackendUnavailableError: nothing there, and no download allowed or possible.
    """
    model = DEPTH_MODELS[name]
    if size and size not in model.variants:
        raise InputError(f"size: expected one of {', '.join(model.variants)} for {name}, got {size!r}")
    return find_folder(model, model.variants[size or next(iter(model.variants))], weights, download=download)


def find_folder(model: Titled, variant: Variant, weights: Path | str | None, *, download: bool) -> Path:
    """The folder with config.json and the weights of a model; `weights` and errors as in `find_weights`.

    Args:
        model: for messages.
        variant: the published weights.
        weights: a folder; or a repository of the hub; None for the published ones.
        download: allowed.
    """
    if weights is not None:
        folder = Path(weights).expanduser()
        if folder.is_file():
            raise BackendUnavailableError(
                f"weights: expected the folder that holds {folder.name}, got the file itself"
            )
        if folder.is_dir():
            return _whole(folder, model, variant)
        if isinstance(weights, Path) or weights.count("/") != 1 or weights.startswith((".", "/", "~")):
            raise BackendUnavailableError(f"weights: there is no folder {folder}. {_how(model, variant)}")
        variant = Variant(hub=weights, gigabytes=variant.gigabytes, vram_gigabytes=0, licence="see its page")
    return _whole(_from_hub(model, variant, download), model, variant)


def _from_hub(model: Titled, variant: Variant, download: bool) -> Path:
    """The hub's folder of a repository, from its cache or downloaded; a broken download goes on."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if download:
        _log.info("%s: fetching %s (about %.1f GB)", model.title, variant.hub, variant.gigabytes)
    try:
        return Path(
            snapshot_download(
                variant.hub, local_files_only=not download, allow_patterns=["*.json", "*.safetensors"]
            )
        )
    except LocalEntryNotFoundError as error:
        if download:
            raise BackendUnavailableError(
                f"{model.title}: {variant.hub} could not be downloaded: {error}. {_how(model, variant)}"
            ) from error
        raise BackendUnavailableError(f"{model.title} has no weights yet. {_how(model, variant)}") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise BackendUnavailableError(
            f"{model.title}: {variant.hub} could not be downloaded: {error}. {_how(model, variant)}"
        ) from error


def _how(model: Titled, variant: Variant) -> str:
    return (
        f"Give as weights a folder with the files config.json and model.safetensors of "
        f"https://huggingface.co/{variant.hub}, or allow the download (download=True, about "
        f"{variant.gigabytes:.1f} GB, licence: {variant.licence})."
    )


def _whole(folder: Path, model: Titled, variant: Variant) -> Path:
    has_weights = any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))
    if not (folder / "config.json").is_file() or not has_weights:
        raise BackendUnavailableError(
            f"weights: {folder} does not hold both config.json and model.safetensors. {_how(model, variant)}"
        )
    return folder


def read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"weights: {path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"weights: expected an object in {path}, got {type(found).__name__}")
    return found


@lru_cache(maxsize=1)
def load_network(name: str, folder: Path, device: torch.device, dtype: torch.dtype) -> DepthNetwork:
    """Read a network; the last one is kept for the next panorama.

    Raises:
        BackendUnavailableError: transformers is missing or too old for the model.
        InputError: the folder holds another model, or damaged weights.
    """
    model = DEPTH_MODELS[name]
    config = read_json(folder / "config.json")
    _check_config(model, config, folder)
    try:
        import transformers

        cls = getattr(transformers, model.class_name)
    except (ImportError, AttributeError) as error:
        raise BackendUnavailableError(
            f"{model.title} needs transformers with {model.class_name}; run: pip install -U transformers"
        ) from error
    # the views' field of view is known: Depth Pro's own guess of it would be thrown away
    extra = {"use_fov_model": False} if model.model_type == "depth_pro" else {}
    from safetensors import SafetensorError

    try:
        net, info = cls.from_pretrained(str(folder), local_files_only=True, output_loading_info=True, **extra)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise InputError(f"weights: {folder} cannot be loaded as {model.title}: {error}") from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise InputError(
            f"weights: {folder} lacks {len(missing)} of the tensors of {model.title}, e.g. {missing[0]}; "
            "download it again"
        )
    path = folder / "preprocessor_config.json"
    return DepthNetwork(
        net=net.to(device=device, dtype=dtype).eval().requires_grad_(False),
        model=model,
        config=net.config.to_dict(),
        preprocessor=read_json(path) if path.is_file() else dict(model.preprocessor),
        device=device,
        dtype=dtype,
    )


def _check_config(model: DepthModel, config: dict[str, Any], folder: Path) -> None:
    found = config.get("model_type")
    if found != model.model_type:
        raise InputError(
            f"weights: expected a model of type {model.model_type!r} for {model.title}, got {found!r} in "
            f"{folder}"
        )
    if model.estimation is not None:
        kind = config.get("depth_estimation_type", "relative")
        if kind != model.estimation:
            others = [n for n, m in DEPTH_MODELS.items() if m.estimation == kind]
            raise InputError(
                f"weights: {folder} holds a {kind} model, {model.title} is {model.estimation}; choose the "
                f"backend {' or '.join(others)}"
            )
