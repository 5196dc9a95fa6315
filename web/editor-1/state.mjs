// @ts-check
/**
 * A path as data: version 1 of the JSON of pantheon_core/trajectory/_json.py, and its edits.
 * A path is never changed in place; every edit makes a new one.
 */

import { clamp, distance, unit } from "./math.mjs";

/**
 * @typedef {"linear" | "ease_in" | "ease_out" | "ease_in_out"} Easing
 * @typedef {{t: number, position: number[], quaternion_wxyz: number[], easing: Easing, extra?: object}} Key
 * @typedef {{position: number[], quaternion_wxyz: number[]}} Pose
 * @typedef {{fps: number, frames: number, spline: "catmull_rom" | "linear", orientation: "squad" | "slerp",
 *   constant_speed: boolean, loop: boolean, keyframes: Key[], extra?: object}} Path
 */

export const VERSION = 1;
export const EASINGS = ["linear", "ease_in", "ease_out", "ease_in_out"];
export const SPLINES = ["catmull_rom", "linear"];
export const ORIENTATIONS = ["squad", "slerp"];
const MAX_FRAMES = 100_000;
const LARGEST = 1e9;
const LOOP_TOLERANCE = 1e-6;
const PATH_FIELDS = ["version", "convention", "units", "fps", "frames", "spline", "orientation", "constant_speed", "keyframes"];
const KEY_FIELDS = ["t", "position", "quaternion_wxyz"];

/** What is wrong with a text: a key of strings.mjs, and the words for it. */
export class PathError extends Error {
  /** @param {string} problem @param {Record<string, string>} [values] */
  constructor(problem, values = {}) {
    super(problem);
    this.problem = problem;
    this.values = values;
  }
}

function refuse(field, expected, got) {
  const shown = JSON.stringify(got) ?? "nothing";
  throw new PathError("badField", { field, expected, got: shown.slice(0, 60) });
}

function numberOf(field, value) {
  if (typeof value !== "number" || !(Math.abs(value) < LARGEST)) refuse(field, "a number", value);
  return value;
}

function numbersOf(field, value, size) {
  if (!Array.isArray(value) || value.length !== size) refuse(field, `${size} numbers`, value);
  return value.map((one, i) => numberOf(`${field}[${i}]`, one));
}

function choiceOf(field, value, choices) {
  if (!choices.includes(value)) refuse(field, choices.join(", "), value);
  return value;
}

function flagOf(field, value) {
  if (typeof value !== "boolean") refuse(field, "true or false", value);
  return value;
}

function checkFields(place, data, required, optional) {
  for (const field of required) if (!(field in data)) throw new PathError("missingField", { field: place + field });
  for (const field of Object.keys(data)) {
    if (!required.includes(field) && !optional.includes(field)) {
      throw new PathError("unknownField", { field: place + field });
    }
  }
}

function readKey(place, data) {
  if (typeof data !== "object" || data === null) refuse(place, "an object", data);
  checkFields(`${place}.`, data, KEY_FIELDS, ["easing", "extra"]);
  const turn = numbersOf(`${place}.quaternion_wxyz`, data.quaternion_wxyz, 4);
  if (Math.abs(Math.hypot(...turn) - 1) > 1e-3) refuse(`${place}.quaternion_wxyz`, "length 1", turn);
  const t = numberOf(`${place}.t`, data.t);
  if (t < 0) refuse(`${place}.t`, "0 or more", t);
  return withExtra(data, {
    t,
    position: numbersOf(`${place}.position`, data.position, 3),
    quaternion_wxyz: unit(turn),
    easing: choiceOf(`${place}.easing`, data.easing ?? "linear", EASINGS),
  });
}

function withExtra(data, made) {
  return data.extra === undefined ? made : { ...made, extra: data.extra };
}

/**
 * Read a path; what Python would refuse is refused here.
 * @param {string} text
 * @returns {Path}
 */
