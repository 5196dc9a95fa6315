"""Windows of steps that are repeated with fresh noise, so that parts that were decided apart can agree.

Source: Feng et al., Explorative Inbetweening of Time and Space (2024, arXiv 2403.14611); Lugmayr et al.,
RePaint (2022), the same idea for inpainting.
"""

from __future__ import annotations

import math
from typing import Protocol

from ..errors import InputError

__all__ = ["Reinjecting", "check_reinjection", "reinjection_route"]


class Reinjecting(Protocol):
    """Settings that may ask for repeated windows: see `FusionSettings`."""

    @property
    def reinject_steps(self) -> int:
        """Length of a window."""
        ...

    @property
    def reinject_repeats(self) -> int:
        """How often each is repeated."""
        ...

    @property
    def reinject_until(self) -> float:
        """Share of the steps in which windows lie."""
        ...


def check_reinjection(settings: Reinjecting) -> None:
    """Raise InputError for values out of range, and for those that would silently do nothing."""
    name = type(settings).__name__
    if settings.reinject_steps < 0 or settings.reinject_repeats < 0:
        raise InputError(
            f"{name}: expected reinject_steps >= 0 and reinject_repeats >= 0, got "
            f"{settings.reinject_steps} and {settings.reinject_repeats}"
        )
    if (settings.reinject_steps == 0) != (settings.reinject_repeats == 0):
        raise InputError(
            f"{name}: reinject_steps = {settings.reinject_steps} with reinject_repeats = "
            f"{settings.reinject_repeats} would do nothing; set both to 0, or both to 1 or more"
        )
    if not 0.0 < settings.reinject_until <= 1.0:
        raise InputError(
            f"{name}.reinject_until: expected more than 0, up to 1, got {settings.reinject_until!r}"
        )


def reinjection_route(steps: int, settings: Reinjecting | None) -> list[tuple[int, int]]:
    """The steps of a sampler, as pairs of indices into its noise levels, with the repeated windows.

    Args:
        steps: number of denoising steps without repeats.
        settings: None for none.

    Returns:
        Pairs (i, i + 1) denoise, pairs (i + L, i) add noise back.

    Raises:
        InputError: repeats are asked for, but no window fits.
    """
    plain = [(i, i + 1) for i in range(steps)]
    if settings is None or settings.reinject_repeats == 0:
        return plain
    length = settings.reinject_steps
    windows = math.floor(settings.reinject_until * steps + 1e-9) // length
    if windows == 0:
        raise InputError(
            f"{type(settings).__name__}: no window of reinject_steps = {length} fits in the first "
            f"{settings.reinject_until:.0%} of {steps} steps, re-injection would do nothing; raise "
            "reinject_until, or lower reinject_steps"
        )
    route: list[tuple[int, int]] = []
    for start in range(0, windows * length, length):
        window = plain[start : start + length]
        route += window + ([(start + length, start), *window]) * settings.reinject_repeats
    return route + plain[windows * length :]
