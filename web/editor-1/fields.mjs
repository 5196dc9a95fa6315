// @ts-check
/** Beside the stage: the keyframes in order, the numbers of the selected one, and the path's own settings. */

import { make, rename } from "../viewer-1/dom.mjs";
import { RAD, fromAngles, toAngles } from "./math.mjs";
import { exportPath, formats, importPath } from "./files.mjs";
import { button } from "./icons.mjs";
import { PRESETS } from "./presets.mjs";
import * as edits from "./state.mjs";
import { text } from "./strings.mjs";
import { summaryOf } from "./summary.mjs";

const POSITION = ["x", "y", "z"];
const ANGLES = ["yaw", "pitch", "roll"];

/** A number with its name above it. */
function numberField(label, options, onchange) {
  const input = make("input", { type: "number", ...options });
  input.addEventListener("change", () => {
    const value = Number(input.value);
    if (input.value !== "" && Number.isFinite(value)) onchange(value);
  });
  rename(input, label);
  return { element: make("label", { class: "p360e-field" }, label, input), input };
}

function choiceField(label, options, onchange) {
  const input = make("select", { onchange: (event) => onchange(event.target.value) });
  rename(input, label);
  for (const [value, shown] of options) input.append(make("option", { value, text: shown }));
  return { element: make("label", { class: "p360e-field" }, label, input), input };
}

function checkField(label, onchange) {
  const input = make("input", { type: "checkbox", onchange: () => onchange(input.checked) });
  return { element: make("label", { class: "p360e-check" }, input, label), input };
}

/** Write a value unless the user is typing another. */
function put(input, value) {
  if (input !== document.activeElement || input.type === "checkbox" || input.tagName === "SELECT") {
    if (input.type === "checkbox") input.checked = value;
    else input.value = String(value);
  } else if (Number(input.value) !== Number(value) && input.dataset.typing !== "true") input.value = String(value);
}

const shown = (value, digits) => String(Math.round(value * 10 ** digits) / 10 ** digits + 0);

export class Fields {
  /** @param {import("./dialog.mjs").Dialog} dialog */
  constructor(dialog) {
    this.dialog = dialog;
    this.editor = dialog.editor;
    this.dragged = -1;
    this.scrolled = -1;
    this.sections = [this.makeList(), this.makeKey(), this.makePath()];
    for (const section of this.sections) {
      section.addEventListener("input", (event) => (event.target.dataset.typing = "true"));
      section.addEventListener("change", (event) => delete event.target.dataset.typing);
    }
  }

  makeList() {
    const { editor, dialog } = this;
    this.list = make("ol", { class: "p360e-list" });
    this.remove = button(text("remove"), "remove", () => dialog.remove());
    this.copyKey = button(text("duplicate"), "duplicate", () => editor.duplicateKey());
    this.earlier = button(text("up"), "up", () => editor.reorderKey(editor.selected, editor.selected - 1));
    this.later = button(text("down"), "down", () => editor.reorderKey(editor.selected, editor.selected + 1));
    const add = button(text("add"), "add", () => editor.addKey());
    const head = make("h3", {}, text("keyframes"), add, this.copyKey, this.remove, this.earlier, this.later);
    this.insert = button(text("insert"), "add", () => editor.addKey("playhead"), text("insertShort"));
    return make("section", { "aria-label": text("keyframes") }, head, this.list, make("div", { class: "p360e-row" }, this.insert));
  }

