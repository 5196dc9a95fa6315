"""Metadata, partial panoramas, levelling and sizes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pantheon_core.errors import ConventionError, InputError, MediaError, ShapeError
from pantheon_core.geometry import erp_rays, rotate_erp, rotation_from_yaw_pitch_roll
from pantheon_core.panorama import Panorama, level, load_panorama, panorama_from_image, resize

Write = Callable[..., Path]
FULL = {
    "ProjectionType": "equirectangular",
    "FullPanoWidthPixels": 64,
    "FullPanoHeightPixels": 32,
    "CroppedAreaImageWidthPixels": 64,
    "CroppedAreaImageHeightPixels": 32,
    "CroppedAreaLeftPixels": 0,
    "CroppedAreaTopPixels": 0,
    "PoseHeadingDegrees": "350.5",
    "PosePitchDegrees": "-4.0",
    "PoseRollDegrees": "2.0",
}


@pytest.mark.parametrize("elements", [False, True])
@pytest.mark.parametrize("prefix", ["GPano", "pano"])
def test_gpano_as_attributes_and_as_elements(
    write_jpeg: Write, make_xmp: Callable[..., str], picture: np.ndarray, elements: bool, prefix: str
) -> None:
    panorama = load_panorama(write_jpeg(picture, xmp=make_xmp(FULL, elements=elements, prefix=prefix)))
    assert panorama.heading == pytest.approx(math.radians(350.5))
    assert panorama.pitch == pytest.approx(math.radians(-4))
    assert panorama.roll == pytest.approx(math.radians(2))
    assert panorama.metadata["GPano:FullPanoWidthPixels"] == "64"
    assert bool(panorama.valid.all())


def test_gpano_in_a_png(tmp_path: Path, make_xmp: Callable[..., str], picture: np.ndarray) -> None:
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", make_xmp(FULL))
    Image.fromarray((picture * 255).astype(np.uint8)).save(tmp_path / "x.png", pnginfo=info)
    assert load_panorama(tmp_path / "x.png").heading == pytest.approx(math.radians(350.5))


def test_a_file_without_metadata_has_no_pose(write_jpeg: Write, picture: np.ndarray) -> None:
    panorama = load_panorama(write_jpeg(picture))
    assert panorama.heading is panorama.pitch is panorama.roll is None


@pytest.mark.parametrize("scale", [1, 2])
def test_a_crop_is_placed_on_the_sphere(
    write_jpeg: Write, make_xmp: Callable[..., str], picture: np.ndarray, scale: int
) -> None:
    crop = {
        **FULL,
        "CroppedAreaImageWidthPixels": 24 * scale,
        "CroppedAreaImageHeightPixels": 10 * scale,
        "CroppedAreaLeftPixels": 8 * scale,
        "CroppedAreaTopPixels": 5 * scale,
        "FullPanoWidthPixels": 64 * scale,
        "FullPanoHeightPixels": 32 * scale,
    }
    panorama = load_panorama(write_jpeg(picture[5:15, 8:32], xmp=make_xmp(crop)))
    expected = torch.zeros(32, 64, dtype=torch.bool)
    expected[5:15, 8:32] = True
    assert torch.equal(panorama.valid, expected)
    assert float(panorama.rgb[:, ~expected].abs().max()) == 0
    truth = torch.from_numpy(picture).permute(2, 0, 1).float()
    torch.testing.assert_close(panorama.rgb[:, expected], truth[:, expected], atol=0.02, rtol=0)


def test_a_crop_over_the_seam_goes_on_at_the_left(
    write_jpeg: Write, make_xmp: Callable[..., str], picture: np.ndarray
) -> None:
    crop = {**FULL, "CroppedAreaImageWidthPixels": 20, "CroppedAreaLeftPixels": 54}
    panorama = load_panorama(write_jpeg(np.roll(picture, 10, 1)[:, :20], xmp=make_xmp(crop)))
    assert bool(panorama.valid[:, 54:].all())
    assert bool(panorama.valid[:, :10].all())
    assert not bool(panorama.valid[:, 10:54].any())
    truth = torch.from_numpy(picture).permute(2, 0, 1).float()
    seen = panorama.valid
    torch.testing.assert_close(panorama.rgb[:, seen], truth[:, seen], atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"ProjectionType": "cylindrical"}, ConventionError, "cylindrical"),
        ({"CroppedAreaTopPixels": 10}, MediaError, "below the full height"),
        ({"CroppedAreaImageWidthPixels": 32}, MediaError, "cut after"),
        ({"FullPanoWidthPixels": "many"}, MediaError, "FullPanoWidthPixels"),
        ({"FullPanoHeightPixels": 64}, ConventionError, "GPano full size"),
    ],
)
def test_metadata_that_cannot_be_is_refused(
    write_jpeg: Write,
    make_xmp: Callable[..., str],
    picture: np.ndarray,
    change: dict[str, object],
    error: type[Exception],
    match: str,
) -> None:
    with pytest.raises(error, match=match):
        load_panorama(write_jpeg(picture, xmp=make_xmp({**FULL, **change})))


def test_exif_place_time_and_camera(write_jpeg: Write, picture: np.ndarray) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Model 360"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "S", (33.0, 30.0, 36.0)
    gps[3], gps[4] = "E", (151.0, 15.0, 0.0)
    gps[5], gps[6] = b"\x01", 12.5
    metadata = load_panorama(write_jpeg(picture, exif=exif.tobytes())).metadata
    assert float(metadata["latitude"]) == pytest.approx(-33.51)
    assert float(metadata["longitude"]) == pytest.approx(151.25)
    assert float(metadata["altitude"]) == pytest.approx(-12.5)
    assert metadata["make"] == "Maker"
    assert metadata["model"] == "Model 360"
    assert metadata["datetime"] == "2024:05:06 07:08:09"
    assert metadata["stored_size"] == "64x32"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(write_jpeg: Write, picture: np.ndarray, orientation: int) -> None:
    from PIL import Image

    stored = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.swapaxes(0, 1),
        6: np.rot90(picture, 1),
        7: picture.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90(picture, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    panorama = load_panorama(write_jpeg(np.ascontiguousarray(stored), exif=exif.tobytes()))
    truth = torch.from_numpy(picture).permute(2, 0, 1).float()
    torch.testing.assert_close(panorama.rgb, truth, atol=0.02, rtol=0)


def horizon(height: int = 64) -> torch.Tensor:
    """A level world: height above the horizon in red, directions in green and blue."""
    return erp_rays(height).permute(2, 0, 1)[[1, 0, 2]] * 0.5 + 0.5


@settings(max_examples=20, deadline=None)
@given(roll=st.floats(-1, 1), pitch=st.floats(-1, 1))
def test_levelling_undoes_the_camera(roll: float, pitch: float) -> None:
    # What a camera with this attitude photographs of the level world:
    photo = rotate_erp(horizon(), rotation_from_yaw_pitch_roll(0.0, pitch, roll))
    levelled = level(panorama_from_image(photo), roll, pitch)
    torch.testing.assert_close(levelled.rgb, horizon(), atol=4e-3, rtol=0)


def test_signs_of_the_attitude() -> None:
    level_world = horizon()
    up = rotate_erp(level_world, rotation_from_yaw_pitch_roll(0.0, 0.3))
    # The camera looks up: its centre shows what is above the horizon (red is y, which points down).
    assert float(up[0, 32, 64]) < 0.4
    clockwise = rotate_erp(level_world, rotation_from_yaw_pitch_roll(0.0, 0.0, 0.3))
    # A camera turned clockwise has its right side low: it shows ground there, sky on the left.
    assert float(clockwise[0, 32, 96]) > 0.6
    assert float(clockwise[0, 32, 32]) < 0.4


def test_the_files_own_attitude_is_used_on_request(write_jpeg: Write, make_xmp: Callable[..., str]) -> None:
    photo = rotate_erp(horizon(32), rotation_from_yaw_pitch_roll(0.0, math.radians(-4), math.radians(2)))
    path = write_jpeg(photo.permute(1, 2, 0).numpy(), xmp=make_xmp(FULL))
    as_stored, levelled = load_panorama(path), load_panorama(path, roll=None, pitch=None)
    assert float((as_stored.rgb - horizon(32)).abs().max()) > 0.03
    torch.testing.assert_close(levelled.rgb, horizon(32), atol=0.02, rtol=0)


def test_yaw_turns_right_and_moves_the_heading(
    write_jpeg: Write, make_xmp: Callable[..., str], picture: np.ndarray
) -> None:
    path = write_jpeg(picture, xmp=make_xmp(FULL))
    turned = load_panorama(path, yaw=math.pi / 2)
    torch.testing.assert_close(turned.rgb, load_panorama(path).rgb.roll(-16, -1))
    assert turned.heading == pytest.approx(math.radians(80.5))


def test_holes_do_not_bleed() -> None:
    valid = torch.zeros(1, 32, 64)
    valid[:, 8:20, 10:40] = 1
    panorama = panorama_from_image(torch.cat((torch.full((3, 32, 64), 0.7), valid)))
    for changed in (level(panorama, 0.3, 0.2), resize(panorama, 13), resize(panorama, 50)):
        assert bool(changed.valid.any())
        assert not bool(changed.valid.all())
        seen = changed.rgb[:, changed.valid]
        torch.testing.assert_close(seen, torch.full_like(seen, 0.7), atol=1e-4, rtol=0)
        assert float(changed.rgb[:, ~changed.valid].abs().max()) == 0


@pytest.mark.parametrize("height", [16, 20, 48])
def test_height_is_honoured(write_jpeg: Write, picture: np.ndarray, height: int) -> None:
    path = write_jpeg(picture)
    panorama = load_panorama(path, height=height)
    assert panorama.rgb.shape == (3, height, 2 * height)
    torch.testing.assert_close(panorama.rgb, resize(load_panorama(path), height).rgb, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(201, 100), (200, 101), (199, 100)])
def test_a_few_pixels_off_are_resampled(size: tuple[int, int]) -> None:
    width, height = size
    ramp = torch.linspace(0, 1, height)[:, None].expand(3, height, width)
    panorama = panorama_from_image(ramp)
    rows = panorama.rgb.shape[1]
    assert panorama.rgb.shape == (3, rows, 2 * rows)
    assert abs(rows - height) <= 1
    middle = (torch.arange(rows) + 0.5) / rows * height / (height - 1) - 0.5 / (height - 1)
    torch.testing.assert_close(panorama.rgb[0, :, 7], middle.clamp(0, 1), atol=2e-3, rtol=0)


def test_images_in_memory_are_checked() -> None:
    with pytest.raises(ShapeError, match="rgb"):
        panorama_from_image(torch.zeros(32, 64, 3))
    with pytest.raises(InputError, match="8-bit"):
        panorama_from_image(torch.full((3, 32, 64), 255.0))
    with pytest.raises(InputError, match="floating"):
        panorama_from_image(torch.zeros(3, 32, 64, dtype=torch.uint8))
    with pytest.raises(InputError, match="NaN"):
        panorama_from_image(torch.full((3, 32, 64), float("nan")))
    with pytest.raises(ConventionError, match="over-under"):
        panorama_from_image(torch.zeros(3, 64, 64))


def test_two_fisheye_circles_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    axis = (torch.arange(128) + 0.5) / 64 - 1
    circle = (torch.hypot(axis[:, None], axis[None, :]) < 1).float().repeat(1, 2).expand(3, 128, 256)
    with caplog.at_level(logging.WARNING):
        panorama_from_image(circle)
    assert "fisheye" in caplog.text
    caplog.clear()
    panorama_from_image(horizon(128))
    assert not caplog.records


def test_sample_panoramas_load() -> None:
    from pantheon_core.assets import sample_panoramas

    samples = sample_panoramas()
    assert samples
    panorama = load_panorama(next(iter(samples.values())), height=64)
    assert isinstance(panorama, Panorama)
    assert 0.05 < float(panorama.rgb.mean()) < 0.95
