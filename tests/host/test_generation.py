"""Holding to the scaffold, memory told beforehand, and long videos that go on where they were stopped."""

from __future__ import annotations

import copy
import time

import av
import host_session
import numpy as np

WALK = "01_walk_from_one_photo"


def key_of(prompt, class_type):
    """Id of the one node of a class."""
    (key,) = [key for key, node in prompt.items() if node["class_type"] == class_type]
    return key


def saved_frames(host, result):
    """Frames of the one video of a run."""
    shown = [one for output in result.outputs.values() for one in output.get("images", ())]
    (path,) = [host.output_file(one) for one in shown if one["filename"].endswith(".mp4")]
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]), path


def refusal(host, prompt, key):
    """What the host says of a node whose values it does not take."""
    try:
        answer = host.post("/prompt", {"prompt": prompt, "client_id": host.client_id})
    except host_session.HostError as refused:
        answer = refused.body
    # The host still runs the branches of the graph that do not need the node.
    if answer.get("prompt_id"):
        host.wait(answer["prompt_id"])
    return str(answer["node_errors"][key]["errors"])


def test_holding_changes_what_a_model_paints(host, small):
    prompt = copy.deepcopy(small[WALK])
    sampler = prompt[key_of(prompt, "PantheonSampler")]
    sampler["inputs"] |= {"keep_scaffold": 0.0, "seed": 5}
    free, _ = saved_frames(host, host.run(prompt))
    prompt["hold"] = {
        "class_type": "PantheonHoldScaffold",
        "inputs": {
            "strength": 1.0,
            "full_above": 0.01,
            "release_below": 0.001,
            "shrink": 0,
            "reinject_steps": 0,
            "reinject_repeats": 0,
            "reinject_until": 0.5,
        },
    }
    sampler["inputs"]["hold"] = ["hold", 0]
    held, _ = saved_frames(host, host.run(prompt))
    assert np.abs(held.astype(float) - free).mean() > 1
    prompt["hold"]["inputs"]["release_below"] = 2.0
    assert "Lower release_below" in refusal(host, prompt, "hold")


def long_prompt(prompt, **inputs):
    """The walk's photograph, scene, path and model, painted by the long video's node."""
    kept = ("LoadPanorama", "Build3DCache", "TrajectoryFromKeyframes", "PantheonModelLoader")
    parts = {key: node for key, node in copy.deepcopy(prompt).items() if node["class_type"] in kept}
    parts[key_of(parts, "TrajectoryFromKeyframes")]["inputs"]["frames"] = 9
    parts["long"] = {
        "class_type": "PantheonLongVideo",
        "inputs": {
            "model": [key_of(parts, "PantheonModelLoader"), 0],
            "cache": [key_of(parts, "Build3DCache"), 0],
            "trajectory": [key_of(parts, "TrajectoryFromKeyframes"), 0],
            "height": 64,
            "window": 4,
            "overlap": 1,
            "seed": 0,
            "steps": 1,
            "guidance_min": 1.0,
            "guidance_max": 1.0,
            "keep_scaffold": -1.0,
            "decode_chunk": 8,
            "filename_prefix": "video/long",
            "codec": "h264",
            "crf": 18,
            **inputs,
        },
    }
    return parts


def test_a_long_video_goes_on_where_it_was_stopped(host, small):
    prompt = long_prompt(small[WALK], seed=3, steps=4)
    whole, first = saved_frames(host, host.run(prompt))
    assert whole.shape == (9, 64, 128, 3)
    assert b"sv3d" in first.read_bytes()
    windows = host.base / "output" / "pantheon360_windows"
    assert not list(windows.glob("*"))
    # Another name makes the host run it again.
    prompt["long"]["inputs"]["filename_prefix"] = "video/long_again"
    running = host.queue(prompt)
    for _ in range(3000):
        if list(windows.glob("*/window_*")):
            break
        time.sleep(0.02)
    host.interrupt()
    assert host.wait(running).interrupted
    (run,) = windows.glob("*")
    assert (run / "manifest.json").is_file()
    assert len(list(run.glob("window_*"))) < 3
    again, _ = saved_frames(host, host.run(prompt))
    assert np.array_equal(again, whole)
    assert not list(windows.glob("*"))


def test_a_window_that_brings_nothing_new_is_refused(host, small):
    prompt = long_prompt(small[WALK], window=3, overlap=3)
    assert "smaller overlap" in refusal(host, prompt, "long")
