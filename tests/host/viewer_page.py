"""A graph with viewers in the real frontend, and what the tests of viewers do with it."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
from pages import EMPTY_GRAPH_JS, FRAMES_JS, picture_of, screenshot

RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30)
WHITE, BLACK, MAGENTA = (255, 255, 255), (0, 0, 0), (200, 30, 200)

BUILD_JS = f"""() => {{
  {EMPTY_GRAPH_JS}
  const marked = add('LoadPanorama', [20, 60], {{ image: 'viewer_marked.png', height: 256 }});
  const noise = add('LoadImage', [20, 560], {{ image: 'viewer_noise.png' }});
  const rolled = add('LoadImage', [320, 560], {{ image: 'viewer_rolled.png' }});
  const inverted = add('ImageInvert', [20, 900]);
  const both = add('ImageBatch', [20, 960]);
  const one = add('PantheonPreview360', [320, 60]);
  const two = add('PantheonPreview360', [760, 60]);
  const three = add('PantheonPreview360', [1200, 60], {{ fps: 2 }});
  const video = add('SaveERPVideo', [760, 500], {{ fps: 2, filename_prefix: 'viewer' }});
  const empty = add('PantheonPreview360', [1200, 500]);
  marked.connect(0, inverted, 0);
  marked.connect(0, both, 0);
  inverted.connect(0, both, 1);
  marked.connect(0, one, 0);
  inverted.connect(0, one, 1);
  noise.connect(0, two, 0);
  rolled.connect(0, three, 0);
  both.connect(0, video, 0);
  empty.mode = 2;
  const view = app.canvas.ds;
  view.scale = 0.95;
  view.offset = [60, 60];
  app.canvas.setDirty(true, true);
  return {{ one: one.id, two: two.id, three: three.id, video: video.id, empty: empty.id }};
}}"""
ROOT_JS = "(id) => app.graph.getNodeById(id)?.widgets.find((w) => w.name === 'viewer_360')?.element ?? null"
DRAWN_JS = """(ids) => ids.every((id) => {
  const node = app.graph.getNodeById(id);
  const root = node?.widgets?.find((w) => w.name === 'viewer_360')?.element;
  return root?.querySelector('.p360-where:not([hidden])');
})"""
# A viewer of its own for what depends on the device, with the marked panorama or a video with sound.
OPEN_JS = """([file, kind]) => {
  const node = LiteGraph.createNode('PantheonPreview360');
  app.graph.add(node);
  node.pos = [320, 60];
  const entry = { name: 'images', file, subfolder: '', folder: 'input', kind, spherical: true, stamp: '1' };
  node.onExecuted({ pantheon_360: [{ ...entry, sound: kind === 'video' }] });
  app.canvas.bringToFront?.(node);
  app.canvas.setDirty(true, true);
  return node.id;
}"""
COME_AND_GO_JS = f"""async ([count, file]) => {{
  for (let i = 0; i < count; i += 1) {{
    const id = ({OPEN_JS})([file, 'image']);
    const {{ element }} = app.graph.getNodeById(id).widgets.find((one) => one.name === 'viewer_360');
    while (!element.querySelector('.p360-where:not([hidden])')) await new Promise(requestAnimationFrame);
    app.graph.remove(app.graph.getNodeById(id));
  }}
}}"""
REMOVE_JS = "(id) => app.graph.remove(app.graph.getNodeById(id))"


def marked_panorama():
    """A colour for each quadrant and pole, and a mark to the right of the front and above it."""
    height, width = 256, 512
    lon = ((np.arange(width) + 0.5) / width - 0.5) * 360
    lat = (0.5 - (np.arange(height) + 0.5) / height) * 180
    quadrant = ((lon + 45) // 90 % 4).astype(int)
    picture = np.broadcast_to(
        np.array([RED, GREEN, BLUE, YELLOW], np.uint8)[quadrant], (height, width, 3)
    ).copy()
    picture[lat > 60], picture[lat < -60] = WHITE, BLACK
    picture[np.ix_(abs(lat - 15) < 5, abs(lon - 20) < 5)] = MAGENTA
    return picture


def noise_panorama():
    """Something at every scale, and continuous at the seam."""
    random = np.random.default_rng(7)
    fine = random.integers(0, 256, (512, 1024, 3)).astype(float)
    coarse = np.kron(random.integers(0, 256, (8, 16, 3)).astype(float), np.ones((64, 64, 1)))
    return ((fine + coarse) / 2).astype(np.uint8)


class Page:
    """One frontend with the small graph, run once."""

    def __init__(self, page, problems, kind):
        self.page, self.problems, self.kind = page, problems, kind
        self.ids = page.evaluate(BUILD_JS)
        self.contexts_before = page.evaluate("() => counted.contexts.length")
        page.evaluate("() => app.queuePrompt(0)")
        self.wait_until_drawn("one", "two", "three", "video")
        # Drawing without a graphics card leaves little time for anything else.
        self.press("video", "Pause (space)")

    def wait_until_drawn(self, *names):
        self.page.wait_for_function(DRAWN_JS, arg=[self.ids[name] for name in names], timeout=120_000)

    def root(self, name):
        return self.page.evaluate_handle(ROOT_JS, self.ids[name]).as_element()

    def press(self, name, label):
        self.root(name).query_selector(f'[aria-label="{label}"]').click()

    def choose(self, name, label, value):
        self.root(name).query_selector(f'select[aria-label="{label}"]').select_option(value)

    def picture(self, name):
        """What the viewer shows, (h, w, 3) int."""
        self.page.evaluate(FRAMES_JS)
        return picture_of(self.root(name))

    def at(self, name, x, y):
        """The colour at a fraction of the width and height."""
        picture = self.picture(name)
        return picture[int(y * (picture.shape[0] - 1)), int(x * (picture.shape[1] - 1))]

    def screenshot(self, name):
        screenshot(self.page, name)


@contextmanager
def opened(shown, file, kind="image"):
    """A viewer in front of the others that shows a file of the input folder."""
    shown.ids["own"] = shown.page.evaluate(OPEN_JS, [file, kind])
    try:
        shown.wait_until_drawn("own")
        yield shown.root("own")
    finally:
        shown.page.evaluate(REMOVE_JS, shown.ids.pop("own"))
