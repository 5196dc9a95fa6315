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
    direction,
    far_from_samples,
    holds_samples,
    pack,
    refine,
    sample,
    spot_of,
)
from ._warp_loops import angle_of

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
def cap_box(n: wp.vec3, at: wp.vec2, chord: wp.float32, W: wp.int32, H: wp.int32) -> wp.vec4:
    """x0, x1, y0, y1 of what a cap around `n`, at pixel `at`, can reach; it may leave the image."""
    width = wp.float32(W)
    height = wp.float32(H)
    if chord > 1.0:
        return wp.vec4(0.0, width - 1.0, 0.0, height - 1.0)
    per_radian = height / PI
    sine = chord * wp.sqrt(1.0 - 0.25 * chord * chord)
    reach = angle_of(sine, wp.sqrt(1.0 - sine * sine)) * per_radian + MARGIN
    room = n[0] * n[0] + n[2] * n[2] - sine * sine
    if room <= 0.0:
        return wp.vec4(0.0, width - 1.0, at[1] - reach, at[1] + reach)
    span = angle_of(sine, wp.sqrt(room)) * per_radian + MARGIN
    return wp.vec4(at[0] - span, at[0] + span, at[1] - reach, at[1] + reach)


@wp.func
def pixels_of(box: wp.vec4, W: wp.int32, H: wp.int32) -> wp.vec4i:
    """x0, x1, y0, y1 of the pixels in a box; x may leave the image."""
    x0 = wp.int32(wp.ceil(box[0]))
    x1 = wp.min(wp.int32(wp.floor(box[1])), x0 + W - 1)
    y0 = wp.max(wp.int32(wp.ceil(box[2])), 0)
    return wp.vec4i(x0, x1, y0, wp.min(wp.int32(wp.floor(box[3])), H - 1))


@wp.func
def shade(packed: wp.int32) -> wp.vec3:
    """Three bytes, 0 to 255."""
    return wp.vec3(
        wp.float32(packed & 255), wp.float32((packed >> 8) & 255), wp.float32((packed >> 16) & 255)
    )


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
    spots: wp.array(dtype=wp.int32),
    limit: wp.array(dtype=wp.float32),
    chords: wp.array(dtype=wp.float32),
    boxes: wp.array(dtype=wp.vec4i),
    count: wp.array(dtype=wp.int32),
    touched: wp.array(dtype=wp.int32),
    keys: wp.array(dtype=wp.int64),
    total: wp.array(dtype=wp.vec4),
    total_t: wp.array(dtype=wp.float32),
):
    """First pass: every pixel's nearest cap, the pixels that have one, and caps' boxes, empty if not seen."""
    i = wp.tid()
    boxes[i] = wp.vec4i(0, -1, 0, -1)
    if view.fine != 0:
        if far_from_samples(spots[i], view.near):
            return
    else:
        spots[i] = -1
    W = view.columns.shape[0]
    H = view.rows.shape[0]
    v = caps.bare[i]
    p = cam[v]
    t = wp.length(p)
    if t == 0.0:
        return
    chord = cap_chord(caps, i, t, H)
    n = p / t
    place = refine(pixel[v], view.fine)
    reach = cap_box(n, place, chord, W, H)
    if view.fine == 0:
        radius = wp.vec2(0.5 * (reach[1] - reach[0]), 0.5 * (reach[3] - reach[2]))
        spots[i] = spot_of(place, radius, W, H)
    box = pixels_of(reach, W, H)
    if not holds_samples(box[0], box[1], box[2], box[3], view):
        return
    shows = wp.bool(False)
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
                shows = True
                if wp.atomic_min(keys, at, pack(t, i)) == EMPTY:
                    touched[wp.atomic_add(count, 0, 1)] = at
                    total[at] = wp.vec4(0.0, 0.0, 0.0, 0.0)
                    total_t[at] = 0.0
    if shows:
        boxes[i] = box
        chords[i] = chord


@wp.kernel
def caps_blend(
    caps: Caps,
    cam: wp.array(dtype=wp.vec3),
    view: View,
    limit: wp.array(dtype=wp.float32),
    chords: wp.array(dtype=wp.float32),
    boxes: wp.array(dtype=wp.vec4i),
    keys: wp.array(dtype=wp.int64),
    colors: wp.array(dtype=wp.int32),
    depth: wp.float32,
    total: wp.array(dtype=wp.vec4),
    total_t: wp.array(dtype=wp.float32),
):
    """Second pass: sum caps near the nearest one, weighted by closeness to their centres."""
    i = wp.tid()
    W = view.columns.shape[0]
    box = boxes[i]
    if box[1] < box[0]:
        return
    v = caps.bare[i]
    t = wp.length(cam[v])
    n = cam[v] / t
    chord = chords[i]
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
    touched: wp.array(dtype=wp.int32),
    keys: wp.array(dtype=wp.int64),
    total: wp.array(dtype=wp.vec4),
    total_t: wp.array(dtype=wp.float32),
    out_rgb: wp.array2d(dtype=wp.float32),
    out_distance: wp.array(dtype=wp.float32),
    out_coverage: wp.array(dtype=wp.uint8),
    out_anchor: wp.array(dtype=wp.int16),
):
    """Sums of caps over what is there."""
    i = touched[wp.tid()]
    whole = total[i]
    for channel in range(3):
        out_rgb[channel, i] = whole[channel] / (whole[3] * 255.0)
    out_distance[i] = total_t[i] / whole[3]
    out_coverage[i] = wp.uint8(1)
    out_anchor[i] = anchor[bare[wp.int32(keys[i] & wp.int64(0xFFFFFFFF))]]
