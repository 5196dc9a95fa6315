// @ts-check
/**
 * Draws the editor's scene in the page's one WebGL context, which belongs to the 360° viewer, and copies it into a
 * 2D canvas. The cloud is drawn into a layer of its own, which stays while the camera does not move: dragging a
 * keyframe over a million points then costs a copy and some hundred lines.
 */

import { getPainter } from "../viewer-1/painter.mjs";
import { BACKDROP, FILLS, LINES, POINTS } from "./shaders.mjs";
import { inverse, rows, scale, subtract } from "./math.mjs";

const LINE_FLOATS = 11;
const FILL_FLOATS = 7;
const POINT_BYTES = 16; // of a dot: three floats, four bytes of colour
const HIDDEN_ALPHA = 0.3; // of what lies behind the cloud
const MAX_POINT = 80;
const OVERLAP = 1.35; // of neighbouring points, so that slanted walls close too

/** @typedef {{lines: Float32Array, fills: Float32Array, dots?: ArrayBuffer, dotSize?: number, over?: boolean}} Layer */

/** @type {Renderer | null} */
let shared = null;

/** The page's renderer, or null where there is no WebGL 2 or it is lost at the moment. */
export function getRenderer() {
  const painter = getPainter();
  if (!painter || painter.lost) return null;
  if (shared?.generation !== painter.generation) shared = new Renderer(painter);
  return shared;
}

export class Renderer {
  constructor(painter) {
    this.painter = painter;
    this.generation = painter.generation;
    const gl = (this.gl = painter.gl);
    this.programs = {
      points: link(gl, POINTS, "u_matrix u_anchors u_anchor_count u_spread u_pixels u_flat u_least u_most u_round u_eye u_cut"),
      lines: link(gl, LINES, "u_matrix u_size u_ratio u_near u_alpha"),
      fills: link(gl, FILLS, "u_matrix u_alpha"),
      backdrop: link(gl, BACKDROP,
        "u_picture u_world_camera u_anchor_world u_eye u_size u_half u_flat u_radius u_strength u_ground"),
    };
    this.scratch = gl.createBuffer();
    this.arrays = { plain: gl.createVertexArray(), points: gl.createVertexArray(), lines: gl.createVertexArray(),
      fills: gl.createVertexArray() };
    this.kept = makeTarget(gl);
    this.mixed = makeTarget(gl);
    this.signature = "";
  }

