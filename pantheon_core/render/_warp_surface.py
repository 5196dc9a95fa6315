# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""Warp kernels of the scaffold renderer: from depth keys to colours, and the sky."""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import warp as wp

from ._warp_kernels import EMPTY, PI, angle_of, corners_of, direction

wp.set_module_options({"enable_backward": False})

AHEAD = wp.constant(wp.int32(8))  # pixels: about as many are coloured while memory answers
# On the CPU one pixel follows the other, and most of its time would be spent waiting for its triangle.
PREFETCH = """
#if !defined(__CUDA_ARCH__)
__builtin_prefetch(a.data + i);
#endif
"""


@wp.func
def sky_color(sky: wp.array2d(dtype=wp.vec4), px: wp.float32, py: wp.float32) -> wp.vec3:
    """Bilinear, around the seam and over the poles."""
    h = sky.shape[0]
    w = sky.shape[1]
    x0 = wp.int32(wp.floor(px))
    y0 = wp.int32(wp.floor(py))
    fx = px - wp.float32(x0)
    fy = py - wp.float32(y0)
    out = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for dy in range(2):
        for dx in range(2):
            x = x0 + dx
            y = y0 + dy
            if y < 0:
                y = -1 - y
                x += w / 2
            if y >= h:
                y = 2 * h - 1 - y
                x += w / 2
            if x < 0:
                x += w
            if x >= w:
                x -= w
            weight = (wp.float32(dx) * fx + wp.float32(1 - dx) * (1.0 - fx)) * (
                wp.float32(dy) * fy + wp.float32(1 - dy) * (1.0 - fy)
            )
            out += weight * sky[y, x]
    return wp.vec3(out[0], out[1], out[2])


@wp.func
def shade(packed: wp.int32) -> wp.vec3:
    """Three bytes, 0 to 255."""
    return wp.vec3(
        wp.float32(packed & 255), wp.float32((packed >> 8) & 255), wp.float32((packed >> 16) & 255)
    )


@wp.func
def tint(packed: wp.int32) -> wp.vec3:
    """Three bytes as -128 to 127."""
    return shade(packed) - wp.vec3(128.0, 128.0, 128.0)


@wp.func
def bends_of(bend: wp.vec4i, k: wp.int32, side: wp.int32) -> wp.vec3:
    """Bend of a side of triangle k of a pair: in the low bytes of a word, or spread over the high ones."""
    if k == 0 or side == 0:
        return tint(bend[side])
    if side == 1:
        return tint(bend[3])
    high = (bend[0] >> 24) & 255
    return tint(high | (((bend[1] >> 24) & 255) << 8) | (((bend[2] >> 24) & 255) << 16))


@wp.func_native(PREFETCH)
def want_pair(a: wp.array(dtype=wp.vec4i), i: wp.int32):
    """Ask memory for it."""
    ...


@wp.func_native(PREFETCH)
def want_point(a: wp.array(dtype=wp.vec3), i: wp.int32):
    """Ask memory for it."""
    ...


@wp.func_native(PREFETCH)
def want_color(a: wp.array(dtype=wp.int32), i: wp.int32):
    """Ask memory for it."""
    ...


@wp.func_native("""
#if defined(__CUDA_ARCH__)
return false;
#else
return true;
#endif
""")
def one_by_one() -> bool:
    """True on the CPU, where a pixel is coloured after the one before."""
    ...


@wp.func
def look_ahead(
    i: wp.int32,
    keys: wp.array(dtype=wp.int64),
    corners: wp.array(dtype=wp.vec4i),
    bend: wp.array(dtype=wp.vec4i),
    cam: wp.array(dtype=wp.vec3),
    colors: wp.array(dtype=wp.int32),
):
    """What later pixels need is asked for now: pairs first, half way there their points."""
    if i + 2 * AHEAD >= keys.shape[0]:
        return
    later = keys[i + 2 * AHEAD]
    if later != EMPTY:
        f = wp.int32(later & wp.int64(0xFFFFFFFF)) >> 1
        want_pair(corners, f)
        want_pair(bend, f)
    soon = keys[i + AHEAD]
    if soon != EMPTY:
        corner = corners[wp.int32(soon & wp.int64(0xFFFFFFFF)) >> 1]
        want_point(cam, corner[0])
        want_point(cam, corner[1])
        want_point(cam, corner[2])
        want_color(colors, corner[0])
        want_color(colors, corner[2])


