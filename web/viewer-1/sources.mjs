// @ts-check
/** What is looked at: pictures, shared by all viewers that show the same file, and videos, one per viewer. */

import { getPainter } from "./painter.mjs";

// An undo destroys a node and makes it anew: for that long a picture that nobody shows stays loaded.
const KEEP_MS = 15_000;
const MAX_IDLE = 4;

/**
 * @typedef {{name: string, file: string, subfolder: string, folder: string, kind: "image" | "video",
 *   spherical: boolean, stamp: string, sound?: boolean}} Entry `sound` is false where a video has none
 * @typedef {{state: "loading" | "ready" | "error", problem?: "gone" | "failed" | "unplayable", reason?: string}} State
 */

/** The address of a node's file on the host; the stamp changes when a file of that name is written again. */
export function urlOf(entry, api) {
  const { file: filename, subfolder, folder: type, stamp: v } = entry;
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type, v })}`);
}

class ImageSource {
  constructor(url, wraps) {
    this.url = url;
    this.wraps = wraps;
    this.users = new Set();
    /** @type {State} */
    this.status = { state: "loading" };
    this.picture = null;
    this.timer = 0;
    this.load();
  }

  async load() {
    this.status = { state: "loading" };
    const generation = getPainter()?.generation;
    try {
      const answer = await fetch(this.url);
      if (!answer.ok) throw Object.assign(new Error(`HTTP ${answer.status}`), { status: answer.status });
      const bitmap = await createImageBitmap(await answer.blob(), {
        premultiplyAlpha: "none",
        colorSpaceConversion: "none",
      });
      this.keep(bitmap, generation);
    } catch (error) {
      const gone = error.status === 404 || error.status === 400;
      this.status = { state: "error", problem: gone ? "gone" : "failed", reason: error.message };
    }
    for (const changed of this.users) changed();
  }

  keep(bitmap, generation) {
    const painter = getPainter();
    if (painter && !painter.lost && !this.dropped && generation === painter.generation) {
      this.picture = painter.upload(this.picture, bitmap, bitmap.width, bitmap.height, this.wraps);
    }
    // Where the context was lost meanwhile, the next drawing fetches the picture once more.
    this.status = { state: "ready" };
    bitmap.close();
  }

  /** The texture, if it is there; a lost one is fetched again. */
  current(painter) {
    if (this.status.state === "ready" && !painter.holds(this.picture) && !painter.lost) this.load();
    return painter.holds(this.picture) ? this.picture : null;
  }

  drop() {
    this.dropped = true;
    clearTimeout(this.timer);
    getPainter()?.discard(this.picture);
    this.picture = null;
  }
}

/** @type {Map<string, ImageSource>} oldest use first */
const images = new Map();

function dropImage(key) {
  images.get(key)?.drop();
  images.delete(key);
}

/** A picture of a viewer; `changed` is called when it is there or when it failed. */
function useImage(url, wraps, changed) {
  const key = `${wraps} ${url}`;
  const source = images.get(key) ?? new ImageSource(url, wraps);
  images.delete(key);
  images.set(key, source);
  clearTimeout(source.timer);
  source.users.add(changed);
  return {
    get status() {
      return source.status;
    },
    video: null,
    current: (painter) => source.current(painter),
    release() {
      source.users.delete(changed);
      if (source.users.size) return;
      if (source.status.state === "error") return dropImage(key);
      source.timer = setTimeout(() => dropImage(key), KEEP_MS);
      const idle = [...images].filter(([, one]) => !one.users.size);
      for (const [old] of idle.slice(0, Math.max(0, idle.length - MAX_IDLE))) dropImage(old);
    },
  };
}

/** A video of a viewer, played from the file: the host serves ranges, so nothing is loaded twice or whole. */
class VideoSource {
  constructor(url, wraps, changed) {
    this.url = url;
    this.wraps = wraps;
    this.changed = changed;
    /** @type {State} */
    this.status = { state: "loading" };
    this.picture = null;
    this.fresh = false;
    const video = document.createElement("video");
    Object.assign(video, { muted: true, loop: true, playsInline: true, preload: "auto" });
    video.hidden = true;
    video.addEventListener("loadeddata", () => this.arrived());
    video.addEventListener("seeked", () => this.arrived());
    video.addEventListener("error", () => this.explain());
    for (const event of ["play", "pause", "timeupdate", "durationchange", "volumechange", "ratechange"]) {
      video.addEventListener(event, () => this.changed());
    }
    this.video = video;
    this.listen();
    video.src = url;
  }

  arrived() {
    this.status = { state: "ready" };
    this.fresh = true;
    this.changed();
  }

  /** Ask to be told of every new frame; without that callback, look on every frame of the screen. */
  listen() {
    if (this.released) return;
    const video = this.video;
    if (video.requestVideoFrameCallback) {
      this.callback = video.requestVideoFrameCallback(() => {
        this.arrived();
        this.listen();
      });
      return;
    }
    this.poll = requestAnimationFrame(() => {
      if (!video.paused && video.readyState >= video.HAVE_CURRENT_DATA) this.arrived();
      this.listen();
    });
  }

  async explain() {
    if (this.released) return;
    const answer = await fetch(this.url, { method: "HEAD" }).catch(() => null);
    const gone = !answer || answer.status === 404 || answer.status === 400;
    this.status = { state: "error", problem: gone ? "gone" : "unplayable" };
    this.changed();
  }

  current(painter) {
    const video = this.video;
    if ((this.fresh || !painter.holds(this.picture)) && video.readyState >= video.HAVE_CURRENT_DATA) {
      const { videoWidth, videoHeight } = video;
      this.picture = painter.upload(this.picture, video, videoWidth, videoHeight, this.wraps);
      this.fresh = false;
    }
    return painter.holds(this.picture) ? this.picture : null;
  }

  release() {
    this.released = true;
    this.video.cancelVideoFrameCallback?.(this.callback);
    cancelAnimationFrame(this.poll);
    this.video.pause();
    // Only without an address does the browser give up its decoder and connection.
    this.video.removeAttribute("src");
    this.video.load();
    this.video.remove();
    getPainter()?.discard(this.picture);
    this.picture = null;
  }
}

/**
 * @param {Entry} entry
 * @param {() => void} changed
 */
export function openSource(entry, api, changed) {
  const url = urlOf(entry, api);
  return entry.kind === "video"
    ? new VideoSource(url, entry.spherical, changed)
    : useImage(url, entry.spherical, changed);
}
