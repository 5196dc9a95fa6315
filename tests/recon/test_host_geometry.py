"""Geometry of ComfyUI's own nodes: orientation by a marked direction, exact depths come back exact."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pantheon_core.cache import cache_from_erp, save_ply
from pantheon_core.errors import ConventionError, InputError, MediaError, ShapeError
from pantheon_core.geometry import (
    erp_rays,
    rays_to_erp_pixels,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
    se3_from,
    se3_inverse,
)
from pantheon_core.recon import cache_from_estimate, get_backend
from pantheon_core.recon.host_geometry import (
    MOGE_FROM_PANORAMA,
    CloudAxes,
    cloud_as_cache,
    estimates_from_da3,
    estimates_from_moge,
)

HEIGHT = 64
HALF = torch.tensor([2.0, 1.5, 3.0])  # of a box room around the origin
MARK = torch.tensor([0.6, -0.3, 0.74])  # to the right, up and ahead: no symmetry hides an error


def room(rays: Tensor, centre: Tensor | None = None) -> Tensor:
    """Distance from a place in the room to its walls; a third nearer around the mark."""
    centre = torch.zeros(3) if centre is None else centre
    wall = torch.where(rays > 0, HALF - centre, HALF + centre) / rays.abs().clamp(min=1e-9)
    distance = wall.amin(-1)
    towards = (rays * torch.nn.functional.normalize(MARK, dim=0)).sum(-1)
    return torch.where(towards > math.cos(math.radians(12)), distance * (2 / 3), distance)


def moge_directions(rows: int) -> Tensor:
    """As the host's node makes them: pixel centres, z up, t = (1 - u) 2 pi."""
    u = (torch.arange(2 * rows, dtype=torch.float64) + 0.5) / (2 * rows)
    v = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
    t, phi = (1 - u) * 2 * math.pi, v[:, None] * math.pi
    parts = (phi.sin() * t.cos(), phi.sin() * t.sin(), phi.cos() + 0 * t)
    return torch.stack(torch.broadcast_tensors(*parts), -1).float()


def pinhole(height: int, width: int, tan_x: float, rotation: Tensor, centre: Tensor | None = None) -> Tensor:
    """(h, w) z-depth of a view of the room."""
    x = ((torch.arange(width) + 0.5) / width * 2 - 1) * tan_x
    y = ((torch.arange(height) + 0.5) / height * 2 - 1) * tan_x * height / width
    plane = torch.stack((*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width)), -1)
    local = torch.nn.functional.normalize(plane, dim=-1)
    return room(rotate_vectors(rotation, local), centre) * local[..., 2]


def moge_perspective(height: int, width: int, tan_x: float) -> dict[str, Tensor]:
    depth = pinhole(height, width, tan_x, torch.eye(3))
    x = ((torch.arange(width) + 0.5) / width * 2 - 1) * tan_x
    y = ((torch.arange(height) + 0.5) / height * 2 - 1) * tan_x * height / width
    plane = torch.stack((*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width)), -1)
    focal = torch.tensor([[0.5 / tan_x, 0, 0.5], [0, 0.5 / tan_x * width / height, 0.5], [0, 0, 1]])
    return {
        "points": (plane * depth[..., None])[None],
        "depth": depth[None],
        "mask": torch.ones(1, height, width, dtype=torch.bool),
        "intrinsics": focal[None],
        "image": torch.zeros(1, height, width, 3),
    }


def mark_pixel(distance: Tensor, valid: Tensor) -> Tensor:
    """Mean direction of what stands nearer than the room's walls."""
    rays = erp_rays(distance.shape[0])
    wall = (HALF / rays.abs().clamp(min=1e-9)).amin(-1)
    nearer = valid & (distance < 0.85 * wall)
    return torch.nn.functional.normalize(rays[nearer].mean(0), dim=0)


