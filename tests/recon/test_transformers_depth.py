"""Depth backends on the real classes of transformers with tiny random weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pantheon_core.errors import BackendUnavailableError, InputError
from pantheon_core.geometry import erp_rays, perspective_rays
from pantheon_core.recon import get_backend
from pantheon_core.recon.transformers_depth import DEPTH_MODELS, release_networks
from pantheon_core.recon.transformers_depth._load import DepthNetwork, find_weights, load_network
from pantheon_core.recon.transformers_depth._run import depths_of_views, preprocess
from pantheon_core.recon.transformers_depth._sky import far_scores, sky_of

transformers = pytest.importorskip("transformers")

CPU = torch.device("cpu")
SMALL = {"size": {"height": 56, "width": 56}}


@pytest.fixture(autouse=True)
def _forget_networks():
    yield
    release_networks()


def dinov2(**changes: object):
    settings = {
        "hidden_size": 24,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
        "mlp_ratio": 2,
    }
    return transformers.Dinov2Config(**(settings | changes))


def depth_anything(estimation: str = "relative", max_depth: int = 1):
    backbone = dinov2(
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=24,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        depth_estimation_type=estimation,
        max_depth=max_depth,
    )
    return transformers.DepthAnythingForDepthEstimation(config)


def depth_pro():
    part = {"hidden_size": 24, "image_size": 16, "patch_size": 8}
    config = transformers.DepthProConfig(
        patch_size=16,
        fusion_hidden_size=16,
        intermediate_hook_ids=[3, 1],
        intermediate_feature_dims=[16, 16],
        scaled_images_feature_dims=[16, 16, 16],
        merge_padding_value=1,
        use_fov_model=True,
        image_model_config=dinov2(**part).to_dict(),
        patch_model_config=dinov2(**part).to_dict(),
        fov_model_config=dinov2(**part).to_dict(),
    )
    return transformers.DepthProForDepthEstimation(config)


def zoedepth():
    backbone = transformers.BeitConfig(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=48,
        image_size=64,
        patch_size=16,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.ZoeDepthConfig(
        backbone_config=backbone,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        bottleneck_features=8,
        num_relative_features=4,
        num_attractors=[4, 2, 1, 1],
        bin_embedding_dim=8,
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}],
    )
    return transformers.ZoeDepthForDepthEstimation(config)


MAKERS = {
    "depth_anything_v2": depth_anything,
    "depth_anything_v2_indoor": lambda: depth_anything("metric", 20),
    "depth_anything_v2_outdoor": lambda: depth_anything("metric", 80),
    "depth_pro": depth_pro,
    "zoedepth": zoedepth,
}
SIZES = {
    "depth_pro": {"size": {"height": 64, "width": 64}},
    "zoedepth": {"size": {"height": 64, "width": 64}},
}


def saved(name: str, folder: Path) -> Path:
    """A tiny model of a backend, as its published folder looks."""
    torch.manual_seed(1)
    MAKERS[name]().save_pretrained(folder)
    settings = DEPTH_MODELS[name].preprocessor | SIZES.get(name, SMALL)
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


RGB = torch.rand(3, 32, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", sorted(DEPTH_MODELS))
def test_a_saved_folder_becomes_distances(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = saved(name, tmp_path)
    steps: list[tuple[int, int]] = []
    backend = get_backend(name, weights=folder, device="cpu", batch=5, view_size=40)
    estimate = backend.estimate(RGB, progress=lambda done, total: steps.append((done, total)))
    assert estimate.distance.shape == (32, 64)
    assert estimate.distance.isfinite().all()
    assert (estimate.distance[estimate.valid] > 0).all()
    assert (estimate.distance[~estimate.valid] == 0).all()
    assert (estimate.valid | (estimate.sky >= 0.5)).float().mean() > 0.5
    assert estimate.metric == (name != "depth_anything_v2")
    assert steps[-1][0] == steps[-1][1] == 16
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


@pytest.mark.parametrize("name", ["depth_anything_v2", "depth_pro", "zoedepth"])
def test_values_are_those_of_the_class(name: str, tmp_path: Path) -> None:
    """The loaded network gives what the class gives on the same pixels: weights and input are the same."""
    folder = saved(name, tmp_path)
    network = load_network(name, folder, CPU, torch.float32)
    views = torch.rand(2, 3, 64, 64)
    pixels = preprocess(views, network.model.model_type, network.preprocessor)
    torch.manual_seed(1)
    with torch.inference_mode():
        wanted = MAKERS[name]().eval()(pixel_values=pixels).predicted_depth
    values = depths_of_views(network, views, fov_x=math.radians(60))
    assert values.shape == (2, 64, 64)
    if name == "depth_pro":
        wanted = (wanted * 2 * math.tan(math.radians(30))).clamp(1e-4, 1e4)
    if name == "zoedepth":  # 64 + 2 · 16 pixels were made 64: the middle two thirds are the view
        wanted = wanted[:, 10:-10, 10:-10]
    assert math.isclose(float(values.mean()), float(wanted.mean()), rel_tol=0.05)
    assert values.std() > 0


def dpt_processor():
    for name in ("DPTImageProcessorPil", "DPTImageProcessor"):
        if (cls := getattr(transformers, name, None)) is not None:
            return cls
    return pytest.skip("no DPT image processor")


@pytest.mark.parametrize("size", [(56, 56), (40, 40), (100, 100), (60, 90)])
def test_preprocessing_is_that_of_depth_anything(size: tuple[int, int]) -> None:
    picture = (torch.rand(3, *size, generator=torch.Generator().manual_seed(2)) * 255).round().to(torch.uint8)
    settings = DEPTH_MODELS["depth_anything_v2"].preprocessor | SMALL
    wanted = dpt_processor()(**settings)(picture.permute(1, 2, 0).numpy(), return_tensors="np")[
        "pixel_values"
    ]
    ours = preprocess(picture[None].float() / 255, "depth_anything", settings)
    assert ours.shape == wanted.shape
    # the class resizes 8-bit pictures: it rounds, twice
    assert np.abs(ours.numpy() - wanted).max() < 2 / 255 / 0.224
    assert np.abs(ours.numpy() - wanted).mean() < 0.5 / 255 / 0.224


@pytest.mark.parametrize("size", [(48, 48), (100, 100), (40, 60)])
def test_preprocessing_is_that_of_zoedepth(size: tuple[int, int]) -> None:
    cls = getattr(transformers, "ZoeDepthImageProcessorPil", None) or getattr(
        transformers, "ZoeDepthImageProcessor", None
    )
    if cls is None:
        pytest.skip("no ZoeDepth image processor")
    picture = (torch.rand(3, *size, generator=torch.Generator().manual_seed(2)) * 255).round().to(torch.uint8)
    settings = DEPTH_MODELS["zoedepth"].preprocessor | SIZES["zoedepth"]
    wanted = cls(**settings)(picture.permute(1, 2, 0).numpy(), return_tensors="np")["pixel_values"]
    ours = preprocess(picture[None].float() / 255, "zoedepth", settings)
    assert ours.shape == wanted.shape
    np.testing.assert_allclose(ours.numpy(), wanted, atol=1e-5)


def test_preprocessing_is_that_of_depth_pro() -> None:
    """Its class needs torchvision; without it a ramp shows order, range and pixel centres."""
    settings = DEPTH_MODELS["depth_pro"].preprocessor | SIZES["depth_pro"]
    ramp = ((torch.arange(32) + 0.5) / 32).expand(1, 3, 32, 32)
    ours = preprocess(ramp, "depth_pro", settings)
    wanted = (((torch.arange(64) + 0.5) / 64) - 0.5) / 0.5
    torch.testing.assert_close(ours[0, 0, 5, 1:-1], wanted[1:-1])
    pytest.importorskip("torchvision")
    picture = (torch.rand(3, 40, 40) * 255).round().to(torch.uint8)
    cls = transformers.DepthProImageProcessor
    theirs = cls(**settings)(picture, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(
        preprocess(picture[None] / 255, "depth_pro", settings), theirs, atol=1e-5, rtol=0
    )


class _Brightness(nn.Module):
    """A depth that is known: the panorama below encodes distances as brightness."""

    def __init__(self, inverse: bool) -> None:
        super().__init__()
        self.inverse = inverse
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, pixel_values: Tensor):
        size = pixel_values.shape[-1]
        depth = pixel_values.mean(1) * 10 * perspective_rays(size, size, math.pi / 2)[..., 2]
        value = 1 / depth.clamp(min=0.1) if self.inverse else depth
        return transformers.modeling_outputs.DepthEstimatorOutput(predicted_depth=value)


@pytest.mark.parametrize("name", ["depth_anything_v2", "depth_anything_v2_outdoor", "depth_pro"])
def test_directions_end_where_they_were(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A near patch to the right and up, a far one behind, across the seam: each stays there, near stays near.

    A random network cannot show this, so its depth is a function of the colours.
    """
    model = DEPTH_MODELS[name]
    rays = erp_rays(64)
    distance = torch.full((64, 128), 3.0)
    marks = {"near": (0.8, -0.6, 0.6), "far": (0.0, 0.2, -1.0)}
    close = {key: nn.functional.normalize(torch.tensor(mark), dim=0) for key, mark in marks.items()}
    distance = torch.where(rays @ close["near"] > 0.93, 1.5, distance)
    distance = torch.where(rays @ close["far"] > 0.93, 6.0, distance)
    plain = {"do_normalize": False, "do_resize": False, "do_pad": False}
    network = DepthNetwork(
        net=_Brightness(model.large_is == "near"),
        model=model,
        config={"max_depth": 80},
        preprocessor=plain,
        device=CPU,
        dtype=torch.float32,
    )
    if name == "depth_pro":  # it speaks for a focal length of one image width; at 90° that is half
        network.net.register_forward_hook(
            lambda _module, _inputs, out: type(out)(predicted_depth=out.predicted_depth / 2)
        )
    monkeypatch.setattr(
        "pantheon_core.recon.transformers_depth._backend.find_weights", lambda *_, **__: tmp_path
    )
    monkeypatch.setattr("pantheon_core.recon.transformers_depth._backend.load_network", lambda *_: network)
    estimate = get_backend(name, weights=tmp_path, device="cpu", sky="off", view_size=48).estimate(
        (distance / 10).expand(3, 64, 128)
    )
    found = estimate.distance
    assert estimate.valid.all()
    around = float(found.median())
    assert rays[found == found.min()].mean(0) @ close["near"] > 0.9
    assert rays[found == found.max()].mean(0) @ close["far"] > 0.9
    near, far = found[rays @ close["near"] > 0.96], found[rays @ close["far"] > 0.96]
    assert near.max() < 0.8 * around
    assert far.min() > 1.2 * around
    # the seam goes through the far patch
    assert (rays @ close["far"] > 0.96)[:, 0].any()


