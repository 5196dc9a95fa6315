"""Build3DCache with geometry of other nodes: the marked direction comes out where it went in."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pantheon_core.cache import cache_from_erp, save_ply

MARK = torch.nn.functional.normalize(torch.tensor([0.6, -0.3, 0.74]), dim=0)
HALF = torch.tensor([2.0, 1.5, 3.0])


def photo(name: str = "hotel_room", height: int = 64) -> dict:
    angles = {"yaw_deg": 0.0, "pitch_deg": 0.0, "roll_deg": 0.0, "level_by_file": False}
    return {
        "class_type": "LoadPanorama",
        "inputs": {"image": f"pantheon360/{name}.jpg", "height": height, **angles},
    }


@pytest.fixture
def build(host):
    """Run Build3DCache with these inputs and further nodes; the points, and what else the cache says."""

    def run(name: str, nodes: dict | None = None, panoramas: list | None = None, **inputs: object):
        listed = host.get("/object_info")["Build3DCache"]["input"]
        values = {}
        for part in ("required", "optional"):
            for key, (_kind, options) in listed.get(part, {}).items():
                if "default" in options:
                    values[key] = options["default"]
        prompt = {
            "photo": photo(),
            "cache": {
                "class_type": "Build3DCache",
                "inputs": {**values, "panoramas": panoramas or ["photo", 1], **inputs},
            },
            "look": {"class_type": "TestLookAtCache", "inputs": {"cache": ["cache", 0], "name": name}},
            **(nodes or {}),
        }
        result = host.run(prompt)
        if not result.ok:
            return None, result.error
        folder = host.base / "output"
        return torch.load(folder / f"{name}.pt"), json.loads((folder / f"{name}.json").read_text())

    return run


def mark_of(points: torch.Tensor) -> torch.Tensor:
    """Mean direction of what stands nearer than the walls of the room."""
    distance = points.norm(dim=-1)
    rays = points / distance[:, None]
    wall = (HALF / rays.abs().clamp(min=1e-9)).amin(-1)
    return torch.nn.functional.normalize(rays[distance < 0.85 * wall].mean(0), dim=0)


def test_the_sockets_are_there(host):
    inputs = host.get("/object_info")["Build3DCache"]["input"]["optional"]
    assert inputs["moge_geometry"][0] == "MOGE_GEOMETRY"
    assert inputs["da3_geometry"][0] == "DA3_GEOMETRY"
    assert inputs["sky_mask"][0] == "MASK"
    assert "STRING" in inputs["point_cloud"][0]
    backends = host.get("/object_info")["Build3DCache"]["input"]["required"]["backend"]
    options = backends[1]["options"] if isinstance(backends[0], str) else backends[0]
    assert {"pi3", "pi3x", "vggt", "depth_anything_3", "dap", "moge"} <= set(options)


@pytest.mark.parametrize(("kind", "node"), [("moge_geometry", "TestMoGe"), ("da3_geometry", "TestDA3")])
def test_the_marked_direction_stays(build, kind, node):
    nodes = {"geometry": {"class_type": node, "inputs": {}}}
    points, said = build(kind, nodes, **{kind: ["geometry", 0]}, scale=2.0)
    assert points is not None, said
    assert float(mark_of(points / 2) @ MARK) > np.cos(np.radians(3))
    if kind == "da3_geometry":  # it fills its part of the sphere
        assert points[:, 2].min() > 0


def test_a_point_cloud_by_its_path(build, host):
    """A cloud with y up, as ComfyUI's viewers have it, and the same one turned."""
    rays = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    cloud = rays / rays.norm(dim=-1, keepdim=True) * 2
    cloud[:100] = MARK
    up = cloud * torch.tensor([1.0, -1.0, -1.0])
    for name, points in (("up", up), ("down", cloud)):
        header = f"ply\nformat ascii 1.0\nelement vertex {len(points)}\n"
        header += "property float x\nproperty float y\nproperty float z\nend_header\n"
        rows = "\n".join(" ".join(f"{value:.6f}" for value in point) for point in points.tolist())
        (host.base / "input" / f"cloud_{name}.ply").write_text(header + rows + "\n")
    for axes, name in (("auto", "up"), ("y down", "down")):
        points, said = build("cloud", point_cloud=f"cloud_{name}.ply", point_cloud_axes=axes)
        assert points is not None, said
        assert len(points) == 4000
        assert torch.allclose(points[0], MARK, atol=1e-5)
    points, said = build("cloud", point_cloud="none.ply")
    assert points is None
    assert "none.ply" in said


def test_a_point_cloud_of_ours_brings_its_sky(build, host):
    sky = torch.zeros(8, 16, dtype=torch.bool)
    sky[:4] = True
    cache = cache_from_erp(torch.rand(3, 8, 16), torch.ones(8, 16), ~sky, sky=sky)
    save_ply(cache, host.base / "input" / "own.ply")
    for wanted in (True, False):
        points, said = build("own", point_cloud="own.ply", sky=wanted)
        assert points is not None, said
        assert said["sky"] is wanted


