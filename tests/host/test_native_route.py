"""ComfyUI's own KSampler, through our node, agrees with our sampler on the same weights."""

from __future__ import annotations

import json
import subprocess

import test_host

TOLERANCE = 1e-3
"""Of the latents' deviation; both pass through values of 1000 in float32."""


def test_the_native_route_agrees_with_our_sampler(host):
    """The fixture makes sure that the host is set up; the script runs the host's code without a server."""
    python = test_host.host_python()
    command = [python, test_host.ROOT / "tests/host/native_route.py", test_host.COMFYUI, test_host.ROOT]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["plain"] < TOLERANCE
    assert report["guided"] < TOLERANCE
    # The comparison sees it when the networks do not look around the sphere.
    assert report["with a seam"] > 0.1
    assert report["untouched"]
    assert report["mask"] == [3, 64, 128]
    assert report["anchor painted"] == 0.0
    assert report["painted"] == 1.0  # no cell of random holes is covered wholly
    assert report["held samples"] > 0.05
