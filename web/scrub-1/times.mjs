// @ts-check
/** Frames, keyframes and seconds, as `retime` of pantheon_core/trajectory has them, and places on the time line. */

export const EASINGS = ["linear", "ease_in", "ease_out", "ease_in_out"];

/**
 * @typedef {{t: number, easing?: string}} Key
 * @typedef {{fps: number, frames: number, keyframes: Key[]}} Path the fields of the path's JSON that matter here
 * @typedef {{frames?: number, fps?: number, spline?: string, constant_speed?: boolean, clearance?: number}} Run
 */

/** Frames and frames per second of a run. @param {Path | null} path @param {Run} run */
export function spanOf(path, run) {
  return { frames: Math.max(1, run.frames ?? path?.frames ?? 1), fps: run.fps ?? path?.fps ?? 7 };
}

/** Whether a run stretches the path so that its ends lie on the first and last frame. */
export function isStretched(path, run) {
  const keys = path?.keyframes ?? [];
  const given = run.frames !== undefined || run.fps !== undefined;
  return given && keys.length > 1 && spanOf(path, run).frames > 1;
}

/** The frame of every keyframe; fractions where one lies between two. @returns {number[]} */
export function keyFrames(path, run) {
  const keys = path?.keyframes ?? [];
  if (!keys.length) return [];
  const { frames, fps } = spanOf(path, run);
  const [start, end] = [keys[0].t, keys[keys.length - 1].t];
  const scale = isStretched(path, run) ? (frames - 1) / (end - start) : fps;
  return keys.map((key) => (key.t - start) * scale);
}

/** Seconds of the path's own time at a frame: the inverse of `keyFrames`. */
export function timeAt(path, run, frame) {
  const keys = path?.keyframes ?? [];
  const { frames, fps } = spanOf(path, run);
  if (!keys.length) return frame / fps;
  const [start, end] = [keys[0].t, keys[keys.length - 1].t];
  return start + (isStretched(path, run) ? (frame * (end - start)) / (frames - 1) : frame / fps);
}

/**
 * Where a keyframe may be moved to: a whole frame between its neighbours, a frame away from each where there is
 * room. Null where it cannot move: the ends of a stretched path, and one whose neighbours leave no room.
 * @param {number[]} at frames of all keyframes
 */
export function movedFrame(at, index, frame, frames, stretched) {
  if (stretched && (index === 0 || index === at.length - 1)) return null;
  if (index === 0) return null; // the first keyframe is frame 0 by definition
  const least = Math.floor(at[index - 1]) + 1;
  const most = index + 1 < at.length ? Math.ceil(at[index + 1]) - 1 : frames - 1;
  return least > most ? null : Math.min(most, Math.max(least, Math.round(frame)));
}

export function nextEasing(easing) {
  return EASINGS[(EASINGS.indexOf(easing ?? "linear") + 1) % EASINGS.length];
}

/** Pixels from the left of a frame's middle. */
export function placeOf(frame, frames, width, margin) {
  return margin + (frames > 1 ? frame / (frames - 1) : 0) * (width - 2 * margin);
}

/** The whole frame nearest to a place. */
export function frameAt(place, frames, width, margin) {
  const inner = width - 2 * margin;
  if (frames < 2 || inner <= 0) return 0;
  return Math.min(frames - 1, Math.max(0, Math.round(((place - margin) / inner) * (frames - 1))));
}

/** Frames between two labels, so that labels stay `room` pixels apart: 1, 2, 5, 10, 20, 50 … */
export function labelStep(frames, width, room) {
  const wanted = (room * Math.max(1, frames - 1)) / Math.max(1, width);
  let step = 1;
  for (let i = 0; step < wanted; i += 1) step *= i % 3 === 1 ? 2.5 : 2;
  return step;
}

/** Runs of numbers that follow one another, for a sentence: [3,4,5,9] is "3–5, 9"; cut after `limit` runs. */
export function ranges(numbers, limit = 4) {
  /** @type {[number, number][]} */
  const runs = [];
  for (const one of numbers) {
    const last = runs[runs.length - 1];
    if (last && one === last[1] + 1) last[1] = one;
    else runs.push([one, one]);
  }
  const words = runs.slice(0, limit).map(([a, b]) => (b > a ? `${a}–${b}` : `${a}`));
  return words.join(", ") + (runs.length > limit ? ", …" : "");
}
