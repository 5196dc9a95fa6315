// The editor's geometry against what Python made (tests/fixtures/geometry.json), and its edits.
// Run by test_editor_js.py, or `node --test tests/web`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const load = (name) => import(new URL(`../../web/editor-1/${name}.mjs`, import.meta.url).href);
const { RAD, fromAngles, quaternionOf, rotate, rows, toAngles } = await load("math");
const { curveOf, lengthOf, poseFunction, posesOf } = await load("path");
const { presetPath } = await load("presets");
const state = await load("state");
const { History } = await load("history");
const fixture = JSON.parse(readFileSync(new URL("../fixtures/geometry.json", import.meta.url), "utf-8"));

const near = (found, expected, tolerance, what = "") => {
  assert.equal(found.length, expected.length, what);
  found.forEach((one, i) =>
    assert.ok(Math.abs(one - expected[i]) <= tolerance, `${what} [${i}]: ${found} is not ${expected}`),
  );
};

for (const { name, path, positions, rotations } of fixture.paths) {
  test(`poses of "${name}" are Python's`, () => {
    const poses = posesOf(state.readPath(path));
    assert.equal(poses.positions.length, positions.length);
    // Python rounds its result to float32.
    positions.forEach((one, i) => near(poses.positions[i], one, 1e-6, `frame ${i}`));
    rotations.forEach((one, i) => near(rows(poses.quaternions[i]).flat(), one, 1e-6, `frame ${i}`));
  });
}

for (const { name, path, ...size } of fixture.presets) {
  test(`the movement ${name} (${size.frames} frames, ${size.easing ?? "linear"}) is Python's`, () => {
    const made = JSON.parse(state.writePath(presetPath(name, size)));
    const expected = JSON.parse(path);
    const { keyframes, ...rest } = made;
    const { keyframes: keys, ...others } = expected;
    assert.deepEqual(rest, others);
    assert.equal(keyframes.length, keys.length);
    keys.forEach((key, i) => {
      near([keyframes[i].t], [key.t], 1e-6);
      near(keyframes[i].position, key.position, 1e-6);
      near(keyframes[i].quaternion_wxyz, key.quaternion_wxyz, 1e-8);
      assert.equal(keyframes[i].easing, key.easing);
    });
  });
}

test("angles, quaternions and matrices are Python's", () => {
  for (const { angles_deg, quaternion_wxyz, rotation, back } of fixture.angles) {
    const made = fromAngles(...angles_deg.map((one) => one * RAD));
    near(rows(made).flat(), rotation.flat(), 1e-8);
    near(rows(quaternionOf(rotation)).flat(), rotation.flat(), 1e-8);
    near(rows(fromAngles(...back)).flat(), rotation.flat(), 1e-8);
    near(rows(fromAngles(...toAngles(quaternion_wxyz))).flat(), rotation.flat(), 1e-7);
  }
  near(rotate(fromAngles(90 * RAD, 0, 0), [0, 0, 1]), [1, 0, 0], 1e-12);
});

test("a movement without a size is none", () => {
  assert.equal(presetPath("forward", { frames: 5, fps: 5, distance: 0 }), null);
  assert.equal(presetPath("nowhere", { frames: 5, fps: 5 }), null);
});

const walk = () => state.readPath(fixture.paths[0].path);
const loop = () => state.readPath(fixture.paths.find((one) => one.name === "loop").path);
const pose = { position: [9, 8, 7], quaternion_wxyz: [1, 0, 0, 0] };
const times = (path) => path.keyframes.map((key) => key.t);
const rising = (path) => times(path).every((t, i, all) => i === 0 || t > all[i - 1]);
const fits = (path) => {
  assert.ok(rising(path), String(times(path)));
  near([times(path)[0], times(path).at(-1)], [0, state.durationOf(path)], 1e-9);
  assert.deepEqual(state.readPath(state.writePath(path)).keyframes.length, path.keyframes.length);
};

test("writing and reading keeps a path, with what others put into it", () => {
  const path = { ...walk(), extra: { by: "someone" } };
  const again = state.readPath(state.writePath(path));
  assert.deepEqual(again.extra, path.extra);
  path.keyframes.forEach((key, i) => near(again.keyframes[i].position, key.position, 1e-6));
});

