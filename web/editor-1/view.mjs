// @ts-check
/** The editor's own cameras: around the scene, from above and the sides, flying, and through the path's camera. */

import { RAD, add, clamp, dot, fromAngles, inverse, norm, product, rotate, rows, scale, subtract } from "./math.mjs";

/** @typedef {"orbit" | "top" | "side" | "front" | "fly" | "camera"} Mode */
/** @typedef {{origin: number[], direction: number[]}} Ray direction of unit length */

export const MODES = /** @type {Mode[]} */ (["orbit", "top", "side", "front", "fly", "camera"]);
const FLAT = { top: [0, -90 * RAD], side: [-90 * RAD, 0], front: [0, 0] };
const ORBIT_TAN = Math.tan(25 * RAD); // half the vertical angle of view
const FLY_TAN = Math.tan(37.5 * RAD);
const MIN_DISTANCE = 0.02;
const MAX_DISTANCE = 5000;
const PITCH_LIMIT = 89.9 * RAD;

export class View {
  constructor() {
    /** @type {Mode} */
    this.mode = "orbit";
    this.target = [0, 0, 0.5];
    this.yaw = -35 * RAD;
    this.pitch = -28 * RAD;
    this.distance = 4;
    this.fly = { position: [0, 0, 0], yaw: 0, pitch: 0 };
    /** The pose that the mode "camera" looks through. */
    this.pose = { position: [0, 0, 0], quaternion_wxyz: [1, 0, 0, 0] };
    this.width = 1;
    this.height = 1;
  }

  get flat() {
    return this.mode in FLAT;
  }

  get inside() {
    return this.mode === "fly" || this.mode === "camera";
  }

  /** World from camera. */
  get quaternion() {
    if (this.mode === "camera") return this.pose.quaternion_wxyz;
    if (this.mode === "fly") return fromAngles(this.fly.yaw, this.fly.pitch, 0);
    const [yaw, pitch] = FLAT[this.mode] ?? [this.yaw, this.pitch];
    return fromAngles(yaw, pitch, 0);
  }

  get position() {
    if (this.mode === "camera") return this.pose.position;
    if (this.mode === "fly") return this.fly.position;
    return subtract(this.target, scale(this.forward, this.distance));
  }

  get forward() {
    return rotate(this.quaternion, [0, 0, 1]);
  }

  /** Tangent of half the angle of view; of a flat view, half its height in metres. */
  get half() {
    if (this.flat) return this.distance * ORBIT_TAN;
    return this.inside ? FLY_TAN : ORBIT_TAN;
  }

  resize(width, height) {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
  }

  /** Clip space from world, column by column; y of the world points down, y of clip space up. */
  get matrix() {
    const [r0, r1, r2] = rows(inverse(this.quaternion));
    const t = [r0, r1, r2].map((row) => -dot(row, this.position));
    const world = [r0[0], r1[0], r2[0], 0, r0[1], r1[1], r2[1], 0, r0[2], r1[2], r2[2], 0, ...t, 1];
    const [x, y] = [this.height / this.width / this.half, -1 / this.half];
    if (this.flat) {
      const reach = Math.max(200, 8 * this.distance); // as much behind the camera as before it
      return product([x, 0, 0, 0, 0, y, 0, 0, 0, 0, 1 / reach, 0, 0, 0, 0, 1], world);
    }
    const near = this.near;
    const far = near * 1e5;
    const [a, b] = [(far + near) / (far - near), (-2 * far * near) / (far - near)];
    return product([x, 0, 0, 0, 0, y, 0, 0, 0, 0, a, 1, 0, 0, b, 0], world);
  }

  get near() {
    return this.inside ? 0.01 : clamp(this.distance * 0.01, 0.002, 0.2);
  }

  /** Pixels from the top left, and the distance from the camera; null behind it. */
  project(point) {
    const away = subtract(point, this.position);
    const [x, y, z] = rotate(inverse(this.quaternion), away);
    if (!this.flat && z < this.near) return null;
    const reach = this.half * (this.flat ? 1 : z);
    const half = this.height / 2;
    return [this.width / 2 + (x / reach) * half, half + (y / reach) * half, z];
  }

