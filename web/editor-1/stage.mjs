// @ts-check
/** A canvas with the scene and a path in it: the editor's stage, and the overview inside the node. */

import { getPainter } from "../viewer-1/painter.mjs";
import { posesOf, curveOf } from "./path.mjs";
import { getRenderer } from "./renderer.mjs";
import { CURVE_STEPS, Sketch, drawAnchors, drawGizmo, drawGrid, drawPath, drawPlumbs, drawSphere } from "./shapes.mjs";

const MAX_PIXELS = 2560;
const ORIGIN = { position: [0, 0, 0], quaternion_wxyz: [1, 0, 0, 0] };
const EYE_HEIGHT = 1.6; // metres from the first panorama down to the floor, where nothing better is known
const SLOW_MS = 45;
const STEPS = [1, 2, 4, 8];
const REST_MS = 160;

export class Stage {
  /** @param {HTMLCanvasElement} canvas @param {import("./view.mjs").View} view */
  constructor(canvas, view) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.view = view;
    /** @type {import("./state.mjs").Path | null} */
    this.path = null;
    this.curve = [];
    this.poses = { positions: [], quaternions: [] };
    this.selected = -1;
    this.hovered = -1;
    this.tool = /** @type {"move" | "turn" | null} */ (null);
    this.handle = null;
    this.playhead = null;
    this.scene = null;
    this.photo = null;
    this.photoTurn = ORIGIN.quaternion_wxyz;
    this.showPhoto = true;
    this.showCloud = true;
    this.showGrid = true;
    this.cut = true;
    this.labels = true;
    this.signs = 17; // pixels of a camera's sign
    this.palette = paletteOf(canvas);
    this.colours = colours(canvas);
    this.visible = true;
    this.step = 1;
    this.last = 0;
    this.rest = 0;
    this.onDrawn = () => {};
  }

  /** @param {import("./state.mjs").Path | null} path */
  setPath(path) {
    if (path === this.path) return;
    this.path = path;
    this.curve = path ? curveOf(path, CURVE_STEPS) : [];
    this.poses = path ? posesOf(path) : { positions: [], quaternions: [] };
    this.ask();
  }

  get anchors() {
    return this.scene?.info?.anchors ?? [];
  }

  get floor() {
    const first = this.anchors[0]?.position ?? [0, 0, 0];
    return this.scene?.info?.floor ?? first[1] + EYE_HEIGHT;
  }

  /** A box around what is worth seeing. @returns {[number[], number[]]} */
  get bounds() {
    const points = [[0, 0, 0], ...this.poses.positions, ...this.anchors.map((one) => one.position)];
    const core = this.scene?.info?.core;
    if (core && this.scene.info.points) points.push(...[core.low, core.high].map(limited));
    else points.push([-1, -1, -1], [1, 1, 1]);
    const ends = (pick) => [0, 1, 2].map((i) => pick(...points.map((one) => one[i])));
    return [ends(Math.min), ends(Math.max)];
  }

  /** Draw with the next frame of the screen. */
  ask() {
    if (this.visible) getPainter()?.ask(this);
  }

  draw() {
    const renderer = getRenderer();
    const { canvas, view } = this;
    if (!renderer || !this.visible || !canvas.isConnected || !canvas.offsetWidth) return;
    const box = canvas.getBoundingClientRect();
    const wanted = devicePixelRatio * Math.max(box.width / canvas.offsetWidth, 0.1); // with the graph's zoom
    const ratio = Math.min(wanted, MAX_PIXELS / Math.max(canvas.offsetWidth, canvas.offsetHeight));
    const [width, height] = [canvas.offsetWidth, canvas.offsetHeight].map((one) => Math.max(1, Math.round(one * ratio)));
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    view.resize(canvas.offsetWidth, canvas.offsetHeight);
    const cloud = this.showCloud ? (this.scene?.cloud() ?? null) : null;
    const backdrop = this.backdrop(cloud);
    const colours = this.repalette();
    const photo = backdrop && [this.photo?.name, backdrop.pose, backdrop.radius, backdrop.strength];
    const still = [this.scene?.name, cloud?.count, this.step, this.cut, photo, colours.ground, renderer.generation];
    const begin = performance.now();
    const anew = renderer.paint(this.context, {
      view, ratio, cloud, backdrop, ground: colours.ground, layers: this.layers(Boolean(backdrop?.radius)),
      anchors: this.anchors.map((one) => one.position), step: cloud ? this.step : 1,
      cut: this.cut, signature: JSON.stringify(still),
    });
    this.pace(begin, anew && Boolean(cloud));
    if (this.labels) this.drawLabels(ratio);
    this.onDrawn();
  }

  /** The host's colours of today: the user may have chosen another palette. */
  repalette() {
    const known = paletteOf(this.canvas);
    if (known !== this.palette) this.colours = colours(this.canvas);
    this.palette = known;
    return this.colours;
  }

  /** Fewer points while the camera moves on a slow machine, all of them when it rests. */
  pace(begin, cloud) {
    const now = performance.now();
    const busy = now - this.last < 250;
    // What the graphics card takes shows in the time from one frame to the next.
    const took = busy ? Math.max(now - begin, Math.min(now - this.last, 250)) : now - begin;
    this.last = now;
    if (!cloud) return;
    clearTimeout(this.rest);
    const place = STEPS.indexOf(this.step);
    if (busy && took > SLOW_MS && place < STEPS.length - 1) this.step = STEPS[place + 1];
    if (this.step === 1) return;
    this.rest = setTimeout(() => {
      this.step = 1;
      this.ask();
    }, REST_MS);
  }

  backdrop(cloud) {
    const picture = this.showPhoto ? this.photo?.texture() : null;
    if (!picture) return null;
    const pose = this.anchors[0] ?? { ...ORIGIN, quaternion_wxyz: this.photoTurn };
    if (this.view.inside) return { picture, pose, radius: cloud ? 0 : 40, strength: cloud ? 0.55 : 1 };
    // From outside, a sphere of one metre; with a scene there is something better to see.
    return cloud ? null : { picture, pose, radius: 1, strength: 0.85 };
  }

  layers(ball) {
    const { path, view, colours } = this;
    const ground = new Sketch();
    if (this.showGrid) drawGrid(ground, view, this.floor, colours);
    if (!this.scene?.points && !ball && !view.inside) drawSphere(ground, ORIGIN.position, colours);
    drawPlumbs(ground, path, this.selected, this.floor, colours);
    if (view.mode !== "camera") drawAnchors(ground, this.anchors, this.floor, view, colours);
    const walk = drawPath({
      path, curve: this.curve, frames: this.poses.positions, selected: this.selected, hovered: this.hovered,
      playhead: this.playhead, view, colours, signs: this.signs,
    });
    const layers = [ground.layer(), walk.layer({ dotSize: this.signs > 12 ? 4 : 2.5 })];
    const key = path?.keyframes[this.selected];
    if (key && this.tool && view.mode !== "camera") {
      layers.push(drawGizmo(view, key, this.tool, this.handle, colours).layer({ over: true }));
    }
    return layers;
  }

  /** The keyframes' numbers, beside their frusta. */
  drawLabels(ratio) {
    const { path, view, context } = this;
    if (!path || view.mode === "camera") return;
    context.save();
    context.scale(ratio, ratio);
    context.font = "600 11px var(--font-inter, Inter), ui-sans-serif, system-ui, sans-serif".replace(/var\([^)]*\), /, "");
    context.textAlign = "center";
    context.textBaseline = "middle";
    path.keyframes.forEach((key, i) => {
      if (path.loop && i === path.keyframes.length - 1) return;
      const at = view.project(key.position);
      if (!at) return;
      const [x, y] = [at[0], at[1] + 15];
      context.fillStyle = i === this.selected ? css(this.colours.selected) : "rgb(0 0 0 / 0.6)";
      context.beginPath();
      context.roundRect(x - 9, y - 7.5, 18, 15, 5);
      context.fill();
      context.fillStyle = i === this.selected ? "#000" : "#fff";
      context.fillText(String(i + 1), x, y + 0.5);
    });
    context.restore();
  }

  /** The number of the keyframe under a pixel, or -1. */
  keyAt(x, y, reach = 16) {
    let [best, found] = [reach, -1];
    this.path?.keyframes.forEach((key, i) => {
      const at = this.view.project(key.position);
      if (!at) return;
      const away = Math.min(Math.hypot(at[0] - x, at[1] - y), Math.hypot(at[0] - x, at[1] + 15 - y) + 4);
      if (away < best || (away === best && i === this.selected)) [best, found] = [away, i];
    });
    return found;
  }

  dispose() {
    this.visible = false;
    clearTimeout(this.rest);
    getPainter()?.forget(this);
  }
}

