from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pantheon_core.diffusion import (
    PantheonModel,
    SamplerSettings,
    decode_latents,
    encode_tokens,
    encode_video,
    spherical,
)
from pantheon_core.diffusion.sample import Conditions, sample_latents
from pantheon_core.errors import InputError

ROLL = 64


def whole_chain(model: PantheonModel, clip: tuple[Tensor, Tensor, list[Tensor]], roll: int) -> Tensor:
    """Crops, encoding, sampling and decoding of a scene turned by `roll` pixels, its noise with it."""
    scaffold, _, anchors = clip
    noise = torch.randn(1, 3, 4, 8, 16, generator=torch.Generator().manual_seed(1))
    settings = SamplerSettings(steps=3, sigma_max=20.0)
    with torch.no_grad():
        latents = sample_latents(
            model,
            Conditions(frames=scaffold.roll(roll, -1), anchors=[anchors[0].roll(roll, -1)]),
            noise.roll(roll // 8, -1),
            settings=settings,
        )
        return decode_latents(model, latents[0])


@pytest.mark.parametrize("poles", [False, True])
def test_generator_commutes_with_yaw(
    nano: PantheonModel, clip: tuple[Tensor, Tensor, list[Tensor]], poles: bool
) -> None:
    with spherical(nano.unet, nano.vae, poles=poles):
        straight, turned = whole_chain(nano, clip, 0), whole_chain(nano, clip, ROLL)
    assert float(straight.std()) > 0.01
    torch.testing.assert_close(turned, straight.roll(ROLL, -1), rtol=0, atol=1e-5)


def test_generator_does_not_commute_without(
    nano: PantheonModel, clip: tuple[Tensor, Tensor, list[Tensor]]
) -> None:
    straight, turned = whole_chain(nano, clip, 0), whole_chain(nano, clip, ROLL)
    assert float((turned - straight.roll(ROLL, -1)).abs().max()) > 0.01


def test_tokens_turn_with_the_panorama(
    nano: PantheonModel, clip: tuple[Tensor, Tensor, list[Tensor]]
) -> None:
    anchor = clip[2][0]
    with torch.no_grad():
        straight, turned = encode_tokens(nano, [anchor]), encode_tokens(nano, [anchor.roll(-ROLL, -1)])
    assert straight.shape == (1, 8, 32)
    torch.testing.assert_close(turned, straight.roll(-4, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_poles_continue_on_the_far_side(stride: int) -> None:
    conv = nn.Conv2d(2, 3, 3, stride=stride, padding=1)
    x = torch.randn(1, 2, 6, 8)
    rows = torch.cat([x[..., :1, :].roll(4, -1), x, x[..., -1:, :].roll(4, -1)], -2)
    wanted = F.conv2d(torch.cat([rows[..., -1:], rows, rows[..., :1]], -1), conv.weight, conv.bias, stride)
    with torch.no_grad(), spherical(conv, poles=True):
        torch.testing.assert_close(conv(x), wanted)


def test_three_dimensional_convolutions() -> None:
    spatial, temporal = nn.Conv3d(2, 2, 3, padding="same"), nn.Conv3d(2, 2, (3, 1, 1), padding=(1, 0, 0))
    x = torch.randn(1, 2, 3, 4, 8)
    with torch.no_grad():
        plain = temporal(x)
        with spherical(spatial, temporal):
            assert torch.equal(temporal(x), plain)
            torch.testing.assert_close(spatial(x.roll(3, -1)), spatial(x).roll(3, -1))
            torch.testing.assert_close(spatial(x)[..., 2:-2], spatial_zero(spatial, x)[..., 2:-2])


def spatial_zero(conv: nn.Conv3d, x: Tensor) -> Tensor:
    return F.conv3d(x, conv.weight, conv.bias, padding=1)


def test_odd_width_over_the_poles_is_refused() -> None:
    conv = nn.Conv2d(1, 1, 3, padding=1)
    with spherical(conv, poles=True), pytest.raises(InputError, match="even width"):
        conv(torch.zeros(1, 1, 4, 5))
    assert "_conv_forward" not in vars(conv)


def test_transposed_convolution_is_refused_and_nothing_changed() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ConvTranspose2d(1, 1, 3))
    with pytest.raises(InputError, match="ConvTranspose2d"), spherical(net):
        pass
    assert "_conv_forward" not in vars(net[0])


def test_restored_after_use_nesting_and_exceptions(
    nano: PantheonModel, untouched: tuple[Callable[..., dict[str, Tensor]], Callable[..., None]]
) -> None:
    snapshot, assert_untouched = untouched
    before = snapshot(nano)
    with spherical(nano, nano.unet), spherical(nano.unet, poles=True):
        assert "_conv_forward" in vars(nano.unet.conv_in)
    assert_untouched(nano, before)
    with pytest.raises(KeyboardInterrupt), spherical(nano.unet, nano.vae):
        raise KeyboardInterrupt
    assert_untouched(nano, before)


def test_inner_block_decides_and_outer_returns() -> None:
    conv = nn.Conv2d(1, 1, 3, padding=1)
    x = torch.randn(1, 1, 4, 8)
    with torch.no_grad(), spherical(conv):
        outer = conv(x)
        with spherical(conv, poles=True):
            assert not torch.equal(conv(x), outer)
        assert torch.equal(conv(x), outer)


def test_someone_elses_override_is_put_back() -> None:
    conv = nn.Conv2d(1, 1, 3, padding=1)
    theirs = conv._conv_forward
    conv._conv_forward = theirs  # an instance attribute, as other extensions set it
    with spherical(conv):
        assert vars(conv)["_conv_forward"] is not theirs
    assert vars(conv)["_conv_forward"] is theirs


def test_blocks_that_overlap_in_threads() -> None:
    conv = nn.Conv2d(1, 1, 3, padding=1)
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with spherical(conv):
            entered.set()
            leave.wait(5)

    thread = threading.Thread(target=other)
    with spherical(conv):
        thread.start()
        assert entered.wait(5)
    # We left first; the other block still holds.
    assert "_conv_forward" in vars(conv)
    leave.set()
    thread.join()
    assert "_conv_forward" not in vars(conv)


def test_encoder_alone_commutes(nano: PantheonModel) -> None:
    frames = torch.rand(2, 3, 64, 128)
    with torch.no_grad(), spherical(nano.vae):
        straight, turned = encode_video(nano, frames), encode_video(nano, frames.roll(8, -1))
    torch.testing.assert_close(turned, straight.roll(1, -1), rtol=0, atol=1e-5)


class Downsample(nn.Module):
    """Laid out as in Stability's own autoencoder: a column and a row of zeros, then a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.with_conv = True
        self.conv = nn.Conv2d(3, 3, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nn.functional.pad(x, (0, 1, 0, 1)))


def test_the_other_autoencoder_classes_wrap_around_too() -> None:
    torch.manual_seed(0)
    layer, x = Downsample(), torch.rand(1, 3, 8, 16)
    with torch.no_grad():
        assert not torch.allclose(layer(x.roll(4, -1)), layer(x).roll(2, -1), atol=1e-3)
        with spherical(layer):
            torch.testing.assert_close(layer(x.roll(4, -1)), layer(x).roll(2, -1))