  makeKey() {
    const { editor } = this;
    this.nothing = make("p", { class: "p360e-dim", text: text("nothing") });
    this.title = make("h3", {});
    this.position = POSITION.map((name, axis) =>
      numberField(text(name), { step: 0.05 }, (value) => this.setPosition(axis, value)));
    this.angles = ANGLES.map((name, axis) => numberField(text(name), { step: 1 }, (value) => this.setAngle(axis, value)));
    this.frame = numberField(text("frame"), { min: 0, step: 1 }, (frame) =>
      editor.path && editor.edit((path) => edits.timeKey(path, editor.selected, path.keyframes[0].t + frame / path.fps)));
    this.easing = choiceField(text("easing"), edits.EASINGS.map((one) => [one, text(one)]), (easing) => editor.changeKey({ easing }));
    const ahead = button(text("ahead"), "ahead", () => editor.lookAhead(), text("aheadShort"));
    const level = button(text("level"), "level", () => this.setAngles((yaw) => [yaw, 0, 0]), text("levelShort"));
    this.keyBox = make("div", { class: "p360e-fields" }, ...[...this.position, ...this.angles].map((one) => one.element));
    this.timeBox = make("div", { class: "p360e-fields p360e-two" }, this.frame.element, this.easing.element);
    this.turnBox = make("div", { class: "p360e-row" }, ahead, level);
    return make("section", { "aria-label": text("keyframe", { number: "" }) }, this.title, this.nothing, this.keyBox, this.timeBox, this.turnBox);
  }

  makePath() {
    const { editor, dialog } = this;
    const change = (part) => editor.path && editor.commit({ ...editor.path, ...part });
    this.frames = numberField(text("frames"), { min: 1, max: 1000, step: 1 }, (frames) =>
      editor.setTime(Math.min(1000, Math.max(1, Math.round(frames))), editor.path?.fps));
    this.fps = numberField(text("fps"), { min: 0.1, max: 120, step: 0.1 }, (fps) =>
      editor.setTime(editor.path?.frames, Math.min(120, Math.max(0.1, fps))));
    this.spline = choiceField(text("spline"), [["catmull_rom", text("catmull_rom")], ["linear", text("straight")]], (spline) => change({ spline }));
    this.orientation = choiceField(text("orientation"), edits.ORIENTATIONS.map((one) => [one, text(one)]), (orientation) => change({ orientation }));
    this.constant = checkField(text("constant"), (on) => change({ constant_speed: on }));
    this.loop = checkField(text("loop"), (on) => {
      dialog.attempt(() => editor.setLoop(on));
      this.refresh();
    });
    this.preset = make("select", { onchange: () => this.usePreset() });
    rename(this.preset, text("preset"));
    this.preset.append(make("option", { value: "", text: text("presetFirst") }), ...PRESETS.map((one) => make("option", { value: one, text: one })));
    this.summary = make("p", { class: "p360e-dim" });
    this.format = make("select", {});
    rename(this.format, text("format"));
    for (const [value, title] of formats()) this.format.append(make("option", { value, text: title }));
    this.file = make("input", { type: "file", hidden: true, onchange: () => importPath(dialog, this.file) });
    const tools = make("div", { class: "p360e-row" }, this.preset,
      button(text("reverse"), "reverse", () => editor.edit(edits.reversed)),
      button(text("copy"), "copy", () => dialog.copy()), button(text("paste"), "paste", () => dialog.paste()));
    const files = make("div", { class: "p360e-row" }, this.format,
      button(text("importFile"), "file", () => this.file.click()),
      button(text("exportFile"), "save", () => exportPath(dialog, this.format.value)), this.file);
    const grid = make("div", { class: "p360e-fields p360e-two" }, ...[this.frames, this.fps, this.spline, this.orientation].map((one) => one.element));
    const checks = make("div", { class: "p360e-row", style: "gap: 16px" }, this.constant.element, this.loop.element);
    return make("section", { "aria-label": text("pathSection") }, make("h3", { text: text("pathSection") }), this.summary, grid, checks, tools, files);
  }

  usePreset() {
    const { editor } = this;
    const path = editor.node.readPreset(this.preset.value);
    this.preset.value = "";
    if (path) editor.replace(path);
    else this.dialog.say(text("noSize"));
  }

  setPosition(axis, value) {
    const { key } = this.editor;
    if (!key) return;
    const position = [...key.position];
    position[axis] = axis === 1 ? -value : value;
    this.editor.changeKey({ position });
  }

  setAngles(make) {
    const { key } = this.editor;
    if (!key) return;
    const [yaw, pitch, roll] = make(...toAngles(key.quaternion_wxyz));
    this.editor.changeKey({ quaternion_wxyz: fromAngles(yaw, pitch, roll) });
  }

  setAngle(axis, degrees) {
    this.setAngles((...angles) => angles.map((one, i) => (i === axis ? degrees * RAD : one)));
  }

