# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""Warp kernels of the bare points, drawn as caps: the nearest wins, those close behind it are blended in."""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import warp as wp

from ._warp_kernels import EMPTY, PI, direction, pack, refine, sample

wp.set_module_options({"enable_backward": False})


@wp.func
def cap_box(p: wp.vec2, angle: wp.float32, W: wp.int32, H: wp.int32) -> wp.vec4i:
    """x0, x1, y0, y1 of the pixels that a cap can reach; x may leave the image."""
    h = wp.float32(H)
    reach = angle * h / PI + 1.0e-2
    y0 = wp.max(wp.int32(wp.ceil(p[1] - reach)), 0)
    y1 = wp.min(wp.int32(wp.floor(p[1] + reach)), H - 1)
    lat = (0.5 - (p[1] + 0.5) / h) * PI
    room = wp.cos(lat) * wp.cos(lat) - wp.sin(angle) * wp.sin(angle)
    if wp.abs(lat) + angle >= 0.5 * PI or room <= 0.0:
        return wp.vec4i(0, W - 1, y0, y1)
    span = wp.atan2(wp.sin(angle), wp.sqrt(room)) * h / PI + 1.0e-2
    x0 = wp.int32(wp.ceil(p[0] - span))
    x1 = wp.min(wp.int32(wp.floor(p[0] + span)), x0 + W - 1)
    return wp.vec4i(x0, x1, y0, y1)


@wp.func
def cap_angle(
    radius: wp.float32, t: wp.float32, step: wp.float32, k: wp.float32, most: wp.float32, H: wp.int32
) -> wp.float32:
    """Angular radius of a bare point's cap: `step` is the frame's pixel; rims (k < 1) go by the grid's."""
    least = step
    if k < 1.0:
        least = PI / wp.float32(H)
    return wp.min(k * wp.max(least, radius / t), wp.max(most, k * step))


@wp.func
def seen(t: wp.float32, u: wp.float32, limit: wp.float32, core: wp.float32) -> bool:
    """Before what is there; over a surface (limit < 0) only with the cap's core, a pixel's own extent."""
    return t < wp.abs(limit) and (limit > 0.0 or u < core * core)


@wp.kernel
def caps_depth(
    bare: wp.array(dtype=wp.int32),
    radius: wp.array(dtype=wp.float32),
    scale: wp.array(dtype=wp.float32),
    cam: wp.array(dtype=wp.vec3),
    pixel: wp.array(dtype=wp.vec2),
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    most: wp.float32,
    core: wp.float32,
    step: wp.float32,
    fine: wp.int32,
    slot: wp.array(dtype=wp.int32),
    limit: wp.array(dtype=wp.float32),
    keys: wp.array(dtype=wp.int64),
):
    """First pass: nearest cap of every pixel."""
    i = wp.tid()
    W = columns.shape[0]
    H = rows.shape[0]
    p = cam[bare[i]]
    t = wp.length(p)
    if t > 0.0:
        angle = cap_angle(radius[i], t, step, scale[i], most, H)
        chord = 2.0 * wp.sin(0.5 * angle)
        n = p / t
        box = cap_box(refine(pixel[bare[i]], fine), angle, W, H)
        key = pack(t, i)
        for y in range(box[2], box[3] + 1):
            for j in range(box[0], box[1] + 1):
                x = (j + W) % W
                at = sample(x, y, W, fine, slot)
                if at < 0:
                    continue
                off = direction(columns[x], rows[y]) - n
                u = wp.dot(off, off) / (chord * chord)
                if u < 1.0 and seen(t, u, limit[at], core / scale[i]):
                    wp.atomic_min(keys, at, key)


@wp.kernel
def caps_blend(
    bare: wp.array(dtype=wp.int32),
    radius: wp.array(dtype=wp.float32),
    scale: wp.array(dtype=wp.float32),
    cam: wp.array(dtype=wp.vec3),
    pixel: wp.array(dtype=wp.vec2),
    colors: wp.array2d(dtype=wp.uint8),
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    most: wp.float32,
    core: wp.float32,
    step: wp.float32,
    fine: wp.int32,
    slot: wp.array(dtype=wp.int32),
    limit: wp.array(dtype=wp.float32),
    depth: wp.float32,
    keys: wp.array(dtype=wp.int64),
    total: wp.array(dtype=wp.vec4),
    total_t: wp.array(dtype=wp.float32),
):
    """Second pass: sum caps near the nearest one, weighted by closeness to their centres."""
    i = wp.tid()
    W = columns.shape[0]
    H = rows.shape[0]
    v = bare[i]
    p = cam[v]
    t = wp.length(p)
    if t > 0.0:
        angle = cap_angle(radius[i], t, step, scale[i], most, H)
        chord = 2.0 * wp.sin(0.5 * angle)
        n = p / t
        box = cap_box(refine(pixel[v], fine), angle, W, H)
        for y in range(box[2], box[3] + 1):
            for j in range(box[0], box[1] + 1):
                x = (j + W) % W
                at = sample(x, y, W, fine, slot)
                if at < 0:
                    continue
                off = direction(columns[x], rows[y]) - n
                u = wp.dot(off, off) / (chord * chord)
                if u < 1.0 and seen(t, u, limit[at], core / scale[i]):
                    nearest = wp.cast(wp.int32(keys[at] >> wp.int64(32)), wp.float32)
                    if t <= nearest * (1.0 + depth):
                        w = (1.0 - u) * (1.0 - u) + 1.0e-6
                        r = w * wp.float32(colors[v, 0])
                        g = w * wp.float32(colors[v, 1])
                        b = w * wp.float32(colors[v, 2])
                        wp.atomic_add(total, at, wp.vec4(r, g, b, w))
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
