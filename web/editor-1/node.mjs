// @ts-check
/** The node's widgets as one thing, what is connected to it, and the host's undo. */

import { presetPath, PRESETS } from "./presets.mjs";
import { PathError, readPath, retimed, writePath } from "./state.mjs";
import { RAD, fromAngles, inverse, multiply, quaternionOf } from "./math.mjs";

export const FROM_JSON = "keyframes";
export const BETWEEN = "between panoramas";
const AS_GIVEN = "as given";
const STORED = ["path", "frames", "fps", "keyframes", "spline", "constant_speed"];

/**
 * @typedef {{path: import("./state.mjs").Path | null, source: "keyframes" | "preset" | "between" | "linked",
 *   problem: PathError | null}} Reading what the node would run
 */

export class PathNode {
  /** @param {any} node @param {{app: any, api: any, locatorOf: (node: any) => string, find: (locator: string) => any}} host */
  constructor(node, host) {
    this.node = node;
    this.host = host;
    this.locator = host.locatorOf(node);
  }

  widget(name) {
    return this.node.widgets?.find((one) => one.name === name);
  }

  value(name) {
    return this.widget(name)?.value;
  }

  /** Does another node give this value? */
  linked(name) {
    return this.node.inputs?.some((one) => (one.widget?.name ?? one.name) === name && one.link != null) ?? false;
  }

  /** The widgets that an edit touches. */
  values() {
    return Object.fromEntries(STORED.map((name) => [name, this.value(name)]));
  }

  get time() {
    return { frames: Math.max(1, Math.round(this.value("frames") ?? 14)), fps: Number(this.value("fps")) || 7 };
  }

  /** The path that a run would take, as far as the page can know. @returns {Reading} */
  read(anchors = []) {
    const mode = this.value("path");
    if (this.linked("path")) return { path: null, source: "linked", problem: null };
    if (mode === FROM_JSON) return this.readKeyframes();
    const path = mode === BETWEEN ? this.readBetween(anchors) : this.readPreset(mode);
    return { path: path && this.overridden(path), source: mode === BETWEEN ? "between" : "preset", problem: null };
  }

  readKeyframes() {
    if (this.linked("keyframes")) return { path: null, source: /** @type {const} */ ("linked"), problem: null };
    const source = /** @type {const} */ ("keyframes");
    const text = String(this.value("keyframes") ?? "").trim();
    if (!text) return { path: null, source, problem: null };
    try {
      const { frames, fps } = this.time;
      return { path: this.overridden(retimed(readPath(text), frames, fps)), source, problem: null };
    } catch (error) {
      if (error instanceof PathError) return { path: null, source, problem: error };
      throw error;
    }
  }

  readPreset(mode) {
    if (!PRESETS.includes(mode)) return null;
    const angle = Number(this.value("angle_deg"));
    return presetPath(mode, {
      ...this.time,
      distance: Number(this.value("distance")),
      angle: angle ? angle * RAD : null,
      radius: Number(this.value("radius")),
      easing: this.value("easing"),
    });
  }

  readBetween(anchors) {
    if (anchors.length < 2) return null;
    const { frames, fps } = this.time;
    const step = frames > 1 ? (frames - 1) / fps / (anchors.length - 1) : 1;
    const keyframes = anchors.map(({ position, quaternion_wxyz }, i) => ({
      t: i * step, position, quaternion_wxyz, easing: this.value("easing"),
    }));
    return {
      fps, frames, spline: /** @type {const} */ ("catmull_rom"), orientation: /** @type {const} */ ("squad"),
      constant_speed: false, loop: false, keyframes,
    };
  }

  /** With what the node's own widgets say above the path. */
  overridden(path) {
    const spline = this.value("spline");
    return {
      ...path,
      spline: !spline || spline === AS_GIVEN ? path.spline : spline,
      constant_speed: Boolean(path.constant_speed || this.value("constant_speed")),
    };
  }

