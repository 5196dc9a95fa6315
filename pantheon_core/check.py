"""Checks of tensors at the public functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ConventionError, InputError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_erp", "check_finite", "check_rotation", "check_shape"]


def check_shape(name: str, tensor: Tensor, spec: str, **fixed: int) -> dict[str, int]:
    """Match a tensor's shape against `spec` and return the named sizes.

    Args:
        name: the argument's name, for the message.
        tensor: the tensor to check.
        spec: axes separated by blanks: a number must match, a name is free but equal where it is repeated,
            a leading "..." stands for any number of axes, e.g. "... 3 H W".
        fixed: sizes that names must have.

    Returns:
        The size of every named axis.

    Raises:
        ShapeError: the shape does not match.
    """
    axes = spec.split()
    got = tuple(tensor.shape)
    message = f"{name}: expected shape ({', '.join(axes)}), got {got}"
    if axes and axes[0] == "...":
        axes = axes[1:]
        if len(got) < len(axes):
            raise ShapeError(message)
        got = got[len(got) - len(axes) :]
    if len(got) != len(axes):
        raise ShapeError(message)
    sizes = dict(fixed)
    for axis, size in zip(axes, got, strict=True):
        wanted = int(axis) if axis.isdigit() else sizes.setdefault(axis, size)
        if wanted != size:
            where = f" ({axis} = {wanted})" if not axis.isdigit() else ""
            raise ShapeError(message + where)
    return sizes


_LOAD_IMAGE = "Load it with load_panorama, which places cropped panoramas on the full sphere."
_EXPORT_VIDEO = (
    "Export it as a full 360° video from the camera's own program; a flat, 180° or stereo video does not fit."
)


def check_erp(name: str, tensor: Tensor, *, video: bool = False) -> tuple[int, int]:
    """Check that the last two axes are an equirectangular image, width = 2 height.

    Args:
        name: of the value, for messages.
        tensor: (..., H, W).
        video: it is a frame of a video, or several: what to do about a wrong one is another thing then.

    Returns:
        (height, width) in pixels.

    Raises:
        ShapeError: fewer than two axes.
        ConventionError: the width is not twice the height.
    """
    if tensor.ndim < 2:
        raise ShapeError(f"{name}: expected (..., H, W) with W = 2 H, got {tuple(tensor.shape)}")
    height, width = tensor.shape[-2:]
    if height == 0 or width != 2 * height:
        kind, advice = ("video", _EXPORT_VIDEO) if video else ("image", _LOAD_IMAGE)
        raise ConventionError(
            f"{name}: expected an equirectangular {kind}, twice as wide as high; got {width} x {height}. "
            + advice
        )
    return height, width


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise InputError where a tensor holds NaN or infinity."""
    bad = int((~tensor.isfinite()).sum())
    if bad:
        raise InputError(
            f"{name}: expected finite values, got {bad} of {tensor.numel()} that are NaN or infinite"
        )


def check_rotation(name: str, rotation: Tensor, tolerance: float = 1e-3) -> None:
    """Raise ConventionError unless (..., 3, 3) is orthonormal with determinant +1."""
    check_shape(name, rotation, "... 3 3")
    gram = rotation @ rotation.transpose(-1, -2)
    off = float((gram - gram.new_ones(3).diag()).abs().max()) if rotation.numel() else 0.0
    if not off <= tolerance or bool((rotation.det() <= 0).any()):
        raise ConventionError(
            f"{name}: expected rotation matrices (orthonormal, determinant +1), got a deviation of {off:.3g}"
        )
