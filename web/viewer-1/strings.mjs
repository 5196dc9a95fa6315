// @ts-check
/** Every word that the viewer shows. `locales/en/main.json` has the same words for translators (a test compares);
 * other languages are read from the host, under `pantheon360.viewer`. */

export const ENGLISH = {
  empty: "Run the graph to see the panorama here.",
  loading: "Loading …",
  gone: "The file of this result is gone. Run the graph again to see it.",
  failed: "The picture could not be read ({reason}). Run the graph again, or look at the host's log.",
  unplayable: "This browser cannot play the video. Save it as h264, which plays everywhere.",
  noWebGL: "The viewer needs WebGL 2. Switch on hardware acceleration in the browser's settings.",
  lostWebGL: "The graphics driver was reset. The picture comes back when it is ready.",
  stage: "360° view. Drag or use the arrow keys to look around, plus and minus to zoom.",
  where: "yaw {yaw}°  pitch {pitch}°  view {fov}°",
  hint: "Click, then scroll to zoom",
  views: "Views",
  front: "Look to the front (1)",
  right: "Look to the right (2)",
  back: "Look back (3)",
  left: "Look to the left (4)",
  up: "Look up (5)",
  down: "Look down (6)",
  frontShort: "F",
  rightShort: "R",
  backShort: "B",
  leftShort: "L",
  upShort: "U",
  downShort: "D",
  projection: "Projection",
  rectilinear: "Perspective",
  planet: "Little planet",
  flat: "Flat (2:1)",
  grid: "Grid every 30° (G)",
  compare: "What to compare",
  wipe: "A | B",
  onlyLeft: "Only A",
  onlyRight: "Only B",
  split: "Where A ends and B begins",
  gyro: "Look around by moving the device",
  gyroDenied: "The device did not allow its motion sensor to be read.",
  snapshot: "Save this view as a PNG file",
  enter: "Full screen (F)",
  leave: "Leave full screen (F or Esc)",
  play: "Play (space)",
  pause: "Pause (space)",
  scrub: "Position in the video",
  speed: "Speed",
  loop: "Repeat",
  mute: "Mute",
  unmute: "Sound on",
  dialog: "360° view in full screen",
};

/** @type {Record<string, string>} */
let translated = {};
let loaded = "en";

/**
 * @param {keyof typeof ENGLISH} key
 * @param {Record<string, string>} [values] for the {names} in the text
 */
export function text(key, values = {}) {
  const found = translated[key] ?? ENGLISH[key];
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Load the words of another language once; what it lacks stays English. */
export async function useLocale(locale, api) {
  if (locale === loaded || locale === "en") return;
  loaded = locale;
  try {
    const answer = await api.fetchApi("/i18n");
    const all = answer.ok ? await answer.json() : {};
    translated = all[locale]?.pantheon360?.viewer ?? {};
  } catch (error) {
    console.warn("Pantheon360: translations could not be loaded; the viewer stays English.", error);
  }
}
