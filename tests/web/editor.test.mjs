// The editor's cameras and handles. Run by test_editor_js.py, or `node --test tests/web`.
import assert from "node:assert/strict";
import { test } from "node:test";

const load = (name) => import(new URL(`../../web/editor-1/${name}.mjs`, import.meta.url).href);
const { RAD, add, fromAngles, norm, rotate, scale, subtract, toAngles } = await load("math");
const { MODES, View, meetPlane, nearestOnLine, pixelsToSegment } = await load("view");
const { handleAt, handlesOf, ringAxis, snapPosition, startDrag, startSlide } = await load("gizmo");

const near = (found, expected, tolerance = 1e-9) => {
  assert.equal(found?.length, expected.length, String(found));
  found.forEach((one, i) => assert.ok(Math.abs(one - expected[i]) <= tolerance, `${found} is not ${expected}`));
};
const LEVEL = { position: [0.4, -0.2, 1.5], quaternion_wxyz: [1, 0, 0, 0] };

function viewOf(mode) {
  const view = new View();
  view.resize(800, 600);
  view.mode = mode;
  view.target = [0.3, 0.1, 1];
  view.fly = { position: [0, 0, -2], yaw: 0.2, pitch: -0.1 };
  view.pose = { position: [0.1, 0.2, -3], quaternion_wxyz: fromAngles(0.1, 0.2, 0.3) };
  return view;
}

for (const mode of MODES) {
  test(`${mode}: a ray through a point's pixel meets the point, and the matrix agrees`, () => {
    const view = viewOf(mode);
    const point = [0.5, -0.3, 1.7];
    const [x, y, depth] = view.project(point);
    const { origin, direction } = view.ray(x, y);
    const away = subtract(point, origin);
    near(scale(direction, norm(away)), away, 1e-9);
    assert.ok(depth > 0);
    const m = view.matrix;
    const clip = [0, 1, 2, 3].map((row) => m[row] * point[0] + m[4 + row] * point[1] + m[8 + row] * point[2] + m[12 + row]);
    near([((clip[0] / clip[3] + 1) / 2) * 800, ((1 - clip[1] / clip[3]) / 2) * 600], [x, y], 1e-6);
    assert.ok(Math.abs(clip[2] / clip[3]) < 1);
    // One pixel further is as many metres further as the view says.
    const right = rotate(view.quaternion, [view.metresPerPixel(point), 0, 0]);
    near(view.project(add(point, right)).slice(0, 2), [x + 1, y], 1e-6);
  });
}

test("what is up is up, and what is ahead is where one expects it", () => {
  const middle = [400, 300];
  for (const mode of ["orbit", "side", "front"]) {
    const view = viewOf(mode);
    const [, y] = view.project(add(view.target, [0, -0.5, 0]));
    assert.ok(y < middle[1], mode);
  }
  const top = viewOf("top");
  near(top.project(add(top.target, [0, 0, 0.5])).slice(0, 1), [400], 1e-9);
  assert.ok(top.project(add(top.target, [0, 0, 0.5]))[1] < 300, "from above, forward is up");
  assert.ok(top.project(add(top.target, [0.5, 0, 0]))[0] > 400);
  const side = viewOf("side");
  assert.ok(side.project(add(side.target, [0, 0, 0.5]))[0] > 400, "from the side, forward is right");
});

test("behind the eye there is nothing to see", () => {
  assert.equal(viewOf("fly").project([0, 0, -9]), null);
});

test("zooming keeps what is under the pointer there", () => {
  for (const mode of ["orbit", "top"]) {
    const view = viewOf(mode);
    const { origin, direction } = view.ray(600, 200);
    const point = mode === "top" ? meetPlane({ origin, direction }, view.target, view.forward) : null;
    view.zoom(0.5, 600, 200);
    if (point) near(view.project(point).slice(0, 2), [600, 200], 1e-6);
    assert.ok(Math.abs(view.distance - 2) < 1e-9);
  }
});

test("panning moves the target with the pointer", () => {
  const view = viewOf("top");
  const before = view.target;
  view.pan(50, -30);
  near(view.project(before).slice(0, 2), [450, 270], 1e-6);
});

test("flying: forward is ahead, Q and E are the world's down and up", () => {
  const view = viewOf("fly");
  const start = view.fly.position;
  view.step(0, 0, 1);
  near(subtract(view.fly.position, start), view.forward, 1e-12);
  view.step(0, 0.5, 0);
  near([view.fly.position[1]], [start[1] + view.forward[1] + 0.5], 1e-12);
});

test("a frame of the scene fits into the view", () => {
  const view = viewOf("orbit");
  view.frame([-1, -1, -1], [3, 1, 2]);
  for (const corner of [[-1, -1, -1], [3, 1, 2], [3, -1, -1], [-1, 1, 2]]) {
    const [x, y] = view.project(corner);
    assert.ok(x > 0 && x < 800 && y > 0 && y < 600, `${x} ${y}`);
  }
});

