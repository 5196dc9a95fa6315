"""The distance network's file: float16 safetensors with its configuration in the header."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import torch

from ..errors import InputError
from ._tiny_net import TinyDepthNet

__all__ = ["cached_tiny", "load_tiny", "save_tiny"]

_FORMAT = "pantheon-tiny-depth-1"


def save_tiny(net: TinyDepthNet, path: Path, *, height: int, **notes: str | int | float) -> None:
    """Write the weights in float16, atomically.

    Args:
        net: the network.
        path: of the safetensors file.
        height: of the panoramas it was trained on, pixels; the backend uses the same.
        notes: go into the header's configuration.
    """
    from safetensors.torch import save_file

    config: dict[str, str | int | float] = {
        "format": _FORMAT,
        "context": net.context.squeeze.out_features,
        "head": net.head.in_channels,
        "height": height,
    }
    header = {
        "config": json.dumps(config | notes),
        "credit": "encoder and decoder fine-tuned from FastDepth (c) 2019 Diana Wofk, Fangchang Ma, "
        "Tien-Ju Yang, Sertac Karaman, Vivienne Sze, MIT licence",
    }
    part = path.with_suffix(".part")
    save_file({k: v.half().contiguous() for k, v in net.state_dict().items()}, str(part), metadata=header)
    part.chmod(0o644)  # safetensors writes for the owner only; the file is meant to be shipped
    part.replace(path)


def load_tiny(path: Path) -> TinyDepthNet:
    """Read the network, in float32 and evaluation mode.

    Raises:
        InputError: the file is not such a network.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            config = json.loads((file.metadata() or {}).get("config", "{}"))
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: expected the distance network's safetensors file: {error}") from error
    if config.get("format") != _FORMAT:
        raise InputError(f"{path}: expected format {_FORMAT!r} in the header, got {config.get('format')!r}")
    net = TinyDepthNet(context=config["context"], head=config["head"])
    net.load_state_dict(state)
    net.input_height = int(config["height"])
    return net.eval().requires_grad_(True)


@lru_cache(maxsize=2)
def cached_tiny(path: Path, device: torch.device) -> TinyDepthNet:
    """The network on a device, read once."""
    return load_tiny(path).to(device).requires_grad_(False)