export function readPath(text) {
  let data;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new PathError("notJson", { reason: /** @type {Error} */ (error).message });
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) refuse("keyframes", "an object in braces", data);
  if ("version" in data && data.version !== VERSION) throw new PathError("otherVersion", { version: String(data.version) });
  checkFields("", data, PATH_FIELDS, ["loop", "extra"]);
  choiceOf("convention", data.convention, ["opencv_c2w"]);
  choiceOf("units", data.units, ["m"]);
  if (!Array.isArray(data.keyframes) || !data.keyframes.length) refuse("keyframes", "a list of keyframes", data.keyframes);
  const frames = numberOf("frames", data.frames);
  if (!Number.isInteger(frames) || frames < 1 || frames > MAX_FRAMES) refuse("frames", "a whole number from 1 on", frames);
  const fps = numberOf("fps", data.fps);
  if (fps <= 0 || fps > 1000) refuse("fps", "a number above 0", fps);
  const keyframes = data.keyframes.map((key, i) => readKey(`keyframes[${i}]`, key));
  keyframes.forEach((key, i) => {
    if (i && key.t <= keyframes[i - 1].t) refuse(`keyframes[${i}].t`, `more than ${keyframes[i - 1].t}`, key.t);
  });
  const path = withExtra(data, {
    fps,
    frames,
    spline: choiceOf("spline", data.spline, SPLINES),
    orientation: choiceOf("orientation", data.orientation, ORIENTATIONS),
    constant_speed: flagOf("constant_speed", data.constant_speed),
    loop: flagOf("loop", data.loop ?? false),
    keyframes,
  });
  if (path.loop && !closes(path)) refuse("loop", "a last keyframe that repeats the first", true);
  return path;
}

const rounded = (value, digits) => Math.round(value * 10 ** digits) / 10 ** digits + 0; // and no -0

/** One line of JSON that Python reads. @param {Path} path */
export function writePath(path) {
  const keyframes = path.keyframes.map(({ t, position, quaternion_wxyz, easing, extra }) =>
    withExtra({ extra }, {
      t: rounded(t, 6),
      position: position.map((one) => rounded(one, 6)),
      quaternion_wxyz: quaternion_wxyz.map((one) => rounded(one, 8)),
      easing,
    }),
  );
  const { fps, frames, spline, orientation, constant_speed, loop } = path;
  const head = { version: VERSION, convention: "opencv_c2w", units: "m" };
  return JSON.stringify(withExtra(path, { ...head, fps, frames, spline, orientation, constant_speed, loop, keyframes }));
}

/** @param {Path} path @returns {boolean} the last key repeats the first one's pose, as `loop` needs it */
export function closes(path) {
  const keys = path.keyframes;
  if (keys.length < 3) return false;
  const [first, last] = [keys[0], keys[keys.length - 1]];
  const turned = first.quaternion_wxyz.reduce((sum, one, i) => sum + one * last.quaternion_wxyz[i], 0);
  return distance(first.position, last.position) <= LOOP_TOLERANCE && Math.abs(turned) >= 1 - LOOP_TOLERANCE;
}

export const durationOf = (path) => (path.frames - 1) / path.fps;

/** The first key on the first frame, the last key on the last; all times are scaled alike. */
export function retimed(path, frames = path.frames, fps = path.fps) {
  const keys = path.keyframes;
  const [start, end] = [keys[0].t, keys[keys.length - 1].t];
  if (frames === 1 || end === start) return { ...path, frames, fps };
  const factor = (frames - 1) / fps / (end - start);
  return { ...path, frames, fps, keyframes: keys.map((key) => ({ ...key, t: (key.t - start) * factor })) };
}

/** A path of one key. @returns {Path} */
export function startPath(frames, fps, pose) {
  const keyframes = [{ t: 0, ...copyPose(pose), easing: /** @type {Easing} */ ("linear") }];
  return {
    fps, frames, spline: "catmull_rom", orientation: "squad", constant_speed: false, loop: false, keyframes,
  };
}

const copyPose = ({ position, quaternion_wxyz }) => ({
  position: [...position],
  quaternion_wxyz: unit(quaternion_wxyz),
});

const withKeys = (path, keyframes) => retimed({ ...path, keyframes });

/** A loop that lost its keys ends; one that has them stays closed. */
function kept(path) {
  return path.loop && !closes(path) ? { ...path, loop: false } : path;
}

/** Insert a key at a time between the first and the last. @returns {[Path, number]} and the key's number */
export function insertKey(path, t, pose) {
  const keys = path.keyframes;
  let place = keys.findIndex((key) => key.t > t);
  if (place <= 0) return place === 0 ? prependKey(path, pose) : appendKey(path, pose);
  const [before, after] = [keys[place - 1], keys[place]];
  // Two keys cannot share a time: a new one on a key goes half-way to the next.
  const gap = after.t - before.t;
  const time = t - before.t < gap * 1e-3 ? before.t + gap / 2 : Math.min(t, after.t - gap * 1e-3);
  const key = { t: time, ...copyPose(pose), easing: before.easing };
  return [withKeys(path, [...keys.slice(0, place), key, ...keys.slice(place)]), place];
}

