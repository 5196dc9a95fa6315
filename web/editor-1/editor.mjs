// @ts-check
/** An open editor: the path, what is selected, undo, and what is told to whom. Knows no elements but its stage. */

import { RAD, fromAngles, lookAlong, rotate, subtract, toAngles } from "./math.mjs";
import { History } from "./history.mjs";
import { poseFunction } from "./path.mjs";
import { openPhoto, openScene } from "./scenes.mjs";
import * as edits from "./state.mjs";
import { snapPosition } from "./gizmo.mjs";
import { Stage } from "./stage.mjs";
import { View } from "./view.mjs";

const BUDGET = 1_000_000;
const ANGLE_STEP = 15 * RAD;
export const GRID_STEPS = [0, 0.05, 0.1, 0.25, 0.5, 1];

/** How editors were left, by node: opening one again goes on there. @type {Map<string, object>} */
const remembered = new Map();

/** @typedef {"path" | "commit" | "selection" | "playhead" | "cache" | "view" | "options"} EventName */

export class Editor {
  /** @param {import("./node.mjs").PathNode} node @param {HTMLCanvasElement} canvas */
  constructor(node, canvas) {
    this.node = node;
    this.view = new View();
    this.stage = new Stage(canvas, this.view);
    this.stage.tool = "move";
    /** @type {Map<EventName, Set<() => void>>} */
    this.listeners = new Map();
    /** @type {import("./state.mjs").Path | null} */
    this.path = null;
    this.moving = false;
    this.selected = -1;
    this.playhead = 0;
    this.snap = { grid: 0, height: false };
    this.cacheKey = null;
    this.travelling = 0;
    this.disposed = false;
    /** Work for the host's undo, one after the other. */
    this.queue = Promise.resolve();
    this.onScene = () => this.sceneChanged();
    this.updateCache();
    this.reading = node.read(this.stage.anchors);
    this.history = new History({ path: this.reading.path, values: node.values() });
    this.show(this.reading.path);
    node.capture(); // what was changed before is a step of its own
    this.fresh = !this.recall();
  }

  /** @param {EventName} name @param {() => void} listener */
  on(name, listener) {
    if (!this.listeners.has(name)) this.listeners.set(name, new Set());
    this.listeners.get(name)?.add(listener);
  }

  /** @param {EventName} name */
  emit(name) {
    this.listeners.get(name)?.forEach((listener) => listener());
    this.stage.ask();
  }

  // What is shown

  show(path) {
    this.path = path;
    this.stage.setPath(path);
    this.poseAt = path ? poseFunction(path) : null;
    if (this.selected >= (path?.keyframes.length ?? 0)) this.selected = (path?.keyframes.length ?? 0) - 1;
    this.stage.selected = this.selected;
    this.followPlayhead();
    this.emit("path");
  }

  select(index) {
    const found = this.path?.keyframes[index] ? index : -1;
    if (found === this.selected) return;
    this.selected = this.stage.selected = found;
    this.emit("selection");
  }

  get key() {
    return this.path?.keyframes[this.selected] ?? null;
  }

  setPlayhead(frame) {
    this.playhead = frame;
    this.followPlayhead();
    this.emit("playhead");
  }

  followPlayhead() {
    const pose = this.poseAt?.(this.playhead) ?? null;
    this.stage.playhead = pose;
    if (pose) this.view.pose = pose;
  }

  setTool(tool) {
    this.stage.tool = tool;
    this.emit("options");
  }

  setSnap(change) {
    Object.assign(this.snap, change);
    this.emit("options");
  }

  setMode(mode) {
    if (mode === "fly" && this.view.mode !== "fly") {
      const pose = this.view.mode === "camera" ? this.view.pose : (this.key ?? this.stage.playhead ?? this.start);
      const [yaw, pitch] = toAngles(pose.quaternion_wxyz);
      this.view.fly = { position: [...pose.position], yaw, pitch };
    }
    this.view.mode = mode;
    this.emit("view");
  }

  /** Everything, or the selected keyframe, into the middle. */
  frameView(what = "all") {
    if (this.view.inside) return;
    if (what === "key" && this.key) {
      const at = this.key.position;
      this.view.frame(at.map((one) => one - 0.4), at.map((one) => one + 0.4));
    } else this.view.frame(...this.stage.bounds);
    this.emit("view");
  }