def test_a_mask_of_the_sky_replaces_the_estimate(build):
    nodes = {
        "mask": {"class_type": "SolidMask", "inputs": {"value": 0.0, "width": 128, "height": 64}},
        "sky": {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 128, "height": 24}},
        "both": {
            "class_type": "MaskComposite",
            "inputs": {"destination": ["mask", 0], "source": ["sky", 0], "x": 0, "y": 0, "operation": "add"},
        },
    }
    points, said = build("sky", nodes, sky_mask=["both", 0], backend="tiny")
    assert points is not None, said
    assert said["sky"]
    rays = points / points.norm(dim=-1, keepdim=True)
    assert rays[:, 1].min() > -np.sin(np.radians((32 - 23) / 64 * 180))


@pytest.mark.parametrize("kind", ["distance", "inverse distance", "cube depth", "relative (fitted)"])
def test_every_kind_of_depth_picture(build, kind):
    nodes = {
        "solid": {"class_type": "SolidMask", "inputs": {"value": 0.5, "width": 128, "height": 64}},
        "lower": {"class_type": "SolidMask", "inputs": {"value": 0.25, "width": 128, "height": 32}},
        "both": {
            "class_type": "MaskComposite",
            "inputs": {
                "destination": ["solid", 0],
                "source": ["lower", 0],
                "x": 0,
                "y": 32,
                "operation": "add",
            },
        },
        "image": {"class_type": "MaskToImage", "inputs": {"mask": ["both", 0]}},
    }
    points, said = build("depth", nodes, depth=["image", 0], depth_kind=kind, sky=False)
    assert points is not None, said
    above = points[points[:, 1] < -0.01].norm(dim=-1)
    below = points[points[:, 1] > 0.01].norm(dim=-1)
    if kind == "distance":
        assert above.median() == pytest.approx(0.5, abs=1e-3)
        assert below.median() == pytest.approx(0.75, abs=1e-3)
    elif kind == "inverse distance":
        assert above.median() == pytest.approx(2.0, abs=1e-2)
        assert below.median() == pytest.approx(4 / 3, abs=1e-2)
    elif kind == "cube depth":
        upper = points[points[:, 1] < -0.1]
        assert upper.abs().amax(-1).median() == pytest.approx(0.5, abs=0.01)
    else:
        assert below.median() < above.median()


def two_panoramas(**place: float) -> dict:
    values = {"right": 0.0, "up": 0.0, "forward": 0.0, "yaw_deg": 0.0, "pitch_deg": 0.0, "roll_deg": 0.0}
    return {
        "other": photo("courtyard"),
        "placed": {
            "class_type": "PantheonPlacePanorama",
            "inputs": {"panorama": ["other", 1], **values, **place},
        },
        "joined": {
            "class_type": "PantheonJoinPanoramas",
            "inputs": {"first": ["photo", 1], "second": ["placed", 0]},
        },
    }


def test_a_multi_view_network_places_panoramas_unless_they_are(build, host):
    weights = host.base / "input" / "weights"
    weights.mkdir(exist_ok=True)
    (weights / "model.safetensors").write_bytes(b"")
    given = {"backend": "pi3", "weights": str(weights), "panoramas": ["joined", 0], "sky": False}
    points, said = build("found", two_panoramas(), **given)
    assert points is not None, said
    first, second = torch.tensor(said["poses"])
    assert torch.allclose(first, torch.eye(4), atol=1e-5)
    baseline = second[:3, 3]
    assert torch.allclose(baseline / baseline.norm(), torch.tensor([0.0, 0, 1]), atol=1e-3)
    # the places are in the unit of the distances
    radius = points[: len(points) // 2].norm(dim=-1).median()
    assert float(radius / baseline.norm()) == pytest.approx(2, rel=0.02)
    points, said = build("placed", two_panoramas(forward=3.0), **given)
    assert points is not None, said
    assert torch.tensor(said["poses"])[1][:3, 3].tolist() == [0, 0, 3]
    assert said["metric"]
    assert points[: len(points) // 2].norm(dim=-1).median() == pytest.approx(6, rel=0.02)


def test_what_does_not_fit_gets_a_sentence(build):
    nodes = {"geometry": {"class_type": "TestMoGe", "inputs": {}}} | two_panoramas(forward=1.0)
    for inputs, says in (
        ({"moge_geometry": ["geometry", 0], "panoramas": ["joined", 0]}, "each of the 2 panoramas, got 1"),
        ({"backend": "vggt", "weights": "/nowhere"}, "does not hold"),
        ({"backend": "dap", "weights": "/nowhere"}, "no file"),
        ({"backend": "given depth"}, "da3_geometry"),
    ):
        points, said = build("wrong", nodes, **inputs)
        assert points is None
        assert says in said
