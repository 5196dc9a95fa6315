# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""Warp kernels over all points or all pixels, as plain C++ loops without a branch.

One thread works through `grain` elements, GRAIN on the CPU, where the compiler then turns the loop into
vector instructions, which it cannot do across Warp's threads: three to nine times as fast. On a card a thread
has one element. Elements are independent, and no result depends on the grain.
"""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import warp as wp

from ._samples import BREAK

wp.set_module_options({"enable_backward": False})

GRAIN = 1024  # elements; a multiple of AHEAD, and what the list in `sky` has room for

# atan2 by an odd polynomial, within 2e-7.
ANGLE = """
auto angle = [](float y, float x) {
    const float ax = x < 0.0f ? -x : x, ay = y < 0.0f ? -y : y;
    const bool steep = ay > ax;
    const float big = steep ? ay : ax, small = steep ? ax : ay;
    const float r = small / (big > 0.0f ? big : 1.0f), s = r * r;
    float a = 0.00245653163f;
    a = a * s - 0.0144005455f;
    a = a * s + 0.0397798158f;
    a = a * s - 0.0723472834f;
    a = a * s + 0.104988784f;
    a = a * s - 0.141612098f;
    a = a * s + 0.199859038f;
    a = a * s - 0.333325982f;
    a = (a * s + 0.999999881f) * r;
    a = steep ? 1.57079632679f - a : a;
    a = x < 0.0f ? 3.14159265359f - a : a;
    return y < 0.0f ? -a : a;
};
"""


@wp.func_native(ANGLE + "return angle(y, x);")
def angle_of(y: wp.float32, x: wp.float32) -> wp.float32:
    """atan2, several times as fast as the library's on the CPU."""
    ...


@wp.func_native(
    ANGLE
    + """
const float* __restrict__ world = (const float*)points.data;
float* __restrict__ out = (float*)cam.data;
float* __restrict__ place = (float*)pixel.data;
const float height = 0.5f * width;
for (int i = first; i < last; ++i) {
    const float u = world[3 * i] - t[0], v = world[3 * i + 1] - t[1], w = world[3 * i + 2] - t[2];
    const float x = R.data[0][0] * u + R.data[0][1] * v + R.data[0][2] * w;
    const float y = R.data[1][0] * u + R.data[1][1] * v + R.data[1][2] * w;
    const float z = R.data[2][0] * u + R.data[2][1] * v + R.data[2][2] * w;
    out[3 * i] = x;
    out[3 * i + 1] = y;
    out[3 * i + 2] = z;
    place[2 * i] = (angle(x, z) * 0.159154943f + 0.5f) * width - 0.5f;
    place[2 * i + 1] = (0.5f - angle(-y, wp::sqrt(x * x + z * z)) * 0.318309886f) * height - 0.5f;
}
"""
)
def project_range(
    points: wp.array(dtype=wp.vec3),
    R: wp.mat33,
    t: wp.vec3,
    width: wp.float32,
    cam: wp.array(dtype=wp.vec3),
    pixel: wp.array(dtype=wp.vec2),
    first: wp.int32,
    last: wp.int32,
):
    """Points `first` to before `last`."""
    ...


@wp.kernel
def project(
    points: wp.array(dtype=wp.vec3),
    R: wp.mat33,
    t: wp.vec3,
    width: wp.float32,
    grain: wp.int32,
    cam: wp.array(dtype=wp.vec3),
    pixel: wp.array(dtype=wp.vec2),
):
    """World points to the camera's frame and to its pixels."""
    first = wp.tid() * grain
    project_range(points, R, t, width, cam, pixel, first, wp.min(first + grain, points.shape[0]))


@wp.func_native(f"""
const float* __restrict__ t = distance.data;
const unsigned char* __restrict__ seen = coverage.data;
unsigned char* __restrict__ out = chosen.data;
auto inverse = [](float far) {{ return far > 0.0f ? 1.0f / far : 0.0f; }};
auto bent = [&](int i, int j, int k) {{
    const float low = inverse(t[i]), here = inverse(t[j]), high = inverse(t[k]);
    const float off = low + high - 2.0f * here, ends = low > high ? low : high;
    const float most = ends > here ? ends : here;
    return ((off < 0.0f ? -off : off) > {BREAK}f * most) & (seen[i] & seen[j] & seen[k]);
}};
const int y = first / W, edge = y * W, H = t_count / W;
const int step = y > 0 && y < H - 1 ? W : 0;  // the first and the last row have one neighbour
auto decide = [&](int i, int left, int right) {{
    out[i] = bent(left, i, right) | bent(i - step, i, i + step);
}};
const int low = first > edge ? first : edge + 1, high = last < edge + W ? last : edge + W - 1;
for (int i = low; i < high; ++i) decide(i, i - 1, i + 1);
if (first == edge) decide(edge, edge + W - 1, edge + 1);
if (last == edge + W) decide(edge + W - 1, edge + W - 2, edge);
""")
def silhouettes_range(
    distance: wp.array(dtype=wp.float32),
    coverage: wp.array(dtype=wp.uint8),
    W: wp.int32,
    t_count: wp.int32,
    chosen: wp.array(dtype=wp.uint8),
    first: wp.int32,
    last: wp.int32,
):
    """Pixels of one row."""
    ...


@wp.kernel
def silhouettes(
    distance: wp.array(dtype=wp.float32),
    coverage: wp.array(dtype=wp.uint8),
    W: wp.int32,
    grain: wp.int32,
    chosen: wp.array(dtype=wp.uint8),
):
    """What `silhouettes` of _samples.py chooses; `grain` divides W."""
    first = wp.tid() * grain
    silhouettes_range(distance, coverage, W, distance.shape[0], chosen, first, first + grain)
