"""Our sampler and the host's own on the same weights; prints how far they are apart, as JSON.

Run by the host's Python with the host's folder and the project's folder as arguments. The UNet is the host's
own class with the weights in Stability's names; autoencoder and image encoder of the host come in one size
only, so ours stand in behind the host's interface.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

HOST, ROOT = Path(sys.argv[1]), Path(sys.argv[2])
sys.argv = ["main.py", "--cpu", "--disable-api-nodes"]
sys.path[:0] = [str(HOST), str(ROOT), str(ROOT / "tests" / "diffusion")]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.latent_formats  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.sample  # noqa: E402
import comfy.supported_models  # noqa: E402
import torch  # noqa: E402
from test_sgm import SMALL, UNET, Exporter  # noqa: E402

from pantheon_core.apps import Scaffold  # noqa: E402
from pantheon_core.diffusion import HoldSettings, ModelConfig, SamplerSettings, generate  # noqa: E402
from pantheon_core.diffusion.model import build_model  # noqa: E402
from pantheon_core.trajectory import Trajectory  # noqa: E402

FRAMES, HEIGHT, STEPS, SEED = 3, 64, 4, 11
SCALE = 0.18215


def load_pack():
    """The pack as a package, under a name that is not its own."""
    spec = importlib.util.spec_from_file_location(
        "some_pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["some_pack"] = module
    spec.loader.exec_module(module)
    return importlib.import_module("some_pack.nodes.native")


def host_model(ours):
    """The host's UNet with our weights, as a loader gives it."""

    class Small(comfy.supported_models.SVD_img2vid):
        latent_format = comfy.latent_formats.SD15

    config = {
        "image_size": 32,
        "in_channels": 8,
        "out_channels": 4,
        "model_channels": 64,
        "channel_mult": [1, 2],
        "num_res_blocks": [2, 2],
        "transformer_depth": [1, 1, 0, 0],
        "transformer_depth_output": [1, 1, 1, 0, 0, 0],
        "transformer_depth_middle": 1,
        "context_dim": 32,
        "adm_in_channels": 768,
        "num_classes": "sequential",
        "use_linear_in_transformer": True,
        "use_temporal_attention": True,
        "use_temporal_resblock": True,
        "extra_ff_mix_layer": True,
        "use_spatial_context": True,
        "merge_strategy": "learned_with_images",
        "merge_factor": 0.0,
        "video_kernel_size": [3, 1, 1],
        "disable_temporal_crossattention": False,
        "max_ddpm_temb_period": 10000,
        "use_spatial_transformer": True,
        "legacy": False,
        "dtype": torch.float32,
    }
    model = comfy.model_base.SVD_img2vid(Small(config))
    weights = {k.removeprefix(UNET): v for k, v in Exporter(ours).out.items() if k.startswith(UNET)}
    model.diffusion_model.load_state_dict(weights)
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


def host_encoders(ours):
    """Our autoencoder and image encoder behind the host's interface."""

    def encode(pixels):
        with torch.no_grad():
            return ours.vae.encode(pixels.movedim(-1, 1) * 2 - 1).latent_dist.mode()

    def embed(pixel_values, intermediate_output):
        with torch.no_grad():
            return None, None, ours.image_encoder(pixel_values).image_embeds

    cpu = torch.device("cpu")
    patcher = comfy.model_patcher.ModelPatcher(torch.nn.Linear(1, 1), cpu, cpu)
    vae = SimpleNamespace(encode=encode, first_stage_model=ours.vae)
    clip = SimpleNamespace(
        model=lambda **call: embed(**call), image_size=ours.encoder_size, patcher=patcher, load_device=cpu
    )
    return vae, clip


def main():
    parts = {**SMALL, "unet": SMALL["unet"] | {"addition_time_embed_dim": 256}}
    parts["unet"]["projection_class_embeddings_input_dim"] = 768
    parts["vae"] = SMALL["vae"] | {"scaling_factor": SCALE}
    torch.manual_seed(0)
    config = ModelConfig(
        name="small", frames=FRAMES, height=HEIGHT, crop_size=SMALL["image_encoder"]["image_size"]
    )
    ours = build_model(config, parts)
    generator = torch.Generator().manual_seed(1)
    scaffold = torch.rand(FRAMES, 3, HEIGHT, 2 * HEIGHT, generator=generator)
    coverage = torch.rand(FRAMES, HEIGHT, 2 * HEIGHT, generator=generator) > 0.3
    photo = torch.rand(3, HEIGHT, 2 * HEIGHT, generator=generator)
    made = Scaffold(
        rgb=scaffold,
        coverage=coverage,
        distance=torch.ones_like(coverage, dtype=torch.float32),
        trajectory=Trajectory(T_world_cam=torch.eye(4).repeat(FRAMES, 1, 1), fps=7.0),
        anchors=(photo,),
    )
    native = load_pack().PantheonNativeConditioning
    model, (vae, clip) = host_model(ours), host_encoders(ours)
    untouched = {k: v.clone() for k, v in model.model.diffusion_model.state_dict().items()}
    options = {"motion_bucket": 127.0, "noise_aug": 0.0, "noise_seed": 0, "spherical": True, "hold": False}
    call = {"conditioning": "every frame", "tokens": "8 views", **options}
    report = {}
    for name, top, around in (("plain", 1.0, True), ("guided", 2.5, True), ("with a seam", 1.0, False)):
        given = {**call, "spherical": around}
        patched, positive, negative, latent = native.execute(model, clip, vae, made, **given).result
        noise = comfy.sample.prepare_noise(latent["samples"], SEED)
        theirs = comfy.sample.sample(
            patched, noise, STEPS, top, "euler", "karras", positive, negative, latent["samples"], seed=SEED
        )
        settings = SamplerSettings(
            steps=STEPS,
            guidance_min=top,
            guidance_max=top,
            noise_aug=0.0,
            seed=SEED,
            hold=HoldSettings(strength=0.0),
        )
        mine = generate(ours, scaffold, coverage, [photo], settings=settings).latents[0] / SCALE
        report[name] = float((theirs - mine).abs().max() / mine.std())
    held = native.execute(model, clip, vae, made, **{**call, "hold": True}).result[3]
    report["held samples"] = float(held["samples"].abs().mean())
    report["mask"] = list(held["noise_mask"].shape)
    report["painted"] = float(held["noise_mask"][1:].mean())
    report["anchor painted"] = float(held["noise_mask"][0].mean())
    now = model.model.diffusion_model.state_dict()
    report["untouched"] = all(torch.equal(now[k], v) for k, v in untouched.items()) and not any(
        "_conv_forward" in vars(m) for m in model.model.diffusion_model.modules()
    )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