def test_far_and_sky() -> None:
    rotations = torch.eye(3)[None]
    depth = torch.tensor([10.0, 40.0, 60.0, 80.0, 200.0]).repeat_interleave(8)[None, None].expand(1, 40, 40)
    far = far_scores(depth, rotations, math.pi / 2, "z_depth", 80.0, 64)
    row = far[31, 48:80]
    assert (row[:8] < 0.01).all()
    assert (row[-5:] > 0.99).all()
    assert (row.diff() > -1e-6).all()
    same = far_scores(1 / depth, rotations, math.pi / 2, "inverse_z", 80.0, 64)
    torch.testing.assert_close(far, same)
    # a relative model: 2 % of the near values
    relative = torch.ones(1, 40, 40)
    relative[:, :10] = 0.005
    far = far_scores(relative, rotations, math.pi / 2, "inverse_z", None, 64)
    assert far[18, 64] > 0.99
    assert far[40, 64] == 0
    far, network = torch.tensor([1.0, 1.0, 0.0, 0.3, 0.3]), torch.tensor([1.0, 0.05, 1.0, 1.0, 0.2])
    assert (sky_of(far, network) >= 0.5).tolist() == [True, False, False, True, False]
    assert sky_of(far, None) is far


def test_missing_weights_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    for name, model in DEPTH_MODELS.items():
        hub = next(iter(model.variants.values())).hub
        with pytest.raises(BackendUnavailableError, match=rf"{hub}.*download=True.*GB.*licence"):
            get_backend(name).estimate(RGB)
    with pytest.raises(BackendUnavailableError, match="no folder"):
        find_weights("depth_pro", tmp_path / "none", "", download=False)
    with pytest.raises(BackendUnavailableError, match=r"config\.json and model\.safetensors"):
        find_weights("depth_pro", tmp_path, "", download=False)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(BackendUnavailableError, match="the folder that holds"):
        find_weights("depth_pro", tmp_path / "model.safetensors", "", download=False)
    with pytest.raises(InputError, match="small, base, large"):
        find_weights("depth_anything_v2", None, "huge", download=False)
    with pytest.raises(BackendUnavailableError, match="someone/else"):
        find_weights("depth_pro", "someone/else", "", download=False)


