"""`pantheon360 lora`: merge a trained adapter into a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._console import Bars, Verbs, refuse_overwrite

__all__ = ["add"]


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    verb = verbs.add_parser(
        "lora", parents=[common], help="merge a trained adapter (lora.safetensors) into its checkpoint"
    )
    verb.add_argument("adapter", type=Path, help="lora.safetensors of a training run")
    verb.add_argument("--model", type=Path, required=True, help="the checkpoint that it was trained on")
    verb.add_argument("--out", type=Path, required=True, metavar="SAFETENSORS", help="the model to write")
    verb.add_argument("--strength", type=float, default=1.0, help="of the adapter; default %(default)s")
    verb.add_argument("--overwrite", action="store_true", help="replace the file if it is there")
    verb.set_defaults(run=_run)


def _run(args: argparse.Namespace, bars: Bars) -> str:
    import torch

    from ..diffusion import load_model, save_model
    from ..training.lora import merge_lora, read_lora

    refuse_overwrite(args, args.out)
    file = read_lora(args.adapter)
    merged = merge_lora(load_model(args.model), file, strength=args.strength)
    save_model(merged, args.out, dtype=torch.float16)
    return f"wrote {args.out}: {args.model.name} with {args.adapter.name}"
