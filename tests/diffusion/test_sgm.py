"""Stability's single file: an independently written exporter, and the names of the published checkpoint."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pantheon_core.diffusion import ModelConfig, PantheonModel, load_model, read_config
from pantheon_core.diffusion.model import build_model
from pantheon_core.diffusion.sgm import find_sources
from pantheon_core.diffusion.sgm_layout import read_architecture
from pantheon_core.errors import InputError

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP = "conditioner.embedders.0.open_clip.model.visual."
SMALL = {
    "unet": {
        "block_out_channels": [64, 128],
        "down_block_types": ["CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"],
        "up_block_types": ["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
        "layers_per_block": 2,
        "cross_attention_dim": 32,
        "num_attention_heads": [1, 2],
        "addition_time_embed_dim": 32,
        "projection_class_embeddings_input_dim": 96,
    },
    "vae": {
        "block_out_channels": [32, 64, 64, 64],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
    },
    "image_encoder": {
        "hidden_size": 160,
        "intermediate_size": 96,
        "projection_dim": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
        "hidden_act": "gelu",
    },
}
# The configs in the repositories of SVD and SVD-XT at Hugging Face.
STOCK = {
    "unet": {
        "in_channels": 8,
        "out_channels": 4,
        "block_out_channels": [320, 640, 1280, 1280],
        "down_block_types": ["CrossAttnDownBlockSpatioTemporal"] * 3 + ["DownBlockSpatioTemporal"],
        "up_block_types": ["UpBlockSpatioTemporal"] + ["CrossAttnUpBlockSpatioTemporal"] * 3,
        "layers_per_block": 2,
        "cross_attention_dim": 1024,
        "num_attention_heads": [5, 10, 20, 20],
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 768,
    },
    "vae": {
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
        "scaling_factor": 0.18215,
        "force_upcast": True,
    },
    "image_encoder": {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "projection_dim": 1024,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "hidden_act": "gelu",
    },
}
# SHA-256 of the sorted names, and of the lines "name shape". Names: ComfyUI's classes for this file have
# them, and for UNet, decoder and image encoder DiffSynth-Studio's tables for it list the same. Shapes: of
# ComfyUI's UNet and autoencoder, built without storage.
STOCK_NAMES = "eabe110c86c7dfc5642493478f6771be32bbe5bdfd3ded067256ad944e3da0ba"
STOCK_SHAPES = "43ccd75335ea650761be2e3d96cf2fa09b2c827737541be8d3cc791b6507c9a7"


class Exporter:
    """Writes a model in Stability's names by walking its blocks in the order in which that layout counts."""

    def __init__(self, model: PantheonModel) -> None:
        self.out: dict[str, Tensor] = {}
        self.unet(model.unet)
        self.vae(model.vae)
        self.clip(model.image_encoder)

    def put(self, key: str, *layers: nn.Module) -> None:
        """One layer's own parameters, or those of several stacked along the first axis."""
        for name, _ in layers[0].named_parameters(recurse=False):
            values = [layer.get_parameter(name).detach() for layer in layers]
            self.out[f"{key}.{name}"] = torch.cat(values) if len(values) > 1 else values[0]

    def block(self, key: str, block: nn.Module) -> None:
        self.put(f"{key}.in_layers.0", block.norm1)
        self.put(f"{key}.in_layers.2", block.conv1)
        if getattr(block, "time_emb_proj", None) is not None:
            self.put(f"{key}.emb_layers.1", block.time_emb_proj)
        self.put(f"{key}.out_layers.0", block.norm2)
        self.put(f"{key}.out_layers.3", block.conv2)
        if getattr(block, "conv_shortcut", None) is not None:
            self.put(f"{key}.skip_connection", block.conv_shortcut)

    def unet_layer(self, key: str, level: nn.Module, index: int) -> None:
        """One residual block, with its attention where the level has it."""
        resnet = level.resnets[index]
        self.block(f"{key}.0", resnet.spatial_res_block)
        self.block(f"{key}.0.time_stack", resnet.temporal_res_block)
        self.out[f"{key}.0.time_mixer.mix_factor"] = resnet.time_mixer.mix_factor.detach()
        if hasattr(level, "attentions"):
            self.attention(f"{key}.1", level.attentions[index])

    def attention(self, key: str, attention: nn.Module) -> None:
        self.put(f"{key}.norm", attention.norm)
        self.put(f"{key}.proj_in", attention.proj_in)
        self.put(f"{key}.proj_out", attention.proj_out)
        for stack, blocks in (
            ("transformer_blocks", attention.transformer_blocks),
            ("time_stack", attention.temporal_transformer_blocks),
        ):
            for name, value in blocks.named_parameters():
                self.out[f"{key}.{stack}.{name}"] = value.detach()
        self.put(f"{key}.time_pos_embed.0", attention.time_pos_embed.linear_1)
        self.put(f"{key}.time_pos_embed.2", attention.time_pos_embed.linear_2)
        self.put(f"{key}.time_mixer", attention.time_mixer)

    def unet(self, unet: nn.Module) -> None:
        for key, layer in (
            ("time_embed.0", unet.time_embedding.linear_1),
            ("time_embed.2", unet.time_embedding.linear_2),
            ("label_emb.0.0", unet.add_embedding.linear_1),
            ("label_emb.0.2", unet.add_embedding.linear_2),
            ("input_blocks.0.0", unet.conv_in),
            ("out.0", unet.conv_norm_out),
            ("out.2", unet.conv_out),
        ):
            self.put(UNET + key, layer)
        row = 1
        for level in unet.down_blocks:
            for index in range(len(level.resnets)):
                self.unet_layer(f"{UNET}input_blocks.{row}", level, index)
                row += 1
            if level.downsamplers is not None:
                self.put(f"{UNET}input_blocks.{row}.0.op", level.downsamplers[0].conv)
                row += 1
        middle = unet.mid_block
        self.unet_layer(f"{UNET}middle_block", nn.ModuleDict({"resnets": middle.resnets[:1]}), 0)
        self.attention(f"{UNET}middle_block.1", middle.attentions[0])
        last = Exporter.__new__(Exporter)
        last.out = {}
        last.unet_layer("x", nn.ModuleDict({"resnets": middle.resnets[1:]}), 0)
        self.out |= {key.replace("x.0.", f"{UNET}middle_block.2.", 1): v for key, v in last.out.items()}
        row = 0
        for level in unet.up_blocks:
            for index in range(len(level.resnets)):
                key = f"{UNET}output_blocks.{row}"
                self.unet_layer(key, level, index)
                row += 1
            if level.upsamplers is not None:
                place = 2 if hasattr(level, "attentions") else 1
                self.put(f"{key}.{place}.conv", level.upsamplers[0].conv)

    def vae_block(self, key: str, block: nn.Module) -> None:
        spatial = getattr(block, "spatial_res_block", block)
        for name in ("norm1", "conv1", "norm2", "conv2"):
            self.put(f"{key}.{name}", getattr(spatial, name))
        if spatial.conv_shortcut is not None:
            self.put(f"{key}.nin_shortcut", spatial.conv_shortcut)
        if spatial is not block:
            self.block(f"{key}.time_stack", block.temporal_res_block)
            self.put(key, block.time_mixer)

    def vae(self, vae: nn.Module) -> None:
        for half, rows, word in (
            ("encoder", list(vae.encoder.down_blocks), "down"),
            ("decoder", list(vae.decoder.up_blocks)[::-1], "up"),
        ):
            net, key = getattr(vae, half), f"{VAE}{half}"
            self.put(f"{key}.conv_in", net.conv_in)
            self.put(f"{key}.norm_out", net.conv_norm_out)
            self.put(f"{key}.conv_out", net.conv_out)
            for size, level in enumerate(rows):
                for index, block in enumerate(level.resnets):
                    self.vae_block(f"{key}.{word}.{size}.block.{index}", block)
                for scaler in getattr(level, f"{word}samplers") or ():
                    self.put(f"{key}.{word}.{size}.{word}sample.conv", scaler.conv)
            for number, block in enumerate(net.mid_block.resnets, start=1):
                self.vae_block(f"{key}.mid.block_{number}", block)
            self.pixel_attention(f"{key}.mid.attn_1", net.mid_block.attentions[0])
        self.put(f"{VAE}decoder.conv_out.time_mix_conv", vae.decoder.time_conv_out)

    def pixel_attention(self, key: str, attention: nn.Module) -> None:
        self.put(f"{key}.norm", attention.group_norm)
        for name, layer in (
            ("q", attention.to_q),
            ("k", attention.to_k),
            ("v", attention.to_v),
            ("proj_out", attention.to_out[0]),
        ):
            self.out[f"{key}.{name}.weight"] = layer.weight.detach()[:, :, None, None]
            self.out[f"{key}.{name}.bias"] = layer.bias.detach()

    def clip(self, clip: nn.Module) -> None:
        vision = clip.vision_model
        self.out[f"{CLIP}class_embedding"] = vision.embeddings.class_embedding.detach()
        self.out[f"{CLIP}positional_embedding"] = vision.embeddings.position_embedding.weight.detach()
        self.out[f"{CLIP}proj"] = clip.visual_projection.weight.detach().T.contiguous()
        self.put(f"{CLIP}conv1", vision.embeddings.patch_embedding)
        self.put(f"{CLIP}ln_pre", vision.pre_layrnorm)
        self.put(f"{CLIP}ln_post", vision.post_layernorm)
        for number, layer in enumerate(vision.encoder.layers):
            key, seen = f"{CLIP}transformer.resblocks.{number}", layer.self_attn
            self.put(f"{key}.attn.in_proj", seen.q_proj, seen.k_proj, seen.v_proj)
            for name in ("weight", "bias"):
                self.out[f"{key}.attn.in_proj_{name}"] = self.out.pop(f"{key}.attn.in_proj.{name}")
            self.put(f"{key}.attn.out_proj", seen.out_proj)
            self.put(f"{key}.ln_1", layer.layer_norm1)
            self.put(f"{key}.ln_2", layer.layer_norm2)
            self.put(f"{key}.mlp.c_fc", layer.mlp.fc1)
            self.put(f"{key}.mlp.c_proj", layer.mlp.fc2)


