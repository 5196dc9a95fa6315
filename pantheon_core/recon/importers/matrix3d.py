"""Folders made by Matrix-3D: a panoramic video, its cameras, and distances of some frames.

`pano_video_cam.json` or `condition/cameras.npz` (`arr_0`): world to camera, (T, 4, 4), OpenCV axes.
`pano_video.mp4` or `generated/generated.mp4`: the frames. `geom_optim/data/optimized_depths/0010.exr` with
`0010_rgb.png` and `0010_mask.png`: distance along the ray of every tenth frame, where the mask is bright; the
rest is the background shell at twice the largest distance, which is sky here. Before that step there is
`condition/firstframe_depth.exr` with `_rgb.png` and `_mask.png`. The panorama's pixels are this project's.

Source: https://github.com/SkyworkAI/Matrix-3D, code/panoramic_image_to_video.py,
code/utils_3dscene/panorama_video_to_perspective_depth_sequential.py and nvrender.py (axes).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ...errors import ConventionError, InputError, MediaError, Progress
from ...geometry import se3_inverse
from ...trajectory.formats import FORMATS
from ...trajectory.formats._files import read_npz, stack_of_matrices
from ...trajectory.formats._samples import rigid
from ...video import read_video, video_info
from ._assemble import assemble
from ._detect import MATRIX3D_CAMERAS
from ._exr import read_exr_channel
from ._pictures import distances, fit_picture, read_picture, resize_mask, spread
from ._types import ImportedPanorama, ImportedScene, ImportOptions, step

__all__ = ["import_matrix3d"]

_VIDEOS = ("pano_video.mp4", "generated/generated.mp4")
_DEPTHS = Path("geom_optim/data/optimized_depths")
_SHELL = 0.9
"""Where a mask is missing, distances above this share of the largest are the background shell."""


def import_matrix3d(
    folder: Path, options: ImportOptions, *, progress: Progress | None = None
) -> ImportedScene:
    """Import a Matrix-3D output folder. Panoramas with distances are preferred to those without.

    Args:
        folder: the one that has `pano_video_cam.json` or `condition/`.
        options: how much, and the unit.
        progress: called with (panoramas done, panoramas).

    Raises:
        InputError: no cameras, or contents that do not fit together.
        MediaError: a file is missing or damaged.
    """
    T_file_cam = se3_inverse(_cameras(folder))
    video = next((folder / name for name in _VIDEOS if (folder / name).is_file()), None)
    fps = (video_info(video).fps if video else 0.0) or options.fps
    depths = _depth_files(folder)
    late = [frame for frame in depths if frame >= len(T_file_cam)]
    if late:
        raise InputError(
            f"{depths[late[0]]}: expected a frame below {len(T_file_cam)}, the number of cameras; the folder "
            "holds files of two runs"
        )
    warnings = []
    if depths:
        frames = [sorted(depths)[i] for i in spread(len(depths), options.panoramas)]
    else:
        warnings.append("There are no distances (geom_optim/data/optimized_depths, condition): poses only.")
        frames = spread(len(T_file_cam), options.panoramas)
    panoramas = []
    filmed = _Film(video, [frame for frame in frames if _picture_file(depths.get(frame)) is None])
    for done, frame in enumerate(frames):
        panoramas.append(_panorama(frame, depths.get(frame), filmed, options))
        step(progress, done + 1, len(frames))
    if any(one.rgb is None for one in panoramas):
        warnings.append("There is no pano_video.mp4: poses come without pictures.")
    return assemble("matrix3d", T_file_cam, panoramas, None, options, fps=fps, warnings=warnings)


def _cameras(folder: Path) -> Tensor:
    """(T, 4, 4) float64 world to camera."""
    path = next((folder / name for name in MATRIX3D_CAMERAS if (folder / name).is_file()), None)
    if path is None:
        raise InputError(
            f"{folder}: expected a Matrix-3D folder with {' or '.join(MATRIX3D_CAMERAS)}, got neither"
        )
    try:
        if path.suffix == ".json":
            return se3_inverse(FORMATS["matrix3d"].read(path).T_world_cam)
        arrays = read_npz(path)
        if "arr_0" not in arrays:
            raise InputError(f"expected the array arr_0, got {', '.join(arrays) or 'none'}")
        return rigid(stack_of_matrices("arr_0", arrays["arr_0"]), lambda i: f"arr_0[{i}]")
    except (InputError, MediaError, ConventionError) as error:
        raise type(error)(f"{path}: {error}") from error


def _depth_files(folder: Path) -> dict[int, Path]:
    """Frame number -> its file of distances."""
    found = {int(p.stem): p for p in sorted((folder / _DEPTHS).glob("*.exr")) if p.stem.isdigit()}
    first = folder / "condition" / "firstframe_depth.exr"
    if not found and first.is_file():
        return {0: first}
    return found


class _Film:
    """Frames of the video in their order: it is opened once and decoded as a stream.

    Args:
        video: None where there is none; then there are no frames.
        wanted: frame numbers, rising.
    """

    def __init__(self, video: Path | None, wanted: list[int]) -> None:
        self.video = video
        self._stream = self._frames(video, wanted) if video is not None and wanted else iter(())

    def next(self) -> Tensor | None:
        """(3, H, W) the next wanted frame."""
        return next(self._stream, None)

    @staticmethod
    def _frames(video: Path, wanted: list[int]) -> Iterator[Tensor]:
        rest = deque(wanted)
        for number, frame in enumerate(read_video(video, start=wanted[0], stop=wanted[-1] + 1), wanted[0]):
            if number == rest[0]:
                rest.popleft()
                yield frame
        if rest:
            raise MediaError(
                f"{video}: expected frame {rest[0]}, which has a camera, got a video that ends before"
            )


def _panorama(frame: int, depth: Path | None, film: _Film, options: ImportOptions) -> ImportedPanorama:
    name = f"matrix3d_{frame:04d}"
    beside = _picture_file(depth)
    rgb = read_picture(beside) if beside else film.next()
    if rgb is None:
        return ImportedPanorama(name=name, frame=frame)
    rgb = fit_picture(rgb, options, name=str(depth or film.video))
    estimate = None
    if depth is not None:
        estimate = distances(_distance(depth), rgb, options, name=str(depth))
    valid = torch.ones(rgb.shape[1:], dtype=torch.bool)
    return ImportedPanorama(name=name, frame=frame, rgb=rgb, valid=valid, estimate=estimate)


def _side(depth: Path, what: str) -> Path:
    """`0010.exr` -> `0010_rgb.png`, `firstframe_depth.exr` -> `firstframe_rgb.png`."""
    return depth.with_name(f"{depth.stem.removesuffix('_depth')}_{what}.png")


def _picture_file(depth: Path | None) -> Path | None:
    """The picture beside the distances, where it is there: then the video is not needed."""
    path = None if depth is None else _side(depth, "rgb")
    return path if path is not None and path.is_file() else None


def _distance(depth: Path) -> Tensor:
    """(h, w) distances, infinite on the background shell."""
    try:
        values = read_exr_channel(depth.read_bytes(), str(depth))
    except OSError as error:
        raise MediaError(f"{depth}: cannot be read ({error.strerror or error})") from error
    mask = _side(depth, "mask")
    if mask.is_file():
        inside = read_picture(mask)[0] > 0.5
        if inside.shape[1] != 2 * inside.shape[0]:
            raise ConventionError(
                f"{mask}: expected a mask twice as wide as high, got {tuple(inside.shape)[::-1]}"
            )
        inside = resize_mask(inside, values.shape[0])
    else:
        inside = values < _SHELL * values.max()
    return torch.where(inside, values, math.inf)
