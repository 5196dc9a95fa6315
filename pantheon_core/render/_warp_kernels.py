# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""Warp kernels of the scaffold renderer: one source for CPU and CUDA. The torch twin is _torch.py.

Everything is in the camera's frame. A depth key is (distance bits << 32) | index; the least one wins. Bare
points are in _warp_caps.py.
"""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import warp as wp

wp.set_module_options({"enable_backward": False})

EMPTY = wp.constant(wp.int64(0x7FFFFFFFFFFFFFFF))
PI = wp.constant(wp.float32(3.14159265358979))


@wp.func
def wrap(dx: wp.float32, width: wp.float32) -> wp.float32:
    """Shortest way around."""
    return dx - width * wp.round(dx / width)


@wp.func
def side(i: wp.int32, j: wp.int32, p: wp.vec3, q: wp.vec3) -> wp.vec3:
    """Normal p x q from the edge's difference, exactly opposite for the neighbour across the same edge."""
    n = wp.cross(p, q - p)
    if i > j:
        n = -wp.cross(q, p - q)
    return n


@wp.func
def inside(e: wp.float32, n: wp.vec3, slack: wp.float32) -> bool:
    """On the inner side of an edge, or within the slack angle of it."""
    return e >= 0.0 or e * e <= slack * slack * wp.dot(n, n)


@wp.func
def pack(t: wp.float32, index: wp.int32) -> wp.int64:
    """Depth key."""
    return (wp.int64(wp.cast(t, wp.int32)) << wp.int64(32)) | wp.int64(index)


@wp.func
def direction(column: wp.vec2, row: wp.vec2) -> wp.vec3:
    """Ray of a pixel."""
    return wp.vec3(row[1] * column[0], -row[0], row[1] * column[1])


@wp.func
def sample(x: wp.int32, y: wp.int32, W: wp.int32, fine: wp.int32, slot: wp.array(dtype=wp.int32)) -> wp.int32:
    """Number of the sample at a pixel of the grid, W wide; negative where there is none."""
    if fine == 0:
        return y * W + x
    s = slot[(y >> 1) * (W >> 1) + (x >> 1)]
    return s * 4 + (y & 1) * 2 + (x & 1)


@wp.func
def refine(p: wp.vec2, fine: wp.int32) -> wp.vec2:
    """Pixel coordinates of the frame in the grid of the samples."""
    if fine == 0:
        return p
    return wp.vec2(2.0 * p[0] + 0.5, 2.0 * p[1] + 0.5)


@wp.func
def far_from_samples(
    pa: wp.vec2,
    dab: wp.float32,
    dac: wp.float32,
    eab: wp.float32,
    eac: wp.float32,
    W: wp.int32,
    H: wp.int32,
    near: wp.array(dtype=wp.uint8),
) -> bool:
    """A triangle of at most two pixels, the first corner at `pa` of the fine grid, that meets no sample."""
    wide = wp.max(wp.max(wp.abs(dab), wp.abs(dac)), wp.max(wp.abs(eab), wp.abs(eac)))
    if wide > 3.9 or W < 64:
        return False
    x = wp.int32(wp.floor(0.5 * pa[0] + 0.25))
    y = wp.clamp(wp.int32(wp.floor(0.5 * pa[1] + 0.25)), 0, (H >> 1) - 1)
    w = W >> 1
    return near[y * w + (x + w) % w] == wp.uint8(0)


@wp.kernel
def project(
    points: wp.array(dtype=wp.vec3),
    R: wp.mat33,
    t: wp.vec3,
    width: wp.float32,
    height: wp.float32,
    cam: wp.array(dtype=wp.vec3),
    pixel: wp.array(dtype=wp.vec2),
):
    """World points to the camera's frame and to its pixels."""
    i = wp.tid()
    p = R * (points[i] - t)
    cam[i] = p
    lon = wp.atan2(p[0], p[2])
    lat = wp.atan2(-p[1], wp.sqrt(p[0] * p[0] + p[2] * p[2]))
    pixel[i] = wp.vec2((lon / (2.0 * PI) + 0.5) * width - 0.5, (0.5 - lat / PI) * height - 0.5)