def test_the_hubs_cache_is_found_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    root = tmp_path / "models--apple--DepthPro-hf"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("0" * 40)
    folder = root / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    assert find_weights("depth_pro", None, "", download=False) == folder


def test_wrong_weights_are_told(tmp_path: Path) -> None:
    folder = saved("depth_anything_v2", tmp_path / "relative")
    with pytest.raises(InputError, match=r"choose the backend depth_anything_v2$"):
        load_network("depth_anything_v2_indoor", folder, CPU, torch.float32)
    with pytest.raises(InputError, match="expected a model of type 'zoedepth'"):
        load_network("zoedepth", folder, CPU, torch.float32)
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    state.pop(next(name for name in state if name.startswith("head.")))
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 of the tensors"):
        load_network("depth_anything_v2", folder, CPU, torch.float32)
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_network("depth_anything_v2", folder, CPU, torch.float32)
    (folder / "config.json").write_text("[]")
    with pytest.raises(InputError, match="expected an object"):
        load_network("depth_anything_v2", folder, CPU, torch.float32)


def test_options_are_checked() -> None:
    for option, value in (
        ("dtype", "int8"),
        ("sky", "blue"),
        ("batch", 0),
        ("view_size", 4),
        ("fusion_height", 4),
        ("scale", 0.0),
    ):
        with pytest.raises(InputError, match=option):
            get_backend("depth_pro", **{option: value})


def test_every_model_says_what_it_is() -> None:
    for model in DEPTH_MODELS.values():
        assert (model.large_is == "near") == model.quantity.startswith("inverse")
        for variant in model.variants.values():
            assert variant.hub.count("/") == 1
            assert variant.licence
            assert variant.gigabytes > 0