def test_moge_panorama_frame_is_ours_turned() -> None:
    turn = torch.tensor(MOGE_FROM_PANORAMA)
    assert float(turn.det()) == pytest.approx(1)
    assert torch.allclose(erp_rays(16) @ turn.T, moge_directions(16), atol=1e-6)


def test_moge_panorama_keeps_the_marked_direction_and_every_distance() -> None:
    rays = erp_rays(HEIGHT)
    distance = room(rays)
    sky = rays[..., 1] < -0.9
    geometry = {
        "points": (moge_directions(HEIGHT) * distance[..., None])[None],
        "depth": distance[None],
        "mask": ~sky[None],
    }
    (found,) = estimates_from_moge(geometry, [HEIGHT])
    assert torch.equal(found.valid, ~sky)
    assert (found.sky[sky] == 1).all()
    assert (found.distance - distance)[~sky].abs().max() < 1e-5
    mark = mark_pixel(found.distance, found.valid)
    assert (mark - torch.nn.functional.normalize(MARK, dim=0)).norm() < 0.02
    # to the right of the middle and above it
    column, row = rays_to_erp_pixels(mark, HEIGHT)
    assert column > HEIGHT
    assert row < HEIGHT / 2
    assert not found.metric


@pytest.mark.parametrize("wrong", ["rolled", "mirrored", "ours"])
def test_moge_panorama_in_another_frame_is_refused(wrong: str) -> None:
    points = moge_directions(16) * 2
    points = {"rolled": points.roll(16, 1), "mirrored": points.flip(1), "ours": erp_rays(16) * 2}[wrong]
    with pytest.raises(ConventionError, match="rays of their pixels"):
        estimates_from_moge({"points": points[None], "mask": torch.ones(1, 16, 32)}, [16])


def test_moge_perspective_fills_its_part_and_no_more() -> None:
    geometry = moge_perspective(90, 120, 1.0)
    (found,) = estimates_from_moge(geometry, [128])
    rays = erp_rays(128)
    inside = (
        (rays[..., 2] > 0) & (rays[..., 0].abs() < rays[..., 2]) & (rays[..., 1].abs() < 0.75 * rays[..., 2])
    )
    assert torch.equal(found.valid, inside)
    ratio = (found.distance / room(rays))[inside].log().abs()
    assert ratio.median() < 1e-4  # walls are planes: exact but at edges
    assert ratio.quantile(0.9) < 0.01
    assert found.sky.max() == 0
    assert not found.metric
    geometry["normal"] = torch.zeros(1, 90, 120, 3)
    assert estimates_from_moge(geometry, [16])[0].metric  # only version 2 has normals


def test_moge_perspective_masked_pixels_are_sky() -> None:
    geometry = moge_perspective(60, 60, 1.0)
    geometry["mask"][:, :20] = False
    geometry["points"][:, :20] = math.inf
    (found,) = estimates_from_moge(geometry, [64])
    rays = erp_rays(64)
    above = (
        (rays[..., 2] > 0.3)
        & (rays[..., 1] < -0.4 * rays[..., 2])
        & (rays[..., 1] > -0.95 * rays[..., 2])
        & (rays[..., 0].abs() < 0.95 * rays[..., 2])
    )
    assert not found.valid[above].any()
    assert (found.sky[above] == 1).all()
    assert found.sky[rays[..., 2] < 0].max() == 0


def da3(rotations: Tensor, centres: Tensor, *, seen: int = 40, size: int = 72) -> dict[str, object]:
    """Views of the room; the intrinsics are those of another size, as the host's are."""
    depth = torch.stack([pinhole(size, size, 1.2, r, c) for r, c in zip(rotations, centres, strict=True)])
    T_world_view = se3_from(rotations, centres)
    focal = torch.tensor([[seen / 2 / 1.2, 0, seen / 2], [0, seen / 2 / 1.2, seen / 2], [0, 0, 1]])
    return {
        "depth": depth,
        "image": torch.zeros(*depth.shape, 3),
        "mode": "multiview",
        "extrinsics": se3_inverse(T_world_view)[None, :, :3],
        "intrinsics": focal.expand(1, len(depth), 3, 3),
        "confidence": torch.full_like(depth, 5.0),
    }


