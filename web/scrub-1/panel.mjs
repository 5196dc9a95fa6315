// @ts-check
/** The scaffold's picture: flat or on the sphere, with what is missing in colours of heat. */

import { icon, key, make, rename, select } from "../viewer-1/dom.mjs";
import { listenToPointer, listenToWheel } from "../viewer-1/input.mjs";
import { getPainter } from "../viewer-1/painter.mjs";
import { limited, startView } from "../viewer-1/view.mjs";
import { text } from "./strings.mjs";
import { addStyle } from "./style.mjs";
import { percent } from "./timeline.mjs";

const KEY_TURN = 0.08; // of the angle of view
const KEY_ZOOM = 1.1;
const MAX_PIXELS = 2048;

/** Red, green, blue, alpha of every heat: yellow for cracks, red for what was wholly hidden. */
const HEAT = Array.from({ length: 256 }, (_, value) => {
  const hot = Math.max(0, (value - 64) / 191);
  return value < 64 ? [0, 0, 0, 0] : [255, Math.round(215 * (1 - hot) ** 1.3), Math.round(40 * (1 - hot)), 235];
});

/** A picture with, or without, its holes in colours. Null when the pictures are broken. */
async function composed({ rgb, holes, width, height }, heat) {
  const [picture, mask] = await Promise.all([createImageBitmap(rgb), createImageBitmap(holes)]);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (heat) {
    context.drawImage(mask, 0, 0);
    const pixels = context.getImageData(0, 0, width, height);
    for (let at = 0; at < pixels.data.length; at += 4) pixels.data.set(HEAT[pixels.data[at]], at);
    context.putImageData(pixels, 0, 0);
    context.globalCompositeOperation = "destination-over";
  }
  context.drawImage(picture, 0, 0);
  picture.close();
  mask.close();
  return canvas;
}

export class ScrubPanel {
  constructor() {
    /** @type {import("../viewer-1/view.mjs").Projection} */
    this.projection = "flat";
    this.views = { flat: startView("flat"), rectilinear: startView("rectilinear") };
    this.heat = true;
    /** @type {import("./client.mjs").ScrubFrame | null} */
    this.frame = null;
    this.picture = null;
    this.turnOf = 0;
    this.disposed = false;
    addStyle();
    this.build();
  }

  build() {
    this.canvas = make("canvas");
    this.context = this.canvas.getContext("2d");
    this.note = make("div", { class: "p360-note" });
    this.label = make("div", { class: "p360-label p360-left" });
    this.stage = make(
      "div",
      { class: "p360-stage", tabindex: 0, role: "application", "aria-label": text("stage") },
      ...[this.canvas, this.label, this.note],
    );
    const projections = ["flat", "rectilinear"].map((one) => [one, text(/** @type {any} */ (one))]);
    this.choice = select(text("projection"), projections, (value) => this.setProjection(value));
    this.choice.value = this.projection;
    this.toggle = key(text("heat"), icon("grid"), () => this.setHeat(!this.heat));
    this.toggle.replaceChildren(heatIcon());
    const bar = make("div", { class: "p360-bar" }, this.choice, this.toggle);
    this.element = make("div", { class: "p360 p360-scaffold" }, this.stage, bar);
    this.element.dataset.captureWheel = "true";
    listenToPointer(/** @type {any} */ (this), this.stage);
    listenToWheel(/** @type {any} */ (this), this);
    this.element.addEventListener("keydown", (event) => this.keydown(event));
    this.element.addEventListener("pointerdown", (event) => event.button === 0 && event.stopPropagation());
    this.resize = new ResizeObserver(() => this.invalidate());
    this.resize.observe(this.stage);
    this.onContext = () => this.frame && this.show(this.frame, this.about);
    getPainter()?.watchers.add(this.onContext);
    this.refresh();
  }

  /** The same with the words of another language. */
  rebuild() {
    const old = this.element;
    this.unbuild();
    this.build();
    old.replaceWith(this.element);
    this.say(null);
  }

  unbuild() {
    this.resize.disconnect();
    const painter = getPainter();
    painter?.watchers.delete(this.onContext);
    painter?.forget(this);
  }

  get view() {
    return this.views[this.projection];
  }

  setView(change) {
    this.views[this.projection] = limited({ ...this.view, ...change }, this.projection);
    this.invalidate();
  }

  turn(right, up) {
    this.setView({ yaw: this.view.yaw + right, pitch: this.view.pitch + up });
  }

