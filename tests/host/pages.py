"""Pages of the real frontend, listened to and looked at: what the browser tests share."""

from __future__ import annotations

import base64
import re
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import host_browser
import numpy as np
import pytest
from PIL import Image

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"
# Counts what the page asks of WebGL, before any script of the page runs.
COUNT_JS = """() => {
  window.counted = { contexts: [], textures: 0, draws: 0 };
  for (const type of [HTMLCanvasElement, OffscreenCanvas]) {
    const get = type.prototype.getContext;
    type.prototype.getContext = function (kind, ...more) {
      const known = window.counted.contexts.some((one) => one.canvas === this);
      const context = get.call(this, kind, ...more);
      if (kind.startsWith('webgl') && context && !known) window.counted.contexts.push(context);
      return context;
    };
  }
  const gl = WebGL2RenderingContext.prototype;
  for (const [name, key, step] of [['createTexture', 'textures', 1], ['deleteTexture', 'textures', -1],
                                   ['drawArrays', 'draws', 1], ['drawArraysInstanced', 'draws', 1]]) {
    const before = gl[name];
    gl[name] = function (...values) { window.counted[key] += step; return before.apply(this, values); };
  }
}"""
FRAMES_JS = """() => new Promise((done) => {
  let left = 3;
  const next = () => ((left -= 1) ? requestAnimationFrame(next) : setTimeout(done));
  requestAnimationFrame(next);
})"""
# Begins a function that builds a graph: `add` makes a node.
EMPTY_GRAPH_JS = """const { app, LiteGraph } = window;
  app.graph.clear();
  const add = (type, pos, values = {}) => {
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    node.pos = pos;
    for (const [name, value] of Object.entries(values)) {
      node.widgets.find((w) => w.name === name).value = value;
    }
    return node;
  };"""
# What the missing internet says, and the newer frontend of an older host, which answers 404 for /api/jobs.
_IGNORED = r"https?://(?!127\.0\.0\.1)|Failed to load resource|ERR_|Failed to fetch jobs: 404"

# For what does not depend on how the host draws its nodes.
once = pytest.mark.parametrize("shown", ["classic"], indirect=True)


@contextmanager
def problems_of(page):
    """A list that the page's errors go to."""
    found = []

    def on_console(message):
        if message.type == "error" and not re.search(_IGNORED, message.text):
            found.append(message.text)

    def on_error(error):
        found.append(str(error))

    page.on("console", on_console)
    page.on("pageerror", on_error)
    try:
        yield found
    finally:
        page.remove_listener("console", on_console)
        page.remove_listener("pageerror", on_error)


@contextmanager
def opened_page(host, frontend, kind, *, size=(1720, 1040), script=f"({COUNT_JS})()"):
    """A page of its own and the list of its problems.

    Args:
        kind: "vue" draws nodes as HTML, "classic" on the canvas.
        size: of the page in pixels.
        script: runs before any script of the page.
    """
    host.post("/settings/Comfy.VueNodes.Enabled", kind == "vue")
    page = frontend.context.browser.new_page(viewport={"width": size[0], "height": size[1]})
    try:
        with problems_of(page) as problems:
            page.set_default_timeout(90_000)
            page.add_init_script(script)
            page.goto(host.url, wait_until="domcontentloaded")
            page.wait_for_function(host_browser.READY_JS, timeout=240_000)
            yield page, problems
    finally:
        page.close()
        host.post("/settings/Comfy.VueNodes.Enabled", False)


def picture_of(root):
    """What the canvas inside an element shows, (h, w, 3) int."""
    url = root.evaluate("(root) => root.querySelector('canvas').toDataURL('image/png')")
    with Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))) as shown:
        return np.asarray(shown.convert("RGB")).astype(int)


def close(colour, expected, tolerance=12):
    return np.abs(np.asarray(colour) - expected).max() <= tolerance


def screenshot(page, name):
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")
