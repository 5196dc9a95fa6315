"""Load Pantheon Model with an adapter, by the host's own code without its server; prints findings as JSON.

Run by the host's Python with the host's folder, the project's folder and an empty folder as arguments.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path

HOST, ROOT, FOLDER = map(Path, sys.argv[1:4])
sys.argv = ["main.py", "--cpu", "--disable-api-nodes"]
sys.path[:0] = [str(HOST), str(ROOT)]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.model_management  # noqa: E402
import folder_paths  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from pantheon_core.diffusion import ModelConfig, build_tiny, load_model, save_model  # noqa: E402
from pantheon_core.training.lora import merge_lora, read_lora  # noqa: E402

SIZES = {"unet_channels": (32, 32), "vae_channels": (32,) * 4, "token_dim": 32, "encoder_layers": 1}


def load_node():
    """The node's class, of the pack under a name that is not its own."""
    spec = importlib.util.spec_from_file_location(
        "some_pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["some_pack"] = module
    spec.loader.exec_module(module)
    return importlib.import_module("some_pack.nodes.model").PantheonModelLoader


def make_files():
    """A checkpoint and an adapter that changes its attention."""
    model = build_tiny(ModelConfig(name="base", frames=4, height=64), **SIZES)
    save_model(model, FOLDER / "base.safetensors", dtype=torch.float32)
    weights = {}
    for name, layer in model.unet.named_modules():
        if name.endswith("to_q"):
            weights[f"unet.{name}.lora_A.weight"] = torch.randn(2, layer.in_features)
            weights[f"unet.{name}.lora_B.weight"] = torch.randn(layer.out_features, 2)
    config = ModelConfig(name="tuned", frames=4, height=64).to_dict()
    header = {"version": 1, "r": 2, "alpha": 2.0, "target_modules": ["to_q"], "config": config}
    save_file(weights, FOLDER / "mine.safetensors", {"pantheon360_lora": json.dumps(header)})
    return len(weights) // 2


def main():
    """Load with and without, and compare with the core."""
    changed = make_files()
    folder_paths.add_model_folder_path("pantheon360", str(FOLDER))
    folder_paths.add_model_folder_path("loras", str(FOLDER))
    node = load_node()
    lora = next(one for one in node.define_schema().inputs if one.id == "lora")
    loaded = node.execute("base.safetensors", "float32", lora="mine.safetensors", lora_strength=0.5).result[0]
    base = load_model(FOLDER / "base.safetensors")
    plain = node.execute("base.safetensors", "float32").result[0].model.state_dict()
    before = {name: value.clone() for name, value in base.state_dict().items()}
    wanted = merge_lora(base, read_lora(FOLDER / "mine.safetensors"), strength=0.5).state_dict()
    found = loaded.model.state_dict()
    comfy.model_management.load_models_gpu([loaded.patcher], force_full_load=True)
    loaded.patcher.detach()
    after = loaded.model.state_dict()
    try:
        node.execute("base.safetensors", "float32", lora="base.safetensors")
        refused = ""
    except ValueError as error:
        refused = str(error)
    prints = [node.fingerprint_inputs("base.safetensors", "auto")]
    prints += [node.fingerprint_inputs("base.safetensors", "auto", "mine.safetensors", s) for s in (0.5, 1.0)]
    report = {
        "listed": lora.options,
        "optional": lora.optional,
        "merged": all(torch.equal(found[name], value) for name, value in wanted.items()),
        "kept by the patcher": all(torch.equal(after[name], value) for name, value in wanted.items()),
        "changed": sum(not torch.equal(found[name], value) for name, value in before.items()) - changed,
        "plain": all(torch.equal(plain[name], value) for name, value in before.items()),
        "name": loaded.model.config.name,
        "patches": len(loaded.patcher.patches),
        "refused": refused,
        "missing": node.validate_inputs("base.safetensors", "gone.safetensors"),
        "fine": node.validate_inputs("base.safetensors", "mine.safetensors"),
        "fingerprints": len(set(prints)),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
