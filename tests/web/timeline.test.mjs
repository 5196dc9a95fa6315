// The scrub's time line and requests. Run by test_scrub_js.py, or `node --test tests/web`.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const load = (name) => import(new URL(`../../web/scrub-1/${name}.mjs`, import.meta.url).href);
const times = await load("times");
const { CacheClient, CacheGone, Newest, unpack } = await load("client");
const { FrameStore, aheadOf } = await load("player");
const { percent } = await load("timeline");
const { badness } = await load("strip");
const cases = JSON.parse(await readFile(new URL("../fixtures/scrub_times.json", import.meta.url), "utf8"));

const near = (found, expected, tolerance = 1e-9) => {
  assert.equal(found.length, expected.length);
  found.forEach((one, i) => assert.ok(Math.abs(one - expected[i]) <= tolerance, `${found} is not ${expected}`));
};
const later = (milliseconds = 0) => new Promise((done) => setTimeout(done, milliseconds));

test("keyframes lie on the frames that Python puts them on", () => {
  assert.ok(cases.length >= 4);
  for (const { path, run, frames, at } of cases) {
    assert.equal(times.spanOf(path, run).frames, frames);
    near(times.keyFrames(path, run), at, 1e-6);
    near(
      at.map((frame) => times.timeAt(path, run, frame)),
      path.keyframes.map((key) => key.t),
      1e-6,
    );
  }
});

test("a keyframe moves between its neighbours, and the ends of a stretched path stay", () => {
  const at = [0, 3.4, 5, 10];
  assert.equal(times.movedFrame(at, 1, 2.4, 11, true), 2);
  assert.equal(times.movedFrame(at, 1, -5, 11, true), 1);
  assert.equal(times.movedFrame(at, 1, 50, 11, true), 4);
  assert.equal(times.movedFrame(at, 2, 0, 11, true), 4);
  assert.equal(times.movedFrame(at, 0, 4, 11, true), null);
  assert.equal(times.movedFrame(at, 3, 4, 11, true), null);
  assert.equal(times.movedFrame(at, 3, 40, 30, false), 29);
  assert.equal(times.movedFrame([0, 1, 2], 1, 5, 3, true), 1);
  assert.equal(times.movedFrame([0, 0.5, 1], 1, 5, 2, true), null);
});

test("places and frames are inverse, also for a single frame", () => {
  for (const frames of [2, 14, 1000]) {
    for (const frame of [0, 1, Math.floor(frames / 2), frames - 1]) {
      const place = times.placeOf(frame, frames, 700, 14);
      assert.equal(times.frameAt(place, frames, 700, 14), frame);
    }
  }
  assert.equal(times.frameAt(300, 1, 700, 14), 0);
  assert.equal(times.frameAt(-50, 9, 700, 14), 0);
  assert.equal(times.frameAt(9999, 9, 700, 14), 8);
});

test("labels never run into each other and are round numbers", () => {
  assert.deepEqual([5, 14, 60, 250, 1000].map((frames) => times.labelStep(frames, 600, 46)), [1, 1, 5, 20, 100]);
  for (const frames of [3, 77, 1000]) {
    const step = times.labelStep(frames, 600, 46);
    assert.ok((step / (frames - 1)) * 600 >= 46 || step === 1 && 600 / (frames - 1) >= 46);
  }
});

test("easings go round, runs of frames are short to read, and 100 % means all", () => {
  assert.equal(times.nextEasing(undefined), "ease_in");
  let easing = "linear";
  for (const _ of times.EASINGS) easing = times.nextEasing(easing);
  assert.equal(easing, "linear");
  assert.equal(times.ranges([3, 4, 5, 9, 11, 12]), "3–5, 9, 11–12");
  assert.equal(times.ranges([1, 3, 5, 7, 9]), "1, 3, 5, 7, …");
  assert.equal(percent(1), "100");
  assert.equal(percent(0.99999), "99.9");
  assert.equal(badness(1), 0);
  assert.equal(badness(0.2), 1);
  assert.ok(badness(0.97) > 0.2);
});

test("of waiting requests the newest is sent, and what is under way is still shown", async () => {
  const sent = [];
  const open = [];
  const newest = new Newest((asked) => {
    sent.push(asked);
    return new Promise((done) => open.push(done));
  });
  const answers = [1, 2, 3].map((asked) => newest.ask(asked));
  assert.deepEqual(sent, [1]);
  open[0]("one");
  assert.equal(await answers[0], "one");
  assert.equal(await answers[1], null);
  await later();
  assert.deepEqual(sent, [1, 3]);
  assert.ok(newest.busy);
  open[1]("three");
  assert.equal(await answers[2], "three");
  await later();
  assert.ok(!newest.busy);
});

