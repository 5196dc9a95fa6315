"""A scaffold video: the cache seen along a path, with the true panoramas where the path stands on them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..cache import PointCache
from ..check import check_erp, check_shape
from ..errors import InputError, Progress
from ..geometry import resize_erp, rotate_erp
from ..render import pull_push, render_path
from ..trajectory import Trajectory

log = logging.getLogger(__name__)

ANCHOR_TOLERANCE = 1e-3
"""A frame this close to an anchor, in the world's units, stands on it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Anchor:
    """A true panorama and where it was taken.

    Attributes:
        rgb: (3, H, W) ERP, 0 to 1.
        valid: (H, W) bool, false where the photograph shows nothing.
        T_world_cam: (4, 4) pose of the camera that took it.
    """

    rgb: Tensor
    valid: Tensor
    T_world_cam: Tensor

    @classmethod
    def at_origin(cls, rgb: Tensor, valid: Tensor | None = None) -> Anchor:
        """The first anchor: its camera is the world."""
        height, width = check_erp("rgb", rgb)
        valid = torch.ones(height, width, dtype=torch.bool) if valid is None else valid
        return cls(rgb=rgb, valid=valid, T_world_cam=torch.eye(4))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scaffold:
    """What the cache shows along a path; the input of generation.

    Attributes:
        rgb: (T, 3, H, W) 0 to 1, black in holes; true panoramas where the path stands on an anchor.
        coverage: (T, H, W) bool, false in holes.
        distance: (T, H, W) metres along the ray; 0 in holes and on the sky.
        trajectory: the poses and the frame rate.
        anchors: one or two (3, H, W) panoramas: frame 0 and, with two anchors, frame T - 1; filled smoothly
            where they show nothing, since a model wants whole pictures.
    """

    rgb: Tensor
    coverage: Tensor
    distance: Tensor
    trajectory: Trajectory
    anchors: tuple[Tensor, ...]


def seen_from(anchor: Anchor, T_world_cam: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """The anchor's rgb (3, H, W) and valid (H, W), turned to a camera's orientation."""
    turn = anchor.T_world_cam[:3, :3].T @ T_world_cam[:3, :3]
    stacked = torch.cat([anchor.rgb, anchor.valid[None].to(anchor.rgb)])
    if stacked.shape[-2] != height:
        stacked = resize_erp(stacked, height)
    if not torch.equal(turn, torch.eye(3)):
        stacked = rotate_erp(stacked, turn)
    valid = stacked[3] > 0.99
    return stacked[:3] * valid, valid


def put_photograph(
    anchor: Anchor, T_world_cam: Tensor, rgb: Tensor, coverage: Tensor
) -> tuple[Tensor, Tensor]:
    """A rendered frame (3, H, W) and its coverage (H, W), with the true panorama put over it.

    Where the photograph shows nothing, or is masked, the rendered scene stays: others may have seen it.
    """
    photo, shown = seen_from(anchor, T_world_cam, rgb.shape[-2])
    return torch.where(shown, photo, rgb), coverage | shown


def anchor_at(anchors: Sequence[Anchor], T_world_cam: Tensor) -> Anchor | None:
    """The anchor that a camera stands on, or None."""
    offsets = [float((a.T_world_cam[:3, 3] - T_world_cam[:3, 3]).norm()) for a in anchors]
    nearest = min(range(len(anchors)), key=offsets.__getitem__)
    return anchors[nearest] if offsets[nearest] <= ANCHOR_TOLERANCE else None


def render_scaffold(
    cache: PointCache,
    trajectory: Trajectory,
    anchors: Sequence[Anchor],
    *,
    height: int,
    backend: Literal["auto", "torch", "warp"] = "auto",
    progress: Progress | None = None,
) -> Scaffold:
    """Render the cache along a path and put the true panoramas in.

    The first frame becomes the true panorama where the path starts on an anchor, the last one where it ends
    on another. A path that starts beside every anchor keeps its rendered first frame, with a warning.

    Args:
        cache: the 3D cache.
        trajectory: T_world_cam (T, 4, 4) in the cache's world.
        anchors: the panoramas the cache was built from, with their poses; one or more.
        height: H of the frames, in pixels; W = 2 H.
        backend: which implementation renders.
        progress: called with (frames done, frames).

    Raises:
        InputError: no anchor, or a height that is not positive.
        InterruptedByUser: raised by `progress`.
    """
    if not anchors:
        raise InputError("anchors: expected at least one panorama, got none; pass the ones of the cache")
    rgb, coverage, distance = _frames(cache, trajectory, height, backend, progress)
    poses = trajectory.T_world_cam
    start = anchor_at(anchors, poses[0])
    end = anchor_at(anchors, poses[-1]) if len(poses) > 1 else None
    if start is None:
        log.warning("the path starts on no anchor panorama: its first frame is rendered, not the photograph")
    for index, anchor in ((0, start), (-1, end)):
        if anchor is not None:
            rgb[index], coverage[index] = put_photograph(anchor, poses[index], rgb[index], coverage[index])
    ends = (0, -1) if end is not None and end is not start else (0,)
    seen = [pull_push(rgb[index], coverage[index]) for index in ends]
    return Scaffold(rgb=rgb, coverage=coverage, distance=distance, trajectory=trajectory, anchors=tuple(seen))


def render_cache(
    cache: PointCache,
    trajectory: Trajectory,
    *,
    height: int,
    backend: Literal["auto", "torch", "warp"] = "auto",
    progress: Progress | None = None,
) -> Scaffold:
    """Render the cache along a path where its panoramas are not at hand: nothing but what it shows.

    The anchor view is the first frame, its holes filled.

    Args:
        cache: the 3D cache.
        trajectory: T_world_cam (T, 4, 4) in the cache's world.
        height: H of the frames, in pixels; W = 2 H.
        backend: which implementation renders.
        progress: called with (frames done, frames).

    Raises:
        InputError: a height that is not positive.
        InterruptedByUser: raised by `progress`.
    """
    rgb, coverage, distance = _frames(cache, trajectory, height, backend, progress)
    seen = pull_push(rgb[0], coverage[0])
    return Scaffold(rgb=rgb, coverage=coverage, distance=distance, trajectory=trajectory, anchors=(seen,))


def _frames(
    cache: PointCache,
    trajectory: Trajectory,
    height: int,
    backend: Literal["auto", "torch", "warp"],
    progress: Progress | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(T, 3, H, W) rgb, (T, H, W) coverage, (T, H, W) distance."""
    if height < 1:
        raise InputError(f"height: expected a positive number of pixels, got {height}")
    poses = trajectory.T_world_cam
    check_shape("trajectory.T_world_cam", poses, "T 4 4")
    frames = list(render_path(cache, poses, height, backend=backend, progress=progress))
    rgb = torch.stack([frame.rgb for frame in frames])
    coverage = torch.stack([frame.coverage for frame in frames])
    return rgb, coverage, torch.stack([frame.distance for frame in frames])
