"""FastDepth's published weights (ONNX) as torch modules: the original network, and ours started from it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import BackendUnavailableError, InputError
from ..recon._tiny_net import _DECODER, _ENCODER, _SKIP_FROM, TinyDepthNet, _Conv, _Separable

__all__ = ["FastDepth", "load_fastdepth", "tiny_from_fastdepth"]


class FastDepth(nn.Module):
    """The perspective original: rgb (B, 3, h, w) 0..1, sides multiples of 32 -> z-depth (B, h, w), metres."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, 16, 3, stride=2)
        self.encoder = nn.ModuleList(_Separable(i, o, 3, s, 6.0) for i, o, s in _ENCODER)
        self.decoder = nn.ModuleList(_Separable(i, o, 5, 1, None) for i, o in _DECODER)
        self.head = _Conv(16, 1, 1)
        for module in self.modules():
            if isinstance(module, _Conv):
                module.spherical = False

    def forward(self, rgb: Tensor) -> Tensor:
        """See the class."""
        x = F.relu6(self.stem(rgb))
        skips: dict[int, Tensor] = {}
        for i, block in enumerate(self.encoder):
            x = block(x)
            if i in _SKIP_FROM:
                skips[_SKIP_FROM[i]] = x
        for i, block in enumerate(self.decoder):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x + skips[i] if i in skips else x)
        return F.relu(F.interpolate(self.head(x), scale_factor=2, mode="nearest"))[:, 0]


def _folded_convolutions(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every convolution's (weight, bias) in graph order, batch normalisation folded in."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise BackendUnavailableError("reading FastDepth's weights needs onnx: pip install onnx") from error
    graph = onnx.load(str(path)).graph
    arrays = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in graph.initializer}
    nodes = list(graph.node)
    folded = []
    for conv, norm in pairwise(nodes):
        if conv.op_type != "Conv":
            continue
        if norm.op_type != "BatchNormalization":
            raise InputError(f"{path.name}: expected batch normalisation after every convolution")
        gain, shift, mean, var = (arrays[name] for name in norm.input[1:5])
        eps = next(a.f for a in norm.attribute if a.name == "epsilon")
        scale = gain / np.sqrt(var + eps)
        weight = arrays[conv.input[1]] * scale[:, None, None, None]
        folded.append((weight, shift - mean * scale))
    return folded


def load_fastdepth(path: Path) -> FastDepth:
    """Read `fastdepth_nyu.onnx` into the torch module, equal to it within rounding.

    Raises:
        BackendUnavailableError: the file or the onnx package is missing.
        InputError: the file holds another network.
    """
    if not path.is_file():
        raise BackendUnavailableError(f"FastDepth's weights are not at {path}; pass --fastdepth PATH")
    net = FastDepth().eval()
    convs = [m for m in net.modules() if isinstance(m, _Conv)]
    folded = _folded_convolutions(path)
    if len(folded) != len(convs):
        raise InputError(f"{path.name}: expected {len(convs)} convolutions, got {len(folded)}")
    with torch.no_grad():
        for conv, (weight, bias) in zip(convs, folded, strict=True):
            if tuple(conv.weight.shape) != weight.shape or conv.bias is None:
                raise InputError(f"{path.name}: expected {tuple(conv.weight.shape)}, got {weight.shape}")
            conv.weight.copy_(torch.from_numpy(weight))
            conv.bias.copy_(torch.from_numpy(bias))
    return net


def tiny_from_fastdepth(source: FastDepth) -> TinyDepthNet:
    """The spherical network from FastDepth's layers, all but the last stage; the latitude starts at zero."""
    net = TinyDepthNet()
    state = net.state_dict()
    for name, value in source.state_dict().items():
        if name == "stem.weight":
            state[name][:, :3] = value
            state[name][:, 3:] = 0.0
        elif not name.startswith("head.") and name in state:
            state[name] = value.clone()
    net.load_state_dict(state)
    return net
