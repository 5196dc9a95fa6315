// @ts-check
/** Words of one part of the page, in the host's language where it has them, else in English. */

/** Everything the host has in other languages, asked for once. @type {Promise<Record<string, any>> | null} */
let asked = null;

/**
 * @template {Record<string, string>} English
 * @param {string} part its name under `pantheon360` in the locales
 * @param {English} english
 */
export function wordsOf(part, english) {
  /** @type {Record<string, string>} */
  let translated = {};
  let loaded = "en";

  return {
    /**
     * @param {keyof English & string} key
     * @param {Record<string, string | number>} [values] for the {names} in the text
     */
    text(key, values = {}) {
      const found = translated[key] ?? english[key] ?? key;
      return found.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
    },

    /** Take the words of another language; what it lacks stays English. */
    async useLocale(locale, api) {
      if (locale === loaded || locale === "en") return;
      loaded = locale;
      try {
        asked ??= api.fetchApi("/i18n").then((answer) => (answer.ok ? answer.json() : {}));
        translated = (await asked)[locale]?.pantheon360?.[part] ?? {};
      } catch (error) {
        asked = null;
        console.warn(`Pantheon360: translations could not be loaded; the ${part} stays English.`, error);
      }
    },
  };
}
