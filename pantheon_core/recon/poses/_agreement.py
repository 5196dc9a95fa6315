"""Do panoramas tell of the same scene from their places? Pairwise, by their distances."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...check import check_shape
from ...errors import InputError
from ...geometry import erp_rays, rays_to_erp_pixels, se3_inverse, transform_points
from .._types import DistanceEstimate
from ._words import listed, names_of

__all__ = ["Agreement", "compare_panoramas", "say_disagreement"]

_PIXELS_HIGH = 128
_SKY = 0.5
_FLAT = math.cos(math.radians(35))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Agreement:
    """What one panorama's surfaces are when seen from another.

    Each point of `first` is looked up in `second`: it lies on a surface there (agrees), behind one (hidden,
    which says nothing), or hangs in the free space in front of one (contradicts). Floors and ceilings are
    left out: they fit wherever a camera stands.

    Attributes:
        first: index of the panorama whose points are tried.
        second: index of the panorama that judges them.
        agrees: share of the points, by solid angle, 0..1.
        hidden: share that is behind what `second` sees.
        contradicts: share in the free space of `second`.
        disagreement: contradicts / (agrees + contradicts), 0..1; NaN where all is hidden.
        gross: True when the two cannot both be right.
    """

    first: int
    second: int
    agrees: float
    hidden: float
    contradicts: float
    disagreement: float
    gross: bool


def compare_panoramas(
    estimates: Sequence[DistanceEstimate | None],
    T_world_cam: Tensor,
    *,
    tolerance: float = 0.15,
    gross: float = 0.45,
) -> tuple[Agreement, ...]:
    """Compare every panorama with every other one.

    Args:
        estimates: P, in one unit, that of the poses; None for those that are left out.
        T_world_cam: (P, 4, 4).
        tolerance: relative step of the distance up to which two agree; edges get the range of their
            neighbourhood on top.
        gross: disagreement from which on two panoramas cannot both be right.

    Returns:
        both directions of every pair.

    Raises:
        InputError: not one estimate per pose, or numbers out of range.
    """
    count = check_shape("T_world_cam", T_world_cam, "P 4 4")["P"]
    if len(estimates) != count:
        raise InputError(f"estimates: expected {count}, one per pose, got {len(estimates)}")
    if not 0 < tolerance < 1 or not 0 < gross <= 1:
        raise InputError(
            f"tolerance, gross: expected numbers between 0 and 1, got {tolerance:g} and {gross:g}"
        )
    maps = [None if one is None else _coarse(one) for one in estimates]
    poses = T_world_cam.detach().cpu().double()
    out = []
    for first, second in itertools.permutations(range(count), 2):
        a, b = maps[first], maps[second]
        if a is None or b is None:
            continue
        motion = se3_inverse(poses[second]) @ poses[first]
        # Down in the frame of the first camera; the world is levelled.
        vertical = poses[first, 1, :3].float()
        agrees, hidden, contradicts = _shares(a, b, motion.float(), vertical, tolerance)
        told = agrees + contradicts
        disagreement = contradicts / told if told > 0 else math.nan
        out.append(
            Agreement(
                first=first,
                second=second,
                agrees=agrees,
                hidden=hidden,
                contradicts=contradicts,
                disagreement=disagreement,
                # A hundredth of the view is not enough to judge by.
                gross=told >= 0.01 and disagreement >= gross,
            )
        )
    return tuple(out)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Map:
    distance: Tensor
    nearest: Tensor
    farthest: Tensor
    valid: Tensor
    sky: Tensor


def _coarse(estimate: DistanceEstimate) -> _Map:
    """Every so many pixels, with the nearest and farthest surface around each of them."""
    height = estimate.distance.shape[0]
    step = max(1, height // _PIXELS_HIGH)
    distance = estimate.distance.detach().cpu().float()
    valid, sky = estimate.valid.cpu(), estimate.sky.cpu().float() >= _SKY
    reach = step | 1
    around = reach + 2
    far = torch.where(valid, distance, distance.new_zeros(()))
    near = torch.where(valid, distance, distance.new_tensor(torch.inf))

    def largest(values: Tensor) -> Tensor:
        pad = around // 2
        wrapped = F.pad(values[None, None], (pad, pad, 0, 0), mode="circular")
        wrapped = F.pad(wrapped, (0, 0, pad, pad), mode="replicate")
        return F.max_pool2d(wrapped, around, stride=1)[0, 0]

    middle = slice(step // 2, None, step)
    farthest = largest(torch.where(sky & ~valid, far.new_tensor(1e9), far))
    return _Map(
        distance=distance[middle, middle],
        nearest=(-largest(-near))[middle, middle],
        farthest=farthest[middle, middle],
        valid=valid[middle, middle],
        sky=(sky & ~valid)[middle, middle],
    )


def _lies_flat(place: Tensor, vertical: Tensor) -> Tensor:
    """(H, W) bool, where a surface of points (H, W, 3) is a floor or a ceiling."""
    across = place.roll(-1, 1) - place.roll(1, 1)
    down = torch.zeros_like(place)
    down[1:-1] = place[2:] - place[:-2]
    normal = F.normalize(torch.linalg.cross(across, down), dim=-1)
    return (normal @ vertical).abs() > _FLAT


def _shares(
    a: _Map, b: _Map, T_b_a: Tensor, vertical: Tensor, tolerance: float
) -> tuple[float, float, float]:
    """Shares of a's upright surfaces that agree, are hidden and contradict, seen from b."""
    rows, columns = a.distance.shape
    place = erp_rays(rows) * a.distance[..., None]
    weight = torch.cos((0.5 - (torch.arange(rows) + 0.5) / rows) * math.pi)[:, None].expand(rows, columns)
    # Edges of a are uncertain themselves: only pixels with an even neighbourhood speak.
    speaks = a.valid & (a.farthest <= a.nearest * (1 + 2 * tolerance)) & ~_lies_flat(place, vertical)
    points = transform_points(T_b_a, place)[speaks]
    weight = weight[speaks]
    found = points.norm(dim=-1)
    height = b.distance.shape[0]
    pixel = rays_to_erp_pixels(points, height).round().long()
    y, x = pixel[:, 1].clamp(0, height - 1), pixel[:, 0] % b.distance.shape[1]
    known, sky = b.valid[y, x], b.sky[y, x]
    floating = (known & (found < b.nearest[y, x] * (1 - tolerance))) | sky
    behind = known & (found > b.farthest[y, x] * (1 + tolerance))
    fits = known & ~floating & ~behind
    total = float(weight.sum())
    if total <= 0:
        return 0.0, 0.0, 0.0
    agrees, hidden, contradicts = (float(weight[mask].sum()) / total for mask in (fits, behind, floating))
    return agrees, hidden, contradicts


