// @ts-check
/** The path and what surrounds it as lines, triangles and dots for the renderer. */

import { add, cross, distance, mix, normalized, rotate, scale, subtract } from "./math.mjs";
import { COLOURS, handlesOf } from "./gizmo.mjs";

const CURVE_STEPS = 24;
const FRUSTUM = [[-1, -0.55, 1.1], [1, -0.55, 1.1], [1, 0.55, 1.1], [-1, 0.55, 1.1]];
const GRID_HALF = 20;
const TRIANGLES = [[0, 1, 2], [0, 2, 3]];

/** @typedef {{rgb: number[], alpha?: number, width?: number}} Pen */

/** Collects shapes. */
export class Sketch {
  constructor() {
    this.segments = [];
    this.corners = [];
    this.spots = [];
  }

  /** @param {Pen} pen */
  line(a, b, { rgb, alpha = 1, width = 1.5 }) {
    this.segments.push(...a, ...b, ...rgb, alpha, width);
  }

  /** @param {number[][]} points @param {Pen} pen */
  polyline(points, pen) {
    for (let i = 1; i < points.length; i += 1) this.line(points[i - 1], points[i], pen);
  }

  /** @param {Pen} pen */
  triangle(a, b, c, { rgb, alpha = 1 }) {
    for (const one of [a, b, c]) this.corners.push(...one, ...rgb, alpha);
  }

  /** @param {Pen} pen */
  dot(at, { rgb, alpha = 1 }) {
    this.spots.push([at, rgb, alpha]);
  }

  /** @returns {import("./renderer.mjs").Layer} */
  layer(options = {}) {
    const dots = new ArrayBuffer(16 * this.spots.length);
    const floats = new Float32Array(dots);
    const bytes = new Uint8Array(dots);
    this.spots.forEach(([at, rgb, alpha], i) => {
      floats.set(at, 4 * i);
      bytes.set([...rgb, alpha].map((one) => Math.round(255 * one)), 16 * i + 12);
    });
    return { lines: new Float32Array(this.segments), fills: new Float32Array(this.corners), dots, ...options };
  }
}

/** Metres of a camera's sign: about as large on the screen at any distance, smaller where many stand close. */
function frustumSize(view, at, spacing, pixels) {
  const metre = view.metresPerPixel(at);
  return Math.max(0.4 * pixels * metre, Math.min(pixels * metre, 0.45 * spacing));
}

/** Mean way from one keyframe to the next; endless where the camera stays in one place. */
function spacingOf(keys) {
  let sum = 0;
  for (let i = 1; i < keys.length; i += 1) sum += distance(keys[i].position, keys[i - 1].position);
  return sum > 1e-6 ? sum / (keys.length - 1) : Infinity;
}

/** A broader, fainter line below a line, to be seen over anything. */
const haloOf = (pen, rgb) => ({ rgb, alpha: 0.4, width: (pen.width ?? 1.5) + 2.2 });

/** A pyramid that opens where the camera looks, with a mark on its upper side. */
function drawFrustum(sketch, { position, quaternion_wxyz }, size, pen, halo) {
  const place = (corner) => add(position, rotate(quaternion_wxyz, scale(corner, size)));
  const corners = FRUSTUM.map(place);
  for (const one of [haloOf(pen, halo), pen]) {
    for (const corner of corners) sketch.line(position, corner, one);
    sketch.polyline([...corners, corners[0]], one);
  }
  const up = [place([-0.55, -0.7, 1.1]), place([0, -1.25, 1.1]), place([0.55, -0.7, 1.1])];
  sketch.triangle(up[0], up[1], up[2], pen);
  for (const [a, b, c] of TRIANGLES) {
    sketch.triangle(corners[a], corners[b], corners[c], { ...pen, alpha: (pen.alpha ?? 1) * 0.16 });
  }
}

/**
 * The curve, a dot per frame, a frustum per keyframe, and the camera at the playhead.
 * @param {{path: import("./state.mjs").Path | null, curve: number[][], frames: number[][], selected: number,
 *   hovered: number, signs: number, playhead: import("./state.mjs").Pose | null, view: import("./view.mjs").View,
 *   colours: Record<string, number[]>}} what
 */
