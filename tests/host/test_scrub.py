"""The scaffold along an unsaved path, asked of the real host, and in a real Chromium on its frontend."""

from __future__ import annotations

import io
import json
import re
import struct
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from pages import opened_page, screenshot
from PIL import Image

FRAMES, FPS = 9, 4.0
KEYS = [
    {"t": 0.0, "position": [0, 0, 0], "quaternion_wxyz": [1, 0, 0, 0], "easing": "ease_in_out"},
    {"t": 1.0, "position": [0.25, 0, 0.3], "quaternion_wxyz": [1, 0, 0, 0], "easing": "linear"},
    {"t": 3.0, "position": [0.2, 0.1, 0.8], "quaternion_wxyz": [1, 0, 0, 0], "easing": "linear"},
]
PATH = {
    "version": 1,
    "convention": "opencv_c2w",
    "units": "m",
    "fps": 7.0,
    "frames": 14,
    "spline": "catmull_rom",
    "orientation": "squad",
    "constant_speed": False,
    "loop": False,
    "keyframes": KEYS,
}
RUN = {"frames": FRAMES, "fps": FPS, "spline": "as given", "constant_speed": False, "clearance": 0.9}
PROMPT = {
    "scene": {
        "class_type": "PantheonSyntheticPanoramas",
        "inputs": {"kind": "room", "scene_seed": 3, "height": 256, "reach": 2.0},
    },
    "first": {
        "class_type": "ImageFromBatch",
        "inputs": {"image": ["scene", 1], "batch_index": 0, "length": 1},
    },
    "depth": {
        "class_type": "ImageFromBatch",
        "inputs": {"image": ["scene", 2], "batch_index": 0, "length": 1},
    },
    "photo": {"class_type": "PantheonPanoramaFromImage", "inputs": {"image": ["first", 0]}},
    "cache": {
        "class_type": "Build3DCache",
        "inputs": {
            "panoramas": ["photo", 0],
            "backend": "auto",
            "scale": 1.0,
            "confidence": 0.25,
            "sky": True,
            "edge_step": 0.05,
            "depth": ["depth", 0],
            "depth_kind": "inverse distance",
        },
    },
    "path": {
        "class_type": "TrajectoryFromKeyframes",
        "inputs": {
            "path": "keyframes",
            "frames": FRAMES,
            "fps": FPS,
            "distance": 0.5,
            "angle_deg": 0.0,
            "radius": 0.5,
            "easing": "linear",
            "keyframes": json.dumps(PATH),
            "spline": "as given",
            "constant_speed": False,
            "clearance": RUN["clearance"],
            "cache": ["cache", 0],
        },
    },
    "scaffold": {
        "class_type": "RenderERPScaffold",
        "inputs": {"cache": ["cache", 0], "trajectory": ["path", 0], "height": 256, "renderer": "auto"},
    },
    "images": {"class_type": "PreviewImage", "inputs": {"images": ["scaffold", 1]}},
    "holes": {"class_type": "MaskToImage", "inputs": {"mask": ["scaffold", 2]}},
    "masks": {"class_type": "PreviewImage", "inputs": {"images": ["holes", 0]}},
}


class Refused(Exception):
    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


