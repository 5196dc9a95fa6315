"""A graph with path nodes in the real frontend, and what the tests of the editor do with it."""

from __future__ import annotations

import json

from pages import EMPTY_GRAPH_JS, FRAMES_JS, screenshot

BUILD_JS = f"""() => {{
  {EMPTY_GRAPH_JS}
  const photo = add('LoadPanorama', [20, 60], {{ height: 128 }});
  const cache = add('Build3DCache', [20, 500]);
  const settings = {{ path: 'arc', radius: 0.8, frames: 21, spline: 'linear' }};
  const scene = add('TrajectoryFromKeyframes', [420, 60], settings);
  const plain = add('TrajectoryFromKeyframes', [860, 60], {{ path: 'orbit' }});
  const empty = add('TrajectoryFromKeyframes', [1300, 60], {{ path: 'keyframes' }});
  photo.connect(1, cache, 0);
  cache.connect(0, scene, 'cache');
  empty.mode = 2;
  const view = app.canvas.ds;
  view.scale = 0.9;
  view.offset = [60, 60];
  app.canvas.setDirty(true, true);
  return {{ scene: scene.id, plain: plain.id, empty: empty.id }};
}}"""
VALUES_JS = """(id) => Object.fromEntries(
  app.graph.getNodeById(id).widgets.map((one) => [one.name, one.value ?? null])
)"""
# How many different colours the stage shows.
COLOURS_JS = """(dialog) => {
  const { canvas } = dialog.pantheonEditor.stage;
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set();
  for (let i = 0; i < data.length; i += 4) {
    seen.add((data[i] >> 3) << 10 | (data[i + 1] >> 3) << 5 | data[i + 2] >> 3);
  }
  return seen.size;
}"""
TRACKER = "app.extensionManager.workflow.activeWorkflow.changeTracker"
DIALOG = "dialog.p360e-dialog[open]"


class Page:
    """One frontend with three path nodes; the first has a scene."""

    def __init__(self, page, problems, kind):
        self.page, self.problems, self.kind = page, problems, kind
        self.ids = page.evaluate(BUILD_JS)
        self.contexts_before = page.evaluate("() => counted.contexts.length")

    def root(self, name):
        found = self.page.evaluate_handle(
            "(id) => app.graph.getNodeById(id)?.widgets.find((w) => w.name === 'path_editor')?.element",
            self.ids[name],
        )
        return found.as_element()

    def values(self, name):
        return self.page.evaluate(VALUES_JS, self.ids[name])

    def keys(self, name):
        """The keyframes that the node holds."""
        return json.loads(self.values(name)["keyframes"])["keyframes"]

    def undo_steps(self):
        return self.page.evaluate(f"() => {TRACKER}.undoQueue.length")

    def open(self, name):
        self.page.wait_for_function(
            "(id) => app.graph.getNodeById(id)?.widgets.find((w) => w.name === 'path_editor')"
            "?.element.querySelector('.p360e-main-button')",
            arg=self.ids[name],
        )
        self.root(name).query_selector(".p360e-main-button").evaluate("(one) => one.click()")
        self.page.wait_for_selector(f"{DIALOG} .p360e-stage[data-drawn]")
        self.settle()

    def close(self):
        self.page.locator(f"{DIALOG} button:has-text('Done')").click()
        self.page.wait_for_selector("dialog.p360e-dialog", state="detached")

    def press(self, *keys):
        self.page.locator(f"{DIALOG} .p360e-stage").focus()
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def settle(self):
        """Until the edits are written and what they change is drawn."""
        self.page.evaluate(
            f"async () => {{ await document.querySelector('{DIALOG}')?.pantheonEditor.queue; }}"
        )
        self.page.evaluate(FRAMES_JS)

    def pixel(self, expression):
        """Where the editor draws a point of the world, in pixels of the page."""
        x, y = self.page.evaluate(
            f"""() => {{
              const {{ view, path, stage }} = document.querySelector('{DIALOG}').pantheonEditor;
              const box = stage.canvas.getBoundingClientRect();
              const at = view.project({expression});
              return [box.left + at[0], box.top + at[1]];
            }}"""
        )
        return x, y

    def drag(self, start, by):
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(start[0] + by[0] / 2, start[1] + by[1] / 2)
        mouse.move(start[0] + by[0], start[1] + by[1], steps=2)
        mouse.up()
        self.settle()

    def metres_per_pixel(self):
        """Of a flat view."""
        return self.page.evaluate(
            f"() => document.querySelector('{DIALOG}').pantheonEditor.view.metresPerPixel([0, 0, 0])"
        )

    def field(self, label):
        return self.page.locator(f"{DIALOG} input[aria-label^='{label}']")

    def screenshot(self, name):
        self.page.wait_for_timeout(500)
        screenshot(self.page, f"editor_{self.kind}_{name}")
