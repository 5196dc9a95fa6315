"""The path editor in a real Chromium on the real frontend, on the classic canvas and with Vue nodes."""

from __future__ import annotations

import json
import math
import re

import host_browser
import pytest
from editor_page import COLOURS_JS, DIALOG, TRACKER, Page
from pages import once, opened_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["classic", "vue"])
def shown(request, host, frontend):
    with opened_page(host, frontend, request.param) as (page, problems):
        yield Page(page, problems, request.param)


def test_the_node_shows_its_path_and_says_what_to_do(shown):
    shown.page.wait_for_function(
        "(id) => /17 keyframes/.test(app.graph.getNodeById(id).widgets"
        ".find((w) => w.name === 'path_editor').element.innerText)",
        arg=shown.ids["plain"],
    )
    assert "5 keyframes · 21 frames" in shown.root("scene").inner_text()
    assert "No keyframes yet" in shown.root("empty").inner_text()
    # The text is kept, not shown.
    hidden = shown.page.evaluate(
        "(id) => { const one = app.graph.getNodeById(id).widgets.find((w) => w.name === 'keyframes');"
        " return [one.hidden, one.element?.getClientRects().length ?? 0]; }",
        shown.ids["plain"],
    )
    assert hidden == [True, 0]
    shown.screenshot("empty_nodes")
    assert shown.problems == []


def test_editing_starts_without_a_scene(shown):
    shown.open("empty")
    stage = shown.page.locator(f"{DIALOG} .p360e-stage")
    assert "No keyframes yet" in stage.inner_text()
    assert "No 3D scene yet" in stage.inner_text()
    shown.screenshot("empty")
    shown.press("k", "k")
    assert [key["position"] for key in shown.keys("empty")] == [[0, 0, 0], [0, 0, 0.5]]
    assert "No keyframes yet" not in stage.inner_text()
    shown.press("Control+z", "Control+z")
    assert shown.values("empty")["keyframes"] == ""
    shown.close()
    assert shown.problems == []


def test_an_edit_is_one_step_of_the_graphs_own_undo(shown):
    before = shown.values("plain")
    shown.open("plain")
    steps = shown.undo_steps()
    shown.press("2")
    key = shown.page.evaluate(
        f"() => document.querySelector('{DIALOG}').pantheonEditor.path.keyframes[8].position"
    )
    scale = shown.metres_per_pixel()
    shown.drag(shown.pixel("path.keyframes[8].position"), (60, -40))
    assert shown.values("plain")["path"] == "keyframes"
    moved = shown.keys("plain")
    assert len(moved) == 17
    # From above: right is +x, up is +z; the ground plane keeps the height.
    expected = [key[0] + 60 * scale, key[1], key[2] + 40 * scale]
    assert moved[8]["position"] == pytest.approx(expected, abs=2e-3)
    assert shown.undo_steps() == steps + 1
    shown.press("ArrowRight")
    nudged = shown.keys("plain")[8]["position"]
    assert nudged == pytest.approx([expected[0] + 0.05, *expected[1:]], abs=2e-3)
    assert shown.undo_steps() == steps + 2
    shown.press("Control+z")
    assert shown.keys("plain") == moved
    assert shown.undo_steps() == steps + 1
    shown.press("Control+z")
    assert shown.values("plain") == before, "back at the ready-made movement"
    assert shown.undo_steps() == steps
    shown.press("Control+y", "Control+y")
    assert shown.keys("plain")[8]["position"] == nudged
    assert shown.page.locator(DIALOG).count() == 1
    shown.close()
    # And outside of the editor, as any other change.
    shown.page.evaluate(f"() => {TRACKER}.undo()")
    shown.page.wait_for_timeout(300)
    assert shown.keys("plain") == moved
    assert shown.problems == []