def ask(host, end, body=None, **headers):
    """An answer of the pack's addresses: its bytes and headers."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{host.url}/pantheon360/cache/{end}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        said = error.read()
        sentence = json.loads(said)["error"] if said.startswith(b"{") else said.decode()
        raise Refused(error.code, sentence) from error


def unpack(body, magic):
    assert body[:8] == magic
    (length,) = struct.unpack("<I", body[8:12])
    header = json.loads(body[12 : 12 + length])
    data = body[12 + length :]
    return header, {
        name: data[one["offset"] : one["offset"] + one["length"]] for name, one in header["parts"].items()
    }


@pytest.fixture(scope="module")
def ran(host):
    """One run of the graph."""
    result = host.run(PROMPT)
    assert result.ok, result.error
    return result


@pytest.fixture(scope="module")
def key(ran):
    (told,) = ran.outputs["path"]["pantheon_cache"]
    return told["key"]


def scrub_body(**change):
    return {"client": "test", "path": PATH, "run": RUN, "frames": [1], "height": 256} | change


def report_body(**change):
    return {"client": "test", "path": PATH, "run": RUN} | change


def test_both_nodes_tell_the_key_and_a_run_from_memory_tells_it_again(host, ran, key):
    (of_cache,) = ran.outputs["cache"]["pantheon_cache"]
    assert of_cache["key"] == key
    assert of_cache["points"] > 100_000
    assert len(key) >= 32
    again = host.run(PROMPT)
    assert {"cache", "path"} <= again.cached
    assert again.outputs["path"]["pantheon_cache"][0]["key"] == key
    assert key not in json.dumps([one["prompt"] for one in host.get("/history").values()])


def test_a_graph_can_be_run_as_far_as_the_path(host, key):
    prompt = {name: PROMPT[name] for name in ("scene", "first", "depth", "photo", "cache", "path")}
    result = host.run(prompt)
    assert result.ok, result.error
    assert result.outputs["path"]["pantheon_cache"][0]["key"] == key


def test_a_scrubbed_frame_is_the_frame_of_the_run(host, ran, key):
    frames = list(range(FRAMES))
    header, parts = unpack(ask(host, f"{key}/scrub", scrub_body(frames=frames))[0], b"P360SCR1")
    assert header["total"] == FRAMES
    for index, (picture, mask) in enumerate(
        zip(ran.outputs["images"]["images"], ran.outputs["masks"]["images"], strict=True)
    ):
        run = np.asarray(Image.open(host.output_file(picture)).convert("RGB")).astype(int)
        holes = np.asarray(Image.open(host.output_file(mask)).convert("L")) > 127
        seen = np.asarray(Image.open(io.BytesIO(parts[f"rgb{index}"]))).astype(int)
        hot = np.asarray(Image.open(io.BytesIO(parts[f"holes{index}"]))) > 0
        assert (hot == holes).all()
        assert np.abs(seen - run).mean() < 4  # what a JPEG costs
    assert header["frames"][0]["coverage"] == 1.0
    assert header["frames"][-1]["coverage"] < 0.995


def test_the_report_is_the_run_s(host, ran, key):
    found = json.loads(ask(host, f"{key}/report", report_body())[0])
    header, _ = unpack(ask(host, f"{key}/scrub", scrub_body(frames=list(range(FRAMES))))[0], b"P360SCR1")
    for index, frame in enumerate(header["frames"]):
        assert found["coverage"][index] == pytest.approx(frame["coverage"], abs=0.01)
        assert found["clearance"][index] == pytest.approx(frame["clearance"], abs=1e-5)
        assert found["T_world_cam"][index] == frame["T_world_cam"]
    said = ran.outputs["path"]["text"][0]
    assert found["below"], "the path was made to come near"
    assert f"in {len(found['below'])} of {FRAMES} frames" in said
    nearest = re.search(r"nearest surface: ([\d.]+)", said).group(1)
    assert min(found["clearance"]) == pytest.approx(float(nearest), abs=0.006)


def test_cloud_and_backdrop_lie_in_the_same_world(host, key):
    """A point that the panorama shows in a direction has the panorama's colour there."""
    info = json.loads(ask(host, key)[0])
    (anchor,) = info["anchors"]
    assert anchor["T_world_anchor"] == np.eye(4).flatten().tolist()
    assert info["floor"] == pytest.approx(info["bounds"]["high"][1], abs=0.1)
    body, headers = ask(host, f"{key}/cloud?budget=5000")
    assert "immutable" in headers["Cache-Control"]
    header, parts = unpack(body, b"P360CLD1")
    points = np.frombuffer(parts["positions"], "<f4").reshape(-1, 3)
    colors = np.frombuffer(parts["colors"], np.uint8).reshape(-1, 4)[:, :3].astype(int)
    assert 2000 < header["count"] == len(points) == len(colors) <= 5000
    picture = np.asarray(Image.open(io.BytesIO(ask(host, f"{key}/backdrop/0")[0]))).astype(int)
    height, width = picture.shape[:2]
    lon, lat = (
        np.arctan2(points[:, 0], points[:, 2]),
        np.arctan2(-points[:, 1], np.hypot(points[:, 0], points[:, 2])),
    )
    x = ((lon / (2 * np.pi) + 0.5) * width).astype(int) % width
    y = np.clip(((0.5 - lat / np.pi) * height).astype(int), 0, height - 1)
    assert np.median(np.abs(picture[y, x] - colors).mean(1)) < 12


