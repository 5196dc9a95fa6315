// @ts-check
/**
 * Point clouds and photographs, shared by all nodes of the page. An undo of the graph makes every node anew: what
 * nobody shows is kept for a while, so that it is not fetched again.
 */

import { getPainter } from "../viewer-1/painter.mjs";
import { quaternionOf } from "./math.mjs";
import { getRenderer } from "./renderer.mjs";

const KEEP_MS = 20_000;

/** @type {Map<string, Shared>} */
const all = new Map();

/** Something fetched once for all who ask. */
class Shared {
  constructor(name) {
    this.name = name;
    /** @type {"loading" | "ready" | "gone" | "error"} */
    this.state = "loading";
    this.reason = "";
    this.users = new Set();
    this.timer = 0;
  }

  tell() {
    for (const user of this.users) user();
  }

  /** @param {() => Promise<void>} work */
  async run(work) {
    try {
      await work();
      this.state = "ready";
    } catch (error) {
      this.state = /** @type {Error} */ (error).name === "CacheGone" ? "gone" : "error";
      this.reason = /** @type {Error} */ (error).message;
      if (this.state === "error") console.warn("Pantheon360:", this.name, error);
      all.delete(this.name); // the next one who asks tries again
    }
    this.tell();
  }

  hold(user) {
    this.users.add(user);
    clearTimeout(this.timer);
  }

  release(user) {
    this.users.delete(user);
    if (this.users.size) return;
    this.timer = setTimeout(() => {
      if (all.get(this.name) === this) all.delete(this.name);
      this.free();
    }, KEEP_MS);
  }

  free() {}
}

/** A photograph on the graphics card. */
class Photo extends Shared {
  constructor(name, url) {
    super(name);
    this.picture = null;
    this.bitmap = null;
    this.run(async () => {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
      this.bitmap = await createImageBitmap(await answer.blob());
      const { width, height } = this.bitmap;
      if (Math.abs(width / height - 2) > 0.02) throw new Error("the photograph is not twice as wide as high");
    });
  }

  /** The texture, or null as long as there is none. */
  texture() {
    const painter = getPainter();
    if (!painter || painter.lost || this.state !== "ready") return null;
    if (!painter.holds(this.picture)) {
      const { width, height } = this.bitmap;
      this.picture = painter.upload(null, this.bitmap, width, height, true);
    }
    return this.picture;
  }

  free() {
    getPainter()?.discard(this.picture);
    this.picture = null;
    this.bitmap?.close();
  }
}

/** A cache of the server: what is known of it, and its points. */
class Scene extends Shared {
  constructor(name, api, key, budget) {
    super(name);
    this.info = null;
    this.points = null;
    this.loaded = null;
    this.generation = -1;
    this.run(async () => {
      const { CacheClient } = await import("../scrub-1/client.mjs");
      const client = new CacheClient(api, key);
      const info = await client.info();
      this.backdropUrl = client.backdropUrl(0);
      this.info = { ...info, anchors: info.anchors.map(anchorOf) };
      this.tell();
      if (info.points) {
        const { positions, colors } = await client.cloud(budget);
        this.points = { positions, colors };
      }
    });
  }

  /** The points on the graphics card, or null as long as there are none. */
  cloud() {
    const renderer = getRenderer();
    if (!renderer || !this.points) return null;
    if (this.generation !== renderer.generation) {
      this.loaded = renderer.load(this.points.positions, this.points.colors);
      this.generation = renderer.generation;
    }
    return this.loaded;
  }

  free() {
    const renderer = getRenderer();
    if (renderer && this.loaded && this.generation === renderer.generation) renderer.free(this.loaded);
    this.loaded = null;
    this.points = null;
  }
}

function anchorOf({ name, T_world_anchor: m }) {
  const matrix = [m.slice(0, 3), m.slice(4, 7), m.slice(8, 11)];
  return { name, position: [m[3], m[7], m[11]], quaternion_wxyz: quaternionOf(matrix) };
}

function hold(name, make, user) {
  let found = all.get(name);
  if (!found) {
    found = make(name);
    all.set(name, found);
  }
  found.hold(user);
  return found;
}

/** @param {() => void} user told when something arrives; also the name under which to release @returns {Scene} */
export function openScene(api, key, budget, user) {
  return /** @type {any} */ (hold(`cache ${key} ${budget}`, (name) => new Scene(name, api, key, budget), user));
}

/** @returns {Photo} */
export function openPhoto(url, user) {
  return /** @type {any} */ (hold(`photograph ${url}`, (name) => new Photo(name, url), user));
}
