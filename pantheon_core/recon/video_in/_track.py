"""`track_video`: a 360° video to key frames and the pose of every frame."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import logging
import math
from os import PathLike

import torch
from torch import Tensor

from ...errors import MediaError, Progress
from ...geometry import se3_from, se3_inverse
from ...trajectory import Trajectory
from ...video import read_video, video_info
from ..poses import PanoramaPoses
from ._gray import make_pyramid, to_gray
from ._keys import Keys, Source, Steps, find_keys, moves
from ._refine import interpolate_poses, make_anchors, refine_poses
from ._types import KeyFrame, Solver, TrackSettings, VideoTrack

__all__ = ["track_frames", "track_video"]

_logger = logging.getLogger(__name__)
_NO_PLACE = "The key frames could not be placed: the path has the camera's rotation and no motion."
_HALF = "Fewer than half of the frames could be refined; the path between is a guess."


def track_video(
    path: str | PathLike[str],
    *,
    settings: TrackSettings | None = None,
    solver: Solver | None = None,
    progress: Progress | None = None,
) -> VideoTrack:
    """Find the camera of a 360° video: key frames, their poses, and the pose of every frame.

    The video is decoded three times as a stream. Memory holds the key frames, a window of small pictures
    and a few numbers per frame.

    Args:
        path: equirectangular video, twice as wide as high.
        settings: see TrackSettings.
        solver: places the key frames; None is structure from motion, which needs pycolmap.
        progress: called with (steps done, steps).

    Raises:
        MediaError: the file is missing, damaged, or has no video.
        ConventionError: the frames are not 2:1.
        InputError: fewer than two frames.
        BackendUnavailableError: a package is missing.
    """
    info = video_info(path)
    if not info.fps:
        raise MediaError(f"{path}: the video does not say its frame rate; convert it to MP4 first")
    return track_frames(
        lambda: read_video(path),
        fps=info.fps,
        count=info.frames,
        settings=settings,
        solver=solver,
        progress=progress,
    )


def track_frames(
    source: Source,
    *,
    fps: float,
    count: int = 0,
    settings: TrackSettings | None = None,
    solver: Solver | None = None,
    progress: Progress | None = None,
) -> VideoTrack:
    """The same for frames that are not a file.

    Args:
        source: gives the frames (3, H, W) float 0..1, W = 2 H, from the first on, each time it is called.
        fps: frames per second.
        count: about how many frames there are, for the progress.
        settings: see TrackSettings.
        solver: places the key frames; None is structure from motion.
        progress: called with (steps done, steps).
    """
    settings = settings or TrackSettings()
    if solver is None and importlib.util.find_spec("pycolmap") is None:
        # Said before the first pass, which may take minutes; the error comes only if places are looked for.
        _logger.warning(
            "pycolmap is not installed: only the turning of a camera that stays on its spot can be found. "
            "Install it with 'pip install \"pycolmap>=4.2\"'."
        )
    steps = Steps(progress, max(count, 1))
    keys = find_keys(source, settings, solver, steps)
    if int(keys.poses.registered.sum()) >= 2:
        poses, (T_world_cam, residual) = keys.poses, _refined(source, keys, settings, steps)
        if float(residual.isfinite().float().mean()) < 0.5:
            keys.warnings.append(_HALF)
    else:
        poses, T_world_cam = _turning_only(keys)
        residual = torch.full((len(T_world_cam),), math.nan)
        if moves(keys.shot):
            keys.warnings.append(_NO_PLACE)
    steps.part(2)(1, 1)
    poses, T_world_cam = _with_length(poses, T_world_cam, settings, keys.warnings)
    return _result(keys, poses, Trajectory(T_world_cam=T_world_cam.float(), fps=fps), residual)


def _rotations(keys: Keys) -> Tensor:
    """(T, 3, 3) float64 of all frames of the shot, from the camera of its first key frame."""
    first = keys.shot.first
    return torch.stack([keys.shot.records[i].R_frame_start for i in range(first, first + len(keys.shot))])


def _refined(source: Source, keys: Keys, settings: TrackSettings, steps: Steps) -> tuple[Tensor, Tensor]:
    """Poses (T, 4, 4) and residuals (T,) of all frames of the shot."""
    first, poses = keys.shot.first, keys.poses
    found = poses.registered.nonzero()[:, 0].tolist()
    rows = torch.tensor([keys.numbers[i] - first for i in found])
    T_world_key = poses.T_world_cam[found].double()
    rough = interpolate_poses(rows, T_world_key, _rotations(keys))
    grays = [make_pyramid(to_gray(keys.rgb[i]), settings.tracking_height) for i in found]
    anchors = make_anchors(rows, T_world_key, found, grays, poses)
    frames = itertools.islice(source(), first, first + len(keys.shot))
    return refine_poses(frames, rough, anchors, settings, steps.part(2))


def _result(keys: Keys, poses: PanoramaPoses, trajectory: Trajectory, residual: Tensor) -> VideoTrack:
    records = keys.shot.records
    first, stop = keys.shot.first, keys.shot.first + len(keys.shot)
    return VideoTrack(
        trajectory=trajectory,
        start=first,
        stop=stop,
        frames=keys.frames,
        keys=tuple(
            KeyFrame(
                frame=number,
                rgb=picture,
                sharpness=records[number].sharpness,
                parallax=records[number].parallax,
                registered=bool(poses.registered[i]),
            )
            for i, (number, picture) in enumerate(zip(keys.numbers, keys.rgb, strict=True))
        ),
        poses=poses,
        residual=residual,
        sharpness=torch.tensor([records[i].sharpness for i in range(first, stop)]),
        warnings=tuple(dict.fromkeys((*keys.warnings, *poses.warnings))),
    )


def _turning_only(keys: Keys) -> tuple[PanoramaPoses, Tensor]:
    """Rotations as measured and no motion: what is left when no place is found."""
    turns = _rotations(keys).mT
    T_world_cam = se3_from(turns, torch.zeros(len(turns), 3, dtype=torch.float64))
    rows = [number - keys.shot.first for number in keys.numbers]
    T_world_cam = se3_inverse(T_world_cam[rows[0]]) @ T_world_cam
    turning = dataclasses.replace(
        keys.poses,
        T_world_cam=T_world_cam[rows].float(),
        registered=torch.zeros(len(rows), dtype=torch.bool),
        method=keys.poses.method or "rotation",
    )
    return turning, T_world_cam


def _with_length(
    poses: PanoramaPoses, T_world_cam: Tensor, settings: TrackSettings, warnings: list[str]
) -> tuple[PanoramaPoses, Tensor]:
    """Everything in metres, where the user knows how long the way is."""
    if settings.path_length == 0 or not bool(poses.registered.any()):
        return poses, T_world_cam
    way = float(T_world_cam[:, :3, 3].diff(dim=0).norm(dim=1).sum())
    if way <= 0:
        warnings.append("The path has no length: path_length is not used.")
        return poses, T_world_cam
    scale = settings.path_length / way
    wider = T_world_cam.clone()
    wider[:, :3, 3] *= scale
    places = poses.T_world_cam.clone()
    places[:, :3, 3] *= scale
    return dataclasses.replace(poses, T_world_cam=places, points=poses.points * scale, metric=True), wider