def ring(count: int) -> Tensor:
    yaw = torch.arange(count) * (2 * math.pi / count)
    return rotation_from_yaw_pitch_roll(yaw, 0 * yaw)


def test_da3_views_of_one_place_become_a_panorama() -> None:
    geometry = da3(ring(5), torch.zeros(5, 3))
    (found,) = estimates_from_da3(geometry, [HEIGHT])
    rays = erp_rays(HEIGHT)
    level = rays[..., 1].abs() < 0.6
    assert found.valid[level].all()
    assert (found.distance / room(rays))[level].log().abs().median() < 0.005
    mark = mark_pixel(found.distance, found.valid & level)
    assert (mark - torch.nn.functional.normalize(MARK, dim=0)).norm() < 0.03
    assert found.confidence[level].median() == pytest.approx(0.8, abs=0.02)


def test_da3_poses_are_world_to_camera_and_relative_to_the_first_view() -> None:
    """The world of the poses is anywhere; a second view from elsewhere fills what the first does not see."""
    turn = rotation_from_yaw_pitch_roll(torch.tensor(2.0), torch.tensor(0.4), torch.tensor(-0.3))
    rotations = torch.stack(
        (torch.eye(3), rotation_from_yaw_pitch_roll(torch.tensor(1.6), torch.tensor(0.0)))
    )
    centres = torch.tensor([[0.0, 0, 0], [-0.5, 0.2, 0.3]])
    geometry = da3(rotations, centres)
    shift = se3_from(turn, torch.tensor([7.0, -3.0, 2.0]))
    T_view_world = torch.eye(4).repeat(2, 1, 1)
    T_view_world[:, :3] = geometry["extrinsics"][0]  # type: ignore[index]
    geometry["extrinsics"] = (T_view_world @ se3_inverse(shift))[None, :, :3]
    (found,) = estimates_from_da3(geometry, [48])
    rays = erp_rays(48)
    towards = (rays * torch.nn.functional.normalize(MARK, dim=0)).sum(-1)
    plain = towards < math.cos(math.radians(30))  # the mark is not where it was, seen from elsewhere
    own = plain & (rays[..., 2] > 0.3) & (rays[..., :2].abs() < 1.1 * rays[..., 2:]).all(-1)
    right = plain & (rays[..., 0] > 0.9) & (rays[..., 2].abs() < 0.2)
    assert found.valid[own].all()
    assert found.valid[right].float().mean() > 0.9
    for part, limit in ((own, 0.005), (right & found.valid, 0.03)):
        assert (found.distance / room(rays))[part].log().abs().median() < limit
    assert not found.valid[rays[..., 0] < -0.9].any()


def test_da3_on_the_panorama_itself_is_a_distance_with_its_sky() -> None:
    rays = erp_rays(32)
    sky = (rays[..., 1] < -0.5).float()
    geometry = {
        "depth": room(rays)[None],
        "mode": "mono",
        "sky": sky[None],
        "image": torch.zeros(1, 32, 64, 3),
    }
    (found,) = estimates_from_da3(geometry, [32])
    assert torch.equal(found.valid, sky < 0.5)
    assert (found.distance - room(rays))[found.valid].abs().max() < 1e-5


