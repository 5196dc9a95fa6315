// @ts-check
/** Every word that the editor shows. `locales/en/main.json` may hold the same under `pantheon360.editor`, for
 * translators; other languages are read from the host. */

export const ENGLISH = {
  title: "Camera path",
  open: "Edit path",
  openLong: "Open the path editor",
  overview: "Overview of the camera path. Drag to turn it, double-click to edit the path.",
  play: "Play",
  pause: "Pause",
  summary: "{keys} keyframes · {frames} frames · {seconds} s · {metres} m",
  summaryOne: "1 keyframe · {frames} frames · the camera stands still",
  linked: "The path comes from another node. Disconnect it to edit the path here.",
  linkedTake: "Another node gives the path. Disconnect it, then edit.",
  noKeys: "No keyframes yet. Press Edit path, or choose a ready-made movement above.",
  noKeysInside: "No keyframes yet. Press K to put the first one at the panorama, or start from a ready-made movement.",
  noSize: "This movement has no size: set distance, angle or radius above.",
  betweenUnknown: "The way between the panoramas is known after the cache was built: run the graph once.",
  noCache: "No 3D scene yet. Connect a cache and run the graph to place keyframes in the scene.",
  loading: "Loading the scene …",
  gone: "The server no longer holds this scene. Run the graph again to see it.",
  failed: "The scene could not be loaded ({reason}). Run the graph again, or look at the host's log.",
  noWebGL: "The path editor needs WebGL 2. Switch on hardware acceleration in the browser's settings.",
  unitless: "The scale of the scene is a guess: its metres are not real ones",
  badField: "{field}: expected {expected}, got {got}.",
  missingField: "{field} is missing.",
  unknownField: "{field} is not known. Remove it, or put it into an object named extra.",
  otherVersion: "The path is of version {version}; this editor knows version 1. Update Pantheon360.",
  notJson: "This is not a path: the text is not JSON ({reason}).",
  loopNeedsKeys: "A loop needs at least two keyframes. Add one first.",
  lastKey: "A path keeps at least one keyframe.",
  views: "Views",
  orbit: "Perspective view (1)",
  top: "From above (2)",
  side: "From the side (3)",
  front: "From behind (4)",
  fly: "Fly through the scene (5)",
  camera: "Through the path's camera (6)",
  orbitShort: "3D",
  topShort: "Top",
  sideShort: "Side",
  frontShort: "Front",
  flyShort: "Fly",
  cameraShort: "Camera",
  tools: "Tools",
  move: "Move (M)",
  turn: "Turn (R)",
  snap: "Snap to grid (G)",
  snapOff: "No snap",
  height: "Keep at the panorama's height (V)",
  fit: "Show everything (F)",
  show: "What to show",
  photo: "Photograph (B)",
  cloud: "Points of the scene (P)",
  cut: "Look into rooms from outside (X)",
  grid: "Floor grid (L)",
  undo: "Undo (Ctrl+Z)",
  redo: "Redo (Ctrl+Y)",
  help: "Keys (?)",
  close: "Close (Esc)",
  done: "Done",
  stage: "The scene and the path. Drag keyframes to move them; drag elsewhere to turn the view.",
  keyframes: "Keyframes",
  keyframe: "Keyframe {number}",
  keyRow: "Keyframe {number} at frame {frame}",
  frameOf: "frame {frame}",
  add: "Add a keyframe after the last (K)",
  addHere: "Add keyframe here (K)",
  insert: "Add at the playhead (I)",
  insertShort: "At playhead",
  duplicate: "Duplicate (Ctrl+D)",
  remove: "Delete (Del)",
  up: "Earlier (Shift+[)",
  down: "Later (Shift+])",
  x: "Right, m (x)",
  y: "Up, m (−y)",
  z: "Forward, m (z)",
  yaw: "Yaw, ° (right)",
  pitch: "Pitch, ° (up)",
  roll: "Roll, ° (↻)",
  frame: "Frame",
  easing: "Easing to the next",
  linear: "Even",
  ease_in: "Start softly",
  ease_out: "End softly",
  ease_in_out: "Softly",
  ahead: "Look along the path",
  level: "Level the camera",
  levelShort: "Level",
  aheadShort: "Look ahead",
  nothing: "Click a keyframe to change it.",
  pathSection: "Path",
  frames: "Frames",
  fps: "Frames per second",
  spline: "Positions",
  catmull_rom: "Curve",
  straight: "Straight",
  orientation: "Turns",
  squad: "Smooth",
  slerp: "Even from key to key",
  constant: "Constant speed",
  loop: "Loop",
  preset: "Ready-made movement",
  presetFirst: "Start from …",
  reverse: "Reverse the path",
  copy: "Copy the path (Ctrl+C)",
  paste: "Paste a path (Ctrl+V)",
  copied: "The path is in the clipboard.",
  noClipboard: "The browser does not allow the clipboard here. Use Ctrl+C and Ctrl+V.",
  importFile: "Open a file with a path",
  exportFile: "Save the path as a file",
  imported: "{name}: {keys} keyframes.",
  importFailed: "{name} could not be read: {reason}",
  exportFailed: "The path could not be saved: {reason}",
  format: "File format",
  scrub: "What the scaffold shows",
  flyHint: "WASD to move, Q and E down and up, drag to look, wheel for speed ({speed} m/s), K to add a keyframe",
  orbitHint: "Drag: turn view · right button: move view · wheel: zoom · drag a keyframe: over the ground, with Shift upwards",
  flatHint: "Drag: move view · wheel: zoom · drag a keyframe to move it",
  cameraHint: "What the camera sees at frame {frame}",
  helpTitle: "Keys and mouse",
};

