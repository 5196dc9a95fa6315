// @ts-check
/** Pointer, wheel, keys and motion sensor. */

import { DIRECTIONS, degreesPerPixel, viewOfDevice, wrapDegrees } from "./view.mjs";

const WHEEL_STEP = 1.0012; // per pixel of scrolling
const KEY_ZOOM = 1.1;
const KEY_TURN = 0.08; // of the angle of view
const SENSOR_MS = 1500; // a sensor that has said nothing by then is not there

/** Screen pixels of an element's own pixel: the graph is scaled by CSS. */
function scaleOf(element) {
  return element.getBoundingClientRect().width / (element.offsetWidth || 1) || 1;
}

let pinchesKept = false;

/** The host zooms the graph by two fingers wherever they are, and listens before any element can: once, for all. */
function keepPinches() {
  if (pinchesKept) return;
  pinchesKept = true;
  const keep = (event) => event.target.closest?.(".p360-stage") && event.stopPropagation();
  window.addEventListener("touchmove", keep, { capture: true, passive: true });
}

/** One pointer turns the view, two pinch. @param {import("./viewer.mjs").Viewer} viewer */
export function listenToPointer(viewer, stage) {
  /** @type {Map<number, [number, number]>} */
  const down = new Map();
  const spread = () => {
    const [a, b] = [...down.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return; // the middle button moves the graph
    event.stopPropagation(); // or the node is dragged; mouseup must pass, the host records its undo step there
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.clientX, event.clientY]);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const pinched = down.size === 2 ? spread() : 0;
    down.set(event.pointerId, [event.clientX, event.clientY]);
    if (pinched) return viewer.zoom(pinched / Math.max(1, spread()));
    const scale = scaleOf(stage);
    const { view, projection } = viewer;
    const step = degreesPerPixel(view, projection, stage.offsetWidth, stage.offsetHeight) / scale;
    viewer.turn((before[0] - event.clientX) * step, (event.clientY - before[1]) * step);
  });
  keepPinches();
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    stage.addEventListener(end, (event) => down.delete(event.pointerId));
  }
}

/** The line between A and B. @param {import("./viewer.mjs").Viewer} viewer */
export function listenToSplit(viewer, handle, stage) {
  handle.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = stage.getBoundingClientRect();
    viewer.setSplit((event.clientX - box.left) / box.width);
  });
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    viewer.setSplit(viewer.split + step);
  });
}

/** The graph keeps the wheel until the viewer was clicked. @param {import("./viewer.mjs").Viewer} viewer */
export function listenToWheel(viewer, panel) {
  panel.stage.addEventListener(
    "wheel",
    (event) => {
      const mine = panel.element.contains(document.activeElement) && !event.ctrlKey && !event.metaKey;
      if (!mine || !event.deltaY) return;
      event.preventDefault();
      event.stopPropagation();
      const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 33 : event.deltaY;
      viewer.zoom(WHEEL_STEP ** pixels);
    },
    { passive: false },
  );
}

/** @param {import("./viewer.mjs").Viewer} viewer */
export function listenToKeys(viewer, panel) {
  const names = Object.keys(DIRECTIONS);
  const turn = (right, up) => () => viewer.turn(right * viewer.view.fov * KEY_TURN, up * viewer.view.fov * KEY_TURN);
  const actions = {
    ArrowLeft: turn(-1, 0),
    ArrowRight: turn(1, 0),
    ArrowUp: turn(0, 1),
    ArrowDown: turn(0, -1),
    "+": () => viewer.zoom(1 / KEY_ZOOM),
    "=": () => viewer.zoom(1 / KEY_ZOOM),
    "-": () => viewer.zoom(KEY_ZOOM),
    " ": () => viewer.togglePlay(),
    f: () => viewer.toggleFull(),
    g: () => viewer.toggleGrid(),
    Home: () => viewer.home(),
    ...Object.fromEntries(names.map((name, index) => [String(index + 1), () => viewer.lookTo(name)])),
  };
  panel.element.addEventListener("keydown", (event) => {
    const elsewhere = event.target.closest("select, input, button");
    const act = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || (elsewhere && event.key !== "f") || event.ctrlKey || event.metaKey || event.altKey) return;
    // The host has shortcuts of its own for some of these keys.
    event.preventDefault();
    event.stopPropagation();
    act();
  });
  // Clicks on controls must not drag the node; the host's undo needs the mouseup, which passes.
  panel.element.addEventListener("pointerdown", (event) => {
    if (event.button === 0) event.stopPropagation();
  });
}

/** Looking around by moving a phone or tablet. */
export class Gyro {
  /** @param {import("./viewer.mjs").Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.active = false;
    this.start = null;
    // Desktop browsers have the event too, and never send it; no browser sends it over plain http, other than from
    // the machine itself.
    const touch = matchMedia("(any-pointer: coarse)").matches;
    this.offered = "DeviceOrientationEvent" in window && isSecureContext && touch;
    this.moved = (event) => this.follow(event);
  }

  /** @returns {Promise<boolean>} false when the user or the device refused, or when no sensor says anything */
  async switchOn() {
    const ask = /** @type {any} */ (DeviceOrientationEvent).requestPermission;
    // Asked within the click: some browsers ask the user only then.
    if (ask && (await ask.call(DeviceOrientationEvent).catch(() => "denied")) !== "granted") return false;
    this.start = null;
    this.active = true;
    window.addEventListener("deviceorientation", this.moved);
    this.viewer.changed();
    await new Promise((done) => setTimeout(done, SENSOR_MS));
    if (!this.active || this.start !== null) return true;
    this.switchOff();
    return false;
  }

  switchOff() {
    this.active = false;
    window.removeEventListener("deviceorientation", this.moved);
  }

  follow({ alpha, beta, gamma }) {
    if (alpha === null || beta === null || gamma === null) return;
    const found = viewOfDevice(alpha, beta, gamma, screen.orientation?.angle ?? 0);
    // Forward is where the device pointed when it was switched on.
    this.start ??= this.viewer.view.yaw - found.yaw;
    this.viewer.setView({ yaw: wrapDegrees(found.yaw + this.start), pitch: found.pitch, roll: found.roll });
  }
}