def say_disagreement(
    agreements: Sequence[Agreement], count: int, names: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Which panoramas grossly disagree, in words.

    Args:
        agreements: from `compare_panoramas`.
        count: how many panoramas there are.
        names: of the panoramas; numbers from 1 else.
    """
    names = names_of(count, names)
    worst: dict[tuple[int, int], Agreement] = {}
    for one in agreements:
        key = (min(one.first, one.second), max(one.first, one.second))
        if one.gross and (key not in worst or one.disagreement > worst[key].disagreement):
            worst[key] = one
    compared = {(min(a.first, a.second), max(a.first, a.second)) for a in agreements}
    left, sentences = dict(worst), []
    for index in range(count):
        mine = [key for key in compared if index in key]
        against = [key for key in mine if key in left]
        others = [key for key in compared if index not in key]
        alone = len(mine) >= 2 and len(against) == len(mine) and len(others) > sum(k in worst for k in others)
        if alone:
            share = 100 * sum(left[key].disagreement for key in against) / len(against)
            sentences.append(
                f"{names[index]} contradicts all others ({share:.0f} % of what can be compared): its place "
                "or its distances are wrong; place it anew, or leave it out"
            )
            left = {key: one for key, one in left.items() if index not in key}
    if left:
        told = listed(
            [
                f"{names[first]} and {names[second]} ({100 * one.disagreement:.0f} %)"
                for (first, second), one in sorted(left.items())
            ]
        )
        sentences.append(
            f"{told} contradict one another in what can be compared: a place, a scale or the distances are "
            "wrong, or they show different scenes"
        )
    return tuple(sentences)