test("what Python refuses is refused, with the field's name", () => {
  const good = JSON.parse(fixture.paths[0].path);
  const wrong = [
    ["{", "notJson"],
    [{ ...good, version: 2 }, "otherVersion"],
    [{ ...good, fpss: 3 }, "unknownField"],
    [{ ...good, units: "cm" }, "badField"],
    [{ ...good, keyframes: [] }, "badField"],
    [{ ...good, loop: true }, "badField"],
    [{ ...good, frames: 2.5 }, "badField"],
    [{ ...good, keyframes: [{ t: 0, position: [0, 0], quaternion_wxyz: [1, 0, 0, 0] }] }, "badField"],
    [{ ...good, keyframes: [{ t: 0, position: [0, 0, 0], quaternion_wxyz: [2, 0, 0, 0] }] }, "badField"],
    [{ ...good, keyframes: [good.keyframes[1], good.keyframes[0]] }, "badField"],
  ];
  for (const [data, problem] of wrong) {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    assert.throws(() => state.readPath(text), (error) => error.problem === problem, text.slice(0, 80));
  }
  const { fps, ...rest } = good;
  assert.throws(() => state.readPath(JSON.stringify(rest)), (error) => error.values.field === "fps");
});

test("adding keys keeps the path's time", () => {
  const path = walk();
  const [longer, last] = state.appendKey(path, pose);
  assert.equal(last, 6);
  assert.deepEqual(longer.keyframes[last].position, pose.position);
  fits(longer);
  const [inserted, place] = state.insertKey(path, 0.7, pose);
  assert.equal(place, 2);
  near([inserted.keyframes[2].t], [0.7], 1e-9);
  fits(inserted);
  // On a key's own time, it goes half-way to the next.
  const [beside, at] = state.insertKey(path, path.keyframes[2].t, pose);
  assert.equal(at, 3);
  fits(beside);
  assert.equal(path.keyframes.length, 6);
  const [single] = state.appendKey(state.startPath(11, 5, pose), pose);
  near(times(single), [0, 2], 1e-12);
});

test("removing, duplicating, reordering", () => {
  const path = walk();
  for (let i = 0; i < 6; i += 1) {
    const shorter = state.removeKey(path, i);
    assert.equal(shorter.keyframes.length, 5);
    fits(shorter);
    const [more, copy] = state.duplicateKey(path, i);
    assert.deepEqual(more.keyframes[copy].position, path.keyframes[i].position);
    fits(more);
  }
  const moved = state.reorderKey(path, 0, 3);
  assert.deepEqual(moved.keyframes[3].position, path.keyframes[0].position);
  near(times(moved), times(path), 1e-12);
  const one = state.startPath(5, 5, pose);
  assert.equal(state.removeKey(one, 0), one);
  assert.deepEqual(state.reversed(state.reversed(path)).keyframes.map((key) => key.position),
    path.keyframes.map((key) => key.position));
});

test("a loop stays closed, or ends", () => {
  const path = loop();
  const moved = state.changeKey(path, 0, { position: [3, 0, 0] });
  assert.ok(state.closes(moved));
  assert.ok(state.closes(state.changeKey(path, 6, { position: [3, 0, 0] })));
  assert.ok(state.removeKey(path, 0).loop);
  fits(state.removeKey(path, 0));
  const [longer, place] = state.appendKey(path, pose);
  assert.equal(place, 6);
  assert.ok(longer.loop && state.closes(longer));
  assert.equal(state.reorderKey(path, 0, 2).loop, false);
  assert.equal(state.looped(path, false).loop, false);
  const closed = state.looped(walk(), true);
  assert.equal(closed.keyframes.length, 7);
  fits(closed);
  assert.throws(() => state.looped(state.startPath(5, 5, pose), true), (error) => error.problem === "loopNeedsKeys");
});

test("a key's time stays between its neighbours, the ends stay where they are", () => {
  const path = walk();
  assert.equal(state.timeKey(path, 0, 1), path);
  const late = state.timeKey(path, 2, 99);
  assert.ok(rising(late));
  near([state.timeKey(path, 2, 1.1).keyframes[2].t], [1.1], 1e-12);
});

test("between frames the pose lies on the curve", () => {
  const path = walk();
  const at = poseFunction(path);
  const { positions } = posesOf(path);
  near(at(7).position, positions[7], 1e-9);
  assert.equal(curveOf(path, 8).length, 5 * 8 + 1);
  assert.ok(lengthOf(positions) > 3);
});

test("history forgets what was undone when something new is done", () => {
  const history = new History("a");
  history.push("b");
  history.push("c");
  assert.equal(history.undo(), "b");
  assert.equal(history.undo(), "a");
  assert.equal(history.undo(), "a");
  assert.equal(history.redo(), "b");
  history.push("d");
  assert.ok(!history.canRedo);
  assert.equal(history.undo(), "b");
});
