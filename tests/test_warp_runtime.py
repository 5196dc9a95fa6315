from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pantheon_core import warp_runtime
from pantheon_core.warp_runtime import _without_driver_warning, warp_available

WARNING = b"Warp CUDA warning: Could not find or load the NVIDIA CUDA driver. GPU execution will not be" + (
    b" available.\n"
)


def test_only_the_warning_about_a_missing_driver_is_left_out(capfd):
    with _without_driver_warning():
        os.write(2, WARNING + b"Warp CUDA error: another\nno line's end")
    assert capfd.readouterr().err == "Warp CUDA error: another\nno line's end"
    os.write(2, WARNING)
    assert capfd.readouterr().err == WARNING.decode()


def test_an_error_passes_and_so_does_what_it_wrote(capfd):
    def fail():
        os.write(2, b"reason\n")
        raise RuntimeError("cannot start")

    with pytest.raises(RuntimeError, match="start"), _without_driver_warning():
        fail()
    assert capfd.readouterr().err == "reason\n"


def test_warp_starts_without_a_word():
    pytest.importorskip("warp")
    code = "from pantheon_core.warp_runtime import load_warp; load_warp(); load_warp()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "CUDA driver" not in done.stderr


@pytest.mark.parametrize(("installed", "fine"), [("1.9.1", False), ("1.10.0", True), ("1.19.0.dev1", True)])
def test_an_old_warp_is_as_good_as_none(monkeypatch, installed, fine):
    pytest.importorskip("warp")
    warp_runtime._installed_version.cache_clear()
    monkeypatch.setattr(warp_runtime, "version", lambda name: installed)
    try:
        assert warp_available() is fine
    finally:
        warp_runtime._installed_version.cache_clear()
