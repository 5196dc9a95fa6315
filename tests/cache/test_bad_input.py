"""What must never crash, never be silent, and never take all the memory."""

from __future__ import annotations

import contextlib
import logging
import math

import numpy as np
import pytest
import torch

from pantheon_core.cache import cache_from_erp, load_ply, save_ply
from pantheon_core.cache._memory import available_bytes
from pantheon_core.cache.cleaning import clean_cache
from pantheon_core.errors import ConventionError, InputError, MediaError, MemoryBudgetError, PantheonError
from pantheon_core.geometry import erp_rays
from pantheon_core.recon.given import GivenBackend, read_depth
from pantheon_core.trajectory import read_trajectory

HEADER = """ply
format {format} 1.0
element vertex {count}
property {kind} x
property {kind} y
property {kind} z
property uchar red
property uchar green
property uchar blue
end_header
"""
TEN_GB = 10 * 2**30
RECORD = 15


def write(path, body: bytes = b"", *, count: int, kind: str = "float", form: str = "binary_little_endian"):
    path.write_bytes(HEADER.format(format=form, count=count, kind=kind).encode() + body)
    return path


def points_file(path, points, *, kind="f8"):
    table = np.zeros(len(points), [("p", f"<{kind}", 3), ("c", "u1", 3)])
    table["p"] = points
    return write(path, table.tobytes(), count=len(points), kind={"f8": "double", "f4": "float"}[kind])


@pytest.mark.parametrize("form", ["binary_little_endian", "ascii"])
def test_a_header_that_promises_ten_gigabytes_is_refused_at_once(tmp_path, form):
    path = write(tmp_path / "a.ply", b"1 2 3 4 5 6\n" * 10, count=TEN_GB // RECORD, form=form)
    with pytest.raises(MediaError, match=r"a\.ply is damaged: its header promises 715,827,882 vertex"):
        load_ply(path)
    with pytest.raises(MediaError, match="promises"):
        load_ply(path, max_points=10)


def test_a_file_of_ten_gigabytes_is_weighed_before_it_is_read(tmp_path):
    count = TEN_GB // RECORD
    path = write(tmp_path / "a.ply", count=count)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + count * RECORD)  # sparse: takes no room on the disk
    with pytest.raises(
        MemoryBudgetError, match=r"715,827,882 points.*26\.7 GB.*4\.0 GB may be used.*max_points"
    ):
        load_ply(path, memory_limit=4 * 2**30)
    few = load_ply(path, max_points=10, memory_limit=4 * 2**30)
    assert len(few.points) == 10
    assert few.triangles is None


def test_every_nth_point_of_a_cloud(tmp_path):
    points = np.arange(300.0).reshape(100, 3)
    path = points_file(tmp_path / "a.ply", points)
    few = load_ply(path, max_points=30)
    assert few.points.tolist() == points[::4].tolist()
    assert len(load_ply(path, max_points=100).points) == 100
    with pytest.raises(InputError, match="max_points"):
        load_ply(path, max_points=0)


def test_the_free_memory_is_known_here():
    free = available_bytes()
    assert free is not None
    assert 2**20 < free < 2**50


def test_large_text_is_read_in_blocks(tmp_path):
    points = np.random.default_rng(0).normal(size=(200_000, 3)).round(5)
    body = "\n".join(f"{x:.5f} {y:.5f}\t{z:.5f} 1 2 3" for x, y, z in points).encode()
    assert len(body) > 1 << 22
    cache = load_ply(write(tmp_path / "a.ply", body, count=len(points), form="ascii"))
    assert np.abs(cache.points.numpy() - points).max() < 1e-6
    assert cache.colors[-1].tolist() == [1, 2, 3]


@pytest.mark.parametrize("form", ["binary", "ascii"])
def test_coordinates_of_a_billion_are_recentred(tmp_path, form, caplog):
    base = np.array([1e9, -2e9, 5e8])
    points = base + np.array([[0.0, 0, 0], [0.125, 0, 0], [0, 2.5, 1.25]])
    if form == "binary":
        path = points_file(tmp_path / "a.ply", points)
    else:
        body = "\n".join(" ".join(repr(float(v)) for v in p) + " 1 2 3" for p in points)
        path = write(tmp_path / "a.ply", body.encode(), count=3, form="ascii", kind="float")
    with caplog.at_level(logging.WARNING):
        cache = load_ply(path)
    assert cache.points.abs().max() < 3
    assert ((cache.points.double() + cache.origin).numpy() == points).all()
    assert not caplog.text
    points[0] += 3e8  # now the cloud itself is too wide for single precision
    with caplog.at_level(logging.WARNING):
        load_ply(points_file(tmp_path / "b.ply", points))
    assert "single precision places those to within" in caplog.text


