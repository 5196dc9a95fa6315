# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""Warp kernels from depth keys to colours, and of the sky: plain loops, see _warp_loops.py."""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import warp as wp

from ._layers import BACK
from ._scene import SKY_REACH
from ._warp_loops import ANGLE, GRAIN

wp.set_module_options({"enable_backward": False})

EMPTY = "0x7fffffffffffffffLL"
AHEAD = 64  # samples: memory is asked for what so many next ones need, else a loop would mostly wait for it

# The ray d of sample i, from its place y << 16 | x.
RAY = """
    const float *column = columns_data + 2 * (place[i] & 65535), *row = rows_data + 2 * (place[i] >> 16);
    const float d0 = row[1] * column[0], d1 = -row[0], d2 = row[1] * column[1];
"""
TABLES = """
const float *columns_data = (const float*)columns.data, *rows_data = (const float*)rows.data;
"""
# Nothing that such a loop reads is written by another turn of it, which the compiler cannot see by itself.
PARALLEL = """
#if defined(__clang__) && !defined(__CUDA_ARCH__)
#pragma clang loop vectorize(assume_safety) vectorize_width(16)
#endif
"""


@wp.func_native(
    TABLES
    + f"""
const int* __restrict__ corner = (const int*)corners.data;
const int* __restrict__ word = (const int*)bend.data;
const int* __restrict__ color = colors.data;
const int* __restrict__ place = where.data;
const wp::int64* __restrict__ key = keys.data;
const float* __restrict__ point = (const float*)cam.data;
float* __restrict__ rgb = out_rgb.data;
float* __restrict__ distance = out_distance.data;
float* __restrict__ limit = out_limit.data;
unsigned char* __restrict__ coverage = out_coverage.data;
short* __restrict__ of = out_anchor.data;
const int n = keys.shape[0];
for (int from = first; from < last; from += {AHEAD}) {{
#if !defined(__CUDA_ARCH__)
for (int i = from + {AHEAD}; i < from + 2 * {AHEAD} && i + {AHEAD} < n; ++i) {{
    if (key[i + {AHEAD}] != {EMPTY}) {{
        const int soon = (int)key[i + {AHEAD}] >> 1;
        __builtin_prefetch(corner + 4 * soon);
        __builtin_prefetch(word + 4 * soon);
    }}
    if (key[i] != {EMPTY}) {{
        const int soon = (int)key[i] >> 1;
        __builtin_prefetch(point + 3 * corner[4 * soon]);
        __builtin_prefetch(point + 3 * corner[4 * soon + 2]);
        __builtin_prefetch(color + corner[4 * soon]);
        __builtin_prefetch(color + corner[4 * soon + 2]);
    }}
}}
#endif
const int to = from + {AHEAD} < last ? from + {AHEAD} : last;
{PARALLEL}for (int i = from; i < to; ++i) {{
    const bool hit = key[i] != {EMPTY};
    const int f = hit ? (int)key[i] : 0, k = f & 1;
    union {{ int bits; float value; }} far;
    far.bits = (int)(key[i] >> 32);
    const float t = far.value;
    const int* pair = corner + 4 * (f >> 1);
    const int* bends = word + 4 * (f >> 1);
    const int i0 = pair[k ? 3 : 0], i1 = pair[k ? 2 : 1], i2 = pair[k ? 1 : 2];
    const float *a = point + 3 * i0, *b = point + 3 * i1, *c = point + 3 * i2;
    {RAY}
    const float ab0 = b[0] - a[0], ab1 = b[1] - a[1], ab2 = b[2] - a[2];
    const float ac0 = c[0] - a[0], ac1 = c[1] - a[1], ac2 = c[2] - a[2];
    const float det = (ab1 * ac2 - ab2 * ac1) * d0 + (ab2 * ac0 - ab0 * ac2) * d1
        + (ab0 * ac1 - ab1 * ac0) * d2;
    const bool solid = hit & (det >= 0.0f);
    // Where the ray meets the plane, as parts of its corners (Moeller and Trumbore 1997).
    const float m0 = d1 * a[2] - d2 * a[1], m1 = d2 * a[0] - d0 * a[2], m2 = d0 * a[1] - d1 * a[0];
    auto part = [](float x) {{ return x > 0.0f ? x : 0.0f; }};
    float wb = part(-(ac0 * m0 + ac1 * m1 + ac2 * m2)), wc = part(ab0 * m0 + ab1 * m1 + ab2 * m2);
    float wa = part(det - wb - wc);
    const float whole = wa + wb + wc;
    wa /= whole;
    wb /= whole;
    wc /= whole;
    const int high = (bends[0] >> 24 & 255) | (bends[1] >> 24 & 255) << 8 | (bends[2] >> 24 & 255) << 16;
    const int side0 = bends[0], side1 = k ? bends[3] : bends[1], side2 = k ? high : bends[2];
    const int c0 = color[i0], c1 = color[i1], c2 = color[i2];
    auto shade = [&](int shift) {{
        auto byte = [shift](int packed) {{ return (float)(packed >> shift & 255); }};
        const float straight = wa * byte(c0) + wb * byte(c1) + wc * byte(c2);
        const float bent = wb * wc * (byte(side0) - 128.0f) + wc * wa * (byte(side1) - 128.0f)
            + wa * wb * (byte(side2) - 128.0f);
        const float value = (straight + bent) * (1.0f / 255.0f);
        const float positive = value > 0.0f ? value : 0.0f;
        return solid ? (positive < 1.0f ? positive : 1.0f) : 0.0f;
    }};
    rgb[i] = shade(0);
    rgb[n + i] = shade(8);
    rgb[2 * n + i] = shade(16);
    distance[i] = solid ? t : 0.0f;
    coverage[i] = solid;
    of[i] = solid ? anchor : (hit && det < 0.0f ? {BACK} : -1);
    limit[i] = !hit ? farthest : solid ? -t * (1.0f - depth) : t * (1.0f + depth);
}}
}}
"""
)
def surface_range(
    keys: wp.array(dtype=wp.int64),
    cam: wp.array(dtype=wp.vec3),
    corners: wp.array(dtype=wp.vec4i),
    bend: wp.array(dtype=wp.vec4i),
    colors: wp.array(dtype=wp.int32),
    anchor: wp.int16,
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    where: wp.array(dtype=wp.int32),
    depth: wp.float32,
    farthest: wp.float32,
    out_rgb: wp.array2d(dtype=wp.float32),
    out_distance: wp.array(dtype=wp.float32),
    out_coverage: wp.array(dtype=wp.uint8),
    out_anchor: wp.array(dtype=wp.int16),
    out_limit: wp.array(dtype=wp.float32),
    first: wp.int32,
    last: wp.int32,
):
    """Samples `first` to before `last`."""
    ...


