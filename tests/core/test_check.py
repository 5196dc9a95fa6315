from __future__ import annotations

import pytest
import torch

from pantheon_core.check import check_erp, check_finite, check_rotation, check_shape
from pantheon_core.errors import ConventionError, InputError, ShapeError


def test_names_collect_and_must_agree() -> None:
    assert check_shape("x", torch.zeros(5, 3, 4, 8), "... 3 H W") == {"H": 4, "W": 8}
    with pytest.raises(ShapeError, match=r"x: expected shape \(N, N\), got \(2, 3\) \(N = 2\)"):
        check_shape("x", torch.zeros(2, 3), "N N")


@pytest.mark.parametrize(
    ("shape", "spec"), [((4, 8), "... 3 H W"), ((2, 3, 4, 8), "3 H W"), ((4, 4, 8), "3 H W")]
)
def test_mismatches_are_named(shape: tuple[int, ...], spec: str) -> None:
    with pytest.raises(ShapeError, match="expected shape"):
        check_shape("x", torch.zeros(shape), spec)


def test_given_sizes_bind() -> None:
    with pytest.raises(ShapeError, match="N = 5"):
        check_shape("x", torch.zeros(4, 3), "N 3", N=5)


def test_erp_must_be_two_to_one() -> None:
    assert check_erp("x", torch.zeros(3, 4, 8)) == (4, 8)
    for shape in ((3, 4, 9), (3, 0, 0)):
        with pytest.raises(ConventionError, match="twice as wide"):
            check_erp("x", torch.zeros(shape))
    with pytest.raises(ConventionError, match="load_panorama"):
        check_erp("x", torch.zeros(3, 4, 9))
    with pytest.raises(ConventionError, match=r"equirectangular video.*Export it"):
        check_erp("x", torch.zeros(3, 4, 9), video=True)


def test_finite_counts() -> None:
    with pytest.raises(InputError, match="2 of 3"):
        check_finite("x", torch.tensor([1.0, float("nan"), float("inf")]))


def test_mirrors_and_scales_are_no_rotations() -> None:
    check_rotation("R", torch.eye(3).expand(2, 3, 3))
    for matrix in (
        torch.diag(torch.tensor([1.0, 1.0, -1.0])),
        2 * torch.eye(3),
        torch.full((3, 3), float("nan")),
    ):
        with pytest.raises(ConventionError, match="rotation"):
            check_rotation("R", matrix)
