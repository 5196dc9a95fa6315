// @ts-check
/**
 * The handles at the selected keyframe: three axes and three planes to move it along, three rings to turn it.
 * The rings turn about the camera's right (pitch), the world's vertical (yaw) and the camera's forward (roll).
 */

import { aboutAxis, add, cross, dot, multiply, normalized, rotate, scale, subtract, unit } from "./math.mjs";
import { meetPlane, nearestOnLine, pixelsToSegment } from "./view.mjs";

export const AXES = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
export const COLOURS = [[0.93, 0.33, 0.31], [0.45, 0.76, 0.25], [0.3, 0.56, 0.97]];
const AXIS_PIXELS = 86;
const RING_PIXELS = 66;
const PLANE_FROM = 0.26;
const PLANE_TO = 0.5;
const REACH = 9; // pixels
const RING_STEPS = 48;
const EDGE_ON = 0.12;

/** @typedef {{kind: "axis" | "plane" | "ring", axis: number}} Handle */

/** Unit vectors that span a plane across an axis. */
function spanOf(normal) {
  const first = normalized(cross(normal, Math.abs(normal[1]) < 0.9 ? [0, 1, 0] : [1, 0, 0]));
  return [first, cross(normal, first)];
}

/** Axis of a ring in the world. */
export function ringAxis(pose, axis) {
  return axis === 1 ? AXES[1] : rotate(pose.quaternion_wxyz, AXES[axis]);
}

/**
 * The handles of a pose, as what is drawn and what is looked for under the pointer.
 * @param {import("./view.mjs").View} view
 * @param {import("./state.mjs").Pose} pose
 * @param {"move" | "turn"} tool
 * @returns {{handle: Handle, line: number[][], fill?: number[][]}[]}
 */
export function handlesOf(view, pose, tool) {
  const at = pose.position;
  const metres = view.metresPerPixel(at);
  if (tool === "turn") return AXES.map((_, axis) => ringOf(pose, axis, RING_PIXELS * metres));
  const reach = AXIS_PIXELS * metres;
  const axes = AXES.map((direction, axis) => ({
    handle: /** @type {Handle} */ ({ kind: "axis", axis }),
    line: [add(at, scale(direction, reach * 0.16)), add(at, scale(direction, reach))],
  }));
  const planes = AXES.map((_, axis) => {
    const [u, v] = [AXES[(axis + 1) % 3], AXES[(axis + 2) % 3]];
    const corner = (a, b) => add(at, add(scale(u, reach * a), scale(v, reach * b)));
    const [from, to] = [PLANE_FROM, PLANE_TO];
    const square = [corner(from, from), corner(to, from), corner(to, to), corner(from, to)];
    return { handle: /** @type {Handle} */ ({ kind: "plane", axis }), line: [...square, square[0]], fill: square };
  });
  const forward = view.forward;
  // A handle that points at the eye cannot be dragged.
  return [
    ...planes.filter(({ handle }) => Math.abs(dot(forward, AXES[handle.axis])) > EDGE_ON * 1.5),
    ...axes.filter(({ handle }) => Math.abs(dot(forward, AXES[handle.axis])) < 0.98),
  ];
}

function ringOf(pose, axis, radius) {
  const [u, v] = spanOf(ringAxis(pose, axis));
  const line = Array.from({ length: RING_STEPS + 1 }, (_, i) => {
    const angle = (2 * Math.PI * i) / RING_STEPS;
    return add(pose.position, add(scale(u, radius * Math.cos(angle)), scale(v, radius * Math.sin(angle))));
  });
  return { handle: /** @type {Handle} */ ({ kind: "ring", axis }), line };
}

function insideOf([x, y], corners) {
  let inside = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i, i += 1) {
    const [[ax, ay], [bx, by]] = [corners[i], corners[j]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/** The handle under a pixel, or null. @returns {Handle | null} */
export function handleAt(view, pose, tool, x, y, reach = REACH) {
  let [best, found] = [reach, /** @type {Handle | null} */ (null)];
  for (const { handle, line, fill } of handlesOf(view, pose, tool)) {
    const seen = line.map((point) => view.project(point));
    if (seen.some((one) => one === null)) continue;
    const shown = /** @type {number[][]} */ (seen);
    let away = Infinity;
    for (let i = 1; i < shown.length; i += 1) away = Math.min(away, pixelsToSegment([x, y], shown[i - 1], shown[i]));
    if (fill && insideOf([x, y], shown.slice(0, 4))) away = Math.min(away, reach / 2);
    if (away < best) [best, found] = [away, handle];
  }
  return found;
}

/**
 * What a drag of a handle means. Made when it begins; the function gives the pose for a pixel.
 * @param {import("./view.mjs").View} view
 * @param {import("./state.mjs").Pose} pose
 * @param {Handle} handle
 * @returns {(x: number, y: number) => import("./state.mjs").Pose}
 */
export function startDrag(view, pose, handle, x, y) {
  if (handle.kind === "ring") return startTurn(view, pose, ringAxis(pose, handle.axis), x, y);
  const along = AXES[handle.axis];
  if (handle.kind === "plane") return startSlide(view, pose, along, x, y);
  const from = nearestOnLine(view.ray(x, y), pose.position, along) ?? 0;
  return (toX, toY) => {
    const to = nearestOnLine(view.ray(toX, toY), pose.position, along) ?? from;
    return { ...pose, position: add(pose.position, scale(along, to - from)) };
  };
}

/** Slide over the plane through the pose across a normal. */
export function startSlide(view, pose, normal, x, y) {
  const from = meetPlane(view.ray(x, y), pose.position, normal) ?? pose.position;
  let last = pose.position;
  return (toX, toY) => {
    // Beyond the horizon of the plane there is nowhere to go.
    const to = meetPlane(view.ray(toX, toY), pose.position, normal);
    if (to) last = add(pose.position, subtract(to, from));
    return { ...pose, position: last };
  };
}

function startTurn(view, pose, axis, x, y) {
  const turned = (angle) => ({ ...pose, quaternion_wxyz: unit(multiply(aboutAxis(axis, angle), pose.quaternion_wxyz)) });
  const centre = pose.position;
  const [u, v] = spanOf(axis);
  const angleAt = (px, py) => {
    const met = meetPlane(view.ray(px, py), centre, axis);
    return met && Math.atan2(dot(subtract(met, centre), v), dot(subtract(met, centre), u));
  };
  const start = angleAt(x, y);
  if (start !== null && Math.abs(dot(view.ray(x, y).direction, axis)) > EDGE_ON) {
    let last = 0;
    return (toX, toY) => turned((last = (angleAt(toX, toY) ?? last + start) - start));
  }
  // Seen from its edge a ring is a line: what is nearer to the eye follows the pointer along it.
  const tangent = normalized(cross(axis, scale(view.forward, -1)));
  const radius = RING_PIXELS * view.metresPerPixel(centre);
  const [a, b] = [view.project(centre), view.project(add(centre, scale(tangent, radius)))];
  if (!a || !b) return () => pose;
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const square = dx * dx + dy * dy || 1;
  return (toX, toY) => turned(((toX - x) * dx + (toY - y) * dy) / square);
}

/** Round a moved position to the grid, along what was moved. */
export function snapPosition(before, after, step) {
  if (!step) return after;
  return after.map((one, i) => (Math.abs(one - before[i]) < 1e-9 ? one : Math.round(one / step) * step));
}