def test_handles_numbers_and_keys(shown):
    shown.open("plain")
    shown.press("1", "f")
    shown.page.locator(f"{DIALOG} .p360e-list button").nth(3).click()
    shown.settle()
    before = shown.keys("plain")[3]["position"]
    reach = f"86 * view.metresPerPixel({before})"
    # Along the arrow of x, and only along it.
    start = shown.pixel(f"[{before[0]} + 0.7 * {reach}, {before[1]}, {before[2]}]")
    ahead = shown.pixel(f"[{before[0]} + 1.2 * {reach}, {before[1]}, {before[2]}]")
    shown.drag(start, (ahead[0] - start[0], ahead[1] - start[1]))
    after = shown.keys("plain")[3]["position"]
    assert after[0] > before[0] + 0.02
    assert after[1:] == pytest.approx(before[1:], abs=1e-5)
    # Escape stops a drag.
    start = shown.pixel("path.keyframes[3].position")
    shown.page.mouse.move(*start)
    shown.page.mouse.down()
    shown.page.mouse.move(start[0] + 90, start[1] + 30, steps=2)
    shown.page.keyboard.press("Escape")
    shown.page.mouse.up()
    shown.settle()
    assert shown.keys("plain")[3]["position"] == after
    # Numbers.
    shown.field("Yaw").fill("90")
    shown.field("Yaw").press("Enter")
    shown.settle()
    assert shown.keys("plain")[3]["quaternion_wxyz"] == pytest.approx(
        [math.sqrt(0.5), 0, math.sqrt(0.5), 0], abs=1e-6
    )
    shown.field("Up").fill("0.25")
    shown.field("Up").press("Enter")
    shown.settle()
    assert shown.keys("plain")[3]["position"][1] == -0.25
    # Delete, duplicate, reorder.
    count = len(shown.keys("plain"))
    shown.press("Delete")
    assert len(shown.keys("plain")) == count - 1
    shown.press("Control+d")
    assert len(shown.keys("plain")) == count
    third, fourth = (shown.keys("plain")[i]["position"] for i in (3, 4))
    shown.page.locator(f"{DIALOG} .p360e-list button").nth(3).click()
    shown.page.locator(f"{DIALOG} [aria-label^='Later']").click()
    shown.settle()
    assert [shown.keys("plain")[i]["position"] for i in (3, 4)] == [fourth, third]
    shown.close()
    assert shown.problems == []


def test_a_run_brings_the_scene(shown):
    page = shown.page
    page.evaluate("() => app.queuePrompt(0)")
    page.wait_for_function("() => Object.values(app.nodeOutputs ?? {}).some((one) => one.pantheon_cache)")
    shown.open("scene")
    page.wait_for_function(
        f"() => document.querySelector('{DIALOG}').pantheonEditor.stage.scene?.state === 'ready'"
    )
    page.wait_for_timeout(1500)
    shown.screenshot("cache")
    stage = page.locator(f"{DIALOG} .p360e-stage")
    assert "No 3D scene" not in stage.inner_text()
    # The points are seen: more colours than lines have.
    page.wait_for_function(f"(dialog) => ({COLOURS_JS})(dialog) > 300", arg=page.query_selector(DIALOG))
    # Fly, and put keyframes where one is.
    shown.press("5")
    for _ in range(4):
        at = page.evaluate(f"() => document.querySelector('{DIALOG}').pantheonEditor.view.fly.position")
        page.keyboard.down("s")
        page.wait_for_function(
            f"""([x, , z]) => {{
              const at = document.querySelector('{DIALOG}').pantheonEditor.view.fly.position;
              return Math.hypot(at[0] - x, at[2] - z) > 0.15;
            }}""",
            arg=at,
        )
        page.keyboard.up("s")
        page.keyboard.press("k")
        shown.settle()
    assert len(shown.keys("scene")) == 9
    there = page.evaluate(f"() => document.querySelector('{DIALOG}').pantheonEditor.view.fly.position")
    assert shown.keys("scene")[-1]["position"] == pytest.approx(there, abs=1e-5)
    shown.screenshot("flying")
    shown.press("Delete", "1", "f")
    shown.screenshot("eight_keyframes")
    assert len(shown.keys("scene")) == 8
    assert json.loads(shown.values("scene")["keyframes"])["spline"] == "linear"
    assert shown.values("scene")["spline"] == "as given", "the path has taken the node's setting in"
    shown.close()
    assert shown.problems == []