test("requests that follow one another quickly are one", async () => {
  const sent = [];
  const newest = new Newest(async (asked) => sent.push(asked), 30);
  const answers = [1, 2, 3].map((asked) => newest.ask(asked));
  assert.deepEqual(sent, []);
  assert.deepEqual(await Promise.all(answers), [null, null, 1]);
  assert.deepEqual(sent, [3]);
});

test("an error goes to who asked, a newer request on the server is no error, and cancelling ends all", async () => {
  let problem = Object.assign(new Error("no"), { status: 400 });
  const newest = new Newest(async () => {
    throw problem;
  });
  await assert.rejects(newest.ask(1), /no/);
  problem = Object.assign(new Error("newer"), { status: 409 });
  assert.equal(await newest.ask(2), null);
  let aborted = false;
  const slow = new Newest((_, signal) => new Promise((_done, fail) => signal.addEventListener("abort", () => {
    aborted = true;
    fail(new Error("aborted"));
  })));
  const answers = [slow.ask(1), slow.ask(2)];
  slow.cancel();
  assert.deepEqual(await Promise.all(answers), [null, null]);
  assert.ok(aborted);
  assert.ok(!slow.busy);
});

function packed(magic, header, parts) {
  const text = new TextEncoder().encode(JSON.stringify({ ...header, parts: places(parts) }));
  const padded = text.length + ((4 - ((text.length + 12) % 4)) % 4);
  const length = Object.values(parts).reduce((sum, one) => sum + one.length, 0);
  const bytes = new Uint8Array(12 + padded + length).fill(32);
  bytes.set(new TextEncoder().encode(magic));
  new DataView(bytes.buffer).setUint32(8, padded, true);
  bytes.set(text, 12);
  let at = 12 + padded;
  for (const part of Object.values(parts)) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes.buffer;
}

function places(parts) {
  let offset = 0;
  const found = {};
  for (const [name, part] of Object.entries(parts)) {
    found[name] = { offset, length: part.length };
    offset += part.length;
  }
  return found;
}

test("a cloud comes as numbers, and a wrong answer is said to be one", async () => {
  const positions = new Float32Array([1, 2, 3, -4, 5.5, 6]);
  const colors = new Uint8Array([1, 2, 3, 255, 4, 5, 6, 255]);
  const buffer = packed("P360CLD1", { count: 2 }, { positions: new Uint8Array(positions.buffer), colors });
  const asked = [];
  const api = {
    fetchApi: async (route) => {
      asked.push(route);
      return new Response(buffer);
    },
    apiURL: (route) => `/api${route}`,
  };
  const client = new CacheClient(api, "a/b");
  const cloud = await client.cloud(500);
  assert.deepEqual([...cloud.positions], [...positions]);
  assert.deepEqual([...cloud.colors], [...colors]);
  assert.deepEqual(asked, ["/pantheon360/cache/a%2Fb/cloud?budget=500"]);
  assert.equal(client.backdropUrl(1, 256), "/api/pantheon360/cache/a%2Fb/backdrop/1?height=256");
  assert.throws(() => unpack(buffer, "P360SCR1"), /no answer/);
  assert.throws(() => unpack(new ArrayBuffer(4), "P360SCR1"), /no answer/);
});

test("the server's sentence becomes the error; a cache that is gone is an error of its own", async () => {
  const say = (status, body) => ({ fetchApi: async () => new Response(body, { status }) });
  await assert.rejects(new CacheClient(say(404, '{"error": "run again"}'), "k").info(), (error) => {
    assert.ok(error instanceof CacheGone);
    return error.message === "run again";
  });
  await assert.rejects(new CacheClient(say(400, '{"error": "fps: wrong"}'), "k").report({}), /fps: wrong/);
  await assert.rejects(new CacheClient(say(500, "<html>"), "k").report({}), /500/);
});

test("frames that were fetched are kept up to a number of pixels, the last used longest", () => {
  const store = new FrameStore(3 * 8);
  const frame = (index) => ({ frame: index, width: 4, height: 2 });
  for (const index of [0, 1, 2]) store.add(frame(index));
  assert.ok(store.get(0));
  store.add(frame(3));
  assert.deepEqual([0, 1, 2, 3].filter((one) => store.has(one)), [0, 2, 3]);
  store.add(frame(3));
  assert.equal(store.pixels, 24);
  store.clear();
  assert.equal(store.pixels, 0);
});

test("what is fetched while playing lies ahead, goes round only in a loop, and leaves out what is there", () => {
  const limits = { reach: 6, batch: 3 };
  assert.deepEqual(aheadOf(2, 10, true, (one) => one === 3, limits), [2, 4, 5]);
  assert.deepEqual(aheadOf(8, 10, true, () => false, limits), [8, 9, 0]);
  assert.deepEqual(aheadOf(8, 10, false, () => false, limits), [8, 9]);
  assert.deepEqual(aheadOf(0, 2, true, () => false, limits), [0, 1]);
  assert.deepEqual(aheadOf(0, 10, true, () => true, limits), []);
});
