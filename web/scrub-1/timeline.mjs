// @ts-check
/** The time line: frames, keyframes, easing, coverage, where the path is too near the scene, and the playhead. */

import { icon, key, make, rename, showIcon } from "../viewer-1/dom.mjs";
import { text } from "./strings.mjs";
import { drawTrack } from "./strip.mjs";
import { addStyle } from "./style.mjs";
import { EASINGS, frameAt, movedFrame, nextEasing, placeOf, ranges } from "./times.mjs";

export const MARGIN = 14; // pixels left and right of the first and last frame
const EASING_ROOM = 44; // pixels between two diamonds from which on their easing is shown
const FAST = 10; // frames of an arrow key with shift

const SVG = "http://www.w3.org/2000/svg";
const CURVES = {
  linear: "M2 13L14 3",
  ease_in: "M2 13C8 13 10 9 14 3",
  ease_out: "M2 13C6 7 8 3 14 3",
  ease_in_out: "M2 13C9 13 7 3 14 3",
};

/**
 * @typedef {{frames: number, fps: number, keys: {frame: number, easing: string}[], stretched: boolean,
 *   even: boolean, selected: number, playhead: number, playing: boolean, loop: boolean, stale: boolean, unit: string,
 *   report: import("./client.mjs").Report | null}} Shown
 */

export class Timeline {
  /** @param {(event: {type: string, [name: string]: any}) => void} onevent */
  constructor(onevent) {
    this.onevent = onevent;
    /** @type {Shown} */
    this.shown = {
      frames: 1,
      fps: 7,
      keys: [],
      stretched: true,
      even: false, // at constant speed: keyframes have no time of their own
      selected: -1,
      playhead: 0,
      playing: false,
      loop: true,
      stale: false,
      unit: "m",
      report: null,
    };
    this.drag = null;
    addStyle();
    this.build();
    this.resize = new ResizeObserver(() => this.refresh());
    this.resize.observe(this.track);
  }

  build() {
    this.play = key(text("play"), icon("play"), () => this.onevent({ type: this.shown.playing ? "pause" : "play" }));
    this.loop = key(text("loop"), icon("loop"), () => this.onevent({ type: "loop", loop: !this.shown.loop }));
    this.where = make("span", { class: "p360-read" });
    this.covered = make("span", { class: "p360-read" });
    this.warning = make("span", { class: "p360-read p360-warn", role: "status" });
    this.covered.classList.add("p360-push");
    const bar = make("div", { class: "p360-bar" }, this.play, this.loop, this.where, this.covered, this.warning);
    this.canvas = make("canvas");
    this.head = make("div", { class: "p360-head" });
    this.marks = make("div");
    this.track = make("div", { class: "p360-track", tabindex: 0, role: "slider" }, this.canvas, this.marks, this.head);
    this.track.setAttribute("aria-label", text("timeline"));
    this.track.dataset.captureWheel = "true";
    this.element = make("div", { class: "p360 p360-time-line" }, bar, this.track);
    this.listen();
  }

  /** Show other words, or other values. @param {Partial<Shown>} change */
  set(change) {
    Object.assign(this.shown, change);
    this.refresh();
  }

  /** The same elements with the words of another language. */
  rebuild() {
    const old = this.element;
    this.resize.disconnect();
    this.build();
    old.replaceWith(this.element);
    this.resize.observe(this.track);
    this.refresh();
  }

  get width() {
    return this.track.clientWidth;
  }

  refresh() {
    const { frames, playhead, playing, loop } = this.shown;
    const values = { frame: playhead, frames: frames - 1, seconds: (playhead / this.shown.fps).toFixed(2) };
    this.where.textContent = text("frame", values);
    Object.assign(this.track, { ariaValueMin: "0", ariaValueMax: String(frames - 1), ariaValueNow: String(playhead) });
    this.track.ariaValueText = this.sentenceOf(playhead);
    showIcon(this.play, playing ? "pause" : "play");
    rename(this.play, text(playing ? "pause" : "play"));
    this.loop.setAttribute("aria-pressed", String(loop));
    this.refreshReport();
    this.refreshMarks();
    this.head.style.left = `${placeOf(playhead, frames, this.width, MARGIN)}px`;
    drawTrack(this.canvas, this.track, this.shown, MARGIN);
  }

  refreshReport() {
    const { report, stale, unit } = this.shown;
    const covered = report?.coverage ?? [];
    const least = percent(Math.min(...covered));
    const most = percent(Math.max(...covered));
    this.covered.hidden = !covered.length;
    this.covered.textContent = stale ? text("computing") : text("coverageRange", { least, most });
    this.warning.hidden = !report?.below.length;
    if (!report?.below.length) return;
    const frames = ranges(report.below);
    const words = text("nearShort", { frames });
    if (this.warning.dataset.shown === words) return;
    this.warning.dataset.shown = words;
    this.warning.replaceChildren(icon("warning"), words);
    this.warning.title = text("near", { frames, minimum: report.minimum, unit });
  }