@pytest.fixture(scope="module")
def small() -> PantheonModel:
    """Every weight random, so that none can stand in for another; quant_conv as the layout implies it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(ModelConfig(conditioning="first_frame", crops=0), SMALL)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
            model.vae.quant_conv.weight.copy_(torch.eye(8)[:, :, None, None])
            model.vae.quant_conv.bias.zero_()
    return model


@pytest.fixture(scope="module")
def exported(small: PantheonModel) -> dict[str, Tensor]:
    return Exporter(small).out


@pytest.fixture(scope="module")
def file(exported: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the left-overs that the published files carry."""
    left_over = {
        "conditioner.embedders.0.open_clip.model.logit_scale": torch.zeros(()),
        "conditioner.embedders.3.encoder.quant_conv.weight": torch.zeros(8, 8, 1, 1),
    }
    path = tmp_path_factory.mktemp("sgm") / "svd_xt.safetensors"
    save_file(exported | left_over, path)
    return path


def test_same_weights_and_outputs(small: PantheonModel, file: Path) -> None:
    loaded = load_model(file)
    wanted = small.state_dict()
    assert loaded.state_dict().keys() == wanted.keys()
    assert not [k for k, value in loaded.state_dict().items() if not torch.equal(value, wanted[k])]
    for part in ("unet", "vae", "image_encoder"):
        ours, theirs = loaded.part_configs()[part], small.part_configs()[part]
        assert {k for k in theirs if ours.get(k) != theirs[k]} <= {"num_frames"}
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 2, 8, 8, 8, generator=generator)
    image = torch.rand(1, 3, 16, 16, generator=generator)

    def outputs(model: PantheonModel) -> list[Tensor]:
        with torch.no_grad():
            tokens = model.image_encoder(image).image_embeds[:, None]
            ids = torch.tensor([[6.0, 127.0, 0.02]])
            video = model.unet(
                latents, 0.5, encoder_hidden_states=tokens, added_time_ids=ids, return_dict=False
            )[0]
            moments = model.vae.encode(image).latent_dist.parameters
            return [tokens, video, moments, model.vae.decode(latents[0, :, :4], num_frames=2).sample]

    for ours, theirs in zip(outputs(loaded), outputs(small), strict=True):
        assert float(theirs.std()) > 1e-3
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_stock_config(small: PantheonModel, file: Path, tmp_path: Path) -> None:
    config = read_config(file)
    assert (config.variant, config.conditioning, config.crops, config.crop_size) == (
        "single",
        "first_frame",
        0,
        16,
    )
    assert (config.name, config.frames) == ("svd_xt", 25)
    for name, frames in (("svd.safetensors", 14), ("my finetune.safetensors", 25)):
        (tmp_path / name).symlink_to(file)
        assert read_config(tmp_path / name).frames == frames
    given = ModelConfig(frames=9, conditioning="scaffold")
    loaded = load_model(file, config=given)
    assert loaded.config == given
    assert loaded.scaling_factor == 0.18215
    with pytest.raises(InputError, match="token_roles"):
        load_model(file, config=ModelConfig(token_roles=True))


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        (torch.float16, torch.float16),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.bfloat16),
        (torch.float32, torch.float16),
    ],
)
def test_precisions(
    small: PantheonModel,
    exported: dict[str, Tensor],
    tmp_path: Path,
    stored: torch.dtype,
    dtype: torch.dtype,
) -> None:
    path = tmp_path / "svd.safetensors"
    save_file({key: value.to(stored) for key, value in exported.items()}, path)
    model = load_model(path, dtype=dtype)
    for part in (model.unet, model.image_encoder):
        assert {p.dtype for p in part.parameters()} == {dtype}
    # In float16 the encoder overflows; it keeps what the file holds, without a detour over float16.
    own = torch.float32 if dtype == torch.float16 else dtype
    assert torch.equal(model.vae.encoder.conv_in.weight, small.vae.encoder.conv_in.weight.to(stored).to(own))
    assert torch.equal(
        model.vae.decoder.conv_in.weight, small.vae.decoder.conv_in.weight.to(stored).to(dtype)
    )


