# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""Warp kernels of the scaffold renderer: one source for CPU and CUDA. The torch twin is _torch.py.

Everything is in the camera's frame. Triangles come in pairs (`_packed_pairs`); number 2 i + k is triangle k
of pair i. A depth key is (distance bits << 32) | number; the least one wins. Colours are in _warp_surface.py,
bare points in _warp_caps.py.
"""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import warp as wp

wp.set_module_options({"enable_backward": False})

EMPTY = wp.constant(wp.int64(0x7FFFFFFFFFFFFFFF))
PI = wp.constant(wp.float32(3.14159265358979))
MARGIN = wp.constant(wp.float32(1.0e-2))  # pixels: more than the rounding of a projected vertex
SMALL = wp.constant(wp.float32(4.0))  # pixels: wider triangles, and those nearer to a pole, are not flat
BLOCK = wp.constant(wp.int32(8))  # pixels of the frame along a side of the blocks that `holds_samples` counts


@wp.func
def wrap(dx: wp.float32, width: wp.float32) -> wp.float32:
    """Shortest way around."""
    return dx - width * wp.floor(dx / width + 0.5)


@wp.func
def side(i: wp.int32, j: wp.int32, p: wp.vec3, q: wp.vec3) -> wp.vec3:
    """Normal p x q from the edge's difference, exactly opposite for the neighbour across the same edge."""
    return wp.cross(wp.where(i > j, q, p), q - p)


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
    pb: wp.vec2,
    pc: wp.vec2,
    pd: wp.vec2,
    W: wp.int32,
    H: wp.int32,
    near: wp.array(dtype=wp.uint8),
) -> bool:
    """Triangles of at most two pixels of the frame (W x H) that meet no sample; across the seam: False."""
    wide = wp.max(wp.max(wp.abs(pb[0] - pa[0]), wp.abs(pc[0] - pa[0])), wp.abs(pd[0] - pa[0]))
    high = wp.max(wp.max(wp.abs(pb[1] - pa[1]), wp.abs(pc[1] - pa[1])), wp.abs(pd[1] - pa[1]))
    if wp.max(wide, high) > 1.9 or W < 32:
        return False
    x = wp.int32(wp.floor(pa[0] + 0.5))
    y = wp.clamp(wp.int32(wp.floor(pa[1] + 0.5)), 0, H - 1)
    if x >= W:
        x -= W
    return near[y * W + wp.max(x, 0)] == wp.uint8(0)


@wp.func
def angle_of(y: wp.float32, x: wp.float32) -> wp.float32:
    """atan2 by an odd polynomial, within 2e-7: several times as fast as the library's on the CPU."""
    ax = wp.abs(x)
    ay = wp.abs(y)
    big = wp.max(ax, ay)
    if big == 0.0:
        return 0.0
    r = wp.min(ax, ay) / big
    s = r * r
    a = wp.float32(0.00245653163)
    a = a * s - 0.0144005455
    a = a * s + 0.0397798158
    a = a * s - 0.0723472834
    a = a * s + 0.104988784
    a = a * s - 0.141612098
    a = a * s + 0.199859038
    a = a * s - 0.333325982
    a = a * s + 0.999999881
    a = a * r
    if ay > ax:
        a = 0.5 * PI - a
    if x < 0.0:
        a = PI - a
    if y < 0.0:
        a = -a
    return a


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
    lon = angle_of(p[0], p[2])
    lat = angle_of(-p[1], wp.sqrt(p[0] * p[0] + p[2] * p[2]))
    pixel[i] = wp.vec2((lon / (2.0 * PI) + 0.5) * width - 0.5, (0.5 - lat / PI) * height - 0.5)


