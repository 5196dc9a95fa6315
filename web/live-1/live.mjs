// @ts-check
/**
 * Previews of running samplers. The host sends an announcement, then the picture in its own channel; both name the
 * node as it is run: inside subgraphs by the numbers of all nodes that lead to it.
 */

import { LivePictures } from "./pictures.mjs";
import { useLocale } from "./strings.mjs";

const SAMPLERS = ["PantheonSampler", "PantheonLongVideo"];

// Vue nodes put the picture of the channel below the widgets, flat; the sphere has its place.
const SHEET = `[data-testid^="node-body-"]:has(.p360) > img, [data-testid^="node-body-"]:has(.p360) > img + div {
  display: none; }`;

/** @typedef {import("./pictures.mjs").Said} Said */

/** @type {Said | null} */
let announced = null;
/** @type {Map<string, LivePictures>} of nodes that run, by their names for the host */
const running = new Map();
let prepared = false;

function prepare({ api, locale }) {
  if (prepared) return;
  prepared = true;
  const style = document.createElement("style");
  style.id = "pantheon360-live-style";
  style.textContent = SHEET;
  document.head.append(style);
  useLocale(locale, api);
}

/**
 * A message of the host, in the order in which they came.
 * @param {string} event
 * @param {any} detail
 * @param {{app: any, api: any, parts: WeakMap<object, any>, locale: string}} host
 */
export function hear(event, detail, host) {
  prepare(host);
  if (event === "pantheon360_preview") announced = detail;
  else if (event === "b_preview_with_metadata") take(detail, host);
  else finishOthers(detail);
}

/** A picture of any node's. Those that were announced go to the node's viewer. */
function take({ blob, nodeId, displayNodeId, jobId }, { app, parts }) {
  const said = announced;
  if (!said || String(said.node_id) !== String(nodeId)) return;
  announced = null;
  const node = nodeAt(app.rootGraph ?? app.graph, displayNodeId);
  const part = node && parts.get(node);
  // Another workflow may be open, with another node of that number.
  if (!part || !SAMPLERS.includes(node.constructor.comfyClass ?? node.comfyClass)) return;
  if (!part.live || part.live.released) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    part.live = new LivePictures({ changed: () => part.content?.changed(), still, name: `live ${jobId}` });
  }
  running.set(String(displayNodeId), part.live);
  part.live.take(blob, said);
  part.add();
  part.content?.showLive(part.live);
}

/** The host names the node that it turns to, or none at the end, whatever the end was. */
function finishOthers(name) {
  for (const [its, pictures] of running) {
    if (its === String(name)) continue;
    pictures.finish();
    running.delete(its);
  }
}

/** @param {any} graph the root @param {string} name "12:5" is node 5 of the subgraph in node 12 */
export function nodeAt(graph, name) {
  let node = null;
  for (const id of String(name).split(":")) {
    node = graph?.getNodeById(id) ?? graph?.getNodeById(Number(id)) ?? null;
    graph = node?.subgraph;
  }
  return node;
}
