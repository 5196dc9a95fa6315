"""What the page may ask of a cache: read, checked, rendered. Over HTTP: tests/host/test_scrub.py."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

PATH = {
    "version": 1,
    "convention": "opencv_c2w",
    "units": "m",
    "fps": 5.0,
    "frames": 4,
    "spline": "linear",
    "orientation": "slerp",
    "constant_speed": False,
    "keyframes": [
        {"t": 0.0, "position": [0, 0, 0], "quaternion_wxyz": [1, 0, 0, 0]},
        {"t": 0.6, "position": [0, 0, 0.6], "quaternion_wxyz": [1, 0, 0, 0]},
    ],
}


@pytest.fixture(scope="module")
def pack(part_of_pack):
    """The parts that need no host."""
    names = ["nodes.session", "nodes.render_thread", "nodes.scrub", "nodes.scrub_request", "nodes.types"]
    names += ["nodes.routes", "nodes.cache_facts", "pantheon_core.cache", "pantheon_core.synthetic"]
    names += ["pantheon_core.trajectory"]
    return SimpleNamespace(**{name.split(".")[-1]: part_of_pack(name) for name in names})


@pytest.fixture(scope="module")
def built(pack):
    """A room's cache as a node makes it: of tensors of the inference mode."""
    with torch.inference_mode():
        frame = pack.synthetic.trace(
            pack.synthetic.generate_scene(3, "room"), torch.eye(4), 64, backend="torch"
        )
        cache = pack.cache.cache_from_erp(
            frame.rgb, frame.distance, frame.valid, sky=frame.sky, settings=pack.cache.CacheSettings()
        )
        panorama = pack.types.PlacedPanorama(
            name="room", rgb=frame.rgb, valid=torch.ones_like(frame.valid), T_world_cam=torch.eye(4)
        )
        return pack.types.BuiltCache(cache=cache, panoramas=(panorama,))


@pytest.fixture
def service(pack, built):
    session = pack.session.CacheSession()
    made = pack.scrub.ScrubService(session, pack.render_thread.RenderThread(), backend="torch")
    made.key = session.remember(built)
    return made


def unpack(body, magic):
    """The header and the named parts of a binary answer."""
    assert body[:8] == magic
    (length,) = struct.unpack("<I", body[8:12])
    header = json.loads(body[12 : 12 + length])
    data = body[12 + length :]
    assert (12 + length) % 4 == 0
    places = header.pop("parts")
    assert all(one["offset"] % 4 == 0 for one in places.values())
    return header, {name: data[one["offset"] : one["offset"] + one["length"]] for name, one in places.items()}


def body(**change):
    return json.dumps({"client": "a", "path": PATH, "frames": [1], "height": 64} | change).encode()


def report_body(**change):
    return json.dumps({"client": "a", "path": PATH} | change).encode()


# The session.


def test_keys_are_random_and_last_as_long_as_the_cache_is_among_the_newest(pack, built):
    session = pack.session.CacheSession(max_caches=2)
    first = session.remember(built)
    assert len(first) >= 32
    assert session.remember(built) == first
    others = [dataclasses.replace(built) for _ in range(2)]
    second = session.remember(others[0])
    assert session.remember(built) == first  # asked for again: now the newest
    session.remember(others[1])
    assert session.get(second) is None
    assert session.get(first) is built
    assert session.get("") is None
    assert session.remember(others[0]) != second


def test_large_caches_push_each_other_out_but_the_newest_stays(pack, built):
    session = pack.session.CacheSession(max_bytes=1)
    first, last = session.remember(built), session.remember(dataclasses.replace(built))
    assert session.get(first) is None
    assert session.get(last) is not None


# The thread.


def held_thread(pack):
    """A render thread that is busy until it is let go."""
    thread, go, began = pack.render_thread.RenderThread(), threading.Event(), threading.Event()

    def wait(progress):
        began.set()
        assert go.wait(10)
        return "first"

    future = thread.submit("other", "frame", wait)
    assert began.wait(10)
    return thread, go, future


def test_the_newest_request_of_a_client_wins_and_others_are_served_in_turn(pack):
    thread, go, first = held_thread(pack)
    order = []
    futures = [
        thread.submit(client, kind, lambda progress, name=name: order.append(name))
        for name, client, kind in [
            ("report", "a", "report"),
            ("old", "a", "frame"),
            ("b", "b", "frame"),
            ("new", "a", "frame"),
        ]
    ]
    go.set()
    for future in (first, futures[0], futures[2], futures[3]):
        future.result(10)
    # Frames go before reports, and asking again does not cost a place in the line.
    assert order == ["new", "b", "report"]
    with pytest.raises(pack.render_thread.Superseded):
        futures[1].result(10)