  /** @returns {Ray} through a pixel */
  ray(x, y) {
    const half = this.height / 2;
    const [u, v] = [((x - this.width / 2) / half) * this.half, ((y - half) / half) * this.half];
    const q = this.quaternion;
    if (this.flat) return { origin: add(this.position, rotate(q, [u, v, 0])), direction: rotate(q, [0, 0, 1]) };
    const direction = rotate(q, [u, v, 1]);
    return { origin: this.position, direction: scale(direction, 1 / norm(direction)) };
  }

  /** Metres of a pixel at a point. */
  metresPerPixel(point) {
    if (this.flat) return (2 * this.half) / this.height;
    const away = dot(subtract(point, this.position), this.forward);
    return (2 * this.half * Math.max(away, this.near)) / this.height;
  }

  /** Turn by pixels of a drag. */
  turn(dx, dy) {
    const step = this.inside ? (2 * FLY_TAN) / this.height : 0.008;
    if (this.mode === "fly") {
      // The picture follows the pointer.
      this.fly.yaw -= dx * step;
      this.fly.pitch = clamp(this.fly.pitch + dy * step, -PITCH_LIMIT, PITCH_LIMIT);
    } else if (this.mode === "orbit") {
      this.yaw += dx * step;
      this.pitch = clamp(this.pitch - dy * step, -PITCH_LIMIT, PITCH_LIMIT);
    }
  }

  /** Move the target by pixels of a drag. */
  pan(dx, dy) {
    if (this.inside) return;
    const metres = this.metresPerPixel(this.target);
    this.target = add(this.target, rotate(this.quaternion, [-dx * metres, -dy * metres, 0]));
  }

  /** Nearer or farther, keeping what is under the pointer there. */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    if (this.inside) return;
    const before = this.distance;
    this.distance = clamp(before * factor, MIN_DISTANCE, MAX_DISTANCE);
    const half = this.height / 2;
    const reach = (before - this.distance) * ORBIT_TAN;
    const offset = [((x - this.width / 2) / half) * reach, ((y - half) / half) * reach, 0];
    this.target = add(this.target, rotate(this.quaternion, offset));
  }

  /** Move while flying: metres to the right, down, forward of the view; up and down are the world's. */
  step(right, down, forward) {
    const moved = rotate(this.quaternion, [right, 0, forward]);
    this.fly.position = add(this.fly.position, [moved[0], moved[1] + down, moved[2]]);
  }

  /** Look at a box of the world. */
  frame(low, high) {
    const size = norm(subtract(high, low));
    this.target = scale(add(low, high), 0.5);
    const narrow = Math.min(1, this.width / this.height);
    this.distance = clamp((Math.max(size, 0.5) / 2 / ORBIT_TAN / narrow) * 1.05, MIN_DISTANCE, MAX_DISTANCE);
  }

  /** @returns {object} to come back to */
  save() {
    const { mode, target, yaw, pitch, distance, fly } = this;
    return { mode, target, yaw, pitch, distance, fly: { ...fly } };
  }
}

/** Where a ray meets a plane, or null where it runs along it or away. @param {Ray} ray */
export function meetPlane({ origin, direction }, point, normal) {
  const slope = dot(direction, normal);
  if (Math.abs(slope) < 1e-6) return null;
  const away = dot(subtract(point, origin), normal) / slope;
  return away < 0 ? null : add(origin, scale(direction, away));
}

/** How far along a line (unit direction) it is nearest to a ray, or null where the two are parallel. @param {Ray} ray */
export function nearestOnLine({ origin, direction }, point, line) {
  const slope = dot(direction, line);
  const across = 1 - slope * slope;
  if (across < 1e-6) return null;
  const away = subtract(origin, point);
  return (dot(away, line) - dot(away, direction) * slope) / across;
}

/** Pixels from a point to a line between two others. */
export function pixelsToSegment([px, py], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const t = length ? clamp(((px - ax) * dx + (py - ay) * dy) / length, 0, 1) : 0;
  return Math.hypot(px - ax - t * dx, py - ay - t * dy);
}
