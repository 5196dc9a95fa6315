"""MoGe's adapter on what its package was seen to do (moge/model/v2.py), as that package is not on PyPI."""

from __future__ import annotations

import inspect
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from pantheon_core.errors import BackendUnavailableError, InputError
from pantheon_core.geometry import erp_rays, perspective_rays
from pantheon_core.recon import get_backend
from pantheon_core.recon.moge import MOGE_MODELS, _load

HEIGHT = 64


class MoGeModel(nn.Module):
    """The contract: brightness is a tenth of the distance; bright pixels are masked, thus infinite."""

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.unit = nn.Parameter(torch.tensor(unit))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str) -> MoGeModel:
        return cls(**torch.load(pretrained_model_name_or_path, weights_only=True)["model_config"])

    @torch.inference_mode()
    def infer(
        self,
        image: Tensor,
        num_tokens: int | None = None,
        resolution_level: int = 9,
        force_projection: bool = True,
        apply_mask: bool = True,
        fov_x: float | None = None,
        use_fp16: bool = True,
    ) -> dict[str, Tensor]:
        assert image.ndim == 4
        assert fov_x is not None
        assert 0 <= image.min() <= image.max() <= 1
        rays = perspective_rays(image.shape[-2], image.shape[-1], math.radians(fov_x))
        distance = image.mean(1) * 10 * self.unit
        depth = torch.where(image.mean(1) > 0.95, torch.inf, distance * rays[..., 2])
        return {"points": rays * distance[..., None], "depth": depth, "mask": depth.isfinite()}


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch):
    """The package as it would be imported."""
    for name in ("moge", "moge.model", "moge.model.v1", "moge.model.v2"):
        module = ModuleType(name)
        module.MoGeModel = MoGeModel  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    _load.cache_clear()
    yield
    _load.cache_clear()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save({"model_config": {"unit": 1.0}, "model": {}}, tmp_path / "model.pt")
    return tmp_path


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", sorted(MOGE_MODELS))
def test_distances_and_sky(name: str, checkpoint: Path) -> None:
    rays = erp_rays(HEIGHT)
    distance = 2.0 + 1.5 * rays[..., 0]  # far to the right, near to the left
    up = rays[..., 1] < -0.6
    rgb = torch.where(up, 1.0, distance / 10).expand(3, HEIGHT, 2 * HEIGHT)
    backend = get_backend(name, weights=checkpoint, device="cpu", sky="far", view_size=48)
    estimate = backend.estimate(rgb)
    assert estimate.metric == (name == "moge")
    safe = rays[..., 1] > -0.5
    assert estimate.valid[safe].all()
    ratio = (estimate.distance / distance)[safe].log()
    assert (ratio - ratio.median()).abs().max() < 0.05
    if name == "moge":
        assert abs(float(ratio.median())) < 0.01
    assert (estimate.sky[rays[..., 1] < -0.7] > 0.5).all()
    assert not estimate.valid[rays[..., 1] < -0.7].any()
    # a file does as well as its folder
    again = get_backend(name, weights=checkpoint / "model.pt", device="cpu", sky="far", view_size=48)
    assert torch.equal(again.estimate(rgb).distance, estimate.distance)


@pytest.mark.usefixtures("package")
def test_a_wrong_checkpoint_is_told(tmp_path: Path) -> None:
    rgb = torch.rand(3, 16, 32)
    torch.save({"state": 1}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="cannot be loaded"):
        get_backend("moge", weights=tmp_path, device="cpu").estimate(rgb)
    (tmp_path / "model.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be loaded"):
        get_backend("moge", weights=tmp_path, device="cpu").estimate(rgb)


def test_what_is_missing_is_told(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rgb = torch.rand(3, 16, 32)
    monkeypatch.setitem(sys.modules, "moge", None)
    _load.cache_clear()
    with pytest.raises(BackendUnavailableError, match="pip install git"):
        get_backend("moge", weights=checkpoint, device="cpu").estimate(rgb)
    with pytest.raises(BackendUnavailableError, match=r"no file.*moge-2-vitl-normal.*download=True"):
        get_backend("moge", weights=tmp_path / "none", device="cpu").estimate(rgb)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BackendUnavailableError, match=r"no weights yet.*moge-vitl.*download=True"):
        get_backend("moge_v1", device="cpu").estimate(rgb)
    with pytest.raises(InputError, match="size"):
        get_backend("moge", size="huge", device="cpu").estimate(rgb)


def test_the_contract_is_what_the_adapter_uses() -> None:
    """Where the package is installed, its signature still fits."""
    real = pytest.importorskip("moge.model.v2").MoGeModel
    assert {"image", "fov_x", "use_fp16"} <= inspect.signature(real.infer).parameters.keys()
