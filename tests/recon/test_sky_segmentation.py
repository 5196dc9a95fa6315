"""Real classes of transformers with small weights made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pantheon_core.errors import BackendUnavailableError, ConventionError, InputError
from pantheon_core.geometry import erp_rays
from pantheon_core.recon import get_backend
from pantheon_core.recon.sky_segmentation import SkySegmenter, release_sky_model, sky_probability

transformers = pytest.importorskip("transformers")

LABELS = {0: "wall", 1: "building;edifice", 2: "sky", 3: "skyscraper"}
H = 64


def panorama(height=H):
    """Blue sky above a skyline, brown and grey below; and where the sky is."""
    rays = erp_rays(height)
    around = torch.atan2(rays[..., 0], rays[..., 2])
    sky = -rays[..., 1] > 0.15 + 0.25 * torch.sin(2 * around)
    ground = torch.stack((0.5 + 0.2 * torch.sin(9 * rays[..., 0]), 0.4 + 0 * around, 0.3 + 0 * around))
    blue = torch.stack((0.35 - 0.2 * rays[..., 1], 0.6 + 0 * around, 0.95 + 0 * around))
    return torch.where(sky, blue, ground).clamp(0, 1), sky


def save(net, folder: Path, size=64):
    net.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": size, "width": size}}))
    return folder


def config_of(**more):
    return {"id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}, **more}


@pytest.fixture(scope="module")
def segformer(tmp_path_factory):
    """A small SegFormer that has learnt that blue is sky and brown is wall."""
    torch.manual_seed(0)
    net = transformers.SegformerForSemanticSegmentation(
        transformers.SegformerConfig(
            depths=[1, 1, 1, 1],
            hidden_sizes=[16, 16, 16, 16],
            num_attention_heads=[1, 1, 2, 2],
            decoder_hidden_size=32,
            **config_of(),
        )
    )
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    net.train()
    for _ in range(40):
        cut = torch.randint(8, 56, (4, 1, 1))
        sky = (torch.arange(64)[None, :, None] < cut).expand(4, 64, 64)
        blue = torch.tensor([0.4, 0.6, 0.95]) + 0.1 * torch.randn(4, 1, 1, 3)
        brown = torch.tensor([0.5, 0.4, 0.3]) + 0.15 * torch.randn(4, 1, 1, 3)
        rgb = torch.where(sky[..., None], blue, brown)
        loss = net(
            pixel_values=((rgb - mean) / std).movedim(-1, 1), labels=torch.where(sky, 2, 0).long()
        ).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return save(net.eval(), tmp_path_factory.mktemp("segformer"))


def test_the_sky_of_the_views_is_merged_on_the_sphere(segformer):
    rgb, sky = panorama()
    seen = []
    found = SkySegmenter(weights=segformer).probability(rgb, progress=lambda *at: seen.append(at))
    assert found.shape == (H, 2 * H)
    assert seen[-1] == (14, 14)
    both = ((found > 0.5) & sky).sum() / ((found > 0.5) | sky).sum()
    assert both > 0.85
    turned = SkySegmenter(weights=segformer).probability(rgb.roll(H, -1))
    # the seam is nowhere special: half a turn is three views of 60 degrees
    assert (turned.roll(-H, -1) - found).abs().mean() < 0.02
    assert SkySegmenter(weights=segformer, view_size=96, batch=14).probability(rgb).shape == (H, 2 * H)


def small_upernet():
    backbone = transformers.ConvNextConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        auxiliary_channels=8,
        auxiliary_in_channels=16,
        **config_of(),
    )
    return transformers.UperNetForSemanticSegmentation(config)


def small_mask2former():
    backbone = transformers.SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        dim_feedforward=16,
        num_attention_heads=2,
        num_queries=5,
        **config_of(),
    )
    return transformers.Mask2FormerForUniversalSegmentation(config)


@pytest.mark.parametrize("make", [small_upernet, small_mask2former])
def test_other_families_answer_with_a_share(make, tmp_path):
    torch.manual_seed(0)
    net = make().eval()
    rgb, _ = panorama(32)
    found = SkySegmenter(weights=save(net, tmp_path)).probability(rgb)
    assert found.shape == (32, 64)
    assert found.isfinite().all()
    assert 0 < found.mean() < 1
    # of four classes that know nothing, the sky has about a quarter
    assert abs(float(found.mean()) - 0.25) < 0.2


def test_without_a_model_the_bundled_network_answers():
    rgb, _ = panorama()
    assert torch.equal(sky_probability(rgb), get_backend("tiny").estimate(rgb).sky)


def test_what_cannot_be_used_is_said(segformer, tmp_path):
    rgb, _ = panorama()
    with pytest.raises(BackendUnavailableError, match="there is no folder"):
        SkySegmenter(weights=tmp_path / "none").probability(rgb)
    config = json.loads((segformer / "config.json").read_text())
    for name in ("model.safetensors", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((segformer / name).read_bytes())

    def refused(match, **changes):
        (tmp_path / "config.json").write_text(json.dumps(config | changes))
        release_sky_model()
        with pytest.raises(InputError, match=match):
            SkySegmenter(weights=tmp_path).probability(rgb)

    refused("no class called sky among its 2", id2label={0: "wall", 1: "skyscraper"})
    refused("OneFormer", model_type="oneformer")
    refused("does not segment pictures", model_type="clip")
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    refused("cannot be loaded as a segmentation model")
    with pytest.raises(ConventionError, match="twice as wide"):
        sky_probability(rgb[..., 1:])
    with pytest.raises(InputError, match="finite"):
        sky_probability(rgb * float("nan"))
    with pytest.raises(InputError, match="batch"):
        SkySegmenter(batch=0)
    with pytest.raises(InputError, match="view_size"):
        SkySegmenter(view_size=8)


def test_no_download_without_being_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BackendUnavailableError, match=r"has no weights yet.*download=True, about 0\.3 GB"):
        SkySegmenter().probability(panorama()[0])