@pytest.mark.parametrize("count", [0, 1])
def test_empty_and_single_points_load(tmp_path, count):
    cache = load_ply(points_file(tmp_path / "a.ply", np.ones((count, 3))))
    assert len(cache.points) == count
    cleaned, report = clean_cache(cache)
    assert len(cleaned.points) == count
    assert report.warnings


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_cloud_with_numbers_that_are_none_is_refused(tmp_path, bad):
    points = np.ones((5, 3))
    points[3, 1] = bad
    with pytest.raises(MediaError, match="NaN or infinite"):
        load_ply(points_file(tmp_path / "a.ply", points))


def test_damage_anywhere_in_a_cloud_is_an_error_of_ours_or_harmless(tmp_path):
    distance = 2 + torch.rand(8, 16)
    save_ply(cache_from_erp(torch.rand(3, 8, 16), distance, distance > 0), tmp_path / "a.ply")
    data = (tmp_path / "a.ply").read_bytes()
    random = np.random.default_rng(0)
    loaded = 0
    for _ in range(150):
        broken = bytearray(data)
        for at in random.integers(0, len(data) if random.random() < 0.5 else 700, 3):
            broken[at] = random.integers(0, 256)
        (tmp_path / "b.ply").write_bytes(broken)
        with contextlib.suppress(PantheonError):
            cache = load_ply(tmp_path / "b.ply")
            loaded += 1
            assert cache.points.isfinite().all()
    assert 10 < loaded < 130


@pytest.mark.parametrize("suffix", [".exr", ".npy", ".png", ".npz"])
def test_damaged_depth_files_get_a_sentence(tmp_path, suffix):
    path = tmp_path / f"depth{suffix}"
    if suffix == ".npy":
        np.save(path, np.ones((8, 16), np.float32))
    elif suffix == ".npz":
        np.savez(path, depth=np.ones((8, 16), np.float32))
    elif suffix == ".png":
        from PIL import Image

        Image.fromarray(np.full((64, 128), 3000, np.uint16)).save(path)
    else:
        OpenEXR = pytest.importorskip("OpenEXR")
        plane = np.random.default_rng(0).random((64, 128, 3)).astype(np.float32)
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        with OpenEXR.File(header, {"RGB": plane}) as file:
            file.write(str(path))
    data = path.read_bytes()
    for size in (0, 3, 20, len(data) // 2):
        path.write_bytes(data[:size])
        with pytest.raises(MediaError, match="depth"):
            read_depth(path)
    if suffix == ".npz":
        path.write_bytes(data)
        with pytest.raises(MediaError, match=r"expected a \.png .* \.exr or \.npy"):
            read_depth(path)


def test_a_damaged_npz_path_gets_a_sentence(tmp_path):
    path = tmp_path / "poses.npz"
    np.savez(path, poses=np.tile(np.eye(4), (3, 1, 1)))
    data = path.read_bytes()
    for size in (0, 10, len(data) // 2):
        path.write_bytes(data[:size])
        with pytest.raises(PantheonError, match=r"poses\.npz"):
            read_trajectory(path, fps=7)


def test_depth_that_is_no_number_is_a_stated_hole_and_never_a_point():
    rgb = torch.full((3, 16, 32), 0.5)
    for bad in (math.nan, -1.0, 0.0):
        estimate = GivenBackend(depth=torch.where(erp_rays(16)[..., 0] > 0, bad, 2.0)).estimate(rgb)
        cache = cache_from_erp(rgb, estimate.distance, estimate.valid)
        assert cache.points.isfinite().all()
        assert (cache.points[:, 0] <= 1e-6).all()
    with pytest.raises(InputError, match="expected some values above 0, got none"):
        GivenBackend(depth=torch.full((16, 32), math.nan)).estimate(rgb)
    with pytest.raises(InputError, match="mark them as not valid"):
        cache_from_erp(rgb, torch.full((16, 32), math.inf), torch.ones(16, 32, dtype=torch.bool))


def test_a_picture_of_another_shape_is_named():
    ok = torch.ones(16, 30, dtype=torch.bool)
    with pytest.raises(ConventionError, match="twice as wide as high; got 30 x 16"):
        cache_from_erp(torch.rand(3, 16, 30), torch.ones(16, 30), ok)
