"""Where patches of one panorama are in another: Lucas and Kanade's tracker on the sphere.

A patch lies in the tangent plane of its direction, so the seam, the poles and the stretching towards them do
not exist for it. Brightness and contrast of a patch are normalised: exposure may change along a video.

Source: S. Baker, I. Matthews, Lucas-Kanade 20 years on (2004), inverse compositional algorithm, section 3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...geometry import rotate_vectors
from ._gray import Pyramid

__all__ = ["Patches", "cut_patches", "find_corners", "follow", "tangents"]

_SIDE = 9
_ITERATIONS = 8
_CLOSE = 0.02
"""Pixels: a step this short is the last one."""
_LONGEST_STEP = 2.0
"""Pixels a step may move: beyond, the linear model of the patch says nothing."""
_CANDIDATES = 4000
_WEAKEST = (1.5 / 255) ** 2
"""Mean squared slope per pixel in its weakest direction: below, a patch is noise or an edge."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Patches:
    """Patches of a panorama, ready to be followed.

    Attributes:
        rays: (N, 3) unit directions in the source's camera.
        across: (N, 2, 3) the two axes of each tangent plane.
        templates: per level (N, P) grey values, mean 0 and variance 1.
        slopes: per level (N, P, 2) derivative of the template per pixel.
        steps: per level (N, 2, 2) inverse of the sum of the slopes' products.
    """

    rays: Tensor
    across: Tensor
    templates: tuple[Tensor, ...]
    slopes: tuple[Tensor, ...]
    steps: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.rays)


def _grid(margin: int = 0) -> Tensor:
    """(P, 2) pixel offsets of a patch, row by row."""
    half = _SIDE // 2 + margin
    line = torch.arange(-half, half + 1, dtype=torch.float32)
    return torch.cartesian_prod(line, line).flip(-1)


def tangents(rays: Tensor) -> Tensor:
    """(N, 2, 3) orthonormal axes across each unit direction (N, 3)."""
    # The axis that is least along the ray: no direction is degenerate.
    helper = F.one_hot(rays.abs().argmin(-1), 3).to(rays)
    first = F.normalize(torch.linalg.cross(helper, rays), dim=-1)
    return torch.stack((first, torch.linalg.cross(rays, first)), dim=1)


def _look(picture: Pyramid, number: int, rays: Tensor, across: Tensor, grid: Tensor) -> Tensor:
    """(N, P) grey values of a level around directions.

    `sample_erp` would say the same to more digits; this is called thousands of times and needs three.
    """
    padded, height = picture.padded[number], picture.levels[number].shape[0]
    directions = rays[:, None] + (math.pi / height) * torch.einsum("pk,nkc->npc", grid, across)
    x, y, z = directions.unbind(-1)
    across_turn = torch.atan2(x, z) / math.pi
    down_turn = torch.atan2(y, torch.hypot(x, z)) * (2 / math.pi)
    # From -1..1 between the outer edges of the picture to the same of the padded one.
    place = torch.stack((across_turn * (height / (height + 1)), down_turn * (height / (height + 2))), dim=-1)
    return F.grid_sample(
        padded[None, None], place[None], mode="bilinear", padding_mode="border", align_corners=False
    )[0, 0]


def _normalised(values: Tensor) -> tuple[Tensor, Tensor]:
    centred = values - values.mean(-1, keepdim=True)
    scale = centred.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-4)
    return centred / scale, scale


def cut_patches(source: Pyramid, rays: Tensor) -> Patches:
    """Patches around directions (N, 3) of a panorama."""
    rays = F.normalize(rays.float(), dim=-1)
    across = tangents(rays)
    templates, slopes, steps = [], [], []
    side = _SIDE + 2
    for number in range(len(source.levels)):
        wide = _look(source, number, rays, across, _grid(1)).reshape(len(rays), side, side)
        template, scale = _normalised(wide[:, 1:-1, 1:-1].flatten(1))
        dx = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2
        dy = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2
        slope = torch.stack((dx, dy), dim=-1).flatten(1, 2) / scale[..., None]
        square = torch.einsum("npi,npj->nij", slope, slope)
        # A little of the identity keeps edges from sliding along themselves.
        square = square + torch.eye(2) * 1e-3 * square.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
        templates.append(template)
        slopes.append(slope)
        steps.append(torch.linalg.inv(square + 1e-6 * torch.eye(2)))
    return Patches(
        rays=rays,
        across=across,
        templates=tuple(templates),
        slopes=tuple(slopes),
        steps=tuple(steps),
    )