@wp.kernel
def raster(
    cam: wp.array(dtype=wp.vec3),
    pixel: wp.array(dtype=wp.vec2),
    triangles: wp.array2d(dtype=wp.int32),
    edge: wp.array(dtype=wp.uint8),
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    slack: wp.float32,
    bias: wp.float32,
    source: wp.vec3,
    skin: wp.float32,
    fine: wp.int32,
    slot: wp.array(dtype=wp.int32),
    near: wp.array(dtype=wp.uint8),
    keys: wp.array(dtype=wp.int64),
):
    """One triangle into the depth keys."""
    i = wp.tid()
    W = columns.shape[0]
    H = rows.shape[0]
    width = wp.float32(W)
    ia = triangles[i, 0]
    ib = triangles[i, 1]
    ic = triangles[i, 2]
    pa = refine(pixel[ia], fine)
    pb = refine(pixel[ib], fine)
    pc = refine(pixel[ic], fine)
    dab = wrap(pb[0] - pa[0], width)
    dac = wrap(pc[0] - pa[0], width)
    if fine != 0 and far_from_samples(pa, dab, dac, pb[1] - pa[1], pc[1] - pa[1], W, H, near):
        return
    dbc = wrap(pc[0] - pb[0], width)
    x0 = wp.int32(wp.ceil(pa[0] + wp.min(0.0, wp.min(dab, dac)) - 1.0e-2))
    x1 = wp.int32(wp.floor(pa[0] + wp.max(0.0, wp.max(dab, dac)) + 1.0e-2))
    around = wp.abs(dab + dbc - dac) > 0.5 * width
    # Great circles bulge towards the poles: by at most sin cos (1 / cos(span / 2) - 1) of the latitude.
    half = wp.cos(wp.max(wp.max(wp.abs(dab), wp.abs(dac)), wp.abs(dbc)) * PI / width)
    bulge = (1.0 / wp.max(half, 1.0e-4) - 1.0) * 0.5 * wp.float32(H) / PI
    top = wp.min(pa[1], wp.min(pb[1], pc[1]))
    bottom = wp.max(pa[1], wp.max(pb[1], pc[1]))
    scale = 2.0 * PI / wp.float32(H)
    top -= bulge * wp.max(0.0, wp.sin(scale * (top + 0.5))) * wp.float32(top + 0.5 < 0.5 * wp.float32(H))
    bottom += (
        bulge * wp.max(0.0, -wp.sin(scale * (bottom + 0.5))) * wp.float32(bottom + 0.5 > 0.5 * wp.float32(H))
    )
    y0 = wp.max(wp.int32(wp.ceil(top - 1.0e-2)), 0)
    y1 = wp.min(wp.int32(wp.floor(bottom + 1.0e-2)), H - 1)
    if not around and (x0 > x1 or y0 > y1):
        return
    a = cam[ia]
    b = cam[ib]
    c = cam[ic]
    N = wp.cross(b - a, c - a)
    det = wp.dot(N, a)
    if det == 0.0:
        return
    s = wp.sign(det)
    na = s * side(ib, ic, b, c)
    nb = s * side(ic, ia, c, a)
    nc = s * side(ia, ib, a, b)
    if around:
        x0 = 0
        x1 = W - 1
        north = inside(-na[1], na, slack) and inside(-nb[1], nb, slack) and inside(-nc[1], nc, slack)
        south = inside(na[1], na, slack) and inside(nb[1], nb, slack) and inside(nc[1], nc, slack)
        if north or not south:
            y0 = 0
        if south or not north:
            y1 = H - 1
    x1 = wp.min(x1, x0 + W - 1)
    factor = wp.float32(1.0)
    if s < 0.0 or edge[i] != wp.uint8(0):
        factor = bias
    reach = wp.float32(3.0e38)
    if edge[i] != wp.uint8(0):
        reach = skin * wp.min(wp.min(wp.length(a - source), wp.length(b - source)), wp.length(c - source))
    for y in range(y0, y1 + 1):
        row = rows[y]
        for k in range(x0, x1 + 1):
            x = k
            if x < 0:
                x += W
            if x >= W:
                x -= W
            at = sample(x, y, W, fine, slot)
            d = direction(columns[x], row)
            if (
                at >= 0
                and inside(wp.dot(d, na), na, slack)
                and inside(wp.dot(d, nb), nb, slack)
                and inside(wp.dot(d, nc), nc, slack)
            ):
                q = wp.dot(N, d)
                if q * s > 0.0:
                    t = det / q
                    if reach > 1.0e38 or wp.length(t * d - source) <= reach:
                        wp.atomic_min(keys, at, pack(t * factor, i))


