"""The kernels for NVIDIA cards: compiled to PTX, which needs no card and no driver."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "depth_buffer"),
    [("raster", True), ("caps", True), ("surface", False), ("loops", False), ("kernels", False)],
)
def test_kernels_compile_for_cuda(tmp_path: Path, name: str, depth_buffer: bool) -> None:
    wp = pytest.importorskip("warp")
    if not hasattr(wp, "compile_aot_module"):
        pytest.skip("this warp-lang cannot compile ahead of time")
    module = import_module(f"pantheon_core.render._warp_{name}")
    wp.compile_aot_module(module, device=None, arch=75, module_dir=tmp_path, use_ptx=True)
    (ptx,) = tmp_path.rglob("*.ptx")
    text = ptx.read_bytes()
    assert b".target sm_75" in text
    # One thread per triangle and no lock: the depth key's minimum must be the card's own 64-bit atomic.
    assert (b"atom.global.min.s64" in text) == depth_buffer