  /** The first panorama's place. @returns {import("./state.mjs").Pose} */
  get start() {
    return this.stage.anchors[0] ?? { position: [0, 0, 0], quaternion_wxyz: [1, 0, 0, 0] };
  }

  // The scene

  updateCache() {
    const key = this.node.cacheKey;
    if (key && key !== this.cacheKey) {
      const scene = openScene(this.node.host.api, key, BUDGET, this.onScene);
      this.stage.scene?.release(this.onScene);
      this.stage.scene = scene;
      this.cacheKey = key;
    }
    if (!this.cacheKey) this.usePhoto(this.node.photo);
    this.sceneChanged();
  }

  /** @param {{url: string, turn?: number[]} | null} found */
  usePhoto(found) {
    const url = found?.url;
    if (found?.turn) this.stage.photoTurn = found.turn;
    if (!url || this.photoUrl === url) return;
    const photo = openPhoto(url, this.onScene);
    this.stage.photo?.release(this.onScene);
    this.stage.photo = photo;
    this.photoUrl = url;
  }

  sceneChanged() {
    if (this.disposed) return;
    const { scene } = this.stage;
    if (scene?.backdropUrl) this.usePhoto({ url: scene.backdropUrl });
    if (this.history && this.reading.source === "between" && !this.history.canUndo && !this.path) this.reread();
    // Until the user has moved the camera it shows all there is.
    if (this.fresh && scene?.info) this.frameView();
    this.emit("cache");
  }

  /** The way between panoramas is known only once the scene is. */
  reread() {
    this.reading = this.node.read(this.stage.anchors);
    this.history.states[0] = { ...this.history.states[0], path: this.reading.path };
    this.show(this.reading.path);
  }

  get floor() {
    return this.stage.floor;
  }

  // Edits

  /** Show a path that is not decided yet. */
  preview(path) {
    this.moving = true;
    this.show(path);
  }

  /** A path that is decided: one step of undo. */
  commit(path, selected = this.selected) {
    this.moving = false;
    if (path === this.history.state.path) return this.show(path);
    const values = this.node.valuesOf(path);
    this.history.push({ path, values });
    this.selected = selected;
    this.show(path);
    this.queue = this.queue.then(() => this.node.write(values));
    this.emit("selection");
    this.emit("commit");
  }

  /** Back to the last decided path. */
  cancel() {
    this.moving = false;
    this.show(this.history.state.path);
  }

  undo() {
    if (!this.moving && this.history.canUndo) this.travel("undo");
  }

  redo() {
    if (!this.moving && this.history.canRedo) this.travel("redo");
  }

  /** @param {"undo" | "redo"} way */
  travel(way) {
    const { path, values } = this.history[way]();
    this.show(path);
    this.emit("selection");
    this.emit("commit");
    this.queue = this.queue.then(async () => {
      this.travelling += 1;
      try {
        const there = await this.node.travel(way);
        // The host may have noted more steps than ours: what the editor shows counts.
        if (there) this.node.write(values);
      } finally {
        this.travelling -= 1;
      }
    });
  }

  /** Change the path by one of the edits of state.mjs. */
  edit(make) {
    if (!this.path) return;
    const made = make(this.path);
    if (Array.isArray(made)) this.commit(made[0], made[1]);
    else this.commit(made);
  }

  /** A pose put where the snapping wants it. */
  snapped(pose, before = null) {
    let position = pose.position;
    if (before) position = snapPosition(before.position, position, this.snap.grid);
    else if (this.snap.grid) position = position.map((one) => Math.round(one / this.snap.grid) * this.snap.grid);
    if (this.snap.height) position = [position[0], this.start.position[1], position[2]];
    return { ...pose, position };
  }

  /** Round a turn of one handle: the angle from where it began. */
  snappedTurn(pose) {
    if (!this.snap.grid) return pose;
    const angles = toAngles(pose.quaternion_wxyz).map((one) => Math.round(one / ANGLE_STEP) * ANGLE_STEP);
    return { ...pose, quaternion_wxyz: fromAngles(angles[0], angles[1], angles[2]) };
  }

