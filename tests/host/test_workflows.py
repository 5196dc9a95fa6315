"""The example workflows, run by the host over HTTP; and what happens when something is wrong."""

from __future__ import annotations

import copy
import json
import time
import uuid

import av
import host_session
import pytest

WALK, BETWEEN = "01_walk_from_one_photo", "02_between_two_panoramas"
SCAFFOLD, LONG = "03_scaffold_for_other_models", "04_long_walk"
SPHERICAL_V1 = uuid.UUID("ffcc8263-f855-4a93-8814-587a02521fdd")


def find(prompt, class_type):
    """Id and node of the one node of a class."""
    ((key, node),) = [(key, node) for key, node in prompt.items() if node["class_type"] == class_type]
    return key, node


def videos(host, result):
    """Paths of the videos that a run saved."""
    shown = [one for output in result.outputs.values() for one in output.get("images", ())]
    return [host.output_file(one) for one in shown if one["filename"].endswith(".mp4")]


def files_in(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "count"), [(WALK, 1), (BETWEEN, 1), (SCAFFOLD, 3), (LONG, 1)])
def test_example_workflow_gives_panorama_videos(host, small, name, count):
    result = host.run(small[name])
    assert result.ok, f"{result.error_node}: {result.error}"
    found = videos(host, result)
    assert len(found) == count
    for path in found:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            metadata = dict(container.metadata)
        assert len(frames) == 4
        assert frames[0].shape == (64, 128, 3)
        assert frames[1].std() > 1, "a frame of one colour"
        data = path.read_bytes()
        assert b"sv3d" in data
        assert SPHERICAL_V1.bytes in data
        # The host adds fields of its own to the nodes that it ran.
        kept = {key: node["inputs"] for key, node in json.loads(metadata["prompt"]).items()}
        assert kept == {key: node["inputs"] for key, node in small[name].items()}


def test_the_first_frame_is_the_photograph(host, small):
    prompt = small[SCAFFOLD]
    _, scaffold = find(prompt, "RenderERPScaffold")
    scaffold["inputs"]["height"] = 128
    photo_key, _ = find(prompt, "LoadPanorama")
    key, save = next(
        (k, n) for k, n in prompt.items() if n["inputs"].get("filename_prefix") == "video/scaffold"
    )
    prompt = {k: n for k, n in prompt.items() if n["class_type"] != "SaveERPVideo"} | {key: save}
    prompt["photo"] = {
        "class_type": "SaveImage",
        "inputs": {"images": [photo_key, 0], "filename_prefix": "photo"},
    }
    result = host.run(prompt)
    assert result.ok, result.error
    from PIL import Image

    (video,) = videos(host, result)
    with av.open(str(video)) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    with Image.open(host.output_file(result.outputs["photo"]["images"][0])) as saved:
        import numpy as np

        photo = np.asarray(saved.convert("RGB")).astype(int)
    assert abs(first - photo).mean() < 4


def test_a_second_run_computes_nothing_again(host, small):
    assert host.run(small[WALK]).ok
    again = host.run(small[WALK])
    assert again.ok
    assert again.cached == set(small[WALK])


def test_a_changed_photograph_is_loaded_again(host, small):
    prompt = small[SCAFFOLD]
    _, node = find(prompt, "LoadPanorama")
    samples = host.base / "input" / "pantheon360"
    own = host.base / "input" / "own.jpg"
    node["inputs"]["image"] = "own.jpg"
    own.write_bytes((samples / "courtyard.jpg").read_bytes())
    assert host.run(prompt).ok
    own.write_bytes((samples / "quay_sunset.jpg").read_bytes())
    again = host.run(prompt)
    assert again.ok
    assert find(prompt, "LoadPanorama")[0] not in again.cached


def test_the_dual_model_takes_two_panoramas_and_refuses_one(host, small):
    for name, fine in ((BETWEEN, True), (WALK, False)):
        _, loader = find(small[name], "PantheonModelLoader")
        loader["inputs"]["checkpoint"] = "random_dual.safetensors"
        result = host.run(small[name])
        assert result.ok == fine, result.error
        if not fine:
            assert "two panoramas" in result.error
            assert result.error_node == "PantheonSampler"