def test_a_report_stands_back_for_frames_and_ends_when_a_newer_one_comes(pack):
    thread = pack.render_thread.RenderThread()
    order, started, go = [], threading.Event(), threading.Event()

    def report(progress):
        for step in range(3):
            order.append(f"report {step}")
            started.set()
            assert go.wait(10)
            progress(step + 1, 3)
        order.append("never")

    running = thread.submit("a", "report", report)
    assert started.wait(10)
    frame = thread.submit("a", "frame", lambda progress: order.append("frame"))
    go.set()
    frame.result(10)
    assert order[:2] == ["report 0", "frame"]
    running.result(10)
    order.clear(), started.clear(), go.clear()
    running = thread.submit("a", "report", report)
    assert started.wait(10)
    newer = thread.submit("a", "report", lambda progress: order.append("newer"))
    go.set()
    newer.result(10)
    assert order == ["report 0", "newer"]
    with pytest.raises(pack.render_thread.Superseded):
        running.result(10)


def test_an_error_goes_to_who_asked_and_the_thread_lives_on(pack):
    thread = pack.render_thread.RenderThread()
    with pytest.raises(ZeroDivisionError):
        thread.submit("a", "frame", lambda progress: 1 / 0).result(10)
    assert thread.submit("a", "frame", lambda progress: 5).result(10) == 5


def test_a_crowd_is_turned_away(pack):
    thread, go, _ = held_thread(pack)
    for number in range(32):
        thread.submit(str(number), "frame", lambda progress: None)
    with pytest.raises(pack.render_thread.Busy):
        thread.submit("one more", "frame", lambda progress: None)
    thread.submit("5", "frame", lambda progress: None)  # has a place already
    go.set()


# The answers.


def test_info_says_what_the_cache_holds(service, built):
    found = json.loads(service.info(service.key).body)
    assert found["points"] == len(built.cache.points)
    assert found["triangles"] == len(built.cache.triangles)
    assert found["metric"] is built.cache.metric
    (anchor,) = found["anchors"]
    assert anchor == {
        "name": "room",
        "T_world_anchor": torch.eye(4).flatten().tolist(),
        "width": 128,
        "height": 64,
    }
    low, high = np.array(found["bounds"]["low"]), np.array(found["bounds"]["high"])
    points = built.cache.points.numpy()
    assert np.allclose(low, points.min(0))
    assert np.allclose(high, points.max(0))
    assert (low <= found["core"]["low"]).all()
    assert (high >= found["core"]["high"]).all()
    # A room has a floor: the lowest there is.
    assert found["floor"] == pytest.approx(high[1], abs=0.05)


def test_no_floor_where_the_ground_is_not_level(pack, built):
    points = built.cache.points.clone()
    points[:, 1] += 3 * torch.rand(len(points))
    slanted = dataclasses.replace(built.cache, points=points)
    assert pack.cache_facts.floor_height(slanted) is None


def test_cloud_is_thinned_out_evenly_and_always_the_same(service, built):
    header, parts = unpack(service.cloud(service.key, "2000").body, b"P360CLD1")
    positions = np.frombuffer(parts["positions"], "<f4").reshape(-1, 3)
    colors = np.frombuffer(parts["colors"], np.uint8).reshape(-1, 4)
    assert header == {"count": len(positions), "total": len(built.cache.points), "metric": built.cache.metric}
    assert 500 < len(positions) == len(colors) <= 2000
    assert (colors[:, 3] == 255).all()
    # A point is the middle of a cell of about five degrees and five percent of the distance.
    distance = torch.cdist(torch.from_numpy(positions.copy()), built.cache.points).amin(1).numpy()
    assert (distance / np.linalg.norm(positions, axis=1)).max() < 0.13
    # Every direction keeps its share.
    octant = (positions > 0) @ [1, 2, 4]
    assert np.bincount(octant, minlength=8).min() > 50
    assert service.cloud(service.key, "2000").body == service.cloud(service.key, "2000").body
    whole, _ = unpack(service.cloud(service.key, None).body, b"P360CLD1")
    assert whole["count"] == len(built.cache.points)


def test_backdrop_is_the_panorama(service, built):
    for height, size in ((None, (128, 64)), ("32", (64, 32))):
        with Image.open(io.BytesIO(service.backdrop(service.key, "0", height).body)) as shown:
            assert shown.size == size
    reply = service.backdrop(service.key, "0", None)
    shown = np.asarray(Image.open(io.BytesIO(reply.body))).astype(float) / 255
    assert np.abs(shown - built.panoramas[0].rgb.movedim(0, -1).numpy()).mean() < 0.02
    assert reply.lasting


def test_scrub_gives_pictures_holes_and_numbers(service):
    reply = service.scrub(service.key, body(frames=[0, 3])).result(60)
    header, parts = unpack(reply.body, b"P360SCR1")
    assert (header["width"], header["height"], header["total"]) == (128, 64, 4)
    first, last = header["frames"]
    assert (first["frame"], last["frame"]) == (0, 3)
    assert first["coverage"] == 1.0
    assert 0.8 < last["coverage"] < 1.0
    assert last["T_world_cam"][11] == pytest.approx(0.6)
    assert 0 < last["clearance"] < 5
    holes = np.asarray(Image.open(io.BytesIO(parts["holes3"])))
    picture = np.asarray(Image.open(io.BytesIO(parts["rgb3"]))).astype(int)
    assert picture.shape == (64, 128, 3)
    assert holes.shape == (64, 128)
    assert (holes > 0).any()
    assert holes[holes > 0].min() >= 64
    inside = (holes > 200) & (np.roll(holes, 1, 1) > 200) & (np.roll(holes, -1, 1) > 200)
    assert picture[inside].mean() < 30
    assert not np.asarray(Image.open(io.BytesIO(parts["holes0"]))).any()


