from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pantheon_core.diffusion import PantheonModel, SamplerSettings, VideoTask, generate_task
from pantheon_core.diffusion.memory import estimate_memory, generate_with_retry, smaller_chunks
from pantheon_core.errors import MemoryBudgetError

Clip = tuple[Tensor, Tensor, list[Tensor]]
QUICK = SamplerSettings(steps=1, sigma_max=20.0, guidance_max=1.0, decode_chunk=8, decode_overlap=2)


def live_bytes(call: Callable[[], object]) -> int:
    """The most memory that the CPU's allocator held at once during a call, by the profiler."""
    with torch.profiler.profile(profile_memory=True) as record:
        call()
    level = peak = 0
    for event in sorted(record.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            level += event.nbytes()
            peak = max(peak, level)
    return peak


def test_the_estimate_is_what_a_real_pass_takes(nano: PantheonModel) -> None:
    """A real UNet pass and a real decode on the CPU; kernels have scratch space of their own."""
    guess = estimate_memory(nano, 6, 128, replace(QUICK, decode_chunk=6))
    latents = torch.zeros(1, 6, 8, 16, 32)
    with torch.no_grad():
        passed = live_bytes(
            lambda: nano.unet(
                latents, torch.zeros(1), torch.zeros(1, 16, 32), added_time_ids=torch.zeros(1, 3)
            )
        )
        decoded = live_bytes(lambda: nano.vae.decode(latents[0, :, :4], num_frames=6))
    assert guess.decoding == pytest.approx(decoded, rel=0.2)
    assert guess.sampling == pytest.approx(passed, rel=0.2)
    assert guess.weights == sum(p.numel() * p.element_size() for p in nano.parameters())


def test_the_estimate_grows_with_the_work(nano: PantheonModel) -> None:
    small, large = estimate_memory(nano, 4, 64, QUICK), estimate_memory(nano, 8, 64, QUICK)
    assert large.sampling == pytest.approx(2 * small.sampling, rel=0.2)
    together = replace(QUICK, guidance_max=3.0, guidance_together=True)
    assert estimate_memory(nano, 4, 64, together).sampling > 1.8 * small.sampling
    assert estimate_memory(nano, 8, 64, replace(QUICK, encode_chunk=8)).encoding > 4 * large.encoding
    assert large.total == large.weights + max(large.sampling, large.encoding, large.decoding)
    assert "GiB" in str(large)


def test_smaller_chunks_end_somewhere() -> None:
    settings, seen = replace(QUICK, decode_chunk=32), []
    while (smaller := smaller_chunks(settings)) is not None:
        seen.append(smaller.decode_chunk)
        settings = smaller
    assert seen == [16, 8, 4]
    assert smaller_chunks(SamplerSettings(decode_chunk=3, decode_overlap=2, encode_chunk=1)) is None


class _Full:
    """A device whose memory is enough for `most` decoded frames."""

    def __init__(self, model: PantheonModel, most: int) -> None:
        self.most, self.calls = most, []
        self.handle = model.vae.decoder.register_forward_pre_hook(self)

    def __call__(self, module: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
        self.calls.append(len(args[0]))
        if len(args[0]) > self.most:
            raise torch.OutOfMemoryError("out of memory")


@pytest.fixture
def task(clip: Clip) -> VideoTask:
    scaffold, coverage, anchors = clip
    return VideoTask(
        scaffold_rgb=scaffold.repeat(2, 1, 1, 1), coverage=coverage.repeat(2, 1, 1), anchors=(anchors[0],)
    )


def test_one_more_try_in_smaller_chunks(nano: PantheonModel, task: VideoTask) -> None:
    device = _Full(nano, most=4)
    try:
        made = generate_with_retry(nano, task, settings=QUICK)
    finally:
        device.handle.remove()
    assert max(device.calls) == 6
    wanted = generate_task(nano, task, settings=replace(QUICK, decode_chunk=4, encode_chunk=1))
    assert torch.equal(made.frames, wanted.frames)


def test_it_says_so_when_that_is_too_much_too(nano: PantheonModel, task: VideoTask) -> None:
    device = _Full(nano, most=1)
    try:
        with pytest.raises(MemoryBudgetError, match=r"6 frames of 64 x 128 need .*fewer frames"):
            generate_with_retry(nano, task, settings=QUICK)
    finally:
        device.handle.remove()


def test_other_errors_are_not_tried_again(nano: PantheonModel, task: VideoTask) -> None:
    calls: list[int] = []

    def fail(module: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
        calls.append(1)
        raise RuntimeError("something else")

    handle = nano.unet.register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="something else"):
            generate_with_retry(nano, task, settings=QUICK)
    finally:
        handle.remove()
    assert len(calls) == 1
