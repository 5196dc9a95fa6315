// @ts-check
/** Flying by held keys: W A S D as everywhere, E up and Q down, Shift faster, the wheel for the speed. */

const KEYS = { KeyW: [0, 0, 1], KeyS: [0, 0, -1], KeyA: [-1, 0, 0], KeyD: [1, 0, 0], KeyQ: [0, 1, 0], KeyE: [0, -1, 0] };
const SPEEDS = [0.05, 20]; // metres per second
const WHEEL_STEP = 1.0012; // per pixel of scrolling
const FAST = 3;
const LONGEST_STEP = 0.1; // seconds: after a hitch of the page one is not somewhere else

export class Flight {
  /** @param {import("./editor.mjs").Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.held = new Set();
    this.speed = 1;
    this.fast = false;
    this.frame = 0;
    this.time = 0;
    this.onBlur = () => this.held.clear();
    window.addEventListener("blur", this.onBlur);
  }

  /** @returns {boolean} whether the key is one of flying */
  press(event) {
    if (this.editor.view.mode !== "fly" || !(event.code in KEYS)) return false;
    this.held.add(event.code);
    this.fast = event.shiftKey;
    if (!this.frame) {
      this.time = performance.now();
      this.frame = requestAnimationFrame((now) => this.step(now));
    }
    return true;
  }

  release(event) {
    this.held.delete(event.code);
    this.fast = event.shiftKey;
  }

  wheel(pixels) {
    this.speed = Math.min(SPEEDS[1], Math.max(SPEEDS[0], this.speed * WHEEL_STEP ** -pixels));
  }

  step(now) {
    this.frame = 0;
    const { view, stage } = this.editor;
    if (!this.held.size || view.mode !== "fly") return this.editor.emit("view");
    const way = this.speed * (this.fast ? FAST : 1) * Math.min(LONGEST_STEP, Math.max(0, now - this.time) / 1000);
    this.time = now;
    const sum = [0, 0, 0];
    for (const code of this.held) KEYS[code].forEach((one, i) => (sum[i] += one));
    view.step(sum[0] * way, sum[1] * way, sum[2] * way);
    stage.ask();
    this.frame = requestAnimationFrame((later) => this.step(later));
  }

  stop() {
    cancelAnimationFrame(this.frame);
    window.removeEventListener("blur", this.onBlur);
  }
}
