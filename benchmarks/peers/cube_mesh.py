# type: ignore
# Warp compiles this file's kernels itself: their types are Warp's language, which pyright cannot read.
"""Mesh path of Matrix-3D: the panorama's pixel grid as a mesh, rasterised into six cube faces, then an ERP.

All (H - 1) W 2 wrapped triangles of the panorama are kept. Vertices whose 3x3 neighbourhood spans more than
5 % of the distance get alpha 0; a pixel is valid where the interpolated alpha is above 0.999: skins over
depth edges hide what is behind and become holes. Faces have H pixels a side, 512 for an ERP of 1024x512, and
are looked up bilinearly. Islands of valid pixels stay: the published rule counts pixels at one size. The sky
lies at twice the largest distance. nvdiffrast, which the original uses, needs a GPU: the rasteriser here is a
plain z-buffer with perspective-correct weights.

Source: `nvrender.py` of github.com/SkyworkAI/Matrix-3D; the rules alone were taken over.
"""

# No `from __future__ import annotations` here: Warp reads the kernels' argument types as objects.

import torch
import torch.nn.functional as F
import warp as wp

wp.set_module_options({"enable_backward": False})

EMPTY = wp.constant(wp.int64(0x7FFFFFFFFFFFFFFF))


@wp.func
def corner(points: wp.array(dtype=wp.vec3), R: wp.mat33, t: wp.vec3, i: int, size: float) -> wp.vec3:
    """Pixel of a face (x, y) and z."""
    p = R * (points[i] - t)
    return wp.vec3((p[0] / p[2] + 1.0) * 0.5 * size - 0.5, (p[1] / p[2] + 1.0) * 0.5 * size - 0.5, p[2])


@wp.kernel
def rasterise(
    points: wp.array(dtype=wp.vec3),
    triangles: wp.array(dtype=wp.vec3i),
    R: wp.mat33,
    t: wp.vec3,
    size: int,
    keys: wp.array(dtype=wp.int64),
):
    """One triangle into the z-buffer of a face."""
    i = wp.tid()
    f = triangles[i]
    a = corner(points, R, t, f[0], float(size))
    b = corner(points, R, t, f[1], float(size))
    c = corner(points, R, t, f[2], float(size))
    if a[2] < 1.0e-3 or b[2] < 1.0e-3 or c[2] < 1.0e-3:
        return
    x0 = wp.max(int(wp.ceil(wp.min(a[0], wp.min(b[0], c[0])))), 0)
    x1 = wp.min(int(wp.floor(wp.max(a[0], wp.max(b[0], c[0])))), size - 1)
    y0 = wp.max(int(wp.ceil(wp.min(a[1], wp.min(b[1], c[1])))), 0)
    y1 = wp.min(int(wp.floor(wp.max(a[1], wp.max(b[1], c[1])))), size - 1)
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if area == 0.0:
        return
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            px = float(x)
            py = float(y)
            wb = ((px - a[0]) * (c[1] - a[1]) - (py - a[1]) * (c[0] - a[0])) / area
            wc = ((b[0] - a[0]) * (py - a[1]) - (b[1] - a[1]) * (px - a[0])) / area
            wa = 1.0 - wb - wc
            if wa >= 0.0 and wb >= 0.0 and wc >= 0.0:
                z = 1.0 / (wa / a[2] + wb / b[2] + wc / c[2])
                key = (wp.int64(wp.cast(z, wp.int32)) << wp.int64(32)) | wp.int64(i)
                wp.atomic_min(keys, y * size + x, key)