@once
def test_the_scene_comes_back_after_a_lost_context(shown):
    page = shown.page
    shown.open("scene")
    dialog = page.query_selector(DIALOG)
    page.wait_for_function(f"(dialog) => ({COLOURS_JS})(dialog) > 300", arg=dialog)
    page.evaluate(
        "() => { window.loser = counted.contexts.at(-1).getExtension('WEBGL_lose_context');"
        " loser.loseContext(); }"
    )
    page.wait_for_timeout(300)
    page.evaluate("() => loser.restoreContext()")
    page.wait_for_timeout(500)
    page.evaluate(
        "(dialog) => { const { canvas } = dialog.pantheonEditor.stage;"
        " canvas.getContext('2d').clearRect(0, 0, canvas.width, canvas.height);"
        " dialog.pantheonEditor.stage.ask(); }",
        dialog,
    )
    page.wait_for_function(f"(dialog) => ({COLOURS_JS})(dialog) > 300", arg=dialog)
    shown.close()
    assert shown.problems == []


def test_the_run_walks_the_path_that_was_seen(shown, host):
    """Length and frames of the node's report are those of the overview."""
    page = shown.page
    page.wait_for_timeout(700)
    seen = shown.root("scene").query_selector(".p360e-bar p").inner_text()
    before = set(host.get("/history"))
    page.evaluate("() => app.queuePrompt(0)")
    for _ in range(600):
        if done := set(host.get("/history")) - before:
            break
        page.wait_for_timeout(200)
    outputs = host.get("/history")[done.pop()]["outputs"]
    said = outputs[str(shown.ids["scene"])]["text"][0]
    frames, metres = re.search(r"(\d+) frames.*, ([\d.]+) m long", said).groups()
    assert f"{frames} frames" in seen
    assert float(re.search(r"([\d.]+) m$", seen)[1]) == pytest.approx(float(metres), abs=0.011)


def test_saved_loaded_copied_and_sent(shown):
    page = shown.page
    text = shown.values("scene")["keyframes"]
    assert len(json.loads(text)["keyframes"]) == 8
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    assert prompt[str(shown.ids["scene"])]["inputs"]["keyframes"] == text
    assert "path_editor" not in prompt[str(shown.ids["scene"])]["inputs"]
    saved = page.evaluate("() => app.graph.serialize()")
    (kept,) = [node for node in saved["nodes"] if str(node["id"]) == str(shown.ids["scene"])]
    assert text in kept["widgets_values"]
    assert len(json.dumps(saved)) < 60_000, "nothing large is saved"
    page.evaluate(host_browser.LOAD_JS, saved)
    page.wait_for_timeout(500)
    assert shown.values("scene")["keyframes"] == text
    copied = page.evaluate(
        """(id) => {
          const node = app.graph.getNodeById(id);
          app.canvas.selectItems([node]);
          app.canvas.copyToClipboard([node]);
          const before = new Set(app.graph.nodes);
          app.canvas.pasteFromClipboard();
          const [made] = app.graph.nodes.filter((one) => !before.has(one));
          const value = made.widgets.find((one) => one.name === 'keyframes').value;
          app.graph.remove(made);
          return value;
        }""",
        shown.ids["scene"],
    )
    assert copied == text
    assert shown.problems == []


def test_undo_of_the_graph_brings_the_overview_back(shown):
    page = shown.page
    page.evaluate(f"() => {TRACKER}.captureCanvasState()")
    page.evaluate("(id) => app.graph.remove(app.graph.getNodeById(id))", shown.ids["scene"])
    page.evaluate(f"() => {TRACKER}.captureCanvasState()")
    page.evaluate(f"() => {TRACKER}.undo()")
    page.wait_for_function(
        "(id) => /8 keyframes/.test(app.graph.getNodeById(id)?.widgets"
        ".find((w) => w.name === 'path_editor')?.element.innerText ?? '')",
        arg=shown.ids["scene"],
    )
    assert shown.problems == []


