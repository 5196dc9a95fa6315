// @ts-check
/** What the time line draws below its keyframes: frame numbers, coverage and warnings. */

import { labelStep, placeOf } from "./times.mjs";

const RULER = 16; // pixels
const STRIP = 14;
const LABEL_ROOM = 46;
const LOWEST = 0.7; // coverage at which the colour is all warning
const MIDDLE = "#e8a33d"; // between the host's accent and its colour of errors

/** Colours of the host's palette as the canvas takes them. @param {HTMLElement} element */
function palette(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(name).trim();
  return { text: of("--p360-text"), dim: of("--p360-dim"), line: of("--p360-line"), good: of("--p360-accent"),
    bad: of("--p360-warn"), font: style.fontFamily };
}

/** How bad a coverage is: 0 whole, 1 at 70 % and below. The first missing percents matter most. */
export function badness(coverage) {
  return Math.sqrt(Math.min(1, Math.max(0, (1 - coverage) / (1 - LOWEST))));
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLElement} track
 * @param {import("./timeline.mjs").Shown} shown
 */
export function drawTrack(canvas, track, shown, margin) {
  const [width, height] = [track.clientWidth, track.clientHeight];
  if (!width || !height) return;
  const ratio = Math.min(3, devicePixelRatio * Math.max(1, track.getBoundingClientRect().width / track.offsetWidth));
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
  const context = canvas.getContext("2d");
  const colours = palette(track);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const at = (frame) => placeOf(frame, shown.frames, width, margin);
  drawRuler(context, shown, at, width - 2 * margin, colours);
  drawCoverage(context, shown, at, height, colours);
  drawWarnings(context, shown, at, height, colours);
}

function drawRuler(context, { frames }, at, inner, colours) {
  const step = labelStep(frames, inner, LABEL_ROOM);
  const fine = labelStep(frames, inner, 7);
  context.font = `10px ${colours.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = colours.line;
  for (let frame = 0; frame < frames; frame += fine) {
    context.fillRect(at(frame) - 0.5, RULER - 4, 1, 3);
  }
  context.fillStyle = colours.dim;
  for (let frame = 0; frame < frames; frame += step) {
    context.fillText(String(frame), at(frame), 7);
    context.fillRect(at(frame) - 0.5, RULER - 5, 1, 5);
  }
}

/** A bar for every frame: the colour says how much is missing, and the height too, for who sees few colours. */
function drawCoverage(context, { frames, report, stale }, at, height, colours) {
  const top = height - STRIP - 4;
  const half = frames > 1 ? (at(1) - at(0)) / 2 : 6;
  context.fillStyle = colours.line;
  context.globalAlpha = 0.35;
  context.fillRect(at(0) - half, top, at(frames - 1) - at(0) + 2 * half, STRIP);
  context.globalAlpha = stale ? 0.4 : 1;
  const gap = half > 3 ? 0.5 : 0;
  for (const [frame, coverage] of (report?.coverage ?? []).slice(0, frames).entries()) {
    const bad = badness(coverage);
    const tall = STRIP * (1 - 0.7 * bad);
    context.fillStyle = mixed(bad, colours);
    context.fillRect(at(frame) - half + gap, top + STRIP - tall, 2 * (half - gap), tall);
  }
  context.globalAlpha = 1;
}

/** From the accent over amber to the colour of errors. */
function mixed(bad, { good, bad: worst }) {
  const [from, to, part] = bad < 0.5 ? [good, MIDDLE, 2 * bad] : [MIDDLE, worst, 2 * bad - 1];
  return `color-mix(in oklab, ${to} ${Math.round(100 * part)}%, ${from})`;
}

function drawWarnings(context, { frames, report, stale }, at, height, colours) {
  const top = height - STRIP - 4;
  context.fillStyle = colours.bad;
  context.globalAlpha = stale ? 0.4 : 1;
  for (const frame of report?.below ?? []) {
    if (frame >= frames) continue;
    const x = at(frame);
    context.beginPath();
    context.moveTo(x, top - 1);
    context.lineTo(x - 3.5, top - 7);
    context.lineTo(x + 3.5, top - 7);
    context.fill();
  }
  context.globalAlpha = 1;
}