test("rays, planes and lines", () => {
  const ray = { origin: [0, -2, 0], direction: [0, 1, 0] };
  near(meetPlane(ray, [5, 1, 5], [0, 1, 0]), [0, 1, 0]);
  assert.equal(meetPlane(ray, [0, -3, 0], [0, 1, 0]), null);
  assert.equal(meetPlane(ray, [1, 0, 0], [1, 0, 0]), null);
  assert.ok(Math.abs(nearestOnLine(ray, [3, 7, 0], [1, 0, 0]) + 3) < 1e-12);
  assert.equal(nearestOnLine(ray, [0, 0, 0], [0, 1, 0]), null);
  assert.equal(pixelsToSegment([5, 5], [0, 0], [10, 0]), 5);
  assert.equal(pixelsToSegment([13, 4], [0, 0], [10, 0]), 5);
});

const handle = (view, tool, kind, axis) => {
  const found = handlesOf(view, LEVEL, tool).find((one) => one.handle.kind === kind && one.handle.axis === axis);
  const line = found.line;
  const middle = kind === "plane" ? scale(add(line[0], line[2]), 0.5) : kind === "axis" ? line[1] : line[5];
  return [found.handle, view.project(middle)];
};

test("every handle is found where it is drawn", () => {
  const view = viewOf("orbit");
  for (const kind of ["axis", "plane"]) {
    for (const axis of [0, 1, 2]) {
      const [expected, [x, y]] = handle(view, "move", kind, axis);
      assert.deepEqual(handleAt(view, LEVEL, "move", x, y), expected);
    }
  }
  const [ring, [x, y]] = handle(view, "turn", "ring", 1);
  assert.deepEqual(handleAt(view, LEVEL, "turn", x, y), ring);
  assert.equal(handleAt(view, LEVEL, "move", 5, 5), null);
});

test("an axis moves along itself, a plane within itself", () => {
  const view = viewOf("orbit");
  for (const axis of [0, 1, 2]) {
    const [arrow, [x, y]] = handle(view, "move", "axis", axis);
    const moved = subtract(startDrag(view, LEVEL, arrow, x, y)(x + 37, y - 25).position, LEVEL.position);
    assert.ok(Math.abs(moved[axis]) > 0.01);
    moved.forEach((one, i) => i !== axis && assert.ok(Math.abs(one) < 1e-12));
    const [square, [u, v]] = handle(view, "move", "plane", axis);
    const drag = startDrag(view, LEVEL, square, u, v);
    const slid = subtract(drag(u + 20, v + 15).position, LEVEL.position);
    assert.ok(Math.abs(slid[axis]) < 1e-9);
    near(drag(u, v).position, LEVEL.position, 1e-9);
  }
});

test("what is dragged over the ground stays under the pointer", () => {
  const view = viewOf("orbit");
  const [x, y] = view.project(LEVEL.position);
  const moved = startSlide(view, LEVEL, [0, 1, 0], x, y)(x + 60, y + 30);
  near(view.project(moved.position).slice(0, 2), [x + 60, y + 30], 1e-6);
  near([moved.position[1]], [LEVEL.position[1]]);
});

test("a ring turns about its axis by the angle of the drag", () => {
  const view = viewOf("top");
  const [ring] = handle(view, "turn", "ring", 1);
  const [x, y] = view.project(LEVEL.position);
  // A quarter to the right as seen from above: from ahead (up) to the right.
  const turned = startDrag(view, LEVEL, ring, x, y - 66)(x + 66, y);
  near(toAngles(turned.quaternion_wxyz), [90 * RAD, 0, 0], 1e-9);
  near(ringAxis({ ...LEVEL, quaternion_wxyz: fromAngles(90 * RAD, 0, 0) }, 2), [1, 0, 0], 1e-12);
});

test("a ring that is seen from its edge still turns", () => {
  const view = viewOf("front");
  const [ring] = handle(view, "turn", "ring", 1);
  const [x, y] = view.project(LEVEL.position);
  const [yaw, pitch, roll] = toAngles(startDrag(view, LEVEL, ring, x, y)(x + 33, y).quaternion_wxyz);
  assert.ok(Math.abs(yaw) > 0.2);
  near([pitch, roll], [0, 0], 1e-9);
});

test("only what is moved snaps", () => {
  near(snapPosition([0.13, 0.27, 0], [0.48, 0.27, 0.26], 0.25), [0.5, 0.27, 0.25], 1e-12);
  near(snapPosition([0, 0, 0], [0.48, 0, 0], 0), [0.48, 0, 0]);
});