/** Words asked for by a name that is put together. */
export const COMPOSED = [
  "orbit", "top", "side", "front", "fly", "camera", "orbitShort", "topShort", "sideShort", "frontShort",
  "flyShort", "cameraShort", "move", "turn", "linear", "ease_in", "ease_out", "ease_in_out", "catmull_rom", "straight",
  "squad", "slerp", "photo", "cloud", "cut", "grid", "x", "y", "z", "yaw", "pitch", "roll", "badField", "missingField",
  "unknownField", "otherVersion", "notJson", "loopNeedsKeys", "gone", "failed", "loading", "play", "pause", "linked", "betweenUnknown", "noSize", "noKeys",
];

/** Keys and what they do, for the help. */
export const KEYS = [
  ["1 … 6", "Perspective, top, side, behind, fly, camera"],
  ["K", "Add a keyframe: where you fly, else after the last"],
  ["I", "Add a keyframe at the playhead"],
  ["Del", "Delete the keyframe"],
  ["Ctrl D", "Duplicate the keyframe"],
  ["[  ]", "Previous, next keyframe"],
  ["Shift [  ]", "Move the keyframe earlier or later in the order"],
  ["M  R", "Move, turn"],
  ["Arrows", "Nudge the keyframe over the ground; Page up and down: its height"],
  ["G  V", "Snap to the grid; keep the height"],
  ["F", "Show everything; twice: the keyframe"],
  ["B  P  X  L", "Photograph, points, look into rooms, floor grid"],
  [",  .", "One frame back, forward"],
  ["Space", "Play, pause"],
  ["W A S D  Q E", "Fly: forward, left, back, right, down, up; Shift is faster"],
  ["Ctrl Z  Ctrl Y", "Undo, redo"],
  ["Ctrl C  Ctrl V", "Copy, paste the path as JSON"],
  ["Esc", "Stop the drag; close"],
];

/** @type {Record<string, string>} */
let translated = {};
let loaded = "en";

/**
 * @param {string} key of ENGLISH
 * @param {Record<string, string | number>} [values] for the {names} in the text
 */
export function text(key, values = {}) {
  const found = translated[key] ?? ENGLISH[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Load the words of another language once; what it lacks stays English. */
export async function useLocale(locale, api) {
  if (locale === loaded || locale === "en") return;
  loaded = locale;
  try {
    const answer = await api.fetchApi("/i18n");
    const all = answer.ok ? await answer.json() : {};
    translated = all[locale]?.pantheon360?.editor ?? {};
  } catch (error) {
    console.warn("Pantheon360: translations could not be loaded; the editor stays English.", error);
  }
}
