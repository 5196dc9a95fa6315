// @ts-check
/** The 360° viewer of one node: its state, and when it draws. */

import { make, savePng } from "./dom.mjs";
import { Gyro, listenToKeys, listenToPointer, listenToSplit, listenToWheel } from "./input.mjs";
import { getPainter } from "./painter.mjs";
import { Panel } from "./panel.mjs";
import { Playback } from "./playback.mjs";
import { openSource, urlOf } from "./sources.mjs";
import { text, useLocale } from "./strings.mjs";
import { addStyle } from "./style.mjs";
import { DIRECTIONS, limited, startView } from "./view.mjs";

const MAX_PIXELS = 2560; // of a side: beyond that nobody sees more
const SNAPSHOT_WIDTH = 1920;
const MAX_REMEMBERED = 32;

/**
 * How viewers were left. An undo of the graph makes every node anew; its viewer goes on where it was.
 * @type {Map<string, object>}
 */
const remembered = new Map();

export class Viewer {
  /**
   * @param {HTMLElement} root the node's element
   * @param {{api: any, key: string, locale: string}} host
   */
  constructor(root, { api, key, locale }) {
    this.root = root;
    this.api = api;
    this.key = key;
    /** @type {import("./sources.mjs").Entry[]} */
    this.entries = [];
    this.sources = [];
    /** @type {import("./view.mjs").Projection} */
    this.projection = "rectilinear";
    this.views = Object.fromEntries(["rectilinear", "planet", "flat"].map((one) => [one, startView(one)]));
    this.grid = false;
    this.compare = "wipe";
    this.split = 0.5;
    this.painted = false;
    this.onScreen = false;
    this.dialog = null;
    this.disposed = false;
    this.playback = new Playback();
    this.gyro = new Gyro(this);
    addStyle();
    this.build();
    // The words come later only for another language than English.
    useLocale(locale, api).then(() => !this.disposed && locale !== "en" && this.rebuild());
  }

  build() {
    this.panel = new Panel(this);
    const { stage, split, canvas } = this.panel;
    this.context = canvas.getContext("2d");
    listenToPointer(this, stage);
    listenToSplit(this, split, stage);
    listenToWheel(this, this.panel);
    listenToKeys(this, this.panel);
    stage.addEventListener("pointerenter", () => this.invalidate()); // the graph's zoom may have changed
    this.resize = new ResizeObserver(() => this.invalidate());
    this.resize.observe(stage);
    // Also false while the node is collapsed, in another subgraph or in another workflow.
    this.seen = new IntersectionObserver((found) => {
      this.onScreen = found[found.length - 1].isIntersecting;
      this.visibilityChanged();
    });
    this.seen.observe(stage);
    this.onVisibility = () => this.visibilityChanged();
    document.addEventListener("visibilitychange", this.onVisibility);
    this.onContext = () => this.changed();
    getPainter()?.watchers.add(this.onContext);
    this.root.append(this.panel.element);
    this.changed();
  }

  unbuild() {
    this.seen.disconnect();
    this.resize.disconnect();
    document.removeEventListener("visibilitychange", this.onVisibility);
    const painter = getPainter();
    painter?.watchers.delete(this.onContext);
    painter?.forget(this);
    this.dialog?.close();
    this.panel.element.remove();
    this.painted = false;
  }

  rebuild() {
    this.unbuild();
    this.build();
  }

  get view() {
    return this.views[this.projection];
  }

  /** Without WebGL only a preview of a running node is shown, flat. */
  get flatOnly() {
    return !getPainter();
  }

  get spherical() {
    return this.entries[0]?.spherical !== false && !this.flatOnly;
  }

  /** What a picture says of itself. */
  get caption() {
    return this.sources[0]?.caption ?? "";
  }

  get clock() {
    return this.playback.clock;
  }

  get visible() {
    return this.onScreen && document.visibilityState === "visible";
  }

  /** What stands in the picture's way: the kind of note and its sentence, or null. */
  get obstacle() {
    const painter = getPainter();
    if (!painter && !this.sources[0]?.drawFlat) return ["bad", text("noWebGL")];
    if (!this.entries.length) return ["empty", text("empty")];
    const broken = this.sources.find((one) => one.status.state === "error");
    if (broken) return ["bad", text(broken.status.problem, { reason: broken.status.reason ?? "" })];
    if (painter?.lost) return ["bad", text("lostWebGL")];
    return this.painted ? null : ["wait", text("loading")];
  }

