"""DAP's adapter on what its repository was seen to do, as it has no package: a clone made of three files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from pantheon_core.errors import BackendUnavailableError, InputError
from pantheon_core.geometry import erp_rays
from pantheon_core.recon import get_backend
from pantheon_core.recon.dap import DAP_MODEL, _load

MODELS = """
models = {}
def register(name):
    def decorator(cls):
        models[name] = cls
        return cls
    return decorator
def make(model_spec, args=None, load_sd=False):
    return models[model_spec["name"]](**model_spec["args"])
"""
DAP = """
from pathlib import Path
import torch
from torch import nn
from .models import register

class DAP(nn.Module):
    def __init__(self, max_depth):
        super().__init__()
        assert Path("./config/infer.yaml").is_file()  # the real one finds its backbone like this
        self.unit = nn.Parameter(torch.zeros(1))
        self.max_depth = max_depth
    def forward(self, image):
        assert image.shape == (1, 3, 512, 1024) and 0 <= image.min() and image.max() <= 1
        # brightness is a tenth of the distance in metres, red alone is sky
        sky = (image[:, :1] - image[:, 1:2]).clamp(min=0)
        return {"pred_depth": image[:, 1:2] * 0.1 * self.unit * self.max_depth, "pred_mask": sky}

@register('dap')
def make_model(
    midas_model_type='vitl', fine_tune_type='none', min_depth=0.001, max_depth=1.0, train_decoder=True
):
    assert midas_model_type == "vitl"
    return DAP(max_depth)
"""


@pytest.fixture
def clone(tmp_path: Path):
    """The repository's files that the adapter relies on, and the weights in it."""
    code = tmp_path / "DAP"
    (code / "networks").mkdir(parents=True)
    (code / "config").mkdir()
    (code / "config" / "infer.yaml").write_text("model: {}")
    (code / "networks" / "__init__.py").write_text("from .dap import DAP")
    (code / "networks" / "models.py").write_text(MODELS)
    (code / "networks" / "dap.py").write_text(DAP)
    torch.save({"module.unit": torch.ones(1)}, code / "model.pth")
    _forget()
    yield code
    _forget()


def _forget() -> None:
    _load.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "networks"]:
        del sys.modules[name]


def picture(height: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """rgb, distance in metres, sky."""
    rays = erp_rays(height)
    distance = 4.0 + 3.0 * rays[..., 0]  # far to the right, near to the left
    sky = rays[..., 1] < -0.7
    rgb = (distance / 10).expand(3, height, 2 * height).clone()
    rgb[0] = torch.where(sky, 1.0, rgb[0])
    rgb[1:] = torch.where(sky, 0.0, rgb[1:])
    return rgb, distance, sky


def test_metres_along_the_ray_and_sky(clone: Path) -> None:
    rgb, distance, sky = picture(256)
    steps: list[tuple[int, int]] = []
    before = (Path.cwd(), list(sys.path))
    estimate = get_backend("dap", weights=clone, device="cpu").estimate(
        rgb, progress=lambda done, of: steps.append((done, of))
    )
    assert (Path.cwd(), list(sys.path)) == before
    assert steps == [(1, 2), (2, 2)]
    assert estimate.metric
    near_edge = (erp_rays(256)[..., 1] + 0.7).abs() < 0.03
    assert torch.equal(estimate.valid[~near_edge], ~sky[~near_edge])
    assert ((estimate.sky >= 0.5) == sky)[~near_edge].all()
    ratio = (estimate.distance / distance).log()[estimate.valid & ~near_edge].abs()
    assert ratio.median() < 1e-4
    assert ratio.max() < 0.01
    # the middle of the picture looks ahead, the right half to the right
    assert estimate.distance[128, 384] == pytest.approx(7, rel=1e-3)
    twice = get_backend("dap", weights=clone / "model.pth", code=clone, device="cpu", scale=2.0).estimate(rgb)
    assert torch.allclose(twice.distance, 2 * estimate.distance, rtol=1e-5)


def test_what_is_missing_is_told(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = torch.rand(3, 16, 32)
    with pytest.raises(BackendUnavailableError, match=r"no file.*DAP-weights.*download=True.*DINOv3"):
        get_backend("dap", weights=tmp_path).estimate(rgb)
    alone = tmp_path / "elsewhere" / "weights" / "here" / "model.pth"
    alone.parent.mkdir(parents=True)
    alone.write_bytes((clone / "model.pth").read_bytes())
    with pytest.raises(BackendUnavailableError, match="git clone"):
        get_backend("dap", weights=alone).estimate(rgb)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BackendUnavailableError, match="no weights yet"):
        get_backend("dap").estimate(rgb)
    (clone / "networks" / "dap.py").write_text("import a_package_that_is_not_there")
    with pytest.raises(BackendUnavailableError, match="requirements"):
        get_backend("dap", weights=clone, device="cpu").estimate(rgb)


def test_wrong_weights_and_another_networks_package_are_told(clone: Path, tmp_path: Path) -> None:
    rgb = torch.rand(3, 16, 32)
    torch.save({"something": torch.ones(1)}, clone / "model.pth")
    with pytest.raises(InputError, match="lacks 1 of the tensors"):
        get_backend("dap", weights=clone, device="cpu").estimate(rgb)
    (clone / "model.pth").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be loaded"):
        get_backend("dap", weights=clone, device="cpu").estimate(rgb)
    other = tmp_path / "other"
    (other / "networks").mkdir(parents=True)
    for name in ("__init__", "models", "dap"):
        text = (clone / "networks" / f"{name}.py").read_text()
        (other / "networks" / f"{name}.py").write_text(text)
    _load.cache_clear()
    with pytest.raises(BackendUnavailableError, match="another package called 'networks'"):
        get_backend("dap", weights=clone / "model.pth", code=other, device="cpu").estimate(rgb)


def test_it_declares_itself() -> None:
    assert DAP_MODEL.quantity == "distance"
    assert DAP_MODEL.freedom == "metric"
    assert "MIT" in DAP_MODEL.variants["large"].licence
