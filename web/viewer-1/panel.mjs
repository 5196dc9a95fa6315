// @ts-check
/** The viewer's elements: the stage with the picture, the tools below it, and the bar of a video. */

import { icon, key, make, rename, select, showIcon } from "./dom.mjs";
import { text } from "./strings.mjs";
import { DIRECTIONS } from "./view.mjs";

export const SPEEDS = [0.25, 0.5, 1, 1.5, 2];

/** Build everything; `viewer` takes what the user asks for. */
export class Panel {
  /** @param {import("./viewer.mjs").Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.canvas = make("canvas");
    this.note = make("div", { class: "p360-note" });
    this.left = make("div", { class: "p360-label p360-left" });
    this.right = make("div", { class: "p360-label p360-right" });
    this.where = make("div", { class: "p360-label p360-where" });
    this.hint = make("div", { class: "p360-label p360-hint", text: text("hint") });
    this.split = make("div", { class: "p360-split", role: "slider", tabindex: 0 });
    Object.assign(this.split, { ariaValueMin: "0", ariaValueMax: "100" });
    rename(this.split, text("split"));
    this.stage = make(
      "div",
      { class: "p360-stage", tabindex: 0, role: "application", "aria-label": text("stage") },
      ...[this.canvas, this.left, this.right, this.where, this.hint, this.split, this.note],
    );
    this.video = this.makeVideoBar();
    this.tools = this.makeTools();
    this.element = make("div", { class: "p360" }, this.stage, this.video, this.tools);
  }

  makeTools() {
    const viewer = this.viewer;
    const projections = ["rectilinear", "planet", "flat"].map((one) => [one, text(one)]);
    this.projection = select(text("projection"), projections, (value) => viewer.setProjection(value));
    this.views = make("div", { class: "p360-group", role: "group", "aria-label": text("views") });
    for (const name of Object.keys(DIRECTIONS)) {
      this.views.append(key(text(name), text(`${name}Short`), () => viewer.lookTo(name)));
    }
    const sides = [["wipe", text("wipe")], ["left", text("onlyLeft")], ["right", text("onlyRight")]];
    this.compare = select(text("compare"), sides, (value) => viewer.setCompare(value));
    this.grid = key(text("grid"), icon("grid"), () => viewer.toggleGrid());
    this.gyro = key(text("gyro"), icon("device"), () => viewer.toggleGyro());
    this.snapshot = key(text("snapshot"), icon("camera"), () => viewer.saveSnapshot());
    this.full = key(text("enter"), icon("full"), () => viewer.toggleFull());
    this.snapshot.classList.add("p360-push");
    const all = [this.projection, this.views, this.compare, this.grid, this.gyro, this.snapshot, this.full];
    return make("div", { class: "p360-bar" }, ...all);
  }

  makeVideoBar() {
    const viewer = this.viewer;
    this.play = key(text("play"), icon("play"), () => viewer.togglePlay());
    this.scrub = make("input", { type: "range", min: 0, max: 1, step: "any", value: 0 });
    this.scrub.addEventListener("input", () => viewer.seek(Number(this.scrub.value)));
    rename(this.scrub, text("scrub"));
    this.time = make("span", { class: "p360-time", text: "0.0 / 0.0 s" });
    const speeds = SPEEDS.map((one) => [String(one), `${one}×`]);
    this.speed = select(text("speed"), speeds, (value) => viewer.setSpeed(Number(value)));
    this.speed.value = "1";
    this.loop = key(text("loop"), icon("loop"), () => viewer.toggleLoop());
    this.mute = key(text("unmute"), icon("silent"), () => viewer.toggleMute());
    const all = [this.play, this.scrub, this.time, this.speed, this.loop, this.mute];
    return make("div", { class: "p360-bar" }, ...all);
  }

  /** A sentence instead of the picture, or over it; null shows the picture. */
  showNote(kind, sentence) {
    const shown = `${kind} ${sentence}`;
    if (this.note.dataset.shown === shown) return;
    this.note.dataset.shown = shown;
    this.note.hidden = kind === null;
    this.note.classList.toggle("p360-bad", kind === "bad");
    this.note.setAttribute("role", kind === "bad" ? "alert" : "status");
    if (kind !== null) {
      this.note.replaceChildren(icon(kind === "bad" ? "warning" : "sphere"), make("p", { text: sentence }));
    }
  }

  /** Bring every control into line with the viewer's state. */
  refresh() {
    const { viewer } = this;
    const [first, second] = viewer.entries;
    const spherical = viewer.spherical;
    const ready = viewer.ready;
    this.projection.value = viewer.projection;
    this.projection.hidden = this.views.hidden = this.grid.hidden = !spherical;
    for (const one of [this.projection, this.grid, this.snapshot, this.full, ...this.views.children]) {
      one.disabled = !ready;
    }
    this.grid.setAttribute("aria-pressed", String(viewer.grid));
    this.gyro.hidden = !viewer.gyro.offered || !spherical;
    this.gyro.setAttribute("aria-pressed", String(viewer.gyro.active));
    this.compare.hidden = !second;
    this.compare.value = viewer.compare;
    this.split.hidden = !second || viewer.compare !== "wipe" || !ready;
    this.split.style.left = `${viewer.split * 100}%`;
    this.split.ariaValueNow = String(Math.round(viewer.split * 100));
    this.left.hidden = !second || viewer.compare === "right" || !ready;
    this.right.hidden = !second || viewer.compare === "left" || !ready;
    if (second) {
      this.left.textContent = `A  ${first.name}`;
      this.right.textContent = `B  ${second.name}`;
    } else if (viewer.caption) {
      this.left.hidden = !ready;
      this.left.textContent = viewer.caption;
    }
    this.left.classList.toggle("p360-caption", !second);
    this.hint.hidden = !ready || viewer.flatOnly;
    this.snapshot.hidden = viewer.flatOnly;
    this.where.hidden = !ready || !spherical;
    showIcon(this.full, viewer.dialog ? "small" : "full");
    rename(this.full, text(viewer.dialog ? "leave" : "enter"));
    this.refreshVideo();
    this.refreshWhere();
  }

  refreshVideo() {
    const video = this.viewer.clock;
    this.video.hidden = !video;
    if (!video) return;
    const length = Number.isFinite(video.duration) ? video.duration : 0;
    this.scrub.max = String(length || 1);
    if (!this.scrub.matches(":active")) this.scrub.value = String(video.currentTime);
    this.scrub.setAttribute("aria-valuetext", `${video.currentTime.toFixed(1)} s`);
    this.time.textContent = `${video.currentTime.toFixed(1)} / ${length.toFixed(1)} s`;
    showIcon(this.play, video.paused ? "play" : "pause");
    rename(this.play, text(video.paused ? "play" : "pause"));
    this.speed.value = String(video.playbackRate);
    this.loop.setAttribute("aria-pressed", String(video.loop));
    showIcon(this.mute, video.muted ? "silent" : "sound");
    this.mute.hidden = this.viewer.entries[0].sound === false;
    rename(this.mute, text(video.muted ? "unmute" : "mute"));
  }

  refreshWhere() {
    const { yaw, pitch, fov } = this.viewer.view;
    // Zero has no sign.
    const [a, b, c] = [yaw, pitch, fov].map((one) => String(Math.round(one) + 0));
    this.where.textContent = text("where", { yaw: a, pitch: b, fov: c });
  }
}
