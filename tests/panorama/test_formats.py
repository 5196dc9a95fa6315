"""Every kind of file is written small and read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pantheon_core.errors import ConventionError, InputError, MediaError
from pantheon_core.panorama import load_panorama
from pantheon_core.panorama._radiance import read_radiance
from pantheon_core.panorama._tone import linear_to_srgb, tone_map


def as_array(rgb: torch.Tensor) -> np.ndarray:
    return rgb.permute(1, 2, 0).double().numpy()


@pytest.mark.parametrize(
    ("suffix", "options", "tolerance"),
    [
        ("jpg", {"quality": 100, "subsampling": 0}, 5 / 255),
        ("png", {}, 0.51 / 255),
        ("webp", {"lossless": True}, 0.51 / 255),
        ("tiff", {"compression": "tiff_lzw"}, 0.51 / 255),
        ("bmp", {}, 0.51 / 255),
    ],
)
def test_eight_bit_files(
    tmp_path: Path, picture: np.ndarray, suffix: str, options: dict[str, object], tolerance: float
) -> None:
    from PIL import Image

    path = tmp_path / f"100%d photo.{suffix}"
    Image.fromarray((picture * 255).round().astype(np.uint8)).save(path, **options)
    panorama = load_panorama(path)
    assert panorama.rgb.dtype == torch.float32
    assert panorama.rgb.shape == (3, 32, 64)
    assert bool(panorama.valid.all())
    assert panorama.source == path
    assert np.abs(as_array(panorama.rgb) - picture).max() <= tolerance


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_survive(write_deep: Callable[..., Path], kind: str, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (16, 32, channels), dtype=np.uint16)
    if channels == 4:
        values[..., 3] = np.where(np.arange(32) < 8, 0, 65535)
    panorama = load_panorama(write_deep(values, kind))
    seen = panorama.valid.numpy()
    assert np.array_equal(seen, values[..., 3] > 0 if channels == 4 else np.ones((16, 32), bool))
    expected = np.broadcast_to(values[..., : min(channels, 3)] if channels != 1 else values, (16, 32, 3))
    got = (as_array(panorama.rgb) * 65535).round().astype(np.uint16)
    assert np.array_equal(got[seen], expected[seen])
    assert not got[~seen].any()


def test_alpha_and_palette_transparency_are_invalid(tmp_path: Path, picture: np.ndarray) -> None:
    from PIL import Image

    alpha = np.full((32, 64, 1), 255, np.uint8)
    alpha[:8] = 0
    rgba = np.concatenate([(picture * 255).round().astype(np.uint8), alpha], 2)
    for name, image in (("a.png", Image.fromarray(rgba)), ("b.webp", Image.fromarray(rgba))):
        image.save(tmp_path / name, lossless=True)
        panorama = load_panorama(tmp_path / name)
        assert not bool(panorama.valid[:8].any())
        assert bool(panorama.valid[8:].all())
        assert float(panorama.rgb[:, :8].abs().max()) == 0
    palette = Image.new("P", (8, 4), 1)
    palette.putpalette([0, 0, 0, 255, 128, 0])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "p.png", transparency=0)
    panorama = load_panorama(tmp_path / "p.png")
    assert panorama.valid.sum() == 31
    assert panorama.rgb[:, 3, 3].tolist() == pytest.approx([1, 128 / 255, 0])


def test_grey_and_cmyk(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (8, 4), 51).save(tmp_path / "grey.png")
    assert load_panorama(tmp_path / "grey.png").rgb.unique().tolist() == pytest.approx([0.2])
    Image.new("CMYK", (8, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    red = load_panorama(tmp_path / "cmyk.jpg").rgb[:, 0, 0]
    assert float(red[0]) > 0.9
    assert float(red[1:].max()) < 0.1


def test_a_colour_profile_is_converted(tmp_path: Path) -> None:
    from PIL import Image, ImageCms

    # A Lab profile is no RGB profile: it cannot be used and is said so, the picture still loads.
    odd = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.new("RGB", (8, 4), (200, 100, 50)).save(tmp_path / "odd.png", icc_profile=odd)
    assert load_panorama(tmp_path / "odd.png").rgb[0, 0, 0] == pytest.approx(200 / 255)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (8, 4), (200, 100, 50)).save(tmp_path / "srgb.png", icc_profile=srgb)
    panorama = load_panorama(tmp_path / "srgb.png")
    assert panorama.rgb[0, 0, 0] == pytest.approx(200 / 255)
    assert "sRGB" in panorama.metadata["colour_profile"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_exr_of_half_and_float(tmp_path: Path, picture: np.ndarray, dtype: type) -> None:
    openexr = pytest.importorskip("OpenEXR")
    path = tmp_path / "scene.exr"
    linear = (picture * 7).astype(dtype)
    linear[4, 5] = 1000
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    with openexr.File(header, {"RGB": linear}) as file:
        file.write(str(path))
    panorama = load_panorama(path, exposure=-2.0)
    expected, _ = tone_map(torch.from_numpy(linear.astype(np.float32)).permute(2, 0, 1), exposure=-2.0)
    torch.testing.assert_close(panorama.rgb, expected, atol=1e-6, rtol=0)
    assert panorama.metadata["tone_map"].endswith("-2.00 stops")


def rgbe(linear: np.ndarray) -> np.ndarray:
    """Shared-exponent bytes of (H, W, 3), as Radiance writes them."""
    peak = linear.max(-1)
    mantissa, exponent = np.frexp(peak)
    scale = np.where(peak > 1e-32, mantissa * 256 / np.maximum(peak, 1e-32), 0)
    return np.concatenate(
        [(linear * scale[..., None]).astype(np.uint8), np.where(scale > 0, exponent + 128, 0)[..., None]], 2
    ).astype(np.uint8)


def run_length(line: bytes) -> bytes:
    """Radiance run-length code: runs of four and more, the rest as literals."""
    out, at = bytearray(), 0
    while at < len(line):
        run = 1
        while run < 127 and at + run < len(line) and line[at + run] == line[at]:
            run += 1
        if run >= 4:
            out += bytes((128 + run, line[at]))
            at += run
        else:
            stop = min(at + 128, len(line))
            out += bytes((stop - at,)) + line[at:stop]
            at = stop
    return bytes(out)


@pytest.mark.parametrize("coding", ["flat", "runs", "old runs"])
def test_radiance(tmp_path: Path, picture: np.ndarray, coding: str) -> None:
    linear = picture * 20
    linear[:, 10:40] = linear[:, 10:11]
    linear[3] = 0
    codes = rgbe(linear)
    if coding == "flat":
        body = codes.tobytes()
    elif coding == "runs":
        body = b"".join(
            bytes((2, 2, 0, 64)) + b"".join(run_length(line[:, c].tobytes()) for c in range(4))
            for line in codes
        )
    else:
        body = b"".join(line[:11].tobytes() + bytes((1, 1, 1, 29)) + line[40:].tobytes() for line in codes)
    header = b"#?RADIANCE\n# comment\nFORMAT=32-bit_rle_rgbe\nEXPOSURE=2\n\n-Y 32 +X 64\n"
    got = read_radiance(header + body, name="x", max_pixels=10**6)
    # A mantissa of 8 bits, shared by the channels; stored values are twice the radiance.
    assert np.all(np.abs(got * 2 - linear) <= linear.max(-1, keepdims=True) / 128 + 1e-9)
    path = tmp_path / "scene.hdr"
    path.write_bytes(header + body)
    panorama = load_panorama(path)
    assert panorama.rgb.shape == (3, 32, 64)
    assert panorama.metadata["format"] == "HDR"
    with pytest.raises(MediaError, match="cut off"):
        read_radiance(header + body[:-20], name="x", max_pixels=10**6)


def test_radiance_orientations(picture: np.ndarray) -> None:
    body = rgbe(picture)
    upright = read_radiance(b"#?RGBE\n\n-Y 32 +X 64\n" + body.tobytes(), name="x", max_pixels=9999)
    turned = {
        b"+Y 32 +X 64": body[::-1],
        b"-Y 32 -X 64": body[:, ::-1],
        b"+X 64 -Y 32": body.transpose(1, 0, 2),
        b"-X 64 +Y 32": body.transpose(1, 0, 2)[::-1, ::-1],
    }
    for resolution, stored in turned.items():
        data = b"#?RGBE\n\n" + resolution + b"\n" + np.ascontiguousarray(stored).tobytes()
        assert np.array_equal(read_radiance(data, name="x", max_pixels=9999), upright), resolution


def test_tone_map_keeps_mid_grey_order_and_hue() -> None:
    flat, stops = tone_map(torch.full((3, 8, 16), 5.0))
    # 0.18 by Reinhard with white 1 is 0.18, whatever the scene's brightness was.
    torch.testing.assert_close(flat, linear_to_srgb(torch.full((3, 8, 16), 0.18)), atol=1e-4, rtol=0)
    assert stops == pytest.approx(np.log2(0.18 / 5), abs=1e-4)
    ramp = torch.logspace(-3, 3, 16).expand(3, 8, 16)
    mapped, _ = tone_map(ramp)
    assert bool((mapped.diff(dim=-1) >= 0).all())
    assert float(mapped.min()) >= 0
    assert float(mapped.max()) == pytest.approx(1, abs=0.01)
    brighter, _ = tone_map(ramp, exposure=2.0)
    darker, _ = tone_map(ramp, exposure=-2.0)
    assert float(brighter.mean()) > float(darker.mean())
    with pytest.raises(InputError, match="NaN"):
        tone_map(torch.full((3, 8, 16), float("nan")))


def test_srgb_curve() -> None:
    got = linear_to_srgb(torch.tensor([0.0, 0.0031308, 0.5, 1.0]))
    torch.testing.assert_close(got, torch.tensor([0.0, 0.04045, 0.735357, 1.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff", "deep png", "deep tiff", "exr"])
def test_files_cut_off_are_refused(tmp_path: Path, write_deep: Callable[..., Path], kind: str) -> None:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    path = tmp_path / f"cut.{kind}"
    if kind.startswith("deep"):
        path = write_deep(noise.astype(np.uint16) * 256, kind.split()[1])
    elif kind == "exr":
        openexr = pytest.importorskip("OpenEXR")
        with openexr.File(
            {"compression": openexr.ZIP_COMPRESSION}, {"RGB": noise.astype(np.float32)}
        ) as file:
            file.write(str(path))
    else:
        Image.fromarray(noise).save(path)
    data = path.read_bytes()
    load_panorama(path)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MediaError, match=r"damaged|cut off"):
        load_panorama(path)


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="No such file"):
        load_panorama(tmp_path / "none.jpg")
    with pytest.raises(MediaError, match="cannot be read"):
        load_panorama(tmp_path)
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(MediaError, match="empty"):
        load_panorama(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("this is no picture")
    with pytest.raises(MediaError, match="expected JPEG, PNG"):
        load_panorama(tmp_path / "text.jpg")


def test_pillows_limit_is_raised_for_us_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from pantheon_core.panorama import _decode

    path = tmp_path / "large.png"
    Image.new("RGB", (256, 128), (10, 20, 30)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert load_panorama(path).rgb.shape == (3, 128, 256)
    assert Image.MAX_IMAGE_PIXELS == 1000
    monkeypatch.setattr(_decode, "MAX_PIXELS", 256 * 127)
    with pytest.raises(MediaError, match="at most"):
        load_panorama(path)
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.parametrize(
    ("size", "hint"),
    [
        ((64, 64), "over-under"),
        ((128, 32), "side-by-side"),
        ((60, 40), "perspective"),
        ((160, 90), "perspective"),
        ((300, 60), "partial"),
    ],
)
def test_other_shapes_are_refused_with_a_hint(tmp_path: Path, size: tuple[int, int], hint: str) -> None:
    from PIL import Image

    Image.new("RGB", size).save(tmp_path / "x.png")
    with pytest.raises(ConventionError, match=hint):
        load_panorama(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("name", "value"), [("height", 0), ("height", 1.5), ("roll", float("nan")), ("yaw", float("inf"))]
)
def test_arguments_are_checked(tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        load_panorama(tmp_path / "x.png", **{name: value})  # pyright: ignore[reportArgumentType]
