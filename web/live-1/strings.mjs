// @ts-check
/** Every word of the live previews. Other languages are read from the host, under `pantheon360.live`. */

export const ENGLISH = {
  step: "Step {step} of {steps}",
  window: "Window {window} of {windows}",
  frame: "frame {frame} of {of}",
  ended: "Last preview",
};

/** @type {Record<string, string>} */
let translated = {};
let loaded = "en";

/**
 * @param {keyof typeof ENGLISH} key
 * @param {Record<string, string | number>} [values] for the {names} in the text
 */
export function text(key, values = {}) {
  const found = translated[key] ?? ENGLISH[key];
  return found.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Load the words of another language once; what it lacks stays English. */
export async function useLocale(locale, api) {
  if (locale === loaded || locale === "en") return;
  loaded = locale;
  try {
    const answer = await api.fetchApi("/i18n");
    const all = answer.ok ? await answer.json() : {};
    translated = all[locale]?.pantheon360?.live ?? {};
  } catch (error) {
    console.warn("Pantheon360: translations could not be loaded; the previews stay English.", error);
  }
}
