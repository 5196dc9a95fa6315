"""Warp kernels of the tracer. `_torch_tracer` is the plain-torch twin; change both together."""

# ruff: noqa: UP018, SIM102  (Warp needs float(...) to declare a variable, and nested ifs to skip work)
# No `from __future__ import annotations`: Warp reads the annotations of kernels as types.
import warp as wp

__all__ = ["SceneArrays", "trace_kernel"]


@wp.struct
class SceneArrays:
    """The arrays of `Scene`, primitives sorted by distance from the camera."""

    shape: wp.array(dtype=wp.int32)
    center: wp.array(dtype=wp.vec3)
    half: wp.array(dtype=wp.vec3)
    turn: wp.array(dtype=wp.vec2)
    radius: wp.array(dtype=wp.float32)
    near: wp.array(dtype=wp.float32)
    material: wp.array(dtype=wp.vec2i)
    tint: wp.array(dtype=wp.vec3)
    uv_offset: wp.array(dtype=wp.vec2)
    materials: wp.array(dtype=wp.float32, ndim=2)
    textures: wp.array(dtype=wp.vec3, ndim=2)
    sky: wp.array(dtype=wp.vec3, ndim=2)
    lights: wp.array(dtype=wp.float32, ndim=2)
    ambient: wp.array(dtype=wp.vec3)
    count: wp.int32
    light_count: wp.int32
    texture_size: wp.int32
    haze: wp.float32
    contact: wp.float32
    exposure: wp.float32


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


@wp.func
def blocked(s: SceneArrays, p: wp.vec3, d: wp.vec3, reach: float):
    for i in range(s.count):
        oc = s.center[i] - p
        b = wp.dot(oc, d)
        r = s.radius[i]
        if b > -r and b - r < reach and s.shape[i] != 4:
            if wp.dot(oc, oc) - b * b <= r * r * 1.0001:
                t = hit(s.shape[i], to_local(-oc, s.turn[i]), to_local(d, s.turn[i]), s.half[i])
                if t > 0.0 and t < reach:
                    return True
    return False


@wp.func
def openness(s: SceneArrays, p: wp.vec3, n: wp.vec3):
    """1 in the open, towards 0 in corners: the distance field one step off the surface."""
    step = s.contact
    q = p + n * step
    least = step
    for i in range(s.count):
        oc = q - s.center[i]
        gap = s.radius[i] + least
        if wp.dot(oc, oc) < gap * gap:
            least = wp.min(least, signed_distance(s.shape[i], to_local(oc, s.turn[i]), s.half[i]))
    return wp.clamp(least / step, 0.0, 1.0)


@wp.func
def texel(s: SceneArrays, k: int, level: int, u: float, v: float):
    size = s.texture_size >> level
    start = (4 * (s.texture_size * s.texture_size - size * size)) / 3
    x = u * float(size) - 0.5
    y = v * float(size) - 0.5
    x0 = wp.floor(x)
    y0 = wp.floor(y)
    fx = x - x0
    fy = y - y0
    xa = int(x0) & (size - 1)
    ya = int(y0) & (size - 1)
    xb = (xa + 1) & (size - 1)
    yb = (ya + 1) & (size - 1)
    top = s.textures[k, start + ya * size + xa] * (1.0 - fx) + s.textures[k, start + ya * size + xb] * fx
    low = s.textures[k, start + yb * size + xa] * (1.0 - fx) + s.textures[k, start + yb * size + xb] * fx
    return top * (1.0 - fy) + low * fy


@wp.func
def sample_texture(s: SceneArrays, k: int, u: float, v: float, footprint: float):
    """Trilinear; u, v in tiles (wrapped), footprint in tiles."""
    levels = wp.log2(wp.max(footprint * float(s.texture_size), 1.0))
    top_level = int(wp.log2(float(s.texture_size)) + 0.5)
    levels = wp.min(levels, float(top_level))
    lo = int(wp.floor(levels))
    hi = wp.min(lo + 1, top_level)
    f = levels - float(lo)
    fu = u - wp.floor(u)
    fv = v - wp.floor(v)
    return texel(s, k, lo, fu, fv) * (1.0 - f) + texel(s, k, hi, fu, fv) * f


