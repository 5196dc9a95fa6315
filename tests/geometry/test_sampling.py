"""Sampling against analytic panoramas: the direction itself is the colour, so every answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pantheon_core.errors import ConventionError, InputError, ShapeError
from pantheon_core.geometry import (
    erp_pixels_to_rays,
    erp_rays,
    erp_to_perspective,
    perspective_rays,
    rays_to_erp_pixels,
    resize_erp,
    rotate_erp,
    rotation_from_yaw_pitch_roll,
    sample_erp,
)

ANGLES = st.floats(-math.pi, math.pi, allow_nan=False)
FAST = settings(max_examples=25, deadline=None)


def direction_field(height: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return erp_rays(height, dtype=dtype).permute(2, 0, 1)


def pattern(rays: Tensor, frequency: float) -> Tensor:
    x, y, z = rays.unbind(-1)
    waves = (frequency * x + 3 * y, frequency * 1.3 * z, frequency * (x + y + z) / 1.7)
    return 0.5 + 0.5 * torch.stack([wave.sin() for wave in waves])


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * ((a - b) ** 2).mean().log10())


def noise(height: int, channels: int = 3) -> Tensor:
    return torch.rand(channels, height, 2 * height, generator=torch.Generator().manual_seed(height))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rays_follow_the_written_convention(dtype: torch.dtype) -> None:
    rays = erp_rays(4, dtype=dtype)
    assert rays.shape == (4, 8, 3)
    assert rays.dtype == dtype
    lon, lat = ((5 + 0.5) / 8 - 0.5) * 2 * math.pi, (0.5 - (1 + 0.5) / 4) * math.pi
    expected = [math.cos(lat) * math.sin(lon), -math.sin(lat), math.cos(lat) * math.cos(lon)]
    torch.testing.assert_close(rays[1, 5], torch.tensor(expected, dtype=dtype))
    torch.testing.assert_close(rays.norm(dim=-1), torch.ones(4, 8, dtype=dtype))


@pytest.mark.parametrize(
    ("ray", "pixel"),
    [
        ((0, 0, 1), (31.5, 15.5)),  # forward: the middle of the image
        ((1, 0, 0), (47.5, 15.5)),  # right: three quarters
        ((-1, 0, 0), (15.5, 15.5)),
        ((0, -1, 0), (31.5, -0.5)),  # up: the upper edge
        ((0, 1, 0), (31.5, 31.5)),
        ((0, 0, -1), (-0.5, 15.5)),  # behind: the seam
        ((0, 0, -7.5), (-0.5, 15.5)),
    ],
)
def test_known_directions_fall_on_known_pixels(ray: tuple[float, ...], pixel: tuple[float, float]) -> None:
    got = rays_to_erp_pixels(torch.tensor(ray, dtype=torch.float64), 32)
    torch.testing.assert_close(got, torch.tensor(pixel, dtype=torch.float64))


@FAST
@given(x=st.floats(-0.5, 127.49), y=st.floats(-0.49, 63.49))
def test_pixel_to_ray_and_back(x: float, y: float) -> None:
    xy = torch.tensor([x, y], dtype=torch.float64)
    back = rays_to_erp_pixels(erp_pixels_to_rays(xy, 64), 64)
    torch.testing.assert_close(back, xy, atol=1e-9, rtol=0)


@FAST
@given(yaw=ANGLES, pitch=ANGLES, roll=ANGLES)
def test_a_turned_direction_field_is_the_turned_directions(yaw: float, pitch: float, roll: float) -> None:
    rotation = rotation_from_yaw_pitch_roll(torch.tensor(yaw, dtype=torch.float64), pitch, roll)
    got = rotate_erp(direction_field(64, torch.float64), rotation)
    expected = torch.einsum("ij,hwj->ihw", rotation, erp_rays(64, dtype=torch.float64))
    # Linear interpolation over one pixel on two axes errs by an eighth of the squared pixel angle each.
    assert float((got - expected).abs().max()) < (math.pi / 64) ** 2 / 4


@FAST
@given(yaw=ANGLES, pitch=ANGLES, roll=ANGLES)
def test_bicubic_is_closer_than_bilinear(yaw: float, pitch: float, roll: float) -> None:
    rotation = rotation_from_yaw_pitch_roll(torch.tensor(yaw, dtype=torch.float64), pitch, roll)
    field, rays = direction_field(32, torch.float64), erp_rays(32, dtype=torch.float64) @ rotation.T
    errors = [
        float((sample_erp(field, rays, mode=mode) - rays.permute(2, 0, 1)).abs().max())
        for mode in ("bicubic", "bilinear")
    ]
    assert errors[0] < 1e-3
    assert errors[0] <= errors[1] + 1e-12


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("height", [1, 2, 16, 77, 256])
def test_identity_is_exact(mode: str, height: int) -> None:
    image = noise(height)
    assert torch.equal(sample_erp(image, erp_rays(height), mode=mode), image)  # pyright: ignore[reportArgumentType]
    assert torch.equal(rotate_erp(image, torch.eye(3)), image)


@FAST
@given(columns=st.integers(-130, 130), mode=st.sampled_from(["bilinear", "nearest", "bicubic"]))
def test_yaw_by_whole_pixels_is_a_roll(columns: int, mode: str) -> None:
    image = noise(64)
    rotation = rotation_from_yaw_pitch_roll(2 * math.pi * columns / 128)
    turned = rotate_erp(image, rotation, mode=mode)  # pyright: ignore[reportArgumentType]
    assert torch.equal(turned, image.roll(-columns, -1))


def test_half_a_turn_of_roll_is_a_flip_of_both_axes() -> None:
    image = noise(32)
    turned = rotate_erp(image, rotation_from_yaw_pitch_roll(0.0, 0.0, math.pi))
    torch.testing.assert_close(turned, image.flip(-1, -2), atol=1e-3, rtol=0)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_an_impulse_at_the_seam_is_symmetric(mode: str) -> None:
    image = torch.zeros(1, 32, 64)
    image[0, 16, 0] = 1
    offsets = torch.linspace(-2.4, 2.4, 25, dtype=torch.float64)
    rays = erp_pixels_to_rays(torch.stack((offsets, torch.full_like(offsets, 16)), -1), 32)
    response = sample_erp(image, rays[None], mode=mode, antialias=False)[0, 0]  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(response, response.flip(0), atol=1e-6, rtol=0)
    assert float(response[12]) == pytest.approx(1)
    if mode == "bilinear":
        torch.testing.assert_close(response, (1 - offsets.abs()).clamp(min=0).float(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("down", [False, True])
def test_crossing_a_pole_is_continuous(down: bool) -> None:
    image = noise(32)
    angle = torch.linspace(-0.2, 0.2, 4001, dtype=torch.float64)
    y = torch.cos(angle) if down else -torch.cos(angle)
    rays = torch.stack((0.3 * angle.sin(), y, angle.sin()), -1)[None]
    values = sample_erp(image, rays, antialias=False)
    # No jump larger than the slope of the image allows over a step of 1e-4 rad.
    assert float(values.diff(dim=-1).abs().max()) < 0.01


def test_pole_taps_are_the_opposite_columns() -> None:
    image = noise(8)
    above = erp_pixels_to_rays(torch.tensor([[[3.0, -0.5]]], dtype=torch.float64), 8)
    got = sample_erp(image, above, antialias=False)[:, 0, 0]
    # Straight up: half of the two columns that face each other, whichever longitude the pole is given.
    column = rays_to_erp_pixels(above, 8)[0, 0, 0].floor().long()
    pair = image[:, 0, column : column + 2] + image[:, 0, column + 8 : column + 10]
    fraction = rays_to_erp_pixels(above, 8)[0, 0, 0] % 1
    expected = (pair[:, 0] * (1 - fraction) + pair[:, 1] * fraction) / 2
    torch.testing.assert_close(got, expected.float(), atol=1e-5, rtol=0)


@FAST
@given(yaw=ANGLES, pitch=ANGLES, fov=st.floats(0.2, 2.8), size=st.integers(1, 40))
def test_white_stays_white(yaw: float, pitch: float, fov: float, size: int) -> None:
    rotation = rotation_from_yaw_pitch_roll(yaw, pitch)
    view = erp_to_perspective(torch.ones(1, 32, 64), rotation, fov_x=fov, height=size, width=size)
    torch.testing.assert_close(view, torch.ones(1, size, size), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "small", "floor"), [(256, 30, 50), (256, 10, 42), (250, 6, 33)])
def test_shrinking_does_not_alias(height: int, small: int, floor: float) -> None:
    # As fine as the source can hold: without averaging this is about 15 dB.
    image = pattern(erp_rays(height, dtype=torch.float64), 100 * height / 512).float()
    dense = pattern(erp_rays(small * 16, dtype=torch.float64), 100 * height / 512)
    truth = torch.nn.functional.avg_pool2d(dense, 16).float()
    assert psnr(resize_erp(image, small), truth) > 50
    assert psnr(sample_erp(image, erp_rays(small)), truth) > floor
    assert psnr(sample_erp(image, erp_rays(small), antialias=False), truth) < 20


def test_shrinking_by_eight_reaches_50_db() -> None:
    image = pattern(erp_rays(512, dtype=torch.float64), 100).float()
    truth = torch.nn.functional.avg_pool2d(pattern(erp_rays(1024, dtype=torch.float64), 100), 16).float()
    assert psnr(resize_erp(image, 64), truth) > 50
    assert psnr(sample_erp(image, erp_rays(64)), truth) > 50
    rotation = rotation_from_yaw_pitch_roll(0.5, 0.7, 0.2)
    rays = perspective_rays(512, 512, math.pi / 2, dtype=torch.float64) @ rotation.double().T
    truth = torch.nn.functional.avg_pool2d(pattern(rays, 100), 16).float()
    view = erp_to_perspective(image, rotation, fov_x=math.pi / 2, height=32, width=32)
    assert psnr(view, truth) > 50


def test_large_reductions_keep_the_mean() -> None:
    image = noise(256)
    shrunk = sample_erp(image, erp_rays(4))
    torch.testing.assert_close(shrunk, resize_erp(image, 4), atol=0.01, rtol=0)


@FAST
@given(height=st.integers(1, 40), new=st.integers(1, 40))
def test_shrinking_keeps_the_mean_and_constants(height: int, new: int) -> None:
    image = noise(height)
    out = resize_erp(image, new)
    assert out.shape == (3, new, 2 * new)
    torch.testing.assert_close(
        resize_erp(torch.ones(1, height, 2 * height), new), torch.ones(1, new, 2 * new)
    )
    if new <= height:
        torch.testing.assert_close(out.mean((1, 2)), image.mean((1, 2)), atol=1e-5, rtol=0)


def test_batches_equal_single_calls() -> None:
    images = torch.stack([noise(16), noise(16).flip(-1)])
    rotations = rotation_from_yaw_pitch_roll(torch.tensor([0.3, 1.0]), 0.2)
    single = torch.stack([rotate_erp(image, r) for image, r in zip(images, rotations, strict=True)])
    torch.testing.assert_close(rotate_erp(images, rotations), single, atol=1e-6, rtol=0)
    views = erp_to_perspective(images[0], rotations, fov_x=1.0, height=5, width=7)
    one = erp_to_perspective(images[0], rotations[1], fov_x=1.0, height=5, width=7)
    assert views.shape == (2, 3, 5, 7)
    torch.testing.assert_close(views[1], one)
    shared = erp_to_perspective(images[:, None], rotations, fov_x=1.0, height=5, width=7)
    assert shared.shape == (2, 2, 3, 5, 7)
    torch.testing.assert_close(shared[0], views)


@pytest.mark.parametrize("height", [1, 2, 31, 64])
def test_float32_takes_a_shorter_way_to_the_same_values(height: int) -> None:
    image = noise(height)
    rays = torch.randn(40, 50, 3, generator=torch.Generator().manual_seed(1))
    rays[0] *= torch.tensor([1e-6, 1.0, 1e-6])  # poles
    rays[1] *= torch.tensor([1e-6, 1.0, -1.0])  # seam
    short = sample_erp(image, rays, antialias=False)
    long = sample_erp(image.double(), rays.double(), antialias=False)
    torch.testing.assert_close(short.double(), long, atol=1e-4, rtol=0)
    batch = torch.stack((image, image.flip(-1)))
    assert torch.equal(sample_erp(batch, rays, antialias=False)[0], short)


def test_labels_survive_nearest() -> None:
    labels = (noise(16, 1) * 250).to(torch.uint8)
    small = resize_erp(labels, 5, mode="nearest")
    assert small.dtype == torch.uint8
    assert set(small.flatten().tolist()) <= set(labels.flatten().tolist())


def test_gradients_reach_the_image() -> None:
    image = noise(4, 1).double().requires_grad_()
    rays = erp_rays(3, dtype=torch.float64) @ rotation_from_yaw_pitch_roll(0.4, 0.3).double().T
    assert torch.autograd.gradcheck(lambda x: sample_erp(x, rays), (image,))
    assert torch.autograd.gradcheck(lambda x: resize_erp(x, 2), (image,))


def test_half_precision_images_keep_their_type() -> None:
    image = noise(16)
    got = rotate_erp(image.half(), rotation_from_yaw_pitch_roll(0.1, 0.2))
    assert got.dtype == torch.float16
    expected = rotate_erp(image, rotation_from_yaw_pitch_roll(0.1, 0.2))
    torch.testing.assert_close(got.float(), expected, atol=2e-3, rtol=0)


def test_wrong_input_is_named() -> None:
    with pytest.raises(ConventionError, match="twice as wide"):
        sample_erp(torch.zeros(3, 8, 8), erp_rays(4))
    with pytest.raises(InputError, match="floating"):
        sample_erp(torch.zeros(3, 8, 16, dtype=torch.uint8), erp_rays(4))
    with pytest.raises(ShapeError, match="leading axes"):
        sample_erp(torch.zeros(2, 3, 8, 16), erp_rays(4).expand(3, 4, 8, 3))
    with pytest.raises(InputError, match="height"):
        erp_rays(0)
    with pytest.raises(InputError, match="mode"):
        sample_erp(torch.zeros(3, 8, 16), erp_rays(4), mode="linear")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="fov_x"):
        perspective_rays(4, 4, 90.0)