@pytest.mark.parametrize(
    ("class_type", "values", "says"),
    [
        ("LoadPanorama", {"image": "gone.jpg"}, "is not in the input folder"),
        ("PantheonModelLoader", {"checkpoint": "gone.safetensors"}, "is not in"),
        ("TrajectoryFromKeyframes", {"path": "keyframes", "keyframes": "{"}, "not valid JSON"),
        ("TrajectoryFromKeyframes", {"path": "keyframes", "keyframes": " "}, "needs keyframes"),
        ("TrajectoryFromKeyframes", {"frames": 0}, "smaller than min"),
    ],
)
def test_wrong_values_are_refused_before_anything_runs(host, small, class_type, values, says):
    prompt = small[WALK]
    key, node = find(prompt, class_type)
    node["inputs"] |= values
    before = files_in(host.base / "output")
    try:
        answer = host.post("/prompt", {"prompt": prompt, "client_id": host.client_id})
    except host_session.HostError as refused:
        answer = refused.body
    # The host still runs the branches of the graph that do not need the node.
    if answer.get("prompt_id"):
        host.wait(answer["prompt_id"])
    errors = json.dumps(answer["node_errors"][key]["errors"])
    assert says in errors
    assert files_in(host.base / "output") == before


@pytest.mark.parametrize(
    ("class_type", "values", "says"),
    [
        ("LoadPanorama", {"image": "broken.jpg"}, "broken.jpg"),
        ("LoadPanorama", {"image": "flat.png"}, "twice as wide as high"),
        ("PantheonModelLoader", {"checkpoint": "broken.safetensors"}, "damaged"),
        ("Build3DCache", {"confidence": 1.0, "sky": False}, "confidence"),
        ("Build3DCache", {"backend": "given depth"}, "Connect depth"),
        ("TrajectoryFromKeyframes", {"path": "between panoramas"}, "two or more panoramas"),
        ("RenderERPScaffold", {"height": 80}, "multiple of 64"),
    ],
)
def test_what_goes_wrong_while_running_gets_a_sentence_and_leaves_no_file(
    host, small, class_type, values, says
):
    from PIL import Image

    (host.base / "input" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    Image.new("RGB", (64, 64)).save(host.base / "input" / "flat.png")
    (host.base / "models" / "pantheon360" / "broken.safetensors").write_bytes(b"nothing")
    prompt = small[WALK]
    _, node = find(prompt, class_type)
    node["inputs"] |= values
    before = files_in(host.base / "output")
    result = host.run(prompt)
    assert not result.ok
    assert says in result.error
    assert len(result.error.strip()) > 30
    assert files_in(host.base / "output") == before


def test_stop_ends_a_long_run_soon_and_the_next_run_works(host, small):
    prompt = copy.deepcopy(small[WALK])
    _, sampler = find(prompt, "PantheonSampler")
    sampler["inputs"] |= {"steps": 200, "seed": 77}
    before = files_in(host.base / "output")
    running = host.queue(prompt)
    time.sleep(3)
    host.interrupt()
    begin = time.monotonic()
    result = host.wait(running)
    assert result.interrupted
    assert time.monotonic() - begin < 15
    assert files_in(host.base / "output") == before
    sampler["inputs"]["steps"] = 2
    assert host.run(prompt).ok


def test_stop_while_encoding_leaves_no_part_of_a_video(host, small):
    prompt = small[SCAFFOLD]
    _, path = find(prompt, "TrajectoryFromKeyframes")
    path["inputs"]["frames"] = 400
    before = files_in(host.base / "output")
    running = host.queue(prompt)
    time.sleep(2)
    host.interrupt()
    result = host.wait(running)
    assert result.interrupted
    left = files_in(host.base / "output") - before
    assert all(path.suffix == ".mp4" and not path.name.startswith(".") for path in left)


def test_the_sampler_shows_previews_and_progress(host, small):
    import websocket

    prompt = small[WALK]
    _, sampler = find(prompt, "PantheonSampler")
    sampler["inputs"] |= {"seed": 4711, "steps": 40}
    address = host.url.replace("http", "ws") + f"/ws?clientId={host.client_id}"
    socket = websocket.create_connection(address, timeout=120)
    running = host.queue(prompt)
    pictures, progress = [], []
    while True:
        message = socket.recv()
        if isinstance(message, bytes):
            pictures += [message] if b"\xff\xd8\xff" in message[:4096] else []
            continue
        event = json.loads(message)
        if event["type"] == "progress":
            progress.append(event["data"]["value"])
        if event["type"] in ("execution_success", "execution_error"):
            break
    socket.close()
    assert host.wait(running).ok
    # At most four a second are sent; forty steps take longer than that.
    assert 3 <= len(pictures) < 40
    assert len(progress) > 4
