// @ts-check
/** Every word of the time line and of the scaffold's picture. `locales/en/main.json` has them for translators, under
 * `pantheon360.scrub`; other languages are read from the host. */

import { wordsOf } from "../viewer-1/words.mjs";

export const ENGLISH = {
  timeline: "Time line. Arrow keys move by a frame, page up and down to the next keyframe, space plays.",
  play: "Play (space)",
  pause: "Pause (space)",
  loop: "Repeat",
  frame: "frame {frame} of {frames}, {seconds} s",
  seconds: "{seconds} s",
  keyframe: "Keyframe {number} of {count} at frame {frame}. Arrow left and right move it in time, delete removes it.",
  keyframeFixed: "Keyframe {number} of {count}, an end of the path.",
  keyframeEven: "Keyframe {number} of {count} at frame {frame}. At constant speed that follows from the way to it.",
  easing: "Easing after keyframe {number}: {easing}. Press to change.",
  linear: "even",
  ease_in: "starts softly",
  ease_out: "ends softly",
  ease_in_out: "starts and ends softly",
  coverage: "{percent} % covered",
  coverageRange: "{least} to {most} % covered",
  nearest: "nearest surface {distance} {unit}",
  near: "Too near the scene in frame {frames}: nearer than {minimum} {unit}.",
  nearShort: "too near: {frames}",
  hover: "frame {frame}: {coverage}",
  computing: "computing …",
  stage: "The scaffold seen from the path. Drag or use the arrow keys to look around, plus and minus to zoom.",
  projection: "Projection",
  flat: "Flat (2:1)",
  rectilinear: "Perspective",
  heat: "Show what is missing (H)",
  noCache: "Run the graph once: then the scaffold is seen here along the path, before anything is generated.",
  noPath: "Add a keyframe: then the scaffold is seen here along the path.",
  waiting: "The scaffold is being made ready. The first time on a machine this takes up to a minute.",
  gone: "The server no longer holds this scene. Run the graph again.",
  noWebGL: "The picture needs WebGL 2. Switch on hardware acceleration in the browser's settings.",
};

export const { text, useLocale } = wordsOf("scrub", ENGLISH);
