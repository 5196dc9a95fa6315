// @ts-check
/**
 * From keyframes to one pose per frame: what pantheon_core/trajectory/_interpolate.py does, in JavaScript.
 * tests/fixtures/geometry.json holds the two together.
 *
 * Everything is a function of path time, in which key k lies at its own time. Easing and constant speed only warp
 * the frames' times into path time. The curve is a centripetal Catmull-Rom spline over its own knots (square roots
 * of the chords), and a monotone cubic maps path time to knots.
 * Source: Yuksel, Schaefer, Keyser 2011; Fritsch, Butland 1984.
 */

import { add, clamp, distance, mix, norm, scale, slerp, squad, squadControl, subtract } from "./math.mjs";

const SAMPLES_PER_SEGMENT = 256;
const COINCIDENT = 1e-9;

const EASE = {
  linear: (u) => u,
  ease_in: (u) => u * u,
  ease_out: (u) => u * (2 - u),
  ease_in_out: (u) => u * u * (3 - 2 * u),
};

/** The number of the last entry that is not above a value, kept so that an entry follows. */
function lastNotAbove(sorted, value) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return clamp(low - 1, 0, sorted.length - 2);
}

/** Segment and fraction 0..1 within it. */
function locate(times, time) {
  const segment = lastNotAbove(times, time);
  const width = Math.max(times[segment + 1] - times[segment], 1e-30);
  return [segment, clamp((time - times[segment]) / width, 0, 1)];
}

function innerSlope(h0, h1, d0, d1) {
  const blend = (h0 + 2 * h1) / (3 * (h0 + h1));
  const below = blend * d1 + (1 - blend) * d0;
  return d0 * d1 > 0 ? (d0 * d1) / below : 0;
}

function endSlope(h0, h1, d0, d1) {
  return Math.min(Math.max(0, ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)), 3 * d0);
}

/** A rising function through (times, values), once differentiable, without overshoot. */
function monotone(times, values, loop) {
  const count = times.length - 1;
  const width = Array.from({ length: count }, (_, i) => times[i + 1] - times[i]);
  const rise = Array.from({ length: count }, (_, i) => values[i + 1] - values[i]);
  const delta = rise.map((one, i) => one / width[i]);
  const slope = new Array(count + 1);
  for (let k = 1; k < count; k += 1) slope[k] = innerSlope(width[k - 1], width[k], delta[k - 1], delta[k]);
  const last = count - 1;
  if (count === 1) slope[0] = slope[1] = delta[0];
  else if (loop) slope[0] = slope[count] = innerSlope(width[last], width[0], delta[last], delta[0]);
  else {
    slope[0] = endSlope(width[0], width[1], delta[0], delta[1]);
    slope[count] = endSlope(width[last], width[last - 1], delta[last], delta[last - 1]);
  }
  return (time) => {
    const [s, u] = locate(times, time);
    const bend = (1 - u) * (slope[s] * width[s] - rise[s]) - u * (slope[s + 1] * width[s] - rise[s]);
    return values[s] + rise[s] * u + u * (1 - u) * bend;
  };
}

/** Positions and orientations of a path as functions of path time. */
class Curve {
  /** @param {import("./state.mjs").Path} path */
  constructor(path) {
    const keys = path.keyframes;
    this.path = path;
    this.times = keys.map((key) => key.t);
    this.positions = keys.map((key) => key.position);
    this.turns = keys.map((key) => key.quaternion_wxyz);
    this.single = keys.length === 1;
    if (this.single) return;
    this.chords = this.positions.slice(1).map((one, i) => subtract(one, this.positions[i]));
    const lengths = this.chords.map(norm);
    this.still = lengths.map((length) => length <= COINCIDENT);
    this.intervals = lengths.map((length, i) => (this.still[i] ? 0 : Math.sqrt(length)));
    this.knots = [0];
    for (const one of this.intervals) this.knots.push(this.knots[this.knots.length - 1] + one);
    this.knotAt = monotone(this.times, this.knots, path.loop);
    this.keyAt = monotone(this.times, this.times.map((_, i) => i), path.loop);
    this.setTangents(path.loop);
    this.setControls(path.loop);
  }

  /** Tangents at both ends of every segment; beyond an open end, and at a stop, the curve leaves along its chord. */
  setTangents(loop) {
    const { chords, intervals } = this;
    const count = intervals.length;
    const tangent = (mine, other) => {
      if (loop) other = (other + count) % count;
      if (other < 0 || other >= count || intervals[mine] === 0 || intervals[other] === 0) return chords[mine];
      const [a, b] = [intervals[mine], intervals[other]];
      const across = scale(add(chords[mine], chords[other]), 1 / (a + b));
      const slopes = add(scale(chords[mine], 1 / a), scale(chords[other], 1 / b));
      return scale(subtract(slopes, across), a);
    };
    this.leave = chords.map((_, i) => tangent(i, i - 1));
    this.arrive = chords.map((_, i) => tangent(i, i + 1));
  }

  setControls(loop) {
    const { turns } = this;
    const last = turns.length - 1;
    this.controls = turns.map((turn, i) =>
      i > 0 && i < last ? squadControl(turns[i - 1], turn, turns[i + 1]) : turn,
    );
    if (loop) this.controls[0] = this.controls[last] = squadControl(turns[last - 1], turns[0], turns[1]);
  }

