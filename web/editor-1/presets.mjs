// @ts-check
/** Ready-made movements: pantheon_core/trajectory/_presets.py in JavaScript (tests compare the two). */

import { RAD } from "./math.mjs";

const TURN_PER_KEY = 22.5 * RAD;
const DIRECTIONS = {
  forward: [0, 0, 1],
  back: [0, 0, -1],
  left: [-1, 0, 0],
  right: [1, 0, 0],
  up: [0, -1, 0],
  down: [0, 1, 0],
};
const ANGLES = {
  forward_turn: 60 * RAD,
  orbit: 360 * RAD,
  arc: 90 * RAD,
  spiral: 360 * RAD,
  look_around: 360 * RAD,
};

export const PRESETS = [...Object.keys(DIRECTIONS), ...Object.keys(ANGLES)];

/** Position and yaw at a progress of 0..1. @type {Record<string, (size: any) => (p: number) => [number[], number]>} */
const TURNING = {
  forward_turn: ({ distance, angle }) => (p) => [[0, 0, distance * p], angle * p],
  orbit: ({ angle, radius }) => (p) => {
    const a = angle * p;
    return [[-radius * Math.sin(a), 0, radius * (1 - Math.cos(a))], a];
  },
  arc: ({ angle, radius }) => (p) => {
    const [a, side] = [angle * p, Math.sign(angle)];
    return [[side * radius * (1 - Math.cos(a)), 0, side * radius * Math.sin(a)], a];
  },
  spiral: ({ distance, angle, radius }) => (p) => {
    const a = angle * p;
    return [[radius * p * Math.sin(a), -distance * p, radius * p * Math.cos(a)], 0];
  },
  look_around: ({ angle }) => (p) => [[0, 0, 0], angle * p],
};

/** The time 0..1 at which an eased movement has made a progress. */
function when(easing, p) {
  if (easing === "ease_in") return Math.sqrt(p);
  if (easing === "ease_out") return 1 - Math.sqrt(1 - p);
  if (easing === "ease_in_out") return 0.5 - Math.sin(Math.asin(Math.max(-1, Math.min(1, 1 - 2 * p))) / 3);
  return p;
}

function keyAt(t, [position, yaw], easing = "linear") {
  return { t, position, quaternion_wxyz: [Math.cos(yaw / 2), 0, Math.sin(yaw / 2), 0], easing };
}

/**
 * A path by name, or null where the values make none (the node says why when it runs).
 * @param {string} name one of PRESETS
 * @param {{frames: number, fps: number, distance?: number, angle?: number | null, radius?: number, easing?: string}}
 *   size metres and radians
 * @returns {import("./state.mjs").Path | null}
 */
export function presetPath(name, { frames, fps, distance = 1, angle = null, radius = 1, easing = "linear" }) {
  const turn = angle ?? ANGLES[name] ?? 1;
  if (!PRESETS.includes(name) || !distance || !turn || !(radius > 0)) return null;
  const straight = DIRECTIONS[name];
  const pose = straight
    ? (p) => [straight.map((one) => one * distance * p + 0), 0]
    : TURNING[name]({ distance, angle: turn, radius });
  const duration = (frames - 1) / fps;
  let keyframes;
  let closed = false;
  if (frames === 1) keyframes = [keyAt(0, pose(0))];
  else if (straight) keyframes = [keyAt(0, pose(0), easing), keyAt(duration, pose(1))];
  else {
    const segments = Math.max(3, Math.ceil(Math.abs(turn) / TURN_PER_KEY));
    closed = ["orbit", "look_around", "arc"].includes(name) && Math.abs(Math.abs(turn) / (2 * Math.PI) - 1) <= 1e-9;
    keyframes = Array.from({ length: segments + 1 }, (_, k) => {
      const p = k / segments;
      const [position, yaw] = pose(p);
      return keyAt(duration * when(easing, p), [closed && k === segments ? pose(0)[0] : position, yaw]);
    });
  }
  return /** @type {any} */ ({
    fps, frames, spline: "catmull_rom", orientation: "squad", constant_speed: false,
    loop: closed && easing === "linear", keyframes,
  });
}
