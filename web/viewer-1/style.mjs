// @ts-check
/** The viewer's looks: the host's own colours, so that every palette fits. */

const SHEET = `
.p360 { --p360-field: var(--component-node-widget-background, var(--comfy-input-bg, #222));
  --p360-hover: var(--component-node-widget-background-hovered, var(--content-bg, #4e4e4e));
  --p360-text: var(--input-text, #ddd); --p360-dim: var(--muted-foreground, var(--descrip-text, #999));
  --p360-line: var(--border-color, #4e4e4e); --p360-accent: var(--primary-background, #0b8ce9);
  display: flex; flex-direction: column; gap: 6px; width: 100%; height: 100%; min-width: 0; min-height: 0;
  box-sizing: border-box; color: var(--p360-text);
  font: 12px/1.35 var(--font-inter, Inter), ui-sans-serif, system-ui, sans-serif; }
.p360 * { box-sizing: border-box; }
.p360 [hidden] { display: none !important; }
.p360-stage { position: relative; flex: 1 1 0; min-height: 0; overflow: hidden; border-radius: 8px;
  background: var(--p360-field); touch-action: none; cursor: grab; outline: none; user-select: none; }
.p360-stage:active { cursor: grabbing; }
.p360-stage:focus-visible, .p360 button:focus-visible, .p360 select:focus-visible, .p360 input:focus-visible {
  outline: 2px solid var(--p360-accent); outline-offset: 1px; }
.p360-stage:focus-visible { outline-offset: -2px; }
.p360-stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.p360-note { position: absolute; inset: 0; display: flex; flex-direction: column; align-items: center;
  justify-content: center; gap: 10px; padding: 16px; text-align: center; color: var(--p360-dim); cursor: default; }
.p360 .p360-note svg { width: 36px; height: 36px; opacity: 0.7; stroke-width: 0.9; }
.p360-note p { margin: 0; max-width: 34em; text-wrap: balance; }
.p360-note.p360-bad { color: var(--p360-text); background: color-mix(in srgb, var(--p360-field) 88%, transparent); }
.p360 .p360-note.p360-bad svg { color: var(--error-text, #f44); opacity: 1; }
.p360-label { position: absolute; padding: 2px 7px; border-radius: 5px; background: rgb(0 0 0 / 0.55); color: #fff;
  font-size: 11px; font-variant-numeric: tabular-nums; pointer-events: none; max-width: 45%; overflow: hidden;
  text-overflow: ellipsis; white-space: pre; }
.p360-label.p360-caption { max-width: calc(100% - 16px); }
.p360-left { left: 8px; top: 8px; } .p360-right { right: 8px; top: 8px; }
.p360-where { left: 8px; bottom: 8px; } .p360-hint { right: 8px; bottom: 8px; }
.p360-where, .p360-hint { opacity: 0; transition: opacity 0.15s; }
.p360-stage:hover .p360-where, .p360-stage:focus-within .p360-where,
.p360-stage:hover:not(:focus-within) .p360-hint { opacity: 1; }
.p360-split { position: absolute; top: 0; bottom: 0; width: 20px; margin-left: -10px; padding: 0; border: 0;
  background: none; cursor: ew-resize; touch-action: none; }
.p360-split::before { content: ""; position: absolute; left: 9px; top: 0; bottom: 0; width: 2px; background: #fff;
  box-shadow: 0 0 3px rgb(0 0 0 / 0.6); }
.p360-split::after { content: ""; position: absolute; left: 1px; top: calc(50% - 9px); width: 18px; height: 18px;
  border-radius: 50%; background: #fff; box-shadow: 0 0 4px rgb(0 0 0 / 0.6); }
.p360-bar { display: flex; flex: none; flex-wrap: wrap; align-items: center; gap: 4px; min-height: 26px; }
.p360-group { display: flex; border-radius: 6px; background: var(--p360-field); overflow: clip; }
.p360 .p360-push { margin-left: auto; }
.p360 button.p360-key { display: inline-flex; align-items: center; justify-content: center; width: 26px; height: 26px;
  padding: 0; border: 0; border-radius: 6px; background: var(--p360-field); color: var(--p360-text);
  font: inherit; font-size: 11px; cursor: pointer; }
.p360-group button.p360-key { width: 22px; border-radius: 0; background: none; }
.p360 button.p360-key:hover { background: var(--p360-hover); }
.p360 button.p360-key[aria-pressed="true"] { color: var(--p360-accent); }
.p360 button.p360-key:disabled { opacity: 0.4; cursor: default; background: var(--p360-field); }
.p360 svg { width: 15px; height: 15px; fill: none; stroke: currentColor; stroke-width: 1.4;
  stroke-linecap: round; stroke-linejoin: round; }
.p360 select { height: 26px; padding: 0 4px; border: 0; border-radius: 6px; background: var(--p360-field);
  color: var(--p360-text); font: inherit; cursor: pointer; }
.p360 select:hover { background: var(--p360-hover); }
.p360 option { background: var(--comfy-menu-bg, #222); color: var(--p360-text); }
.p360 input[type="range"] { flex: 1 1 60px; min-width: 40px; height: 26px; margin: 0 4px; cursor: pointer;
  accent-color: var(--p360-accent); }
.p360 button.p360-key, .p360-group, .p360 select {
  box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--p360-text) 14%, transparent); }
.p360 .p360-group button.p360-key { box-shadow: none; }
.p360-time { color: var(--p360-dim); font-variant-numeric: tabular-nums; white-space: nowrap; }
.p360-dialog { width: 100vw; height: 100vh; max-width: none; max-height: none; margin: 0; padding: 12px; border: 0;
  background: var(--comfy-menu-bg, #171718); }
.p360-dialog::backdrop { background: #000; }
.p360-dialog .p360 { font-size: 13px; }
@media (prefers-reduced-motion: reduce) { .p360 * { transition: none !important; } }
`;

/** Put the sheet into the page, once. */
export function addStyle() {
  if (document.getElementById("pantheon360-viewer-style")) return;
  const style = document.createElement("style");
  style.id = "pantheon360-viewer-style";
  style.textContent = SHEET;
  document.head.append(style);
}