@wp.func
def box_of(pa: wp.vec2, pb: wp.vec2, pc: wp.vec2, width: wp.float32) -> wp.vec4:
    """x0, x1, y0, y1 of what a triangle can reach, in pixels; x0 > x1 where it winds around a pole."""
    dab = wrap(pb[0] - pa[0], width)
    dac = wrap(pc[0] - pa[0], width)
    low = wp.min(0.0, wp.min(dab, dac))
    high = wp.max(0.0, wp.max(dab, dac))
    top = wp.min(pa[1], wp.min(pb[1], pc[1]))
    bottom = wp.max(pa[1], wp.max(pb[1], pc[1]))
    # Great circles bulge towards the poles: by at most sin cos (1 / cos(span / 2) - 1) of the latitude.
    span = high - low
    up = 0.42 / width * span * span
    down = up
    if span > 0.08 * width:
        dbc = wrap(pc[0] - pb[0], width)
        if wp.abs(dab + dbc - dac) > 0.5 * width:
            low = 1.0 - pa[0] + MARGIN
            high = -pa[0] - MARGIN
        half = wp.cos(wp.max(wp.max(wp.abs(dab), wp.abs(dac)), wp.abs(dbc)) * PI / width)
        most = (1.0 / wp.max(half, 1.0e-4) - 1.0) * 0.25 * width / PI
        scale = 4.0 * PI / width
        up = most * wp.max(0.0, wp.sin(scale * (top + 0.5)))
        down = most * wp.max(0.0, -wp.sin(scale * (bottom + 0.5)))
        if top + 0.5 >= 0.25 * width:
            up = 0.0
        if bottom + 0.5 <= 0.25 * width:
            down = 0.0
    return wp.vec4(pa[0] + low - MARGIN, pa[0] + high + MARGIN, top - up - MARGIN, bottom + down + MARGIN)


@wp.func
def pole_rows(na: wp.vec3, nb: wp.vec3, nc: wp.vec3, slack: wp.float32) -> wp.vec2i:
    """Whether a triangle that winds around a pole goes on to the first row, and to the last."""
    north = inside(-na[1], na, slack) and inside(-nb[1], nb, slack) and inside(-nc[1], nc, slack)
    south = inside(na[1], na, slack) and inside(nb[1], nb, slack) and inside(nc[1], nc, slack)
    return wp.vec2i(wp.int32(north or not south), wp.int32(south or not north))


@wp.func
def beside(q: wp.vec2, ab: wp.vec2, ac: wp.vec2, margin: wp.float32) -> bool:
    """A point `q` more than `margin` outside the flat triangle 0, `ab`, `ac`, all in pixels."""
    area = ab[0] * ac[1] - ab[1] * ac[0]
    s = wp.sign(area)
    bc = ac - ab
    eb = s * (q[0] * ac[1] - q[1] * ac[0])
    ec = s * (ab[0] * q[1] - ab[1] * q[0])
    ea = wp.abs(area) - eb - ec
    return (
        ea < -margin * (wp.abs(bc[0]) + wp.abs(bc[1]))
        or eb < -margin * (wp.abs(ac[0]) + wp.abs(ac[1]))
        or ec < -margin * (wp.abs(ab[0]) + wp.abs(ab[1]))
    )


@wp.struct
class View:
    """What every triangle needs: the samples, and the rules of what a ray meets."""

    columns: wp.array(dtype=wp.vec2)
    rows: wp.array(dtype=wp.vec2)
    slot: wp.array(dtype=wp.int32)
    near: wp.array(dtype=wp.uint8)
    blocks: wp.array2d(dtype=wp.int32)
    fine: wp.int32
    slack: wp.float32
    bias: wp.float32
    skin: wp.float32
    source: wp.vec3


@wp.func
def block_count(x0: wp.int32, x1: wp.int32, y0: wp.int32, y1: wp.int32, view: View) -> wp.int32:
    """Blocks with samples that a box of pixels of the samples' grid reaches, from their running sums."""
    n = 2 * BLOCK
    top = view.blocks[y1 / n + 1, x1 / n + 1] - view.blocks[y1 / n + 1, x0 / n]
    return top - view.blocks[y0 / n, x1 / n + 1] + view.blocks[y0 / n, x0 / n]


