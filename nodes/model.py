"""The generator into memory."""

# The host calls a node's methods with the inputs of its schema.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

from pathlib import Path

import comfy.model_management
import comfy.model_patcher
import folder_paths
import torch
from comfy_api.latest import io

from .host import MODEL_FOLDER
from .schema import Model, advanced, schema
from .types import LoadedModel

BUNDLED = "pantheon-tiny (bundled)"
_BUNDLED_WEIGHTS = "pantheon_tiny"
_CHECKPOINTS = "checkpoints/"
"""Choices with this prefix lie in the host's own folder of checkpoints."""

NO_LORA = "none"
_LORAS = "loras"
"""The host's own folder of adapters."""

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def _diffusers_folders() -> list[str]:
    """Folders in the model folder that hold a diffusers model: unet/, vae/, image_encoder/."""
    roots = [Path(root) for root in folder_paths.get_folder_paths(MODEL_FOLDER)]
    return sorted(path.parent.name + "/" for root in roots for path in root.glob("*/unet") if path.is_dir())


def _stable_video_diffusion() -> list[str]:
    """Stability's single files among the host's checkpoints."""
    names = folder_paths.get_filename_list("checkpoints")
    return [_CHECKPOINTS + n for n in names if "svd" in n.lower() and n.endswith(".safetensors")]


def _choices() -> list[str]:
    files = [name for name in folder_paths.get_filename_list(MODEL_FOLDER) if name.endswith(".safetensors")]
    # The parts of a diffusers folder are no checkpoints of their own.
    folders = _diffusers_folders()
    files = (
        [name for name in files if not name.replace("\\", "/").startswith(tuple(folders))]
        if folders
        else files
    )
    return [BUNDLED, *files, *folders, *_stable_video_diffusion()]


def _adapters() -> list[str]:
    """Files among the host's adapters; whose format they have shows when one is read."""
    return [name for name in folder_paths.get_filename_list(_LORAS) if name.endswith(".safetensors")]


def _locate(name: str) -> Path:
    """The file or folder behind a choice.

    Raises:
        BackendUnavailableError: the bundled weights are missing.
        FileNotFoundError: no such file in the model folders.
    """
    from ..pantheon_core.assets import weights_path

    if name == BUNDLED:
        return weights_path(_BUNDLED_WEIGHTS)
    if name.startswith(_CHECKPOINTS):
        return Path(folder_paths.get_full_path_or_raise("checkpoints", name.removeprefix(_CHECKPOINTS)))
    if name.endswith("/"):
        for root in folder_paths.get_folder_paths(MODEL_FOLDER):
            if (Path(root) / name).is_dir():
                return Path(root) / name
    return Path(folder_paths.get_full_path_or_raise(MODEL_FOLDER, name))


class _Holder(torch.nn.Module):
    """What the host's ModelPatcher can manage: it wants to set `device`, which the model computes itself."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.pantheon = model
        self.device = torch.device("cpu")


class PantheonModelLoader(io.ComfyNode):
    """A checkpoint from disk."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A file and a precision."""
        return schema(
            "PantheonModelLoader",
            stage="5 Generate",
            display_name="Load Pantheon Model",
            description="Loads the video model that paints the scaffold. The bundled pantheon-tiny is "
            "small and was trained on made-up scenes only: it shows how everything works. Own checkpoints "
            "go to models/pantheon360; Stable Video Diffusion is taken from models/checkpoints.",
            search_aliases=["svd", "stable video diffusion", "checkpoint", "pantheon360"],
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=_choices(),
                    default=BUNDLED,
                    tooltip="The bundled model, a .safetensors file made by this project, or a folder in "
                    "diffusers' layout (unet, vae, image_encoder), both in models/pantheon360; or Stable "
                    "Video Diffusion as one file (svd.safetensors or svd_xt.safetensors) in "
                    "models/checkpoints.",
                ),
                io.Combo.Input(
                    "dtype",
                    options=["auto", *_DTYPES],
                    default="auto",
                    tooltip="Precision of the weights. Auto takes float32 on the CPU, and 16 bits on "
                    "graphics cards that are fast with them.",
                ),
                advanced(
                    io.Combo.Input,
                    "lora",
                    options=[NO_LORA, *_adapters()],
                    default=NO_LORA,
                    optional=True,
                    tooltip="An adapter that this project's training wrote for the very same checkpoint "
                    "(lora.safetensors), in models/loras. It is added to the weights. Other programs' "
                    "LoRA files do not fit.",
                ),
                advanced(
                    io.Float.Input,
                    "lora_strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.05,
                    optional=True,
                    tooltip="How much of the adapter is added to the weights. 0 adds nothing; its learned "
                    "offsets of the tokens stay.",
                ),
            ],
            outputs=[Model.Output(display_name="model", tooltip="For the Pantheon sampler.")],
        )

    @classmethod
    def validate_inputs(cls, checkpoint: str = BUNDLED, lora: str = NO_LORA) -> bool | str:
        """Say which file is missing, and where it belongs."""
        from ..pantheon_core.errors import BackendUnavailableError

        if lora != NO_LORA and folder_paths.get_full_path(_LORAS, lora) is None:
            folder = folder_paths.get_folder_paths(_LORAS)[0]
            return f"The adapter '{lora}' is not in {folder}. Put it there and press R to refresh."
        try:
            _locate(checkpoint)
        except FileNotFoundError:
            kind = "checkpoints" if checkpoint.startswith(_CHECKPOINTS) else MODEL_FOLDER
            folder = folder_paths.get_folder_paths(kind)[0]
            return f"The checkpoint '{checkpoint}' is not in {folder}. Put it there and press R to refresh."
        except BackendUnavailableError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(
        cls, checkpoint: str, dtype: str, lora: str = NO_LORA, lora_strength: float = 1.0
    ) -> tuple[str, ...]:
        """Size and time of the files: a replaced one is loaded again."""
        adapter = () if lora == NO_LORA else (lora, str(lora_strength))
        try:
            path = _locate(checkpoint)
            files = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
            if adapter:
                files.append(Path(folder_paths.get_full_path_or_raise(_LORAS, lora)))
        except (FileNotFoundError, ImportError):
            return (checkpoint, dtype, *adapter)
        stats = [file.stat() for file in files]
        return (
            dtype,
            *adapter,
            *(f"{file}:{stat.st_size}:{stat.st_mtime_ns}" for file, stat in zip(files, stats, strict=True)),
        )

    @classmethod
    def execute(
        cls, checkpoint: str, dtype: str, lora: str = NO_LORA, lora_strength: float = 1.0
    ) -> io.NodeOutput:
        """Load to the host's offload device; the sampler asks the host to move it."""
        from ..pantheon_core.diffusion import load_model

        device = comfy.model_management.get_torch_device()
        if dtype == "auto":
            half = comfy.model_management.should_use_fp16(device)
            wanted = torch.float16 if half else torch.float32
        else:
            wanted = _DTYPES[dtype]
        model = load_model(_locate(checkpoint), dtype=wanted)
        if lora != NO_LORA:
            from ..pantheon_core.training.lora import merge_lora, read_lora

            # Into freshly loaded weights that nobody else holds; the host's patcher never hears of it.
            adapter = read_lora(folder_paths.get_full_path_or_raise(_LORAS, lora))
            model = merge_lora(model, adapter, strength=lora_strength)
        patcher = comfy.model_patcher.ModelPatcher(
            _Holder(model), load_device=device, offload_device=comfy.model_management.unet_offload_device()
        )
        return io.NodeOutput(LoadedModel(model=model, patcher=patcher))