  /** Diamonds and easing marks; the elements stay, so that a drag or the focus does not lose them. */
  refreshMarks() {
    const { keys, selected, frames } = this.shown;
    const places = keys.map((one) => placeOf(one.frame, frames, this.width, MARGIN));
    while (this.marks.children.length > 2 * keys.length) this.marks.lastElementChild?.remove();
    while (this.marks.children.length < 2 * keys.length) this.addMark(this.marks.children.length / 2);
    for (const [index, one] of keys.entries()) {
      const diamond = /** @type {HTMLElement} */ (this.marks.children[2 * index]);
      const easing = /** @type {HTMLElement} */ (this.marks.children[2 * index + 1]);
      diamond.style.left = `${places[index]}px`;
      diamond.setAttribute("aria-pressed", String(index === selected));
      const fixed = this.target(index, one.frame) === null;
      diamond.setAttribute("aria-disabled", String(fixed));
      // One tab stop for all: the selected one, else the first.
      diamond.tabIndex = index === Math.max(0, selected) ? 0 : -1;
      const frame = Math.round(one.frame * 10) / 10;
      const values = { number: index + 1, count: keys.length, frame };
      rename(diamond, text(this.shown.even ? "keyframeEven" : fixed ? "keyframeFixed" : "keyframe", values));
      this.refreshEasing(easing, index, (places[index + 1] ?? 0) - places[index], places[index]);
    }
  }

  refreshEasing(button, index, room, left) {
    const { easing } = this.shown.keys[index];
    button.hidden = this.shown.even || !(room >= EASING_ROOM); // also after the last one
    if (button.hidden) return;
    button.style.left = `${left + room / 2}px`;
    const shown = EASINGS.includes(easing) ? easing : "linear";
    const name = text(/** @type {any} */ (shown));
    rename(button, text("easing", { number: index + 1, easing: name }));
    if (button.dataset.easing === shown) return;
    button.dataset.easing = shown;
    button.firstElementChild.firstElementChild.setAttribute("d", CURVES[shown]);
  }

  addMark(index) {
    const diamond = make("button", { type: "button", class: "p360-diamond" });
    diamond.addEventListener("pointerdown", (event) => this.grab(event, diamond, index));
    diamond.addEventListener("keydown", (event) => this.keyOnDiamond(event, index));
    // Also what a screen reader or Enter does; a pointer has selected already.
    diamond.addEventListener("click", (event) => event.detail === 0 && this.onevent({ type: "select", index }));
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    svg.append(document.createElementNS(SVG, "path"));
    const easing = make("button", { type: "button", class: "p360-easing", tabindex: -1 }, svg);
    easing.addEventListener("pointerdown", (event) => event.stopPropagation());
    easing.addEventListener("dblclick", (event) => event.stopPropagation());
    easing.addEventListener("click", () => this.changeEasing(index));
    this.marks.append(diamond, easing);
  }

  changeEasing(index) {
    this.onevent({ type: "easing", index, easing: nextEasing(this.shown.keys[index]?.easing) });
  }

  /** What the pointer or a screen reader is told of a frame. */
  sentenceOf(frame) {
    const { report, unit, fps } = this.shown;
    const parts = [];
    const coverage = report?.coverage[frame];
    const distance = report?.clearance[frame];
    if (coverage !== undefined) parts.push(text("coverage", { percent: percent(coverage) }));
    if (typeof distance === "number") parts.push(text("nearest", { distance: distance.toFixed(2), unit }));
    if (!parts.length) parts.push(text("seconds", { seconds: (frame / fps).toFixed(2) }));
    return text("hover", { frame, coverage: parts.join(", ") });
  }

  /** Where a keyframe may be moved to, or null. */
  target(index, frame) {
    const { keys, frames, stretched, even } = this.shown;
    if (even) return null;
    return movedFrame(keys.map((one) => one.frame), index, frame, frames, stretched);
  }

  frameOf(event) {
    const box = this.track.getBoundingClientRect();
    const scale = box.width / (this.track.offsetWidth || 1) || 1; // the graph is scaled by CSS
    return frameAt((event.clientX - box.left) / scale, this.shown.frames, this.width, MARGIN);
  }

