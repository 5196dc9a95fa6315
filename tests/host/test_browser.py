"""The example workflows in a real Chromium on the real frontend."""

from __future__ import annotations

import time

import host_browser
import pages
import pytest

pytestmark = pytest.mark.browser

NAMES = sorted(host_browser.read_workflows())

STATE_JS = """() => ({
  nodes: window.app.graph.nodes.length,
  missing: window.app.graph.nodes.filter((one) => one.has_errors).map((one) => one.type),
  unknown: window.app.graph.nodes
    .map((one) => one.type)
    .filter((type) => !window.LiteGraph.registered_node_types[type]),
  dialogs: [...document.querySelectorAll('[role=dialog]')].map((one) => one.innerText.slice(0, 300)),
})"""

FIT_JS = """() => {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const node of window.app.graph.nodes) {
    box[0] = Math.min(box[0], node.pos[0]);
    box[1] = Math.min(box[1], node.pos[1] - 40);
    box[2] = Math.max(box[2], node.pos[0] + node.size[0]);
    box[3] = Math.max(box[3], node.pos[1] + node.size[1]);
  }
  const scale = Math.min(1760 / (box[2] - box[0]), 880 / (box[3] - box[1]));
  const view = window.app.canvas.ds;
  view.scale = scale;
  view.offset = [110 / scale - box[0], 110 / scale - box[1]];
  window.app.canvas.setDirty(true, true);
}"""

SET_JS = """([type, values]) => {
  for (const node of window.app.graph.nodes.filter((one) => one.type === type)) {
    for (const [name, value] of Object.entries(values)) {
      node.widgets.find((one) => one.name === name).value = value;
    }
  }
}"""


def screenshot(page, name):
    page.evaluate(FIT_JS)
    page.wait_for_timeout(1500)
    pages.screenshot(page, name)


@pytest.mark.parametrize("name", NAMES)
def test_example_workflow_opens_without_a_red_node(frontend, name):
    workflow = host_browser.read_workflows()[name]
    with pages.problems_of(frontend) as found:
        frontend.evaluate(host_browser.LOAD_JS, workflow)
        frontend.wait_for_timeout(500)
        state = frontend.evaluate(STATE_JS)
        screenshot(frontend, name)
    assert state == {"nodes": len(workflow["nodes"]), "missing": [], "unknown": [], "dialogs": []}
    assert found == []


@pytest.mark.parametrize("name", NAMES)
def test_opening_and_saving_keeps_every_value(frontend, converted, name):
    """What the file says reaches the prompt, and every node's widgets have the values the schema allows."""
    saved = frontend.evaluate(
        """async (workflow) => {
          await window.app.loadGraphData(workflow);
          return window.app.graph.serialize();
        }""",
        host_browser.read_workflows()[name],
    )
    assert frontend.evaluate(host_browser.PROMPT_JS, saved) == converted[name]


def run_in_browser(page, host, name):
    """Load a workflow, make it small, press Run, wait for its end; the run's history entry."""
    before = set(host.get("/history"))
    page.evaluate(host_browser.LOAD_JS, host_browser.read_workflows()[name])
    for type_, values in (
        ("LoadPanorama", {"height": 128}),
        ("RenderERPScaffold", {"height": 64}),
        ("TrajectoryFromKeyframes", {"frames": 4}),
        ("PantheonModelLoader", {"checkpoint": "random_single.safetensors"}),
        ("PantheonSampler", {"steps": 2, "seed": 5}),
    ):
        page.evaluate(SET_JS, [type_, values])
    page.get_by_test_id("queue-button").or_(page.get_by_role("button", name="Run", exact=True)).first.click()
    begin = time.monotonic()
    while not (done := set(host.get("/history")) - before):
        assert time.monotonic() - begin < 300
        page.wait_for_timeout(200)
    return host.get("/history")[done.pop()]


def test_the_run_button_runs_a_workflow_and_the_node_shows_the_video(frontend, host):
    with pages.problems_of(frontend) as found:
        entry = run_in_browser(frontend, host, "01_walk_from_one_photo")
        frontend.wait_for_function(
            "() => [...document.querySelectorAll('video')].some((one) => one.videoWidth === 128)",
            timeout=60_000,
        )
        screenshot(frontend, "ran_01")
    assert entry["status"]["status_str"] == "success"
    assert found == []


def test_the_run_button_works_with_vue_nodes(host, frontend):
    """The same in the other renderer, in a page of its own."""
    host.post("/settings/Comfy.VueNodes.Enabled", True)
    page = frontend.context.browser.new_page(viewport={"width": 1920, "height": 1080})
    try:
        page.set_default_timeout(240_000)
        page.goto(host.url, wait_until="domcontentloaded")
        page.wait_for_function(host_browser.READY_JS)
        with pages.problems_of(page) as found:
            entry = run_in_browser(page, host, "03_scaffold_for_other_models")
            page.wait_for_timeout(1000)
            screenshot(page, "ran_03_vue")
            dialogs = page.evaluate(STATE_JS)["dialogs"]
        assert page.locator("[data-node-id]").count() >= 9
    finally:
        page.close()
        host.post("/settings/Comfy.VueNodes.Enabled", False)
    assert entry["status"]["status_str"] == "success"
    assert found == []
    assert dialogs == []


def test_a_dropped_video_brings_its_workflow_back(frontend, host):
    """The frontend's own reader finds the workflow in the file that the pack wrote."""
    saved = sorted((host.base / "output" / "video").glob("walk_*.mp4"))
    assert saved, "the run before this test saved no video"
    frontend.evaluate("() => window.app.graph.clear()")
    frontend.evaluate(
        """async (url) => {
          const blob = await (await fetch(url)).blob();
          await window.app.handleFile(new File([blob], 'walk.mp4', { type: 'video/mp4' }));
        }""",
        f"/view?type=output&subfolder=video&filename={saved[-1].name}",
    )
    frontend.wait_for_function("() => window.app.graph.nodes.some((one) => one.type === 'PantheonSampler')")
    assert frontend.evaluate(STATE_JS)["unknown"] == []
