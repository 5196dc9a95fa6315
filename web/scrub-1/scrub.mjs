// @ts-check
/** The scaffold along an unsaved path: a picture and a time line, and when the server is asked for which frame. */

import { CacheClient, CacheGone, Newest } from "./client.mjs";
import { ScrubPanel } from "./panel.mjs";
import { aheadOf, Clock, FrameStore } from "./player.mjs";
import { text, useLocale } from "./strings.mjs";
import { Timeline } from "./timeline.mjs";
import { isStretched, keyFrames, spanOf, timeAt } from "./times.mjs";

const MOVING = { height: 256, detail: "quick" };
const RESTING = { height: 256, detail: "full" };
const PLAYING = { height: 128, detail: "quick" };
const REFINE_MS = 250; // of rest before the whole cache is rendered
const REPORT_MS = 300;
const AHEAD = { reach: 24, batch: 4 };

/**
 * @typedef {{key: string | null, path: any, run: import("./times.mjs").Run, selected: number, moving: boolean,
 *   metric: boolean}} Given
 */

export class Scrub {
  /** @param {{api: any, locale?: string, onevent?: (event: any) => void}} options */
  constructor({ api, locale = "en", onevent = () => {} }) {
    this.api = api;
    this.onevent = onevent;
    /** @type {Given} */
    this.given = { key: null, path: null, run: {}, selected: -1, moving: false, metric: true };
    this.playhead = 0;
    this.seeking = false; // the playhead is being dragged
    this.loop = true;
    this.report = null;
    this.asked = ""; // the path and run that what is shown belongs to
    this.version = 0;
    this.client = null;
    this.disposed = false;
    this.store = new FrameStore();
    this.clock = new Clock(() => this.step());
    this.frames = new Newest((asked, signal) => this.client.scrub(asked, signal));
    this.reports = new Newest((asked, signal) => this.client.report(asked, signal), REPORT_MS);
    this.timeline = new Timeline((event) => this.heard(event));
    this.panel = new ScrubPanel();
    this.refresh();
    useLocale(locale, api).then(() => {
      if (this.disposed || locale === "en") return;
      this.timeline.rebuild();
      this.panel.rebuild();
      this.refresh();
      this.showObstacle();
    });
  }

  get playing() {
    return this.clock.running;
  }

  get moving() {
    return this.given.moving || this.seeking;
  }

  get span() {
    return spanOf(this.given.path, this.given.run);
  }

  get unit() {
    return this.given.metric ? "m" : "units";
  }

  /** Take over what changed. @param {Partial<Given>} change */
  update(change) {
    if (this.disposed) return;
    const { key } = this.given;
    const { moving } = this;
    Object.assign(this.given, change);
    if (this.given.key !== key) this.openCache();
    const { path, run } = this.given;
    const asked = JSON.stringify([this.given.key, path, run]);
    const changed = asked !== this.asked;
    this.asked = asked;
    this.playhead = Math.min(this.playhead, this.span.frames - 1);
    if (changed) this.pathChanged();
    else if (moving && !this.moving) this.ask();
    this.refresh();
  }

  openCache() {
    this.frames.cancel();
    this.reports.cancel();
    this.gone = false;
    this.problem = null;
    this.client = this.given.key ? new CacheClient(this.api, this.given.key) : null;
    this.report = null;
    this.panel.frame = null;
    const { client } = this;
    client?.info().then(
      (info) => {
        if (client !== this.client) return;
        this.given.metric = info.metric;
        this.refresh();
      },
      (error) => client === this.client && this.failed(error),
    );
  }

  pathChanged() {
    this.version += 1;
    this.store.clear();
    this.problem = null;
    this.showObstacle();
    this.ask();
    this.askReport();
  }

  /** What stands in the picture's way: the kind of note and its sentence, or null. */
  get obstacle() {
    if (this.gone) return ["bad", text("gone")];
    if (this.problem) return ["bad", this.problem];
    if (!this.given.key) return ["empty", text("noCache")];
    if (!this.given.path?.keyframes?.length) return ["empty", text("noPath")];
    return this.panel.frame ? null : ["wait", text("waiting")];
  }

  showObstacle() {
    const [kind, sentence] = this.obstacle ?? [null, ""];
    this.panel.say(/** @type {any} */ (kind), sentence);
  }

  get possible() {
    return Boolean(this.client && !this.gone && this.given.path?.keyframes?.length);
  }

  /** The frame under the playhead: at once a quick one, and the whole cache's when nothing moves any more. */
  async ask() {
    clearTimeout(this.refining);
    if (!this.possible || this.playing) return;
    const known = this.store.get(this.playhead);
    if (known) this.show(known);
    const shown = await this.fetch([this.playhead], MOVING);
    if (!shown || this.moving || this.playing) return;
    this.refining = setTimeout(() => !this.playing && this.fetch([this.playhead], RESTING), REFINE_MS);
  }

