from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pantheon_core.assets import sample_panoramas, weights_path
from pantheon_core.errors import BackendUnavailableError, InputError
from pantheon_core.geometry import resize_erp
from pantheon_core.recon import reconstruct
from pantheon_core.recon._refine import floor_plane, joint_upsample
from pantheon_core.recon._tiny_net import TinyDepthNet, latitude_prior, sphere_pad
from pantheon_core.recon._tiny_weights import load_tiny, save_tiny
from pantheon_core.recon.tiny import TinyBackend
from pantheon_core.synthetic import HOLDOUT_SEED, generate_scene, trace


def photo(name: str, height: int = 128) -> torch.Tensor:
    from PIL import Image

    with Image.open(sample_panoramas()[name]) as image:
        array = np.asarray(image.convert("RGB"))
    return resize_erp(torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255, height).clamp(0, 1)


@pytest.fixture(scope="module")
def hotel() -> torch.Tensor:
    return photo("hotel_room")


def test_sphere_pad_continues_over_seam_and_poles() -> None:
    x = torch.arange(4 * 8, dtype=torch.float32).reshape(1, 1, 4, 8)
    padded = sphere_pad(x, 1)[0, 0]
    assert torch.equal(padded[1:-1, 0], x[0, 0, :, -1])
    assert torch.equal(padded[1:-1, -1], x[0, 0, :, 0])
    assert torch.equal(padded[0, 1:-1], x[0, 0, 0].roll(4))
    assert torch.equal(padded[-1, 1:-1], x[0, 0, -1].roll(4))


def test_yaw_rolls_commute(hotel: torch.Tensor) -> None:
    backend = TinyBackend(height=128)
    plain = backend.estimate(hotel)
    for turn in (32, 160):
        rolled = backend.estimate(hotel.roll(turn, -1))
        torch.testing.assert_close(rolled.distance, plain.distance.roll(turn, -1), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(rolled.sky, plain.sky.roll(turn, -1), atol=1e-3, rtol=0)


def test_zero_padding_would_break_it(hotel: torch.Tensor) -> None:
    net = load_tiny(weights_path("tiny_depth"))
    for module in net.modules():
        if hasattr(module, "spherical"):
            module.spherical = False
    with torch.no_grad():
        plain, rolled = net(hotel[None]).residual, net(hotel.roll(128, -1)[None]).residual
    assert (rolled - plain.roll(64, -1)).abs().max() > 0.05


def test_no_seam(hotel: torch.Tensor) -> None:
    log = TinyBackend().estimate(hotel.roll(64, -1)).distance.clamp(min=0.1).log()
    step = (log - log.roll(-1, 1)).abs().mean(0)
    assert step[-1] < 3 * step.mean()


def test_same_twice_and_inputs_untouched(hotel: torch.Tensor) -> None:
    before = hotel.clone()
    first, second = TinyBackend().estimate(hotel), TinyBackend().estimate(hotel)
    assert torch.equal(first.distance, second.distance)
    assert torch.equal(hotel, before)
    assert not first.metric


def _median_scaled(log: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor) -> float:
    weight = torch.cos((0.5 - (torch.arange(log.shape[0]) + 0.5) / log.shape[0]) * math.pi)[:, None]
    error = log - truth.clamp(min=0.1).log()
    error = error - error[valid].median()
    return float((((error.exp() - 1).abs() * weight)[valid]).sum() / (weight.expand_as(log)[valid]).sum())


def test_better_than_latitude_on_held_out_scenes() -> None:
    ours, prior = [], []
    for offset, kind in enumerate(("room", "street", "garden")):
        frame = trace(generate_scene(HOLDOUT_SEED + 40 + offset, kind), torch.eye(4), 128)
        estimate = TinyBackend().estimate(frame.rgb)
        both = estimate.valid & frame.valid
        ours.append(_median_scaled(estimate.distance.clamp(min=0.05).log(), frame.distance, both))
        prior.append(_median_scaled(latitude_prior(128).expand(-1, 256), frame.distance, both))
    assert sum(ours) < 0.75 * sum(prior), (ours, prior)


def test_sky_outdoors_and_not_indoors(hotel: torch.Tensor) -> None:
    assert float((TinyBackend().estimate(hotel).sky > 0.5).float().mean()) < 0.02
    outdoor = TinyBackend().estimate(photo("quay_sunset")).sky > 0.5
    assert outdoor[:32].float().mean() > 0.8
    assert outdoor[72:].float().mean() < 0.02


def test_cache_of_a_photograph(hotel: torch.Tensor) -> None:
    cache = reconstruct(hotel)
    assert cache.points.shape[0] > 0.7 * 128 * 256
    assert cache.provenance["backend"] == "tiny"
    assert not cache.metric


def test_upsampling_keeps_to_one_side_of_an_edge() -> None:
    coarse = torch.full((1, 16, 32), math.log(2.0))
    coarse[:, :, 10:20] = math.log(10.0)
    rgb = torch.zeros(3, 64, 128)
    rgb[:, :, 40:80] = 1.0
    small = torch.nn.functional.avg_pool2d(rgb[None], 4)[0]
    full = joint_upsample(coarse, small, rgb)[0].exp()
    expected = torch.where(rgb[0] > 0.5, 10.0, 2.0)
    torch.testing.assert_close(full, expected, atol=0.05, rtol=0)


def test_floor_is_pulled_onto_a_plane_only_where_it_agrees() -> None:
    down = -torch.sin((0.5 - (torch.arange(64) + 0.5) / 64) * math.pi)[:, None].expand(-1, 128)
    plane = (1.5 / down.clamp(min=0.02)).log()
    wavy = plane + 0.1 * torch.sin(torch.arange(128) / 5.0)
    table = plane - 0.8
    floor = (down > 0.05).float()
    flat = floor_plane(wavy, floor, 1.5)
    torch.testing.assert_close(flat[down > 0.05], plane[down > 0.05])
    assert torch.equal(floor_plane(table, floor, 1.5), table)


def test_weights_round_trip_and_are_small(tmp_path: Path) -> None:
    assert weights_path("tiny_depth").stat().st_size < 4_000_000
    net = TinyDepthNet(context=8, head=12)
    save_tiny(net, tmp_path / "w.safetensors", height=64)
    again = load_tiny(tmp_path / "w.safetensors")
    assert again.input_height == 64
    for name, value in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], value.half().float())
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad\.safetensors"):
        load_tiny(tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="multiple of 32"):
        TinyBackend(height=100)