@wp.kernel
def surface(
    keys: wp.array(dtype=wp.int64),
    cam: wp.array(dtype=wp.vec3),
    corners: wp.array(dtype=wp.vec4i),
    bend: wp.array(dtype=wp.vec4i),
    colors: wp.array(dtype=wp.int32),
    anchor: wp.int16,
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    where: wp.array(dtype=wp.int32),
    grain: wp.int32,
    depth: wp.float32,
    farthest: wp.float32,
    out_rgb: wp.array2d(dtype=wp.float32),
    out_distance: wp.array(dtype=wp.float32),
    out_coverage: wp.array(dtype=wp.uint8),
    out_anchor: wp.array(dtype=wp.int16),
    out_limit: wp.array(dtype=wp.float32),
):
    """Depth keys to all that a layer holds."""
    first = wp.tid() * grain
    last = wp.min(first + grain, keys.shape[0])
    surface_range(
        keys, cam, corners, bend, colors, anchor, columns, rows, where, depth, farthest,
        out_rgb, out_distance, out_coverage, out_anchor, out_limit, first, last,
    )  # fmt: skip


@wp.func_native(
    ANGLE
    + TABLES
    + f"""
#if defined(__CUDA_ARCH__)
int list[1];
#else
int list[{GRAIN}];
#endif
const float* __restrict__ texel = (const float*)layer.data;
const int* __restrict__ place = where.data;
float* __restrict__ rgb = out_rgb.data;
unsigned char* __restrict__ coverage = out_coverage.data;
const int n = where.shape[0], h = layer.shape[0], w = layer.shape[1];
int count = 0;
for (int i = first; i < last; ++i) {{
    list[count] = i;
    count += limit.data[i] == empty && coverage[i] == 0;
}}
{PARALLEL}for (int j = 0; j < count; ++j) {{
    const int i = list[j];
    {RAY}
    const float x = R.data[0][0] * d0 + R.data[0][1] * d1 + R.data[0][2] * d2;
    const float y = R.data[1][0] * d0 + R.data[1][1] * d1 + R.data[1][2] * d2;
    const float z = R.data[2][0] * d0 + R.data[2][1] * d1 + R.data[2][2] * d2;
    const float px = (angle(x, z) * 0.159154943f + 0.5f) * (float)w - 0.5f;
    const float py = (0.5f - angle(-y, wp::sqrt(x * x + z * z)) * 0.318309886f) * (float)h - 0.5f;
    const float left = wp::floor(px), top = wp::floor(py), fx = px - left, fy = py - top;
    auto at = [&](int x, int y) {{  // around the seam and over the poles
        const bool over = (y < 0) | (y >= h);
        const int line = y < 0 ? -1 - y : y >= h ? 2 * h - 1 - y : y, turned = over ? x + w / 2 : x;
        return 4 * (line * w + (turned < 0 ? turned + w : turned >= w ? turned - w : turned));
    }};
    const int u = (int)left, v = (int)top;
    const int p00 = at(u, v), p10 = at(u + 1, v), p01 = at(u, v + 1), p11 = at(u + 1, v + 1);
    const float w00 = (1.0f - fx) * (1.0f - fy), w10 = fx * (1.0f - fy);
    const float w01 = (1.0f - fx) * fy, w11 = fx * fy;
    const bool lit = w00 * texel[p00 + 3] + w10 * texel[p10 + 3] + w01 * texel[p01 + 3] + w11 * texel[p11 + 3]
        > {SKY_REACH}f;
    for (int c = 0; c < 3; ++c) {{
        const float mean = w00 * texel[p00 + c] + w10 * texel[p10 + c] + w01 * texel[p01 + c]
            + w11 * texel[p11 + c];
        rgb[c * n + i] = lit ? mean : 0.0f;
    }}
    coverage[i] = lit;
}}
"""
)
def sky_range(
    limit: wp.array(dtype=wp.float32),
    empty: wp.float32,
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    where: wp.array(dtype=wp.int32),
    R: wp.mat33,
    layer: wp.array2d(dtype=wp.vec4),
    out_rgb: wp.array2d(dtype=wp.float32),
    out_coverage: wp.array(dtype=wp.uint8),
    first: wp.int32,
    last: wp.int32,
):
    """Samples `first` to before `last`."""
    ...


@wp.kernel
def sky(
    limit: wp.array(dtype=wp.float32),
    empty: wp.float32,
    columns: wp.array(dtype=wp.vec2),
    rows: wp.array(dtype=wp.vec2),
    where: wp.array(dtype=wp.int32),
    grain: wp.int32,
    R: wp.mat33,
    layer: wp.array2d(dtype=wp.vec4),
    out_rgb: wp.array2d(dtype=wp.float32),
    out_coverage: wp.array(dtype=wp.uint8),
):
    """The layer at infinity (rgb, mask) where nothing else is. `R`: camera directions to the world's."""
    first = wp.tid() * grain
    last = wp.min(first + grain, limit.shape[0])
    sky_range(limit, empty, columns, rows, where, R, layer, out_rgb, out_coverage, first, last)
