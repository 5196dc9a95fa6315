from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pantheon_core.apps import build_cache, cache_report, save_png
from pantheon_core.apps._report_sheet import Panel, ramp, sheet
from pantheon_core.cache import cache_from_erp, load_ply
from pantheon_core.cache.cleaning import CleanSettings
from pantheon_core.cli import EXIT_OK, EXIT_USAGE, main
from pantheon_core.cli._walk import read_photo
from pantheon_core.cli.cache import _masked
from pantheon_core.errors import InputError
from pantheon_core.geometry import erp_rays
from pantheon_core.panorama import panorama_from_image
from pantheon_core.recon import get_backend

H = 64


def room(height=H):
    """Walls at 2 to 3 m, the floor 1.5 m below."""
    return (torch.tensor([2.0, 1.5, 3.0]) / erp_rays(height).abs().clamp_min(1e-9)).amin(-1)


def picture(height=H):
    return (0.5 + 0.3 * torch.sin(5 * erp_rays(height))).movedim(-1, 0)


@pytest.fixture(scope="module")
def report():
    valid = torch.ones(H, 2 * H, dtype=torch.bool)
    sky = torch.zeros_like(valid)
    sky[:16] = True
    valid[40:48, 20:40] = False
    distance = room()
    distance[28:36, 60:70] = 1.0
    confidence = torch.full_like(distance, 0.5)
    cache = cache_from_erp(picture(), distance, valid, sky=sky, confidence=confidence)
    return cache, cache_report(cache, torch.eye(4), name="test room", notes=["a note"])


def test_the_numbers_are_those_of_the_cache(report):
    cache, found = report
    assert found.points == len(cache.points)
    assert found.triangles == len(cache.triangles)
    assert found.edges == int(cache.edge.sum()) > 0
    lat = 0.5 * (1 - float(torch.cos(torch.tensor(torch.pi / 4))))
    assert found.sky == pytest.approx(lat, abs=0.02)
    assert found.scene + found.sky + found.unknown == pytest.approx(1, abs=1e-5)
    assert 0.02 < found.unknown < 0.08
    assert found.confidence == pytest.approx(0.5)
    assert 0.9 < found.near < found.middle < found.far < 4
    assert "The floor lies 1.50 m below the camera" in found.floor
    assert json.loads(json.dumps(found.as_json()))["name"] == "test room"
    assert "picture" not in found.as_json()


def test_the_picture_shows_each_of_them(report):
    cache, found = report
    assert found.picture.shape[0] == 3
    assert found.picture.shape[2] == 1024
    assert 0 <= found.picture.min() <= found.picture.max() <= 1

    def has(color):
        away = (found.picture - torch.tensor(color)[:, None, None]).abs().amax(0)
        return int((away < 0.02).sum())

    assert has((0.25, 0.5, 1.0)) > 10_000  # sky
    assert has((1.0, 0.15, 0.6)) > 100  # edges
    assert has((1.0, 0.45, 0.05)) > 1000  # unknown
    other = dataclasses.replace(cache, sky=None)
    assert cache_report(other, torch.eye(4)).picture.shape == found.picture.shape
    assert cache_report(other, torch.eye(4), width=512).picture.shape[2] == 512


def test_confidence_looks_the_same_from_the_panorama_and_beside_it(report):
    cache, found = report
    beside = torch.eye(4)
    beside[0, 3] = 1e-4  # here it is rendered, there it is looked up
    other = cache_report(cache, beside).picture
    rows, columns = slice(325, 590), slice(6, 510)
    away = (found.picture - other)[:, rows, columns].abs().amax(0)
    assert (away < 0.1).float().mean() > 0.97
    assert found.picture[:, rows, columns].std() > 0.1


