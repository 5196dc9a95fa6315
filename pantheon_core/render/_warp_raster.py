# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""Warp kernel of the triangles: every pair into the depth keys of the samples that it holds."""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import warp as wp

from ._warp_kernels import (
    MARGIN,
    PI,
    View,
    direction,
    far_from_samples,
    holds_samples,
    inside,
    pack,
    refine,
    sample,
    spot_of,
)

wp.set_module_options({"enable_backward": False})

SMALL = wp.constant(wp.float32(4.0))  # pixels: wider triangles, and those nearer to a pole, are not flat


@wp.func
def wrap(dx: wp.float32, width: wp.float32) -> wp.float32:
    """Shortest way around."""
    return dx - width * wp.floor(dx / width + 0.5)


@wp.func
def side(i: wp.int32, j: wp.int32, p: wp.vec3, q: wp.vec3) -> wp.vec3:
    """Normal p x q from the edge's difference, exactly opposite for the neighbour across the same edge."""
    return wp.cross(wp.where(i > j, q, p), q - p)


@wp.func
def least(a: wp.float32, b: wp.float32) -> wp.float32:
    """Minimum of numbers: one instruction where `wp.min` also looks for what is none."""
    return wp.where(a < b, a, b)


@wp.func
def at_eye(a: wp.vec3, b: wp.vec3, c: wp.vec3) -> bool:
    """A triangle with a corner in the camera is seen along its plane, not at all."""
    return least(wp.dot(a, a), least(wp.dot(b, b), wp.dot(c, c))) == 0.0


@wp.func
def most(a: wp.float32, b: wp.float32) -> wp.float32:
    """Maximum of numbers."""
    return wp.where(a > b, a, b)


@wp.func
def least3(a: wp.float32, b: wp.float32, c: wp.float32) -> wp.float32:
    """Minimum of three."""
    return least(a, least(b, c))


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
def depth_in(q: wp.vec2, ab: wp.vec2, ac: wp.vec2, margin: wp.float32) -> wp.vec2:
    """How deep a point `q` is in the flat triangle 0, `ab`, `ac` (pixels) with sides off by up to `margin`.

    The first number is negative where it is outside for certain, the second positive where it is inside.
    """
    area = ab[0] * ac[1] - ab[1] * ac[0]
    s = wp.where(area < 0.0, -1.0, 1.0)
    eb = s * (q[0] * ac[1] - q[1] * ac[0])
    ec = s * (ab[0] * q[1] - ab[1] * q[0])
    ea = s * area - eb - ec
    ma = margin * (wp.abs(ac[0] - ab[0]) + wp.abs(ac[1] - ab[1]))
    mb = margin * (wp.abs(ac[0]) + wp.abs(ac[1]))
    mc = margin * (wp.abs(ab[0]) + wp.abs(ab[1]))
    return wp.vec2(least3(ea + ma, eb + mb, ec + mc), least3(ea - ma, eb - mb, ec - mc))