  zoom(factor) {
    this.setView({ fov: this.view.fov * factor });
  }

  setProjection(projection) {
    this.projection = projection;
    this.choice.value = projection;
    this.invalidate();
  }

  setHeat(heat) {
    this.heat = heat;
    this.refresh();
    if (this.frame) this.show(this.frame, this.about);
  }

  refresh() {
    this.toggle.setAttribute("aria-pressed", String(this.heat));
  }

  /** A sentence in the picture's place, or null. @param {"wait" | "empty" | "bad" | null} kind */
  say(kind, sentence = "") {
    const shown = `${kind} ${sentence}`;
    if (this.note.dataset.shown === shown) return;
    this.note.dataset.shown = shown;
    this.note.hidden = kind === null;
    this.note.classList.toggle("p360-bad", kind === "bad");
    this.note.setAttribute("role", kind === "bad" ? "alert" : "status");
    if (kind !== null) {
      this.note.replaceChildren(icon(kind === "bad" ? "warning" : "sphere"), make("p", { text: sentence }));
    }
    // What was seen of another scene must not be taken for this one.
    this.label.hidden = this.canvas.hidden = kind === "empty" || kind === "wait";
  }

  /**
   * Show a frame. One that was asked for later is never overtaken by an earlier one.
   * @param {import("./client.mjs").ScrubFrame} frame
   * @param {{unit: string, minimum: number}} about the cache's unit, and the distance below which to warn
   */
  async show(frame, about) {
    const turn = (this.turnOf += 1);
    const canvas = await composed(frame, this.heat);
    const painter = getPainter();
    if (this.disposed || turn !== this.turnOf || painter?.lost) return;
    if (!painter) return this.say("bad", text("noWebGL"));
    this.frame = frame;
    this.about = about;
    this.picture = painter.upload(this.picture, /** @type {any} */ (canvas), frame.width, frame.height, true);
    const { coverage, clearance } = frame;
    const parts = [text("coverage", { percent: percent(coverage) })];
    if (clearance !== null) parts.push(text("nearest", { distance: clearance.toFixed(2), unit: about.unit }));
    this.label.textContent = parts.join("   ");
    this.label.classList.toggle("p360-low", clearance !== null && clearance < about.minimum);
    this.element.dataset.frame = String(frame.frame);
    this.say(null);
    this.invalidate();
  }

  invalidate() {
    if (this.picture) getPainter()?.ask(this);
  }

  /** Called by the painter with the next frame of the screen. */
  draw() {
    const painter = getPainter();
    const { stage, canvas, projection, view } = this;
    const box = stage.getBoundingClientRect();
    if (this.disposed || !box.width || !painter?.holds(this.picture)) return;
    const scale = devicePixelRatio * Math.max(box.width / (stage.offsetWidth || 1), 0.1);
    const ratio = Math.min(scale, MAX_PIXELS / Math.max(stage.offsetWidth, stage.offsetHeight, 1));
    const width = Math.max(1, Math.round(stage.offsetWidth * ratio));
    const height = Math.max(1, Math.round(stage.offsetHeight * ratio));
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const scene = { left: this.picture, right: this.picture, split: 2, view, projection, spherical: true };
    painter.paint(this.context, { ...scene, grid: false, accent: [1, 1, 1], pixelRatio: ratio });
  }

  keydown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, button")) return;
    const step = this.view.fov * KEY_TURN;
    const acts = {
      ArrowLeft: () => this.turn(-step, 0),
      ArrowRight: () => this.turn(step, 0),
      ArrowUp: () => this.turn(0, step),
      ArrowDown: () => this.turn(0, -step),
      "+": () => this.zoom(1 / KEY_ZOOM),
      "=": () => this.zoom(1 / KEY_ZOOM),
      "-": () => this.zoom(KEY_ZOOM),
      Home: () => this.setView(startView(this.projection)),
      h: () => this.setHeat(!this.heat),
    };
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  dispose() {
    this.disposed = true;
    this.unbuild();
    getPainter()?.discard(this.picture);
    this.picture = null;
    this.element.remove();
  }
}

/** A hole in a surface. */
function heatIcon() {
  const svg = icon("grid");
  svg.firstElementChild?.setAttribute("d", "M2 3h12v10H2zM6 8c0-2 1-3 2.4-3S11 6.2 11 8s-1.200 3-2.600 3S6 10 6 8z");
  return svg;
}
