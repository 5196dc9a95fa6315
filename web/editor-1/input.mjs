// @ts-check
/** Pointer, wheel and keys of the large editor, and the clipboard. */

import { handleAt, startDrag, startSlide } from "./gizmo.mjs";
import { PathError, changeKey, readPath, writePath } from "./state.mjs";
import { Flight } from "./fly.mjs";
import { rotate } from "./math.mjs";
import { text } from "./strings.mjs";

const WHEEL_STEP = 1.0012; // per pixel of scrolling
const CLICK_PIXELS = 3;
const TOUCH_REACH = 22;
const NUDGE = 0.05;
const UP = [0, 1, 0];

/** What an action does; true where it was taken. @param {import("./dialog.mjs").Dialog} dialog @param {string} name */
export function runAction(dialog, name) {
  const { editor } = dialog;
  const { stage } = editor;
  const toggle = (what) => () => {
    stage[what] = !stage[what];
    editor.emit("options");
  };
  const actions = {
    ...Object.fromEntries(["orbit", "top", "side", "front", "fly", "camera"].map((one) => [one, () => editor.setMode(one)])),
    move: () => editor.setTool("move"),
    turn: () => editor.setTool("turn"),
    height: () => editor.setSnap({ height: !editor.snap.height }),
    snap: () => editor.setSnap({ grid: editor.snap.grid ? 0 : 0.1 }),
    photo: toggle("showPhoto"),
    cloud: toggle("showCloud"),
    grid: toggle("showGrid"),
    cut: toggle("cut"),
    undo: () => editor.undo(),
    redo: () => editor.redo(),
    help: () => dialog.toggleHelp(),
    fit: () => fit(dialog),
    add: () => editor.addKey(),
    insert: () => editor.addKey("playhead"),
    remove: () => dialog.remove(),
    duplicate: () => editor.duplicateKey(),
    previous: () => editor.select(editor.selected > 0 ? editor.selected - 1 : 0),
    next: () => editor.select(Math.min(editor.selected + 1, (editor.path?.keyframes.length ?? 0) - 1)),
    earlier: () => editor.reorderKey(editor.selected, editor.selected - 1),
    later: () => editor.reorderKey(editor.selected, editor.selected + 1),
    play: () => (dialog.scrub?.playing ? dialog.scrub.pause() : dialog.scrub?.play()),
    back: () => step(dialog, -1),
    forward: () => step(dialog, 1),
  };
  if (name === "escape") return escape(dialog);
  actions[name]?.();
  return name in actions;
}

function escape(dialog) {
  if (dialog.input.stopDrag()) return true;
  if (!dialog.help) return false;
  dialog.toggleHelp();
  return true;
}

function step({ editor, scrub }, by) {
  const last = (editor.path?.frames ?? 1) - 1;
  const frame = Math.min(last, Math.max(0, Math.round(editor.playhead) + by));
  scrub?.seek(frame);
  editor.setPlayhead(frame);
}

/** The first press shows everything, the second the keyframe. */
function fit({ editor }) {
  const before = JSON.stringify(editor.view.save());
  editor.frameView();
  if (JSON.stringify(editor.view.save()) === before) editor.frameView("key");
}

const KEY_ACTIONS = {
  1: "orbit", 2: "top", 3: "side", 4: "front", 5: "fly", 6: "camera", k: "add", i: "insert", Delete: "remove",
  Backspace: "remove", "[": "previous", "]": "next", m: "move", r: "turn", g: "snap", v: "height", f: "fit", b: "photo",
  p: "cloud", l: "grid", x: "cut", ",": "back", ".": "forward", " ": "play", "?": "help", h: "help",
};
const CONTROL_ACTIONS = { z: "undo", y: "redo", d: "duplicate" };

/** Listen to everything; the result ends it. @param {import("./dialog.mjs").Dialog} dialog */
export function listen(dialog) {
  const input = new Input(dialog);
  input.start();
  return input;
}

class Input {
  constructor(dialog) {
    this.dialog = dialog;
    this.flight = new Flight(dialog.editor);
    this.drag = null;
    /** @type {Map<number, number[]>} where fingers are, while there are several */
    this.fingers = new Map();
  }

  get editor() {
    return this.dialog.editor;
  }

