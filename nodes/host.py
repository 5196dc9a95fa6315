"""The host's services: its folders, its progress bar and interrupt, its choice of device."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import comfy.model_management
import comfy.utils
import folder_paths

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

MODEL_FOLDER = "pantheon360"
SAMPLES_FOLDER = "pantheon360"


def register_model_folder() -> None:
    """Make `models/pantheon360` a model folder of the host; it is created so that users find it."""
    folder = Path(folder_paths.models_dir) / MODEL_FOLDER
    folder_paths.add_model_folder_path(MODEL_FOLDER, str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("Pantheon360 cannot create its model folder %s: %s", folder, error)


def copy_sample_panoramas() -> None:
    """Put the bundled photographs into the input folder, so that the example workflows run as they are."""
    from ..pantheon_core.assets import sample_panoramas

    target = Path(folder_paths.get_input_directory()) / SAMPLES_FOLDER
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path in sample_panoramas().values():
            copy = target / path.name
            if not copy.is_file() or copy.stat().st_size != path.stat().st_size:
                shutil.copyfile(path, copy)
    except OSError as error:
        log.warning("Pantheon360 cannot copy its sample panoramas to %s: %s", target, error)


def progress(total: int = 1) -> Callable[[int, int], None]:
    """A progress function for the core on the host's bar. It raises the host's interrupt."""
    bar = comfy.utils.ProgressBar(total)

    def report(done: int, of: int) -> None:
        bar.update_absolute(done, of)

    return report


def show_text(node_id: str | None, text: str) -> None:
    """Show a text on the node; for nodes whose result has no picture."""
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None and node_id is not None and hasattr(server, "send_progress_text"):
        server.send_progress_text(text, node_id)


def device() -> torch.device:
    """Where the host wants the computing done."""
    return comfy.model_management.get_torch_device()
