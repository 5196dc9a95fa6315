"""Previews of a running sampler on the sphere in its node, in both renderers and without WebGL."""

from __future__ import annotations

import json
import time
import uuid
from io import BytesIO

import pytest
from pages import COUNT_JS, FRAMES_JS, close, once, opened_page, picture_of, screenshot
from PIL import Image
from viewer_page import ROOT_JS

pytestmark = pytest.mark.browser

RED, GREEN, BLUE, YELLOW, WHITE = (
    (200, 30, 30),
    (30, 200, 30),
    (30, 30, 200),
    (200, 200, 30),
    (230, 230, 230),
)
WALK = "01_walk_from_one_photo"
SIZE = (1500, 1000)

# What the host's messages become in the page. Each frame has a colour in front and another one around it.
SEND_JS = """async ([name, said, frames]) => {
  const { api } = await import('/scripts/api.js');
  const canvas = Object.assign(document.createElement('canvas'), { width: 256, height: 128 * frames.length });
  const context = canvas.getContext('2d');
  frames.forEach(([front, around], index) => {
    for (const [colour, left, width] of [[around, 0, 256], [front, 64, 128]]) {
      context.fillStyle = `rgb(${colour})`;
      context.fillRect(left, 128 * index, width, 128);
    }
  });
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/jpeg', 0.95));
  const numbers = frames.map((_, index) => index + 1);
  const whole = { step: 2, steps: 9, window: 1, windows: 1, frames: numbers, of: frames.length, ...said };
  for (let i = 0; i < (said.times ?? 1); i += 1) {
    api.dispatchCustomEvent('pantheon360_preview', { node_id: name, ...whole });
    const detail = { blob, nodeId: name, displayNodeId: name, parentNodeId: name, jobId: said.jobId };
    api.dispatchCustomEvent('b_preview_with_metadata', detail);
  }
}"""
END_JS = "async () => (await import('/scripts/api.js')).api.dispatchCustomEvent('executing', null)"
ADD_JS = """([type, pos]) => {
  const node = LiteGraph.createNode(type);
  app.graph.add(node);
  node.pos = pos;
  Object.assign(app.canvas.ds, { scale: 0.9, offset: [60, 60] });
  app.canvas.setDirty(true, true);
  return String(node.id);
}"""
UPLOADS_JS = """() => {
  const before = WebGL2RenderingContext.prototype.texImage2D;
  window.uploads = 0;
  WebGL2RenderingContext.prototype.texImage2D = function (...values) {
    window.uploads += 1;
    return before.apply(this, values);
  };
}"""


