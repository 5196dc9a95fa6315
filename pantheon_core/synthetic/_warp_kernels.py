# type: ignore
# Warp compiles this file itself: its types are Warp's language, which pyright cannot read.
"""Warp kernels of the tracer. `_torch_tracer` is the plain-torch twin; change both together."""

# ruff: noqa: UP018, SIM102, RUF046, RUF100  (Warp needs float(...) to declare a variable)
# No `from __future__ import annotations`: Warp reads the annotations of kernels as types.
import warp as wp

from ._warp_shapes import hit, local_normal, signed_distance, to_local, to_world

__all__ = ["SceneArrays", "trace_kernel"]

wp.set_module_options({"enable_backward": False})


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
