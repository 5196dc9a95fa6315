// @ts-check
/** Every word of the live previews. Other languages are read from the host, under `pantheon360.live`. */

import { wordsOf } from "../viewer-1/words.mjs";

export const ENGLISH = {
  step: "Step {step} of {steps}",
  window: "Window {window} of {windows}",
  frame: "frame {frame} of {of}",
  ended: "Last preview",
};

export const { text, useLocale } = wordsOf("live", ENGLISH);
