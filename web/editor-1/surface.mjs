// @ts-check
/** The overview inside the node: the path over the scene, play, and the button that opens the editor. */

import { make, rename } from "../viewer-1/dom.mjs";
import { getPainter } from "../viewer-1/painter.mjs";
import { button, icon } from "./icons.mjs";
import { PathNode } from "./node.mjs";
import { poseFunction } from "./path.mjs";
import { openPhoto, openScene } from "./scenes.mjs";
import { Stage, paletteOf } from "./stage.mjs";
import { text, useLocale } from "./strings.mjs";
import { addStyle } from "./style.mjs";
import { summaryOf } from "./summary.mjs";
import { View } from "./view.mjs";

const BUDGET = 60_000;
const WATCH_MS = 300;
const WATCHED = ["path", "frames", "fps", "distance", "angle_deg", "radius", "easing", "keyframes", "spline", "constant_speed"];

/** The large editor: imported when it is opened for the first time. @type {any} */
let large = null;

/** How overviews were turned, by node. @type {Map<string, object>} */
const remembered = new Map();

export class Surface {
  /** @param {HTMLElement} root the node's element @param {any} node @param {any} host see PathNode; and `locale` */
  constructor(root, node, host) {
    this.root = root;
    this.node = new PathNode(node, host);
    this.host = host;
    this.disposed = false;
    this.playing = 0;
    this.onScene = () => this.refresh();
    addStyle();
    this.build();
    this.updateCache();
    useLocale(host.locale, host.api).then(() => !this.disposed && host.locale !== "en" && this.rebuild());
  }

  build() {
    this.canvas = make("canvas");
    this.note = make("div", { class: "p360-note", hidden: true });
    this.box = make("div",
      { class: "p360-stage p360e-stage", tabindex: 0, role: "application", "aria-label": text("overview") },
      ...[this.canvas, this.note]);
    this.play = button(text("play"), "play", () => this.togglePlay());
    this.summary = make("p", {});
    this.edit = button(text("openLong"), "edit", () => this.open(), text("open"));
    this.edit.classList.add("p360e-main-button");
    const bar = make("div", { class: "p360e-bar" }, this.play, this.summary, this.edit);
    this.element = make("div", { class: "p360 p360e p360e-small" }, this.box, bar);
    this.root.append(this.element);
    this.view = new View();
    Object.assign(this.view, remembered.get(this.node.locator) ?? {});
    this.stage = new Stage(this.canvas, this.view);
    this.stage.labels = false;
    this.stage.signs = 9;
    this.stage.visible = false;
    this.stage.scene = this.scene ?? null;
    this.stage.photo = this.photo ?? null;
    this.framed = remembered.has(this.node.locator);
    this.listen();
    this.observe();
    this.refresh();
  }

  observe() {
    this.resize = new ResizeObserver(() => this.stage.ask());
    this.resize.observe(this.box);
    // Also false while the node is collapsed, in another subgraph or in another workflow.
    this.seen = new IntersectionObserver((found) => {
      this.stage.visible = found[found.length - 1].isIntersecting;
      if (!this.stage.visible) this.stopPlaying();
      this.refresh();
    });
    this.seen.observe(this.box);
    this.onContext = () => this.stage.ask();
    getPainter()?.watchers.add(this.onContext);
    // Values come by widgets, links, undo and loading; comparing a few of them is the one way that sees all.
    this.timer = setInterval(() => this.stage.visible && this.watch(), WATCH_MS);
  }

