// @ts-check
/** Paths from and to files: our own JSON here, every other format by the server, which knows them all. */

import { make } from "../viewer-1/dom.mjs";
import { PathError, readPath, writePath } from "./state.mjs";
import { text } from "./strings.mjs";

const OURS = "pantheon";
const MAX_BYTES = 64 * 1024 * 1024;
/** Formats of pantheon_core/trajectory/formats that can be written, with what their programs call them. */
const FORMATS = {
  [OURS]: "Pantheon360 (.json)",
  gltf: "glTF: Blender (.glb)",
  nerfstudio: "nerfstudio transforms (.json)",
  nerfstudio_path: "nerfstudio camera path (.json)",
  tum: "TUM (.txt)",
  realestate10k: "RealEstate10K (.txt)",
  colmap: "COLMAP images (.txt)",
  gen3c_json: "GEN3C (.json)",
  gen3c_npz: "GEN3C (.npz)",
  matrix3d: "Matrix-3D (.json)",
  vipe: "ViPE (.npz)",
  npy: "NumPy (.npy)",
};

export const formats = () => Object.entries(FORMATS);

/** @param {import("./dialog.mjs").Dialog} dialog @param {HTMLInputElement} input */
export async function importPath(dialog, input) {
  const file = input.files?.[0];
  input.value = "";
  if (!file) return;
  try {
    if (file.size > MAX_BYTES) throw new Error(`${Math.round(file.size / 1e6)} MB`);
    const path = (await readOwn(file)) ?? (await readByServer(dialog, file));
    dialog.editor.replace(path);
    dialog.editor.frameView();
    dialog.say(text("imported", { name: file.name, keys: path.keyframes.length }));
  } catch (error) {
    const reason = error instanceof PathError ? text(error.problem, error.values) : /** @type {Error} */ (error).message;
    dialog.say(text("importFailed", { name: file.name, reason }));
  }
}

/** Our own JSON, or null for another format. */
async function readOwn(file) {
  if (!file.name.toLowerCase().endsWith(".json")) return null;
  const content = await file.text();
  return content.includes('"opencv_c2w"') ? readPath(content) : null;
}

async function readByServer({ editor }, file) {
  const { frames, fps } = editor.node.time;
  const query = new URLSearchParams({ name: file.name, fps: String(fps), frames: String(frames) });
  const answer = await editor.node.host.api.fetchApi(`/pantheon360/path/read?${query}`, { method: "POST", body: file });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error ?? `${answer.status} ${answer.statusText}`);
  return readPath(JSON.stringify(said.path));
}

/** @param {import("./dialog.mjs").Dialog} dialog @param {string} format */
export async function exportPath(dialog, format) {
  const { editor } = dialog;
  if (!editor.path) return;
  const json = writePath(editor.path);
  try {
    if (format === OURS) return save(new Blob([`${json}\n`], { type: "application/json" }), "camera_path.json");
    const answer = await editor.node.host.api.fetchApi("/pantheon360/path/write", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ format, path: JSON.parse(json) }),
    });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? String(answer.status));
    const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "camera_path";
    save(await answer.blob(), name);
  } catch (error) {
    dialog.say(text("exportFailed", { reason: /** @type {Error} */ (error).message }));
  }
}

/** Into the browser's downloads. */
function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
