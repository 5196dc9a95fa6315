"""An adapter in Load Pantheon Model is merged before the host manages the model."""

from __future__ import annotations

import json
import subprocess

import pytest
import test_host


def test_an_adapter_is_part_of_the_loaded_weights(tmp_path):
    if not test_host.STAMP.is_file():
        pytest.fail("the test host is not set up; run tools/test_host.py")
    script = test_host.ROOT / "tests/host/model_adapter.py"
    command = [test_host.host_python(), script, test_host.COMFYUI, test_host.ROOT, tmp_path]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report.pop("listed") == ["none", "base.safetensors", "mine.safetensors"]
    assert "not an adapter file" in report.pop("refused")
    assert "'gone.safetensors' is not in" in report.pop("missing")
    assert report == {
        "optional": True,
        "merged": True,
        "kept by the patcher": True,
        "changed": 0,
        "plain": True,
        "name": "tuned",
        "patches": 0,
        "fine": True,
        "fingerprints": 3,
    }
