// @ts-check
/**
 * Vectors, quaternions and matrices, as docs/conventions.md has them: +x right, +y down, +z forward; quaternions
 * w, x, y, z; yaw + turns right, pitch + looks up, roll + is clockwise, R = Ry Rx Rz. Angles in radians.
 * The formulas are those of pantheon_core/geometry/rotations.py; tests/fixtures/geometry.json holds both together.
 */

/** @typedef {number[]} Vector three numbers */
/** @typedef {number[]} Quaternion w, x, y, z */

export const RAD = Math.PI / 180;
export const IDENTITY = [1, 0, 0, 0];

export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const scale = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const norm = (a) => Math.hypot(a[0], a[1], a[2]);
export const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
export const mix = (a, b, t) => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
export const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export function normalized(a) {
  const length = norm(a) || 1;
  return scale(a, 1 / length);
}

/** @param {Quaternion} q */
export function unit(q) {
  const length = Math.hypot(q[0], q[1], q[2], q[3]) || 1;
  return q.map((one) => one / length);
}

const dot4 = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
const sameSide = (reference, q) => (dot4(reference, q) < 0 ? q.map((one) => -one) : q);

/** @param {Quaternion} a @param {Quaternion} b first b, then a */
export function multiply(a, b) {
  return [
    a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
    a[0] * b[1] + b[0] * a[1] + a[2] * b[3] - a[3] * b[2],
    a[0] * b[2] + b[0] * a[2] + a[3] * b[1] - a[1] * b[3],
    a[0] * b[3] + b[0] * a[3] + a[1] * b[2] - a[2] * b[1],
  ];
}

export const inverse = (q) => [q[0], -q[1], -q[2], -q[3]];

/** Rotate about an axis of unit length. */
export function aboutAxis(axis, angle) {
  const sine = Math.sin(angle / 2);
  return [Math.cos(angle / 2), axis[0] * sine, axis[1] * sine, axis[2] * sine];
}

export function rotate(q, v) {
  const u = [q[1], q[2], q[3]];
  const t = scale(cross(u, v), 2);
  return add(add(v, scale(t, q[0])), cross(u, t));
}

/** Rows of the rotation matrix. @param {Quaternion} q of unit length */
export function rows([w, x, y, z]) {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
  ];
}

/** Quaternion of a rotation matrix given by rows: divide by the largest component (Shepperd 1978). */
export function quaternionOf(m) {
  const diagonal = [m[0][0] + m[1][1] + m[2][2], m[0][0], m[1][1], m[2][2]];
  const largest = diagonal.indexOf(Math.max(...diagonal));
  const [a, b, c] = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]];
  const [d, e, f] = [m[1][0] + m[0][1], m[0][2] + m[2][0], m[2][1] + m[1][2]];
  const [r0, r1, r2] = [m[0][0], m[1][1], m[2][2]];
  const row = [
    [1 + r0 + r1 + r2, a, b, c],
    [a, 1 + r0 - r1 - r2, d, e],
    [b, d, 1 - r0 + r1 - r2, f],
    [c, e, f, 1 - r0 - r1 + r2],
  ][largest];
  const q = unit(row);
  return q[0] < 0 ? q.map((one) => -one) : q;
}

/** @returns {Quaternion} of angles in radians */
export function fromAngles(yaw, pitch, roll) {
  return multiply(
    multiply(aboutAxis([0, 1, 0], yaw), aboutAxis([1, 0, 0], pitch)),
    aboutAxis([0, 0, 1], roll),
  );
}

/** Yaw, pitch and roll in radians; straight up or down, yaw has all of the turn. */
export function toAngles(q) {
  const m = rows(unit(q));
  const level = Math.hypot(m[0][2], m[2][2]);
  const vertical = level < 4 * Number.EPSILON;
  const pitch = Math.atan2(-m[1][2], level);
  if (vertical) return [Math.atan2(-m[2][0], m[0][0]), pitch, 0];
  return [Math.atan2(m[0][2], m[2][2]), pitch, Math.atan2(m[1][0], m[1][1])];
}

/** Constant turn from one orientation to another; the short way round unless told otherwise. */
export function slerp(start, end, t, shortest = true) {
  const q0 = unit(start);
  let q1 = unit(end);
  if (shortest) q1 = sameSide(q0, q1);
  const apart = Math.hypot(...q0.map((one, i) => one - q1[i]));
  const together = Math.hypot(...q0.map((one, i) => one + q1[i]));
  const angle = 2 * Math.atan2(apart, together);
  const sine = Math.sin(angle);
  const small = Math.abs(sine) < 1e-6;
  const first = small ? 1 - t : Math.sin((1 - t) * angle) / sine;
  const second = small ? t : Math.sin(t * angle) / sine;
  return unit(q0.map((one, i) => first * one + second * q1[i]));
}

/** Half the rotation vector of a unit quaternion. */
function log(q) {
  const length = Math.hypot(q[1], q[2], q[3]);
  const factor = length > 0 ? Math.atan2(length, q[0]) / length : 1;
  return [q[1] * factor, q[2] * factor, q[3] * factor];
}

function exp(v) {
  const angle = norm(v);
  const factor = angle > 0 ? Math.sin(angle) / angle : 1;
  return [Math.cos(angle), v[0] * factor, v[1] * factor, v[2] * factor];
}

/** Inner quaternion at a key for `squad`, from its neighbours (Shoemake 1987). */
export function squadControl(before, at, after) {
  const q = unit(at);
  const back = inverse(q);
  const one = log(multiply(back, sameSide(q, unit(before))));
  const two = log(multiply(back, sameSide(q, unit(after))));
  return unit(multiply(q, exp(scale(add(one, two), -0.25))));
}

export function squad(start, end, controlStart, controlEnd, t) {
  const q0 = unit(start);
  const q1 = sameSide(q0, unit(end));
  const s0 = sameSide(q0, unit(controlStart));
  const s1 = sameSide(q1, unit(controlEnd));
  const outer = slerp(q0, q1, t, false);
  return slerp(outer, slerp(s0, s1, t, false), 2 * t * (1 - t), false);
}

/** The shortest turn from one direction to another, both of unit length. */
export function between(from, to) {
  const cosine = dot(from, to);
  if (cosine < -0.999999) {
    const side = Math.abs(from[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
    return aboutAxis(normalized(cross(from, side)), Math.PI);
  }
  return unit([1 + cosine, ...cross(from, to)]);
}

/** Orientation of a level camera that looks along a direction. */
export function lookAlong(direction) {
  const [x, y, z] = normalized(direction);
  const level = Math.hypot(x, z);
  return fromAngles(level > 1e-9 ? Math.atan2(x, z) : 0, Math.atan2(-y, level), 0);
}

/** Product of two 4x4 matrices, column by column as WebGL takes them. */
export function product(a, b) {
  const out = new Float64Array(16);
  for (let column = 0; column < 4; column += 1) {
    for (let row = 0; row < 4; row += 1) {
      let sum = 0;
      for (let k = 0; k < 4; k += 1) sum += a[k * 4 + row] * b[column * 4 + k];
      out[column * 4 + row] = sum;
    }
  }
  return out;
}
