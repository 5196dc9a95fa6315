# type: ignore
# Warp compiles this file itself: its types are Warp's language, which pyright cannot read.
"""Warp functions of the primitives: where a ray hits, normals, distance fields."""

# ruff: noqa: UP018, SIM102, RUF046, RUF100  (Warp needs float(...) to declare a variable)
# No `from __future__ import annotations`: Warp reads the annotations as types.
import warp as wp

__all__ = ["hit", "local_normal", "signed_distance", "to_local", "to_world"]


@wp.func
def to_local(v: wp.vec3, turn: wp.vec2):
    return wp.vec3(turn[0] * v[0] - turn[1] * v[2], v[1], turn[1] * v[0] + turn[0] * v[2])


@wp.func
def to_world(v: wp.vec3, turn: wp.vec2):
    return wp.vec3(turn[0] * v[0] + turn[1] * v[2], v[1], -turn[1] * v[0] + turn[0] * v[2])


@wp.func
def safe_inverse(v: float):
    if wp.abs(v) < 1.0e-12:
        return 1.0e12
    return 1.0 / v


@wp.func
def hit_box(o: wp.vec3, d: wp.vec3, h: wp.vec3, inside: bool):
    lo = float(-1.0e30)
    hi = float(1.0e30)
    for i in range(3):
        inv = safe_inverse(d[i])
        a = (-h[i] - o[i]) * inv
        b = (h[i] - o[i]) * inv
        lo = wp.max(lo, wp.min(a, b))
        hi = wp.min(hi, wp.max(a, b))
    if inside:
        if lo <= hi and hi > 0.0:
            return hi
        return -1.0
    if lo <= hi and lo > 0.0:
        return lo
    return -1.0


@wp.func
def hit_ellipsoid(o: wp.vec3, d: wp.vec3, h: wp.vec3):
    p = wp.cw_div(o, h)
    q = wp.cw_div(d, h)
    a = wp.dot(q, q)
    b = wp.dot(p, q)
    # Distance of the line from the centre by the perpendicular part: b*b - a*c cancels badly when far away.
    perp = p - q * (b / a)
    disc = 1.0 - wp.dot(perp, perp)
    if disc < 0.0:
        return -1.0
    t = -b / a - wp.sqrt(disc / a)
    if t > 0.0:
        return t
    return -1.0


@wp.func
def hit_cone(o: wp.vec3, d: wp.vec3, h: wp.vec3):
    # radius(y) = m + k y, y down: bottom at y = +h[1] with radius h[0], top at -h[1] with radius h[2]
    best = float(1.0e30)
    m = 0.5 * (h[0] + h[2])
    k = 0.5 * (h[0] - h[2]) / h[1]
    ro = m + k * o[1]
    rd = k * d[1]
    a = d[0] * d[0] + d[2] * d[2] - rd * rd
    b = o[0] * d[0] + o[2] * d[2] - ro * rd
    c = o[0] * o[0] + o[2] * o[2] - ro * ro
    disc = b * b - a * c
    if disc > 0.0 and wp.abs(a) > 1.0e-9:
        root = wp.sqrt(disc)
        for s in range(2):
            t = (-b - root) / a
            if s == 1:
                t = (-b + root) / a
            y = o[1] + t * d[1]
            # Only where the ray enters: leaving hits belong to a camera inside, which sees nothing of it.
            x = o[0] + t * d[0]
            z = o[2] + t * d[2]
            facing = x * d[0] + z * d[2] - (m + k * y) * rd
            if t > 0.0 and t < best and wp.abs(y) <= h[1] and m + k * y >= 0.0 and facing < 0.0:
                best = t
    if wp.abs(d[1]) > 1.0e-9:
        side = float(1.0)
        r = h[0]
        if d[1] > 0.0:
            side = float(-1.0)
            r = h[2]
        t = (side * h[1] - o[1]) / d[1]
        x = o[0] + t * d[0]
        z = o[2] + t * d[2]
        if t > 0.0 and t < best and x * x + z * z <= r * r:
            best = t
    if best < 1.0e29:
        return best
    return -1.0


@wp.func
def prism_normal(h: wp.vec3, side: float):
    return wp.normalize(wp.vec3(0.0, -h[2], side * 2.0 * h[1]))