def test_report_has_a_number_for_every_frame(service):
    found = json.loads(service.report(service.key, report_body(run={"clearance": 100.0})).result(60).body)
    assert len(found["coverage"]) == len(found["clearance"]) == len(found["T_world_cam"]) == 4
    assert found["below"] == [0, 1, 2, 3]
    assert found["key_frames"] == [0, 3]
    assert found["minimum"] == 100.0
    assert found["coverage"][0] == 1.0
    assert found["coverage"][3] < found["coverage"][0]


def test_the_path_is_the_one_of_a_run(pack):
    """Stretched over the node's frames, with the node's spline and speed."""
    run = {"frames": 7, "fps": 9.0, "spline": "catmull_rom", "constant_speed": True, "clearance": 0.2}
    request = pack.scrub_request.read_request(body(run=run), frames=True)
    keys = pack.trajectory.retime(pack.trajectory.path_from_json(json.dumps(PATH)), frames=7, fps=9.0)
    keys = dataclasses.replace(keys, spline="catmull_rom", constant_speed=True)
    expected = pack.trajectory.interpolate(keys)
    assert torch.equal(request.trajectory().T_world_cam, expected.T_world_cam)
    as_given = pack.scrub_request.read_request(body(run={"spline": "as given"}), frames=True)
    plain = pack.trajectory.interpolate(pack.trajectory.path_from_json(json.dumps(PATH)))
    assert torch.equal(as_given.trajectory().T_world_cam, plain.T_world_cam)


# Refusals.


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"client": ""}, "client: expected"),
        ({"client": "x" * 65}, "client: expected"),
        ({"path": None}, "path: expected"),
        ({"path": [1]}, "path: expected"),
        ({"frames": []}, "frames: expected"),
        ({"frames": list(range(17))}, "frames: expected"),
        ({"frames": [True]}, "frames: expected"),
        ({"frames": [-1]}, "frames: expected"),
        ({"frames": [1.5]}, "frames: expected"),
        ({"height": 4096}, "height: expected"),
        ({"height": "64"}, "height: expected"),
        ({"height": True}, "height: expected"),
        ({"detail": "most"}, "detail: expected"),
        ({"run": {"frames": 1001}}, r"run.frames: 1001"),
        ({"run": {"frames": True}}, r"run.frames: True"),
        ({"run": {"fps": 0}}, r"run.fps: 0"),
        ({"run": {"spline": ["linear"]}}, r"run.spline"),
        ({"run": {"speed": 1}}, r"run.speed: unknown"),
        ({"run": 5}, "run: expected an object"),
        ({"file": "/etc/passwd"}, "file: unknown field"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_rendered(pack, change, sentence):
    with pytest.raises(pack.scrub_request.RequestError, match=sentence):
        pack.scrub_request.read_request(body(**change), frames=True)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_what_is_no_request_is_refused(pack, text):
    with pytest.raises(pack.scrub_request.RequestError, match=r"JSON"):
        pack.scrub_request.read_request(text, frames=True)


def test_too_large_a_path_is_refused(pack):
    with pytest.raises(pack.scrub_request.RequestError, match="too large"):
        pack.scrub_request.read_request(b" " * (1 << 20) + b"{}", frames=True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frames": [4]}, "expected numbers from 0 to 3"),
        ({"path": "nonsense"}, "not valid JSON"),
        ({"path": PATH | {"frames": 5000}}, "at most 1000"),
        ({"path": PATH | {"version": 9}}, "version"),
        ({"path": PATH | {"keyframes": []}}, "at least one"),
    ],
)
def test_a_bad_path_gets_the_core_s_sentence(service, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        service.scrub(service.key, body(**change)).result(60)


def test_only_what_the_session_holds_can_be_asked_for(pack, service):
    for key in ("", "0", "../../etc/passwd", service.key[:-1]):
        for ask in (
            lambda key: service.info(key),
            lambda key: service.cloud(key, None),
            lambda key: service.backdrop(key, "0", None),
            lambda key: service.scrub(key, body()),
            lambda key: service.report(key, report_body()),
        ):
            with pytest.raises(pack.scrub_request.RequestError, match="Run the graph again") as caught:
                ask(key)
            assert caught.value.status == 404
    for index in ("1", "-1", "x", "9" * 30, "٣"):
        with pytest.raises(pack.scrub_request.RequestError, match="backdrop"):
            service.backdrop(service.key, index, None)
    for budget in ("99", "1000001", "1e5", "-5", ""):
        with pytest.raises(pack.scrub_request.RequestError, match="budget"):
            service.cloud(service.key, budget)