@once
def test_a_text_that_is_no_path_is_named(shown):
    shown.page.evaluate(
        """(id) => {
          const node = app.graph.getNodeById(id);
          node.widgets.find((one) => one.name === 'keyframes').value = '{"version": 1, "fps": 7}';
        }""",
        shown.ids["empty"],
    )
    shown.page.wait_for_selector(".p360e-small [role=alert]")
    assert "convention is missing" in shown.root("empty").inner_text()
    shown.page.evaluate(
        "(id) => { app.graph.getNodeById(id).widgets.find((one) => one.name === 'keyframes').value = ''; }",
        shown.ids["empty"],
    )


@once
def test_a_linked_path_is_not_edited(shown):
    page = shown.page
    page.evaluate(
        """([from, to]) => {
          const [source, target] = [from, to].map((id) => app.graph.getNodeById(id));
          source.connect(1, target, target.inputs.findIndex((one) => one.name === 'keyframes'));
        }""",
        [shown.ids["plain"], shown.ids["empty"]],
    )
    page.wait_for_function(
        "(id) => app.graph.getNodeById(id).widgets.find((w) => w.name === 'path_editor')"
        ".element.querySelector('.p360e-main-button').disabled",
        arg=shown.ids["empty"],
    )
    assert "comes from another node" in shown.root("empty").inner_text()
    prompt = page.evaluate(
        "async (id) => { app.graph.getNodeById(id).mode = 0; const { output } = await app.graphToPrompt();"
        " app.graph.getNodeById(id).mode = 2; return output; }",
        shown.ids["empty"],
    )
    assert prompt[str(shown.ids["empty"])]["inputs"]["keyframes"] == [str(shown.ids["plain"]), 1]
    page.evaluate(
        """(id) => { const node = app.graph.getNodeById(id);
          node.disconnectInput(node.inputs.findIndex((one) => one.name === 'keyframes')); }""",
        shown.ids["empty"],
    )


@once
def test_paths_come_and_go_by_clipboard_and_file(shown, tmp_path):
    page = shown.page
    shown.open("plain")
    text = shown.values("scene")["keyframes"]
    page.evaluate(
        f"""(text) => {{
          const clipboardData = new DataTransfer();
          clipboardData.setData('text/plain', text);
          const stage = document.querySelector('{DIALOG} .p360e-stage');
          const options = {{ clipboardData, bubbles: true, cancelable: true }};
          stage.dispatchEvent(new ClipboardEvent('paste', options));
        }}""",
        text,
    )
    shown.settle()
    places = [key["position"] for key in json.loads(text)["keyframes"]]
    assert [key["position"] for key in shown.keys("plain")] == places
    copied = page.evaluate(
        f"""() => {{
          const clipboardData = new DataTransfer();
          const stage = document.querySelector('{DIALOG} .p360e-stage');
          const options = {{ clipboardData, bubbles: true, cancelable: true }};
          stage.dispatchEvent(new ClipboardEvent('copy', options));
          return clipboardData.getData('text/plain');
        }}"""
    )
    assert [key["position"] for key in json.loads(copied)["keyframes"]] == places
    # A file of another program: two metres ahead in three seconds.
    rows = [f"{i / 10:.1f} 0 0 {i * 2 / 30:.5f} 0 0 0 1" for i in range(31)]
    (tmp_path / "walk.txt").write_text("\n".join(rows) + "\n")
    chooser = page.locator(f"{DIALOG} input[type=file]")
    chooser.set_input_files(tmp_path / "walk.txt")
    page.wait_for_function(
        f"() => /walk.txt: 2 keyframes/.test(document.querySelector('{DIALOG}').innerText)"
    )
    shown.settle()
    assert [key["position"] for key in shown.keys("plain")] == [[0, 0, 0], [0, 0, 2]]
    (tmp_path / "broken.txt").write_text("this is no path\n")
    chooser.set_input_files(tmp_path / "broken.txt")
    page.wait_for_function(
        f"() => /broken.txt could not be read/.test(document.querySelector('{DIALOG}').innerText)"
    )
    page.locator(f"{DIALOG} [aria-label='File format']").select_option("tum")
    with page.expect_download() as started:
        page.locator(f"{DIALOG} [aria-label='Save the path as a file']").click()
    started.value.save_as(tmp_path / "out.txt")
    last = (tmp_path / "out.txt").read_text().split("\n")[-2].split()
    assert float(last[3]) == pytest.approx(2.0)
    shown.close()
    # The refused file is said with status 400, which the browser's log calls an error.
    assert [one for one in shown.problems if "400" not in one] == []