def test_only_a_known_key_and_a_sound_request_are_answered(host, key):
    refusals = [
        ("nothing", None, 404, "Run the graph again"),
        ("..%2f..%2fetc%2fpasswd", None, 404, "Run the graph again"),
        (f"{key}/backdrop/7", None, 404, "backdrop"),
        (f"{key}/cloud?budget=2000000", None, 400, "budget"),
        ("nothing/scrub", scrub_body(), 404, "Run the graph again"),
        (f"{key}/scrub", scrub_body(frames=[FRAMES]), 400, f"from 0 to {FRAMES - 1}"),
        (f"{key}/scrub", scrub_body(height=2048), 400, "height"),
        (f"{key}/scrub", scrub_body(path=PATH | {"keyframes": [{"t": 0}]}), 400, "keyframes"),
        (f"{key}/report", report_body(run=RUN | {"frames": 100_000}), 400, "run.frames"),
        (f"{key}/report", b"{", 400, "JSON"),
        (f"{key}/report", b" " * (3 << 20), 413, "too large"),
    ]
    for end, body, status, sentence in refusals:
        with pytest.raises(Refused, match=sentence) as caught:
            ask(host, end, body)
        assert caught.value.status == status, end
    with pytest.raises(Refused) as caught:
        ask(host, f"{key}/report", report_body(), Origin="http://elsewhere.example")
    assert caught.value.status == 403


def test_a_frame_overtakes_a_long_report_and_a_newer_report_ends_it(host, key):
    long = report_body(run=RUN | {"frames": 1000})
    ends = {}

    def post(name, body):
        try:
            ends[name] = len(json.loads(ask(host, f"{key}/report", body)[0])["coverage"]), time.monotonic()
        except Refused as refused:
            ends[name] = refused.status, time.monotonic()

    first = threading.Thread(target=post, args=("first", long))
    first.start()
    time.sleep(0.5)
    for _ in range(2):
        ask(host, f"{key}/scrub", scrub_body(detail="quick"))
    assert first.is_alive(), "the frames waited for the report"
    post("second", report_body())
    first.join(60)
    assert ends["first"][0] == 409
    assert ends["second"][0] == FRAMES


# In the browser.

MOUNT_JS = """async ([pack, values]) => {
  const { Scrub } = await import(`/extensions/${pack}/scrub-1/scrub.mjs`);
  const { api } = await import('/scripts/api.js');
  document.querySelector('#scrub-test')?.remove();
  const box = document.createElement('div');
  box.id = 'scrub-test';
  box.style.cssText = 'position:fixed; z-index:9999; left:80px; top:60px; width:900px; height:640px;'
    + 'padding:12px; display:flex; flex-direction:column; gap:8px; background: var(--comfy-menu-bg)';
  const picture = document.createElement('div');
  picture.style.cssText = 'flex:1; min-height:0';
  document.body.append(box);
  window.scrubbed?.dispose();
  window.events = [];
  window.given = values;
  window.scrubbed = new Scrub({ api, onevent: (event) => {
    events.push(event);
    // What the editor does with the events that are meant for it.
    const path = structuredClone(given.path);
    if (event.type === 'select') given.selected = event.index;
    else if (event.type === 'retime') path.keyframes[event.index].t = event.t;
    else if (event.type === 'easing') path.keyframes[event.index].easing = event.easing;
    else if (event.type === 'delete') path.keyframes.splice(event.index, 1);
    else return;
    given.path = path;
    scrubbed.update({ ...given, moving: event.final === false });
  } });
  picture.append(scrubbed.panel.element);
  box.append(picture, scrubbed.timeline.element);
  scrubbed.update(values);
}"""
SHOWN_JS = """(frame) => scrubbed.panel.element.dataset.frame === String(frame)
  && scrubbed.panel.note.hidden && scrubbed.panel.canvas.width > 0"""
