from __future__ import annotations

import pytest
import torch

from pantheon_core.cache import pull_push
from pantheon_core.errors import InputError, ShapeError


def test_valid_pixels_stay_and_a_constant_fills():
    image = torch.rand(2, 3, 24, 48)
    valid = torch.rand(2, 24, 48) > 0.5
    filled = pull_push(image, valid)
    keep = valid[:, None].expand_as(image)
    assert torch.equal(filled[keep], image[keep])
    flat = torch.where(keep, 0.3, torch.rand_like(image))
    assert torch.allclose(pull_push(flat, valid), torch.tensor(0.3), atol=1e-6)


@pytest.mark.parametrize("size", [(16, 32), (15, 30), (7, 14), (1, 2)])
def test_fills_any_size_within_the_range_of_what_is_valid(size):
    image = torch.rand(3, *size)
    valid = torch.zeros(size, dtype=torch.bool)
    valid[0, 0] = valid[-1, size[1] // 2] = True
    filled = pull_push(image, valid)
    low, high = image[:, valid].amin(1), image[:, valid].amax(1)
    assert (filled >= low[:, None, None] - 1e-6).all()
    assert (filled <= high[:, None, None] + 1e-6).all()


def test_the_seam_is_no_border():
    image = torch.rand(1, 16, 32)
    valid = torch.rand(16, 32) > 0.7
    there = pull_push(image.roll(16, -1), valid.roll(16, -1))
    assert torch.allclose(there.roll(-16, -1), pull_push(image, valid), atol=1e-5)
    one = torch.zeros(1, 16, 32)
    one[..., 0] = 1
    valid = torch.zeros(16, 32, dtype=torch.bool)
    valid[:, 0] = valid[:, 16] = True
    filled = pull_push(one, valid)[0, 8]
    assert filled[31] > 0.6


def test_a_gradient_is_continued_smoothly():
    ramp = torch.linspace(0, 1, 32)[:, None].expand(32, 64)[None]
    valid = torch.ones(32, 64, dtype=torch.bool)
    valid[12:20, 20:40] = False
    assert (pull_push(ramp, valid) - ramp).abs().max() < 0.12


def test_nothing_valid_gives_zeros_and_nan_in_holes_does_not_spread():
    image = torch.full((3, 8, 16), float("nan"))
    assert (pull_push(image, torch.zeros(8, 16, dtype=torch.bool)) == 0).all()
    valid = torch.zeros(8, 16, dtype=torch.bool)
    valid[2, 3] = True
    image[:, 2, 3] = 0.5
    assert torch.allclose(pull_push(image, valid), torch.tensor(0.5))


def test_wrong_arguments_are_refused():
    with pytest.raises(ShapeError):
        pull_push(torch.rand(3, 8, 16), torch.ones(8, 8, dtype=torch.bool))
    with pytest.raises(InputError, match="leading"):
        pull_push(torch.rand(2, 3, 8, 16), torch.ones(8, 16, dtype=torch.bool))
    with pytest.raises(InputError, match="floating"):
        pull_push(torch.ones(3, 8, 16, dtype=torch.uint8), torch.ones(8, 16, dtype=torch.bool))
    with pytest.raises(ShapeError, match="distance"):
        pull_push(torch.rand(3, 8, 16), torch.ones(8, 16, dtype=torch.bool), distance=torch.ones(8, 8))


def _disocclusion() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A white thing 1 m away, a hole beside it, and behind both a black wall 8 m away."""
    image = torch.zeros(1, 32, 64)
    image[..., 20:30] = 1.0
    valid = torch.ones(32, 64, dtype=torch.bool)
    valid[:, 30:34] = False
    distance = torch.full((32, 64), 8.0)
    distance[:, 20:30] = 1.0
    return image, valid, distance


def test_a_hole_continues_what_lies_behind():
    image, valid, distance = _disocclusion()
    holes = ~valid
    assert pull_push(image, valid)[0][holes].mean() > 0.3
    assert pull_push(image, valid, distance=distance)[0][holes].max() < 0.1
    assert torch.equal(pull_push(image, valid, distance=distance)[0][valid], image[0][valid])


@pytest.mark.parametrize("sky", [0.0, float("inf")])
def test_the_sky_lies_behind_and_units_do_not_matter(sky):
    image, valid, distance = _disocclusion()
    open_air = torch.where(distance == 8.0, sky, distance)
    open_air[28:, 40:] = 8.0
    filled = pull_push(image, valid, distance=open_air)
    assert filled[0][~valid].max() < 0.1
    assert torch.allclose(pull_push(image, valid, distance=1000 * open_air), filled, atol=1e-5)


def test_equal_distances_change_nothing():
    image = torch.rand(2, 3, 24, 48)
    valid = torch.rand(2, 24, 48) > 0.6
    plain = pull_push(image, valid)
    assert torch.allclose(pull_push(image, valid, distance=torch.full((2, 24, 48), 3.0)), plain, atol=1e-6)
    assert torch.allclose(pull_push(image, valid, distance=torch.zeros(2, 24, 48)), plain, atol=1e-6)