  start() {
    const { stage, dialog: element } = this.dialog;
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.up(event));
    stage.addEventListener("pointerleave", () => this.hover(null, -1));
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.keydown(event));
    element.addEventListener("keyup", (event) => this.flight.release(event));
    element.addEventListener("copy", (event) => this.copied(event));
    element.addEventListener("paste", (event) => this.pasted(event));
  }

  stop() {
    this.flight.stop();
  }

  place(event) {
    const box = this.dialog.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  // Pointer

  down(event) {
    if (event.target.closest("button")) return;
    event.preventDefault();
    this.fingers.set(event.pointerId, this.place(event));
    if (this.drag) return void (this.fingers.size === 2 && this.stopDrag());
    if (this.fingers.size > 1) return;
    this.dialog.stage.focus({ preventScroll: true });
    this.dialog.stage.setPointerCapture(event.pointerId);
    const [x, y] = this.place(event);
    const what = event.button === 0 ? this.grab(event, x, y) : { pan: true };
    this.drag = { ...what, id: event.pointerId, x, y, startX: x, startY: y, moved: false };
    this.dialog.stage.classList.toggle("p360e-drag", Boolean(what.pose));
  }

  /** What is under the pointer: a handle, a keyframe, or the view. */
  grab(event, x, y) {
    const { editor } = this;
    const { view, stage, path } = editor;
    const reach = event.pointerType === "touch" ? TOUCH_REACH : undefined;
    const key = editor.key;
    if (key && view.mode !== "camera") {
      const handle = handleAt(view, key, stage.tool, x, y, reach);
      if (handle) {
        stage.handle = handle;
        return { pose: startDrag(view, key, handle, x, y), base: path, index: editor.selected, key, turns: handle.kind === "ring" };
      }
    }
    const index = view.mode === "camera" ? -1 : stage.keyAt(x, y, reach);
    if (index < 0) return { pan: view.flat };
    editor.select(index);
    const grabbed = path.keyframes[index];
    // Over the ground; seen from the side, over the picture; with Shift, upright.
    const normal = view.flat && view.mode !== "top" ? view.forward : event.shiftKey ? level(view.forward) : UP;
    return { pose: startSlide(view, grabbed, normal, x, y), base: path, index, key: grabbed, upright: event.shiftKey };
  }

  move(event) {
    const [x, y] = this.place(event);
    const { drag, editor } = this;
    if (this.fingers.size > 1) return this.pinch(event.pointerId, [x, y]);
    if (!drag) return this.pointed(event, x, y);
    if (event.pointerId !== drag.id) return;
    const [dx, dy] = [x - drag.x, y - drag.y];
    drag.x = x;
    drag.y = y;
    if (!drag.moved && Math.hypot(x - drag.startX, y - drag.startY) < CLICK_PIXELS) return;
    drag.moved = true;
    if (drag.pose) return this.preview(drag, x, y);
    if (editor.view.mode === "camera") return;
    if (drag.pan || event.shiftKey) editor.view.pan(dx, dy);
    else editor.view.turn(dx, dy);
    editor.fresh = false;
    editor.stage.ask();
  }

  /** Two fingers: nearer, farther, and aside. */
  pinch(id, place) {
    const before = this.fingers.get(id);
    const other = [...this.fingers.keys()].find((one) => one !== id);
    if (!before || other === undefined) return;
    const [x, y] = this.fingers.get(other) ?? place;
    this.fingers.set(id, place);
    const { view, stage } = this.editor;
    const apart = (from) => Math.max(1, Math.hypot(from[0] - x, from[1] - y));
    view.zoom(apart(before) / apart(place), (place[0] + x) / 2, (place[1] + y) / 2);
    view.pan((place[0] - before[0]) / 2, (place[1] - before[1]) / 2);
    this.editor.fresh = false;
    stage.ask();
  }

  preview(drag, x, y) {
    const { editor } = this;
    const wanted = drag.pose(x, y);
    let change;
    if (drag.turns) change = { quaternion_wxyz: editor.snappedTurn(wanted).quaternion_wxyz };
    else {
      if (drag.upright) wanted.position = [drag.key.position[0], wanted.position[1], drag.key.position[2]];
      change = { position: editor.snapped(wanted, drag.key).position };
    }
    editor.preview(changeKey(drag.base, drag.index, change));
  }

  pointed(event, x, y) {
    const { view, stage } = this.editor;
    if (event.pointerType === "touch" || view.mode === "camera") return;
    const key = this.editor.key;
    const handle = key ? handleAt(view, key, stage.tool, x, y) : null;
    this.hover(handle, handle ? -1 : stage.keyAt(x, y));
  }

  hover(handle, index) {
    const { stage } = this.editor;
    if (this.drag) return;
    const same = stage.hovered === index && stage.handle?.kind === handle?.kind && stage.handle?.axis === handle?.axis;
    if (same) return;
    stage.handle = handle;
    stage.hovered = index;
    this.dialog.stage.classList.toggle("p360e-over", Boolean(handle) || index >= 0);
    stage.ask();
  }

  up(event) {
    const { drag, editor } = this;
    this.fingers.delete(event.pointerId);
    if (!drag || event.pointerId !== drag.id) return;
    this.drag = null;
    editor.stage.handle = null;
    this.dialog.stage.classList.remove("p360e-drag");
    if (event.type === "pointercancel") editor.cancel();
    else if (drag.pose && drag.moved && editor.path) editor.commit(editor.path);
    else if (!drag.pose && !drag.pan && !drag.moved && event.button === 0) editor.select(-1);
    editor.stage.ask();
  }

  stopDrag() {
    if (!this.drag) return false;
    this.drag = null;
    this.editor.stage.handle = null;
    this.editor.cancel();
    return true;
  }

  wheel(event) {
    event.preventDefault();
    event.stopPropagation();
    const { editor } = this;
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 33 : event.deltaY;
    if (editor.view.mode === "fly") {
      this.flight.wheel(pixels);
      return this.dialog.refreshHint();
    }
    editor.view.zoom(WHEEL_STEP ** pixels, ...this.place(event));
    editor.fresh = false;
    editor.stage.ask();
  }

  // Keys

  keydown(event) {
    // The host has shortcuts for some of these keys, and must not act behind the dialog.
    event.stopPropagation();
    const typing = event.target.closest("input[type=number], input[type=text], textarea");
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (control) {
      const action = key === "z" && event.shiftKey ? "redo" : CONTROL_ACTIONS[key];
      if (!action || (typing && typing.dataset.typing)) return;
      event.preventDefault();
      return runAction(this.dialog, action);
    }
    if (typing || event.altKey || event.target.closest("select")) return;
    if (this.scrubKeys(event)) return;
    if (this.flight.press(event)) return event.preventDefault();
    const shifted = event.shiftKey ? { BracketLeft: "earlier", BracketRight: "later" }[event.code] : undefined;
    const action = shifted ?? KEY_ACTIONS[key];
    if (event.target.closest("button") && (key === " " || key === "Enter")) return;
    if (!action && !this.nudge(key)) return;
    event.preventDefault();
    if (action) runAction(this.dialog, action);
  }

  /** The time line has keys of its own. */
  scrubKeys(event) {
    return this.dialog.time.contains(event.target) && !/^[a-z0-9?]$/i.test(event.key) ? true : event.defaultPrevented;
  }

  /** Move the selected keyframe a little, as seen: right, left, away, towards, up, down. */
  nudge(key) {
    const { editor } = this;
    const ways = { ArrowRight: [1, 0, 0], ArrowLeft: [-1, 0, 0], ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1],
      PageUp: [0, -1, 0], PageDown: [0, 1, 0] };
    const way = ways[key];
    if (!way || !editor.key || editor.view.mode === "camera") return false;
    const size = editor.snap.grid || NUDGE;
    // The axis of the world that is nearest to the direction on the screen.
    const forward = editor.view.mode === "top" ? [0, 0, 1] : level(editor.view.forward);
    const turned = way[1] ? way : nearestAxis(way[0] ? scaled(rotateLevel(forward), way[0]) : scaled(forward, way[2]));
    const { position } = editor.key;
    editor.changeKey({ position: position.map((one, i) => one + turned[i] * size) });
    return true;
  }

  // Clipboard

  copied(event) {
    if (!this.editor.path || event.target.closest("input, textarea")) return;
    event.preventDefault();
    event.stopPropagation();
    event.clipboardData.setData("text/plain", writePath(this.editor.path));
    this.dialog.say(text("copied"));
  }

  pasted(event) {
    event.stopPropagation();
    if (event.target.closest("input, textarea")) return;
    event.preventDefault();
    take(this.dialog, event.clipboardData.getData("text/plain"));
  }
}