def find_corners(source: Pyramid, count: int, *, lowest: float) -> Tensor:
    """Directions (N, 3) whose patches can be followed, spread over the sphere, N at most `count`.

    Args:
        source: the panorama.
        count: how many are wanted; the best ones are taken.
        lowest: none below this latitude in radians.
    """
    # A Fibonacci lattice: even on the sphere, so no corners pile up at the poles.
    index = torch.arange(_CANDIDATES, dtype=torch.float64) + 0.5
    height = 1 - 2 * index / _CANDIDATES
    turn = index * math.pi * (3 - math.sqrt(5))
    radius = (1 - height.square()).sqrt()
    rays = torch.stack((radius * turn.sin(), -height, radius * turn.cos()), dim=-1).float()
    rays = rays[height >= math.sin(lowest)]
    number = min(1, len(source.levels) - 1)
    wide = _look(source, number, rays, tangents(rays), _grid(1)).reshape(-1, _SIDE + 2, _SIDE + 2)
    dx = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2
    dy = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2
    a, b, c = dx.square().mean((1, 2)), (dx * dy).mean((1, 2)), dy.square().mean((1, 2))
    weakest = (a + c) / 2 - (((a - c) / 2).square() + b.square()).sqrt()
    best = weakest.argsort(descending=True, stable=True)[:count]
    return rays[best[weakest[best] > _WEAKEST]]


def follow(
    patches: Patches, target: Pyramid, start: Tensor, R_target_source: Tensor
) -> tuple[Tensor, Tensor]:
    """Where patches are in another panorama.

    Args:
        patches: of the source.
        target: with the source's sizes.
        start: (N, 3) unit directions in the target's camera where the search begins.
        R_target_source: (3, 3) about how the target's camera is turned: patches turn with it.

    Returns:
        (N, 3) unit directions in the target's camera and (N,) correlation -1..1 of the patches there.
    """
    rays = F.normalize(start.float(), dim=-1)
    turned = rotate_vectors(R_target_source.float(), patches.across)
    grid = _grid()
    for number in reversed(range(len(target.levels))):
        angle = math.pi / target.levels[number].shape[0]
        moving = torch.arange(len(rays))
        for _ in range(_ITERATIONS):
            if not len(moving):
                break
            at = rays[moving]
            across = _carried(turned[moving], at)
            values, _ = _normalised(_look(target, number, at, across, grid))
            off = values - patches.templates[number][moving]
            rise = torch.einsum("npi,np->ni", patches.slopes[number][moving], off)
            move = -torch.einsum("nij,nj->ni", patches.steps[number][moving], rise)
            length = move.norm(dim=-1, keepdim=True)
            move = move * (_LONGEST_STEP / length.clamp(min=_LONGEST_STEP))
            at = at + angle * torch.einsum("nk,nkc->nc", move, across)
            rays[moving] = F.normalize(at, dim=-1)
            moving = moving[length[:, 0] > _CLOSE]
    values, _ = _normalised(_look(target, 0, rays, _carried(turned, rays), grid))
    return rays, (values * patches.templates[0]).mean(-1)


def _carried(across: Tensor, rays: Tensor) -> Tensor:
    """Axes (N, 2, 3) made orthogonal to directions near theirs."""
    first = across[:, 0] - (across[:, 0] * rays).sum(-1, keepdim=True) * rays
    first = F.normalize(first, dim=-1)
    return torch.stack((first, torch.linalg.cross(rays, first)), dim=1)