/** No farther than what a person would walk to: outdoors, points lie at a hundred metres. */
function limited(corner) {
  return corner.map((one) => Math.max(-12, Math.min(12, one)));
}

const css = (rgb) => `rgb(${rgb.map((one) => Math.round(255 * one)).join(" ")})`;

/** Tells one palette of the host from another. @param {Element} element */
export function paletteOf(element) {
  const styles = getComputedStyle(element);
  return ["--comfy-menu-bg", "--input-text", "--primary-background"].map((one) => styles.getPropertyValue(one)).join();
}

/** The host's colours, for both palettes. @returns {Record<string, number[]>} */
export function colours(element) {
  const context = /** @type {any} */ (new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }));
  const styles = getComputedStyle(element);
  const read = (names, fallback) => {
    const value = names.map((name) => styles.getPropertyValue(name).trim()).find(Boolean) ?? fallback;
    context.fillStyle = fallback;
    context.fillStyle = value;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((one) => one / 255);
  };
  const ground = read(["--p360-stage", "--comfy-menu-bg"], "#1b1b1d");
  const light = ground[0] + ground[1] + ground[2] > 1.5;
  return {
    ground,
    text: read(["--input-text", "--fg-color"], light ? "#222" : "#ddd"),
    accent: read(["--p360-accent", "--primary-background"], "#0b8ce9"),
    key: light ? [0.25, 0.3, 0.38] : [0.85, 0.88, 0.92],
    selected: [1, 0.72, 0.2],
    play: light ? [0.8, 0.1, 0.45] : [1, 0.42, 0.66],
    anchor: light ? [0.1, 0.55, 0.3] : [0.4, 0.85, 0.55],
    halo: light ? [1, 1, 1] : [0, 0, 0],
    bright: light ? [0.1, 0.1, 0.1] : [1, 1, 1],
  };
}