export function drawPath({ path, curve, frames, selected, hovered, playhead, view, colours, signs }) {
  const sketch = new Sketch();
  if (!path) return sketch;
  const line = { rgb: colours.accent, width: 2.5 };
  sketch.polyline(curve, haloOf(line, colours.halo));
  sketch.polyline(curve, line);
  for (const at of frames) sketch.dot(at, { rgb: mix(colours.accent, colours.text, 0.65) });
  if (view.mode === "camera") return sketch;
  const spacing = spacingOf(path.keyframes);
  const sizeAt = (at) => frustumSize(view, at, spacing, signs);
  path.keyframes.forEach((key, i) => {
    if (path.loop && i === path.keyframes.length - 1) return; // it lies on the first
    const lit = i === selected || (path.loop && i === 0 && selected === path.keyframes.length - 1);
    const rgb = lit ? colours.selected : i === hovered ? colours.text : colours.key;
    drawFrustum(sketch, key, sizeAt(key.position), { rgb, width: lit ? 2 : 1.4 }, colours.halo);
  });
  if (!playhead) return sketch;
  drawFrustum(sketch, playhead, 0.9 * sizeAt(playhead.position), { rgb: colours.play, width: 1.6 }, colours.halo);
  return sketch;
}

/** Lines from the keys down (or up) to the floor grid: where they are is hard to see without. */
export function drawPlumbs(sketch, path, selected, floor, colours) {
  const key = path?.keyframes[selected];
  if (!key) return;
  const foot = [key.position[0], floor, key.position[2]];
  sketch.line(key.position, foot, { rgb: colours.selected, alpha: 0.55, width: 1 });
  const [u, v] = [[0.06, 0, 0], [0, 0, 0.06]];
  sketch.line(subtract(foot, u), add(foot, u), { rgb: colours.selected, alpha: 0.8 });
  sketch.line(subtract(foot, v), add(foot, v), { rgb: colours.selected, alpha: 0.8 });
}

/** A grid on the floor, with a step that suits the distance; the axes through the origin stand out. */
export function drawGrid(sketch, view, floor, colours) {
  if (view.mode === "side" || view.mode === "front") return drawWall(sketch, view, floor, colours);
  const reach = view.inside ? 4 : view.distance;
  const step = 10 ** Math.round(Math.log10(reach / 6));
  const [cx, cz] = [view.target[0], view.target[2]].map((one) => Math.round(one / step) * step);
  const size = GRID_HALF * step;
  for (let i = -GRID_HALF; i <= GRID_HALF; i += 1) {
    const [x, z] = [cx + i * step, cz + i * step];
    const fade = 1 - Math.abs(i) / (GRID_HALF + 1);
    sketch.line([x, floor, cz - size], [x, floor, cz + size], gridPen(x, step, fade, COLOURS[2], colours));
    sketch.line([cx - size, floor, z], [cx + size, floor, z], gridPen(z, step, fade, COLOURS[0], colours));
  }
}

/** From the side the floor is a line: the grid stands upright. */
function drawWall(sketch, view, floor, colours) {
  const step = 10 ** Math.round(Math.log10(view.distance / 6));
  const axis = view.mode === "side" ? 2 : 0;
  const [centre, middle] = [view.target[axis], view.target[1]].map((one) => Math.round(one / step) * step);
  const size = GRID_HALF * step;
  const at = (along, y) => (axis === 2 ? [view.target[0], y, along] : [along, y, view.target[2]]);
  for (let i = -GRID_HALF; i <= GRID_HALF; i += 1) {
    const [along, y] = [centre + i * step, middle + i * step];
    sketch.line(at(along, middle - size), at(along, middle + size), gridPen(along, step, 1, COLOURS[1], colours));
    sketch.line(at(centre - size, y), at(centre + size, y), gridPen(y, step, 1, COLOURS[axis === 2 ? 2 : 0], colours));
  }
  sketch.line(at(centre - size, floor), at(centre + size, floor), { rgb: colours.text, alpha: 0.6, width: 1.5 });
}

