"""How much memory a generation needs, known before it starts, and one more try when it was too little."""

from __future__ import annotations

import functools
import json
import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..errors import MemoryBudgetError, Progress
from .codec import decoder_dtype
from .fusion import FusionSettings
from .generate import GeneratedVideo, Preview, VideoTask, generate_task
from .model import PantheonModel
from .settings import SamplerSettings

__all__ = ["MemoryEstimate", "estimate_memory", "generate_with_retry", "smaller_chunks"]

_log = logging.getLogger(__name__)
_LEAST_DECODE_CHUNK = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryEstimate:
    """Bytes on the model's device.

    Attributes:
        weights: of UNet, autoencoder and image encoder.
        sampling: largest working memory of one UNet pass beside the weights.
        encoding: the same for the autoencoder's encoder, on one chunk of frames.
        decoding: the same for its decoder.
    """

    weights: int
    sampling: int
    encoding: int
    decoding: int

    @property
    def working(self) -> int:
        """The largest working memory."""
        return max(self.sampling, self.encoding, self.decoding)

    @property
    def total(self) -> int:
        """Weights and the largest working memory."""
        return self.weights + self.working

    def __str__(self) -> str:
        parts = ("weights", "sampling", "encoding", "decoding")
        listed = ", ".join(f"{name} {getattr(self, name) / 2**30:.2f}" for name in parts)
        return f"about {self.total / 2**30:.1f} GiB of memory ({listed})"