def test_where_all_is_known_nothing_is_unknown():
    sky = torch.zeros(H, 2 * H, dtype=torch.bool)
    sky[: H // 3] = True
    found = cache_report(cache_from_erp(picture(), room(), ~sky, sky=sky), torch.eye(4))
    assert found.unknown == 0
    assert found.sky > 0.2


def test_what_is_doubtful_is_said():
    confidence, near = torch.full((H, 2 * H), 0.3), room()
    near[56:] = 0.05
    valid = torch.ones(H, 2 * H, dtype=torch.bool)
    valid[:, :30] = False
    cache = cache_from_erp(picture(), near * 10, valid, confidence=confidence)
    text = " ".join(cache_report(cache, torch.eye(4)).warnings)
    for words in ("trusts its distances little", "unknown even from here", "mask it", "check the scale"):
        assert words in text
    with pytest.raises(InputError, match="width"):
        cache_report(cache, torch.eye(4), width=100)


def test_a_sky_without_points_is_a_report_too():
    sky = torch.ones(H, 2 * H, dtype=torch.bool)
    found = cache_report(cache_from_erp(picture(), room(), ~sky, sky=sky), torch.eye(4))
    assert found.points == 0
    assert found.sky == pytest.approx(1)
    assert found.warnings[0] == "there is no point, only sky"


def test_long_texts_are_broken_and_counted():
    panel = Panel(label="x", picture=torch.rand(3, 8, 16))
    few = sheet([panel], title="t", lines=["short"], width=600)
    many = sheet([panel], title="long " * 100, lines=["many words " * 80], width=600)
    assert few.shape == many.shape
    assert (many[:, -30:] > 0.5).any()


def test_lighter_is_nearer():
    colors = ramp(torch.linspace(0, 1, 50)[None])
    grey = (colors * torch.tensor([0.3, 0.59, 0.11])[:, None, None]).sum(0)[0]
    assert (grey[1:] < grey[:-1]).all()


def test_several_photographs_become_one_clean_cache():
    backend = get_backend("given", depth=room())
    photos = [panorama_from_image(picture())] * 2
    places = torch.eye(4).repeat(2, 1, 1)
    with pytest.raises(InputError, match="expected the places of the 2 panoramas"):
        build_cache(photos, backend)
    built = build_cache(
        photos,
        backend,
        T_world_cam=places,
        clean=CleanSettings(voxel=0.3),
        camera_height=3.0,
        sky=lambda rgb: (erp_rays(rgb.shape[-2])[..., 1] < -0.9).float(),
    )
    assert built.cache.sky is not None
    assert built.scaled is not None
    assert built.scaled.factor == pytest.approx(2.0, rel=0.02)
    assert built.cleaned is not None
    assert [step.name for step in built.cleaned.steps][-1] == "thinning"
    assert len(built.cache.T_world_anchor) == 2


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    save_png(picture(), folder / "photo.png")
    save_png(picture().flip(0), folder / "second.png")
    mask = torch.zeros(3, H, 2 * H)
    mask[:, 30:40, 20:40] = 1
    save_png(mask, folder / "mask.png")
    np.save(folder / "depth.npy", room().numpy())
    np.save(folder / "poses.npy", np.tile(np.eye(4), (2, 1, 1)))
    return folder


def run(files: Path, out: Path, *more: str, photos=("photo.png",)) -> int:
    return main(["cache", *(str(files / name) for name in photos), "--out", str(out), "-q", *more])


def test_the_verb_writes_cache_picture_and_numbers(files, tmp_path, capsys):
    out, png, numbers = tmp_path / "c.ply", tmp_path / "c.png", tmp_path / "c.json"
    code = run(
        files,
        out,
        *("--depth", str(files / "depth.npy"), "--mask", str(files / "mask.png"), "--nadir-deg", "20"),
        *("--camera-height", "3", "--picture", str(png), "--json", str(numbers)),
    )
    assert code == EXIT_OK
    cache = load_ply(out)
    down = cache.points[:, 1] / cache.points.norm(dim=-1)
    assert down.max() < np.cos(np.radians(20)) + 0.01
    assert cache.points[:, 1].max() == pytest.approx(3.0, rel=0.05)
    content = json.loads(numbers.read_text())
    assert content["views"][0]["points"] == len(cache.points)
    assert content["scaled"]["factor"] == pytest.approx(2.0, rel=0.05)
    assert content["cleaned"]["steps"][0]["name"] == "broken points"
    assert content["provenance"]["clean.edges"] == "repair"
    assert png.stat().st_size > 20_000
    assert "all lengths are multiplied by" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.json", "c.ply", "c.png"]


def test_the_verb_says_what_is_wrong(files, tmp_path, capsys):
    out = tmp_path / "c.ply"
    depth = ["--depth", str(files / "depth.npy")]
    two = ("photo.png", "second.png")
    assert run(files, out, photos=two) == EXIT_USAGE
    assert "2 photographs need a file" in capsys.readouterr().err
    assert run(files, out, *depth, "--poses", str(files / "poses.npy"), photos=two) == EXIT_USAGE
    assert "one depth image fits one photograph" in capsys.readouterr().err
    assert run(files, out, "--poses", str(files / "poses.npy")) == EXIT_USAGE
    assert "expected 1 cameras, one per photograph, got 2" in capsys.readouterr().err
    assert run(files, out, *depth, "--voxel", "-1") == EXIT_USAGE
    assert "CleanSettings.voxel" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    out.write_bytes(b"precious")
    assert run(files, out, *depth) == EXIT_USAGE
    assert out.read_bytes() == b"precious"


def test_a_mask_is_turned_with_its_photograph(tmp_path):
    mask = torch.zeros(H, 2 * H)
    mask[20:30, 50:70] = 1
    for name, rgb in (("photo.png", picture()), ("mask.png", mask.expand(3, -1, -1))):
        save_png(rgb, tmp_path / name)
    args = argparse.Namespace(mask=tmp_path / "mask.png", nadir_deg=0.0, grow_deg=0.0, source_height=None)
    args.roll_deg, args.pitch_deg, args.yaw_deg = 0.0, 0.0, 90.0
    found = _masked(args, read_photo(args, tmp_path / "photo.png"))
    assert (~found.valid).equal(mask.bool().roll(-H // 2, 1))
