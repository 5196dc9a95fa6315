"""Each network's call, and its answer in the project's conventions.

What is relied on:

Pi3: `Pi3()(images (1, N, 3, H, W) of 0..1)` gives `local_points` (1, N, H, W, 3) in the OpenCV camera of each
view, `conf` (1, N, H, W, 1) as logits, `camera_poses` (1, N, 4, 4) camera to world. Pi3X takes besides
`intrinsics` (1, N, 3, 3) in pixels whose centres are at halves, `poses` (1, N, 4, 4) camera to world, and
`mask_add_ray`, `mask_add_pose`, `mask_add_depth` (1, N) bool that say which views have them; it is in metres.
VGGT: `VGGT()(images)` gives `pose_enc` (1, N, 9), which its `pose_encoding_to_extri_intri` turns into
matrices world to camera, `depth` (1, N, H, W, 1) along the axis and `depth_conf` (1, N, H, W) = 1 + exp(x).
Depth Anything 3: `inference([arrays (H, W, 3) uint8], process_res=)` gives an object with `depth` (N, H, W)
along the axis, `conf` = 1 + exp(x) or None, `extrinsics` (N, 3 or 4, 4) world to camera, `sky` (N, H, W) or
None, `is_metric`. The nested weights give no `sky`: where there is some, `conf` is 1 and the depth one
constant.

Source: github.com/yyfz/Pi3 pi3/models/pi3.py and pi3x.py; github.com/facebookresearch/vggt
vggt/models/vggt.py and utils/pose_enc.py; github.com/ByteDance-Seed/Depth-Anything-3
src/depth_anything_3/api.py, specs.py and model/dpt.py.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError
from ...geometry import perspective_rays, se3_inverse
from ._types import ViewPredictions

__all__ = ["ADAPTERS", "Adapter", "Views"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Views:
    """What a network is given.

    Attributes:
        rgb: (V, 3, h, w) 0..1, square, on the CPU.
        rotations: (V, 3, 3) panorama camera from view camera.
        panorama: (V,) int64, which panorama each is of.
        fov_x: radians.
    """

    rgb: Tensor
    rotations: Tensor
    panorama: Tensor
    fov_x: float


Adapter: TypeAlias = Callable[[Any, Views, torch.device], ViewPredictions]


def _pi3(net: Any, views: Views, device: torch.device) -> ViewPredictions:
    with _inference(device):
        return _pi3_answer(net(views.rgb[None].to(device)), metric=False)


def _pi3x(net: Any, views: Views, device: torch.device) -> ViewPredictions:
    count, size = len(views.rgb), views.rgb.shape[-1]
    focal = size / 2 / math.tan(views.fov_x / 2)
    matrix = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    poses = torch.eye(4).repeat(1, count, 1, 1)
    poses[0, :, :3, :3] = views.rotations
    # poses are taken relative to the first view's: how the panoramas stand to each other is not known
    first = (views.panorama == views.panorama[0])[None]
    with _inference(device):
        answer = net(
            views.rgb[None].to(device),
            intrinsics=matrix.expand(1, count, 3, 3).to(device),
            poses=poses.to(device),
            mask_add_depth=torch.zeros_like(first).to(device),
            mask_add_ray=torch.ones_like(first).to(device),
            mask_add_pose=first.to(device),
        )
        return _pi3_answer(answer, metric=True)


def _pi3_answer(answer: dict[str, Tensor], *, metric: bool) -> ViewPredictions:
    return ViewPredictions(
        T_world_view=answer["camera_poses"][0].float().cpu(),
        distance=answer["local_points"][0].float().norm(dim=-1).cpu(),
        confidence=answer["conf"][0, ..., 0].float().sigmoid().cpu(),
        sky=None,
        metric=metric,
    )


def _vggt(net: Any, views: Views, device: torch.device) -> ViewPredictions:
    decode = import_module("vggt.utils.pose_enc").pose_encoding_to_extri_intri
    with _inference(device):
        answer = net(views.rgb[None].to(device))
        extrinsics, _ = decode(answer["pose_enc"], tuple(views.rgb.shape[-2:]))
    return ViewPredictions(
        T_world_view=_inverse(extrinsics[0].float().cpu()),
        distance=_along_rays(answer["depth"][0, ..., 0].float().cpu(), views.fov_x),
        confidence=_above_one(answer["depth_conf"][0].float().cpu()),
        sky=None,
        metric=False,
    )


def _depth_anything_3(net: Any, views: Views, device: torch.device) -> ViewPredictions:
    size = views.rgb.shape[-1]
    pictures = (views.rgb.movedim(1, -1) * 255).round().to(torch.uint8).numpy()
    answer = net.inference(list(pictures), process_res=size)
    if answer.extrinsics is None:
        raise InputError(
            "weights: these of Depth Anything 3 give no camera poses (mono and metric do not); choose base, "
            "small, large, giant or nested"
        )
    depth = _to_size(answer.depth, size)
    conf = None if answer.conf is None else _to_size(answer.conf, size)
    sky = None if answer.sky is None else _to_size(answer.sky, size)
    if sky is None and conf is not None and answer.is_metric:
        sky = _flat_sky(depth, conf)
    return ViewPredictions(
        T_world_view=_inverse(torch.from_numpy(np.asarray(answer.extrinsics)).float()),
        distance=_along_rays(depth, views.fov_x),
        confidence=torch.ones_like(depth) if conf is None else _above_one(conf),
        sky=sky,
        metric=bool(answer.is_metric),
    )


ADAPTERS: dict[str, Adapter] = {
    "pi3": _pi3,
    "pi3x": _pi3x,
    "vggt": _vggt,
    "depth_anything_3": _depth_anything_3,
}
"""By name in the registry."""


@contextlib.contextmanager
def _inference(device: torch.device):
    """No gradients; half precision in the transformer on a GPU, as the networks' own examples run them."""
    with torch.no_grad(), contextlib.ExitStack() as stack:
        if device.type == "cuda":
            half = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
            stack.enter_context(torch.autocast("cuda", dtype=half))
        yield


def _above_one(confidence: Tensor) -> Tensor:
    """0..1 from 1 + exp(x): the logistic function of x."""
    return 1 - 1 / confidence.clamp(min=1)


def _flat_sky(depth: Tensor, conf: Tensor) -> Tensor:
    """(V, h, w) 0 or 1: where the confidence is the lowest there is, and the depth one constant."""
    lowest = conf <= 1
    if not bool(lowest.any()) or float(depth[lowest].max()) != float(depth[lowest].min()):
        return torch.zeros_like(depth)
    return lowest.float()


def _along_rays(depth: Tensor, fov_x: float) -> Tensor:
    """Distances from z-depths; the views' true angle counts, not the network's guess of it."""
    return depth / perspective_rays(depth.shape[-2], depth.shape[-1], fov_x)[..., 2]


def _inverse(extrinsics: Tensor) -> Tensor:
    """(V, 4, 4) view to world of (V, 3 or 4, 4) world to view."""
    T_view_world = torch.eye(4).repeat(len(extrinsics), 1, 1)
    T_view_world[:, :3] = extrinsics[:, :3]
    return se3_inverse(T_view_world)


def _to_size(array: np.ndarray, size: int) -> Tensor:
    values = torch.from_numpy(np.asarray(array)).float()
    if values.shape[-1] == size and values.shape[-2] == size:
        return values
    return F.interpolate(values[:, None], (size, size), mode="nearest-exact")[:, 0]
