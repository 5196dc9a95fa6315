"""Checkpoints: the project's single safetensors file, Stability's, and diffusers folders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import BackendUnavailableError, InputError
from ..files import replacing
from .config import ModelConfig
from .model import PantheonModel
from .sgm import Weights, build_empty, differences, is_sgm, open_sgm, sgm_config, shapes_of, stock_config

__all__ = ["load_model", "read_config", "save_model"]

_HEADER_KEY = "pantheon360"
_FORMAT_VERSION = 1
_FLOATS = (torch.float16, torch.bfloat16, torch.float32)
_CONFIG_FILE = "pantheon360.json"


def save_model(model: PantheonModel, path: str | Path, *, dtype: torch.dtype | None = None) -> Path:
    """Write one safetensors file with the weights and, in its header, all configs.

    The file appears under its name only when it is complete.

    Args:
        model: the model.
        path: target; ".safetensors" is the usual ending. Parent folders are made.
        dtype: float16, bfloat16 or float32 for all weights; None keeps each weight's own.

    Returns:
        The path written.

    Raises:
        InputError: the dtype is none of the three.
    """
    from safetensors.torch import save_file

    if dtype is not None and dtype not in _FLOATS:
        raise InputError(f"dtype: expected float16, bfloat16 or float32, got {dtype}")
    tensors = {
        key: value.detach().to("cpu", dtype if value.is_floating_point() else None).clone().contiguous()
        for key, value in model.state_dict().items()
    }
    header = {"version": _FORMAT_VERSION, "config": model.config.to_dict(), "parts": model.part_configs()}
    path = Path(path)
    with replacing(path) as partial:
        save_file(
            tensors, partial, metadata={"format": "pt", _HEADER_KEY: json.dumps(header, sort_keys=True)}
        )
    return path


def read_config(path: str | Path) -> ModelConfig:
    """Read a checkpoint's config without its weights.

    Args:
        path: our single file, Stability's, or a diffusers folder; see `load_model`.

    Raises:
        BackendUnavailableError: there is no such file or folder.
        InputError: it is damaged or not a video model.
    """
    path = _existing(path)
    if path.is_dir():
        return _folder_config(path)
    with _open(path) as file:
        if is_sgm(set(file.keys())):
            with _naming(path):
                return sgm_config(path.stem, shapes_of(file))
        return _read_header(path, file.metadata())[0]


def load_model(
    path: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    config: ModelConfig | None = None,
) -> PantheonModel:
    """Load a checkpoint.

    Args:
        path: our single file (`save_model`); Stability's single file as ComfyUI has it (svd.safetensors,
            svd_xt.safetensors, any precision); or a diffusers folder of Stable Video Diffusion with unet/,
            vae/ and image_encoder/ in it. Nothing is downloaded.
        dtype: of the weights. With float16 the autoencoder's encoder stays in float32 where its config asks
            for it (`force_upcast`): in half precision it overflows. Its decoder does not, and needs the
            most memory of all parts; the published pipeline runs it in float16 too.
        device: where the weights go.
        config: replaces the config found, e.g. to drive stock weights with scaffolds. Stability's file does
            not say how many frames it was trained with: 14 where its name has "svd" but no "xt" in it, else
            25.

    Returns:
        The model in evaluation mode.

    Raises:
        BackendUnavailableError: there is no such file or folder.
        InputError: it is damaged, incomplete or not a video model.
    """
    if dtype not in _FLOATS:
        raise InputError(f"dtype: expected float16, bfloat16 or float32, got {dtype}")
    path = _existing(path)
    model = _load_folder(path, config) if path.is_dir() else _load_file(path, config, dtype)
    for name, part in model.named_children():
        nn.Module.to(part, dtype=_part_dtype(model, name, dtype))
    nn.Module.to(model.vae.decoder, dtype=_part_dtype(model, "vae.decoder", dtype))
    return model.to(device).eval()


def _part_dtype(model: PantheonModel, name: str, dtype: torch.dtype) -> torch.dtype:
    """Of a part or a weight with this dotted name."""
    encoder = name.startswith("vae") and not name.startswith("vae.decoder")
    if encoder and dtype == torch.float16 and model.vae_needs_float32:
        return torch.float32
    return dtype


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise BackendUnavailableError(f"checkpoint {path}: no such file or folder; check the path")
    return path


def _open(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="pt", device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"checkpoint {path}: not a readable safetensors file ({error}); it is damaged or cut short, "
            "fetch or save it again"
        ) from error


def _read_header(
    path: Path, metadata: Mapping[str, str] | None
) -> tuple[ModelConfig, dict[str, dict[str, Any]]]:
    if metadata is None or _HEADER_KEY not in metadata:
        raise InputError(
            f"checkpoint {path}: no Pantheon360 config in its header, and not Stability's names of weights; "
            "expected a file made by save_model, svd.safetensors or svd_xt.safetensors"
        )
    try:
        header = json.loads(metadata[_HEADER_KEY])
        version, config, parts = header["version"], header["config"], header["parts"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"checkpoint {path}: damaged config in its header ({error!r})") from error
    if version != _FORMAT_VERSION:
        raise InputError(
            f"checkpoint {path}: format version {version}, this package reads {_FORMAT_VERSION}; "
            "update the package"
        )
    return ModelConfig.from_dict(config), parts


def _load_file(path: Path, config: ModelConfig | None, dtype: torch.dtype) -> PantheonModel:
    from safetensors import SafetensorError

    try:
        with _open(path) as file:
            if is_sgm(set(file.keys())):
                with _naming(path):
                    model, weights = open_sgm(path.stem, file, config)
            else:
                model, weights = _open_own(path, file, config)
            _assign(model, weights, dtype)
    except SafetensorError as error:
        raise InputError(f"checkpoint {path}: damaged ({error}); fetch or save it again") from error
    _fill_buffers(model)
    return model


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors in a file name the file."""
    try:
        yield
    except InputError as error:
        raise InputError(f"checkpoint {path}: {error}") from error


