"""Plain-torch twin of the Warp tracer: the same picture, several times slower."""

from __future__ import annotations

import torch
from torch import Tensor

from ._scene import BOX, CONE, ELLIPSOID, PRISM, SHELL, Scene
from ._torch_shading import albedo, sky_colour
from ._torch_shapes import hit, local_normal, signed_distance, to_local, to_world

__all__ = ["trace_rays"]


def trace_rays(
    scene: Scene, rays: Tensor, T_world_cam: Tensor, pixel: float, shaded: bool
) -> tuple[Tensor, Tensor]:
    """See `_warp_tracer.trace_rays`."""
    T = T_world_cam.to(scene.center)
    d = rays.to(scene.center) @ T[:3, :3].T
    origin = T[:3, 3]
    distance, winner = _nearest(scene, origin, d)
    rgb = torch.zeros_like(d)
    if shaded:
        missed = winner < 0
        rgb[missed] = sky_colour(scene.sky, d[missed])
        seen = (~missed).nonzero()[:, 0]
        rgb[seen] = _shade(scene, winner[seen], origin, d[seen], distance[seen], pixel)
        rgb = (rgb * scene.atmosphere[2]).clamp(0, 1) ** (1 / 2.2)
    return rgb, torch.where(winner < 0, 0.0, distance)


def _nearest(scene: Scene, origin: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    near = (scene.center - origin).norm(dim=-1) - scene.radius
    shapes = scene.shape.tolist()
    best = d.new_full((len(d),), 1e30)
    winner = torch.full((len(d),), -1, device=d.device)
    limit = 1e30
    for count, i in enumerate(near.argsort(stable=True).tolist()):
        if count % 16 == 0:
            limit = float(best.max())
        if float(near[i]) > limit:
            break
        oc, radius = scene.center[i] - origin, scene.radius[i]
        b = d @ oc
        perp = oc - d * b[:, None]
        rows = ((b > -radius) & ((perp * perp).sum(-1) <= radius**2 * 1.0001)).nonzero()[:, 0]
        if not len(rows):
            continue
        ray = to_local(d[rows], scene.turn[i])
        t = hit(shapes[i], to_local(-oc, scene.turn[i]).expand_as(ray), ray, scene.half[i])
        closer = (t > 0) & (t < best[rows])
        best[rows[closer]] = t[closer]
        winner[rows[closer]] = i
    return best, winner


def _shade(scene: Scene, winner: Tensor, origin: Tensor, d: Tensor, t: Tensor, pixel: float) -> Tensor:
    p = origin + d * t[:, None]
    turn, half, shape = scene.turn[winner], scene.half[winner], scene.shape[winner]
    local = to_local(p - scene.center[winner], turn)
    n_local = torch.zeros_like(local)
    for kind in (BOX, CONE, ELLIPSOID, PRISM, SHELL):
        rows = shape == kind
        n_local[rows] = local_normal(kind, local[rows], half[rows])
    n = to_world(n_local, turn)
    slant = (n * d).sum(-1).abs().clamp_min(0.02).sqrt()
    base, emission = albedo(scene, winner, local, n_local, t * pixel / slant)
    up = (0.5 - 0.5 * n[:, 1:2]).clamp(0, 1)
    light = scene.ambient[1] * (1 - up) + scene.ambient[0] * up
    light = light * (0.3 + 0.7 * _openness(scene, p, n))[:, None]
    start = p + n * (0.002 + 1e-4 * t)[:, None]
    for row in scene.lights:
        light = light + row[4:7] * _lit(scene, row, start, n)[:, None]
    colour = base * light
    if float(scene.atmosphere[0]) > 0:
        f = torch.exp(-t / scene.atmosphere[0])[:, None]
        colour = colour * f + scene.ambient[2] * (1 - f)
    return torch.where(emission[:, None] > 0, base * emission[:, None], colour)


def _openness(scene: Scene, p: Tensor, n: Tensor) -> Tensor:
    step = scene.atmosphere[1]
    q = p + n * step
    least = q.new_ones(len(q)) * step
    for i, shape in enumerate(scene.shape.tolist()):
        oc = q - scene.center[i]
        rows = ((oc * oc).sum(-1) < (scene.radius[i] + least) ** 2).nonzero()[:, 0]
        if len(rows):
            value = signed_distance(shape, to_local(oc[rows], scene.turn[i]), scene.half[i])
            least[rows] = torch.minimum(least[rows], value)
    return (least / step).clamp(0, 1)


def _lit(scene: Scene, light: Tensor, start: Tensor, n: Tensor) -> Tensor:
    """Cosine times fall-off, 0 in shadow."""
    way = light[1:4].expand_as(start)
    reach = start.new_full((len(start),), 1e6)
    fall = torch.ones_like(reach)
    if float(light[0]) > 0.5:
        way = way - start
        reach = way.norm(dim=-1)
        way = way / reach.clamp_min(1e-4)[:, None]
        fall = 1 / (1 + 0.25 * reach * reach)
    lit = ((n * way).sum(-1)).clamp_min(0) * fall
    if float(light[7]) > 0.5:
        rows = (lit > 0).nonzero()[:, 0]
        dark = _blocked(scene, start[rows], way[rows], reach[rows] * 0.93)
        lit[rows[dark]] = 0.0
    return lit


def _blocked(scene: Scene, p: Tensor, d: Tensor, reach: Tensor) -> Tensor:
    dark = torch.zeros(len(p), dtype=torch.bool, device=p.device)
    for i, shape in enumerate(scene.shape.tolist()):
        if shape == SHELL:
            continue
        oc, r = scene.center[i] - p, scene.radius[i]
        b = (oc * d).sum(-1)
        close = (oc * oc).sum(-1) - b * b <= r * r * 1.0001
        rows = (close & (b > -r) & (b - r < reach) & ~dark).nonzero()[:, 0]
        if len(rows):
            turn = scene.turn[i]
            t = hit(shape, to_local(-oc[rows], turn), to_local(d[rows], turn), scene.half[i])
            dark[rows[(t > 0) & (t < reach[rows])]] = True
    return dark