@once
def test_inside_a_subgraph_the_path_is_edited_and_kept(shown):
    page = shown.page
    made = page.evaluate(
        """(id) => {
          const node = app.graph.getNodeById(id);
          const { subgraph } = app.graph.convertToSubgraph(new Set([node]));
          app.canvas.setGraph(subgraph);
          return subgraph.nodes.find((one) => one.type === 'TrajectoryFromKeyframes').id;
        }""",
        shown.ids["plain"],
    )
    inner = f"app.canvas.graph.getNodeById({made}).widgets"
    value = page.evaluate(f"() => {inner}.find((one) => one.name === 'keyframes').value")
    assert len(json.loads(value)["keyframes"]) == 2
    button = f"{inner}.find((one) => one.name === 'path_editor').element.querySelector('.p360e-main-button')"
    page.wait_for_function(f"() => {button}")
    page.evaluate(f"() => {button}.click()")
    page.wait_for_selector(f"{DIALOG} .p360e-stage[data-drawn]")
    shown.press("k")
    shown.press("k")
    shown.press("Control+z")
    count = "document.querySelector('dialog.p360e-dialog').pantheonEditor.node.value('keyframes')"
    assert len(json.loads(page.evaluate(f"() => {count}"))["keyframes"]) == 3
    shown.close()
    page.evaluate("() => app.canvas.setGraph(app.rootGraph ?? app.graph)")
    saved = page.evaluate("() => (app.rootGraph ?? app.graph).serialize()")
    text = json.dumps(saved["definitions"]["subgraphs"])
    assert "opencv_c2w" in text
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    counts = [
        len(json.loads(node["inputs"]["keyframes"])["keyframes"])
        for node in prompt.values()
        if node["class_type"] == "TrajectoryFromKeyframes" and node["inputs"]["keyframes"]
    ]
    assert sorted(counts) == [3, 8]
    assert [one for one in shown.problems if "400" not in one] == []


@once
def test_the_light_palette(shown, host):
    page = shown.page
    page.evaluate("() => app.extensionManager.setting.set('Comfy.ColorPalette', 'light')")
    # Loading a workflow forgets what nodes have shown; a run that finds all done says it again.
    page.evaluate("() => app.queuePrompt(0)")
    page.wait_for_function("() => Object.values(app.nodeOutputs ?? {}).some((one) => one.pantheon_cache)")
    shown.open("scene")
    page.wait_for_function(f"(dialog) => ({COLOURS_JS})(dialog) > 300", arg=page.query_selector(DIALOG))
    shown.screenshot("light")
    brightness = page.evaluate(
        f"""() => {{
          const {{ canvas }} = document.querySelector('{DIALOG}').pantheonEditor.stage;
          return [...canvas.getContext('2d').getImageData(3, canvas.height - 3, 1, 1).data.slice(0, 3)];
        }}"""
    )
    assert min(brightness) > 150
    shown.close()
    page.evaluate("() => app.extensionManager.setting.set('Comfy.ColorPalette', 'dark')")


def test_collapsed_and_removed_editors_stop_and_let_go(shown):
    page = shown.page
    page.evaluate("() => app.graph.nodes.forEach((one) => one.collapse())")
    page.wait_for_timeout(700)
    draws = page.evaluate("() => counted.draws")
    page.wait_for_timeout(700)
    assert page.evaluate("() => counted.draws") == draws, "draws though everything is collapsed"
    for _ in range(30):
        page.evaluate("""() => {
          const node = LiteGraph.createNode('TrajectoryFromKeyframes');
          app.graph.add(node);
          app.graph.remove(node);
        }""")
    shown.open("scene")
    page.evaluate("() => app.graph.clear()")
    page.wait_for_timeout(500)
    left = "() => document.querySelectorAll('.p360e, .p360e-dialog').length"
    assert page.evaluate(left) == 0, "the editor of a removed node is closed"
    assert page.evaluate("() => counted.contexts.length") - shown.contexts_before <= 1
    assert [one for one in shown.problems if "400" not in one] == []
