# type: ignore
# Warp compiles this file's functions itself: their types are Warp's language, which pyright cannot read.
"""The soft splat of soft_splat.py as Warp kernels."""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import torch
import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def project(
    points: wp.array(dtype=wp.vec3),
    R: wp.mat33,
    t: wp.vec3,
    width: float,
    height: float,
    place: wp.array(dtype=wp.vec4),
    most: wp.array(dtype=float),
):
    """Pixel, distance and its logarithm of every point."""
    i = wp.tid()
    p = R * (points[i] - t)
    flat = p[0] * p[0] + p[2] * p[2]
    far = wp.sqrt(flat + p[1] * p[1])
    depth = wp.log(1.0 + far)
    px = (wp.atan2(p[0], p[2]) * 0.15915494 + 0.5) * width - 0.5
    py = (0.5 + wp.atan2(p[1], wp.sqrt(flat)) * 0.31830989) * height - 0.5
    place[i] = wp.vec4(px, py, far, depth)
    wp.atomic_max(most, 0, depth)


@wp.kernel
def splat(
    place: wp.array(dtype=wp.vec4),
    colors: wp.array2d(dtype=wp.uint8),
    W: int,
    H: int,
    most: wp.array(dtype=float),
    total: wp.array(dtype=wp.vec4),
    total_t: wp.array(dtype=float),
):
    """Four weighted adds for each point."""
    i = wp.tid()
    p = place[i]
    near = wp.exp(-50.0 * p[3] / most[0])
    x0 = int(wp.floor(p[0]))
    y0 = int(wp.floor(p[1]))
    fx = p[0] - float(x0)
    fy = p[1] - float(y0)
    value = wp.vec4(float(colors[i, 0]), float(colors[i, 1]), float(colors[i, 2]), 1.0)
    for dy in range(2):
        y = y0 + dy
        if y >= 0 and y < H:
            for dx in range(2):
                x = x0 + dx
                if x < 0:
                    x += W
                if x >= W:
                    x -= W
                wx = wp.where(dx == 1, fx, 1.0 - fx)
                wy = wp.where(dy == 1, fy, 1.0 - fy)
                w = near * wx * wy
                wp.atomic_add(total, y * W + x, w * value)
                wp.atomic_add(total_t, y * W + x, w * p[2])


@wp.kernel
def resolve(
    total: wp.array(dtype=wp.vec4),
    total_t: wp.array(dtype=float),
    rgb: wp.array2d(dtype=float),
    distance: wp.array(dtype=float),
    covered: wp.array(dtype=wp.uint8),
):
    """Weighted means."""
    i = wp.tid()
    s = total[i]
    if s[3] > 0.0:
        for c in range(3):
            rgb[c, i] = s[c] / (s[3] * 255.0)
        distance[i] = total_t[i] / s[3]
        covered[i] = wp.uint8(1)


class WarpSplat:
    """Frames of one cloud: (N, 3) points, (N, 3) uint8 colours."""

    def __init__(self, points, colors, height):
        self.height, self.count = height, len(points)
        self.points = wp.from_torch(points.contiguous(), dtype=wp.vec3)
        self.colors = wp.from_torch(colors.contiguous())

    def __call__(self, T_world_cam):
        """(3, H, W) rgb, (H, W) distance, (H, W) covered."""
        height, width = self.height, 2 * self.height
        pixels = height * width
        place, most = wp.empty(self.count, dtype=wp.vec4), wp.zeros(1, dtype=float)
        total, total_t = wp.zeros(pixels, dtype=wp.vec4), wp.zeros(pixels, dtype=float)
        rgb, far = torch.zeros(3, pixels), torch.zeros(pixels)
        covered = torch.zeros(pixels, dtype=torch.bool)
        R = wp.mat33(*T_world_cam[:3, :3].T.reshape(-1).tolist())
        t = wp.vec3(*T_world_cam[:3, 3].tolist())
        view = [self.points, R, t, float(width), float(height), place, most]
        wp.launch(project, dim=self.count, inputs=view)
        wp.launch(splat, dim=self.count, inputs=[place, self.colors, width, height, most, total, total_t])
        out = [wp.from_torch(rgb), wp.from_torch(far), wp.from_torch(covered.view(torch.uint8))]
        wp.launch(resolve, dim=pixels, inputs=[total, total_t, *out])
        return rgb.view(3, height, width), far.view(height, width), covered.view(height, width)