function gridPen(where, step, fade, axisColour, colours) {
  if (Math.abs(where) < step / 2) return { rgb: axisColour, alpha: 0.75 * fade + 0.1, width: 1.4 };
  const tenth = Math.abs(where / (10 * step) - Math.round(where / (10 * step))) < 1e-3;
  return { rgb: colours.text, alpha: (tenth ? 0.3 : 0.13) * fade, width: 1 };
}

/** Where the photographs were taken: a ball with a foot on the floor. */
export function drawAnchors(sketch, anchors, floor, view, colours) {
  for (const { position } of anchors) {
    const radius = 7 * view.metresPerPixel(position);
    for (const [u, v] of [[[1, 0, 0], [0, 1, 0]], [[0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]]]) {
      const ring = Array.from({ length: 17 }, (_, i) => {
        const angle = (i * Math.PI) / 8;
        return add(position, add(scale(u, radius * Math.cos(angle)), scale(v, radius * Math.sin(angle))));
      });
      sketch.polyline(ring, { rgb: colours.anchor, width: 1.4, alpha: 0.9 });
    }
    sketch.line(position, [position[0], floor, position[2]], { rgb: colours.anchor, alpha: 0.35, width: 1 });
  }
}

/** A sphere of one metre around the first panorama: what there is before any scene is known. */
export function drawSphere(sketch, centre, colours) {
  for (let k = 0; k < 12; k += 1) {
    const lon = (k * Math.PI) / 12;
    const points = [];
    for (let i = 0; i <= 48; i += 1) {
      const lat = (2 * Math.PI * i) / 48;
      points.push(add(centre, [Math.cos(lat) * Math.sin(lon), -Math.sin(lat), Math.cos(lat) * Math.cos(lon)]));
    }
    sketch.polyline(points, { rgb: colours.text, alpha: 0.12, width: 1 });
  }
  for (let k = -2; k <= 2; k += 1) {
    const [y, r] = [-Math.sin((k * Math.PI) / 6), Math.cos((k * Math.PI) / 6)];
    const points = Array.from({ length: 49 }, (_, i) => {
      const angle = (2 * Math.PI * i) / 48;
      return add(centre, [r * Math.sin(angle), y, r * Math.cos(angle)]);
    });
    sketch.polyline(points, { rgb: colours.text, alpha: k ? 0.12 : 0.3, width: 1 });
  }
}

/** The handles; the one under the pointer is bright. */
export function drawGizmo(view, pose, tool, lit, colours) {
  const sketch = new Sketch();
  for (const { handle, line, fill } of handlesOf(view, pose, tool)) {
    const bright = lit && lit.kind === handle.kind && lit.axis === handle.axis;
    const rgb = bright ? colours.bright : COLOURS[handle.axis];
    sketch.polyline(line, { rgb, width: bright ? 4 : fill ? 1.2 : 2.6 });
    if (fill) {
      for (const [a, b, c] of TRIANGLES) sketch.triangle(fill[a], fill[b], fill[c], { rgb, alpha: bright ? 0.6 : 0.3 });
    }
    if (handle.kind === "axis") drawTip(sketch, line[0], line[1], rgb);
  }
  return sketch;
}

function drawTip(sketch, from, to, rgb) {
  const along = normalized(subtract(to, from));
  const length = Math.hypot(...subtract(to, from)) * 0.17;
  const u = normalized(cross(along, Math.abs(along[1]) < 0.9 ? [0, 1, 0] : [1, 0, 0]));
  const v = cross(along, u);
  const ring = Array.from({ length: 13 }, (_, i) => {
    const angle = (i * Math.PI) / 6;
    const side = add(scale(u, Math.cos(angle)), scale(v, Math.sin(angle)));
    return add(to, scale(side, length * 0.38));
  });
  const tip = add(to, scale(along, length));
  for (let i = 1; i < ring.length; i += 1) {
    sketch.triangle(ring[i - 1], ring[i], tip, { rgb });
    sketch.triangle(ring[i - 1], ring[i], to, { rgb: scale(rgb, 0.7) });
  }
}

export { CURVE_STEPS };
