from __future__ import annotations

import math

import pytest
import torch

from pantheon_core.errors import ConventionError, InputError
from pantheon_core.geometry import erp_rays
from pantheon_core.panorama import feather_mask, grow_mask, hole_mask

H = 64


@pytest.mark.parametrize("row", [0, 1, 20, 40, 63])
@pytest.mark.parametrize("degrees", [0.0, 4.0, 17.0, 60.0])
def test_growing_is_a_disc_on_the_sphere(row, degrees):
    mask = torch.zeros(H, 2 * H, dtype=torch.bool)
    mask[row, 3] = True
    rays = erp_rays(H, dtype=torch.float64)
    away = torch.acos((rays @ rays[row, 3]).clamp(-1, 1))
    grown = grow_mask(mask, math.radians(degrees))
    pixel = 1.01 * math.pi / H / 2
    assert grown[away < math.radians(degrees) - pixel].all()
    assert not grown[away > math.radians(degrees) + pixel].any()
    assert grown[row, 3]


def test_growing_goes_around_the_seam_and_keeps_full_and_empty():
    mask = torch.zeros(H, 2 * H, dtype=torch.bool)
    assert not grow_mask(mask, 0.5).any()
    assert grow_mask(~mask, 0.5).all()
    mask[32, 0] = True
    grown = grow_mask(mask, math.radians(10))
    assert torch.equal(grown, grow_mask(mask.roll(40, -1), math.radians(10)).roll(-40, -1))
    assert grown[32, -1]


def test_the_nadir_disc_the_mask_and_its_growth():
    holes = hole_mask(H, nadir=math.radians(30))
    assert torch.equal(holes, erp_rays(H)[..., 1] > math.cos(math.radians(30)))
    assert not hole_mask(H).any()
    mask = torch.zeros(2 * H, 4 * H)
    mask[40:60, 100:140] = 1
    small = hole_mask(H, mask=mask, zenith=0.2)
    assert torch.equal(small[10:], (mask.view(H, 2, 2 * H, 2).mean((1, 3)) >= 0.5)[10:])
    assert small[0].all()
    grown, shrunk = (hole_mask(H, mask=mask, grow=g) for g in (0.1, -0.1))
    middle = hole_mask(H, mask=mask)
    assert (grown | middle).sum() == grown.sum() > middle.sum() > shrunk.sum() > 0
    assert (shrunk & ~middle).sum() == 0


def test_feathering_falls_to_nothing_outside():
    mask = torch.zeros(H, 2 * H, dtype=torch.bool)
    mask[30:34, 60:64] = True
    soft = feather_mask(mask, math.radians(20))
    assert (soft[mask] == 1).all()
    assert (soft[grow_mask(mask, math.radians(20))] < 1).any()
    assert (soft[~grow_mask(mask, math.radians(20))] == 0).all()
    line = soft[32, 63:72]
    assert (line[1:] <= line[:-1]).all()
    assert torch.equal(feather_mask(mask, 0.0), mask.float())


def test_wrong_arguments_get_a_sentence():
    with pytest.raises(InputError, match="nadir"):
        hole_mask(H, nadir=2.0)
    with pytest.raises(InputError, match="grow"):
        hole_mask(H, grow=math.nan)
    with pytest.raises(ConventionError, match=r"mask: .*twice as wide"):
        hole_mask(H, mask=torch.zeros(H, H))
    with pytest.raises(InputError, match="width"):
        feather_mask(torch.zeros(H, 2 * H, dtype=torch.bool), -1.0)
