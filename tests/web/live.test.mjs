// What the live previews say and which frame they show. Run by test_live_js.py, or `node --test tests/web`.
import assert from "node:assert/strict";
import { test } from "node:test";

const folder = new URL("../../web/live-1/", import.meta.url).href;
const { LivePictures, captionOf, rowsOf } = await import(`${folder}pictures.mjs`);
const { nodeAt } = await import(`${folder}live.mjs`);

const said = { node_id: "9", step: 3, steps: 12, window: 1, windows: 1, frames: [1, 4, 7], of: 7 };

test("frames lie one below the other", () => {
  assert.deepEqual([0, 1, 2].map((index) => rowsOf(index, 3, 384)), [[0, 128], [128, 128], [256, 128]]);
});

test("the caption names the step, the frame, and the window where there are several", () => {
  assert.equal(captionOf(said, 1, false), "Step 3 of 12 · frame 4 of 7");
  assert.equal(captionOf({ ...said, window: 3, windows: 7 }, 2, false), "Window 3 of 7 · Step 3 of 12 · frame 7 of 7");
  assert.equal(captionOf({ ...said, frames: [1], of: 1 }, 0, true), "Last preview");
  // Steps that are repeated may be more than were announced.
  assert.equal(captionOf({ ...said, step: 14, of: 1 }, 0, false), "Step 14 of 14");
});

test("nodes in subgraphs are found by the numbers that lead to them", () => {
  const graph = (nodes) => ({ getNodeById: (id) => nodes[id] });
  const inner = { id: 5 };
  const root = graph({ 7: { id: 7 }, 12: { id: 12, subgraph: graph({ 5: inner }) } });
  assert.equal(nodeAt(root, "12:5"), inner);
  assert.equal(nodeAt(root, 7).id, 7);
  for (const missing of ["8", "12:6", "7:5", "12:5:1"]) assert.equal(nodeAt(root, missing), null);
});

test("of pictures that come faster than they can be shown only the newest is opened", async () => {
  const opened = [];
  let closed = 0;
  globalThis.createImageBitmap = async (blob) => {
    opened.push(blob);
    return { height: 384, width: 256, close: () => (closed += 1) };
  };
  let changes = 0;
  const pictures = new LivePictures({ changed: () => (changes += 1), name: "live a", still: true });
  const first = pictures.take("one", said);
  for (const blob of ["two", "three", "four"]) pictures.take(blob, { ...said, step: 4 });
  await first;
  assert.deepEqual(opened, ["one", "four"]);
  assert.equal(closed, 1);
  assert.equal(pictures.caption, "Step 4 of 12 · frame 4 of 7");
  pictures.finish();
  assert.equal(pictures.caption, "Last preview · frame 4 of 7");
  const before = changes;
  pictures.release();
  await pictures.take("five", said);
  assert.deepEqual(opened, ["one", "four"]);
  assert.equal(closed, 2);
  assert.equal(changes, before);
});
