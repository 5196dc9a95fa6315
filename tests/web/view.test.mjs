// The viewer's geometry against docs/conventions.md. Run by test_viewer_js.py, or `node --test tests/web`.
import assert from "node:assert/strict";
import { test } from "node:test";

const { DIRECTIONS, FOV, degreesPerPixel, directionAt, limited, rotation, startView, viewOfDevice, wrapDegrees } =
  await import(new URL("../../web/viewer-1/view.mjs", import.meta.url).href);

const near = (found, expected, tolerance = 1e-9) => {
  assert.equal(found.length, expected.length);
  found.forEach((one, i) => assert.ok(Math.abs(one - expected[i]) <= tolerance, `${found} is not ${expected}`));
};
const look = (yaw, pitch, roll = 0, fov = 90) => ({ yaw, pitch, roll, fov });
const forward = (view) => rotation(view).map((row) => row[2]);

test("yaw turns right, pitch looks up, roll is clockwise", () => {
  near(forward(look(90, 0)), [1, 0, 0]);
  near(forward(look(0, 90)), [0, -1, 0]);
  // Rolled clockwise by 90 degrees, the camera's right points down in the world.
  near(rotation(look(0, 0, 90)).map((row) => row[0]), [0, 1, 0]);
});

test("rotations are orthonormal", () => {
  for (const view of [look(33, -21, 7), look(-170, 88, -120)]) {
    const rows = rotation(view);
    for (const a of [0, 1, 2]) {
      for (const b of [0, 1, 2]) {
        const product = rows[a].reduce((sum, one, k) => sum + one * rows[b][k], 0);
        assert.ok(Math.abs(product - Number(a === b)) < 1e-12);
      }
    }
  }
});

test("the middle of the picture is where the view looks, in every projection", () => {
  for (const projection of ["rectilinear", "planet", "flat"]) {
    const view = limited(look(40, 25, 0, 100), projection);
    near(directionAt(view, projection, 200, 100, 400, 200), [40, 25], 1e-9);
  }
});

test("the edge of a perspective view of 90 degrees is 45 degrees off", () => {
  near(directionAt(look(0, 0), "rectilinear", 200, 0, 400, 200), [0, 45]);
  near(directionAt(look(0, 0), "rectilinear", 300, 100, 400, 200), [45, 0]);
});

test("the edge of a little planet is half its angle off", () => {
  near(directionAt(look(0, 0, 0, 180), "planet", 200, 0, 400, 200), [0, 90], 1e-6);
  const [, lat] = directionAt(startView("planet"), "planet", 200, 0, 400, 200);
  assert.ok(Math.abs(lat - (FOV.planet[2] / 2 - 90)) < 1e-6);
});

test("the flat picture fits into the frame and has an outside", () => {
  const view = startView("flat");
  near(directionAt(view, "flat", 0, 0, 400, 200), [180, 90]);
  near(directionAt(view, "flat", 300, 100, 400, 200), [90, 0]);
  assert.equal(directionAt(view, "flat", 10, 100, 600, 200), null);
  near(directionAt(look(100, 0, 0, 180), "flat", 400, 100, 400, 200), [-80, 0]);
});

test("views stay inside their limits", () => {
  assert.equal(limited(look(0, 120), "rectilinear").pitch, 90);
  assert.equal(limited(look(0, 0, 0, 500), "rectilinear").fov, FOV.rectilinear[1]);
  assert.equal(limited(look(0, 40, 0, 180), "flat").pitch, 0);
  assert.equal(limited(look(0, 40, 0, 90), "flat").pitch, 40);
  assert.equal(limited(look(540, 0), "rectilinear").yaw, 180);
  assert.deepEqual([190, -190, -180, 360].map(wrapDegrees), [-170, 170, 180, 0]);
});

test("a drag moves what is in the middle with the pointer", () => {
  for (const projection of ["rectilinear", "planet", "flat"]) {
    const view = limited(look(0, 0, 0, 100), projection);
    const [lon] = directionAt(view, projection, 201, 100, 400, 200);
    const step = degreesPerPixel(view, projection, 400, 200);
    assert.ok(Math.abs(lon / step - 1) < 1e-3, projection);
  }
});

test("the six directions are the six axes", () => {
  const axes = {
    front: [0, 0, 1],
    right: [1, 0, 0],
    back: [0, 0, -1],
    left: [-1, 0, 0],
    up: [0, -1, 0],
    down: [0, 1, 0],
  };
  for (const [name, [yaw, pitch]] of Object.entries(DIRECTIONS)) near(forward(look(yaw, pitch)), axes[name]);
});

test("a device held upright looks ahead, and follows its turns", () => {
  const at = (...angles) => {
    const { yaw, pitch, roll } = viewOfDevice(...angles);
    return [yaw, pitch, roll];
  };
  near(at(0, 90, 0, 0), [0, 0, 0], 1e-6);
  near(at(-30, 90, 0, 0), [30, 0, 0], 1e-6); // alpha counts to the left
  near(at(0, 120, 0, 0), [0, 30, 0], 1e-6); // leant back: looks up
  near(at(0, 0, 0, 0).slice(1, 2), [-90], 1e-4); // flat on the table: looks down
  // Held on its side, the screen says that it is turned, and the horizon stays level.
  near(at(90, 0, -90, 90).slice(1), [0, 0], 1e-6);
});