@wp.func
def hit_prism(o: wp.vec3, d: wp.vec3, h: wp.vec3):
    lo = float(-1.0e30)
    hi = float(1.0e30)
    for i in range(5):
        n = wp.vec3(1.0, 0.0, 0.0)
        limit = h[0]
        if i == 1:
            n = wp.vec3(-1.0, 0.0, 0.0)
        elif i == 2:
            n = wp.vec3(0.0, 1.0, 0.0)
            limit = h[1]
        elif i > 2:
            n = prism_normal(h, float(2 * i - 7))
            limit = -n[1] * h[1]
        over = wp.dot(n, o) - limit
        speed = wp.dot(n, d)
        if wp.abs(speed) < 1.0e-12:
            if over > 0.0:
                return -1.0
        else:
            t = -over / speed
            if speed < 0.0:
                lo = wp.max(lo, t)
            else:
                hi = wp.min(hi, t)
    if lo <= hi and lo > 0.0:
        return lo
    return -1.0


@wp.func
def hit(shape: int, o: wp.vec3, d: wp.vec3, h: wp.vec3):
    if shape == 0:
        return hit_box(o, d, h, False)
    if shape == 1:
        return hit_cone(o, d, h)
    if shape == 2:
        return hit_ellipsoid(o, d, h)
    if shape == 3:
        return hit_prism(o, d, h)
    return hit_box(o, d, h, True)


@wp.func
def box_normal(p: wp.vec3, h: wp.vec3):
    q = wp.vec3(wp.abs(p[0]) - h[0], wp.abs(p[1]) - h[1], wp.abs(p[2]) - h[2])
    if q[1] >= q[0] and q[1] >= q[2]:
        return wp.vec3(0.0, wp.sign(p[1]), 0.0)
    if q[0] >= q[2]:
        return wp.vec3(wp.sign(p[0]), 0.0, 0.0)
    return wp.vec3(0.0, 0.0, wp.sign(p[2]))


@wp.func
def local_normal(shape: int, p: wp.vec3, h: wp.vec3):
    if shape == 0:
        return box_normal(p, h)
    if shape == 1:
        m = 0.5 * (h[0] + h[2])
        k = 0.5 * (h[0] - h[2]) / h[1]
        off = wp.abs(wp.length(wp.vec2(p[0], p[2])) - m - k * p[1])
        if h[1] - wp.abs(p[1]) < off:
            return wp.vec3(0.0, wp.sign(p[1]), 0.0)
        radial = wp.normalize(wp.vec2(p[0], p[2]))
        return wp.normalize(wp.vec3(radial[0], -k, radial[1]))
    if shape == 2:
        return wp.normalize(wp.cw_div(wp.cw_div(p, h), h))
    if shape == 3:
        n = prism_normal(h, wp.sign(p[2]))
        off = -n[1] * h[1] - wp.dot(n, p)
        if h[0] - wp.abs(p[0]) < off and h[0] - wp.abs(p[0]) < h[1] - p[1]:
            return wp.vec3(wp.sign(p[0]), 0.0, 0.0)
        if h[1] - p[1] < off:
            return wp.vec3(0.0, 1.0, 0.0)
        return n
    return -box_normal(p, h)


@wp.func
def signed_distance(shape: int, p: wp.vec3, h: wp.vec3):
    b = h
    if shape == 2:
        q = wp.cw_div(p, h)
        k0 = wp.length(q)
        k1 = wp.length(wp.cw_div(q, h))
        return k0 * (k0 - 1.0) / wp.max(k1, 1.0e-6)
    if shape == 1:
        r = 0.5 * (h[0] + h[2]) + 0.5 * (h[0] - h[2]) / h[1] * wp.clamp(p[1], -h[1], h[1])
        dr = wp.length(wp.vec2(p[0], p[2])) - r
        dy = wp.abs(p[1]) - h[1]
        return wp.min(wp.max(dr, dy), 0.0) + wp.length(wp.vec2(wp.max(dr, 0.0), wp.max(dy, 0.0)))
    if shape == 3:
        n = prism_normal(h, wp.sign(p[2]))
        slope = wp.dot(n, p) + n[1] * h[1]
        return wp.max(wp.max(slope, p[1] - h[1]), wp.abs(p[0]) - h[0])
    q = wp.vec3(wp.abs(p[0]) - b[0], wp.abs(p[1]) - b[1], wp.abs(p[2]) - b[2])
    out = wp.vec3(wp.max(q[0], 0.0), wp.max(q[1], 0.0), wp.max(q[2], 0.0))
    value = wp.length(out) + wp.min(wp.max(q[0], wp.max(q[1], q[2])), 0.0)
    if shape == 4:
        return -value
    return value
