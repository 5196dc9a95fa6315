// @ts-check
/** Making elements, and the icons (drawn for a 16 x 16 box). */

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  play: "M5 3.2v9.6l8-4.8z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  loop: "M3 7a4 4 0 0 1 4-3.5h5.5M10.5 1.5l2 2-2 2M13 9a4 4 0 0 1-4 3.5H3.5M5.5 14.5l-2-2 2-2",
  sound: "M2.5 6.2v3.6h2.3L8 12.5v-9L4.8 6.2zM10.5 5.8a3.2 3.2 0 0 1 0 4.4M12.4 4a5.8 5.8 0 0 1 0 8",
  silent: "M2.5 6.2v3.6h2.3L8 12.5v-9L4.8 6.2zM10.8 6.3l3.4 3.4M14.2 6.3l-3.4 3.4",
  full: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  small: "M6 2.5V6H2.5M13.5 6H10V2.5M10 13.5V10h3.5M2.5 10H6v3.5",
  camera: "M2 5h2.6l1.2-1.8h4.4L11.4 5H14v8H2zM8 11.2a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8z",
  grid: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM2 8h12M8 2c-3.4 3.4-3.4 8.6 0 12M8 2c3.4 3.4 3.4 8.6 0 12",
  device: "M5 5.5h6v8H5zM2.5 6.5A6 6 0 0 1 8 2.5a6 6 0 0 1 5.5 4M13.7 3.8l-.2 2.8-2.7-.6",
  sphere: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM2.3 9.7c3.6 1.6 7.8 1.6 11.4 0M2.3 6.3c3.6-1.6 7.8-1.6 11.4 0M8 2v12",
  warning: "M8 2.5l6 11H2zM8 6.5v3.5M8 11.8v.1",
};

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `on…` are listeners, `text` is the content
 * @param {(Node | string)[]} children
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

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

/** A button with an icon or a letter; its name is said by screen readers and shown as a tooltip. */
export function key(label, content, onclick) {
  const button = make("button", { type: "button", class: "p360-key", onclick }, content);
  rename(button, label);
  return button;
}

export function rename(element, label) {
  element.title = label;
  element.setAttribute("aria-label", label);
}

/** Show another icon on a button, and only when it is another: a replaced one loses the pointer's click. */
export function showIcon(button, name) {
  if (button.dataset.icon === name) return;
  button.dataset.icon = name;
  button.replaceChildren(icon(name));
}

export function select(label, options, onchange) {
  const box = make("select", { onchange: (event) => onchange(event.target.value) });
  rename(box, label);
  for (const [value, shown] of options) box.append(make("option", { value, text: shown }));
  return box;
}

/**
 * Give the user a PNG file among the browser's downloads.
 * @param {number[]} size width and height
 * @param {(context: CanvasRenderingContext2D) => void} draw
 */
export function savePng([width, height], draw, name) {
  const canvas = make("canvas", { width, height });
  draw(canvas.getContext("2d"));
  canvas.toBlob((blob) => {
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}
