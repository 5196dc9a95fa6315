// @ts-check
/** The looks of the time line and of the scaffold's picture; colours and controls are the viewer's. */

import { addStyle as addViewerStyle } from "../viewer-1/style.mjs";

const SHEET = `
.p360.p360-time-line { height: auto; gap: 4px; user-select: none; }
.p360-time-line .p360-read { color: var(--p360-dim); font-variant-numeric: tabular-nums; white-space: nowrap; }
.p360-time-line .p360-read strong { color: var(--p360-text); font-weight: 600; }
.p360-time-line .p360-warn { display: inline-flex; align-items: center; gap: 4px; color: var(--p360-warn); }
.p360 { --p360-warn: var(--error-text, #f44); }
.p360-track { position: relative; height: 58px; border-radius: 8px; background: var(--p360-field); cursor: pointer;
  touch-action: none; outline: none; overflow: clip; }
.p360-track:focus-visible { outline: 2px solid var(--p360-accent); outline-offset: -2px; }
.p360-track canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.p360-head { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: var(--p360-text);
  pointer-events: none; }
.p360-head::before { content: ""; position: absolute; left: -4px; top: 0; border: 5px solid transparent;
  border-top-color: var(--p360-text); }
.p360 button.p360-diamond { position: absolute; top: 19px; width: 18px; height: 18px; margin-left: -9px; padding: 0;
  border: 0; background: none; cursor: ew-resize; outline: none; touch-action: none; }
.p360 button.p360-diamond[aria-disabled="true"] { cursor: pointer; }
.p360-diamond::before { content: ""; position: absolute; left: 4px; top: 4px; width: 10px; height: 10px;
  transform: rotate(45deg); border-radius: 2px; background: var(--p360-dim);
  box-shadow: 0 0 0 1.5px var(--p360-field); }
.p360-diamond:hover::before { background: var(--p360-text); }
.p360-diamond[aria-pressed="true"]::before { background: var(--p360-accent); }
.p360 button.p360-diamond:focus-visible { outline: none; }
.p360-diamond:focus-visible::before { box-shadow: 0 0 0 2px var(--p360-field), 0 0 0 3.5px var(--p360-accent); }
.p360 button.p360-easing { position: absolute; top: 19px; width: 20px; height: 18px; margin-left: -10px; padding: 0;
  border: 0; border-radius: 4px; background: none; color: var(--p360-dim); cursor: pointer; }
.p360 button.p360-easing:hover { background: var(--p360-hover); color: var(--p360-text); }
.p360 .p360-easing svg { width: 14px; height: 14px; vertical-align: middle; }
.p360 button.p360-easing[data-easing="linear"] { opacity: 0.45; }
.p360-scaffold .p360-label { max-width: calc(100% - 16px); white-space: pre-wrap; }
.p360-stage .p360-left.p360-low { background: color-mix(in srgb, var(--p360-warn) 70%, black); }
`;

/** Put both sheets into the page, once. */
export function addStyle() {
  addViewerStyle();
  if (document.getElementById("pantheon360-scrub-style")) return;
  const style = document.createElement("style");
  style.id = "pantheon360-scrub-style";
  style.textContent = SHEET;
  document.head.append(style);
}
