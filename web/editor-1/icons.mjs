// @ts-check
/** The editor's icons, drawn for a 16 x 16 box as the viewer's are. */

import { make, rename } from "../viewer-1/dom.mjs";

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  orbit: "M8 2.2l5 2.9v5.8l-5 2.9-5-2.9V5.1zM3 5.1l5 2.9 5-2.9M8 8v5.8",
  top: "M3 3h10v10H3zM8 5.5v5M5.5 8h5",
  side: "M2 12.5h12M4 12.5V6l4-2.5L12 6v6.5",
  front: "M2.5 4h11v8h-11zM8 6.6a1.4 1.4 0 1 0 0 2.8 1.4 1.4 0 0 0 0-2.8z",
  height: "M2 8h12M8 2v3.5M6.3 3.8L8 5.5l1.7-1.7M8 14v-3.5M6.3 12.2L8 10.5l1.7 1.7",
  level: "M2 8h12M4.5 5.5v5M11.5 5.5v5",
  fly: "M2.5 8L13.5 2.5 10 13.5 7.5 9zM7.5 9l6-6.5",
  camera: "M2 5h7.5v6H2zM9.5 7.2L14 4.8v6.4L9.5 8.8",
  move: "M8 1.8v12.4M1.8 8h12.4M6.2 3.6L8 1.8l1.8 1.8M6.2 12.4L8 14.2l1.8-1.8M3.6 6.2L1.8 8l1.8 1.8M12.4 6.2L14.2 8l-1.8 1.8",
  turn: "M13 8a5 5 0 1 1-1.6-3.7M13.2 1.8v3h-3",
  undo: "M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M5.8 3.5L2.8 6.5l3 3",
  redo: "M13 6.5H6.5a3.5 3.5 0 0 0 0 7H10M10.2 3.5l3 3-3 3",
  add: "M8 2.8v10.4M2.8 8h10.4",
  remove: "M3.5 4.5h9M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.7h5.8l.6-8.7",
  duplicate: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  up: "M8 13V3.5M4 7l4-4 4 4",
  down: "M8 3v9.5M4 9l4 4 4-4",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10M6 8h4M8 6v4",
  photo: "M2 3.5h12v9H2zM2 11l3.5-3.5 3 3 2-2L14 11.5M10.8 6.2v.1",
  cloud: "M4 4.2v.1M8 3v.1M12 4.6v.1M3 8v.1M6.5 7v.1M10 8v.1M13.2 9v.1M5 11.5v.1M9 12.4v.1M12 12.2v.1",
  cut: "M3 13V4.5L8 2M3 13h10V6.5M8 2v5M8 7h5M5.5 13V9.5h3V13",
  grid: "M2.5 5.5h11M2.5 10.5h11M5.5 2.5v11M10.5 2.5v11",
  help: "M6 6.2a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.5M8 11.9v.1M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4z",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  paste: "M4 3.5h8v10H4zM6 2.5h4v2H6zM6 7.5h4M6 10h4",
  ahead: "M2 8h8M7.5 5L10.5 8l-3 3M13.5 3v10",
  reverse: "M13 5H4M6.5 2.5L4 5l2.5 2.5M3 11h9M9.5 8.5L12 11l-2.5 2.5",
  file: "M4 2.2h5.5L12.5 5v8.8H4zM9.2 2.2v3h3.2",
  save: "M8 2.5v7M5 7l3 3 3-3M3 13h10",
  play: "M5 3.2v9.6l8-4.8z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  edit: "M3 13l.6-2.8L11 2.8l2.2 2.2-7.4 7.4z",
  warning: "M8 2.5l6 11H2zM8 6.5v3.5M8 11.8v.1",
  path: "M3 12.5c4 0 1-8 5-8s1 7 5 3M3 12.5v.1M13 7.5v.1",
};

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon and perhaps a word. */
export function button(label, name, onclick, word = "") {
  const made = make("button", { type: "button", class: word ? "p360e-wide" : "p360-key", onclick }, icon(name), word);
  rename(made, label);
  return made;
}
