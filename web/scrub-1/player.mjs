// @ts-check
/** Frames that were fetched, and a clock that shows one after the other. */

/** The newest frames of one path, up to a number of pixels; what was used longest ago goes first. */
export class FrameStore {
  constructor(maxPixels = 96 * 128 * 256) {
    this.maxPixels = maxPixels;
    /** @type {Map<number, import("./client.mjs").ScrubFrame>} */
    this.held = new Map();
    this.pixels = 0;
  }

  get(index) {
    const frame = this.held.get(index);
    if (!frame) return null;
    this.held.delete(index);
    this.held.set(index, frame);
    return frame;
  }

  has(index) {
    return this.held.has(index);
  }

  add(frame) {
    this.remove(frame.frame);
    this.held.set(frame.frame, frame);
    this.pixels += frame.width * frame.height;
    for (const old of this.held.keys()) {
      if (this.pixels <= this.maxPixels || this.held.size === 1) break;
      this.remove(old);
    }
  }

  remove(index) {
    const frame = this.held.get(index);
    if (!frame) return;
    this.held.delete(index);
    this.pixels -= frame.width * frame.height;
  }

  clear() {
    this.held.clear();
    this.pixels = 0;
  }
}

/**
 * The frames that should be fetched next while playing: those after the playhead that are not there.
 * @param {(frame: number) => boolean} has
 */
export function aheadOf(playhead, frames, loop, has, { reach, batch }) {
  const wanted = [];
  for (let step = 0; step < Math.min(reach, frames) && wanted.length < batch; step += 1) {
    const frame = playhead + step;
    if (frame >= frames && !loop) break;
    if (!has(frame % frames)) wanted.push(frame % frames);
  }
  return wanted;
}

/** Calls `step` once a frame's time, and never two at once: who is late shows fewer frames a second, not older ones. */
export class Clock {
  /** @param {() => void} step */
  constructor(step) {
    this.step = step;
    this.timer = 0;
    this.due = 0;
  }

  start(fps) {
    this.stop();
    this.period = 1000 / fps;
    this.due = performance.now() + this.period;
    this.timer = setTimeout(() => this.tick(), this.period);
  }

  tick() {
    const now = performance.now();
    this.due = Math.max(this.due + this.period, now);
    this.timer = setTimeout(() => this.tick(), this.due - now);
    this.step();
  }

  get running() {
    return this.timer !== 0;
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
  }
}