  refresh() {
    const { path, key, selected } = this.editor;
    this.refreshList();
    const count = path?.keyframes.length ?? 0;
    this.remove.disabled = !key || count < 2;
    this.copyKey.disabled = !key;
    this.earlier.disabled = selected < 1;
    this.later.disabled = selected < 0 || selected >= count - 1;
    this.insert.disabled = count < 2;
    for (const one of [this.title, this.keyBox, this.timeBox, this.turnBox]) one.hidden = !key;
    this.nothing.hidden = Boolean(key) || !path;
    if (key && path) this.refreshKey(path, key, selected);
    const ready = Boolean(path);
    for (const { input } of [this.frames, this.fps, this.spline, this.orientation, this.constant, this.loop]) input.disabled = !ready;
    this.frames.input.disabled ||= this.editor.node.linked("frames");
    this.fps.input.disabled ||= this.editor.node.linked("fps");
    if (!path) return void (this.summary.textContent = "");
    put(this.frames.input, path.frames);
    put(this.fps.input, path.fps);
    put(this.spline.input, path.spline);
    put(this.orientation.input, path.orientation);
    put(this.constant.input, path.constant_speed);
    put(this.loop.input, path.loop);
    this.summary.textContent = summaryOf(path, this.editor.stage.poses.positions);
  }

  refreshKey(path, key, selected) {
    this.title.textContent = text("keyframe", { number: selected + 1 });
    key.position.forEach((value, axis) => put(this.position[axis].input, shown(axis === 1 ? -value : value, 3)));
    toAngles(key.quaternion_wxyz).forEach((value, axis) => put(this.angles[axis].input, shown(value / RAD, 2)));
    put(this.frame.input, shown((key.t - path.keyframes[0].t) * path.fps, 2));
    this.frame.input.disabled = selected === 0 || selected === path.keyframes.length - 1;
    put(this.easing.input, key.easing);
    this.easing.input.disabled = selected === path.keyframes.length - 1;
  }

  refreshList() {
    const { path, selected } = this.editor;
    const keys = path?.keyframes ?? [];
    while (this.list.children.length > keys.length) this.list.lastChild.remove();
    while (this.list.children.length < keys.length) this.list.append(this.makeRow(this.list.children.length));
    keys.forEach((key, i) => {
      const row = this.list.children[i].firstChild;
      const frame = shown((key.t - keys[0].t) * (path?.fps ?? 1), 1);
      const [x, y, z] = key.position.map((one) => one.toFixed(2));
      const content = `${shown(Number(x), 2)}  ${shown(-Number(y), 2)}  ${shown(Number(z), 2)}`;
      row.setAttribute("aria-current", String(i === selected));
      const label = text("keyRow", { number: i + 1, frame });
      if (row.getAttribute("aria-label") === label && row.children[1].textContent === content) return;
      row.setAttribute("aria-label", label);
      row.replaceChildren(make("b", { text: String(i + 1) }), make("span", { text: content }), make("span", { text: text("frameOf", { frame }) }));
    });
    this.scrollToSelected(selected);
  }

  /** A keyframe chosen in the scene is seen in the list too. */
  scrollToSelected(selected) {
    if (selected === this.scrolled) return;
    this.scrolled = selected;
    this.list.children[selected]?.scrollIntoView({ block: "nearest" });
  }

  makeRow(index) {
    const { editor } = this;
    const row = make("button", { type: "button", draggable: "true", onclick: () => editor.select(index) });
    const item = make("li", {}, row);
    row.addEventListener("dragstart", (event) => {
      this.dragged = index;
      event.dataTransfer.effectAllowed = "move";
    });
    row.addEventListener("dragover", (event) => {
      if (this.dragged < 0) return;
      event.preventDefault();
      row.classList.add("p360e-drop");
    });
    for (const end of ["dragleave", "drop", "dragend"]) row.addEventListener(end, () => row.classList.remove("p360e-drop"));
    row.addEventListener("drop", (event) => {
      event.preventDefault();
      if (this.dragged >= 0) editor.reorderKey(this.dragged, index);
      this.dragged = -1;
    });
    return item;
  }
}
