from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pantheon_core.cache import PointCache, cache_from_erp, load_ply, merge_caches, save_ply
from pantheon_core.errors import ConventionError, InputError, MediaError


@pytest.fixture
def cache():
    distance = 1 + torch.rand(8, 16)
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    made = cache_from_erp(torch.rand(3, 8, 16), distance, torch.rand(8, 16) > 0.1, T_world_cam=pose)
    return dataclasses.replace(made, confidence=torch.rand(len(made.points)))


def same(a, b):
    for name in ("points", "colors", "confidence", "anchor", "triangles", "edge", "T_world_anchor", "origin"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name
        assert getattr(a, name).dtype == getattr(b, name).dtype, name
    assert torch.equal(a.anchor_pixel_angle, b.anchor_pixel_angle)
    assert a.metric == b.metric
    assert a.provenance == b.provenance


def test_a_cache_comes_back_from_its_file(cache, tmp_path):
    save_ply(cache, tmp_path / "a.ply")
    same(cache, load_ply(tmp_path / "a.ply"))
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


def test_the_sky_comes_back_to_8_bits(tmp_path):
    sky = torch.zeros(8, 16, dtype=torch.bool)
    sky[:4, 2:] = True
    made = cache_from_erp(torch.rand(3, 8, 16), 1 + torch.rand(8, 16), ~sky, sky=sky)
    save_ply(made, tmp_path / "a.ply")
    back = load_ply(tmp_path / "a.ply")
    same(made, back)
    assert torch.equal(back.sky.mask, made.sky.mask)
    assert (back.sky.rgb - made.sky.rgb).abs().max() <= 0.5 / 255 + 1e-6
    assert load_ply(tmp_path / "a.ply", max_points=10).sky is not None


def test_a_sky_that_is_no_panorama_is_refused(tmp_path):
    header = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
    sky = "element sky 3\n" + "".join(f"property uchar {n}\n" for n in ("red", "green", "blue", "seen"))
    (tmp_path / "a.ply").write_text(header + sky + "end_header\n0 0 1\n" + "1 2 3 1\n" * 3)
    with pytest.raises(MediaError, match="twice as wide as high"):
        load_ply(tmp_path / "a.ply")


def test_a_far_origin_comes_back(cache, tmp_path):
    far = dataclasses.replace(cache, origin=torch.tensor([4.2e5, -17.0, 5.3e6], dtype=torch.float64))
    save_ply(far, tmp_path / "a.ply")
    back = load_ply(tmp_path / "a.ply")
    assert torch.allclose(back.points, far.points, atol=1e-6)
    assert torch.equal(back.origin, far.origin)


def test_a_cloud_without_surface_comes_back(cache, tmp_path):
    save_ply(dataclasses.replace(cache, triangles=None, edge=None), tmp_path / "a.ply")
    assert load_ply(tmp_path / "a.ply").triangles is None


ASCII = """ply
format ascii 1.0
comment made by another program
element vertex 4
property double x
property double y
property double z
property float nx
property uchar red
property uchar green
property uchar blue
element face 1
property list uchar int vertex_index
end_header
500000 0 10 0.5 255 0 0
500001 0 10 0.5 0 255 0
500001 1.25 10 0.5 0 0 255
500000 1.25 10 0.5 1 2 3
4 0 1 2 3
"""


def test_ascii_of_another_program_is_recentred(tmp_path):
    (tmp_path / "a.ply").write_text(ASCII)
    cache = load_ply(tmp_path / "a.ply")
    raw = cache.points.double() + cache.origin
    assert raw.tolist() == [[5e5, 0, 10], [500001, 0, 10], [500001, 1.25, 10], [5e5, 1.25, 10]]
    assert cache.points.abs().max() < 100
    assert cache.triangles.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert cache.colors.tolist()[3] == [1, 2, 3]
    assert not cache.metric


@pytest.mark.parametrize("order", ["<", ">"])
def test_binary_of_either_order_with_ragged_faces(tmp_path, order):
    name = {"<": "little", ">": "big"}[order]
    header = (
        f"ply\r\nformat binary_{name}_endian 1.0\r\n"
        "element vertex 4\r\nproperty float x\r\nproperty float y\r\n"
        "property float z\r\nproperty short quality\r\nelement face 2\r\n"
        "property list uchar uint vertex_indices\r\nproperty float area\r\nend_header\r\n"
    )
    vertex = np.zeros(4, [("p", f"{order}f4", 3), ("q", f"{order}i2")])
    vertex["p"] = [[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
    faces = b""
    for corners in ([0, 1, 2, 3], [0, 1, 2]):
        faces += bytes([len(corners)]) + np.array(corners, f"{order}u4").tobytes()
        faces += np.array([0.5], f"{order}f4").tobytes()
    (tmp_path / "a.ply").write_bytes(header.encode() + vertex.tobytes() + faces)
    cache = load_ply(tmp_path / "a.ply")
    assert cache.points.tolist() == vertex["p"].tolist()
    assert cache.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert (cache.colors == 255).all()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ply\n", "plx\n"),
        ("end_header", "end"),
        ("format ascii", "format other"),
        ("element vertex 4", "element vertex many"),
        ("element vertex 4", "element vertex 400"),
        ("element vertex 4", "element vertex -4"),
        ("property double z", "property double w"),
        ("property double z", "property quad z"),
        ("500001 1.25", "nan 1.25"),
        ("500001 1.25", "abc 1.25"),
        ("4 0 1 2 3", "4 0 1 2 9"),
        ("4 0 1 2 3", "4 0 1"),
    ],
)
def test_damaged_files_are_refused(tmp_path, old, new):
    (tmp_path / "a.ply").write_text(ASCII.replace(old, new, 1))
    with pytest.raises(MediaError, match=r"a\.ply"):
        load_ply(tmp_path / "a.ply")


def test_any_cut_of_a_binary_file_is_refused(cache, tmp_path):
    save_ply(cache, tmp_path / "a.ply")
    data = (tmp_path / "a.ply").read_bytes()
    for size in (0, 2, 50, len(data) // 4, len(data) // 2, len(data) - 1):
        (tmp_path / "b.ply").write_bytes(data[:size])
        with pytest.raises(MediaError):
            load_ply(tmp_path / "b.ply")


def test_missing_files_say_so_and_folders_are_made(cache, tmp_path):
    with pytest.raises(MediaError, match="cannot read"):
        load_ply(tmp_path / "none.ply")
    save_ply(cache, tmp_path / "new" / "a.ply")
    assert len(load_ply(tmp_path / "new" / "a.ply").points) == len(cache.points)
    (tmp_path / "file").touch()
    with pytest.raises(MediaError, match="cannot write"):
        save_ply(cache, tmp_path / "file" / "a.ply")


def test_merging_numbers_points_and_anchors_on(cache):
    both = merge_caches([cache, dataclasses.replace(cache, origin=torch.tensor([10.0, 0, 0]).double())])
    n, m = len(cache.points), len(cache.triangles)
    assert both.points.shape == (2 * n, 3)
    assert torch.allclose(both.points[n:] - both.points[:n], torch.tensor([10.0, 0, 0]), atol=1e-5)
    assert torch.equal(both.triangles[m:], cache.triangles + n)
    assert both.anchor[:n].unique().tolist() == [0]
    assert both.anchor[n:].unique().tolist() == [1]
    assert (both.T_world_anchor[1, 0, 3] - both.T_world_anchor[0, 0, 3]).item() == pytest.approx(10)


def test_merging_joins_the_skies():
    rgb, distance = torch.rand(3, 8, 16), torch.ones(8, 16)
    left, right = torch.zeros(8, 16, dtype=torch.bool), torch.zeros(8, 16, dtype=torch.bool)
    left[:4, :8], right[:4, 6:] = True, True
    other = torch.rand(3, 8, 16)
    merged = merge_caches([cache_from_erp(c, distance, ~s, sky=s) for c, s in ((rgb, left), (other, right))])
    assert torch.equal(merged.sky.mask, left | right)
    assert torch.equal(merged.sky.rgb[:, left], rgb[:, left])
    assert torch.equal(merged.sky.rgb[:, right & ~left], other[:, right & ~left])


def test_merging_refuses_nonsense(cache):
    with pytest.raises(InputError, match="empty list"):
        merge_caches([])
    with pytest.raises(ConventionError, match="metric"):
        merge_caches([cache, dataclasses.replace(cache, metric=not cache.metric)])


def test_a_cache_checks_itself(cache):
    with pytest.raises(InputError, match="anchor"):
        dataclasses.replace(cache, anchor=cache.anchor + 5)
    with pytest.raises(InputError, match="triangles"):
        dataclasses.replace(cache, triangles=cache.triangles + len(cache.points))
    with pytest.raises(InputError, match="edge"):
        dataclasses.replace(cache, edge=None)
    with pytest.raises(InputError, match="colors"):
        PointCache(
            **{f.name: getattr(cache, f.name) for f in dataclasses.fields(cache)}
            | {"colors": cache.points[1:]}
        )
