"""Fusion of views of a scene with known distances."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pantheon_core.errors import ConventionError, InputError, ShapeError
from pantheon_core.geometry import (
    erp_rays,
    perspective_rays,
    perspective_to_erp,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
)
from pantheon_core.recon.fusion import CropDepths, FusionSettings, fuse_crops, sphere_views

HEIGHT, CROP, FOV = 64, 48, math.pi / 2
QUANTITIES = ("distance", "z_depth", "inverse_distance", "inverse_z")


def scene(rays: Tensor) -> Tensor:
    """Distances in a room with a ball before the seam, one near the nadir and one to the right."""
    rays = rays.double()
    low, high = torch.tensor([-3.0, -1.2, -2.6]), torch.tensor([3.5, 1.6, 4.0])
    found = torch.where(rays > 0, high / rays, low / rays).amin(-1)
    for centre, radius in (((0.3, 0.2, -1.6), 0.5), ((0.4, 1.2, 0.5), 0.3), ((1.8, 0.1, 0.6), 0.6)):
        middle = torch.tensor(centre, dtype=torch.float64)
        along = rays @ middle
        root = along**2 - middle.square().sum() + radius**2
        hit = along - root.clamp(min=0).sqrt()
        found = torch.where((root > 0) & (hit > 0) & (hit < found), hit, found)
    return found.float()


def views_of(rotations: Tensor, quantity: str, size: int = CROP) -> Tensor:
    """(V, size, size) exact values."""
    grid = perspective_rays(size, size, FOV)
    distance = scene(rotate_vectors(rotations[:, None, None], grid))
    depth = distance if quantity.endswith("distance") else distance * grid[..., 2]
    return 1 / depth if quantity.startswith("inverse") else depth


def spoiled(values: Tensor, *, noise: float, outliers: float, seed: int = 3) -> Tensor:
    """Noise and outliers as factors."""
    generator = torch.Generator().manual_seed(seed)
    values = values * (noise * torch.randn(values.shape, generator=generator)).exp()
    wild = (1.2 * torch.randn(values.shape, generator=generator)).exp() * values
    return torch.where(torch.rand(values.shape, generator=generator) < outliers, wild, values)


def hidden(values: Tensor, *, affine: bool, seed: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Values of unknown factor (and constant), with what undoes it: values = factor · hidden + constant."""
    generator = torch.Generator().manual_seed(seed)
    factor = (0.5 * torch.randn(len(values), generator=generator)).exp()
    constant = 0.4 * torch.randn(len(values), generator=generator) * values.median() * affine
    return (values - constant[:, None, None]) / factor[:, None, None], factor, constant


def error_of(found: Tensor, *, scale_free: bool = True) -> Tensor:
    """(H, W) log of the distances over the true ones."""
    error = (found / scene(erp_rays(found.shape[0]))).log()
    return error - error.median() if scale_free else error


TRUTH = scene(erp_rays(HEIGHT))
VIEWS = sphere_views()


@pytest.mark.parametrize(
    ("quantity", "freedom"),
    [*((quantity, "scale") for quantity in QUANTITIES), ("inverse_z", "affine"), ("z_depth", "affine")],
)
def test_exact_views_give_the_scene(quantity: str, freedom: str) -> None:
    values, factor, constant = hidden(views_of(VIEWS, quantity), affine=freedom == "affine")
    fused = fuse_crops(
        CropDepths(values=values, rotations=VIEWS, fov_x=FOV, quantity=quantity, freedom=freedom),  # type: ignore[arg-type]
        HEIGHT,
    )
    report = fused.report
    assert fused.valid.all()
    assert error_of(fused.distance).abs().median() < 0.005
    assert error_of(fused.distance).abs().quantile(0.9) < 0.05
    ratio = report.scale.float() / factor
    assert (ratio / ratio.median() - 1).abs().max() < 0.02
    wanted = constant * ratio.median()
    assert (report.shift.float() - wanted).abs().max() < 0.02 * (values * ratio[:, None, None]).abs().median()
    assert not report.warnings
    assert not report.disagreeing
    assert report.residual.max() < 0.02


@pytest.mark.parametrize(("quantity", "freedom"), [("z_depth", "scale"), ("inverse_z", "affine")])
def test_noise_and_outliers(quantity: str, freedom: str) -> None:
    exact = spoiled(views_of(VIEWS, quantity), noise=0.015, outliers=0.05)
    values = hidden(exact, affine=freedom == "affine")[0]
    fused = fuse_crops(
        CropDepths(values=values, rotations=VIEWS, fov_x=FOV, quantity=quantity, freedom=freedom),  # type: ignore[arg-type]
        HEIGHT,
    )
    assert error_of(fused.distance).abs().median() < 0.01
    assert 0 < fused.report.filled < 0.05
    assert fused.valid.all()