@wp.kernel
def shade(
    keys: wp.array(dtype=wp.int64),
    points: wp.array(dtype=wp.vec3),
    values: wp.array(dtype=wp.vec4),
    triangles: wp.array(dtype=wp.vec3i),
    R: wp.mat33,
    t: wp.vec3,
    size: int,
    out: wp.array2d(dtype=float),
):
    """Interpolated rgb, alpha and the distance of every pixel of a face."""
    i = wp.tid()
    key = keys[i]
    if key == EMPTY:
        return
    f = triangles[int(key & wp.int64(0xFFFFFFFF))]
    a = corner(points, R, t, f[0], float(size))
    b = corner(points, R, t, f[1], float(size))
    c = corner(points, R, t, f[2], float(size))
    px = float(i % size)
    py = float(i / size)
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    wb = ((px - a[0]) * (c[1] - a[1]) - (py - a[1]) * (c[0] - a[0])) / area
    wc = ((b[0] - a[0]) * (py - a[1]) - (b[1] - a[1]) * (px - a[0])) / area
    z = 1.0 / ((1.0 - wb - wc) / a[2] + wb / b[2] + wc / c[2])
    va = values[f[0]] * ((1.0 - wb - wc) * z / a[2])
    v = va + values[f[1]] * (wb * z / b[2]) + values[f[2]] * (wc * z / c[2])
    for channel in range(4):
        out[channel, i] = v[channel]
    u = (px + 0.5) / float(size) * 2.0 - 1.0
    w = (py + 0.5) / float(size) * 2.0 - 1.0
    out[4, i] = z * wp.sqrt(1.0 + u * u + w * w)


def _faces():
    """Six rotations, face from camera: +z, +x, -z, -x, +y, -y looking along the face's z."""
    x, y, z = torch.eye(3)
    frames = ((x, y, z), (-z, y, x), (-x, y, -z), (z, y, -x), (x, -z, y), (x, z, -y))
    return [torch.stack(frame) for frame in frames]


class CubeMesh:
    """Frames of one panorama: (3, H, W) rgb, (H, W) distance, (H, W) valid; rays (H, W, 3)."""

    def __init__(self, rgb, distance, valid, rays):
        height, width = distance.shape
        self.height = height
        far = torch.where(valid, distance, 2 * distance[valid].max())
        ring = F.pad(F.pad(far[None, None], (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")
        span = F.max_pool2d(ring, 3, 1) + F.max_pool2d(-ring, 3, 1)
        alpha = (span[0, 0] <= 0.05 * far).float()
        values = torch.cat((rgb, alpha[None])).permute(1, 2, 0).reshape(-1, 4).contiguous()
        number = torch.arange(height * width).view(height, width)
        a, c = number[:-1], number[1:]
        b, d = a.roll(-1, -1), c.roll(-1, -1)
        triangles = torch.stack((torch.stack((a, c, d), -1), torch.stack((a, d, b), -1)), 2)
        self.triangles = wp.from_torch(triangles.reshape(-1, 3).int().contiguous(), dtype=wp.vec3i)
        self.points = wp.from_torch((rays * far[..., None]).reshape(-1, 3).contiguous(), dtype=wp.vec3)
        self.values, self.count = wp.from_torch(values, dtype=wp.vec4), 2 * (height - 1) * width
        self.lookup = [self._lookup(rays, face) for face in _faces()]

    def _lookup(self, rays, face):
        p = rays @ face.T
        mine = (p[..., 2] > 0) & (p[..., :2].abs().amax(-1) <= p[..., 2])
        return mine, (p[..., :2] / p[..., 2:])[mine][None, None]

    def __call__(self, T_world_cam):
        """(3, H, W) rgb, (H, W) distance, (H, W) covered."""
        size = self.height
        frame = torch.zeros(5, size, 2 * size)
        t = wp.vec3(*T_world_cam[:3, 3].tolist())
        for face, (mine, grid) in zip(_faces(), self.lookup, strict=True):
            R = wp.mat33(*(face @ T_world_cam[:3, :3].T).reshape(-1).tolist())
            keys = torch.full((size * size,), 0x7FFFFFFFFFFFFFFF, dtype=torch.int64)
            out = torch.zeros(5, size * size)
            buffer = wp.from_torch(keys)
            wp.launch(rasterise, dim=self.count, inputs=[self.points, self.triangles, R, t, size, buffer])
            view = [self.points, self.values, self.triangles, R, t, size]
            wp.launch(shade, dim=size * size, inputs=[buffer, *view, wp.from_torch(out)])
            image = out.view(1, 5, size, size)
            found = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
            frame[:, mine] = found[0, :, 0]
        covered = frame[3] > 0.999
        return frame[:3] * covered, frame[4] * covered, covered