@wp.func
def sky_color(rgb: wp.array3d(dtype=wp.float32), px: wp.float32, py: wp.float32) -> wp.vec3:
    """Bilinear, around the seam and over the poles."""
    h = rgb.shape[1]
    w = rgb.shape[2]
    x0 = wp.int32(wp.floor(px))
    y0 = wp.int32(wp.floor(py))
    fx = px - wp.float32(x0)
    fy = py - wp.float32(y0)
    out = wp.vec3(0.0, 0.0, 0.0)
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
            x = (x + w) % w
            weight = (wp.float32(dx) * fx + wp.float32(1 - dx) * (1.0 - fx)) * (
                wp.float32(dy) * fy + wp.float32(1 - dy) * (1.0 - fy)
            )
            out += weight * wp.vec3(rgb[0, y, x], rgb[1, y, x], rgb[2, y, x])
    return out


@wp.kernel
def surface(
    keys: wp.array(dtype=wp.int64),
    cam: wp.array(dtype=wp.vec3),
    triangles: wp.array2d(dtype=wp.int32),
    edge: wp.array(dtype=wp.uint8),
    bend: wp.array3d(dtype=wp.int8),
    colors: wp.array2d(dtype=wp.uint8),
    anchor: wp.array(dtype=wp.int16),
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
    W = columns.shape[0]
    key = keys[i]
    if key == EMPTY:
        return
    d = direction(columns[where[i] % W], rows[where[i] / W])
    f = wp.int32(key & wp.int64(0xFFFFFFFF))
    ia = triangles[f, 0]
    ib = triangles[f, 1]
    ic = triangles[f, 2]
    a = cam[ia]
    b = cam[ib]
    c = cam[ic]
    N = wp.cross(b - a, c - a)
    det = wp.dot(N, a)
    t = wp.cast(wp.int32(key >> wp.int64(32)), wp.float32)
    if det < 0.0 or edge[f] != wp.uint8(0):
        limit[i] = t * (1.0 + depth)
        if det < 0.0:
            out_anchor[i] = wp.int16(-2)
        return
    limit[i] = -t * (1.0 - depth)
    wa = wp.max(wp.dot(d, side(ib, ic, b, c)), 0.0)
    wb = wp.max(wp.dot(d, side(ic, ia, c, a)), 0.0)
    wc = wp.max(wp.dot(d, side(ia, ib, a, b)), 0.0)
    whole = wa + wb + wc
    for channel in range(3):
        straight = (
            wa * wp.float32(colors[ia, channel])
            + wb * wp.float32(colors[ib, channel])
            + wc * wp.float32(colors[ic, channel])
        )
        bent = (
            wb * wc * wp.float32(bend[f, 0, channel])
            + wc * wa * wp.float32(bend[f, 1, channel])
            + wa * wb * wp.float32(bend[f, 2, channel])
        )
        out_rgb[channel, i] = wp.clamp((straight + bent / whole) / (whole * 255.0), 0.0, 1.0)
    out_distance[i] = t
    out_coverage[i] = wp.uint8(1)
    out_anchor[i] = anchor[ia]


@wp.kernel
def sky(
    limit: wp.array(dtype=wp.float32),
    empty: wp.float32,
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    where: wp.array(dtype=wp.int32),
    R: wp.mat33,
    sky_rgb: wp.array3d(dtype=wp.float32),
    sky_mask: wp.array2d(dtype=wp.uint8),
    out_rgb: wp.array2d(dtype=wp.float32),
    out_coverage: wp.array(dtype=wp.uint8),
):
    """The layer at infinity where nothing else is. `R` turns camera directions into the world's."""
    i = wp.tid()
    if limit[i] != empty or out_coverage[i] != wp.uint8(0):
        return
    W = columns.shape[0]
    v = R * direction(columns[where[i] % W], rows[where[i] / W])
    h = sky_mask.shape[0]
    w = sky_mask.shape[1]
    px = (wp.atan2(v[0], v[2]) / (2.0 * PI) + 0.5) * wp.float32(w) - 0.5
    py = (0.5 - wp.atan2(-v[1], wp.sqrt(v[0] * v[0] + v[2] * v[2])) / PI) * wp.float32(h) - 0.5
    x = (wp.int32(wp.floor(px + 0.5)) + w) % w
    y = wp.clamp(wp.int32(wp.floor(py + 0.5)), 0, h - 1)
    if sky_mask[y, x] != wp.uint8(0):
        rgb = sky_color(sky_rgb, px, py)
        for channel in range(3):
            out_rgb[channel, i] = rgb[channel]
        out_coverage[i] = wp.uint8(1)
