# type: ignore
# Warp compiles this file itself: its types are Warp's language, which pyright cannot read.
"""Warp kernel of the bilinear lookup on the CPU. `_lookup` has the plain-torch twin; change both together.

The body is C++: Warp's own array accesses cost twice the time. No sum is fused with a product (`fuse_fp`), so
that kernel and twin round alike and give the same bits.
"""

# No `from __future__ import annotations`: Warp reads the annotations of kernels as types.
import warp as wp

__all__ = ["lookup_kernel"]

wp.set_module_options({"enable_backward": False, "fuse_fp": False})

_LOOKUP = """
    typedef float pair __attribute__((vector_size(8), aligned(4), may_alias));
    const long long* given = (const long long*)arguments;
    const float* image = (const float*)given[0];
    const int* places = (const int*)given[1];
    const float* right = (const float*)given[2];
    const float* below = (const float*)given[3];
    float* out = (float*)given[4];
    const int height = given[5], planes = given[6], count = given[7];
    const bool add = given[8];
    const int width = 2 * height;
    const size_t pixels = size_t(width) * height;

    auto inside = [&](const float* plane, int place, float u, float v) __attribute__((always_inline)) {
        const float* at = plane + place;
        pair both = *(const pair*)at;  // two neighbours in one load
        both += v * (*(const pair*)(at + width) - both);
        return both[0] + u * (both[1] - both[0]);
    };
    auto pixel = [&](int row, int column) __attribute__((always_inline)) {
        if (row < 0 || row >= height) {
            row = row < 0 ? 0 : height - 1;
            column += height;
        }
        return row * width + column % width;
    };
    auto beyond = [&](const float* plane, int i) __attribute__((always_inline)) {
        const int place = -1 - places[i], row = place / width - 1, column = place % width;
        float a = plane[pixel(row, column)], b = plane[pixel(row, column + 1)];
        a += below[i] * (plane[pixel(row + 1, column)] - a);
        b += below[i] * (plane[pixel(row + 1, column + 1)] - b);
        return a + right[i] * (b - a);
    };

    int c = 0;
    for (; c + 3 <= planes; c += 3) {  // three at once: the places are read once for a pixel's colours
        const float* r = image + c * pixels;
        const float* g = r + pixels;
        const float* b = g + pixels;
        float* __restrict__ out_r = out + size_t(c) * count;
        float* __restrict__ out_g = out_r + count;
        float* __restrict__ out_b = out_g + count;
        for (int i = 0; i < count; ++i) {
            const int place = places[i];
            float red, green, blue;
            if (place >= 0) {
                const float u = right[i], v = below[i];
                red = inside(r, place, u, v);
                green = inside(g, place, u, v);
                blue = inside(b, place, u, v);
            } else {
                red = beyond(r, i);
                green = beyond(g, i);
                blue = beyond(b, i);
            }
            if (add) {
                red = out_r[i] + red;
                green = out_g[i] + green;
                blue = out_b[i] + blue;
            }
            out_r[i] = red;
            out_g[i] = green;
            out_b[i] = blue;
        }
    }
    for (; c < planes; ++c) {
        const float* plane = image + c * pixels;
        float* __restrict__ result = out + size_t(c) * count;
        for (int i = 0; i < count; ++i) {
            const int place = places[i];
            const float value = place >= 0 ? inside(plane, place, right[i], below[i]) : beyond(plane, i);
            result[i] = add ? result[i] + value : value;
        }
    }
"""


@wp.func_native(_LOOKUP)
def look_up(arguments: wp.uint64): ...


@wp.kernel
def lookup_kernel(arguments: wp.uint64):
    """One thread looks places up in images.

    Args:
        arguments: points to nine int64: pointers to the images (planes, height, 2 height), the places' index,
            across and down (count,) and the result (planes, count); height, planes, count; 1 to add to the
            result, 0 to overwrite it. One argument, as Warp takes longer to pass ten than to look 10,000 up.
    """
    look_up(arguments)