def test_one_view_for_each_of_several_panoramas() -> None:
    geometry = da3(ring(2), torch.zeros(2, 3))
    found = estimates_from_da3(geometry, [32, 48])
    assert [len(one.distance) for one in found] == [32, 48]
    assert all(one.valid[:, : len(one.valid) // 2].sum() == 0 for one in found)  # nothing behind


def test_what_is_missing_or_contradictory_is_told() -> None:
    mono = {"depth": torch.ones(1, 30, 40), "mode": "mono", "image": torch.zeros(1, 30, 40, 3)}
    with pytest.raises(InputError, match="multiview mode"):
        estimates_from_da3(mono, [32])
    (found,) = estimates_from_da3(mono, [32], fov_x=math.radians(70))
    assert found.valid.any()
    with pytest.raises(InputError, match="2 views without poses"):
        estimates_from_da3(mono | {"depth": torch.ones(2, 30, 40)}, [32], fov_x=1.0)
    with pytest.raises(InputError, match="each of the 2 panoramas, got 1"):
        estimates_from_da3(mono, [32, 32], fov_x=1.0)
    with pytest.raises(InputError, match="each of the 1 panoramas, got 3"):
        estimates_from_moge({"points": torch.ones(3, 8, 16, 3)}, [32])
    with pytest.raises(InputError, match="all of them are masked"):
        estimates_from_moge({"points": torch.ones(1, 8, 16, 3), "mask": torch.zeros(1, 8, 16)}, [32])
    with pytest.raises(InputError, match="field points, got image"):
        estimates_from_moge({"image": torch.zeros(1)}, [32])
    with pytest.raises(InputError, match="field depth, got nothing"):
        estimates_from_da3({}, [32])
    with pytest.raises(ShapeError, match=r"da3_geometry\.sky"):
        estimates_from_da3(mono | {"sky": torch.zeros(1, 3, 4)}, [32], fov_x=1.0)
    broken = da3(ring(2), torch.zeros(2, 3))
    broken["extrinsics"] = torch.full((1, 2, 3, 4), math.nan)
    with pytest.raises(InputError, match="pose estimation failed"):
        estimates_from_da3(broken, [32])


@pytest.mark.parametrize(
    ("axes", "written"),
    [("y down", [1.0, 2.0, 3.0]), ("y up", [1.0, -2.0, -3.0]), ("z up", [1.0, 3.0, -2.0])],
)
def test_clouds_of_other_programs_are_turned(tmp_path: Path, axes: CloudAxes, written: list[float]) -> None:
    path = tmp_path / "cloud.ply"
    body = " ".join(map(str, written))
    path.write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
        f"end_header\n{body}\n"
    )
    assert cloud_as_cache(path, axes=axes, scale=2.0).points.tolist() == [[2, 4, 6]]
    if axes == "y up":
        assert cloud_as_cache(path).points.tolist() == [[1, 2, 3]]


def test_a_clouds_sky_stays_where_its_axes_do(tmp_path: Path) -> None:
    sky = torch.zeros(8, 16, dtype=torch.bool)
    sky[:4] = True
    save_ply(cache_from_erp(torch.rand(3, 8, 16), torch.ones(8, 16), ~sky, sky=sky), tmp_path / "own.ply")
    kept = cloud_as_cache(tmp_path / "own.ply", scale=2.0).sky
    assert kept is not None
    assert torch.equal(kept.mask, sky)
    assert cloud_as_cache(tmp_path / "own.ply", axes="y up").sky is None


def test_our_own_clouds_stay_as_they_are(tmp_path: Path) -> None:
    rays = erp_rays(8)
    cache = cache_from_estimate(
        torch.rand(3, 8, 16),
        get_backend("given", depth=room(rays)).estimate(torch.zeros(3, 8, 16)),
        backend="x",
    )
    save_ply(cache, tmp_path / "own.ply")
    again = cloud_as_cache(tmp_path / "own.ply")
    assert torch.allclose(again.points, cache.points)
    assert torch.allclose(cloud_as_cache(tmp_path / "own.ply", scale=3.0).points, 3 * cache.points)
    with pytest.raises(InputError, match="axes"):
        cloud_as_cache(tmp_path / "own.ply", axes="up")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="scale"):
        cloud_as_cache(tmp_path / "own.ply", scale=-1)
    with pytest.raises(MediaError, match="cannot read"):
        cloud_as_cache(tmp_path / "none.ply")
