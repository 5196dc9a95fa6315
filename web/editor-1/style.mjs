// @ts-check
/** The editor's looks, on top of the viewer's sheet: the host's own colours, in every palette. */

import { addStyle as addViewerStyle } from "../viewer-1/style.mjs";

const SHEET = `
.p360e-dialog { width: min(1680px, calc(100vw - 32px)); height: min(1080px, calc(100vh - 32px)); max-width: none;
  max-height: none; padding: 0; border: 1px solid var(--border-color, #4e4e4e); border-radius: 12px; overflow: hidden;
  background: var(--comfy-menu-bg, #171718); box-shadow: 0 16px 60px rgb(0 0 0 / 0.5); }
.p360e-dialog::backdrop { background: rgb(0 0 0 / 0.55); }
.p360e { --p360-stage: var(--comfy-menu-bg, #1b1b1d); gap: 0; }
.p360e-dialog .p360e { font-size: 13px; }
.p360e-head { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; padding: 8px 10px;
  border-bottom: 1px solid var(--p360-line); }
.p360e-head h2 { margin: 0 6px 0 2px; font-size: 14px; font-weight: 600; }
.p360 .p360e-tabs button.p360-key { width: auto; padding: 0 9px; gap: 5px; height: 28px; font-size: 12px; }
.p360e-head button.p360-key, .p360e-head select { height: 28px; min-width: 28px; }
.p360 .p360e-tabs button[aria-pressed="true"] { background: color-mix(in srgb, var(--p360-accent) 22%, transparent); }
.p360e-body { display: flex; flex: 1 1 0; min-height: 0; }
.p360e-main { display: flex; flex-direction: column; flex: 1 1 0; min-width: 0; }
.p360 .p360e-stage { border-radius: 0; background: var(--p360-stage); cursor: default; }
.p360 .p360e-stage:active { cursor: default; }
.p360 .p360e-stage.p360e-over { cursor: grab; } .p360 .p360e-stage.p360e-drag { cursor: grabbing; }
/* Over a photograph, words need a ground of their own. */
.p360e-stage .p360-note p { padding: 6px 12px; border-radius: 8px; background: rgb(0 0 0 / 0.66); color: #fff; }
.p360e-stage .p360-note svg { display: none; }
.p360e-note { position: absolute; left: 50%; bottom: 44px; transform: translateX(-50%); max-width: 80%; margin: 0;
  padding: 7px 12px; border-radius: 8px; background: rgb(0 0 0 / 0.7); color: #fff; text-align: center;
  text-wrap: balance; pointer-events: none; }
.p360e-hint { position: absolute; left: 10px; right: 10px; bottom: 10px; width: fit-content; max-width: calc(100% - 20px);
  margin: 0 auto; padding: 3px 9px; border-radius: 6px; background: rgb(0 0 0 / 0.5); color: #fff; font-size: 11.5px;
  pointer-events: none; text-align: center; }
.p360e-scene { position: absolute; left: 10px; top: 10px; padding: 3px 9px; border-radius: 6px; color: #fff;
  background: rgb(0 0 0 / 0.5); font-size: 11.5px; pointer-events: none; max-width: 60%; }
.p360e-here { position: absolute; right: 10px; top: 10px; }
.p360 button.p360e-wide { display: inline-flex; align-items: center; justify-content: center; gap: 6px; height: 28px;
  padding: 0 11px; border: 0; border-radius: 6px; background: var(--p360-field); color: var(--p360-text); font: inherit;
  cursor: pointer; box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--p360-text) 14%, transparent); }
.p360 button.p360e-wide:hover { background: var(--p360-hover); }
.p360 button.p360e-wide:disabled { opacity: 0.45; cursor: default; }
.p360 button.p360e-main-button { background: var(--p360-accent); color: #fff; box-shadow: none; }
.p360 button.p360e-main-button:hover { background: var(--p360-accent); filter: brightness(1.12); }
.p360e-time { border-top: 1px solid var(--p360-line); padding: 6px 10px 8px; }
.p360e-time:empty { display: none; }
.p360e-side { width: 316px; flex: none; overflow-y: auto; border-left: 1px solid var(--p360-line); padding: 10px 12px;
  display: flex; flex-direction: column; gap: 14px; scrollbar-width: thin; }
.p360e-picture { aspect-ratio: 8 / 5; flex: none; min-height: 0; display: flex; flex-direction: column; }
.p360e-picture:empty { display: none; }
.p360e-side section { display: flex; flex-direction: column; gap: 7px; }
.p360e-side h3 { display: flex; align-items: center; gap: 4px; margin: 0; font-size: 12px; font-weight: 600; }
.p360e-side h3 .p360-key:first-of-type { margin-left: auto; }
.p360e-list { display: flex; flex-direction: column; gap: 1px; margin: 0; padding: 0; list-style: none; max-height: 216px;
  overflow-y: auto; border-radius: 6px; scrollbar-width: thin; }
.p360 .p360e-list button { display: grid; grid-template-columns: 22px 1fr auto; width: 100%; align-items: center;
  gap: 6px; padding: 4px 8px; border: 0; border-radius: 5px; background: var(--p360-field); color: var(--p360-text);
  font: inherit; font-size: 12px; text-align: left; cursor: pointer; font-variant-numeric: tabular-nums; }
.p360 .p360e-list button:hover { background: var(--p360-hover); }
.p360 .p360e-list [aria-current="true"] { background: color-mix(in srgb, var(--p360-accent) 28%, var(--p360-field)); }
.p360e-list b { font-weight: 600; } .p360e-list span { color: var(--p360-dim); white-space: pre; }
.p360e-list .p360e-drop { box-shadow: inset 0 2px 0 var(--p360-accent); }
.p360e-fields { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 7px; }
.p360e-fields.p360e-two { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.p360e-field { display: flex; flex-direction: column; gap: 3px; min-width: 0; color: var(--p360-dim); font-size: 11px; }
.p360 .p360e-field input, .p360 .p360e-field select { width: 100%; height: 27px; padding: 0 7px; border: 0; min-width: 0;
  border-radius: 6px; background: var(--p360-field); color: var(--p360-text); font: inherit; font-size: 12.5px;
  font-variant-numeric: tabular-nums; box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--p360-text) 14%, transparent); }
.p360e-check { display: flex; align-items: center; gap: 6px; cursor: pointer; }
.p360e-check input { accent-color: var(--p360-accent); margin: 0; }
.p360e-row { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
.p360e-row > select, .p360e-row > .p360e-wide { flex: 1 1 0; min-width: 0; }
.p360e-dim { color: var(--p360-dim); margin: 0; }
.p360e-help { position: absolute; inset: 0; display: flex; align-items: center; justify-content: center; padding: 20px;
  background: rgb(0 0 0 / 0.55); cursor: pointer; }
.p360e-help > div { max-height: 100%; overflow-y: auto; padding: 16px 22px; border-radius: 10px; cursor: default;
  background: var(--comfy-menu-bg, #171718); color: var(--p360-text); border: 1px solid var(--p360-line); }
.p360e-help h3 { margin: 0 0 10px; font-size: 14px; }
.p360e-help dl { display: grid; grid-template-columns: auto 1fr; gap: 5px 16px; margin: 0; }
.p360e-help dt { font-family: ui-monospace, monospace; font-size: 12px; white-space: pre; color: var(--p360-accent); }
.p360e-help dd { margin: 0; }
.p360e-small .p360e-stage { border-radius: 8px; cursor: grab; }
.p360e-small .p360e-bar { display: flex; gap: 6px; align-items: center; padding-top: 6px; min-width: 0; }
.p360e-small .p360e-bar p { margin: 0; flex: 1 1 0; min-width: 0; color: var(--p360-dim); overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; font-size: 11.5px; font-variant-numeric: tabular-nums; }
@media (max-width: 900px) { .p360e-side { width: 240px; } .p360e-head h2 { display: none; } }
`;

/** Put the sheets into the page, once. */
export function addStyle() {
  addViewerStyle();
  if (document.getElementById("pantheon360-editor-style")) return;
  const style = document.createElement("style");
  style.id = "pantheon360-editor-style";
  style.textContent = SHEET;
  document.head.append(style);
}
