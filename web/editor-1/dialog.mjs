// @ts-check
/** The large editor: a modal dialog with the stage, the tools above it, the time line below, the fields beside it. */

import { make, rename } from "../viewer-1/dom.mjs";
import { getPainter } from "../viewer-1/painter.mjs";
import { Editor, GRID_STEPS } from "./editor.mjs";
import { Fields } from "./fields.mjs";
import { button, icon } from "./icons.mjs";
import { copyPath, listen, pastePath, runAction } from "./input.mjs";
import { PathError } from "./state.mjs";
import { KEYS, text } from "./strings.mjs";
import { addStyle } from "./style.mjs";
import { MODES } from "./view.mjs";
import { poseOfMatrix } from "./node.mjs";

const NOTE_MS = 6000;

/** The open editor of the page: a modal dialog, so there is one. @type {Dialog | null} */
let current = null;

/** @param {import("./node.mjs").PathNode} node @param {string} locale */
export function openDialog(node, locale) {
  current?.close();
  current = new Dialog(node, locale);
  return current;
}

/** A node went away: its editor with it, unless an undo is making the node anew. */
export function nodeGone(locator) {
  if (current?.editor.node.locator === locator && !current.editor.travelling) current.close();
}

/** A run brought something new. */
export function outputsChanged() {
  current?.editor.updateCache();
}

export class Dialog {
  constructor(node, locale) {
    addStyle();
    this.canvas = make("canvas");
    this.timer = 0;
    this.pending = 0;
    this.build();
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.editor = new Editor(node, this.canvas);
    this.dialog.pantheonEditor = this.editor; // for tests and other extensions
    this.fields = new Fields(this);
    this.side.append(...this.fields.sections);
    this.resize = new ResizeObserver(() => this.editor.stage.ask());
    this.resize.observe(this.stage);
    this.onContext = () => this.editor.stage.ask();
    getPainter()?.watchers.add(this.onContext);
    this.input = listen(this);
    this.editor.stage.onDrawn = () => this.drawn();
    for (const name of /** @type {const} */ (["path", "commit", "selection", "view", "options", "cache"])) {
      this.editor.on(name, () => this.refreshSoon());
    }
    this.editor.on("playhead", () => this.refreshHint());
    this.startScrub(locale);
    const { path } = this.editor;
    if (path && this.editor.selected < 0) this.editor.select(path.loop ? 0 : path.keyframes.length - 1);
    this.editor.stage.view.resize(this.stage.offsetWidth, this.stage.offsetHeight);
    if (this.editor.fresh) this.editor.frameView();
    this.refresh();
    this.stage.focus({ preventScroll: true });
  }

  build() {
    this.note = make("p", { class: "p360e-note", role: "status", hidden: true });
    this.hint = make("div", { class: "p360e-hint" });
    this.scene = make("div", { class: "p360e-scene" });
    this.here = button(text("addHere"), "add", () => this.editor.addKey("view"), text("addHere"));
    this.here.classList.add("p360e-here", "p360e-main-button");
    this.empty = make("div", { class: "p360-note", hidden: true });
    this.stage = make("div",
      { class: "p360-stage p360e-stage", tabindex: 0, role: "application", "aria-label": text("stage") },
      ...[this.canvas, this.scene, this.hint, this.note, this.empty, this.here]);
    this.time = make("div", { class: "p360e-time" });
    this.picture = make("section", { class: "p360e-picture", "aria-label": text("scrub") });
    this.side = make("aside", { class: "p360e-side" }, this.picture);
    const body = make("div", { class: "p360e-body" },
      make("div", { class: "p360e-main" }, this.stage, this.time), this.side);
    this.element = make("div", { class: "p360 p360e" }, this.makeHead(), body);
    this.dialog = make("dialog", { class: "p360e-dialog", "aria-label": text("title") }, this.element);
    this.dialog.addEventListener("close", () => this.close());
    // Esc: the drag first, then the help, then the dialog.
    this.dialog.addEventListener("cancel", (event) => {
      if (!runAction(this, "escape")) return;
      event.preventDefault();
    });
  }