@wp.kernel
def surface(
    keys: wp.array(dtype=wp.int64),
    cam: wp.array(dtype=wp.vec3),
    corners: wp.array(dtype=wp.vec4i),
    edge: wp.array(dtype=wp.uint8),
    bend: wp.array(dtype=wp.vec4i),
    colors: wp.array(dtype=wp.int32),
    anchor: wp.int16,
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    where: wp.array(dtype=wp.int32),
    depth: wp.float32,
    out_rgb: wp.array2d(dtype=wp.float32),
    out_distance: wp.array(dtype=wp.float32),
    out_coverage: wp.array(dtype=wp.uint8),
    out_anchor: wp.array(dtype=wp.int16),
    limit: wp.array(dtype=wp.float32),
):
    """Depth keys to colours; `limit` says how near a cap must be to be seen, negative over a surface."""
    i = wp.tid()
    key = keys[i]
    if key == EMPTY:
        return
    if one_by_one():
        look_ahead(i, keys, corners, bend, cam, colors)
    d = direction(columns[where[i] & 65535], rows[where[i] >> 16])
    f = wp.int32(key & wp.int64(0xFFFFFFFF))
    k = f & 1
    f = f >> 1
    corner = corners_of(corners[f], k)
    a = cam[corner[0]]
    ab = cam[corner[1]] - a
    ac = cam[corner[2]] - a
    det = wp.dot(wp.cross(ab, ac), d)
    t = wp.cast(wp.int32(key >> wp.int64(32)), wp.float32)
    if det < 0.0 or (wp.int32(edge[f]) & (k + 1)) != 0:
        limit[i] = t * (1.0 + depth)
        if det < 0.0:
            out_anchor[i] = wp.int16(-2)
        return
    limit[i] = -t * (1.0 - depth)
    # Where the ray meets the plane, as parts of its corners (Moeller and Trumbore 1997).
    m = wp.cross(d, a)
    wb = wp.max(-wp.dot(ac, m), 0.0)
    wc = wp.max(wp.dot(ab, m), 0.0)
    wa = wp.max(det - wb - wc, 0.0)
    whole = wa + wb + wc
    wa /= whole
    wb /= whole
    wc /= whole
    straight = wa * shade(colors[corner[0]]) + wb * shade(colors[corner[1]]) + wc * shade(colors[corner[2]])
    sides = bend[f]
    bent = (wb * wc) * bends_of(sides, k, 0) + (wc * wa) * bends_of(sides, k, 1)
    bent += (wa * wb) * bends_of(sides, k, 2)
    rgb = (straight + bent) * (1.0 / 255.0)
    for channel in range(3):
        out_rgb[channel, i] = wp.clamp(rgb[channel], 0.0, 1.0)
    out_distance[i] = t
    out_coverage[i] = wp.uint8(1)
    out_anchor[i] = anchor


@wp.kernel
def sky(
    limit: wp.array(dtype=wp.float32),
    empty: wp.float32,
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    where: wp.array(dtype=wp.int32),
    R: wp.mat33,
    layer: wp.array2d(dtype=wp.vec4),
    out_rgb: wp.array2d(dtype=wp.float32),
    out_coverage: wp.array(dtype=wp.uint8),
):
    """The layer at infinity (rgb, mask) where nothing else is. `R`: camera directions to the world's."""
    i = wp.tid()
    if limit[i] != empty or out_coverage[i] != wp.uint8(0):
        return
    v = R * direction(columns[where[i] & 65535], rows[where[i] >> 16])
    h = layer.shape[0]
    w = layer.shape[1]
    px = (angle_of(v[0], v[2]) / (2.0 * PI) + 0.5) * wp.float32(w) - 0.5
    py = (0.5 - angle_of(-v[1], wp.sqrt(v[0] * v[0] + v[2] * v[2])) / PI) * wp.float32(h) - 0.5
    x = wp.int32(wp.floor(px + 0.5))
    if x >= w:
        x -= w
    y = wp.clamp(wp.int32(wp.floor(py + 0.5)), 0, h - 1)
    if layer[y, x][3] != 0.0:
        rgb = sky_color(layer, px, py)
        for channel in range(3):
            out_rgb[channel, i] = rgb[channel]
        out_coverage[i] = wp.uint8(1)