  /** The widgets' values for an edited path. */
  valuesOf(path) {
    return {
      path: FROM_JSON, frames: path.frames, fps: path.fps, keyframes: writePath(path), spline: AS_GIVEN,
      constant_speed: false,
    };
  }

  /** Set widgets as a user would, and tell the host's undo that this was one step. */
  write(values) {
    let changed = false;
    for (const [name, value] of Object.entries(values)) {
      const widget = this.widget(name);
      if (!widget || widget.value === value || this.linked(name)) continue;
      widget.value = value;
      widget.callback?.(value, this.host.app.canvas, this.node);
      changed = true;
    }
    if (!changed) return;
    this.node.graph?.setDirtyCanvas?.(true, true);
    this.capture();
  }

  get tracker() {
    return this.host.app.extensionManager?.workflow?.activeWorkflow?.changeTracker ?? null;
  }

  capture() {
    const { tracker } = this;
    if (tracker?.captureCanvasState) tracker.captureCanvasState();
    else tracker?.checkState?.();
  }

  /** One step of the host's undo. The node is another one afterwards. @param {"undo" | "redo"} way */
  async travel(way) {
    await this.tracker?.[way]?.();
    const found = this.host.find(this.locator);
    if (found) this.node = found;
    return Boolean(found);
  }

  /** The key of the newest cache: of the node that builds it, or the one this node's last run had. */
  get cacheKey() {
    const { host, node } = this;
    const keyOf = (one) => host.app.nodeOutputs?.[host.locatorOf(one)]?.pantheon_cache?.[0]?.key ?? null;
    const slot = node.inputs?.findIndex((one) => one.name === "cache") ?? -1;
    if (slot < 0 || node.inputs[slot].link == null) return null;
    const source = node.getInputNode?.(slot);
    return (source && keyOf(source)) ?? keyOf(node);
  }

  /**
   * The photograph that the graph starts from: its address, and how the file's camera was turned in the world. What
   * the file itself says about that (level_by_file) is known only to the server.
   * @returns {{url: string, turn: number[]} | null}
   */
  get photo() {
    const { app, api } = this.host;
    const found = this.upstream("LoadPanorama") ?? app.graph?.nodes?.find((one) => typeOf(one) === "LoadPanorama");
    const name = found?.widgets?.find((one) => one.name === "image")?.value;
    if (typeof name !== "string" || !name) return null;
    const [, path, folder = "input"] = /^(.*?)(?: \[(\w+)\])?$/.exec(name) ?? [];
    const cut = path.lastIndexOf("/");
    const query = new URLSearchParams({
      filename: path.slice(cut + 1), subfolder: path.slice(0, Math.max(0, cut)), type: folder,
    });
    const angle = (one) => RAD * (Number(found.widgets.find((widget) => widget.name === one)?.value) || 0);
    const turn = multiply(inverse(fromAngles(angle("yaw_deg"), 0, 0)), fromAngles(0, angle("pitch_deg"), angle("roll_deg")));
    return { url: api.apiURL(`/view?${query}`), turn };
  }

  /** The first node of a kind that this one depends on. */
  upstream(type) {
    const seen = new Set();
    const waiting = [this.node];
    while (waiting.length) {
      const node = waiting.shift();
      if (!node || seen.has(node)) continue;
      seen.add(node);
      if (typeOf(node) === type) return node;
      node.inputs?.forEach((input, slot) => input.link != null && waiting.push(node.getInputNode?.(slot)));
    }
    return null;
  }
}

const typeOf = (node) => node.comfyClass ?? node.type;

/** Pose of a camera given by a 4x4 matrix, row by row. */
export function poseOfMatrix(m) {
  return {
    position: [m[3], m[7], m[11]],
    quaternion_wxyz: quaternionOf([m.slice(0, 3), m.slice(4, 7), m.slice(8, 11)]),
  };
}