  get ready() {
    return this.painted && this.obstacle === null;
  }

  /** @param {import("./sources.mjs").Entry[]} entries one to look at, or two to compare */
  show(entries) {
    const urls = entries.map((one) => urlOf(one, this.api)).join(" ");
    if (this.disposed || !entries.length || urls === this.urls) return this.changed();
    const first = this.urls === undefined;
    const old = this.sources;
    this.urls = urls;
    this.entries = entries.slice(0, 2);
    this.sources = this.entries.map((one) => openSource(one, this.api, () => this.changed()));
    for (const one of old) one.release();
    const videos = this.sources.map((one) => one.video).filter(Boolean);
    this.root.append(...videos);
    this.playback.take(videos);
    if (first) this.recall();
    if (!this.spherical) this.projection = "flat";
    this.visibilityChanged();
  }

  /**
   * Show what comes while the node runs. A new result takes its place, the one from before does not.
   * @param {any} live the pictures, of the modules for live previews
   */
  showLive(live) {
    if (this.disposed || live.released || this.sources[0] === live) return;
    const first = this.urls === undefined;
    for (const one of this.sources) one.release();
    this.urls ??= live.name;
    this.entries = [live.entry];
    this.sources = [live];
    this.playback.take([]);
    this.painted = false;
    if (first) this.recall();
    this.visibilityChanged();
  }

