"""Low-rank adapters of the UNet: injected by peft, kept in a small file with its config.

The file is safetensors: `unet.<layer>.lora_A.weight` (r, in) and `unet.<layer>.lora_B.weight` (out, r), and
the learned token offsets whole, where the model has them. Its header says how the weights are driven.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..diffusion import ModelConfig, PantheonModel
from ..errors import BackendUnavailableError, InputError
from ..files import replacing
from .config_parts import LoRAConfig

__all__ = ["LoRAFile", "inject_lora", "load_lora", "merge_lora", "merged_copy", "read_lora", "save_lora"]

_HEADER_KEY = "pantheon360_lora"
_FORMAT_VERSION = 1
_UNET, _TOKENS = "unet.", "token_embedding."
_A, _B = ".lora_A.weight", ".lora_B.weight"
_ADAPTER = "default"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoRAFile:
    """What an adapter file holds.

    Attributes:
        settings: rank, alpha, target modules.
        config: how a model with the adapter is driven.
        weights: by name in the model, as the file has them.
        sha256: of the file, in hexadecimal.
    """

    settings: LoRAConfig
    config: ModelConfig
    weights: dict[str, Tensor]
    sha256: str


def inject_lora(model: PantheonModel, settings: LoRAConfig, *, seed: int = 0) -> list[str]:
    """Put fresh adapters, which change nothing yet, beside the UNet's layers; all other weights are frozen.

    Args:
        model: changed in place.
        settings: rank, alpha, target modules.
        seed: of the adapters' first values. The global random state is left as it was.

    Returns:
        Names of the parameters to train: adapters, and token offsets where the model has them.

    Raises:
        InputError: no layer, or one that is not linear, has such a name.
        BackendUnavailableError: peft is missing.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ModuleNotFoundError as error:
        raise BackendUnavailableError("LoRA needs peft: pip install 'pantheon360[train]'") from error
    _check_targets(model.unet, settings.target_modules)
    model.requires_grad_(False)
    peft_config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,  # pyright: ignore[reportArgumentType] (any number will do)
        target_modules=list(settings.target_modules),
        init_lora_weights="gaussian",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(peft_config, model.unet, adapter_name=_ADAPTER)
    trained = []
    for name, parameter in model.named_parameters():
        if ".lora_" in name or name.startswith(_TOKENS):
            # Adapters are trained in full precision even beside weights in half.
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
            trained.append(name)
    return trained


def save_lora(
    model: PantheonModel, path: str | Path, settings: LoRAConfig, *, averaged: dict[str, Tensor] | None = None
) -> Path:
    """Write the adapters of a model as a half-precision file; it appears whole or not at all.

    Args:
        model: with adapters in its UNet.
        path: ending in .safetensors.
        settings: that they were injected with.
        averaged: values to write in place of the model's, by parameter name.

    Raises:
        InputError: the model has no adapters.
    """
    from safetensors.torch import save_file

    values = {**dict(model.named_parameters()), **(averaged or {})}
    tensors = {
        name.replace(f".{_ADAPTER}.", "."): value.detach().to("cpu", torch.float16).contiguous()
        for name, value in values.items()
        if ".lora_" in name or name.startswith(_TOKENS)
    }
    if not any(".lora_" in name for name in tensors):
        raise InputError("model: has no adapters to save; inject_lora puts them in")
    header = {
        "version": _FORMAT_VERSION,
        "r": settings.r,
        "alpha": settings.alpha,
        "target_modules": list(settings.target_modules),
        "config": model.config.to_dict(),
    }
    path = Path(path)
    with replacing(path) as partial:
        save_file(tensors, partial, metadata={"format": "pt", _HEADER_KEY: json.dumps(header)})
    return path