@wp.func
def surface_uv(shape: int, p: wp.vec3, n: wp.vec3, h: wp.vec3):
    """Metric coordinates on the surface (u, v) and the size of the face (w, z)."""
    ax = wp.abs(n[0])
    ay = wp.abs(n[1])
    az = wp.abs(n[2])
    if shape == 1 and ay < 0.9:
        r = wp.max(h[0], h[2])
        return wp.vec4(wp.atan2(p[0], p[2]) * r, p[1], 6.2831853 * r, 2.0 * h[1])
    if shape == 3 and ax < 0.5 and n[1] < 0.0:
        slope = wp.length(wp.vec2(h[2], 2.0 * h[1]))
        return wp.vec4(p[0], (p[1] / (2.0 * h[1])) * slope, 2.0 * h[0], slope)
    if ay >= ax and ay >= az:
        return wp.vec4(p[0], p[2], 2.0 * h[0], 2.0 * h[2])
    if ax >= az:
        return wp.vec4(p[2], p[1], 2.0 * h[2], 2.0 * h[1])
    return wp.vec4(p[0], p[1], 2.0 * h[0], 2.0 * h[1])


@wp.func
def albedo(s: SceneArrays, i: int, p: wp.vec3, n: wp.vec3, footprint: float):
    """Texture times tint; emission is in the fourth component."""
    row = s.material[i][0]
    if wp.abs(n[1]) > 0.9 or (s.shape[i] == 3 and n[1] < 0.0):
        row = s.material[i][1]
    uv = surface_uv(s.shape[i], p, n, s.half[i])
    width = s.materials[row, 1]
    height = s.materials[row, 2]
    fit = s.materials[row, 3]
    u = uv[0] / width + s.uv_offset[i][0]
    v = uv[1] / height + s.uv_offset[i][1]
    if fit > 0.5:
        width = uv[2] / wp.max(1.0, wp.round(uv[2] / width) * wp.floor(0.5 * fit))
        height = uv[3] / wp.max(1.0, wp.round(uv[3] / height) * wp.floor(0.5 * fit))
        u = (uv[0] + 0.5 * uv[2]) / width
        v = (uv[1] + 0.5 * uv[3]) / height
    c = sample_texture(s, int(s.materials[row, 0]), u, v, footprint / wp.min(width, height))
    mottle = s.materials[row, 5]
    if mottle > 0.0:
        m = sample_texture(s, 0, uv[0] / 7.3 + 0.37, uv[1] / 7.3 + 0.61, footprint / 7.3)
        c = c * (1.0 + mottle * (m[0] - 0.5))
    c = wp.cw_mul(c, s.tint[i])
    return wp.vec4(c[0], c[1], c[2], s.materials[row, 4])


@wp.func
def sky_colour(s: SceneArrays, d: wp.vec3):
    h = s.sky.shape[0]
    w = s.sky.shape[1]
    x = (wp.atan2(d[0], d[2]) / 6.2831853 + 0.5) * float(w) - 0.5
    y = (0.5 + wp.asin(wp.clamp(d[1], -1.0, 1.0)) / 3.14159265) * float(h) - 0.5
    x0 = wp.floor(x)
    y0 = wp.floor(y)
    fx = x - x0
    fy = y - y0
    xa = (int(x0) + w) % w
    xb = (xa + 1) % w
    ya = wp.clamp(int(y0), 0, h - 1)
    yb = wp.clamp(int(y0) + 1, 0, h - 1)
    top = s.sky[ya, xa] * (1.0 - fx) + s.sky[ya, xb] * fx
    low = s.sky[yb, xa] * (1.0 - fx) + s.sky[yb, xb] * fx
    return top * (1.0 - fy) + low * fy