  /** Fetch frames and show the one under the playhead. True when they came and still belong to the path. */
  async fetch(frames, quality) {
    const { version } = this;
    const { path, run } = this.given;
    try {
      const found = await this.frames.ask({ path, run, frames, ...quality });
      if (!found || this.disposed) return false;
      // A picture of a path that has moved on meanwhile is still the newest there is.
      if (version === this.version && quality === PLAYING) for (const one of found) this.store.add(one);
      this.problem = null;
      const current = found.find((one) => one.frame === this.playhead);
      if (current && !this.playing) this.show(current);
      return version === this.version;
    } catch (error) {
      if (version === this.version) this.failed(error);
      return false;
    }
  }

  show(frame) {
    this.panel.show(frame, { unit: this.unit, minimum: this.given.run.clearance ?? 0 }).catch((error) => this.failed(error));
    const { coverage, clearance, T_world_cam } = frame;
    this.onevent({ type: "frame", frame: frame.frame, coverage, clearance, T_world_cam });
  }

  async askReport() {
    if (!this.possible) return;
    const { version } = this;
    const { path, run } = this.given;
    try {
      const report = await this.reports.ask({ path, run });
      if (!report || version !== this.version || this.disposed) return;
      this.report = { ...report, version };
      this.onevent({ type: "report", report });
      this.refresh();
    } catch (error) {
      if (version === this.version) this.failed(error);
    }
  }

  failed(error) {
    if (this.disposed) return;
    this.pause();
    if (error instanceof CacheGone) {
      this.gone = true;
      this.onevent({ type: "gone" });
    } else {
      this.problem = error.message;
      this.onevent({ type: "problem", sentence: error.message });
    }
    this.showObstacle();
  }

  /** What the time line was told by its user. */
  heard(event) {
    const { path, run } = this.given;
    if (event.type === "play") return this.play();
    if (event.type === "pause") return this.pause();
    if (event.type === "loop") return this.setLoop(event.loop);
    if (event.type === "seek") return this.seek(event.frame, event.final);
    const timed = event.type === "retime" || event.type === "add";
    this.onevent(timed ? { ...event, t: timeAt(path, run, event.frame) } : event);
  }

  seek(frame, final = true) {
    this.pause();
    this.playhead = Math.min(this.span.frames - 1, Math.max(0, Math.round(frame)));
    this.seeking = !final;
    this.refresh();
    this.onevent({ type: "seek", frame: this.playhead, final });
    this.ask();
  }

  play() {
    if (this.playing || this.span.frames < 2) return;
    if (this.playhead >= this.span.frames - 1) this.playhead = 0;
    clearTimeout(this.refining);
    this.frames.cancel();
    this.clock.start(this.span.fps);
    this.fill();
    this.refresh();
    this.onevent({ type: "play" });
  }

  pause() {
    if (!this.playing) return;
    this.clock.stop();
    this.frames.cancel();
    this.refresh();
    this.onevent({ type: "pause" });
    this.ask();
  }

  setLoop(loop) {
    this.loop = loop;
    this.refresh();
    this.onevent({ type: "loop", loop });
  }

  /** Fetch what will be played next, batch by batch. */
  async fill() {
    if (!this.possible || this.filling) return;
    this.filling = true;
    const has = (frame) => this.store.has(frame);
    while (this.playing && !this.disposed) {
      const wanted = aheadOf(this.playhead, this.span.frames, this.loop, has, AHEAD);
      if (!wanted.length || (!(await this.fetch(wanted, PLAYING)) && !this.playing)) break;
    }
    this.filling = false;
  }

  /** One tick: the next frame, if it is there; without a cache the playhead alone moves. */
  step() {
    const { frames } = this.span;
    const next = this.playhead + 1;
    if (next >= frames && !this.loop) {
      this.pause();
      return this.onevent({ type: "seek", frame: this.playhead, final: true });
    }
    const frame = this.possible ? this.store.get(next % frames) : null;
    if (this.possible && !frame) return this.fill();
    this.playhead = next % frames;
    if (frame) this.show(frame);
    this.fill();
    this.refresh();
    this.onevent({ type: "seek", frame: this.playhead, final: false });
  }

  refresh() {
    const { path, run, selected } = this.given;
    const even = Boolean(run.constant_speed || path?.constant_speed) && (path?.keyframes ?? []).length > 2;
    const passed = this.report?.key_frames;
    const own = keyFrames(path, run);
    const at = even && passed?.length === own.length ? passed : own;
    const keys = (path?.keyframes ?? []).map((one, index) => ({ frame: at[index], easing: one.easing ?? "linear" }));
    const { report, playhead, playing, loop, unit } = this;
    const stale = Boolean(report) && report.version !== this.version;
    const stretched = isStretched(path, run);
    this.timeline.set({ ...this.span, keys, stretched, even, selected, playhead, playing, loop, report, stale, unit });
  }

  dispose() {
    if (this.disposed) return;
    this.disposed = true;
    clearTimeout(this.refining);
    this.clock.stop();
    this.frames.cancel();
    this.reports.cancel();
    this.store.clear();
    this.timeline.dispose();
    this.panel.dispose();
  }
}
