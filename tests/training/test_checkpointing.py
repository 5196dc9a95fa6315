"""Gradient checkpointing: the same gradients, less memory than without and than diffusers' own."""

from __future__ import annotations

import weakref
from contextlib import ExitStack

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import CheckpointError

from pantheon_core.diffusion import build_tiny, spherical
from pantheon_core.training.checkpointing import checkpointed


class PeakMemory(TorchDispatchMode):
    """Most bytes of tensors alive at once, of those made within the block."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen or size == 0:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


@pytest.fixture(scope="module")
def unet():
    model = build_tiny(
        unet_channels=(32, 32), vae_channels=(32,) * 4, token_dim=32, encoder_size=16, encoder_layers=1
    )
    return model.unet.train()


def _backward(unet, *, inside: bool = False) -> tuple[dict[str, torch.Tensor], int]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 6, 8, 16, 32, generator=generator)
    tokens = torch.randn(1, 8, 32, generator=generator)
    unet.zero_grad(set_to_none=True)
    with PeakMemory() as memory, ExitStack() as still_spherical:
        with spherical(unet):
            out = unet(x, torch.tensor([0.1]), tokens, added_time_ids=torch.ones(1, 3), return_dict=False)[0]
        if inside:
            still_spherical.enter_context(spherical(unet))
        out.square().mean().backward()
    return {name: p.grad for name, p in unet.named_parameters() if p.grad is not None}, memory.peak


def test_gradients_are_the_same_and_memory_is_less(unet):
    plain, full = _backward(unet)
    unet.enable_gradient_checkpointing()
    _, stock = _backward(unet, inside=True)
    unet.disable_gradient_checkpointing()
    with checkpointed(unet, around=spherical) as blocks:
        assert blocks > 6
        ours, less = _backward(unet)
    assert set(ours) == set(plain)
    for name, gradient in plain.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-7, rtol=1e-5)
    assert less < 0.8 * stock
    assert less < 0.5 * full


def test_a_second_pass_that_runs_otherwise_is_noticed(unet):
    # Recomputed without the spherical padding: what the argument `around` is for.
    with checkpointed(unet), pytest.raises(CheckpointError):
        _backward(unet)


def test_the_unet_is_left_as_it_was(unet):
    with checkpointed(unet):
        assert any("forward" in m.__dict__ for m in unet.modules())
    assert not any("forward" in m.__dict__ for m in unet.modules())
