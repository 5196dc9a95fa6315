// @ts-check
/** Asking the server about a cache: what it holds, and what the scaffold looks like along a path. */

const PREFIX = "/pantheon360/cache/";
const BAD = "The server sent something that is no answer.";

/** The server does not hold the cache (any more). */
export class CacheGone extends Error {}

/**
 * A binary answer: its header, and the named parts as views into it.
 * @param {ArrayBuffer} buffer
 * @param {string} magic eight letters
 * @returns {{header: any, part: (name: string) => Uint8Array}}
 */
export function unpack(buffer, magic) {
  if (buffer.byteLength < 12) throw new Error(BAD);
  if (new TextDecoder().decode(new Uint8Array(buffer, 0, 8)) !== magic) throw new Error(BAD);
  const length = new DataView(buffer).getUint32(8, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 12, length)));
  const part = (name) => {
    const place = header.parts[name];
    return new Uint8Array(buffer, 12 + length + place.offset, place.length);
  };
  return { header, part };
}

/** Throws what the server said, as one sentence. @param {Response} answer */
async function checked(answer) {
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const sentence = said.error ?? `The server answered ${answer.status} ${answer.statusText}.`;
  throw Object.assign(answer.status === 404 ? new CacheGone(sentence) : new Error(sentence), { status: answer.status });
}

/** What can be asked of one cache. */
export class CacheClient {
  /** @param {any} api the host's api @param {string} key */
  constructor(api, key) {
    this.api = api;
    this.key = key;
    this.name = crypto.randomUUID(); // one place in the server's line
  }

  route(end = "") {
    return PREFIX + encodeURIComponent(this.key) + end;
  }

  async info(signal) {
    return (await checked(await this.api.fetchApi(this.route(), { signal }))).json();
  }

  /** @returns {Promise<{header: any, positions: Float32Array, colors: Uint8Array}>} */
  async cloud(budget, signal) {
    const answer = await checked(await this.api.fetchApi(this.route(`/cloud?budget=${budget}`), { signal }));
    const { header, part } = unpack(await answer.arrayBuffer(), "P360CLD1");
    const bytes = part("positions");
    const positions = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    return { header, positions, colors: part("colors") };
  }

  backdropUrl(index, height) {
    return this.api.apiURL(this.route(`/backdrop/${index}${height ? `?height=${height}` : ""}`));
  }

  async post(end, body, signal) {
    const options = {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ client: this.name, ...body }),
      signal,
    };
    return checked(await this.api.fetchApi(this.route(end), options));
  }

  /**
   * @typedef {{frame: number, coverage: number, clearance: number | null, T_world_cam: number[], width: number,
   *   height: number, rgb: Blob, holes: Blob}} ScrubFrame
   * @param {{path: object, run: object, frames: number[], height: number, detail: "quick" | "full"}} asked
   * @returns {Promise<ScrubFrame[]>}
   */
  async scrub(asked, signal) {
    const answer = await this.post("/scrub", asked, signal);
    const { header, part } = unpack(await answer.arrayBuffer(), "P360SCR1");
    const { width, height } = header;
    return header.frames.map((one) => ({
      ...one,
      width,
      height,
      rgb: new Blob([part(`rgb${one.frame}`)], { type: "image/jpeg" }),
      holes: new Blob([part(`holes${one.frame}`)], { type: "image/png" }),
    }));
  }

  /**
   * @typedef {{coverage: number[], clearance: (number | null)[], below: number[], minimum: number,
   *   T_world_cam: number[][], key_frames: number[], milliseconds: number}} Report
   * @returns {Promise<Report>}
   */
  async report(asked, signal) {
    return (await this.post("/report", asked, signal)).json();
  }
}

/**
 * One request at a time, and of those that wait only the newest. What is under way comes to its end, so that a
 * picture is seen while one drags on.
 * @template A, R
 */
export class Newest {
  /**
   * @param {(asked: A, signal: AbortSignal) => Promise<R>} send
   * @param {number} [delay] milliseconds without a newer one before it is sent
   */
  constructor(send, delay = 0) {
    this.send = send;
    this.delay = delay;
    this.waiting = null;
    this.control = null;
    /** @type {any} */
    this.timer = 0;
  }

  get busy() {
    return Boolean(this.control || this.waiting);
  }

  /** The answer, or null when a newer request took this one's place. @param {A} asked @returns {Promise<R | null>} */
  ask(asked) {
    this.waiting?.done(null);
    return new Promise((done, fail) => {
      this.waiting = { asked, done, fail };
      clearTimeout(this.timer);
      if (!this.delay) return this.next();
      this.timer = setTimeout(() => {
        this.timer = 0;
        this.next();
      }, this.delay);
    });
  }

  async next() {
    if (this.control || this.timer || !this.waiting) return;
    const { asked, done, fail } = this.waiting;
    this.waiting = null;
    const control = new AbortController();
    this.control = control;
    try {
      done(await this.send(asked, control.signal));
    } catch (error) {
      // 409: the server has a newer one of this page.
      if (control.signal.aborted || error.status === 409) done(null);
      else fail(error);
    } finally {
      if (this.control === control) this.control = null;
      this.next();
    }
  }

  /** Give up what waits and what is under way; all of it answers null. */
  cancel() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.waiting?.done(null);
    this.waiting = null;
    this.control?.abort();
    this.control = null;
  }
}