@wp.func
def shade(s: SceneArrays, i: int, p: wp.vec3, d: wp.vec3, t: float, pixel: float):
    local = to_local(p - s.center[i], s.turn[i])
    n_local = local_normal(s.shape[i], local, s.half[i])
    n = to_world(n_local, s.turn[i])
    # Between the short and the long axis of the footprint: less blur than one, less aliasing than the other.
    slant = wp.sqrt(wp.max(wp.abs(wp.dot(n, d)), 0.02))
    base = albedo(s, i, local, n_local, t * pixel / slant)
    colour = wp.vec3(base[0], base[1], base[2])
    if base[3] > 0.0:
        return colour * base[3]
    up = 0.5 - 0.5 * n[1]
    open = openness(s, p, n)
    light = (s.ambient[1] * (1.0 - up) + s.ambient[0] * up) * (0.3 + 0.7 * open)
    start = p + n * (0.002 + 1.0e-4 * t)
    for k in range(s.light_count):
        way = wp.vec3(s.lights[k, 1], s.lights[k, 2], s.lights[k, 3])
        reach = float(1.0e6)
        fall = float(1.0)
        if s.lights[k, 0] > 0.5:
            way = way - start
            reach = wp.length(way)
            way = way / wp.max(reach, 1.0e-4)
            fall = 1.0 / (1.0 + 0.25 * reach * reach)
        cosine = wp.dot(n, way)
        if cosine > 0.0:
            lit = cosine * fall
            if s.lights[k, 7] > 0.5 and blocked(s, start, way, reach * 0.93):
                lit = 0.0
            light = light + wp.vec3(s.lights[k, 4], s.lights[k, 5], s.lights[k, 6]) * lit
    colour = wp.cw_mul(colour, light)
    if s.haze > 0.0:
        f = wp.exp(-t / s.haze)
        colour = colour * f + s.ambient[2] * (1.0 - f)
    return colour


@wp.kernel
def trace_kernel(
    s: SceneArrays,
    rays: wp.array(dtype=wp.vec3),
    rotation: wp.mat33,
    origin: wp.vec3,
    pixel: float,
    shaded: int,
    rgb: wp.array(dtype=wp.vec3),
    distance: wp.array(dtype=wp.float32),
):
    tid = wp.tid()
    d = rotation * rays[tid]
    best = float(1.0e30)
    winner = int(-1)
    for i in range(s.count):
        if s.near[i] > best:
            break
        oc = s.center[i] - origin
        b = wp.dot(oc, d)
        r = s.radius[i]
        if b > -r:
            perp = oc - d * b
            if wp.dot(perp, perp) <= r * r * 1.0001:
                t = hit(s.shape[i], to_local(-oc, s.turn[i]), to_local(d, s.turn[i]), s.half[i])
                if t > 0.0 and t < best:
                    best = t
                    winner = i
    if winner < 0:
        distance[tid] = 0.0
        if shaded != 0:
            c = sky_colour(s, d) * s.exposure
            rgb[tid] = wp.vec3(
                wp.pow(wp.clamp(c[0], 0.0, 1.0), 1.0 / 2.2),
                wp.pow(wp.clamp(c[1], 0.0, 1.0), 1.0 / 2.2),
                wp.pow(wp.clamp(c[2], 0.0, 1.0), 1.0 / 2.2),
            )
        return
    distance[tid] = best
    if shaded != 0:
        c = shade(s, winner, origin + d * best, d, best, pixel) * s.exposure
        rgb[tid] = wp.vec3(
            wp.pow(wp.clamp(c[0], 0.0, 1.0), 1.0 / 2.2),
            wp.pow(wp.clamp(c[1], 0.0, 1.0), 1.0 / 2.2),
            wp.pow(wp.clamp(c[2], 0.0, 1.0), 1.0 / 2.2),
        )