def read_lora(path: str | Path) -> LoRAFile:
    """Read an adapter file.

    Raises:
        BackendUnavailableError: there is no such file.
        InputError: it is damaged or not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise BackendUnavailableError(f"adapter {path}: no such file; check the path")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = json.loads((file.metadata() or {})[_HEADER_KEY])
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        if header["version"] != _FORMAT_VERSION:
            raise InputError(
                f"adapter {path}: format version {header['version']}, this package reads {_FORMAT_VERSION}; "
                "update the package"
            )
        settings = LoRAConfig(
            r=header["r"], alpha=header["alpha"], target_modules=tuple(header["target_modules"])
        )
        return LoRAFile(
            settings=settings,
            config=ModelConfig.from_dict(header["config"]),
            weights=weights,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError, OSError) as error:
        raise InputError(
            f"adapter {path}: not an adapter file of Pantheon360, or damaged ({error!r})"
        ) from error


def merge_lora(model: PantheonModel, file: LoRAFile, *, strength: float = 1.0) -> PantheonModel:
    """A model with the adapter added to its weights: W + strength alpha / r B A. Needs no peft.

    Args:
        model: of the architecture that the adapter was trained on. Its UNet is changed in place.
        file: see `read_lora`.
        strength: how much of the adapter; 0 leaves the weights. The token offsets are taken whole.

    Returns:
        A model of the same networks that is driven as the adapter's config says.

    Raises:
        InputError: the adapter is of another architecture, or the strength is not a finite number.
    """
    if not math.isfinite(strength):
        raise InputError(f"strength: expected a finite number, got {strength}")
    merged = _driven_by(model, file)
    layers = dict(merged.unet.named_modules())
    changes = {name: _change(file, name, strength) for name in _layers(file)}
    for name, change in changes.items():
        layer = layers.get(name.removeprefix(_UNET))
        if not isinstance(layer, nn.Linear) or layer.weight.shape != change.shape:
            raise _other_model(f"{name} is no layer of this one that it fits")
    with torch.no_grad():
        for name, change in changes.items():
            weight = merged.get_parameter(f"{name}.weight")
            weight.copy_((weight.float().cpu() + change).to(weight))
    return merged


def merged_copy(model: PantheonModel, file: LoRAFile) -> PantheonModel:
    """A model with an adapter merged, out of one that has adapters injected, which stays as it is.

    Weights that no adapter changes are shared between the two.
    """
    from ..diffusion.sgm import build_empty

    state = {
        key.replace(".base_layer.", "."): value.detach()
        for key, value in model.state_dict().items()
        if ".lora_" not in key
    }
    for name in _layers(file):
        key = f"{name}.weight"
        change = _change(file, name, 1.0)
        state[key] = (state[key].float().cpu() + change).to(state[key])
    state |= {key: value.float() for key, value in file.weights.items() if key.startswith(_TOKENS)}
    copy = build_empty(file.config, model.part_configs())
    copy.load_state_dict(state, assign=True)
    return copy


def load_lora(model: PantheonModel, file: LoRAFile) -> PantheonModel:
    """A model with the adapter beside its weights, which stay as they were; to train on, or to compare.

    Raises:
        InputError: the adapter is of another architecture.
        BackendUnavailableError: peft is missing.
    """
    result = _driven_by(model, file)
    inject_lora(result, file.settings)
    state = dict(result.named_parameters())
    for name, value in file.weights.items():
        key = name.replace(_A, f".lora_A.{_ADAPTER}.weight").replace(_B, f".lora_B.{_ADAPTER}.weight")
        if key not in state or state[key].shape != value.shape:
            raise _other_model(f"{name} is no layer of this one that it fits")
        state[key].data.copy_(value)
    return result


def _layers(file: LoRAFile) -> list[str]:
    """Names of the layers that an adapter changes."""
    return [key.removesuffix(_A) for key in file.weights if key.endswith(_A)]


def _change(file: LoRAFile, name: str, strength: float) -> Tensor:
    """What is added to a layer's weight, (out, in) float32."""
    a, b = file.weights[name + _A], file.weights.get(name + _B)
    if b is None or a.ndim != 2 or b.ndim != 2 or b.shape[1] != a.shape[0]:
        raise InputError(f"adapter: the two matrices of {name} do not fit each other; the file is damaged")
    return (strength * file.settings.alpha / file.settings.r) * (b.float() @ a.float())


def _driven_by(model: PantheonModel, file: LoRAFile) -> PantheonModel:
    """The same networks under the adapter's config, with its token offsets."""
    result = PantheonModel(file.config, model.unet, model.vae, model.image_encoder)
    offsets = {k.removeprefix(_TOKENS): v.float() for k, v in file.weights.items() if k.startswith(_TOKENS)}
    if result.token_embedding is not None:
        wanted = {name: value.shape for name, value in result.token_embedding.state_dict().items()}
        if {name: value.shape for name, value in offsets.items()} != wanted:
            raise _other_model("its token offsets do not fit")
        result.token_embedding.load_state_dict(offsets)
        result.token_embedding.to(model.device)
    return result.eval()


def _other_model(why: str) -> InputError:
    return InputError(f"adapter: it was trained on another model: {why}; give the checkpoint of its training")


def _check_targets(unet: nn.Module, names: tuple[str, ...]) -> None:
    for target in names:
        found: list[Any] = [m for n, m in unet.named_modules() if n == target or n.endswith(f".{target}")]
        if not found or not all(isinstance(m, nn.Linear) for m in found):
            kinds = sorted({type(m).__name__ for m in found}) or ["no layer"]
            raise InputError(
                f"lora.target_modules: expected ends of names of linear layers such as to_q, "
                f"got {target!r} ({', '.join(kinds)})"
            )