  /** Add a keyframe: where one flies, at the playhead, or after the last. */
  addKey(where = this.view.mode === "fly" ? "view" : "end") {
    const { path } = this;
    if (!path) return this.startPath(where);
    if (where === "view") return this.edit((one) => edits.appendKey(one, this.snapped(this.viewPose)));
    if (where === "playhead" && path.keyframes.length > 1 && this.poseAt) {
      const time = path.keyframes[0].t + this.playhead / path.fps;
      const pose = this.poseAt(this.playhead);
      return this.edit((one) => edits.insertKey(one, time, pose));
    }
    this.edit((one) => edits.appendKey(one, this.snapped(this.nextPose)));
  }

  startPath(where) {
    const { frames, fps } = this.node.time;
    const pose = where === "view" ? this.snapped(this.viewPose) : this.start;
    this.commit(edits.startPath(frames, fps, pose), 0);
  }

  get viewPose() {
    return { position: this.view.position, quaternion_wxyz: this.view.quaternion };
  }

  /** On from the last keyframe, as far as the last step was. */
  get nextPose() {
    const keys = this.path?.keyframes ?? [];
    const open = this.path?.loop ? keys.slice(0, -1) : keys;
    const last = open[open.length - 1];
    const before = open[open.length - 2];
    const step = before ? subtract(last.position, before.position) : rotate(last.quaternion_wxyz, [0, 0, 0.5]);
    const size = Math.hypot(...step);
    const moved = size > 1e-6 ? step : rotate(last.quaternion_wxyz, [0, 0, 0.5]);
    return { position: last.position.map((one, i) => one + moved[i]), quaternion_wxyz: last.quaternion_wxyz };
  }

  removeKey(index = this.selected) {
    if (!this.path?.keyframes[index] || this.path.keyframes.length < 2) return false;
    const next = Math.min(index, this.path.keyframes.length - 2);
    this.commit(edits.removeKey(this.path, index), next);
    return true;
  }

  duplicateKey(index = this.selected) {
    if (this.path?.keyframes[index]) this.edit((path) => edits.duplicateKey(path, index));
  }

  reorderKey(from, to) {
    if (!this.path?.keyframes[to] || from === to) return;
    this.commit(edits.reorderKey(this.path, from, to), to);
  }

  changeKey(change, index = this.selected) {
    if (this.path?.keyframes[index]) this.edit((path) => edits.changeKey(path, index, change));
  }

  /** Turn the selected keyframe to where the path goes on. */
  lookAhead(index = this.selected) {
    const keys = this.path?.keyframes ?? [];
    const [from, to] = index < keys.length - 1 ? [keys[index], keys[index + 1]] : [keys[index - 1], keys[index]];
    if (!from || !to) return;
    const way = subtract(to.position, from.position);
    if (Math.hypot(...way) > 1e-6) this.changeKey({ quaternion_wxyz: lookAlong(way) }, index);
  }

  setLoop(on) {
    if (this.path) this.commit(edits.looped(this.path, on));
  }

  setTime(frames, fps) {
    if (!this.path) return;
    this.commit(edits.retimed(this.path, frames, fps));
  }

  /** Replace everything, as a preset or a pasted path does. @param {import("./state.mjs").Path} path */
  replace(path) {
    const { frames, fps } = this.node.time;
    this.selected = 0;
    this.commit(edits.retimed(path, frames, fps), 0);
  }

  // Coming and going

  remember() {
    const { grid, height } = this.snap;
    const { showPhoto, showCloud, showGrid, cut, tool } = this.stage;
    remembered.set(this.node.locator, { view: this.view.save(), snap: { grid, height },
      stage: { showPhoto, showCloud, showGrid, cut, tool }, selected: this.selected });
  }

  recall() {
    const left = /** @type {any} */ (remembered.get(this.node.locator));
    if (!left) return false;
    Object.assign(this.view, left.view);
    Object.assign(this.snap, left.snap);
    Object.assign(this.stage, left.stage);
    this.select(left.selected);
    return true;
  }

  dispose() {
    if (this.disposed) return;
    this.remember();
    this.disposed = true;
    this.stage.scene?.release(this.onScene);
    this.stage.photo?.release(this.onScene);
    this.stage.dispose();
    this.listeners.clear();
  }
}