@wp.func
def draw(
    f: wp.int32,
    corner: wp.vec3i,
    box: wp.vec4,
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
    if det == 0.0 or at_eye(a, b, c):
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
    factor = wp.where(s < 0.0, view.bias, 1.0)
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
                    wp.atomic_min(keys, at, pack(det / q * factor, f))


@wp.func
def shoot(
    f: wp.int32,
    corner: wp.vec3i,
    sure: bool,
    at: wp.int32,
    d: wp.vec3,
    cam: wp.array(dtype=wp.vec3),
    view: View,
    keys: wp.array(dtype=wp.int64),
):
    """One triangle into the depth key of one pixel: `draw` for a ray, which hits for `sure` or perhaps."""
    a = cam[corner[0]]
    b = cam[corner[1]]
    c = cam[corner[2]]
    N = wp.cross(b - a, c - a)
    det = wp.dot(N, a)
    s = wp.sign(det)
    q = wp.dot(N, d)
    if q * s <= 0.0 or det == 0.0 or at_eye(a, b, c):
        return
    if not sure:
        na = side(corner[1], corner[2], b, c)
        nb = side(corner[2], corner[0], c, a)
        nc = side(corner[0], corner[1], a, b)
        if not (
            inside(s * wp.dot(d, na), na, view.slack)
            and inside(s * wp.dot(d, nb), nb, view.slack)
            and inside(s * wp.dot(d, nc), nc, view.slack)
        ):
            return
    wp.atomic_min(keys, at, pack(det / q * wp.where(s < 0.0, view.bias, 1.0), f))


@wp.func
def corners_of(corner: wp.vec4i, k: wp.int32) -> wp.vec3i:
    """Triangle k of a pair a, b, c, d: abc or dcb."""
    if k == 0:
        return wp.vec3i(corner[0], corner[1], corner[2])
    return wp.vec3i(corner[3], corner[2], corner[1])


@wp.kernel
def raster(
    corners: wp.array(dtype=wp.vec4i),
    pixel: wp.array(dtype=wp.vec2),
    cam: wp.array(dtype=wp.vec3),
    view: View,
    spots: wp.array(dtype=wp.int32),
    keys: wp.array(dtype=wp.int64),
):
    """A pair of triangles into the depth keys. Where it is alone, d is -1.

    `spots` is written for the frame's own samples, and read for finer ones.
    """
    i = wp.tid()
    if view.fine != 0:  # noqa: SIM102 - older versions of Warp evaluate both sides of `and`
        if far_from_samples(spots[i], view.near):
            return
    W = view.columns.shape[0]
    H = view.rows.shape[0]
    width = wp.float32(W)
    corner = corners[i]
    last = wp.where(corner[3] < 0, 0, 1)
    pa = refine(pixel[corner[0]], view.fine)
    pb = refine(pixel[corner[1]], view.fine)
    pc = refine(pixel[corner[2]], view.fine)
    pd = refine(pixel[wp.where(last == 0, corner[0], corner[3])], view.fine)
    left = least(least(pa[0], pb[0]), least(pc[0], pd[0]))
    right = most(most(pa[0], pb[0]), most(pc[0], pd[0]))
    top = least(least(pa[1], pb[1]), least(pc[1], pd[1]))
    bottom = most(most(pa[1], pb[1]), most(pc[1], pd[1]))
    wide = right - left
    polar = least(top, 0.5 * width - 1.0 - bottom)
    flat = wide <= SMALL and polar >= SMALL
    margin = MARGIN + 0.5 * wide * wp.where(flat, (wide + bottom - top) / polar, wide / width)
    if view.fine == 0:
        middle = wp.vec2(0.5 * (left + right), 0.5 * (top + bottom))
        spots[i] = spot_of(middle, wp.vec2(0.5 * wide + margin, 0.5 * (bottom - top) + margin), W, H)
    k = wp.int32(0)
    if not flat:
        while k <= last:
            box = box_of(wp.where(k == 0, pa, pd), pb, pc, width)
            draw(2 * i + k, corners_of(corner, k), box, cam, view, keys)
            k += 1
        return
    # Few pixels, away from the poles and the seam: most rays are told apart in the plane.
    ba = pa - pb
    bc = pc - pb
    bd = pd - pb
    x0 = wp.max(wp.int32(wp.ceil(left - margin)), 0)
    x1 = wp.min(wp.int32(wp.floor(right + margin)), W - 1)
    y0 = wp.max(wp.int32(wp.ceil(top - margin)), 0)
    y1 = wp.min(wp.int32(wp.floor(bottom + margin)), H - 1)
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            at = sample(x, y, W, view.fine, view.slot)
            if at < 0:
                continue
            d = direction(view.columns[x], view.rows[y])
            q = wp.vec2(wp.float32(x), wp.float32(y)) - pb
            e = depth_in(q, ba, bc, margin)
            if e[0] >= 0.0:
                shoot(2 * i, corners_of(corner, 0), e[1] > 0.0, at, d, cam, view, keys)
            e = depth_in(q, bd, bc, margin)
            if last != 0 and e[0] >= 0.0:
                shoot(2 * i + 1, corners_of(corner, 1), e[1] > 0.0, at, d, cam, view, keys)
