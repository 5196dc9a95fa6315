# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""What the Warp kernels of the scaffold renderer share: one source for CPU and CUDA.

The same in plain torch is _torch.py. Everything is in the camera's frame. Triangles come in pairs
(`_packed_pairs`); number 2 i + k is triangle k of pair i. A depth key is (distance bits << 32) | number; the
least one wins. Triangles are drawn by _warp_raster.py and coloured by _warp_surface.py, bare points by
_warp_caps.py; the rest is in _warp_loops.py.
"""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import warp as wp

wp.set_module_options({"enable_backward": False})

EMPTY = wp.constant(wp.int64(0x7FFFFFFFFFFFFFFF))
PI = wp.constant(wp.float32(3.14159265358979))
MARGIN = wp.constant(wp.float32(1.0e-2))  # pixels: more than the rounding of a projected vertex
ABOUT = wp.constant(wp.float32(1.2))  # pixels: boxes that reach so far hold samples of a neighbour at most
REACH = wp.constant(wp.int32(6))  # pixels: wider boxes are looked up so much further to both sides
BLOCK = wp.constant(wp.int32(8))  # pixels of the frame along a side of the blocks that `holds_samples` counts


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
def spot_of(middle: wp.vec2, reach: wp.vec2, W: wp.int32, H: wp.int32) -> wp.int32:
    """Where a box of the frame lies, for `far_from_samples`: from the number of its middle's pixel."""
    if reach[1] > ABOUT or reach[0] > wp.min(wp.float32(REACH) + ABOUT, 0.04 * wp.float32(W)):
        return -1
    column = wp.int32(wp.floor(middle[0] + 0.5))
    line = wp.clamp(wp.int32(wp.floor(middle[1] + 0.5)), 0, H - 1)
    at = line * W + wp.where(column < W, column, 0)
    return wp.where(reach[0] > ABOUT, -2 - at, at)


@wp.func
def far_from_samples(spot: wp.int32, near: wp.array2d(dtype=wp.uint8)) -> bool:
    """No sample is in the box of a spot: from the pixels with one beside them, in x by REACH or by one."""
    if spot >= 0:
        return near[0, spot] == wp.uint8(0)
    if spot == -1:
        return False
    return near[1, -2 - spot] == wp.uint8(0)


@wp.struct
class View:
    """What every triangle needs: the samples, and the rules of what a ray meets."""

    columns: wp.array(dtype=wp.vec2)
    rows: wp.array(dtype=wp.vec2)
    slot: wp.array(dtype=wp.int32)
    near: wp.array2d(dtype=wp.uint8)
    blocks: wp.array2d(dtype=wp.int32)
    fine: wp.int32
    slack: wp.float32
    bias: wp.float32


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


@wp.kernel
def quarter(
    pixel: wp.array(dtype=wp.int64),
    W: wp.int32,
    slot: wp.array(dtype=wp.int32),
    where: wp.array(dtype=wp.int32),
    near: wp.array2d(dtype=wp.uint8),
    blocks: wp.array2d(dtype=wp.int32),
):
    """Samples in the quarters of pixels of a frame W wide: what `quarters` of _samples.py does, and marks."""
    i = wp.tid()
    at = wp.int32(pixel[i])
    y = at / W
    x = at - y * W
    slot[at] = i
    blocks[y / BLOCK, x / BLOCK] = 1
    for k in range(4):
        where[4 * i + k] = ((2 * y + k / 2) << 16) | (2 * x + k % 2)
    for line in range(wp.max(y - 1, 0), wp.min(y + 2, W / 2)):
        for k in range(-1 - REACH, 2 + REACH):
            column = (x + k + W) % W
            near[1, line * W + column] = wp.uint8(1)
            if wp.abs(k) <= 1:
                near[0, line * W + column] = wp.uint8(1)