  listen() {
    const { box } = this;
    let held = null;
    box.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return; // the middle button moves the graph
      event.stopPropagation(); // or the node is dragged; mouseup must pass, the host records its undo step there
      box.focus({ preventScroll: true });
      box.setPointerCapture(event.pointerId);
      held = [event.clientX, event.clientY];
    });
    box.addEventListener("pointermove", (event) => {
      if (!held) return;
      const zoom = box.getBoundingClientRect().width / (box.offsetWidth || 1) || 1;
      this.view.turn((event.clientX - held[0]) / zoom, (event.clientY - held[1]) / zoom);
      held = [event.clientX, event.clientY];
      this.stage.ask();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) box.addEventListener(end, () => (held = null));
    box.addEventListener("dblclick", (event) => {
      event.stopPropagation();
      this.open();
    });
    box.addEventListener("wheel", (event) => {
      if (!this.element.contains(document.activeElement) || event.ctrlKey || event.metaKey || !event.deltaY) return;
      event.preventDefault();
      event.stopPropagation();
      this.view.zoom(1.0012 ** event.deltaY);
      this.stage.ask();
    }, { passive: false });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey) return;
      event.stopPropagation();
      this.open();
    });
    this.element.addEventListener("pointerdown", (event) => event.button === 0 && event.stopPropagation());
  }

  watch() {
    const { node } = this;
    const around = [node.cacheKey, node.linked("keyframes"), node.linked("path"), this.scene ? null : node.photo, paletteOf(this.canvas)];
    const state = JSON.stringify([WATCHED.map((name) => node.value(name)), around]);
    if (state === this.state) return;
    this.state = state;
    this.updateCache();
  }

  /** A run, or a new connection. */
  updateCache() {
    const key = this.node.cacheKey;
    if (key && key !== this.key) {
      const scene = openScene(this.host.api, key, BUDGET, this.onScene);
      this.scene?.release(this.onScene);
      this.scene = this.stage.scene = scene;
      this.key = key;
    }
    const known = this.scene ? null : this.node.photo;
    const url = this.scene ? this.scene.backdropUrl : known?.url;
    if (known) this.stage.photoTurn = known.turn;
    if (url && url !== this.photoUrl) {
      const photo = openPhoto(url, this.onScene);
      this.photo?.release(this.onScene);
      this.photo = this.stage.photo = photo;
      this.photoUrl = url;
    }
    this.refresh();
    large?.outputsChanged();
  }

  refresh() {
    if (this.disposed) return;
    if (this.scene?.backdropUrl && this.scene.backdropUrl !== this.photoUrl) return this.updateCache();
    const { path, source, problem } = this.node.read(this.stage.anchors);
    const known = JSON.stringify(path);
    if (known !== this.known) {
      this.known = known;
      this.stage.setPath(path);
      this.poseAt = path ? poseFunction(path) : null;
      if (!remembered.has(this.node.locator)) this.framed = false;
    }
    if (!this.framed && this.canvas.offsetWidth) {
      this.view.resize(this.canvas.offsetWidth, this.canvas.offsetHeight);
      this.view.frame(...this.stage.bounds);
      this.framed = true;
    }
    const reasons = { linked: "linked", between: "betweenUnknown", preset: "noSize", keyframes: "noKeys" };
    const blank = !getPainter() ? text("noWebGL") : path ? "" : problem ? text(problem.problem, problem.values) : text(reasons[source]);
    this.showNote(blank, Boolean(problem));
    this.summary.textContent = path ? summaryOf(path, this.stage.poses.positions) : "";
    this.summary.title = this.summary.textContent;
    this.play.disabled = !path;
    this.edit.disabled = source === "linked";
    this.edit.title = source === "linked" ? text("linkedTake") : text("openLong");
    this.stage.ask();
  }

  showNote(sentence, bad) {
    this.note.hidden = !sentence;
    this.note.classList.toggle("p360-bad", bad);
    this.note.setAttribute("role", bad ? "alert" : "status");
    if (this.note.dataset.shown === sentence) return;
    this.note.dataset.shown = sentence;
    this.note.replaceChildren(icon(bad ? "warning" : "path"), make("p", { text: sentence }));
  }

  async open() {
    if (this.edit.disabled || !getPainter()) return;
    this.stopPlaying();
    large ??= await import("./dialog.mjs");
    if (!this.disposed) large.openDialog(new PathNode(this.node.node, this.host), this.host.locale);
  }

  togglePlay() {
    if (this.playing) return this.stopPlaying();
    const start = performance.now();
    const tick = (now) => {
      if (!this.poseAt || !this.stage.path) return this.stopPlaying();
      const { frames, fps } = this.stage.path;
      const frame = ((now - start) / 1000) * fps;
      if (frame > frames - 1) return this.stopPlaying();
      this.stage.playhead = this.poseAt(frame);
      this.stage.ask();
      this.playing = requestAnimationFrame(tick);
    };
    this.playing = requestAnimationFrame(tick);
    this.showPlaying("pause");
  }

  stopPlaying() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.stage.playhead = null;
    this.showPlaying("play");
    this.stage.ask();
  }

  showPlaying(name) {
    this.play.replaceChildren(icon(name));
    rename(this.play, text(name));
  }

  unbuild() {
    this.stopPlaying();
    clearInterval(this.timer);
    this.resize.disconnect();
    this.seen.disconnect();
    getPainter()?.watchers.delete(this.onContext);
    this.stage.dispose();
    this.element.remove();
  }

  rebuild() {
    this.unbuild();
    this.build();
  }

  dispose() {
    if (this.disposed) return;
    const { target, yaw, pitch, distance } = this.view;
    remembered.set(this.node.locator, { target, yaw, pitch, distance });
    this.disposed = true;
    this.unbuild();
    this.scene?.release(this.onScene);
    this.photo?.release(this.onScene);
    large?.nodeGone(this.node.locator);
  }
}