  makeHead() {
    const act = (name) => () => runAction(this, name);
    this.modes = MODES.map((mode) => {
      const made = button(text(mode), /** @type {any} */ (mode), act(mode), text(`${mode}Short`));
      made.className = "p360-key";
      return made;
    });
    const tabs = make("div", { class: "p360-group p360e-tabs", role: "group", "aria-label": text("views") }, ...this.modes);
    this.tools = ["move", "turn"].map((tool) => {
      const made = button(text(tool), /** @type {any} */ (tool), act(tool));
      made.dataset.tool = tool;
      return made;
    });
    this.snap = make("select", { onchange: () => this.editor.setSnap({ grid: Number(this.snap.value) }) });
    rename(this.snap, text("snap"));
    for (const step of GRID_STEPS) this.snap.append(make("option", { value: step, text: step ? `${step} m` : text("snapOff") }));
    this.height = button(text("height"), "height", act("height"));
    this.shows = ["photo", "cloud", "cut", "grid"].map((what) => {
      const made = button(text(what), /** @type {any} */ (what), act(what));
      made.dataset.show = what;
      return made;
    });
    this.undo = button(text("undo"), "undo", act("undo"));
    this.redo = button(text("redo"), "redo", act("redo"));
    const done = button(text("close"), "close", () => this.close(), text("done"));
    done.classList.add("p360e-main-button");
    const tools = make("div", { class: "p360e-row", role: "group", "aria-label": text("tools") }, ...this.tools, this.snap, this.height);
    const shows = make("div", { class: "p360e-row", role: "group", "aria-label": text("show") },
      ...this.shows, button(text("fit"), "fit", act("fit")));
    const right = make("div", { class: "p360e-row p360-push" }, this.undo, this.redo, button(text("help"), "help", act("help")), done);
    return make("header", { class: "p360e-head" }, make("h2", { text: text("title") }), tabs, tools, shows, right);
  }

  /** The scaffold along the path and the time line: modules of their own. */
  async startScrub(locale) {
    try {
      const { Scrub } = await import("../scrub-1/scrub.mjs");
      if (this.closed) return;
      this.scrub = new Scrub({ api: this.editor.node.host.api, locale, onevent: (event) => this.onScrub(event) });
      this.picture.append(this.scrub.panel.element);
      this.time.append(this.scrub.timeline.element);
      this.updateScrub();
    } catch (error) {
      console.error("Pantheon360: the time line did not start.", error);
    }
  }

  updateScrub() {
    const { editor } = this;
    const { frames, fps } = editor.path ?? editor.node.time;
    const clearance = Number(editor.node.value("clearance") ?? 0.2);
    const run = { frames, fps, spline: "as given", constant_speed: false, clearance };
    this.scrub?.update({ key: editor.cacheKey, path: editor.path && withVersion(editor.path), run,
      selected: editor.selected, moving: editor.moving });
  }

  onScrub(event) {
    const { editor } = this;
    const edit = {
      seek: () => editor.setPlayhead(event.frame),
      frame: () => editor.view.mode === "camera" && this.showServerPose(event),
      select: () => editor.select(event.index),
      retime: () => this.retime(event),
      easing: () => editor.changeKey({ easing: event.easing }, event.index),
      add: () => {
        editor.setPlayhead(event.frame);
        editor.addKey("playhead");
      },
      delete: () => this.remove(event.index),
      gone: () => this.say(text("gone")),
    }[event.type];
    edit?.();
  }

  showServerPose({ T_world_cam }) {
    if (T_world_cam?.length !== 16) return;
    this.editor.view.pose = poseOfMatrix(T_world_cam);
    this.editor.stage.ask();
  }

  retime({ index, t, final }) {
    const { editor } = this;
    const base = editor.history.state.path;
    if (!base) return;
    const key = base.keyframes[index];
    const [before, after] = [base.keyframes[index - 1], base.keyframes[index + 1]];
    if (!key || !before || !after || !(t > before.t && t < after.t)) return final ? editor.cancel() : undefined;
    const keyframes = base.keyframes.map((one, i) => (i === index ? { ...one, t } : one));
    const path = { ...base, keyframes };
    if (final) editor.commit(path, index);
    else editor.preview(path);
  }