def _open_own(path: Path, file: Any, config: ModelConfig | None) -> tuple[PantheonModel, Weights]:
    found, parts = _read_header(path, file.metadata())
    model = build_empty(config or found, parts)
    _check_tensors(path, model, shapes_of(file))
    return model, ((key, file.get_tensor(key)) for key in file.keys())  # noqa: SIM118 (not a dict)


def _assign(model: PantheonModel, weights: Weights, dtype: torch.dtype) -> None:
    """Put the weights in place, each in its final precision before the next one is read."""

    def cast(name: str, value: Tensor) -> Tensor:
        wanted = _part_dtype(model, name, dtype)
        return value.to(wanted) if value.is_floating_point() else value

    model.load_state_dict({name: cast(name, value) for name, value in weights}, strict=True, assign=True)


def _check_tensors(path: Path, model: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Compare names and shapes with the architecture, and say what differs in one sentence."""
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    missing = sorted(set(wanted) - set(shapes))
    unexpected = sorted(set(shapes) - set(wanted))
    misshapen = [
        f"{key} {shapes[key]} instead of {wanted[key]}"
        for key in sorted(set(wanted) & set(shapes))
        if shapes[key] != wanted[key]
    ]
    problems = differences(missing, unexpected, misshapen)
    if problems:
        raise InputError(f"checkpoint {path}: weights do not fit its config; {problems}")


def _fill_buffers(model: nn.Module) -> None:
    """Give storage to buffers that no file holds: the image encoder's running position numbers."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta and name == "position_ids":
                module.register_buffer(
                    name, torch.arange(buffer.shape[-1]).expand(buffer.shape), persistent=False
                )
            elif buffer.is_meta:
                raise InputError(f"checkpoint: no value for the buffer {name} of {type(module).__name__}")


def _folder_config(path: Path) -> ModelConfig:
    try:
        if (path / _CONFIG_FILE).exists():
            return ModelConfig.from_dict(json.loads((path / _CONFIG_FILE).read_text(encoding="utf-8")))
        unet = json.loads((path / "unet" / "config.json").read_text(encoding="utf-8"))
        encoder = json.loads((path / "image_encoder" / "config.json").read_text(encoding="utf-8"))
        frames, size = int(unet["num_frames"]), int(encoder["image_size"])
    except (OSError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"checkpoint {path}: not a diffusers folder of a video model ({error!r}); expected unet/, "
            "vae/ and image_encoder/, each with its config.json"
        ) from error
    return stock_config(path.name, frames, size)


def _load_folder(path: Path, config: ModelConfig | None) -> PantheonModel:
    from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
    from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
    from transformers import CLIPVisionModelWithProjection

    config = config or _folder_config(path)
    kind: Any
    parts: list[Any] = []
    for name, kind in (
        ("unet", UNetSpatioTemporalConditionModel),
        ("vae", AutoencoderKLTemporalDecoder),
        ("image_encoder", CLIPVisionModelWithProjection),
    ):
        folder = path / name
        try:
            part, info = kind.from_pretrained(str(folder), local_files_only=True, output_loading_info=True)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
            raise InputError(f"checkpoint {folder}: cannot be loaded ({error})") from error
        problems = {
            words: sorted(info[words]) for words in ("missing_keys", "unexpected_keys") if info.get(words)
        }
        # Older exports store the position numbers, which are not weights.
        wrong = {w: [k for k in keys if "position_ids" not in str(k)] for w, keys in problems.items()}
        if any(wrong.values()):
            raise InputError(f"checkpoint {folder}: weights do not fit its config; {wrong}")
        parts.append(part)
    return PantheonModel(config, *parts)
