// @ts-check
/** What a viewer shows while its node samples: the newest picture, a few frames of the video in turn. */

import { text } from "./strings.mjs";

/**
 * What the host says of a picture: which step, and the numbers of the video's frames in it, top to bottom.
 * @typedef {{node_id: string, step: number, steps: number, window: number, windows: number, frames: number[],
 *   of: number}} Said
 */

const LEAST_MS = 250; // from one picture to the next
const FRAME_MS = 500;
const WIDTH = 512; // a latent is a coarse pixel: enlarged smoothly here, not by the graphics card

/** Where frame `index` of `count` lies in a picture of that height: from which row, and how many. */
export function rowsOf(index, count, height) {
  const rows = height / count;
  return [index * rows, rows];
}

/** The line over the picture. @param {Said} said */
export function captionOf(said, index, ended) {
  const { step, steps, window, windows, frames, of } = said;
  const where = windows > 1 ? [text("window", { window, windows })] : [];
  const when = ended ? text("ended") : text("step", { step, steps: Math.max(step, steps) });
  const which = of > 1 ? [text("frame", { frame: frames[index], of })] : [];
  return [...where, when, ...which].join(" · ");
}

export class LivePictures {
  /**
   * @param {{changed: () => void, name: string, still?: boolean}} settings `name`: of the run; `still`: one frame
   *   only, the middle one
   */
  constructor({ changed, name, still = false }) {
    this.changed = changed;
    this.name = name;
    this.still = still;
    this.status = { state: "ready" };
    this.video = null;
    this.entry = { name: "", spherical: true, kind: "live" };
    /** @type {Said | null} */
    this.said = null;
    /** @type {ImageBitmap | null} */
    this.strip = null;
    /** @type {[Blob, Said] | null} */
    this.next = null;
    this.index = 0;
    this.fresh = false;
    this.busy = false;
    this.ended = false;
    this.released = false;
    this.picture = null;
    this.painter = null;
    this.timer = 0;
  }

  get caption() {
    return this.said ? captionOf(this.said, this.index, this.ended) : "";
  }

  /** A newer picture takes the place of one that nobody has looked at yet. */
  async take(blob, said) {
    this.ended = false;
    this.next = [blob, said];
    if (this.busy) return;
    this.busy = true;
    while (this.next && !this.released) {
      const [newest, its] = this.next;
      this.next = null;
      await this.open(newest, its);
      await new Promise((done) => setTimeout(done, LEAST_MS));
    }
    this.busy = false;
  }

  async open(blob, said) {
    const strip = await createImageBitmap(blob, { colorSpaceConversion: "none" }).catch(() => null);
    if (!strip || this.released) return strip?.close();
    this.strip?.close();
    this.strip = strip;
    if (this.said?.frames.length !== said.frames.length) this.index = said.frames.length >> 1;
    this.said = said;
    this.fresh = true;
    this.run();
    this.changed();
  }

  /** Go from frame to frame until the node is done. */
  run() {
    const moves = this.said.frames.length > 1 && !this.still && !this.ended;
    if (!moves || this.timer) return;
    this.timer = setInterval(() => this.turnTo((this.index + 1) % this.said.frames.length), FRAME_MS);
  }

  turnTo(index) {
    this.index = index;
    this.fresh = true;
    this.changed();
  }

  /** The node is done or was stopped: the last picture stays, and stands still. */
  finish() {
    if (this.ended || this.released) return;
    this.ended = true;
    clearInterval(this.timer);
    this.timer = 0;
    if (this.said) this.turnTo(this.said.frames.length >> 1);
  }

  /** The texture of the frame that is due; it is one texture, written again and again. */
  current(painter) {
    this.painter = painter;
    if (this.strip && (this.fresh || !painter.holds(this.picture))) {
      this.canvas ??= new OffscreenCanvas(WIDTH, WIDTH / 2);
      const context = this.canvas.getContext("2d");
      this.drawFlat(context);
      this.picture = painter.upload(this.picture, this.canvas, WIDTH, WIDTH / 2, true);
    }
    return painter.holds(this.picture) ? this.picture : null;
  }

  /** The frame as it is stored, as large as the canvas allows; also what is shown where there is no WebGL. */
  drawFlat(context) {
    if (!this.strip) return false;
    const { width, height } = context.canvas;
    const [top, rows] = rowsOf(this.index, this.said.frames.length, this.strip.height);
    const scale = Math.min(width / this.strip.width, height / rows);
    const [wide, high] = [this.strip.width * scale, rows * scale];
    context.imageSmoothingQuality = "high";
    context.clearRect(0, 0, width, height);
    const place = [(width - wide) / 2, (height - high) / 2, wide, high];
    context.drawImage(this.strip, 0, top, this.strip.width, rows, ...place);
    this.fresh = false;
    return true;
  }

  release() {
    this.released = true;
    clearInterval(this.timer);
    this.timer = 0;
    this.next = null;
    this.strip?.close();
    this.strip = null;
    this.painter?.discard(this.picture);
    this.picture = null;
  }
}