  listen() {
    const { track } = this;
    track.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.stopPropagation(); // or the node is dragged; mouseup must pass, the host records its undo step there
      track.focus({ preventScroll: true });
      track.setPointerCapture(event.pointerId);
      this.drag = { index: -1 };
      this.seek(this.frameOf(event), false);
    });
    track.addEventListener("pointermove", (event) => {
      if (!this.drag) track.title = this.sentenceOf(this.frameOf(event));
      else if (this.drag.index < 0) this.seek(this.frameOf(event), false);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      track.addEventListener(end, () => {
        if (this.drag?.index !== -1) return;
        this.drag = null;
        this.seek(this.shown.playhead, true);
      });
    }
    track.addEventListener("dblclick", (event) => {
      if (event.target === track || event.target === this.canvas) {
        this.onevent({ type: "add", frame: this.frameOf(event) });
      }
    });
    this.element.addEventListener("keydown", (event) => this.keyOnTrack(event));
    this.element.addEventListener("pointerdown", (event) => event.button === 0 && event.stopPropagation());
  }

  seek(frame, final) {
    if (frame === this.shown.playhead && !final) return;
    this.onevent({ type: "seek", frame, final });
  }

  /** A diamond is selected, and dragged along the frames. */
  grab(event, diamond, index) {
    if (event.button !== 0) return;
    event.stopPropagation();
    diamond.focus({ preventScroll: true });
    diamond.setPointerCapture(event.pointerId);
    this.onevent({ type: "select", index });
    const start = this.shown.keys[index].frame;
    this.drag = { index };
    let last = start;
    const move = (moved) => {
      const frame = this.target(index, this.frameOf(moved));
      if (frame === null || frame === last || Math.abs(moved.clientX - event.clientX) < 3) return;
      last = frame;
      this.onevent({ type: "retime", index, frame, final: false });
    };
    const end = (ended) => {
      if (ended.type === "keydown" && ended.key !== "Escape") return;
      const cancelled = ended.type !== "pointerup";
      if (ended.type === "keydown") {
        ended.preventDefault();
        ended.stopPropagation();
      }
      stop.abort();
      this.drag = null;
      if (last !== start) this.onevent({ type: "retime", index, frame: cancelled ? start : last, final: true, cancelled });
    };
    const stop = new AbortController();
    const until = { signal: stop.signal };
    diamond.addEventListener("pointermove", move, until);
    diamond.addEventListener("pointerup", end, until);
    diamond.addEventListener("pointercancel", end, until);
    diamond.addEventListener("keydown", end, { ...until, capture: true });
  }

  keyOnDiamond(event, index) {
    const { keys } = this.shown;
    if (event.ctrlKey || event.metaKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const other = { ArrowUp: index - 1, ArrowDown: index + 1, PageUp: index - 1, PageDown: index + 1 }[event.key];
    if (step) {
      const frame = this.target(index, Math.round(keys[index].frame) + step * (event.shiftKey ? FAST : 1));
      if (frame !== null && frame !== keys[index].frame) this.onevent({ type: "retime", index, frame, final: true });
    } else if (other !== undefined) {
      if (keys[other]) this.goTo(other);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.onevent({ type: "delete", index });
    } else if (event.key.toLowerCase() === "e") {
      this.changeEasing(index);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Select a keyframe, go to its frame, and give it the keys. */
  goTo(index) {
    this.onevent({ type: "select", index });
    this.onevent({ type: "seek", frame: Math.round(this.shown.keys[index].frame), final: true });
    /** @type {HTMLElement} */ (this.marks.children[2 * index])?.focus({ preventScroll: true });
  }

  keyOnTrack(event) {
    const { playhead, frames, keys, playing } = this.shown;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? FAST : 1;
    const aim = { ArrowLeft: playhead - step, ArrowRight: playhead + step, Home: 0, End: frames - 1 }[event.key];
    if (event.key === " " && !event.target.closest(".p360-bar button, .p360-easing")) {
      this.onevent({ type: playing ? "pause" : "play" });
    } else if (event.target !== this.track) {
      return;
    } else if (aim !== undefined) {
      this.seek(Math.min(frames - 1, Math.max(0, aim)), true);
    } else if (event.key === "PageUp" || event.key === "PageDown") {
      const later = event.key === "PageDown";
      const found = later
        ? keys.findIndex((one) => one.frame > playhead + 0.5)
        : keys.findLastIndex((one) => one.frame < playhead - 0.5);
      if (found < 0) return;
      this.onevent({ type: "select", index: found });
      this.seek(Math.round(keys[found].frame), true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  dispose() {
    this.resize.disconnect();
    this.element.remove();
  }
}

/** A part as a percentage that never says 100 where something is missing. */
export function percent(part) {
  return part >= 1 ? "100" : (Math.floor(part * 1000) / 10).toFixed(1);
}