function prependKey(path, pose) {
  const keys = path.keyframes;
  const step = meanStep(path);
  const key = { t: 0, ...copyPose(pose), easing: keys[0].easing };
  const later = keys.map((one) => ({ ...one, t: one.t - keys[0].t + step }));
  return /** @type {[Path, number]} */ ([kept(withKeys(path, [key, ...later])), 0]);
}

const meanStep = ({ keyframes, frames, fps }) => {
  const count = keyframes.length - 1;
  return count ? (keyframes[count].t - keyframes[0].t) / count : Math.max(1, frames - 1) / fps;
};

/** Add a key at the end; of a loop, before its closing key. @returns {[Path, number]} */
export function appendKey(path, pose) {
  const keys = path.keyframes;
  const last = keys[keys.length - 1];
  if (path.loop) {
    const place = keys.length - 1;
    const step = meanStep(path);
    const key = { t: last.t, ...copyPose(pose), easing: keys[place - 1].easing };
    return [withKeys(path, [...keys.slice(0, place), key, { ...last, t: last.t + step }]), place];
  }
  const key = { t: last.t + meanStep(path), ...copyPose(pose), easing: /** @type {Easing} */ ("linear") };
  return [withKeys(path, [...keys, key]), keys.length];
}

/** Without one key; a path keeps at least one. */
export function removeKey(path, index) {
  if (path.keyframes.length < 2) return path;
  const keys = path.keyframes.filter((_, i) => i !== index);
  if (path.loop && keys.length >= 3 && (index === 0 || index === keys.length)) {
    // The closing key follows the new first one.
    keys[keys.length - 1] = { ...keys[keys.length - 1], ...copyPose(keys[0]) };
  }
  return kept(withKeys(path, keys));
}

/** A copy of a key, half-way to the next one in time. @returns {[Path, number]} */
export function duplicateKey(path, index) {
  const keys = path.keyframes;
  if (index === keys.length - 1) return appendKey(path, keys[index]);
  return insertKey(path, (keys[index].t + keys[index + 1].t) / 2, keys[index]);
}

/** Move a key to another place in the order; the times stay where they are. */
export function reorderKey(path, from, to) {
  const keys = path.keyframes;
  to = clamp(to, 0, keys.length - 1);
  const order = keys.map((_, i) => i);
  order.splice(to, 0, order.splice(from, 1)[0]);
  const moved = order.map((source, i) => ({ ...keys[source], t: keys[i].t }));
  return kept({ ...path, keyframes: moved });
}

/** Change one key; the ends of a loop stay one pose. @param {Partial<Key>} change */
export function changeKey(path, index, change) {
  const last = path.keyframes.length - 1;
  const twin = path.loop && (index === 0 || index === last) ? last - index : -1;
  const { t: _t, easing: _easing, ...pose } = change;
  const keyframes = path.keyframes.map((key, i) => {
    if (i === index) return { ...key, ...change };
    return i === twin ? { ...key, ...pose } : key;
  });
  return { ...path, keyframes };
}

/** Put a key at a time, between its neighbours; the ends stay where they are. */
export function timeKey(path, index, t) {
  const keys = path.keyframes;
  if (index <= 0 || index >= keys.length - 1) return path;
  const [low, high] = [keys[index - 1].t, keys[index + 1].t];
  const margin = (high - low) * 1e-3;
  return changeKey(path, index, { t: clamp(t, low + margin, high - margin) });
}

/** The path as a closed one: a copy of the first key at the end, unless it is there. */
export function looped(path, on) {
  if (!on) return { ...path, loop: false };
  const closed = { ...path, loop: true };
  if (closes(path)) return closed;
  if (path.keyframes.length < 2) throw new PathError("loopNeedsKeys");
  const [made] = appendKey(path, path.keyframes[0]);
  return { ...made, loop: true };
}

/** Put the same poses in the opposite order. */
export function reversed(path) {
  const keys = path.keyframes;
  const [first, last] = [keys[0].t, keys[keys.length - 1].t];
  const mirror = { ease_in: "ease_out", ease_out: "ease_in" };
  const keyframes = keys
    .map((key, i) => {
      const easing = i ? keys[i - 1].easing : "linear";
      return { ...key, t: first + last - key.t, easing: mirror[easing] ?? easing };
    })
    .reverse();
  return { ...path, keyframes };
}
