"""The tracer against analytic answers, against its torch twin, and under changes of camera."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
import torch

from pantheon_core.errors import ConventionError, InputError, ShapeError
from pantheon_core.geometry import erp_rays, rays_to_erp_pixels
from pantheon_core.synthetic import generate_scene, trace
from pantheon_core.synthetic._build import SceneBuilder
from pantheon_core.synthetic._scene import SHELL

H = 32
BACKENDS = ("warp", "torch")


def _pose(x=0.0, y=0.0, z=0.0, yaw=0.0):
    T = torch.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    T[:3, :3] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    T[:3, 3] = torch.tensor([x, y, z])
    return T


def _scene(build):
    b = SceneBuilder(np.random.default_rng(3), photos=False)
    build(b, b.material("plaster"))
    sky = np.full((8, 16, 3), 0.25, np.float32)
    light = [[0.0, 0.3, 0.8, 0.1, 0.5, 0.5, 0.5, 1.0]]
    return b.finish(
        (0.0, 0.0, 0.0), 0.0, seed=0, kind="room", sky=sky, lights=light,
        ambient=np.full((3, 3), 0.5), atmosphere=(0.0, 0.3, 1.0),
    )  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shell", [False, True])
def test_cube_room(backend, shell):
    def build(b, m):
        if shell:
            b._add(SHELL, (0, 0, 0), (2.0, 2.0, 2.0), 0.0, (m, m), 1.0)
            return
        for axis in range(3):
            for side in (-1, 1):
                at, size = [0.0, 0.0, -3.0], [6.0, 6.0, 6.0]
                size[axis] = 2.0
                at[(0, 2, 1)[axis]] += 3.0 * side
                if axis == 1:
                    at[2] += 2.0
                b.box(tuple(at), tuple(size), m)

    frame = trace(_scene(build), _pose(), H, backend=backend)
    expected = 2.0 / erp_rays(H).abs().amax(-1)
    assert not frame.sky.any()
    torch.testing.assert_close(frame.distance, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_sphere_ahead(backend):
    scene = _scene(lambda b, m: b.ellipsoid((0, 5.0, 0.0), (1.5, 1.5, 1.5), m))
    frame = trace(scene, _pose(), H, backend=backend)
    along = erp_rays(H)[..., 2] * 5.0
    disc = along**2 - 25.0 + 1.5**2
    seen = (disc > 0) & (along > 0)
    torch.testing.assert_close(frame.valid, seen)
    torch.testing.assert_close(
        frame.distance[seen], (along - disc.clamp_min(0).sqrt())[seen], rtol=1e-4, atol=1e-4
    )
    assert (frame.distance[~seen] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_ground_plane(backend):
    scene = _scene(lambda b, m: b.box((0, 0, -2.6), (4000.0, 1.0, 4000.0), m))
    frame = trace(scene, _pose(yaw=0.4), H, backend=backend)
    down = erp_rays(H)[..., 1]
    assert torch.equal(frame.valid, down > 0)
    torch.testing.assert_close(frame.distance[down > 0], (1.6 / down)[down > 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_cylinder_and_roof(backend):
    """Points on a cylinder keep its radius, and points on a roof lie on its planes."""

    def build(b, m):
        b.cone((0, 4.0, -1.0), (1.0, 2.0, 1.0), m)
        b.prism((0, -5.0, -1.0), (3.0, 2.0, 4.0), m, m)

    frame = trace(_scene(build), _pose(), 64, backend=backend)
    points = erp_rays(64) * frame.distance[..., None]
    front = points[frame.valid & (points[..., 2] > 0)]
    assert len(front) > 100
    radius = torch.hypot(front[:, 0], front[:, 2] - 4.0)
    torch.testing.assert_close(radius, torch.ones(len(front)), rtol=0, atol=1e-3)
    roof = points[frame.valid & (points[..., 2] < 0)] - torch.tensor([0, 0, -5.0])
    assert len(roof) > 100
    # The slope from the eaves (y = 1, z = 2) to the ridge (y = -1, z = 0): y = |z| - 1; else a gable end.
    off = torch.minimum((roof[:, 1] - roof[:, 2].abs() + 1).abs(), (roof[:, 0].abs() - 1.5).abs())
    assert off.max() < 1e-3


@pytest.mark.parametrize("kind", ["room", "street", "garden"])
def test_twins_agree(kind):
    scene = generate_scene(6, kind)
    T = _pose(0.2, -0.1, 0.15, 0.7)
    a, b = trace(scene, T, H, backend="warp"), trace(scene, T, H, backend="torch")
    assert (a.sky != b.sky).float().mean() < 1e-3
    same = a.valid & b.valid
    off = (a.distance - b.distance).abs() / a.distance.clamp_min(0.1)
    assert (off[same] > 1e-3).float().mean() < 2e-3
    assert ((a.rgb - b.rgb).abs().amax(0) > 4e-3).float().mean() < 3e-3


@pytest.mark.parametrize("kind", ["room", "garden"])
def test_static_world_reprojects(kind):
    """Points seen from one camera have, where a second sees them, the distance that it measures."""
    scene = generate_scene(12, kind)
    first, moved = _pose(), _pose(0.25, 0.05, -0.2, 0.3)
    points = erp_rays(64) * trace(scene, first, 64).distance[..., None]
    near = trace(scene, first, 64).valid & (points.norm(dim=-1) < 30)
    local = (points[near] - moved[:3, 3]) @ moved[:3, :3]
    expected = local.norm(dim=-1)
    second = trace(scene, moved, 512).distance
    xy = rays_to_erp_pixels(local / expected[:, None], 512).round().long()
    got = second[xy[:, 1].clamp(0, 511), xy[:, 0] % 1024]
    # The nearest pixel of a finer frame is off by up to half its angle; slanted surfaces magnify that.
    agree = (got - expected).abs() < 0.01 * expected + 0.01
    assert agree.float().mean() > 0.8
    occluded = got < expected - (0.01 * expected + 0.01)
    assert (agree | occluded).float().mean() > 0.95


@pytest.mark.parametrize("kind", ["room", "street", "garden"])
def test_yaw_rolls_the_frame(kind):
    scene, k = generate_scene(4, kind), 5
    a = trace(scene, _pose(), H)
    b = trace(scene, _pose(yaw=k * 2 * pi / (2 * H)), H)
    rolled = a.distance.roll(-k, -1)
    same = ((b.distance - rolled).abs() <= 1e-4 * rolled.clamp_min(1)) & (b.sky == a.sky.roll(-k, -1))
    # A ray that grazes an edge may fall on either side of it.
    assert same.float().mean() > 0.995
    rgb_off = (b.rgb - a.rgb.roll(-k, -1)).abs().amax(0)[same]
    assert (rgb_off > 1e-3).float().mean() < 0.01


def test_supersampling_smooths_rgb_alone():
    scene = generate_scene(2, "street")
    one, four = trace(scene, _pose(), H), trace(scene, _pose(), H, samples=2)
    assert torch.equal(one.distance, four.distance)
    assert torch.equal(one.sky, four.sky)
    assert 0 < (one.rgb - four.rgb).abs().mean() < 0.1


def test_textures_do_not_sparkle():
    """Without supersampling the texture filter alone is as calm as the supersampled picture."""
    scene = _scene(lambda b, m: b.box((0, 0, -2.6), (4000.0, 1.0, 4000.0), b.material("tiles", 0.4)))
    one, many = trace(scene, _pose(), 64), trace(scene, _pose(), 64, samples=6)
    far = slice(32, 40)
    assert (one.rgb - many.rgb)[:, far].abs().mean() < 0.02
    # Nearer by, it may blur more than the pixel does, never less.
    assert one.rgb[:, 32:].std(-1).mean() < 1.05 * many.rgb[:, 32:].std(-1).mean()


def test_bad_input():
    scene = _scene(lambda b, m: b.box((0, 0, -2.6), (4.0, 1.0, 4.0), m))
    with pytest.raises(ShapeError, match="T_world_cam"):
        trace(scene, torch.eye(4)[None], H)
    with pytest.raises(ConventionError, match="rotation"):
        trace(scene, torch.eye(4) * 2, H)
    with pytest.raises(InputError, match="samples"):
        trace(scene, torch.eye(4), H, samples=0)
    with pytest.raises(InputError, match="backend"):
        trace(scene, torch.eye(4), H, backend="fast")
