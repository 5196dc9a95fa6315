// @ts-check
// The pack's one script that the host loads by itself. It gives nodes their place for a viewer; what draws is
// imported when the first such node appears. The host tells browsers to ask again for every .js but lets them
// keep an .mjs for days, so the folder of the modules carries a number: rename it when a module changes.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const MODULES = "./viewer-1/viewer.mjs";
const MIN_WIDTH = 420;
const MIN_HEIGHT = 300;

/** Nodes with a viewer; `atOnce`: it is there before the first run, and says what to do. */
const NODES = { PantheonPreview360: { atOnce: true }, SaveERPVideo: { atOnce: false } };

/** @type {WeakMap<object, NodeViewer>} */
const viewers = new WeakMap();
let instances = 0;

/** The viewer of one node: a DOM widget, filled by the lazy module. */
class NodeViewer {
  constructor(node) {
    this.node = node;
    this.root = null;
    this.viewer = null;
    this.entries = [];
    this.removed = false;
  }

  /** Add the widget. It must be there before the host restores the node's size, hence no waiting. */
  add() {
    this.removed = false;
    if (this.root) return;
    this.root = document.createElement("div");
    // The classic canvas asks the widget for its height, Vue nodes look at the element.
    this.root.style.cssText = `width:100%; height:100%; min-height:${MIN_HEIGHT}px`;
    this.root.dataset.captureWheel = "true";
    instances += 1;
    // Vue nodes keep the old element after an undo when two widgets share a type.
    const widget = this.node.addDOMWidget("viewer_360", `pantheon_viewer:${instances}`, this.root, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => MIN_HEIGHT,
    });
    widget.serialize = false;
    this.grow();
    this.mount();
  }

  /** Make room for the widget; a node that is large enough keeps its size. */
  grow() {
    const [width, height] = this.node.size;
    const needed = this.node.computeSize();
    this.node.setSize([Math.max(width, needed[0], MIN_WIDTH), Math.max(height, needed[1])]);
  }

  async mount() {
    try {
      const { Viewer } = await import(MODULES);
      if (this.removed || this.viewer || !this.root) return;
      this.viewer = new Viewer(this.root, { api, key: locatorOf(this.node), locale: locale() });
      this.viewer.show(this.entries);
    } catch (error) {
      console.error("Pantheon360: the 360° viewer did not start.", error);
      this.root?.replaceChildren(`The 360° viewer did not start: ${error}`);
    }
  }

  /** @param {object[] | undefined} entries what the node's last run left to look at */
  show(entries) {
    if (!entries?.length) return;
    this.entries = entries;
    this.add();
    this.viewer?.show(entries);
  }

  dispose() {
    this.removed = true;
    this.viewer?.dispose();
    this.viewer = null;
  }
}

/** The name under which the host keeps a node's outputs: inside a subgraph, with the subgraph's id. */
function locatorOf(node) {
  const graph = node.graph;
  return !graph || graph.isRootGraph !== false ? String(node.id) : `${graph.id}:${node.id}`;
}

function locale() {
  return app.extensionManager?.setting?.get("Comfy.Locale") ?? "en";
}

/** After an undo, a reload or a change of workflow the node is a new one, and its outputs are still there. */
function restore(node) {
  viewers.get(node)?.show(app.nodeOutputs?.[locatorOf(node)]?.pantheon_360);
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

app.registerExtension({
  name: "Pantheon360.Viewer",

  nodeCreated(node) {
    const kind = NODES[node.constructor.comfyClass ?? node.comfyClass];
    if (!kind) return;
    const held = new NodeViewer(node);
    viewers.set(node, held);
    // The host's own player would show the flat video once more: in Vue nodes, and on the canvas.
    node.hideOutputImages = true;
    node.onDrawBackground = () => {};
    follow(node, "onExecuted", (output) => held.show(output?.pantheon_360));
    follow(node, "onRemoved", () => held.dispose());
    follow(node, "onAdded", () => {
      held.removed = false;
      if (held.root && !held.viewer) held.mount();
      restore(node);
    });
    if (kind.atOnce) held.add();
  },

  onNodeOutputsUpdated() {
    forEachNode(app.rootGraph ?? app.graph, (node) => viewers.has(node) && restore(node));
  },
});
