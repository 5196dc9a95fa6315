# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""Warp kernels of the bare points, drawn as caps: the nearest wins, those close behind it are blended in."""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import warp as wp

from ._warp_kernels import (
    EMPTY,
    MARGIN,
    PI,
    View,
    angle_of,
    direction,
    far_from_samples,
    holds_samples,
    pack,
    refine,
    sample,
)
from ._warp_surface import shade

wp.set_module_options({"enable_backward": False})


@wp.struct
class Caps:
    """The bare points: their numbers, their radius in the source and how many pixels they are drawn wide."""

    bare: wp.array(dtype=wp.int32)
    radius: wp.array(dtype=wp.float32)
    scale: wp.array(dtype=wp.float32)
    most: wp.float32
    core: wp.float32
    step: wp.float32


@wp.func
def cap_chord(caps: Caps, i: wp.int32, t: wp.float32, H: wp.int32) -> wp.float32:
    """Chord of a cap's angular radius: `step` is the frame's pixel; rims and leftovers go by the grid's."""
    k = caps.scale[i]
    least = wp.where(k < 1.0, PI / wp.float32(H), caps.step)
    angle = wp.min(k * wp.max(least, caps.radius[i] / t), wp.max(caps.most, k * caps.step))
    return 2.0 * wp.sin(0.5 * angle)


@wp.func
def cap_box(n: wp.vec3, at: wp.vec2, chord: wp.float32, W: wp.int32, H: wp.int32) -> wp.vec4i:
    """x0, x1, y0, y1 of the pixels that a cap around `n`, at pixel `at`, can reach; x may leave the image."""
    if chord > 1.0:
        return wp.vec4i(0, W - 1, 0, H - 1)
    per_radian = wp.float32(H) / PI
    sine = chord * wp.sqrt(1.0 - 0.25 * chord * chord)
    reach = angle_of(sine, wp.sqrt(1.0 - sine * sine)) * per_radian + MARGIN
    y0 = wp.max(wp.int32(wp.ceil(at[1] - reach)), 0)
    y1 = wp.min(wp.int32(wp.floor(at[1] + reach)), H - 1)
    room = n[0] * n[0] + n[2] * n[2] - sine * sine
    if room <= 0.0:
        return wp.vec4i(0, W - 1, y0, y1)
    span = angle_of(sine, wp.sqrt(room)) * per_radian + MARGIN
    x0 = wp.int32(wp.ceil(at[0] - span))
    x1 = wp.min(wp.int32(wp.floor(at[0] + span)), x0 + W - 1)
    return wp.vec4i(x0, x1, y0, y1)


@wp.func
def cap_misses(at: wp.vec2, box: wp.vec4i, view: View) -> bool:
    """No sample is in a cap's box, for certain."""
    if view.fine == 0:
        return False
    if box[1] - box[0] <= 6 and box[3] - box[2] <= 6:
        W = view.columns.shape[0]
        return far_from_samples(at, at, at, at, W >> 1, W >> 2, view.near)
    return not holds_samples(box[0], box[1], box[2], box[3], view)


@wp.func
def seen(t: wp.float32, u: wp.float32, limit: wp.float32, core: wp.float32) -> bool:
    """Before what is there; over a surface (limit < 0) only with the cap's core, a pixel's own extent."""
    return t < wp.abs(limit) and (limit > 0.0 or u < core * core)


@wp.kernel
def caps_depth(
    caps: Caps,
    cam: wp.array(dtype=wp.vec3),
    pixel: wp.array(dtype=wp.vec2),
    view: View,
    limit: wp.array(dtype=wp.float32),
    keys: wp.array(dtype=wp.int64),
):
    """First pass: nearest cap of every pixel."""
    i = wp.tid()
    W = view.columns.shape[0]
    H = view.rows.shape[0]
    v = caps.bare[i]
    p = cam[v]
    t = wp.length(p)
    if t == 0.0:
        return
    chord = cap_chord(caps, i, t, H)
    n = p / t
    box = cap_box(n, refine(pixel[v], view.fine), chord, W, H)
    if cap_misses(pixel[v], box, view):
        return
    for y in range(box[2], box[3] + 1):
        for j in range(box[0], box[1] + 1):
            x = wp.where(j < 0, j + W, j)
            if x >= W:
                x -= W
            at = sample(x, y, W, view.fine, view.slot)
            if at < 0:
                continue
            off = direction(view.columns[x], view.rows[y]) - n
            u = wp.dot(off, off) / (chord * chord)
            if u < 1.0 and seen(t, u, limit[at], caps.core / caps.scale[i]):
                wp.atomic_min(keys, at, pack(t, i))


@wp.kernel
def caps_blend(
    caps: Caps,
    cam: wp.array(dtype=wp.vec3),
    pixel: wp.array(dtype=wp.vec2),
    view: View,
    limit: wp.array(dtype=wp.float32),
    keys: wp.array(dtype=wp.int64),
    colors: wp.array(dtype=wp.int32),
    depth: wp.float32,
    total: wp.array(dtype=wp.vec4),
    total_t: wp.array(dtype=wp.float32),
):
    """Second pass: sum caps near the nearest one, weighted by closeness to their centres."""
    i = wp.tid()
    W = view.columns.shape[0]
    H = view.rows.shape[0]
    v = caps.bare[i]
    p = cam[v]
    t = wp.length(p)
    if t == 0.0:
        return
    chord = cap_chord(caps, i, t, H)
    n = p / t
    box = cap_box(n, refine(pixel[v], view.fine), chord, W, H)
    if cap_misses(pixel[v], box, view):
        return
    for y in range(box[2], box[3] + 1):
        for j in range(box[0], box[1] + 1):
            x = wp.where(j < 0, j + W, j)
            if x >= W:
                x -= W
            at = sample(x, y, W, view.fine, view.slot)
            if at < 0:
                continue
            off = direction(view.columns[x], view.rows[y]) - n
            u = wp.dot(off, off) / (chord * chord)
            if u < 1.0 and seen(t, u, limit[at], caps.core / caps.scale[i]):
                nearest = wp.cast(wp.int32(keys[at] >> wp.int64(32)), wp.float32)
                if t <= nearest * (1.0 + depth):
                    w = (1.0 - u) * (1.0 - u) + 1.0e-6
                    rgb = w * shade(colors[v])
                    wp.atomic_add(total, at, wp.vec4(rgb[0], rgb[1], rgb[2], w))
                    wp.atomic_add(total_t, at, w * t)


@wp.kernel
def caps_show(
    bare: wp.array(dtype=wp.int32),
    anchor: wp.array(dtype=wp.int16),
    keys: wp.array(dtype=wp.int64),
    total: wp.array(dtype=wp.vec4),
    total_t: wp.array(dtype=wp.float32),
    out_rgb: wp.array2d(dtype=wp.float32),
    out_distance: wp.array(dtype=wp.float32),
    out_coverage: wp.array(dtype=wp.uint8),
    out_anchor: wp.array(dtype=wp.int16),
):
    """Sums of caps over what is there."""
    i = wp.tid()
    if keys[i] == EMPTY:
        return
    whole = total[i]
    for channel in range(3):
        out_rgb[channel, i] = whole[channel] / (whole[3] * 255.0)
    out_distance[i] = total_t[i] / whole[3]
    out_coverage[i] = wp.uint8(1)
    out_anchor[i] = anchor[bare[wp.int32(keys[i] & wp.int64(0xFFFFFFFF))]]
