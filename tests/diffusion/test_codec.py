from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from pantheon_core.diffusion import PantheonModel, decode_latents, encode_video
from pantheon_core.diffusion.codec import decode_windows
from pantheon_core.diffusion.preview import fit_preview
from pantheon_core.errors import InputError, ShapeError


def test_windows_cover_everything_and_overlap() -> None:
    assert decode_windows(14, chunk=8, overlap=2) == [(0, 8), (6, 14)]
    assert decode_windows(5, chunk=8, overlap=2) == [(0, 5)]
    assert decode_windows(3, chunk=1, overlap=0) == [(0, 1), (1, 2), (2, 3)]
    for frames in range(1, 40):
        for chunk, overlap in ((1, 0), (4, 1), (8, 2), (8, 7)):
            windows = decode_windows(frames, chunk=chunk, overlap=overlap)
            assert (windows[0][0], windows[-1][1]) == (0, frames)
            assert {stop - start for start, stop in windows} == {min(chunk, frames)}
            gaps = pairwise(windows)
            assert all(a[1] - b[0] >= overlap and b[0] > a[0] for a, b in gaps)


def test_encoding_does_not_depend_on_the_chunk(nano: PantheonModel) -> None:
    frames = torch.rand(5, 3, 32, 64)
    with torch.no_grad():
        one, many = encode_video(nano, frames, chunk=1), encode_video(nano, frames, chunk=4)
    assert one.shape == (5, 4, 4, 8)
    torch.testing.assert_close(one, many, atol=1e-5, rtol=0)


def test_decoding_is_the_networks_and_windows_cross_fade(nano: PantheonModel) -> None:
    latents = torch.randn(6, 4, 2, 4)
    with torch.no_grad():
        whole = decode_latents(nano, latents, chunk=6)
        direct = nano.vae.decode(latents / nano.scaling_factor, num_frames=6).sample
        first, second = (decode_latents(nano, part) for part in (latents[:4], latents[2:]))
        faded = decode_latents(nano, latents, chunk=4, overlap=2)
    torch.testing.assert_close(whole, (direct / 2 + 0.5).clamp(0, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(faded[:2], first[:2], atol=1e-5, rtol=0)
    torch.testing.assert_close(faded[4:], second[2:], atol=1e-5, rtol=0)
    # Frames 2 and 3 are in both windows, with shares 2/3 and 1/3 of the first; clamping moves few pixels.
    wanted = torch.stack([(2 * first[2] + second[0]) / 3, (first[3] + 2 * second[1]) / 3])
    assert float((faded[2:4] - wanted).abs().median()) < 1e-5


def test_refusals(nano: PantheonModel) -> None:
    with pytest.raises(InputError, match="multiples of 8"):
        encode_video(nano, torch.zeros(1, 3, 30, 60))
    with pytest.raises(ShapeError):
        encode_video(nano, torch.zeros(3, 32, 64))
    for chunk, overlap in ((0, 0), (4, 4), (4, -1)):
        with pytest.raises(InputError, match="overlap"):
            decode_latents(nano, torch.zeros(2, 4, 2, 4), chunk=chunk, overlap=overlap)


def test_preview_recovers_a_linear_code() -> None:
    matrix, constant = torch.randn(4, 3) * 0.05, torch.tensor([0.4, 0.5, 0.6])
    latents = torch.randn(3, 4, 8, 16)
    colours = torch.einsum("tchw,cd->tdhw", latents, matrix) + constant.view(3, 1, 1)
    frames = colours.clamp(0, 1).repeat_interleave(8, -1).repeat_interleave(8, -2)
    assert float((fit_preview(latents, frames)(latents) - colours.clamp(0, 1)).abs().max()) < 0.01


def test_preview_of_a_scaffold_of_one_colour() -> None:
    preview = fit_preview(torch.ones(2, 4, 4, 8), torch.full((2, 3, 32, 64), 0.25))
    torch.testing.assert_close(
        preview(torch.ones(1, 4, 4, 8)), torch.full((1, 3, 4, 8), 0.25), atol=1e-3, rtol=0
    )