RESTED_JS = (
    "() => !scrubbed.frames.busy && !scrubbed.reports.busy && scrubbed.report?.version === scrubbed.version"
)


class Mounted:
    def __init__(self, page, problems):
        self.page, self.problems = page, problems

    def mount(self, pack, **values):
        self.page.evaluate(MOUNT_JS, [pack, {"key": None, "path": PATH, "run": RUN, "selected": 1} | values])

    def shows(self, frame):
        self.page.wait_for_function(SHOWN_JS, arg=frame, timeout=120_000)

    def rests(self):
        self.page.wait_for_function(RESTED_JS, timeout=120_000)
        self.page.wait_for_timeout(600)
        self.page.wait_for_function(RESTED_JS, timeout=120_000)

    def events(self, kind):
        return [one for one in self.page.evaluate("() => events") if one["type"] == kind]

    def picture(self):
        self.page.wait_for_timeout(100)
        url = self.page.evaluate("() => { scrubbed.panel.draw(); return scrubbed.panel.canvas.toDataURL(); }")
        with urllib.request.urlopen(url) as answer:
            return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB")).astype(int)

    def screenshot(self, name):
        screenshot(self.page, name)


@pytest.fixture(scope="module")
def mounted(host, frontend, key):
    with opened_page(host, frontend, "classic", size=(1200, 800)) as (page, problems):
        held = Mounted(page, problems)
        held.mount(host.pack.name, key=key)
        held.shows(0)
        held.rests()
        yield held


@pytest.mark.browser
def test_seeking_shows_the_frame_and_what_is_missing_in_it(mounted):
    track = mounted.page.locator(".p360-track")
    track.focus()
    track.press("End")
    mounted.shows(FRAMES - 1)
    mounted.rests()
    picture = mounted.picture()
    hot = (picture[..., 0] > 180) & (picture[..., 2] < 60) & (picture[..., 0] - picture[..., 1] > 40)
    assert hot.sum() > 100
    said = mounted.page.locator(".p360-scaffold .p360-left").inner_text()
    assert re.fullmatch(r"9\d\.\d % covered   nearest surface 1\.\d\d m", said), said
    mounted.screenshot("scrub_flat")
    mounted.page.get_by_label("Show what is missing (H)").click()
    mounted.page.wait_for_timeout(300)
    plain = mounted.picture()
    assert (plain[hot].mean() < picture[hot].mean() - 20).all()
    mounted.page.get_by_label("Show what is missing (H)").click()
    track.press("PageUp")
    assert mounted.events("seek")[-1]["frame"] == 3
    assert mounted.events("select")[-1]["index"] == 1
    mounted.shows(3)
    assert mounted.problems == []


@pytest.mark.browser
def test_the_picture_turns_on_the_sphere(mounted):
    panel = mounted.page.locator(".p360-scaffold")
    panel.get_by_label("Projection").select_option("rectilinear")
    before = mounted.picture()
    stage = panel.locator(".p360-stage")
    box = stage.bounding_box()
    mounted.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mounted.page.mouse.down()
    mounted.page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, steps=4)
    mounted.page.mouse.up()
    assert np.abs(mounted.picture() - before).mean() > 5
    mounted.screenshot("scrub_sphere")
    stage.press("Home")
    assert np.abs(mounted.picture() - before).mean() < 1
    panel.get_by_label("Projection").select_option("flat")