  /** Put a cloud on the graphics card. @returns {{positions: WebGLBuffer, colours: WebGLBuffer, count: number}} */
  load(positions, colours) {
    const gl = this.gl;
    const upload = (data) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
      return buffer;
    };
    return { positions: upload(positions), colours: upload(colours), count: colours.length / 4 };
  }

  free(loaded) {
    this.gl.deleteBuffer(loaded.positions);
    this.gl.deleteBuffer(loaded.colours);
  }

  /**
   * @returns {boolean} whether the ground and the cloud were drawn anew
   * @param {CanvasRenderingContext2D} target filled whole
   * @param {{view: import("./view.mjs").View, ratio: number, ground: number[], layers: Layer[], signature: string,
   *   cloud: any, anchors: number[][], step: number, cut: boolean,
   *   backdrop: {picture: any, pose: import("./state.mjs").Pose, radius: number, strength: number} | null}} scene
   */
  paint(target, scene) {
    const { width, height } = target.canvas;
    if (!width || !height || this.painter.lost) return false;
    const gl = this.gl;
    const before = [gl.getParameter(gl.CURRENT_PROGRAM), gl.getParameter(gl.VERTEX_ARRAY_BINDING)];
    this.painter.makeRoom(width, height);
    const anew = this.paintGround(scene, width, height);
    this.copy(this.kept, this.mixed.frame, width, height, gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.mixed.frame);
    for (const layer of scene.layers) this.paintLayer(layer, scene, width, height);
    this.copy(this.mixed, null, width, height, gl.COLOR_BUFFER_BIT);
    // The viewer expects its own state.
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.depthMask(true);
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
    gl.useProgram(before[0]);
    gl.bindVertexArray(before[1]);
    const { canvas } = this.painter;
    target.drawImage(canvas, 0, canvas.height - height, width, height, 0, 0, width, height);
    return anew;
  }

  copy(from, to, width, height, what) {
    const gl = this.gl;
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, from.frame);
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, to);
    gl.blitFramebuffer(0, 0, width, height, 0, 0, width, height, what, gl.NEAREST);
  }

  /** Ground colour, photograph and cloud, unless the layer holds just that. */
  paintGround(scene, width, height) {
    const gl = this.gl;
    for (const one of [this.kept, this.mixed]) {
      // They grow only: another surface of another size follows soon.
      if (one.width >= width && one.height >= height) continue;
      this.signature = "";
      sizeTarget(gl, one, Math.max(width, one.width), Math.max(height, one.height));
    }
    gl.viewport(0, 0, width, height);
    const signature = `${scene.signature} ${width} ${height} ${scene.view.matrix}`;
    if (signature === this.signature) return false;
    this.signature = signature;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.kept.frame);
    gl.clearColor(...scene.ground, 1);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (scene.backdrop) this.paintBackdrop(scene, width, height);
    if (scene.cloud) this.paintCloud(scene, height);
    return true;
  }

  paintBackdrop({ view, backdrop, ground }, width, height) {
    const gl = this.gl;
    const { program, at } = this.programs.backdrop;
    gl.disable(gl.DEPTH_TEST);
    gl.useProgram(program);
    gl.bindVertexArray(this.arrays.plain);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, backdrop.picture.texture);
    gl.uniform1i(at.u_picture, 0);
    gl.uniformMatrix3fv(at.u_world_camera, true, rows(view.quaternion).flat());
    gl.uniformMatrix3fv(at.u_anchor_world, true, rows(inverse(backdrop.pose.quaternion_wxyz)).flat());
    gl.uniform3fv(at.u_eye, subtract(view.position, backdrop.pose.position));
    gl.uniform2f(at.u_size, width, height);
    gl.uniform1f(at.u_half, view.half);
    gl.uniform1i(at.u_flat, view.flat ? 1 : 0);
    gl.uniform1f(at.u_radius, backdrop.radius);
    gl.uniform1f(at.u_strength, backdrop.strength);
    gl.uniform3fv(at.u_ground, ground);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  paintCloud({ view, cloud, anchors, step, ratio, cut }, height) {
    const gl = this.gl;
    const count = Math.floor(cloud.count / step);
    // A panorama of H rows has about 2 H² points, pi / H apart.
    const spread = (OVERLAP * Math.PI) / Math.sqrt(Math.max(1, count) / 2);
    this.usePoints(view, anchors, spread, height, { least: ratio, most: MAX_POINT * ratio, cut, round: false });
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.disable(gl.BLEND);
    gl.bindBuffer(gl.ARRAY_BUFFER, cloud.positions);
    gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 12 * step, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, cloud.colours);
    gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, true, 4 * step, 0);
    gl.drawArrays(gl.POINTS, 0, count);
  }

  usePoints(view, anchors, spread, height, { least, most, cut, round }) {
    const gl = this.gl;
    const { program, at } = this.programs.points;
    gl.useProgram(program);
    gl.bindVertexArray(this.arrays.points);
    gl.enableVertexAttribArray(0);
    gl.enableVertexAttribArray(1);
    gl.uniformMatrix4fv(at.u_matrix, false, view.matrix);
    const seen = anchors.slice(0, 4);
    if (seen.length) gl.uniform3fv(at.u_anchors, seen.flat());
    gl.uniform1i(at.u_anchor_count, seen.length);
    gl.uniform1f(at.u_spread, spread);
    gl.uniform1f(at.u_pixels, height / 2 / view.half);
    gl.uniform1i(at.u_flat, view.flat ? 1 : 0);
    gl.uniform1f(at.u_least, least);
    gl.uniform1f(at.u_most, most);
    const eye = view.flat ? [...scale(view.forward, -1), 0] : [...view.position, 1];
    gl.uniform4fv(at.u_eye, eye);
    gl.uniform1i(at.u_cut, cut && !view.inside && seen.length ? 1 : 0);
    gl.uniform1i(at.u_round, round ? 1 : 0);
  }

  /** @param {Layer} layer */
  paintLayer(layer, scene, width, height) {
    const gl = this.gl;
    gl.enable(gl.BLEND);
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.depthMask(false);
    if (layer.over) {
      gl.disable(gl.DEPTH_TEST);
      this.paintShapes(layer, scene, width, height, 1);
      return;
    }
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.GREATER);
    this.paintShapes(layer, scene, width, height, HIDDEN_ALPHA);
    gl.depthFunc(gl.LEQUAL);
    this.paintShapes(layer, scene, width, height, 1);
  }

  paintShapes({ lines, fills, dots, dotSize = 4 }, { view, ratio }, width, height, alpha) {
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.scratch);
    if (fills.length) {
      const { program, at } = this.programs.fills;
      gl.useProgram(program);
      gl.bindVertexArray(this.arrays.fills);
      gl.bufferData(gl.ARRAY_BUFFER, fills, gl.STREAM_DRAW);
      attribute(gl, 0, 3, FILL_FLOATS, 0);
      attribute(gl, 1, 4, FILL_FLOATS, 3);
      gl.uniformMatrix4fv(at.u_matrix, false, view.matrix);
      gl.uniform1f(at.u_alpha, alpha);
      gl.drawArrays(gl.TRIANGLES, 0, fills.length / FILL_FLOATS);
    }
    if (lines.length) {
      const { program, at } = this.programs.lines;
      gl.useProgram(program);
      gl.bindVertexArray(this.arrays.lines);
      gl.bufferData(gl.ARRAY_BUFFER, lines, gl.STREAM_DRAW);
      [[0, 3, 0], [1, 3, 3], [2, 4, 6], [3, 1, 10]].forEach(([place, size, offset]) => {
        attribute(gl, place, size, LINE_FLOATS, offset);
        gl.vertexAttribDivisor(place, 1);
      });
      gl.uniformMatrix4fv(at.u_matrix, false, view.matrix);
      gl.uniform2f(at.u_size, width, height);
      gl.uniform1f(at.u_ratio, ratio);
      gl.uniform1f(at.u_near, view.flat ? 0.5 : view.near);
      gl.uniform1f(at.u_alpha, alpha);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, lines.length / LINE_FLOATS);
    }
    if (dots?.byteLength && alpha === 1) {
      this.usePoints(view, [], 0, height, { least: dotSize * ratio, most: dotSize * ratio, cut: false, round: true });
      gl.bindBuffer(gl.ARRAY_BUFFER, this.scratch);
      gl.bufferData(gl.ARRAY_BUFFER, dots, gl.STREAM_DRAW);
      gl.vertexAttribPointer(0, 3, gl.FLOAT, false, POINT_BYTES, 0);
      gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, true, POINT_BYTES, 12);
      gl.drawArrays(gl.POINTS, 0, dots.byteLength / POINT_BYTES);
    }
  }
}