def estimate_memory(
    model: PantheonModel, frames: int, height: int, settings: SamplerSettings | None = None
) -> MemoryEstimate:
    """How much memory `generate` will need, without generating.

    The networks are run on tensors that have a shape and no content, and the live ones are counted. Attention
    is taken as fused (no matrix of scores), as PyTorch runs it on every current device. An allocator's
    fragments and a kernel's scratch space come on top: allow a tenth more.

    Args:
        model: whose sizes and types count; it is not run.
        frames: T.
        height: H of the video in pixels, W = 2 H.
        settings: chunks, and whether both branches of the guidance run together; None for the defaults.
    """
    settings = settings or SamplerSettings()
    vae: Any = model.vae
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    both = settings.guidance_together and (settings.guidance_min, settings.guidance_max) != (1.0, 1.0)
    cells = (height // model.downscale, 2 * height // model.downscale)
    tokens = 2 * model.config.tokens_per_anchor
    encode, decode = min(settings.encode_chunk, frames), min(settings.decode_chunk, frames)
    sampling = _unet_peak(_key(model.unet), model.dtype, (1 + both, frames, *cells), tokens)
    return MemoryEstimate(
        weights=weights,
        sampling=sampling,
        encoding=_vae_peak(_key(vae), vae.dtype, encode, cells, True),
        decoding=_vae_peak(_key(vae), decoder_dtype(model), decode, cells, False),
    )


def smaller_chunks(settings: SamplerSettings) -> SamplerSettings | None:
    """Settings that need less memory for nearly the same picture; None if these are the smallest.

    One frame encoded at a time and the branches of the guidance one after the other change nothing but
    rounding; half as many frames decoded together change what the decoder sees of the frames around.
    """
    chunk = max(settings.decode_chunk // 2, min(_LEAST_DECODE_CHUNK, settings.decode_chunk))
    smaller = replace(
        settings,
        encode_chunk=1,
        guidance_together=False,
        decode_chunk=chunk,
        decode_overlap=min(settings.decode_overlap, chunk - 1),
    )
    return None if smaller == settings else smaller


def generate_with_retry(
    model: PantheonModel,
    task: VideoTask,
    *,
    settings: SamplerSettings,
    fusion: FusionSettings | None = None,
    progress: Progress | None = None,
    preview: Preview | None = None,
) -> GeneratedVideo:
    """`generate_task`, and once more in smaller chunks if the device's memory runs out.

    Raises:
        MemoryBudgetError: it runs out again.
    """
    call = {"fusion": fusion, "progress": progress, "preview": preview}
    try:
        return generate_task(model, task, settings=settings, **call)
    except RuntimeError as error:
        smaller = smaller_chunks(settings)
        if not _out_of_memory(error):
            raise
        if smaller is None:
            raise _too_little(model, task, settings) from error
    # Here the failed attempt's tensors are let go: outside of the except block nothing holds its frames.
    _log.warning("memory ran out; once more with %d frames decoded together", smaller.decode_chunk)
    _free_cached(model.device)
    try:
        return generate_task(model, task, settings=smaller, **call)
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
        raise _too_little(model, task, smaller) from error


def _too_little(model: PantheonModel, task: VideoTask, settings: SamplerSettings) -> MemoryBudgetError:
    frames, height = task.scaffold_rgb.shape[0], task.scaffold_rgb.shape[-2]
    need = estimate_memory(model, frames, height, settings)
    return MemoryBudgetError(
        f"the memory of {model.device} ran out: {frames} frames of {height} x {2 * height} need {need}; use "
        "fewer frames (or windows), a smaller height, or a half-precision model"
    )


def _out_of_memory(error: RuntimeError) -> bool:
    # The CPU's allocator and MPS raise plain RuntimeErrors.
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "allocate memory" in text


def _free_cached(device: torch.device) -> None:
    # The CPU has no such cache, every accelerator's module has.
    empty = getattr(getattr(torch, device.type, None), "empty_cache", None)
    if empty is not None:
        empty()


def _key(network: nn.Module) -> tuple[type, str]:
    """A network's class and sizes, as something that a cache can keep."""
    config: Any = network.config
    sizes = {name: value for name, value in dict(config).items() if not name.startswith("_")}
    return type(network), json.dumps(sizes, sort_keys=True, default=str)


@functools.lru_cache(maxsize=16)
def _unet_peak(
    key: tuple[type, str], dtype: torch.dtype, size: tuple[int, int, int, int], tokens: int
) -> int:
    network = _hollow(key, dtype)
    batch, frames, height, width = size
    channels, dim = network.config.in_channels, network.config.cross_attention_dim
    with torch.device("meta"):
        inputs = (
            torch.empty(batch, frames, channels, height, width, dtype=dtype),
            torch.empty(batch, dtype=dtype),
            torch.empty(batch, tokens, dim, dtype=dtype),
        )
        with _counting(network) as live:
            network(*inputs, added_time_ids=torch.empty(batch, 3, dtype=dtype), return_dict=False)
    return live.peak


@functools.lru_cache(maxsize=16)
def _vae_peak(
    key: tuple[type, str], dtype: torch.dtype, frames: int, cells: tuple[int, int], encode: bool
) -> int:
    network = _hollow(key, dtype)
    down = 2 ** (len(network.config.block_out_channels) - 1)
    with torch.device("meta"), _counting(network) as live:
        if encode:
            network.encode(torch.empty(frames, 3, cells[0] * down, cells[1] * down, dtype=dtype))
        else:
            latents = torch.empty(frames, network.config.latent_channels, *cells, dtype=dtype)
            network.decode(latents, num_frames=frames)
    return live.peak


def _hollow(key: tuple[type, str], dtype: torch.dtype) -> Any:
    """The network without weights."""
    kind, sizes = key
    with torch.device("meta"):
        network = kind.from_config(json.loads(sizes))
    # diffusers' own `to` warns about networks that it would rather cast while loading.
    return nn.Module.to(network, "meta", dtype).eval()


class _Live(TorchDispatchMode):
    """Counts the bytes of live tensors that operations made; those of `given` are not its own."""

    def __init__(self, given: nn.Module) -> None:
        super().__init__()
        self.peak = self.bytes = 0
        self._sizes: dict[int, int] = {}
        tensors = [*given.parameters(), *given.buffers()]
        self._given = {t.untyped_storage()._cdata for t in tensors}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._sizes or key in self._given:
            return
        self._sizes[key] = storage.nbytes()
        self.bytes += self._sizes[key]
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.bytes -= self._sizes.pop(key, 0)


class _Fused(TorchFunctionMode):
    """Attention without its matrix of scores; for this thread alone, as another one may be sampling."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is nn.functional.scaled_dot_product_attention:
            return torch.empty_like(args[0] if args else kwargs["query"])
        return func(*args, **kwargs)


@contextmanager
def _counting(network: nn.Module) -> Iterator[_Live]:
    live = _Live(network)
    with torch.no_grad(), _Fused(), live:
        yield live