@pytest.mark.browser
def test_a_keyframe_is_dragged_in_time_and_the_coverage_follows(mounted):
    page = mounted.page
    report = page.evaluate("() => scrubbed.report.coverage")
    diamond = page.locator(".p360-diamond").nth(1)
    box, track = diamond.bounding_box(), page.locator(".p360-track").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    per_frame = (track["width"] - 28) / (FRAMES - 1)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 2.1 * per_frame, y, steps=5)
    page.mouse.up()
    moves = mounted.events("retime")
    assert not moves[0]["final"]
    assert moves[-1]["final"]
    assert (moves[-1]["index"], moves[-1]["frame"]) == (1, 5)
    assert moves[-1]["t"] == pytest.approx(5 / (FRAMES - 1) * 3)
    mounted.rests()
    assert page.evaluate("() => scrubbed.report.coverage") != report
    # The keys do the same; the ends stay where a run puts them.
    diamond.press("ArrowLeft")
    assert mounted.events("retime")[-1]["frame"] == 4
    page.locator(".p360-diamond").nth(2).press("ArrowLeft")
    assert mounted.events("retime")[-1]["frame"] == 4
    diamond.press("ArrowLeft")
    assert mounted.events("retime")[-1]["frame"] == 3
    page.locator(".p360-easing").nth(0).click()
    assert mounted.events("easing")[-1] == {"type": "easing", "index": 0, "easing": "linear"}
    page.locator(".p360-track").dblclick(position={"x": 14 + 6 * per_frame, "y": 50})
    added = mounted.events("add")[-1]
    assert added["frame"] == 6
    assert added["t"] == pytest.approx(6 / (FRAMES - 1) * 3)
    mounted.rests()
    mounted.screenshot("scrub_retimed")
    assert mounted.problems == []


@pytest.mark.browser
def test_playing_goes_through_the_frames_and_round(mounted):
    page = mounted.page
    track = page.locator(".p360-track")
    track.focus()
    track.press("Home")
    page.evaluate("() => { events.length = 0; }")
    track.press(" ")
    page.wait_for_function(
        """(frames) => {
          const shown = events.filter((one) => one.type === 'frame').map((one) => one.frame);
          return new Set(shown).size === frames && shown.at(-1) < shown.at(-2);
        }""",
        arg=FRAMES,
        timeout=120_000,
    )
    shown = [one["frame"] for one in mounted.events("frame")]
    steps = np.diff(shown)
    assert set(steps[steps != 0]) <= {1, 1 - FRAMES}
    assert mounted.events("play")
    track.press(" ")
    assert mounted.events("pause")
    page.get_by_label("Repeat").click()
    assert mounted.events("loop")[-1]["loop"] is False
    track.press(" ")
    page.wait_for_function("() => !scrubbed.playing", timeout=60_000)
    assert page.evaluate("() => scrubbed.playhead") == FRAMES - 1
    page.get_by_label("Repeat").click()
    assert mounted.problems == []


@pytest.mark.browser
def test_what_stands_in_the_way_is_said(mounted, host, key):
    mounted.mount(host.pack.name)
    assert "Run the graph once" in mounted.page.locator(".p360-note").inner_text()
    mounted.screenshot("scrub_empty")
    mounted.mount(host.pack.name, key=key, path=None)
    assert "Add a keyframe" in mounted.page.locator(".p360-note").inner_text()
    mounted.mount(host.pack.name, key="nothing-of-this-session")
    mounted.page.wait_for_selector(".p360-scaffold [role=alert]")
    assert "Run the graph again" in mounted.page.locator(".p360-note").inner_text()
    assert mounted.events("gone")
    mounted.mount(host.pack.name, key=key, path=PATH | {"version": 99})
    mounted.page.wait_for_selector(".p360-scaffold [role=alert]")
    assert "another release" in mounted.page.locator(".p360-note").inner_text()
    mounted.page.evaluate("() => { given.path = {...given.path, version: 1}; scrubbed.update(given); }")
    mounted.shows(0)
    mounted.page.evaluate("() => scrubbed.dispose()")
    assert mounted.page.locator("#scrub-test .p360").count() == 0
    assert mounted.problems == []