function attribute(gl, place, size, floats, offset) {
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, size, gl.FLOAT, false, floats * 4, offset * 4);
}

function link(gl, { vertex, fragment }, names) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const logs = gl.getAttachedShaders(program).map((one) => gl.getShaderInfoLog(one));
    throw new Error(`a shader of the path editor does not compile: ${gl.getProgramInfoLog(program)} ${logs.join(" ")}`);
  }
  return { program, at: Object.fromEntries(names.split(" ").map((name) => [name, gl.getUniformLocation(program, name)])) };
}

function makeTarget(gl) {
  const frame = gl.createFramebuffer();
  const colour = gl.createRenderbuffer();
  const depth = gl.createRenderbuffer();
  return { frame, colour, depth, width: 0, height: 0 };
}

function sizeTarget(gl, one, width, height) {
  gl.bindRenderbuffer(gl.RENDERBUFFER, one.colour);
  gl.renderbufferStorage(gl.RENDERBUFFER, gl.RGBA8, width, height);
  gl.bindRenderbuffer(gl.RENDERBUFFER, one.depth);
  gl.renderbufferStorage(gl.RENDERBUFFER, gl.DEPTH_COMPONENT24, width, height);
  gl.bindFramebuffer(gl.FRAMEBUFFER, one.frame);
  gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.RENDERBUFFER, one.colour);
  gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.RENDERBUFFER, one.depth);
  Object.assign(one, { width, height });
}