FASTDEPTH = Path(__file__).parents[3] / "shared" / "models" / "fastdepth_nyu.onnx"


@pytest.mark.weights
@pytest.mark.skipif(not FASTDEPTH.is_file(), reason="FastDepth's ONNX file is not beside the checkout")
def test_conversion_equals_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

    from pantheon_core.training.depth_from_onnx import load_fastdepth

    class BatchNormalization(OpRun):
        # the evaluator's own version for opset 7 answers with the wrong type
        def _run(self, x, gain, shift, mean, var, epsilon=None, momentum=None, training_mode=None):
            gain, shift, mean, var = (v.reshape(1, -1, 1, 1) for v in (gain, shift, mean, var))
            return ((gain * (x - mean) / np.sqrt(var + epsilon) + shift).astype(x.dtype),)

    class Upsample(OpRun):
        def _run(self, x, mode=None, scales=None):
            return (x.repeat(2, axis=2).repeat(2, axis=3),)

    crop = torch.rand(1, 3, 64, 64)
    model = onnx.load(str(FASTDEPTH))
    reference = ReferenceEvaluator(model, new_ops=[BatchNormalization, Upsample])
    expected = reference.run(None, {"0": crop.numpy()})[0]
    with torch.no_grad():
        ours = load_fastdepth(FASTDEPTH)(crop)
    np.testing.assert_allclose(ours.numpy()[0], expected[0, 0], atol=1e-4)


def test_missing_fastdepth_is_told(tmp_path: Path) -> None:
    from pantheon_core.training.depth_from_onnx import load_fastdepth

    with pytest.raises(BackendUnavailableError, match="--fastdepth"):
        load_fastdepth(tmp_path / "none.onnx")
