"""The 360° viewer in a real Chromium on the real frontend, on the classic canvas and with Vue nodes."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from pages import FRAMES_JS, close, once, opened_page
from PIL import Image
from viewer_page import (
    BLACK,
    BLUE,
    COME_AND_GO_JS,
    GREEN,
    MAGENTA,
    RED,
    ROOT_JS,
    WHITE,
    YELLOW,
    Page,
    marked_panorama,
    noise_panorama,
    opened,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["classic", "vue"])
def shown(request, host, frontend):
    noise = noise_panorama()
    for name, picture in (
        ("marked", marked_panorama()),
        ("noise", noise),
        ("rolled", np.roll(noise, noise.shape[1] // 2, axis=1)),
    ):
        Image.fromarray(picture).save(host.base / "input" / f"viewer_{name}.png")
    with opened_page(host, frontend, request.param) as (page, problems):
        yield Page(page, problems, request.param)


def test_every_direction_shows_its_colour(shown):
    shown.choose("one", "What to compare", "left")
    expected = {"front": RED, "right": GREEN, "back": BLUE, "left": YELLOW, "up": WHITE, "down": BLACK}
    names = ["Look to the front (1)", "Look to the right (2)", "Look back (3)", "Look to the left (4)"]
    names += ["Look up (5)", "Look down (6)"]
    for label, (direction, colour) in zip(names, expected.items(), strict=True):
        shown.press("one", label)
        assert close(shown.at("one", 0.5, 0.5), colour), direction
    shown.press("one", names[0])
    picture = shown.picture("one")
    mark = np.argwhere(np.abs(picture - MAGENTA).max(-1) < 20)
    height, width = picture.shape[:2]
    half = np.tan(np.radians(75 / 2))
    # The mark at 20 degrees right, 15 up in a perspective view of 75 degrees.
    right = width / 2 + np.tan(np.radians(20)) / half * height / 2
    up = height / 2 - np.tan(np.radians(15)) / np.cos(np.radians(20)) / half * height / 2
    assert abs(mark.mean(0) - [up, right]).max() < 4
    shown.choose("one", "What to compare", "wipe")
    assert shown.problems == []


@once
def test_wipe_compares_two(shown):
    shown.press("one", "Look to the front (1)")
    negative = 255 - np.array(RED)
    assert close(shown.at("one", 0.3, 0.5), RED)
    assert close(shown.at("one", 0.7, 0.5), negative)
    shown.choose("one", "What to compare", "right")
    assert close(shown.at("one", 0.3, 0.5), negative)
    shown.choose("one", "What to compare", "wipe")


@once
def test_projections_show_the_whole_sphere(shown):
    shown.choose("one", "What to compare", "left")
    shown.choose("one", "Projection", "flat")
    picture = shown.picture("one")
    height, width = picture.shape[:2]
    row = picture[height // 2]
    assert close(row[width // 2], RED)
    assert close(row[int(width * 0.75)], GREEN)
    assert close(row[int(width * 0.25)], YELLOW)
    assert close(row[5], BLUE)
    assert close(row[-6], BLUE)
    shown.choose("one", "Projection", "planet")
    # From above: the ground in the middle, the front beyond it, the back before it, the right to its right.
    assert close(shown.at("one", 0.5, 0.5), BLACK)
    assert close(shown.at("one", 0.5, 0.2), RED)
    assert close(shown.at("one", 0.5, 0.8), BLUE)
    assert close(shown.at("one", 0.7, 0.5), GREEN)
    shown.screenshot(f"viewer_{shown.kind}_planet")
    shown.choose("one", "Projection", "rectilinear")
    shown.choose("one", "What to compare", "wipe")
    assert shown.problems == []


@once
def test_no_line_where_the_panorama_closes(shown):
    """The seam in the middle of the view looks as the same place does where the picture has no edge."""
    shown.press("two", "Look back (3)")
    shown.press("three", "Look to the front (1)")
    with_seam, without = shown.picture("two"), shown.picture("three")
    assert with_seam.shape == without.shape
    assert with_seam.std() > 20
    assert np.abs(with_seam - without).max() <= 4
    # From far off, where the smaller copies of the picture are used.
    for name in ("two", "three"):
        shown.choose(name, "Projection", "planet")
    shown.press("two", "Look back (3)")
    shown.press("three", "Look to the front (1)")
    assert np.abs(shown.picture("two") - shown.picture("three")).max() <= 4
    for name in ("two", "three"):
        shown.choose(name, "Projection", "rectilinear")


def test_pointer_wheel_and_keys(shown):
    shown.press("one", "Look to the front (1)")
    stage = shown.root("one").query_selector(".p360-stage")
    box = stage.bounding_box()
    before = shown.page.evaluate(
        "(id) => [...app.graph.getNodeById(id).pos, app.canvas.ds.scale]", shown.ids["one"]
    )
    x, y = box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2
    mouse = shown.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x - box["width"] / 4, y, steps=3)
    mouse.up()
    where = shown.root("one").query_selector(".p360-where")
    shown.page.evaluate(FRAMES_JS)
    dragged = where.inner_text()
    assert re.match(r"yaw [1-9]\d°\s+pitch 0°", dragged), dragged
    mouse.wheel(0, -300)
    shown.page.evaluate(FRAMES_JS)
    zoomed = where.inner_text()
    assert int(zoomed.split()[-1][:-1]) < 75
    stage.press("Home")
    stage.press("2")
    stage.press("g")
    shown.page.evaluate(FRAMES_JS)
    assert where.inner_text().startswith("yaw 90°")
    assert shown.root("one").query_selector('[aria-pressed="true"]')
    shown.screenshot(f"viewer_{shown.kind}")
    stage.press("g")
    stage.press("1")
    after = shown.page.evaluate(
        "(id) => [...app.graph.getNodeById(id).pos, app.canvas.ds.scale]", shown.ids["one"]
    )
    assert after == before
    assert shown.problems == []


def test_video_plays_from_the_file_and_can_be_scrubbed(shown):
    clip = shown.root("video").query_selector("video")
    assert "/view?" in clip.get_attribute("src")
    shown.press("video", "Play (space)")
    shown.page.wait_for_function("(video) => !video.paused && video.currentTime > 0", arg=clip)
    shown.press("video", "Pause (space)")
    for seconds, colour in ((0.2, RED), (0.7, 255 - np.array(RED))):
        shown.root("video").query_selector('[aria-label="Position in the video"]').fill(str(seconds))
        shown.page.wait_for_function(
            "([video, at]) => !video.seeking && Math.abs(video.currentTime - at) < 0.01", arg=[clip, seconds]
        )
        shown.page.wait_for_timeout(100)
        # Colours that went through a video file.
        assert close(shown.at("video", 0.5, 0.5), colour, 20)
    draws = shown.page.evaluate("() => counted.draws")
    shown.page.wait_for_timeout(300)
    assert shown.page.evaluate("() => counted.draws") == draws, "draws though nothing moves"
    shown.press("video", "Play (space)")
    shown.page.wait_for_function("(before) => counted.draws > before", arg=draws)
    shown.press("video", "Pause (space)")
    assert shown.problems == []


def test_full_screen_is_a_dialog(shown):
    stage = shown.root("video").query_selector(".p360-stage")
    stage.press("f")
    shown.page.wait_for_selector("dialog.p360-dialog[open] .p360-stage canvas")
    shown.page.wait_for_timeout(400)
    shown.screenshot(f"viewer_{shown.kind}_full")
    shown.page.keyboard.press("Escape")
    shown.page.wait_for_selector("dialog.p360-dialog", state="detached")
    assert shown.root("video").query_selector(".p360-stage")
    assert shown.problems == []


@once
def test_snapshot_is_a_png_of_the_view(shown, tmp_path):
    shown.choose("one", "What to compare", "left")
    shown.press("one", "Look to the right (2)")
    with shown.page.expect_download() as started:
        shown.press("one", "Save this view as a PNG file")
    started.value.save_as(tmp_path / "view.png")
    with Image.open(tmp_path / "view.png") as saved:
        assert saved.width == 1920
        assert close(saved.convert("RGB").getpixel((saved.width // 2, saved.height // 2)), GREEN)
    assert started.value.suggested_filename == "pantheon360_yaw90_pitch0.png"
    shown.choose("one", "What to compare", "wipe")


@once
def test_one_context_for_all_and_it_comes_back_when_lost(shown):
    assert shown.page.evaluate("() => counted.contexts.length") - shown.contexts_before <= 1
    ours = "counted.contexts.at(-1)"
    shown.press("one", "Look to the left (4)")
    shown.page.evaluate(
        f"() => {{ window.loser = {ours}.getExtension('WEBGL_lose_context'); loser.loseContext(); }}"
    )
    shown.page.wait_for_selector(".p360 [role=alert]")
    shown.page.evaluate("() => { counted.textures = 0; }")
    assert "graphics driver" in shown.root("one").inner_text()
    shown.page.evaluate("() => loser.restoreContext()")
    shown.page.wait_for_function("() => !document.querySelector('.p360 [role=alert]')")
    shown.wait_until_drawn("one", "two", "three", "video")
    shown.page.wait_for_timeout(300)
    assert close(shown.at("one", 0.3, 0.5), YELLOW)
    shown.press("one", "Look to the front (1)")


def test_an_empty_viewer_and_a_lost_file_say_what_to_do(shown):
    assert "Run the graph to see the panorama here" in shown.root("empty").inner_text()
    shown.page.evaluate(
        """(id) => app.graph.getNodeById(id).onExecuted({ pantheon_360: [{ name: 'images', file: 'none.png',
          subfolder: '', folder: 'temp', kind: 'image', spherical: true, stamp: '1' }] })""",
        shown.ids["empty"],
    )
    shown.page.wait_for_selector(".p360 [role=alert]")
    assert "Run the graph again" in shown.root("empty").inner_text()
    shown.screenshot(f"viewer_{shown.kind}_gone")
    assert shown.problems == []


def test_undo_brings_the_viewer_back_where_it_was(shown):
    page = shown.page
    shown.press("one", "Look to the right (2)")
    shown.page.evaluate(FRAMES_JS)
    tracker = "app.extensionManager.workflow.activeWorkflow.changeTracker"
    page.evaluate(f"() => {tracker}.captureCanvasState()")
    page.evaluate("(id) => app.graph.remove(app.graph.getNodeById(id))", shown.ids["one"])
    page.evaluate(f"() => {tracker}.captureCanvasState()")
    assert shown.page.evaluate(ROOT_JS, shown.ids["one"]) is None
    page.evaluate(f"() => {tracker}.undo()")
    shown.wait_until_drawn("one", "two", "video")
    assert close(shown.at("one", 0.3, 0.5), GREEN)
    assert shown.problems == []


@pytest.fixture
def device(shown):
    """A touch screen and what the browser's own tools know of it."""
    session = shown.page.context.new_cdp_session(shown.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    yield session
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    session.detach()


def test_two_fingers_zoom_and_one_turns(shown, device):
    with opened(shown, "viewer_marked.png") as root:
        box = root.query_selector(".p360-stage").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        before = shown.page.evaluate("() => [...app.canvas.ds.offset, app.canvas.ds.scale]")

        def touch(kind, *points):
            points = [{"x": px, "y": py, "id": number} for number, (px, py) in enumerate(points)]
            device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        where = root.query_selector(".p360-where")
        touch("touchStart", (x - 40, y), (x + 40, y))
        for spread in (50, 60, 70, 80):
            touch("touchMove", (x - spread, y), (x + spread, y))
        touch("touchEnd")
        shown.page.evaluate(FRAMES_JS)
        assert where.text_content() == "yaw 0°  pitch 0°  view 38°"
        touch("touchStart", (x, y))
        for step in (20, 40, 60):
            touch("touchMove", (x - step, y))
        touch("touchEnd")
        shown.page.evaluate(FRAMES_JS)
        assert re.match(r"yaw [1-9]\d?°  pitch 0°  view 38°", where.text_content()), where.text_content()
        after = shown.page.evaluate("() => [...app.canvas.ds.offset, app.canvas.ds.scale]")
        assert after == before
    assert shown.problems == []


@once
def test_a_phone_that_is_turned_turns_the_view(shown, device):
    label = "Look around by moving the device"

    def hold(alpha, beta, gamma):
        device.send(
            "DeviceOrientation.setDeviceOrientationOverride", {"alpha": alpha, "beta": beta, "gamma": gamma}
        )

    with opened(shown, "viewer_marked.png") as root:
        button = root.query_selector(f'[aria-label="{label}"]')
        # Held a little up, so that the viewer shows when the sensor has first spoken: that is forward.
        hold(100, 110, 0)
        button.click()
        shown.page.wait_for_function("(one) => one.ariaPressed === 'true'", arg=button)
        # Upright, then turned right by a quarter, then up by 30 degrees.
        held = (
            ((100, 110, 0), "yaw 0°  pitch 20°"),
            ((100, 90, 0), "yaw 0°  pitch 0°"),
            ((10, 90, 0), "yaw 90°  pitch 0°"),
        )
        for angles, said in held:
            hold(*angles)
            shown.page.wait_for_function(
                "([root, said]) => root.querySelector('.p360-where').textContent.startsWith(said)",
                arg=[root, said],
            )
        assert close(shown.at("own", 0.5, 0.5), GREEN)
        hold(10, 120, 0)
        shown.page.wait_for_function(
            "(root) => root.querySelector('.p360-where').textContent.startsWith('yaw 90°  pitch 30°')",
            arg=root,
        )
        button.click()
        hold(200, 90, 0)
        shown.page.wait_for_timeout(200)
        assert root.query_selector(".p360-where").text_content().startswith("yaw 90°  pitch 30°")
        device.send("DeviceOrientation.clearDeviceOrientationOverride")
        # Where the user has to be asked, and says no.
        shown.page.evaluate("() => { DeviceOrientationEvent.requestPermission = async () => 'denied'; }")
        button.click()
        shown.page.wait_for_function("(one) => one.disabled", arg=button)
        assert "did not allow" in button.get_attribute("title")
        shown.page.evaluate("() => { delete DeviceOrientationEvent.requestPermission; }")
    assert shown.problems == []


@once
def test_sound_speed_and_repeat_are_the_videos(shown, host):
    from pantheon_core.video import write_video

    tone = torch.sin(torch.arange(48_000) * (2 * torch.pi * 440 / 48_000))[None] * 0.1
    frames = torch.rand(8, 3, 64, 128)
    write_video(host.base / "input" / "viewer_tone.mp4", frames, fps=8, audio=(tone, 48_000))
    with opened(shown, "viewer_tone.mp4", "video") as root:
        clip = root.query_selector("video")
        assert clip.evaluate("(one) => one.captureStream().getAudioTracks().length") == 1
        assert clip.evaluate("(one) => one.muted") is True
        shown.press("own", "Sound on")
        assert clip.evaluate("(one) => one.muted") is False
        shown.choose("own", "Speed", "2")
        assert clip.evaluate("(one) => one.playbackRate") == 2
        # Played to the end and no further.
        shown.press("own", "Repeat")
        shown.page.wait_for_function("(one) => one.ended", arg=clip)
        shown.page.wait_for_function("(one) => one.querySelector('[aria-label=\"Play (space)\"]')", arg=root)
        heard = clip.evaluate("(one) => one.webkitAudioDecodedByteCount")
        assert heard > 0
        shown.press("own", "Repeat")
        shown.press("own", "Play (space)")
        shown.page.wait_for_function("(one) => !one.paused && !one.ended", arg=clip)
        shown.press("own", "Mute")
        assert clip.evaluate("(one) => one.muted") is True
    # The saved video has no sound, so there is nothing to switch on.
    assert shown.root("video").query_selector('[aria-label="Sound on"]').is_hidden()
    assert shown.problems == []


@once
def test_viewers_that_come_and_go_leave_nothing_behind(shown):
    page = shown.page
    session = page.context.new_cdp_session(page)

    def held():
        page.wait_for_timeout(200)
        for _ in range(2):
            session.send("HeapProfiler.collectGarbage")
        used = session.send("Runtime.getHeapUsage")["usedSize"]
        counts = session.send("Memory.getDOMCounters")
        textures, contexts = page.evaluate("() => [counted.textures, counted.contexts.length]")
        return used, counts["nodes"], counts["jsEventListeners"], textures, contexts

    def round_trips(count):
        page.evaluate(COME_AND_GO_JS, [count, "viewer_marked.png"])

    round_trips(5)
    before = held()
    round_trips(30)
    after = held()
    growth = [b - a for a, b in zip(before, after, strict=True)]
    print("growth over 30 viewers: bytes, elements, listeners, textures, contexts", growth)
    assert growth[0] < 2_000_000, f"{growth[0]} bytes of JavaScript"
    # A viewer has about 70 elements and 40 listeners.
    assert growth[1] < 400, f"{growth[1]} elements"
    assert growth[2] < 200, f"{growth[2]} listeners"
    assert growth[3] <= 1
    assert growth[4] == 0
    assert after[4] - shown.contexts_before <= 1
    session.detach()


def test_collapsed_and_removed_viewers_stop_and_let_go(shown):
    page = shown.page
    page.evaluate(
        "(ids) => ids.forEach((id) => app.graph.getNodeById(id).collapse())", list(shown.ids.values())
    )
    page.wait_for_timeout(500)
    draws = page.evaluate("() => counted.draws")
    page.wait_for_timeout(700)
    assert page.evaluate("() => counted.draws") == draws, "draws though everything is collapsed"
    for _ in range(30):
        page.evaluate("""() => {
          const node = LiteGraph.createNode('PantheonPreview360');
          app.graph.add(node);
          app.graph.remove(node);
        }""")
    page.evaluate("() => app.graph.clear()")
    page.wait_for_timeout(300)
    assert page.evaluate("() => document.querySelectorAll('.p360, .p360-dialog').length") == 0
    assert page.evaluate("() => counted.contexts.length") - shown.contexts_before <= 1
    # Only pictures that an undo would ask for again are kept, for some seconds.
    assert page.evaluate("() => counted.textures") <= 4
    assert shown.problems == []


def test_nothing_or_a_flat_picture_is_refused_in_a_sentence(host):
    Image.new("RGB", (64, 64)).save(host.base / "input" / "viewer_flat.png")
    load = {"class_type": "LoadImage", "inputs": {"image": "viewer_flat.png"}}
    node = {"class_type": "PantheonPreview360", "inputs": {"fps": 7.0}}
    assert "connect a panorama" in host.run({"1": node}).error
    node["inputs"]["images"] = ["2", 0]
    assert "twice as wide as high" in host.run({"1": node, "2": load}).error


def test_a_video_file_is_looked_at_where_it_lies(host):
    """No frame of it is decoded or written again; one made in the graph gets a file of its own."""
    from pantheon_core.video import video_info, write_video

    write_video(host.base / "input" / "viewer_clip.mp4", torch.rand(3, 3, 64, 128), fps=5)
    prompt = {
        "load": {"class_type": "LoadVideo", "inputs": {"file": "viewer_clip.mp4"}},
        "parts": {"class_type": "GetVideoComponents", "inputs": {"video": ["load", 0]}},
        "made": {"class_type": "CreateVideo", "inputs": {"images": ["parts", 0], "fps": 5.0}},
        "view": {
            "class_type": "PantheonPreview360",
            "inputs": {"images": ["load", 0], "compare": ["made", 0], "fps": 30.0},
        },
    }
    result = host.run(prompt)
    assert result.ok, result.error
    given, made = result.outputs["view"]["pantheon_360"]
    assert (given["folder"], given["subfolder"], given["file"]) == ("input", "", "viewer_clip.mp4")
    assert (made["folder"], made["kind"], made["spherical"]) == ("temp", "video", True)
    info = video_info(host.base / made["folder"] / made["subfolder"] / made["file"])
    assert (info.width, info.height, info.frames, float(info.fps)) == (128, 64, 3, 5.0)
