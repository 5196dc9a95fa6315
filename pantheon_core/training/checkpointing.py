"""Gradient checkpointing of the video UNet, temporal layers included."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

__all__ = ["checkpointed"]

Around: TypeAlias = Callable[[nn.Module], AbstractContextManager[Any]]
"""Context that a block's forward pass runs in, given the block."""


@contextmanager
def checkpointed(unet: nn.Module, *, around: Around | None = None) -> Iterator[int]:
    """Within the block, every residual and attention block of the UNet keeps its input alone.

    What lies inside is computed again in the backward pass. diffusers' own switch leaves the temporal
    transformer blocks out, which hold about half of the activations; here a block is a spatial layer and its
    temporal one together. On exit the UNet is as it was found.

    Args:
        unet: UNetSpatioTemporalConditionModel.
        around: context entered for the second computation, which must run as the first did. The backward pass
            happens after contexts around the forward call were left: a spherical UNet needs `spherical` here.
            autocast and random states are restored without it.

    Yields:
        How many blocks are checkpointed.
    """
    from diffusers.models.resnet import SpatioTemporalResBlock
    from diffusers.models.transformers.transformer_temporal import TransformerSpatioTemporalModel

    blocks = [
        block
        for block in unet.modules()
        if isinstance(block, (SpatioTemporalResBlock, TransformerSpatioTemporalModel))
    ]
    with ExitStack() as stack:
        for block in blocks:
            block.forward = _Recomputed(block, around)
            stack.callback(block.__dict__.pop, "forward")
        yield len(blocks)


class _Recomputed:
    """Stands in for a block's forward method."""

    def __init__(self, block: nn.Module, around: Around | None) -> None:
        self.forward = block.forward
        self.block = block
        self.around = around

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.forward(*args, **kwargs)
        return checkpoint(self.forward, *args, use_reentrant=False, context_fn=self._contexts, **kwargs)

    def _contexts(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        again = contextlib.nullcontext() if self.around is None else self.around(self.block)
        return contextlib.nullcontext(), again
