// @ts-check
// The pack's one script that the host loads by itself. It gives nodes their place for a viewer or for the path
// editor; what draws is imported when the first such node appears. The host tells browsers to ask again for every
// .js but lets them keep an .mjs for days, so the folders of the modules carry a number: rename one when a module
// in it changes.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const MODULES = { viewer: "./viewer-1/viewer.mjs", editor: "./editor-1/surface.mjs", live: "./live-1/live.mjs" };
const MIN_WIDTH = 420;

/** Nodes with something to look at; `atOnce`: it is there before the first run, and says what to do. */
const NODES = {
  PantheonPreview360: { kind: "viewer", atOnce: true },
  SaveERPVideo: { kind: "viewer", atOnce: false },
  // While they sample, their viewer shows previews.
  PantheonSampler: { kind: "viewer", atOnce: false },
  PantheonLongVideo: { kind: "viewer", atOnce: false },
  TrajectoryFromKeyframes: { kind: "editor", atOnce: true },
};
const HEIGHTS = { viewer: 300, editor: 240 };
const WIDGETS = { viewer: ["viewer_360", "pantheon_viewer"], editor: ["path_editor", "pantheon_path"] };

/** @type {WeakMap<object, NodePart>} */
const parts = new WeakMap();
let instances = 0;

/** What one node shows: a DOM widget, filled by the lazy module. */
class NodePart {
  constructor(node, kind) {
    this.node = node;
    this.kind = kind;
    this.root = null;
    this.content = null;
    this.entries = [];
    this.live = null; // previews of a run, from the module of that name
    this.removed = false;
  }

  /** Add the widget. It must be there before the host restores the node's size, hence no waiting. */
  add() {
    this.removed = false;
    if (this.root) return;
    const height = HEIGHTS[this.kind];
    const [name, type] = WIDGETS[this.kind];
    this.root = document.createElement("div");
    // The classic canvas asks the widget for its height, Vue nodes look at the element.
    this.root.style.cssText = `width:100%; height:100%; min-height:${height}px`;
    this.root.dataset.captureWheel = "true";
    instances += 1;
    // Vue nodes keep the old element after an undo when two widgets share a type.
    const widget = this.node.addDOMWidget(name, `${type}:${instances}`, this.root, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => height,
    });
    widget.serialize = false;
    this.grow();
    this.mount();
  }

  /** Make room for the widget; a node that is large enough keeps its size. */
  grow() {
    const [width, height] = this.node.size;
    const needed = this.node.computeSize();
    const least = this.kind === "viewer" && !this.live ? MIN_WIDTH : 0;
    this.node.setSize([Math.max(width, needed[0], least), Math.max(height, needed[1])]);
  }

  async mount() {
    try {
      const module = await import(MODULES[this.kind]);
      if (this.removed || this.content || !this.root) return;
      this.content = this.kind === "viewer" ? this.makeViewer(module) : this.makeEditor(module);
    } catch (error) {
      console.error(`Pantheon360: the ${this.kind} did not start.`, error);
      this.root?.replaceChildren(`The 360° ${this.kind} did not start: ${error}`);
    }
  }

  makeViewer({ Viewer }) {
    const viewer = new Viewer(this.root, { api, key: locatorOf(this.node), locale: locale() });
    viewer.show(this.entries);
    if (this.live) viewer.showLive(this.live);
    return viewer;
  }

  makeEditor({ Surface }) {
    return new Surface(this.root, this.node, { app, api, locale: locale(), locatorOf, find: findNode });
  }

  /** @param {any} output what the node's last run left */
  show(output) {
    if (this.kind === "editor") return this.content?.updateCache();
    if (!output?.pantheon_360?.length) return;
    this.entries = output.pantheon_360;
    this.add();
    this.content?.show(this.entries);
  }

  dispose() {
    this.removed = true;
    this.content?.dispose();
    this.content = null;
  }
}

/** The name under which the host keeps a node's outputs: inside a subgraph, with the subgraph's id. */
function locatorOf(node) {
  const graph = node.graph;
  return !graph || graph.isRootGraph !== false ? String(node.id) : `${graph.id}:${node.id}`;
}

/** @returns {any} the node of that name, or undefined */
function findNode(locator) {
  let found;
  forEachNode(app.rootGraph ?? app.graph, (node) => {
    if (parts.has(node) && locatorOf(node) === locator) found = node;
  });
  return found;
}

function locale() {
  return app.extensionManager?.setting?.get("Comfy.Locale") ?? "en";
}

/** After an undo, a reload or a change of workflow the node is a new one, and its outputs are still there. */
function restore(node) {
  parts.get(node)?.show(app.nodeOutputs?.[locatorOf(node)]);
}

/** Run `after` once the node's own callback of that name has run. */
function follow(node, name, after) {
  const before = node[name];
  node[name] = function (...values) {
    const result = before?.apply(this, values);
    after(...values);
    return result;
  };
}

function forEachNode(graph, visit) {
  for (const node of graph?.nodes ?? []) {
    visit(node);
    if (node.subgraph) forEachNode(node.subgraph, visit);
  }
}

/** The text is the editor's state: still saved, sent and connectable, but nothing to type into. */
function hideText(node) {
  const widget = node.widgets?.find((one) => one.name === "keyframes");
  if (!widget) return;
  widget.hidden = true;
  widget.options.hidden = true;
}

/** Previews of running samplers: an announcement, then the picture in the host's channel, at last the next node. */
let live = null;
for (const event of ["pantheon360_preview", "b_preview_with_metadata", "executing"]) {
  api.addEventListener(event, ({ detail }) => {
    if (event === "pantheon360_preview") live ??= import(MODULES.live);
    live?.then((module) => module.hear(event, detail, { app, api, parts, locale: locale() }));
  });
}

app.registerExtension({
  name: "Pantheon360.Viewer",

  nodeCreated(node) {
    const { kind, atOnce } = NODES[node.constructor.comfyClass ?? node.comfyClass] ?? {};
    if (!kind) return;
    const held = new NodePart(node, kind);
    parts.set(node, held);
    if (kind === "editor") hideText(node);
    else {
      // The host's own player would show the flat video once more: in Vue nodes, and on the canvas.
      node.hideOutputImages = true;
      node.onDrawBackground = () => {};
    }
    follow(node, "onExecuted", (output) => held.show(output));
    follow(node, "onRemoved", () => held.dispose());
    follow(node, "onAdded", () => {
      held.removed = false;
      if (held.root && !held.content) held.mount();
      restore(node);
    });
    if (atOnce) held.add();
  },

  onNodeOutputsUpdated() {
    forEachNode(app.rootGraph ?? app.graph, (node) => parts.has(node) && restore(node));
  },
});
