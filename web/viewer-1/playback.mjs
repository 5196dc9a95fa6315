// @ts-check
/** Playing one video, or two in step. The first is the clock, the other follows it. */

const STEP_TOLERANCE = 0.12; // seconds that the second may be off while both play

export class Playback {
  constructor() {
    /** @type {HTMLVideoElement[]} */
    this.videos = [];
    this.wanted = true;
    this.allowed = false;
  }

  /** @returns {HTMLVideoElement | null} */
  get clock() {
    return this.videos[0] ?? null;
  }

  /** New videos play by themselves, without sound; sound, speed and repeat stay as they were set. */
  take(videos) {
    const { muted = true, loop = true, playbackRate = 1 } = this.clock ?? {};
    this.videos = videos;
    this.wanted = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (const [index, one] of videos.entries()) {
      Object.assign(one, { muted: muted || index > 0, loop, playbackRate, defaultPlaybackRate: playbackRate });
    }
    this.clock?.addEventListener("ended", () => {
      this.wanted = false;
    });
    this.apply();
  }

  /** What nobody sees does not play. */
  allow(allowed) {
    this.allowed = allowed;
    this.apply();
  }

  apply() {
    for (const video of this.videos) {
      if (!this.wanted || !this.allowed) video.pause();
      // Refused for sound without a click, or cut short by a pause: the button then says that it stands still.
      else if (video.paused) video.play().catch(() => {});
    }
  }

  toggle() {
    if (!this.clock) return;
    this.wanted = this.clock.paused;
    this.apply();
  }

  seek(seconds) {
    for (const video of this.videos) video.currentTime = Math.min(seconds, video.duration || seconds);
  }

  /** Keep the second video where the first is. */
  follow() {
    const [clock, ...others] = this.videos;
    for (const one of others) {
      const target = Math.min(clock.currentTime, one.duration || 0);
      const off = Math.abs(one.currentTime - target);
      if (!one.seeking && off > (clock.paused ? 0.001 : STEP_TOLERANCE)) one.currentTime = target;
    }
  }

  setRate(rate) {
    for (const video of this.videos) Object.assign(video, { playbackRate: rate, defaultPlaybackRate: rate });
  }

  toggleLoop() {
    const loop = !this.clock?.loop;
    for (const video of this.videos) video.loop = loop;
  }

  toggleMute() {
    if (this.clock) this.clock.muted = !this.clock.muted;
  }

  /** For `resume` of a later viewer of the same files. */
  state() {
    const { currentTime = 0, muted = true, loop = true, playbackRate = 1 } = this.clock ?? {};
    return { currentTime, muted, loop, playbackRate, wanted: this.wanted };
  }

  resume({ currentTime, muted, loop, playbackRate, wanted }) {
    if (!this.clock) return;
    this.wanted = wanted;
    this.clock.muted = muted;
    for (const video of this.videos) Object.assign(video, { loop, currentTime });
    this.setRate(playbackRate);
    this.apply();
  }
}