@wp.func
def holds_samples(x0: wp.int32, x1: wp.int32, y0: wp.int32, y1: wp.int32, view: View) -> bool:
    """False where a box certainly has no sample; x may leave the image."""
    W = view.columns.shape[0]
    if view.fine == 0 or x1 - x0 >= W - 1:
        return True
    if y0 > y1 or x0 > x1:
        return False
    if x0 < 0:
        return block_count(x0 + W, W - 1, y0, y1, view) + block_count(0, wp.max(x1, 0), y0, y1, view) > 0
    if x1 >= W:
        return block_count(x0, W - 1, y0, y1, view) + block_count(0, x1 - W, y0, y1, view) > 0
    return block_count(x0, x1, y0, y1, view) > 0


@wp.func
def draw(
    f: wp.int32,
    corner: wp.vec3i,
    box: wp.vec4,
    hides: bool,
    cam: wp.array(dtype=wp.vec3),
    view: View,
    keys: wp.array(dtype=wp.int64),
):
    """One triangle into the depth keys of the pixels of a box, exactly."""
    W = view.columns.shape[0]
    H = view.rows.shape[0]
    x0 = wp.int32(wp.ceil(box[0]))
    x1 = wp.int32(wp.floor(box[1]))
    y0 = wp.max(wp.int32(wp.ceil(box[2])), 0)
    y1 = wp.min(wp.int32(wp.floor(box[3])), H - 1)
    if box[0] <= box[1] and not holds_samples(x0, x1, y0, y1, view):
        return
    a = cam[corner[0]]
    b = cam[corner[1]]
    c = cam[corner[2]]
    N = wp.cross(b - a, c - a)
    det = wp.dot(N, a)
    if det == 0.0:
        return
    s = wp.sign(det)
    na = s * side(corner[1], corner[2], b, c)
    nb = s * side(corner[2], corner[0], c, a)
    nc = s * side(corner[0], corner[1], a, b)
    if box[0] > box[1]:
        x0 = 0
        x1 = W - 1
        ends = pole_rows(na, nb, nc, view.slack)
        y0 = wp.where(ends[0] != 0, 0, y0)
        y1 = wp.where(ends[1] != 0, H - 1, y1)
    x1 = wp.min(x1, x0 + W - 1)
    factor = wp.where(s < 0.0 or hides, view.bias, 1.0)
    reach = wp.float32(3.0e38)
    if hides:
        near = wp.min(wp.length(a - view.source), wp.length(b - view.source))
        reach = view.skin * wp.min(near, wp.length(c - view.source))
    for y in range(y0, y1 + 1):
        row = view.rows[y]
        for k in range(x0, x1 + 1):
            x = k
            if x < 0:
                x += W
            if x >= W:
                x -= W
            at = sample(x, y, W, view.fine, view.slot)
            d = direction(view.columns[x], row)
            if (
                at >= 0
                and inside(wp.dot(d, na), na, view.slack)
                and inside(wp.dot(d, nb), nb, view.slack)
                and inside(wp.dot(d, nc), nc, view.slack)
            ):
                q = wp.dot(N, d)
                if q * s > 0.0:
                    t = det / q
                    if not hides or wp.length(t * d - view.source) <= reach:
                        wp.atomic_min(keys, at, pack(t * factor, f))


@wp.func
def shoot(
    f: wp.int32,
    corner: wp.vec3i,
    hides: bool,
    x: wp.int32,
    y: wp.int32,
    cam: wp.array(dtype=wp.vec3),
    view: View,
    keys: wp.array(dtype=wp.int64),
):
    """One triangle into the depth key of one pixel: `draw` for a single ray."""
    at = sample(x, y, view.columns.shape[0], view.fine, view.slot)
    if at < 0:
        return
    a = cam[corner[0]]
    b = cam[corner[1]]
    c = cam[corner[2]]
    d = direction(view.columns[x], view.rows[y])
    N = wp.cross(b - a, c - a)
    det = wp.dot(N, a)
    s = wp.sign(det)
    na = side(corner[1], corner[2], b, c)
    nb = side(corner[2], corner[0], c, a)
    nc = side(corner[0], corner[1], a, b)
    q = wp.dot(N, d)
    if (
        q * s > 0.0
        and det != 0.0
        and inside(s * wp.dot(d, na), na, view.slack)
        and inside(s * wp.dot(d, nb), nb, view.slack)
        and inside(s * wp.dot(d, nc), nc, view.slack)
    ):
        t = det / q
        if hides:
            near = wp.min(wp.length(a - view.source), wp.length(b - view.source))
            if wp.length(t * d - view.source) > view.skin * wp.min(near, wp.length(c - view.source)):
                return
        wp.atomic_min(keys, at, pack(t * wp.where(s < 0.0 or hides, view.bias, 1.0), f))