def bent(values: Tensor) -> Tensor:
    """Views with an error of their own, up to 10 %, even over the angle: they cannot all agree."""
    plane = torch.linspace(-1, 1, values.shape[-1]).atan() * (4 / math.pi)
    angle = torch.arange(len(values)) * 2.4
    lean = angle.cos()[:, None, None] * plane + angle.sin()[:, None, None] * plane[:, None]
    return values * (0.1 * lean).exp()


def step_errors(log_distance: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
    """|error of the step to the right or down| over the borders of views, and two to four pixels beside them.

    Edges of the scene do not count, nor rows at the poles, where neighbours are one place.
    """
    height = log_distance.shape[0]
    rays = erp_rays(height)
    truth = scene(rays).log()
    seen = torch.stack([look_mask(rotation, height) for rotation in rotations])
    error = log_distance - truth
    found: list[list[Tensor]] = [[], []]
    for dim in (0, 1):
        step = (error.roll(-1, dim) - error).abs()
        rough = ((truth.roll(-1, dim) - truth).abs() > 0.05).float()[None]
        calm = torch.nn.functional.max_pool2d(rough, 3, stride=1, padding=1)[0] == 0
        calm &= rays[..., 1].abs() < 0.95
        crossing = (seen != seen.roll(-1, dim + 1)).any(0)
        beside = torch.stack([crossing.roll(by, dim) for by in (-4, -3, -2, 2, 3, 4)]).any(0) & ~crossing
        found[0].append(step[calm & crossing])
        found[1].append(step[calm & beside])
    return torch.cat(found[0]), torch.cat(found[1])


def look_mask(rotation: Tensor, height: int = HEIGHT) -> Tensor:
    """(H, W) bool where one view looks."""
    return perspective_to_erp(torch.ones(1, 1, 4, 4), rotation[None], fov_x=FOV, height=height)[1] > 0


def test_no_borders_are_seen() -> None:
    height, size = 128, 96
    values = bent(views_of(VIEWS, "z_depth", size))
    fused = fuse_crops(
        CropDepths(values=values, rotations=VIEWS, fov_x=FOV, quantity="z_depth", freedom="scale"), height
    )
    border, beside = step_errors(fused.distance.log(), VIEWS)
    # on one side of a border errors of two views cancel in part, on the other one view is alone
    assert border.mean() <= 1.15 * beside.mean()
    assert border.quantile(0.95) <= 1.15 * beside.quantile(0.95)
    # nor is a step there worse than the views' own
    alone = bent(torch.ones_like(values))[0].log()
    own = torch.cat([alone.diff(dim=dim).abs().flatten() for dim in (0, 1)])
    across = own * (math.pi / height) / (math.pi / 2 / size)  # pixels of the panorama, not of the view
    assert border.mean() < across.mean()
    # the plain mean of the same views has borders: the measure sees them
    scale = fused.report.scale.float()[:, None, None]
    distance = values * scale / perspective_rays(size, size, FOV)[..., 2]
    naive = perspective_to_erp(distance.log()[:, None], VIEWS, fov_x=FOV, height=height, feather=False)[0][0]
    border, beside = step_errors(naive, VIEWS)
    assert border.mean() > 5 * beside.mean()


def test_seam_and_poles_are_like_the_rest() -> None:
    values = hidden(spoiled(bent(views_of(VIEWS, "inverse_z")), noise=0.01, outliers=0.02), affine=False)[0]
    fused = fuse_crops(
        CropDepths(values=values, rotations=VIEWS, fov_x=FOV, quantity="inverse_z", freedom="scale"), HEIGHT
    )
    error = error_of(fused.distance)
    everywhere = error.abs().quantile(0.9)
    across = (error[:, 0] - error[:, -1]).abs()
    along = (error[:, 1:] - error[:, :-1]).abs()
    assert across.quantile(0.9) <= 1.5 * along.quantile(0.9)
    for row in (0, -1):
        assert error[row].abs().median() < max(0.02, float(everywhere))
        # one place: its pixels agree
        assert error[row].std() < 0.02


def test_turning_the_views_turns_the_panorama() -> None:
    turn = 10
    values = hidden(spoiled(views_of(VIEWS, "inverse_z"), noise=0.01, outliers=0.02), affine=True)[0]
    yaw = rotation_from_yaw_pitch_roll(torch.tensor(turn * 2 * math.pi / (2 * HEIGHT), dtype=torch.float64))
    fused = [
        fuse_crops(
            CropDepths(values=values, rotations=rotations, fov_x=FOV, quantity="inverse_z", freedom="affine"),
            HEIGHT,
        )
        for rotations in (VIEWS.double(), yaw @ VIEWS.double())
    ]
    difference = (fused[1].distance / fused[0].distance.roll(turn, 1)).log().abs()
    # single pixels change where a ray falls between two pixels of a view
    assert difference.quantile(0.98) < 2e-3
    torch.testing.assert_close(fused[0].report.scale, fused[1].report.scale, rtol=2e-3, atol=0)


def test_metric_views_keep_the_typical_scale() -> None:
    factor = torch.ones(len(VIEWS))
    factor[3] = 4.0
    values = views_of(VIEWS, "z_depth") / factor[:, None, None]
    fused = fuse_crops(
        CropDepths(values=values, rotations=VIEWS, fov_x=FOV, quantity="z_depth", freedom="metric"), HEIGHT
    )
    assert error_of(fused.distance, scale_free=False).abs().median() < 0.005
    torch.testing.assert_close(fused.report.scale.float(), factor, rtol=0.02, atol=0)


def test_affine_views_that_contradict_each_other_stay_upright() -> None:
    """What is no affine function of depth: constants alone would explain it by turning views over."""
    values = views_of(VIEWS, "inverse_distance")
    fused = fuse_crops(
        CropDepths(
            values=torch.full_like(values, 0.3),
            rotations=VIEWS,
            fov_x=FOV,
            quantity="inverse_z",
            freedom="affine",
        ),
        HEIGHT,
    )
    assert fused.report.used.all()
    assert (fused.report.scale > 0).all()
    assert fused.valid.all()


def test_constants_do_not_explain_away_errors() -> None:
    """Not to know that there are no constants must not cost much where the views err."""
    values = spoiled(bent(views_of(VIEWS, "inverse_z")), noise=0.02, outliers=0.03)
    errors = [
        error_of(
            fuse_crops(
                CropDepths(values=values, rotations=VIEWS, fov_x=FOV, quantity="inverse_z", freedom=freedom),  # type: ignore[arg-type]
                HEIGHT,
            ).distance
        )
        .abs()
        .median()
        for freedom in ("scale", "affine")
    ]
    assert errors[1] < 1.7 * errors[0]


def test_affine_unit_is_the_median_distance() -> None:
    values = hidden(views_of(VIEWS, "inverse_z"), affine=True)[0]
    fused = fuse_crops(
        CropDepths(values=values, rotations=VIEWS, fov_x=FOV, quantity="inverse_z", freedom="affine"), HEIGHT
    )
    area = torch.hypot(erp_rays(HEIGHT)[..., 0], erp_rays(HEIGHT)[..., 2])
    assert math.isclose(float(area[fused.distance < 1].sum() / area.sum()), 0.5, abs_tol=0.01)
    # what the report says of a view brings it to the same unit
    rays = perspective_rays(CROP, CROP, FOV)
    inverse = fused.report.scale[0].float() * values[0] + fused.report.shift[0].float()
    exact = scene(rays)
    unit = (exact * inverse * rays[..., 2]).median()
    assert math.isclose(float(unit), float((TRUTH / fused.distance).median()), rel_tol=0.01)


def test_groups_that_share_nothing_are_told() -> None:
    yaw = torch.tensor([0.0, math.pi / 3, math.pi, math.pi * 4 / 3], dtype=torch.float64)
    rotations = rotation_from_yaw_pitch_roll(yaw).float()
    rotations = rotations[[0, 1, 2, 3]]
    grid_fov = math.radians(70)
    grid = perspective_rays(CROP, CROP, grid_fov)
    values = scene(rotate_vectors(rotations[:, None, None], grid))
    fused = fuse_crops(
        CropDepths(values=values, rotations=rotations, fov_x=grid_fov, quantity="distance", freedom="scale"),
        HEIGHT,
    )
    assert fused.report.group.tolist() == [0, 0, 1, 1]
    assert any("0, 1; 2, 3" in warning for warning in fused.report.warnings)
    assert not fused.valid[0].any()
    assert (fused.distance[~fused.valid] == 0).all()


def test_a_view_of_something_else_is_reported() -> None:
    values = views_of(VIEWS, "z_depth")
    values[2] = values[2].flip(1) * torch.linspace(0.3, 3, CROP)
    fused = fuse_crops(
        CropDepths(values=values, rotations=VIEWS, fov_x=FOV, quantity="z_depth", freedom="metric"), HEIGHT
    )
    assert {2} == set.intersection(*({o.first, o.second} for o in fused.report.disagreeing))
    assert fused.report.residual.argmax() == 2
    assert any("disagree" in warning for warning in fused.report.warnings)
    front, own = error_of(fused.distance, scale_free=False).abs(), look_mask(VIEWS[2])
    assert front[~own].median() < 0.01
    assert fused.confidence[own].median() < fused.confidence[~own].median()


def test_missing_pixels_views_and_excluded_directions() -> None:
    values = views_of(VIEWS, "z_depth")
    valid = torch.ones_like(values, dtype=torch.bool)
    valid[1] = False
    values[4, :, :5] = math.nan
    values[5, 3] = math.inf
    exclude = torch.zeros(HEIGHT, 2 * HEIGHT, dtype=torch.bool)
    exclude[:8] = True
    fused = fuse_crops(
        CropDepths(
            values=values, rotations=VIEWS, fov_x=FOV, quantity="z_depth", freedom="metric", valid=valid
        ),
        HEIGHT,
        exclude=exclude,
    )
    assert fused.report.used.tolist() == [view != 1 for view in range(len(VIEWS))]
    assert any("left out" in warning for warning in fused.report.warnings)
    assert not fused.valid[:8].any()
    assert fused.distance.isfinite().all()
    assert fused.valid[8:].float().mean() > 0.9
    assert (fused.distance / TRUTH).log()[fused.valid].abs().median() < 0.005


def test_confidence_decides_between_views() -> None:
    values = views_of(VIEWS, "z_depth")
    confidence = torch.ones_like(values)
    values[0] *= torch.linspace(0.7, 1.4, CROP)
    confidence[0] = 0.02
    crops = CropDepths(
        values=values, rotations=VIEWS, fov_x=FOV, quantity="z_depth", freedom="metric", confidence=confidence
    )
    unsure = error_of(fuse_crops(crops, HEIGHT).distance, scale_free=False).abs()
    crops = CropDepths(values=values, rotations=VIEWS, fov_x=FOV, quantity="z_depth", freedom="metric")
    sure = error_of(fuse_crops(crops, HEIGHT).distance, scale_free=False).abs()
    shared = look_mask(VIEWS[0]) & (look_mask(VIEWS[1]) | look_mask(VIEWS[5]))
    assert unsure[shared].mean() < 0.5 * sure[shared].mean()


def test_views_of_several_angles() -> None:
    fov = torch.tensor([1.2, 1.8])
    rotations = torch.eye(3).repeat(2, 1, 1)
    values = torch.stack([scene(perspective_rays(CROP, CROP, float(f))) for f in fov])
    fused = fuse_crops(
        CropDepths(values=values, rotations=rotations, fov_x=fov, quantity="distance", freedom="metric"),
        HEIGHT,
    )
    assert (fused.distance / TRUTH).log()[fused.valid].abs().median() < 0.01


def test_what_cannot_be_fused_is_told() -> None:
    values = views_of(VIEWS, "z_depth", 8)
    good = {"values": values, "rotations": VIEWS, "fov_x": FOV, "quantity": "z_depth", "freedom": "metric"}

    def crops(**changes: object) -> CropDepths:
        return CropDepths(**(good | changes))  # type: ignore[arg-type]

    with pytest.raises(ShapeError, match="rotations"):
        crops(rotations=VIEWS[:3])
    with pytest.raises(ConventionError, match="rotation"):
        crops(rotations=2 * VIEWS)
    with pytest.raises(InputError, match="fov_x"):
        crops(fov_x=90.0)
    with pytest.raises(InputError, match="quantity"):
        crops(quantity="depth")
    with pytest.raises(InputError, match="valid depths"):
        fuse_crops(crops(values=values * math.nan), HEIGHT)
    with pytest.raises(ShapeError, match="exclude"):
        fuse_crops(crops(), HEIGHT, exclude=torch.zeros(4, 8))
    with pytest.raises(InputError, match="reach"):
        FusionSettings(reach=0)
    with pytest.raises(InputError, match="level"):
        sphere_views(level=2)


@pytest.mark.parametrize("level", [4, 6, 8])
def test_views_cover_the_sphere(level: int) -> None:
    seen = torch.stack([look_mask(rotation) for rotation in sphere_views(level=level)]).sum(0)
    assert seen.min() >= 1