/** A horizontal direction, from one that is not vertical. */
function level(direction) {
  const size = Math.hypot(direction[0], direction[2]);
  return size > 1e-6 ? [direction[0] / size, 0, direction[2] / size] : [0, 0, 1];
}

const rotateLevel = ([x, , z]) => rotate([Math.SQRT1_2, 0, Math.SQRT1_2, 0], [x, 0, z]);
const scaled = (vector, by) => vector.map((one) => one * by);

function nearestAxis([x, , z]) {
  return Math.abs(x) >= Math.abs(z) ? [Math.sign(x), 0, 0] : [0, 0, Math.sign(z)];
}

/** A text from the clipboard becomes the path. */
function take(dialog, content) {
  try {
    dialog.editor.replace(readPath(content));
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    dialog.say(text(error.problem, error.values));
  }
}

/** @param {import("./dialog.mjs").Dialog} dialog */
export async function copyPath(dialog) {
  if (!dialog.editor.path) return;
  try {
    await navigator.clipboard.writeText(writePath(dialog.editor.path));
    dialog.say(text("copied"));
  } catch {
    dialog.say(text("noClipboard"));
  }
}

/** @param {import("./dialog.mjs").Dialog} dialog */
export async function pastePath(dialog) {
  let content;
  try {
    content = await navigator.clipboard.readText();
  } catch {
    return dialog.say(text("noClipboard"));
  }
  take(dialog, content);
}
