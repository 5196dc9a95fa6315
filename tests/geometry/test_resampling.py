"""Plans of views, and the two ways of looking them up: the kernel gives the bits of plain torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pantheon_core.geometry import (
    crop_rotations,
    erp_rays,
    erp_to_cubemap,
    erp_to_perspective,
    perspective,
    perspective_rays,
    rays_to_erp_pixels,
    rotate_erp,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
    sample_erp,
)
from pantheon_core.geometry._lookup import KERNEL, Kernel, look_up
from pantheon_core.geometry._plan import Plan, largest_step, make_plan
from pantheon_core.geometry._plan_store import PLANS, PlanStore
from pantheon_core.geometry.perspective import _largest_steps, focal_length
from pantheon_core.warp_runtime import warp_available

ANGLES = st.floats(-math.pi, math.pi, allow_nan=False)
FAST = settings(max_examples=40, deadline=None)
TORCH, WARP = Kernel(worth=math.inf), Kernel(worth=0)
needs_warp = pytest.mark.skipif(not warp_available(), reason="warp-lang is not installed")


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@contextmanager
def process_kernel(kernel: Kernel) -> Iterator[None]:
    """Everything in the block looks up by this kernel, however little it is."""
    before = KERNEL.worth, KERNEL._launch
    KERNEL.worth, KERNEL._launch = math.inf, kernel.ready(1)
    try:
        yield
    finally:
        KERNEL.worth, KERNEL._launch = before


def same_bits(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype == torch.float32 and torch.equal(a.view(torch.int32), b.view(torch.int32))


@needs_warp
@FAST
@given(
    yaw=ANGLES,
    pitch=st.one_of(ANGLES, st.sampled_from([math.pi / 2, -math.pi / 2])),
    height=st.integers(1, 40),
    planes=st.integers(1, 7),
    fov=st.floats(0.2, 3.0),
    size=st.integers(1, 24),
)
def test_the_kernel_gives_the_bits_of_plain_torch(
    yaw: float, pitch: float, height: int, planes: int, fov: float, size: int
) -> None:
    rotation = rotation_from_yaw_pitch_roll(yaw, pitch)
    rays = rotate_vectors(rotation, perspective_rays(size, size + 1, fov)).permute(2, 0, 1)
    taps = next(iter(make_plan(rays, height, antialias=False).taps))
    image = noise(planes, 2 * height * height)
    once = look_up(image, taps, height, kernel=WARP)
    assert same_bits(once, look_up(image, taps, height, kernel=TORCH))
    totals = [look_up(image, taps, height, once.clone(), kernel=kernel) for kernel in (WARP, TORCH)]
    assert same_bits(*totals)


@needs_warp
@pytest.mark.parametrize(
    "view",
    [
        lambda erp: rotate_erp(erp, rotation_from_yaw_pitch_roll(0.3, 1.4, -2.0)),
        lambda erp: rotate_erp(erp, torch.eye(3)),
        lambda erp: rotate_erp(erp, rotation_from_yaw_pitch_roll(0.3, 1.4), height=9),
        lambda erp: erp_to_perspective(erp, crop_rotations(8), fov_x=1.5, height=7, width=9),
        lambda erp: sample_erp(torch.stack((erp, erp.flip(-1)))[:, None], erp_rays(24).expand(3, -1, -1, -1)),
        lambda erp: erp_to_cubemap(erp, 40),
        lambda erp: sample_erp(erp.permute(0, 2, 1).contiguous().permute(0, 2, 1), erp_rays(5)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_nobody_can_tell_which_way_was_taken(view: Callable[[Tensor], Tensor], channels: int) -> None:
    erp = noise(channels, 32, 64)
    with process_kernel(TORCH):
        slow = view(erp)
    with process_kernel(WARP):
        fast = view(erp)
    assert same_bits(slow, fast)


@needs_warp
@pytest.mark.parametrize("columns", [0, 1, -37, 64])
def test_the_kernel_is_exact_for_whole_pixels(columns: int) -> None:
    erp = noise(3, 77, 154)
    with process_kernel(WARP):
        turned = rotate_erp(erp, rotation_from_yaw_pitch_roll(2 * math.pi * columns / 154))
    assert torch.equal(turned, erp.roll(-columns, -1))


@FAST
@given(yaw=ANGLES, pitch=ANGLES, roll=ANGLES, height=st.integers(1, 300))
def test_places_are_those_of_the_written_formulas(yaw: float, pitch: float, roll: float, height: int) -> None:
    wide = torch.zeros((), dtype=torch.float64)
    rotation = rotation_from_yaw_pitch_roll(wide + yaw, wide + pitch, wide + roll)
    rays = rotate_vectors(rotation, erp_rays(7, dtype=torch.float64))
    taps = next(iter(make_plan(rays.permute(2, 0, 1), height, antialias=False, dtype=torch.float64).taps))
    row, column = taps.pixels(height)
    got = torch.stack((column + taps.across.flatten(), row + taps.down.flatten()), -1)
    off = got - rays_to_erp_pixels(rays, height).flatten(0, 1)
    off[:, 0] -= (off[:, 0] / (2 * height)).round() * 2 * height
    assert float(off.abs().max()) < 1e-9
    numbers = torch.arange(2.0 * height * height, dtype=torch.float64)  # float32 would round the fractions
    nearest = sample_erp(numbers.view(1, height, -1), rays, mode="nearest")
    at = got.add(0.5).floor().long()
    over = (at[:, 1] < 0) | (at[:, 1] >= height)
    expected = at[:, 1].clamp(0, height - 1) * 2 * height + (at[:, 0] + over * height) % (2 * height)
    clear = ((got % 1 - 0.5).abs() > 1e-9).all(-1)  # not half way between two
    assert torch.equal(nearest.flatten().long()[clear], expected[clear])
    assert int(row.min()) >= -1
    assert int(row.max()) < height
    assert int(column.min()) >= 0
    assert int(column.max()) < 2 * height


@FAST
@given(fov=st.floats(0.05, 3.0), width=st.integers(1, 30), height=st.integers(1, 30))
def test_steps_of_a_view_are_its_largest(fov: float, width: int, height: int) -> None:
    unit = perspective_rays(height, width, fov, dtype=torch.float64).permute(2, 0, 1)
    got = _largest_steps(height, width, focal_length(width, fov))
    assert got == pytest.approx((largest_step(unit, dim=-1), largest_step(unit, dim=-2)), abs=1e-7)


@needs_warp
def test_rays_without_direction_are_not_read_outside_the_image() -> None:
    rays = erp_rays(4)
    rays[0, 0] = math.nan
    rays[1, 1] = torch.tensor([0.0, math.inf, math.inf])
    rays[2, 2] = 0
    found = []
    for kernel in (TORCH, WARP):
        with process_kernel(kernel):
            found.append(sample_erp(noise(3, 4, 8), rays, antialias=False))
    torch.testing.assert_close(*found, rtol=0, atol=0, equal_nan=True)
    assert bool(found[0][:, 0, 0].isnan().all())
    assert bool(found[0][:, 2:].isfinite().all())


@needs_warp
def test_gradients_and_other_types_take_plain_torch() -> None:
    erp, rotation = noise(3, 16, 32), rotation_from_yaw_pitch_roll(2.9, 1.2)
    with process_kernel(WARP):
        plain = rotate_erp(erp, rotation)
        wanted = erp.clone().requires_grad_()
        found = rotate_erp(wanted, rotation)
        assert same_bits(found.detach(), plain)
        found.sum().backward()
        assert wanted.grad is not None
        # Every pixel's weights sum to one.
        assert float(wanted.grad.sum()) == pytest.approx(found.numel(), rel=1e-5)
        double = rotate_erp(erp.double(), rotation)
        assert double.dtype == torch.float64
        torch.testing.assert_close(double.float(), plain, atol=1e-5, rtol=0)
        half = rotate_erp(erp.half(), rotation)
        torch.testing.assert_close(half, rotate_erp(erp.half().float(), rotation).half(), atol=0, rtol=0)
        with torch.no_grad():
            assert same_bits(rotate_erp(wanted, rotation), plain)


def test_gradients_reach_the_directions() -> None:
    erp = noise(2, 6, 12).double()
    rotation = rotation_from_yaw_pitch_roll(torch.tensor(0.41, dtype=torch.float64), 0.33, 0.2)
    rays = perspective_rays(3, 4, 1.5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda r: sample_erp(erp, r, antialias=False), (rays,))
    turn = rotation.clone().requires_grad_()
    view = {"fov_x": 1.1, "height": 3, "width": 4}
    assert torch.autograd.gradcheck(lambda r: erp_to_perspective(erp, r, **view), (turn,))


def test_a_view_that_comes_again_is_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Plan] = []

    def counted(*args: object, **kwargs: object) -> Plan:
        made.append(make_plan(*args, **kwargs))  # pyright: ignore[reportArgumentType]
        return made[-1]

    monkeypatch.setattr(perspective, "make_plan", counted)
    PLANS.clear()
    rotation = rotation_from_yaw_pitch_roll(0.7321, -0.2)
    frames = noise(4, 3, 16, 32)
    view = {"fov_x": 0.9, "height": 6, "width": 8}
    views = [erp_to_perspective(frame, rotation, **view) for frame in frames]
    assert len(made) == 2  # kept when it came again
    assert torch.equal(erp_to_perspective(frames, rotation, **view), torch.stack(views))
    assert len(made) == 2
    erp_to_perspective(frames[0], rotation, **{**view, "width": 9})
    erp_to_perspective(frames[0], rotation + 1e-7, **view)
    erp_to_perspective(noise(3, 8, 16), rotation, **view)
    erp_to_perspective(frames[0].double(), rotation, **view)
    erp_to_perspective(frames[0], rotation, antialias=False, **view)
    assert len(made) == 7
    erp_to_perspective(frames[0], rotation.clone().requires_grad_(), **view)
    assert len(made) == 8
    erp_to_perspective(frames[0], rotation, **view)
    assert len(made) == 8


def test_the_store_keeps_within_its_bytes() -> None:
    def make() -> Plan:
        return make_plan(erp_rays(4).permute(2, 0, 1), 8, antialias=False)

    each = make().nbytes
    assert each == sum(t.nbytes for taps in make().taps for t in (taps.index, taps.across, taps.down))
    store = PlanStore(limit=3 * each, largest=each)
    once = [store.get(key, make) for key in "abcd"]
    assert store.nbytes == 0
    twice = [store.get(key, make) for key in "abc"]
    assert store.nbytes == 3 * each
    assert not {id(plan) for plan in once} & {id(plan) for plan in twice}
    assert [store.get(key, make) for key in "abc"] == twice
    store.get("a", make)
    kept = store.get("d", make)  # drops b, the one not used for longest
    assert store.nbytes == 3 * each
    assert store.get("a", make) is twice[0]
    assert store.get("d", make) is kept
    assert store.get("b", make) is not twice[1]
    small = PlanStore(limit=3 * each, largest=each - 1)
    held = [small.get("a", make) for _ in range(3)]
    assert held[1] is not held[2]
    assert small.nbytes == 0
    few = PlanStore(most=2)
    for key in "ababc":
        few.get(key, make)
    assert few.nbytes == each


@needs_warp
def test_many_threads_find_what_one_finds() -> None:
    erp = noise(3, 32, 64)
    rotations = list(rotation_from_yaw_pitch_roll(torch.linspace(0, 3, 12), 1.1))

    def look(rotation: Tensor) -> Tensor:
        return erp_to_perspective(erp, rotation, fov_x=1.0, height=20, width=20)

    with process_kernel(TORCH):
        alone = [look(rotation) for rotation in rotations]
    PLANS.clear()
    with process_kernel(WARP), ThreadPoolExecutor(6) as pool:
        together = list(pool.map(look, rotations * 4))
    assert all(same_bits(a, b) for a, b in zip(alone * 4, together, strict=True))
    assert PLANS.nbytes > 0
    assert PLANS.nbytes == sum(plan.nbytes for plan in PLANS._plans.values() if plan is not None)


@needs_warp
def test_the_kernel_is_loaded_when_it_is_worth_it() -> None:
    kernel = Kernel(worth=100)
    assert kernel.ready(60) is None
    with ThreadPoolExecutor(1) as pool, kernel._lock:  # another thread goes on while one loads
        assert pool.submit(kernel.ready, 60).result() is None
    assert kernel.ready(40) is not None
    assert kernel.ready(1) is kernel.ready(1)


def test_without_warp_plain_torch_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "warp", None)
    kernel = Kernel(worth=0)
    assert kernel.ready(1) is None
    monkeypatch.undo()
    assert kernel.ready(1) is None  # it is asked for once