  positionAt(time) {
    if (this.single) return this.positions[0];
    let [s, u] = locate(this.times, time);
    const [start, end] = [this.positions[s], this.positions[s + 1]];
    if (this.path.spline !== "catmull_rom") return mix(start, end, u);
    if (this.intervals[s] > 0) u = clamp((this.knotAt(time) - this.knots[s]) / this.intervals[s], 0, 1);
    // Hermite as the chord plus what bends it: a straight segment then stays exactly straight.
    const chord = this.chords[s];
    const bend = subtract(
      scale(subtract(this.leave[s], chord), 1 - u),
      scale(subtract(this.arrive[s], chord), u),
    );
    return add(mix(start, end, u), scale(bend, u * (1 - u)));
  }

  quaternionAt(time) {
    if (this.single) return this.turns[0];
    let index = 0;
    if (this.path.orientation === "squad") index = this.keyAt(time);
    else {
      const [s, u] = locate(this.times, time);
      index = s + u;
    }
    const s = clamp(Math.floor(index), 0, this.turns.length - 2);
    const u = index - s;
    if (this.path.orientation !== "squad") return slerp(this.turns[s], this.turns[s + 1], u);
    return squad(this.turns[s], this.turns[s + 1], this.controls[s], this.controls[s + 1], u);
  }

  eased(time) {
    const [s, u] = locate(this.times, time);
    const ease = EASE[this.path.keyframes[s].easing ?? "linear"];
    return this.times[s] + ease(u) * (this.times[s + 1] - this.times[s]);
  }

  /** The clock of constant speed: stops keep their durations, moving segments share the rest by their lengths. */
  evenSpeed() {
    const { times, still } = this;
    const clock = [times[0]];
    const pathTime = [times[0]];
    const segments = still.map((stands, s) => {
      const stops = [];
      let before = this.positionAt(times[s]);
      let length = 0;
      for (let k = 1; k <= SAMPLES_PER_SEGMENT; k += 1) {
        const part = k / SAMPLES_PER_SEGMENT;
        const time = k === SAMPLES_PER_SEGMENT ? times[s + 1] : times[s] + (times[s + 1] - times[s]) * part;
        // A table entry at a key belongs to this segment, as `locate` gives the key to the next one.
        const here = k === SAMPLES_PER_SEGMENT ? this.positions[s + 1] : this.positionAt(time);
        length += distance(here, before);
        before = here;
        stops.push([time, length, part]);
      }
      return { stops, length: stands ? 0 : length };
    });
    const total = segments.reduce((sum, one) => sum + one.length, 0);
    if (total === 0) return (time) => this.eased(time);
    let moving = 0;
    still.forEach((stands, s) => (moving += stands ? 0 : times[s + 1] - times[s]));
    let start = times[0];
    segments.forEach(({ stops, length }, s) => {
      const lasts = still[s] ? times[s + 1] - times[s] : (moving * length) / total;
      for (const [time, way, part] of stops) {
        clock.push(start + lasts * (still[s] ? part : way / Math.max(length, 1e-30)));
        pathTime.push(time);
      }
      start += lasts;
    });
    return (time) => {
      const [s, u] = locate(clock, time);
      const warped = pathTime[s] + u * (pathTime[s + 1] - pathTime[s]);
      return still[locate(times, warped)[0]] ? this.eased(warped) : warped;
    };
  }

  /** Path time at a time of the frames. */
  get warp() {
    if (this.single) return (time) => time;
    return this.path.constant_speed ? this.evenSpeed() : (time) => this.eased(time);
  }
}

/**
 * One pose per frame.
 * @param {import("./state.mjs").Path} path
 * @returns {{positions: number[][], quaternions: number[][]}}
 */
export function posesOf(path) {
  const curve = new Curve(path);
  const warp = curve.warp;
  const [first, last] = [path.keyframes[0].t, path.keyframes[path.keyframes.length - 1].t];
  const positions = [];
  const quaternions = [];
  for (let frame = 0; frame < path.frames; frame += 1) {
    const time = warp(Math.min(first + frame / path.fps, last));
    positions.push(curve.positionAt(time));
    quaternions.push(curve.quaternionAt(time));
  }
  return { positions, quaternions };
}

/** A pose between frames, for playing. @returns {(frame: number) => {position: number[], quaternion_wxyz: number[]}} */
export function poseFunction(path) {
  const curve = new Curve(path);
  const warp = curve.warp;
  const [first, last] = [path.keyframes[0].t, path.keyframes[path.keyframes.length - 1].t];
  return (frame) => {
    const time = warp(clamp(first + frame / path.fps, first, last));
    return { position: curve.positionAt(time), quaternion_wxyz: curve.quaternionAt(time) };
  };
}

/** The curve itself, evenly over each segment's time: for drawing. @returns {number[][]} */
export function curveOf(path, perSegment) {
  const curve = new Curve(path);
  if (curve.single) return [path.keyframes[0].position];
  const steps = path.spline === "linear" ? 1 : perSegment;
  const points = [];
  for (let s = 0; s + 1 < curve.times.length; s += 1) {
    const [start, end] = [curve.times[s], curve.times[s + 1]];
    for (let k = 0; k < steps; k += 1) points.push(curve.positionAt(start + ((end - start) * k) / steps));
  }
  points.push(curve.positions[curve.positions.length - 1]);
  return points;
}

/** Length of a path in metres, along its frames, as the node's report has it. */
export function lengthOf(positions) {
  let sum = 0;
  for (let i = 1; i < positions.length; i += 1) sum += distance(positions[i], positions[i - 1]);
  return sum;
}