  remove(index = this.editor.selected) {
    if (index < 0) return;
    if (!this.editor.removeKey(index)) this.say(text("lastKey"));
  }

  /** Run an edit; say what is wrong with it. */
  attempt(work) {
    try {
      work();
    } catch (error) {
      if (!(error instanceof PathError)) throw error;
      this.say(text(error.problem, error.values));
    }
  }

  /** Say something for a while. */
  say(sentence) {
    this.note.textContent = sentence;
    this.note.hidden = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.note.hidden = true), NOTE_MS);
  }

  toggleHelp() {
    if (this.help) {
      this.help.remove();
      this.help = null;
      return;
    }
    const list = make("dl", {});
    for (const [keys, does] of KEYS) list.append(make("dt", { text: keys }), make("dd", { text: does }));
    const box = make("div", { role: "document" }, make("h3", { text: text("helpTitle") }), list);
    this.help = make("div", { class: "p360e-help", onclick: (event) => event.target === this.help && this.toggleHelp() }, box);
    this.element.append(this.help);
  }

  /** Once per frame of the screen, however much has changed. */
  refreshSoon() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      this.refresh();
    });
  }

  /** Bring every control into line with the editor. */
  refresh() {
    if (this.closed) return;
    const { editor } = this;
    const { view, stage } = editor;
    MODES.forEach((mode, i) => this.modes[i].setAttribute("aria-pressed", String(view.mode === mode)));
    for (const one of this.tools) one.setAttribute("aria-pressed", String(stage.tool === one.dataset.tool));
    const shown = { photo: stage.showPhoto, cloud: stage.showCloud, cut: stage.cut, grid: stage.showGrid };
    for (const one of this.shows) one.setAttribute("aria-pressed", String(shown[one.dataset.show]));
    this.snap.value = String(editor.snap.grid);
    this.height.setAttribute("aria-pressed", String(editor.snap.height));
    this.undo.disabled = !editor.history.canUndo;
    this.redo.disabled = !editor.history.canRedo;
    this.here.hidden = view.mode !== "fly";
    this.fields.refresh();
    this.refreshScene();
    this.refreshHint();
    this.updateScrub();
  }

  refreshScene() {
    const { scene, photo } = this.editor.stage;
    const says = !scene ? text("noCache") : scene.state === "loading" ? text("loading")
      : scene.state === "ready" ? "" : text(scene.state === "gone" ? "gone" : "failed", { reason: scene.reason });
    const unit = scene?.info && !scene.info.metric ? text("unitless") : "";
    this.scene.textContent = says || unit;
    this.scene.hidden = !this.scene.textContent;
    this.shows[0].disabled = !photo;
    this.shows[1].disabled = this.shows[2].disabled = !scene?.points;
    const problem = this.editor.reading.problem;
    const blank = !getPainter() ? text("noWebGL")
      : this.editor.path ? "" : problem ? text(problem.problem, problem.values) : text("noKeysInside");
    this.empty.hidden = !blank;
    this.empty.style.pointerEvents = "none";
    this.empty.replaceChildren(...(blank ? [icon("path"), make("p", { text: blank })] : []));
  }

  refreshHint() {
    const { view, playhead } = this.editor;
    const hints = {
      fly: () => text("flyHint", { speed: this.input?.flight.speed.toFixed(1) ?? "1.0" }),
      camera: () => text("cameraHint", { frame: Math.round(playhead) }),
      orbit: () => text("orbitHint"),
    };
    this.hint.textContent = (hints[view.mode] ?? (() => text("flatHint")))();
  }

  drawn() {
    this.stage.dataset.drawn = String(Number(this.stage.dataset.drawn ?? 0) + 1);
  }

  copy() {
    copyPath(this);
  }

  paste() {
    pastePath(this);
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    if (current === this) current = null;
    clearTimeout(this.timer);
    cancelAnimationFrame(this.pending);
    this.input.stop();
    this.resize.disconnect();
    getPainter()?.watchers.delete(this.onContext);
    this.scrub?.dispose();
    this.editor.dispose();
    this.dialog.close();
    this.dialog.remove();
  }
}

const withVersion = (path) => ({ version: 1, convention: "opencv_c2w", units: "m", ...path });