class Page:
    """A page of the frontend in which the test plays the host."""

    def __init__(self, page, problems, kind):
        self.page, self.problems, self.kind = page, problems, kind

    def add(self, type_, pos=(40, 40)):
        self.page.evaluate("() => app.graph.clear()")
        return self.page.evaluate(ADD_JS, [type_, list(pos)])

    def send(self, name, colours, **said):
        self.page.evaluate(SEND_JS, [name, {"jobId": uuid.uuid4().hex, **said}, colours])

    def root(self, name):
        return self.page.evaluate_handle(ROOT_JS, int(name)).as_element()

    def caption(self, name):
        return self.root(name).query_selector(".p360-caption").inner_text()

    def wait_for(self, name, sentence):
        self.page.wait_for_function(
            """([id, sentence]) => {
              const { widgets } = app.graph.getNodeById(id);
              const root = widgets.find((one) => one.name === 'viewer_360')?.element;
              return root?.querySelector('.p360-caption:not([hidden])')?.innerText.includes(sentence);
            }""",
            arg=[int(name), sentence],
        )
        self.page.evaluate(FRAMES_JS)

    def centre(self, name):
        picture = picture_of(self.root(name))
        return picture[picture.shape[0] // 2, picture.shape[1] // 2]

    def end(self):
        self.page.evaluate(END_JS)


@pytest.fixture(scope="module", params=["classic", "vue"])
def shown(request, host, frontend):
    script = f"({COUNT_JS})(); ({UPLOADS_JS})()"
    with opened_page(host, frontend, request.param, size=SIZE, script=script) as (page, problems):
        yield Page(page, problems, request.param)


def test_a_preview_can_be_looked_around_in(shown):
    name = shown.add("PantheonSampler")
    width = shown.page.evaluate("(id) => app.graph.getNodeById(id).size[0]", int(name))
    assert shown.root(name) is None
    shown.send(name, [[RED, BLUE]])
    shown.wait_for(name, "Step 2 of 9")
    assert close(shown.centre(name), RED)
    assert shown.page.evaluate("(id) => app.graph.getNodeById(id).size[0]", int(name)) == width
    shown.root(name).query_selector('[aria-label="Look back (3)"]').click()
    shown.page.evaluate(FRAMES_JS)
    assert close(shown.centre(name), BLUE)
    # The newest takes its place, and the view stays where it was turned to.
    shown.send(name, [[RED, GREEN]], step=3)
    shown.wait_for(name, "Step 3 of 9")
    assert close(shown.centre(name), GREEN)
    # The host shows the picture of its channel nowhere else in the node.
    flat = """(id) => [...document.querySelectorAll(`[data-testid="node-body-${id}"] > img`)]
      .filter((one) => one.checkVisibility()).length + (app.graph.getNodeById(id).imgs?.length ?? 0)"""
    shown.page.wait_for_timeout(300)
    assert shown.page.evaluate(flat, name) == 0
    shown.end()
    shown.wait_for(name, "Last preview")
    assert shown.problems == []


@once
def test_frames_take_turns_until_the_node_is_done(shown):
    name = shown.add("PantheonSampler")
    shown.send(name, [[RED, WHITE], [GREEN, WHITE], [BLUE, WHITE]], frames=[1, 4, 7], of=7)
    seen, said = set(), set()
    begin = time.monotonic()
    while (len(seen) < 3 or len(said) < 3) and time.monotonic() - begin < 30:
        shown.wait_for(name, "Step 2 of 9")
        said.add(shown.caption(name))
        colour = shown.centre(name)
        seen |= {one for one in (RED, GREEN, BLUE) if close(colour, one)}
    assert seen == {RED, GREEN, BLUE}
    assert said == {f"Step 2 of 9 · frame {number} of 7" for number in (1, 4, 7)}
    shown.end()
    shown.wait_for(name, "Last preview · frame 4 of 7")
    shown.page.evaluate(FRAMES_JS)
    assert close(shown.centre(name), GREEN)
    draws = shown.page.evaluate("() => counted.draws")
    shown.page.wait_for_timeout(1200)
    assert shown.page.evaluate("() => counted.draws") == draws


@once
def test_many_pictures_cost_few_uploads_and_one_texture(shown):
    name = shown.add("PantheonSampler")
    shown.send(name, [[RED, WHITE]])
    shown.wait_for(name, "Step 2 of 9")
    before = shown.page.evaluate("() => [uploads, counted.textures, counted.contexts.length]")
    shown.send(name, [[GREEN, WHITE]], times=50, step=4)
    shown.wait_for(name, "Step 4 of 9")
    shown.page.wait_for_timeout(600)
    assert close(shown.centre(name), GREEN)
    after = shown.page.evaluate("() => [uploads, counted.textures, counted.contexts.length]")
    assert after[0] - before[0] <= 3
    assert after[1:] == before[1:]
    shown.page.evaluate("() => app.graph.clear()")
    assert shown.page.evaluate("() => counted.textures") == before[1] - 1
    # Pictures of a node that is gone are nobody's.
    shown.send(name, [[RED, WHITE]])
    assert shown.problems == []


def test_the_result_takes_the_place_of_the_previews(shown, host):
    Image.new("RGB", (64, 32), YELLOW).save(host.base / "input" / "live_result.png")
    entry = {"name": "images", "file": "live_result.png", "subfolder": "", "folder": "input", "kind": "image"}
    name = shown.add("PantheonLongVideo")
    execute = "([id, entry]) => app.graph.getNodeById(id).onExecuted({ pantheon_360: [entry], images: [] })"
    first = {**entry, "spherical": True, "stamp": "1"}
    shown.page.evaluate(execute, [int(name), first])
    shown.page.wait_for_function("() => document.querySelector('.p360-where:not([hidden])')")
    shown.send(name, [[RED, WHITE]], window=3, windows=7)
    shown.wait_for(name, "Window 3 of 7 · Step 2 of 9")
    # The host tells of all outputs again whenever one changes; the result from before does not come back.
    shown.page.evaluate(execute, [int(name), first])
    shown.page.evaluate(FRAMES_JS)
    assert close(shown.centre(name), RED)
    screenshot(shown.page, f"live_{shown.kind}")
    shown.page.evaluate(execute, [int(name), {**first, "stamp": "2"}])
    shown.page.wait_for_function("() => !document.querySelector('.p360-caption:not([hidden])')")
    shown.page.wait_for_function("() => document.querySelector('.p360-where:not([hidden])')")
    shown.page.evaluate(FRAMES_JS)
    assert close(shown.centre(name), YELLOW)
    assert shown.problems == []


@once
def test_another_node_of_that_number_is_left_alone(shown):
    """Another workflow is open than the one that runs."""
    name = shown.add("PantheonPreview360")
    shown.send(name, [[RED, WHITE]])
    shown.page.wait_for_timeout(300)
    assert "Run the graph" in shown.root(name).inner_text()


def test_a_sampler_in_a_subgraph(shown):
    name = shown.add("PantheonSampler")
    outer = shown.page.evaluate(
        """(id) => {
          const node = app.graph.getNodeById(id);
          return String(app.graph.convertToSubgraph(new Set([node])).node.id);
        }""",
        int(name),
    )
    inner = shown.page.evaluate("(id) => String(app.graph.getNodeById(id).subgraph.nodes[0].id)", int(outer))
    shown.send(f"{outer}:{inner}", [[RED, WHITE]])
    shown.page.evaluate("(id) => app.canvas.setGraph(app.graph.getNodeById(id).subgraph)", int(outer))
    shown.page.wait_for_function(
        "() => document.querySelector('.p360-caption:not([hidden])')?.innerText.includes('Step 2 of 9')"
    )
    shown.page.evaluate("() => app.canvas.setGraph(app.rootGraph ?? app.graph)")
    assert shown.problems == []


def test_without_webgl_the_preview_is_flat(host, frontend):
    script = """(() => {
      for (const type of [HTMLCanvasElement, OffscreenCanvas]) {
        const get = type.prototype.getContext;
        type.prototype.getContext = function (kind, ...more) {
          return kind === 'webgl2' ? null : get.call(this, kind, ...more);
        };
      }
    })()"""
    with opened_page(host, frontend, "classic", size=SIZE, script=script) as (page, problems):
        shown = Page(page, problems, "classic")
        name = shown.add("PantheonSampler")
        shown.send(name, [[RED, WHITE], [GREEN, WHITE], [BLUE, WHITE]])
        shown.end()
        shown.wait_for(name, "Last preview")
        assert close(shown.centre(name), GREEN)
        assert page.evaluate("() => document.querySelector('.p360 [role=alert]:not([hidden])')") is None
        preview = shown.add("PantheonPreview360")
        assert "WebGL" in shown.root(preview).inner_text()


def listen(host, prompt, **more):
    """Run a prompt; announcements and pictures of its previews, and the seconds that they took."""
    import websocket

    address = host.url.replace("http", "ws") + f"/ws?clientId={host.client_id}"
    socket = websocket.create_connection(address, timeout=120)
    socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
    running = host.post("/prompt", {"prompt": prompt, "client_id": host.client_id, **more})["prompt_id"]
    said, pictures, order, times = [], [], [], []
    while True:
        message = socket.recv()
        if isinstance(message, bytes):
            begin = message.find(b"\xff\xd8\xff")
            if 0 <= begin < 4096:
                pictures.append(message[begin:])
                order.append("picture")
                times.append(time.monotonic())
            continue
        event = json.loads(message)
        if event["type"] == "pantheon360_preview":
            said.append(event["data"])
            order.append("said")
        if event["type"] in ("execution_success", "execution_error"):
            break
    socket.close()
    assert host.wait(running).ok
    assert order == ["said", "picture"] * len(pictures)
    return said, pictures, times[-1] - times[0] if times else 0.0


def test_pictures_are_few_and_small_and_none_when_switched_off(host, small):
    prompt = small[WALK]
    (sampler,) = [node for node in prompt.values() if node["class_type"] == "PantheonSampler"]
    sampler["inputs"] |= {"seed": 60, "steps": 40}
    said, pictures, seconds = listen(host, prompt)
    # At most four a second, and the last step's.
    assert 2 <= len(pictures) <= seconds / 0.25 + 3
    assert max(map(len, pictures)) <= 60 * 1024
    assert [one["step"] for one in said] == sorted({one["step"] for one in said})
    assert (said[-1]["step"], said[-1]["steps"], said[-1]["of"]) == (40, 40, 4)
    with Image.open(BytesIO(pictures[-1])) as strip:
        assert strip.height == len(said[-1]["frames"]) * strip.width // 2
    sampler["inputs"]["seed"] = 61
    assert listen(host, prompt, extra_data={"preview_method": "none"})[:2] == ([], [])
