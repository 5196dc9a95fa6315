"""The model that a verb paints with: a checkpoint, and an adapter on top of it."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..diffusion import PantheonModel

__all__ = ["Painter", "add_checkpoint_arguments", "load_painter"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Painter:
    """A loaded model and what it was made of.

    Attributes:
        model: with the adapter merged in, where there is one.
        words: for people.
        metadata: for the video's file.
    """

    model: PantheonModel
    words: str
    metadata: dict[str, str]


def add_checkpoint_arguments(group: argparse._ArgumentGroup) -> None:
    """Which weights; see `load_painter`."""
    group.add_argument(
        "--model",
        default="tiny",
        help="tiny (bundled), a .safetensors file (also svd.safetensors, svd_xt.safetensors) or a diffusers "
        "folder; default %(default)s",
    )
    group.add_argument(
        "--lora",
        type=Path,
        metavar="SAFETENSORS",
        help="an adapter (lora.safetensors of a training run) that was trained on --model",
    )
    group.add_argument("--lora-scale", type=float, help="how much of the adapter; default 1")
    group.add_argument("--device", default="cpu", help="cpu, cuda, mps; default %(default)s")


def load_painter(args: argparse.Namespace) -> Painter:
    """The checkpoint with the adapter merged into its weights.

    Raises:
        InputError: the adapter is damaged, another program's, or of another model.
        BackendUnavailableError: a file is not there.
    """
    from ..assets import weights_path
    from ..diffusion import load_model

    if args.lora is None and args.lora_scale is not None:
        raise InputError("--lora-scale: expected an adapter to scale, got none; name it with --lora")
    path = weights_path("pantheon_tiny") if args.model == "tiny" else Path(args.model)
    model = load_model(path, device=args.device)
    made_of: dict[str, object] = {"model": model.config.name, "checkpoint": path.name}
    words = path.name
    if args.lora is not None:
        from ..training.lora import merge_lora, read_lora

        adapter = read_lora(args.lora)
        scale = 1.0 if args.lora_scale is None else args.lora_scale
        try:
            model = merge_lora(model, adapter, strength=scale)
        except InputError as error:
            raise InputError(f"--lora {args.lora}: {error}") from error
        made_of |= {"lora": args.lora.name, "lora_sha256": adapter.sha256, "lora_scale": scale}
        words += f" with {scale:g} of {args.lora.name} (sha256 {adapter.sha256[:12]})"
    return Painter(model=model, words=words, metadata={"pantheon360": json.dumps(made_of)})
