"""Every example runs, at tiny size."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pantheon_core.assets import sample_panoramas
from pantheon_core.video import video_info

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ARGUMENTS = {
    "01_walk_from_one_photo": lambda: [sample_panoramas()["hotel_room"]],
    "02_between_two_panoramas": list,
}


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[0-9]*.py")), ids=lambda p: p.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    _load(path).main(*ARGUMENTS[path.stem](), out, height=64, frames=4, steps=2)
    info = video_info(out)
    assert (info.frames, info.height, info.spherical) == (4, 64, True)