def test_a_file_that_comfyui_saved(small: PantheonModel, exported: dict[str, Tensor], tmp_path: Path) -> None:
    """It keeps transformers' names under the old prefix."""
    kept = {key: value for key, value in exported.items() if not key.startswith(CLIP)}
    clip = {CLIP + key: value for key, value in small.image_encoder.state_dict().items()}
    save_file(kept | clip, tmp_path / "saved.safetensors")
    loaded = load_model(tmp_path / "saved.safetensors")
    wanted = small.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in loaded.state_dict().items())


def broken(exported: dict[str, Tensor], path: Path, drop: str, **add: Tensor) -> Path:
    kept = {key: value for key, value in exported.items() if not re.search(drop, key)}
    save_file(kept | {key.replace("__", "."): value for key, value in add.items()}, path)
    return path


@pytest.mark.parametrize(
    ("drop", "add", "words"),
    [
        (
            r"input_blocks\.5\.0\.in_layers\.0",
            {},
            r"svd.safetensors: .* 2 missing: .*input_blocks.5.0.in_layers",
        ),
        (r"attn2\.to_q", {}, r"9 missing: .*, \.\.\.$|1\d missing: .*, \.\.\.$"),
        (
            "^$",
            {"first_stage_model__decoder__extra": torch.zeros(1)},
            "1 unexpected: first_stage_model.decoder.e",
        ),
        ("^$", {"lora__up": torch.zeros(1)}, "1 unexpected: lora.up"),
        (
            "mid.block_2.conv1.bias",
            {"first_stage_model__decoder__mid__block_2__conv1__bias": torch.zeros(3)},
            r"1 missing: .*encoder.mid.block_2.conv1.bias; 1 of another shape: .*\(3,\) instead of \(64,\)|"
            r"1 of another shape",
        ),
        ("^first_stage_model", {}, "no weights of the autoencoder"),
        ("^(first_stage|cond)", {}, "autoencoder .* and the image encoder"),
        (r"first_stage_model\..*(time_stack|mix)", {}, "svd_image_decoder"),
        (r"diffusion_model\..*time_", {}, "image model"),
        (r"label_emb\.0\.0", {}, "1 missing: .*label_emb.0.0.weight"),
    ],
)
def test_what_is_wrong_is_named(
    exported: dict[str, Tensor], tmp_path: Path, drop: str, add: dict[str, Tensor], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        load_model(broken(exported, tmp_path / "svd.safetensors", drop, **add))


def digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def test_every_weight_of_the_published_checkpoint() -> None:
    """Names and shapes of svd_xt.safetensors, without its weights."""
    with torch.device("meta"):
        model = build_model(ModelConfig(crops=0), STOCK)
    shapes = {key: tuple(value.shape) for key, value in Exporter(model).out.items()}
    counts = [sum(key.startswith(prefix) for key in shapes) for prefix in (UNET, VAE, CLIP)]
    assert counts == [1428, 372, 392]
    assert digest(list(shapes)) == STOCK_NAMES
    lines = [f"{key} {'x'.join(map(str, s))}" for key, s in shapes.items() if not key.startswith(CLIP)]
    assert digest(lines) == STOCK_SHAPES
    assert shapes[f"{CLIP}transformer.resblocks.31.attn.in_proj_weight"] == (3840, 1280)
    assert shapes[f"{CLIP}proj"] == (1280, 1024)

    assert read_architecture(shapes) == STOCK
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    sources = find_sources(list(wanted), STOCK)
    given = {name: s.shape(shapes[s.key]) for name, s in sources.items() if s.key in shapes}
    assert {name for name in wanted if name not in given} == {"vae.quant_conv.weight", "vae.quant_conv.bias"}
    assert [name for name in given if given[name] != wanted[name]] == []
    # Each name serves one weight; each fused one its three thirds.
    places = [(s.key, s.third) for s in sources.values()]
    assert len(set(places)) == len(places)
    assert {key for key, _ in places if key in shapes} == set(shapes)
    assert sorted({third for key, third in places if key.endswith("in_proj_weight")}, key=str) == [0, 1, 2]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's memory accounting")
def test_peak_memory_is_near_the_files_size(file: Path) -> None:
    def status(field: str) -> int:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
        return 1024 * int(re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE)[1])

    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = status("VmRSS")
    model = load_model(file)
    peak = status("VmHWM") - before
    assert sum(p.numel() for p in model.parameters()) > 5e6
    assert peak < 1.3 * file.stat().st_size
