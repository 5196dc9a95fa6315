"""A screened Poisson equation on the wrapped sphere, solved by conjugate gradients.

The preconditioner is the same equation with all weights equal. It is diagonal over longitude in the Fourier
domain and tridiagonal over latitude, so it is inverted exactly, the stiff rows near the poles included; what
is left for the iterations are the missing gradients. That makes a multigrid unnecessary.

Source: Hestenes and Stiefel (1952); Buzbee, Golub, Nielson, "On direct methods for solving Poisson's
equations" (SIAM J. Numer. Anal. 7, 1970) for the direct solver.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["SphereSystem", "solve"]

_MAX_STEPS = 400


class SphereSystem:
    """Sum of across · (x[r, c+1] − x[r, c] − gx)² + down · (x[r+1, c] − x[r, c] − gy)² + data · (x − y)².

    Weights without the sphere's metric are given, each 0..1; the metric is put in here: the solid angle of a
    pixel for the data term, and the lengths of its sides for the gradients.

    Args:
        across: (H, W) weights of the steps to the right, wrapped.
        down: (H−1, W) weights of the steps down.
        data: (H, W) weights of the data.
        reach: radians.
    """

    def __init__(self, across: Tensor, down: Tensor, data: Tensor, reach: float) -> None:
        height, _ = data.shape
        step = math.pi / height
        rows = torch.arange(height, dtype=torch.float64, device=data.device)
        self.cos = (math.pi / 2 - (rows + 0.5) * step).cos()[:, None]
        self.cos_between = (math.pi / 2 - (rows[1:]) * step).cos()[:, None]
        self.screen = self.cos * (step / reach) ** 2
        self.across = across.double() / self.cos
        self.down = down.double() * self.cos_between
        self.data = data.double() * self.screen
        self.known = self.data > 0
        self.known |= (across > 0) | (across.roll(1, -1) > 0)
        self.known[:-1] |= down > 0
        self.known[1:] |= down > 0
        self._factor(data.shape[1])

    def apply(self, x: Tensor) -> Tensor:
        """The system's matrix times (H, W)."""
        return (
            self._divergence(self.across * (x.roll(-1, -1) - x), self.down * (x[1:] - x[:-1])) + self.data * x
        )

    def right_side(self, gx: Tensor, gy: Tensor, y: Tensor) -> Tensor:
        """(H, W) right-hand side of wanted steps (H, W), (H−1, W) and data (H, W)."""
        return self._divergence(self.across * gx, self.down * gy) + self.data * y

    @staticmethod
    def _divergence(fx: Tensor, fy: Tensor) -> Tensor:
        out = fx.roll(1, -1) - fx
        out[:-1] -= fy
        out[1:] += fy
        return out

    def _factor(self, width: int) -> None:
        """Eliminate the preconditioner's tridiagonal systems, one for each frequency of the longitude."""
        k = torch.arange(width // 2 + 1, dtype=torch.float64, device=self.cos.device)
        diagonal = (2 - 2 * (2 * math.pi * k / width).cos()) / self.cos + self.screen
        diagonal[:-1] += self.cos_between
        diagonal[1:] += self.cos_between
        below = -self.cos_between[:, 0]
        self._factors = torch.empty_like(diagonal[1:])
        pivot = diagonal[0]
        pivots = [pivot]
        for row in range(len(below)):
            self._factors[row] = below[row] / pivot
            pivot = diagonal[row + 1] - self._factors[row] * below[row]
            pivots.append(pivot)
        self._pivots = torch.stack(pivots)

    def precondition(self, x: Tensor) -> Tensor:
        """Solve the equation with equal weights for (H, W)."""
        waves = torch.view_as_real(torch.fft.rfft(x))  # (H, K, 2)
        rows = list(waves.unbind(0))
        factors = list(self._factors[..., None].unbind(0))
        for row, factor in enumerate(factors):
            rows[row + 1] = torch.addcmul(rows[row + 1], factor, rows[row], value=-1)
        solved = torch.stack(rows) / self._pivots[..., None]
        rows = list(solved.unbind(0))
        # L D Lᵀ: the factors of the way down are those of the way back
        for row in range(len(factors) - 1, -1, -1):
            rows[row] = torch.addcmul(rows[row], factors[row], rows[row + 1], value=-1)
        return torch.fft.irfft(torch.view_as_complex(torch.stack(rows)), n=x.shape[-1])


def solve(system: SphereSystem, right_side: Tensor, start: Tensor, tolerance: float) -> tuple[Tensor, int]:
    """Conjugate gradients over the pixels that the system knows something about.

    Args:
        system: the equation.
        right_side: (H, W).
        start: (H, W) first guess.
        tolerance: largest remaining share of the right-hand side, in the preconditioner's norm.

    Returns:
        (H, W) float64, 0 where nothing is known, and the number of steps.
    """
    inside = system.known
    x = torch.where(inside, start.double(), 0.0)
    residual = (right_side - system.apply(x)) * inside
    wanted = right_side * inside
    limit = tolerance**2 * float((wanted * system.precondition(wanted)).sum())
    z = system.precondition(residual) * inside
    direction = z
    energy = float((residual * z).sum())
    steps = 0
    while energy > limit and steps < _MAX_STEPS:
        image = system.apply(direction) * inside
        size = energy / float((direction * image).sum())
        x = x + size * direction
        residual = residual - size * image
        z = system.precondition(residual) * inside
        new = float((residual * z).sum())
        direction = z + (new / energy) * direction
        energy = new
        steps += 1
    return x, steps
