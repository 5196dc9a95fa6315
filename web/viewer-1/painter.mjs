// @ts-check
/**
 * The one WebGL context of the page. Viewers hand in what to draw and get it in their own 2D canvas, so a graph
 * may hold any number of them: browsers drop the oldest context beyond about sixteen.
 */

import { FRAGMENT, VERTEX } from "./shaders.mjs";
import { flatScale, halfHeight, rotation } from "./view.mjs";

const PROJECTION_NUMBERS = { rectilinear: 0, planet: 1, flat: 2 };
const UNIFORMS = `left right size projection world_camera half_height flat_centre flat_step wraps split stretch grid
  pixel_ratio accent`;
const GROW_STEP = 128;

/** @type {Painter | null | undefined} */
let shared;

/** The page's painter; made when first asked for. Null where there is no WebGL 2. */
export function getPainter() {
  if (shared === undefined) shared = Painter.create();
  return shared;
}

/** A picture on the graphics card. `generation` tells whether it is from before a lost context. */
class Picture {
  constructor(texture, generation) {
    this.texture = texture;
    this.generation = generation;
    this.width = 0;
    this.height = 0;
  }
}

class Painter {
  static create() {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, depth: false, stencil: false });
    return gl ? new Painter(canvas, gl) : null;
  }

  /** @param {HTMLCanvasElement} canvas @param {WebGL2RenderingContext} gl */
  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.generation = 0;
    this.lost = false;
    /** @type {Set<() => void>} told when the context went or came back */
    this.watchers = new Set();
    /** @type {Set<{draw(): void}>} */
    this.waiting = new Set();
    this.frame = 0;
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // or it is never given back
      this.lost = true;
      this.tell();
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.generation += 1;
      this.lost = false;
      this.prepare();
      this.tell();
    });
    this.prepare();
  }

  tell() {
    for (const watcher of this.watchers) watcher();
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, FRAGMENT],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      const logs = gl.getAttachedShaders(program).map((one) => gl.getShaderInfoLog(one));
      throw new Error(`the shader does not compile: ${logs.join("\n")}`);
    }
    gl.useProgram(program);
    this.places = Object.fromEntries(
      UNIFORMS.split(/\s+/).map((name) => [name, gl.getUniformLocation(program, `u_${name}`)]),
    );
    gl.uniform1i(this.places.left, 0);
    gl.uniform1i(this.places.right, 1);
    gl.bindVertexArray(gl.createVertexArray());
    this.maxSize = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    this.filter = gl.getExtension("EXT_texture_filter_anisotropic");
    this.stretch = this.filter ? Math.min(16, gl.getParameter(this.filter.MAX_TEXTURE_MAX_ANISOTROPY_EXT)) : 2;
  }

  /** Call `viewer.draw()` with the next frame of the screen; hidden pages have none. */
  ask(viewer) {
    this.waiting.add(viewer);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const ready = [...this.waiting];
      this.waiting.clear();
      for (const one of ready) one.draw();
    });
  }

  forget(viewer) {
    this.waiting.delete(viewer);
  }

  /**
   * Load a decoded picture or the current frame of a video into a texture.
   * @param {Picture | null} picture an earlier one to overwrite
   * @param {ImageBitmap | HTMLVideoElement} source
   * @param {boolean} wraps left edge and right edge are neighbours
   */
  upload(picture, source, width, height, wraps) {
    const gl = this.gl;
    if (picture && picture.generation !== this.generation) picture = null;
    const kept = picture ?? new Picture(gl.createTexture(), this.generation);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, kept.texture);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, this.shrunk(source, width, height));
    gl.generateMipmap(gl.TEXTURE_2D);
    if (!picture) {
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, wraps ? gl.REPEAT : gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
      if (this.filter) gl.texParameterf(gl.TEXTURE_2D, this.filter.TEXTURE_MAX_ANISOTROPY_EXT, this.stretch);
    }
    kept.width = width;
    kept.height = height;
    return kept;
  }

  /** The source itself, or a copy that the graphics card takes. */
  shrunk(source, width, height) {
    const scale = Math.min(1, this.maxSize / Math.max(width, height));
    if (scale === 1) return source;
    const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
    canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  /** @param {Picture | null} picture */
  discard(picture) {
    if (picture && picture.generation === this.generation) this.gl.deleteTexture(picture.texture);
  }

  /** @param {Picture | null} picture */
  holds(picture) {
    return Boolean(picture) && picture.generation === this.generation && !this.lost;
  }

  /**
   * Draw into a viewer's canvas, over all of it.
   * @param {CanvasRenderingContext2D} target
   * @param {{left: Picture, right: Picture, split: number, view: import("./view.mjs").View,
   *   projection: import("./view.mjs").Projection, spherical: boolean, grid: boolean, accent: number[],
   *   pixelRatio: number}} scene
   */
  paint(target, scene) {
    const { width, height } = target.canvas;
    if (this.lost || !width || !height) return;
    this.makeRoom(width, height);
    const gl = this.gl;
    gl.viewport(0, 0, width, height);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, scene.right.texture);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, scene.left.texture);
    this.setUniforms(scene, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    target.clearRect(0, 0, width, height);
    target.drawImage(this.canvas, 0, this.canvas.height - height, width, height, 0, 0, width, height);
  }

  setUniforms(scene, width, height) {
    const gl = this.gl;
    const at = this.places;
    const { view, projection } = scene;
    gl.uniform2f(at.size, width, height);
    gl.uniform1i(at.projection, PROJECTION_NUMBERS[projection]);
    const rows = rotation(view);
    gl.uniformMatrix3fv(at.world_camera, true, rows.flat());
    gl.uniform1f(at.half_height, halfHeight(view, projection));
    const [u, v] = flatSteps(scene, width, height);
    gl.uniform2f(at.flat_step, u, v);
    gl.uniform2f(at.flat_centre, view.yaw / 360 + 0.5, 0.5 - view.pitch / 180);
    gl.uniform1i(at.wraps, scene.spherical ? 1 : 0);
    gl.uniform1f(at.split, scene.split);
    gl.uniform1f(at.stretch, this.stretch);
    gl.uniform1f(at.grid, scene.grid ? 1 : 0);
    gl.uniform1f(at.pixel_ratio, scene.pixelRatio);
    gl.uniform3fv(at.accent, scene.accent);
  }

  /** The context's canvas grows to the largest viewer; resizing it for each one would allocate every time. */
  makeRoom(width, height) {
    const wide = Math.ceil(width / GROW_STEP) * GROW_STEP;
    const high = Math.ceil(height / GROW_STEP) * GROW_STEP;
    if (this.canvas.width < wide) this.canvas.width = wide;
    if (this.canvas.height < high) this.canvas.height = high;
  }
}

/** Texture coordinates per pixel of the flat projection; a picture that is no panorama keeps its own shape. */
function flatSteps(scene, width, height) {
  if (scene.spherical) {
    const degrees = flatScale(scene.view, width, height);
    return [degrees / 360, degrees / 180];
  }
  const aspect = scene.left.width / scene.left.height;
  const v = (scene.view.fov / 180) * Math.max(1 / height, aspect / width);
  return [v / aspect, v];
}