  remember() {
    if (this.urls === undefined) return;
    const { projection, views, grid, compare, split } = this;
    const left = { projection, views, grid, compare, split, urls: this.urls, playback: this.playback.state() };
    remembered.delete(this.key);
    remembered.set(this.key, left);
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value);
  }

  recall() {
    const left = remembered.get(this.key);
    if (left?.urls !== this.urls) return;
    const { urls: _urls, playback, ...state } = left;
    Object.assign(this, state);
    this.playback.resume(playback);
  }

  visibilityChanged() {
    this.playback.allow(this.visible);
    this.changed();
  }

  /** Something other than the view changed. */
  changed() {
    if (this.disposed) return;
    const [kind, sentence] = this.obstacle ?? [null, ""];
    this.panel.showNote(kind, sentence);
    this.panel.refresh();
    this.invalidate();
  }

  /** Draw with the next frame of the screen, if anybody can see it. */
  invalidate() {
    if (!this.visible || !this.sources.length) return;
    const painter = getPainter();
    if (painter) painter.ask(this);
    else this.drawFlat();
  }

  draw() {
    const painter = getPainter();
    if (this.disposed || !this.visible || painter.lost) return;
    this.playback.follow();
    const [left, right] = this.pictures(painter);
    if (!left || !right) return;
    const ratio = this.fit();
    painter.paint(this.context, this.scene(left, right, ratio));
    this.drawn();
    this.panel.refreshWhere();
  }

  drawFlat() {
    this.fit();
    if (this.sources[0].drawFlat?.(this.context)) this.drawn();
  }

  drawn() {
    if (this.painted) return;
    this.painted = true;
    this.changed();
  }

  /** Give the canvas the pixels of its place on the screen; how many there are to a pixel of the page. */
  fit() {
    const { stage, canvas } = this.panel;
    const box = stage.getBoundingClientRect(); // with the graph's zoom
    const wanted = devicePixelRatio * Math.max(box.width / (stage.offsetWidth || 1), 0.1);
    const ratio = Math.min(wanted, MAX_PIXELS / Math.max(stage.offsetWidth, stage.offsetHeight, 1));
    const width = Math.max(1, Math.round(stage.offsetWidth * ratio));
    const height = Math.max(1, Math.round(stage.offsetHeight * ratio));
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    return ratio;
  }

  pictures(painter) {
    const [first, second = first] = this.sources.map((one) => one.current(painter));
    return [first, second];
  }

  scene(left, right, pixelRatio) {
    const { view, projection, spherical, grid } = this;
    const sides = { wipe: this.split, left: 2, right: -1 };
    const split = this.entries.length > 1 ? sides[this.compare] : 2;
    const accent = grid ? this.accent : [1, 1, 1];
    return { left, right, split, view, projection, spherical, grid, accent, pixelRatio };
  }

  setView(change) {
    const view = limited({ ...this.view, ...change }, this.projection);
    // A picture that does not go round is moved no further than its edges.
    const reach = 180 - view.fov;
    if (!this.spherical) view.yaw = Math.min(reach, Math.max(-reach, view.yaw));
    this.views[this.projection] = view;
    this.invalidate();
  }

  /** Turn by degrees. */
  turn(right, up) {
    if (this.gyro.active && this.gyro.start !== null) this.gyro.start += right;
    this.setView({ yaw: this.view.yaw + right, pitch: this.view.pitch + up });
  }

  zoom(factor) {
    this.setView({ fov: this.view.fov * factor });
  }

  lookTo(name) {
    const [yaw, pitch] = DIRECTIONS[name];
    this.setView({ yaw, pitch, roll: 0 });
  }

  home() {
    this.setView(startView(this.projection));
  }

  /** @param {import("./view.mjs").Projection} projection */
  setProjection(projection) {
    const yaw = this.view.yaw;
    this.projection = projection;
    this.setView({ yaw });
    this.changed();
  }

  toggleGrid() {
    this.grid = !this.grid;
    this.changed();
  }

  setCompare(compare) {
    this.compare = compare;
    this.changed();
  }

  setSplit(fraction) {
    this.split = Math.min(1, Math.max(0, fraction));
    this.changed();
  }

  async toggleGyro() {
    if (this.gyro.active) {
      this.gyro.switchOff();
      this.setView({ roll: 0 });
    } else if (!(await this.gyro.switchOn())) {
      this.panel.gyro.disabled = true;
      this.panel.gyro.title = text("gyroDenied");
    }
    this.changed();
  }

  togglePlay() {
    this.playback.toggle();
    this.changed();
  }

  seek(seconds) {
    this.playback.seek(seconds);
  }

  setSpeed(rate) {
    this.playback.setRate(rate);
  }

  toggleLoop() {
    this.playback.toggleLoop();
    this.changed();
  }

  toggleMute() {
    this.playback.toggleMute();
  }

  /** Save what is seen, without the grid, as a PNG file of the browser's downloads. */
  saveSnapshot() {
    const painter = getPainter();
    const [left, right] = painter ? this.pictures(painter) : [];
    if (!left || !right) return;
    const { offsetWidth, offsetHeight } = this.panel.stage;
    const size = [SNAPSHOT_WIDTH, Math.round((SNAPSHOT_WIDTH * offsetHeight) / offsetWidth)];
    const { yaw, pitch } = this.view;
    const name = `pantheon360_yaw${Math.round(yaw)}_pitch${Math.round(pitch)}.png`;
    savePng(size, (context) => painter.paint(context, { ...this.scene(left, right, 1), grid: false }), name);
  }

  /** Into a dialog that fills the window, and back. The videos stay behind: moving one would stop it. */
  toggleFull() {
    if (this.dialog) return this.dialog.close();
    const dialog = make("dialog", { class: "p360-dialog", "aria-label": text("dialog") });
    dialog.addEventListener("close", () => {
      this.dialog = null;
      dialog.remove();
      if (this.disposed) return;
      this.root.append(this.panel.element);
      this.changed();
    });
    this.dialog = dialog;
    document.body.append(dialog);
    dialog.append(this.panel.element);
    dialog.showModal();
    this.panel.stage.focus({ preventScroll: true });
    this.changed();
  }

  /** The host's accent colour, for the lines of the horizon and of straight ahead; 0 to 1. */
  get accent() {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.fillStyle = getComputedStyle(this.panel.element).getPropertyValue("--p360-accent").trim();
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((one) => one / 255);
  }

  dispose() {
    if (this.disposed) return;
    this.remember();
    this.disposed = true;
    this.gyro.switchOff();
    this.unbuild();
    for (const one of this.sources) one.release();
    this.sources = [];
    this.root.replaceChildren();
  }
}
