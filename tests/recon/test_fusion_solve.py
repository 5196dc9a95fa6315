"""The solver against a dense solution."""

from __future__ import annotations

import math

import torch

from pantheon_core.recon.fusion._solve import SphereSystem, solve

HEIGHT = 8
WIDTH = 2 * HEIGHT


def random_system(generator: torch.Generator) -> tuple[SphereSystem, torch.Tensor]:
    across = torch.rand(HEIGHT, WIDTH, generator=generator)
    down = torch.rand(HEIGHT - 1, WIDTH, generator=generator)
    data = torch.rand(HEIGHT, WIDTH, generator=generator)
    for weights in (across, down, data):
        weights[torch.rand(weights.shape, generator=generator) < 0.3] = 0
    # nothing is known of a block
    across[2:5, 2:6], down[1:5, 3:6], data[2:5, 3:6] = 0, 0, 0
    system = SphereSystem(across, down, data, reach=0.5)
    right = system.right_side(
        torch.randn(HEIGHT, WIDTH, generator=generator, dtype=torch.float64),
        torch.randn(HEIGHT - 1, WIDTH, generator=generator, dtype=torch.float64),
        torch.randn(HEIGHT, WIDTH, generator=generator, dtype=torch.float64),
    )
    return system, right


def dense(linear) -> torch.Tensor:
    """Matrix of a map of panoramas."""
    units = torch.eye(HEIGHT * WIDTH, dtype=torch.float64).reshape(-1, HEIGHT, WIDTH)
    return torch.stack([linear(unit).flatten() for unit in units], 1)


def test_the_solution_is_the_dense_one(generator: torch.Generator) -> None:
    system, right = random_system(generator)
    matrix = dense(system.apply)
    torch.testing.assert_close(matrix, matrix.T)
    inside = system.known.flatten()
    assert 0 < int(inside.sum()) < HEIGHT * WIDTH
    wanted = torch.linalg.lstsq(matrix[inside][:, inside], right.flatten()[inside]).solution
    found, steps = solve(system, right, torch.zeros(HEIGHT, WIDTH), 1e-9)
    assert steps < 100
    torch.testing.assert_close(found.flatten()[inside], wanted, rtol=1e-5, atol=1e-5)
    assert (found[~system.known] == 0).all()


def test_right_side_belongs_to_the_matrix(generator: torch.Generator) -> None:
    """Steps and values taken from a field are fulfilled by that field."""
    system, _ = random_system(generator)
    field = torch.randn(HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    right = system.right_side(field.roll(-1, 1) - field, field[1:] - field[:-1], field)
    torch.testing.assert_close(system.apply(field), right)


def test_preconditioner_inverts_equal_weights(generator: torch.Generator) -> None:
    ones = torch.ones(HEIGHT, WIDTH)
    system = SphereSystem(ones, ones[1:], ones, reach=0.7)
    field = torch.randn(HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(system.precondition(system.apply(field)), field)
    found, steps = solve(system, system.apply(field), torch.zeros(HEIGHT, WIDTH), 1e-8)
    assert steps <= 2
    torch.testing.assert_close(found, field, rtol=1e-6, atol=1e-6)


def test_energy_is_that_of_the_sphere() -> None:
    """The same smooth field costs the same at two sizes, and lying on its side."""

    def energy(height: int, axis: str) -> float:
        lat = (0.5 - (torch.arange(height, dtype=torch.float64) + 0.5) / height) * math.pi
        lon = ((torch.arange(2 * height, dtype=torch.float64) + 0.5) / (2 * height) - 0.5) * 2 * math.pi
        field = {"up": lat.sin()[:, None].expand(height, 2 * height), "side": lat.cos()[:, None] * lon.sin()}[
            axis
        ]
        ones = torch.ones(height, 2 * height)
        return float((field * SphereSystem(ones, ones[1:], ones, reach=0.5).apply(field)).sum())

    # a linear function on the sphere: gradients 8 pi / 3 and squares 4 pi / 3, per pixel of (pi / H)²
    wanted = 8 * math.pi / 3 + 4 * math.pi / 3 / 0.5**2
    for height, axis in ((32, "up"), (64, "up"), (64, "side")):
        assert math.isclose(energy(height, axis), wanted, rel_tol=0.02), (height, axis)