@wp.func
def corners_of(corner: wp.vec4i, k: wp.int32) -> wp.vec3i:
    """Triangle k of a pair a, b, c, d: abc or dcb."""
    if k == 0:
        return wp.vec3i(corner[0], corner[1], corner[2])
    return wp.vec3i(corner[3], corner[2], corner[1])


@wp.kernel
def raster(
    corners: wp.array(dtype=wp.vec4i),
    edge: wp.array(dtype=wp.uint8),
    pixel: wp.array(dtype=wp.vec2),
    cam: wp.array(dtype=wp.vec3),
    view: View,
    keys: wp.array(dtype=wp.int64),
):
    """A pair of triangles into the depth keys. Where it is alone, d is -1."""
    i = wp.tid()
    W = view.columns.shape[0]
    H = view.rows.shape[0]
    width = wp.float32(W)
    corner = corners[i]
    last = wp.where(corner[3] < 0, 0, 1)
    pa = pixel[corner[0]]
    pb = pixel[corner[1]]
    pc = pixel[corner[2]]
    pd = pixel[wp.where(last == 0, corner[0], corner[3])]
    if view.fine != 0:
        if far_from_samples(pa, pb, pc, pd, W >> 1, H >> 1, view.near):
            return
        pa = refine(pa, view.fine)
        pb = refine(pb, view.fine)
        pc = refine(pc, view.fine)
        pd = refine(pd, view.fine)
    left = wp.min(wp.min(pa[0], pb[0]), wp.min(pc[0], pd[0]))
    right = wp.max(wp.max(pa[0], pb[0]), wp.max(pc[0], pd[0]))
    top = wp.min(wp.min(pa[1], pb[1]), wp.min(pc[1], pd[1]))
    bottom = wp.max(wp.max(pa[1], pb[1]), wp.max(pc[1], pd[1]))
    polar = wp.min(top, 0.5 * width - 1.0 - bottom)
    k = wp.int32(0)
    if right - left > SMALL or polar < SMALL:
        while k <= last:
            box = box_of(wp.where(k == 0, pa, pd), pb, pc, width)
            hides = (wp.int32(edge[i]) & (k + 1)) != 0
            draw(2 * i + k, corners_of(corner, k), box, hides, cam, view, keys)
            k += 1
        return
    # Few pixels, away from the poles and the seam: almost flat, so most rays are told apart in the plane.
    margin = MARGIN + 0.5 * (right - left) * (right - left + bottom - top) / polar
    ba = pa - pb
    bc = pc - pb
    bd = pd - pb
    x0 = wp.max(wp.int32(wp.ceil(left - margin)), 0)
    x1 = wp.min(wp.int32(wp.floor(right + margin)), W - 1)
    for y in range(wp.int32(wp.ceil(top - margin)), wp.int32(wp.floor(bottom + margin)) + 1):
        for x in range(x0, x1 + 1):
            q = wp.vec2(wp.float32(x), wp.float32(y)) - pb
            k = wp.where(beside(q, ba, bc, margin), 1, 0)
            to = wp.where(last == 0 or beside(q, bd, bc, margin), 0, 1)
            while k <= to:
                hides = (wp.int32(edge[i]) & (k + 1)) != 0
                shoot(2 * i + k, corners_of(corner, k), hides, x, y, cam, view, keys)
                k += 1
