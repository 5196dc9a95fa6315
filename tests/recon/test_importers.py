"""What all importers share: pictures of depth, and finding out what a folder is."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scene_folders import exr

from pantheon_core.errors import InputError, MediaError
from pantheon_core.recon.importers import ImportOptions, detect_scene, import_scene
from pantheon_core.recon.importers._exr import read_exr_channel


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_one_channel_of_any_name(tmp_path: Path, kind: type) -> None:
    values = np.linspace(0.1, 40, 8 * 16).reshape(8, 16).astype(kind)
    values[0, 0], values[0, 1] = np.inf, 0
    for channel in ("Z", "Y"):
        got = read_exr_channel(exr(values, channel, tmp_path), "depth.exr")
        assert got.shape == (8, 16)
        assert torch.equal(got, torch.from_numpy(values.astype(np.float32)))


def test_damaged_exr_is_said(tmp_path: Path) -> None:
    whole = exr(np.ones((8, 16), np.float16), "Z", tmp_path)
    for data in (b"", b"not exr at all", whole[:40], whole[:-10], whole[: len(whole) // 2]):
        with pytest.raises(MediaError, match=r"depth\.exr: .*(damaged|OpenEXR)"):
            read_exr_channel(data, "depth.exr")
    colours = exr(np.ones((8, 16, 3), np.float32), "RGB", tmp_path)
    with pytest.raises(MediaError, match="expected one channel of depth, such as Z, got B, G, R"):
        read_exr_channel(colours, "depth.exr")


def test_other_folders_are_refused(tmp_path: Path) -> None:
    assert detect_scene(tmp_path) is None
    with pytest.raises(InputError, match="expected a folder of ViPE"):
        import_scene(tmp_path)
    with pytest.raises(MediaError, match="no such folder"):
        import_scene(tmp_path / "none")
    with pytest.raises(InputError, match="kind: expected one of"):
        import_scene(tmp_path, kind="metashape")
    for wrong in ({"panoramas": -1}, {"height": 9000}, {"scale": math.nan}, {"fps": 0.0}):
        options: dict[str, Any] = dict(wrong)
        with pytest.raises(InputError, match=next(iter(options))):
            ImportOptions(**options)


def test_a_listing_loads_no_reader(tmp_path: Path) -> None:
    """The host asks for the list of folders whenever its page is loaded."""
    code = (
        "import sys; from pantheon_core.recon.importers import detect_scene; "
        f"assert detect_scene({str(tmp_path)!r}) is None; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "pantheon_core.recon.importers" in loaded
    unwanted = ("pantheon_core.panorama", "pantheon_core.recon.poses", "pantheon_core.recon.importers.colmap")
    assert not loaded & {*unwanted, "av", "PIL.Image"}
