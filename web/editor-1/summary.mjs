// @ts-check
/** A path in one line of words. */

import { lengthOf } from "./path.mjs";
import { text } from "./strings.mjs";

/** @param {import("./state.mjs").Path} path @param {number[][]} positions of its frames */
export function summaryOf(path, positions) {
  const frames = path.frames;
  if (path.keyframes.length === 1) return text("summaryOne", { frames });
  const seconds = (frames / path.fps).toFixed(1);
  return text("summary", { keys: path.keyframes.length, frames, seconds, metres: lengthOf(positions).toFixed(2) });
}
