from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pantheon_core.diffusion import FusionSettings, PantheonModel, SamplerSettings, encode_tokens, generate
from pantheon_core.diffusion.fusion import FusedDenoiser, frame_weights
from pantheon_core.diffusion.reinjection import reinjection_route
from pantheon_core.errors import InputError, ShapeError

QUICK = SamplerSettings(steps=2, sigma_max=20.0, guidance_max=1.0)


@pytest.mark.parametrize("kind", ["linear", "cosine", "sigmoid"])
def test_weights_go_from_one_to_zero_and_mirror(kind: str) -> None:
    weights = frame_weights(FusionSettings(weights=kind), 9)
    assert weights[0] == 1.0
    assert abs(float(weights[-1])) < 1e-7
    assert bool((weights.diff() <= 0).all())
    torch.testing.assert_close(weights + weights.flip(0), torch.ones(9))


def test_linear_weights_are_the_papers() -> None:
    torch.testing.assert_close(frame_weights(FusionSettings(), 5), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))


def test_blend_in_real_time_order() -> None:
    weights = torch.tensor([1.0, 0.5, 0.0])
    fused = FusedDenoiser(
        forward=lambda x, sigma: x + 1.0,
        backward=lambda x, sigma: torch.arange(3.0).view(1, 3, 1, 1, 1).expand_as(x),
        weights=weights,
    )
    x = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1, 1)
    # The reverse path's own frame 0 is the video's last.
    assert fused(x, 1.0).flatten().tolist() == [11.0, 0.5 * 21.0 + 0.5 * 1.0, 0.0]
    with pytest.raises(ShapeError):
        fused(x[:, :2], 1.0)


def test_route_repeats_windows_in_the_first_part() -> None:
    settings = FusionSettings(reinject_steps=2, reinject_repeats=1, reinject_until=0.5)
    route = reinjection_route(8, settings)
    window = [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2)]
    assert route == window + [(a + 2, b + 2) for a, b in window] + [(i, i + 1) for i in range(4, 8)]
    assert reinjection_route(3, None) == [(0, 1), (1, 2), (2, 3)]


def test_every_route_is_connected_and_ends_at_zero() -> None:
    for steps in (1, 7, 25):
        for length, repeats, until in ((1, 3, 1.0), (3, 2, 0.5), (5, 1, 0.9)):
            settings = FusionSettings(reinject_steps=length, reinject_repeats=repeats, reinject_until=until)
            if int(until * steps) < length:
                with pytest.raises(InputError, match="would do nothing"):
                    reinjection_route(steps, settings)
                continue
            route = reinjection_route(steps, settings)
            assert route[0][0] == 0
            assert route[-1][1] == steps
            assert all(a[1] == b[0] for a, b in pairwise(route))
            assert len(route) > steps


@pytest.mark.parametrize(
    "values",
    [
        {"weights": "quadratic"},
        {"reinject_steps": 3},
        {"reinject_repeats": 2},
        {"reinject_steps": -1, "reinject_repeats": -1},
        {"reinject_until": 0.0},
        {"reinject_until": 1.5},
        {"sharpness": 0.0},
        {"sharpness": float("nan")},
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict) -> None:
    with pytest.raises(InputError, match="FusionSettings"):
        FusionSettings(**values)


def test_forward_weights_give_the_forward_path(
    nano: PantheonModel, clip: tuple[Tensor, Tensor, list[Tensor]]
) -> None:
    scaffold, coverage, anchors = clip
    plain = generate(nano, scaffold, coverage, anchors, settings=QUICK)
    forward = generate(
        nano, scaffold, coverage, anchors, settings=QUICK, fusion=FusionSettings(weights="forward")
    )
    fused = generate(nano, scaffold, coverage, anchors, settings=QUICK, fusion=FusionSettings())
    assert torch.equal(plain.latents, forward.latents)
    assert torch.equal(plain.frames, forward.frames)
    # Frame 0 follows the forward path alone in the blend, but its neighbours, which it attends to, do not.
    assert float((fused.latents - plain.latents).abs().max()) > 1e-3


@pytest.mark.parametrize("variant", ["single", "dual"])
@pytest.mark.parametrize("conditioning", ["scaffold", "first_frame"])
def test_fusion_is_the_same_in_reversed_time(
    build_nano: Callable[..., PantheonModel],
    clip: tuple[Tensor, Tensor, list[Tensor]],
    variant: str,
    conditioning: str,
) -> None:
    """Swap the anchors and reverse everything: a symmetric blend gives the reversed video."""
    from pantheon_core.diffusion.sample import Conditions, sample_latents

    model = build_nano(variant=variant, conditioning=conditioning, token_roles=True)
    scaffold, _, anchors = clip
    frames = scaffold if conditioning == "scaffold" else torch.stack(anchors)
    noise = torch.randn(1, 3, 4, 8, 16)
    call = {"settings": QUICK, "fusion": FusionSettings()}
    with torch.no_grad():
        there = sample_latents(model, Conditions(frames=frames, anchors=anchors), noise, **call)
        back = sample_latents(
            model, Conditions(frames=frames.flip(0), anchors=anchors[::-1]), noise.flip(1), **call
        )
    torch.testing.assert_close(back, there.flip(1), atol=1e-4, rtol=0)


def test_roles_tell_start_from_end(
    build_nano: Callable[..., PantheonModel], clip: tuple[Tensor, Tensor, list[Tensor]]
) -> None:
    model = build_nano(variant="dual", token_roles=True)
    start, end = clip[2]
    with torch.no_grad():
        tokens = encode_tokens(model, [start, end])
        swapped = encode_tokens(model, [end, start])
    assert tokens.shape == (1, 16, 32)
    # The same panorama in the other role has other tokens, by the same offset for all.
    offset = tokens[:, :8] - swapped[:, 8:]
    assert float(offset.abs().max()) > 1e-3
    torch.testing.assert_close(offset, offset[:, :1].expand_as(offset), atol=1e-5, rtol=0)
