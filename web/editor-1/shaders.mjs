// @ts-check
/** The editor's shaders. World axes are OpenCV's; the matrix from view.mjs turns them to clip space. */

export const POINTS = {
  vertex: `#version 300 es
uniform mat4 u_matrix;
uniform vec3 u_anchors[4];
uniform int u_anchor_count;
uniform float u_spread;   // metres between neighbouring points, per metre from where they were seen
uniform float u_pixels;   // pixels per metre at one metre; of a flat view, everywhere
uniform bool u_flat;
uniform float u_least;    // pixels
uniform float u_most;
uniform vec4 u_eye;       // its place; of a flat view, the direction towards it, with w = 0
uniform bool u_cut;       // hide what was seen from its other side: ceilings from above, walls from outside
layout(location = 0) in vec3 position;
layout(location = 1) in vec4 colour;
out vec4 v_colour;
void main() {
  gl_Position = u_matrix * vec4(position, 1.0);
  float seen = u_anchor_count == 0 ? 0.0 : 1e9;
  vec3 back = vec3(0.0);
  for (int i = 0; i < u_anchor_count; i++) {
    vec3 way = u_anchors[i] - position;
    if (length(way) < seen) { seen = length(way); back = way; }
  }
  if (u_cut && dot(back, u_eye.xyz - u_eye.w * position) < 0.0) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  float size = seen * u_spread * u_pixels / (u_flat ? 1.0 : max(gl_Position.w, 1e-3));
  gl_PointSize = clamp(size, u_least, u_most);
  v_colour = colour;
}`,
  fragment: `#version 300 es
precision mediump float;
in vec4 v_colour;
uniform bool u_round;
out vec4 result;
void main() {
  if (u_round && length(gl_PointCoord - 0.5) > 0.5) discard;
  result = v_colour;
}`,
};

/** Every line is a rectangle of four corners, as wide on the screen as asked. */
export const LINES = {
  vertex: `#version 300 es
uniform mat4 u_matrix;
uniform vec2 u_size;      // pixels
uniform float u_ratio;    // device pixels per pixel
uniform float u_near;
layout(location = 0) in vec3 from;
layout(location = 1) in vec3 to;
layout(location = 2) in vec4 colour;
layout(location = 3) in float width;
out vec4 v_colour;
out vec2 v_across;        // device pixels from the middle; half the width
void main() {
  vec4 a = u_matrix * vec4(from, 1.0), b = u_matrix * vec4(to, 1.0);
  // Cut off what is behind the eye, or its projection is on the wrong side.
  if (a.w < u_near && b.w < u_near) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  if (a.w < u_near) a = mix(a, b, (u_near - a.w) / (b.w - a.w));
  if (b.w < u_near) b = mix(b, a, (u_near - b.w) / (a.w - b.w));
  vec2 pa = a.xy / a.w * u_size * 0.5, pb = b.xy / b.w * u_size * 0.5;
  vec2 along = pb - pa;
  along = length(along) > 1e-4 ? normalize(along) : vec2(1.0, 0.0);
  vec2 side = vec2(-along.y, along.x);
  float end = float(gl_VertexID & 1), edge = float(gl_VertexID >> 1) * 2.0 - 1.0;
  float half_width = 0.5 * width * u_ratio;
  float reach = half_width + 1.0;
  vec4 at = end > 0.5 ? b : a;
  vec2 offset = side * edge * reach + along * (end * 2.0 - 1.0) * min(half_width, 1.5);
  at.xy += offset / (u_size * 0.5) * at.w;
  gl_Position = at;
  v_colour = colour;
  v_across = vec2(edge * reach, half_width);
}`,
  fragment: `#version 300 es
precision mediump float;
in vec4 v_colour;
in vec2 v_across;
uniform float u_alpha;
out vec4 result;
void main() {
  float cover = clamp(v_across.y + 0.5 - abs(v_across.x), 0.0, 1.0);
  result = vec4(v_colour.rgb, v_colour.a * cover * u_alpha);
}`,
};

export const FILLS = {
  vertex: `#version 300 es
uniform mat4 u_matrix;
layout(location = 0) in vec3 position;
layout(location = 1) in vec4 colour;
out vec4 v_colour;
void main() {
  gl_Position = u_matrix * vec4(position, 1.0);
  v_colour = colour;
}`,
  fragment: `#version 300 es
precision mediump float;
in vec4 v_colour;
uniform float u_alpha;
out vec4 result;
void main() { result = vec4(v_colour.rgb, v_colour.a * u_alpha); }`,
};

/** The photograph on the inside of a sphere (radius 0: at infinity), and a plain colour beside it. */
export const BACKDROP = {
  vertex: `#version 300 es
void main() {
  vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
  gl_Position = vec4(corner * 2.0 - 1.0, 1.0, 1.0);
}`,
  fragment: `#version 300 es
precision highp float;
const float PI = 3.14159265358979;
uniform sampler2D u_picture;
uniform mat3 u_world_camera;
uniform mat3 u_anchor_world;
uniform vec3 u_eye;        // in the anchor's place, metres
uniform vec2 u_size;
uniform float u_half;
uniform bool u_flat;
uniform float u_radius;
uniform float u_strength;
uniform vec3 u_ground;
out vec4 result;
void main() {
  vec2 q = (2.0 * gl_FragCoord.xy - u_size) / u_size.y * u_half;
  q.y = -q.y;
  vec3 ray = u_world_camera * (u_flat ? vec3(0.0, 0.0, 1.0) : normalize(vec3(q, 1.0)));
  vec3 eye = u_eye + (u_flat ? u_world_camera * vec3(q, 0.0) : vec3(0.0));
  vec3 place = ray;
  float shown = u_strength;
  if (u_radius > 0.0) {
    float along = dot(eye, ray);
    float square = along * along - dot(eye, eye) + u_radius * u_radius;
    if (square < 0.0) shown = 0.0;
    place = eye + ray * (-along + sqrt(max(square, 0.0)));
  }
  vec3 d = normalize(u_anchor_world * place);
  float level = max(length(d.xz), 1e-5);
  vec2 uv = vec2(atan(d.x, d.z) / (2.0 * PI) + 0.5, atan(d.y, level) / PI + 0.5);
  vec3 ddx = dFdx(d), ddy = dFdy(d);
  vec2 across = vec2(d.z, -d.x) / (level * level * 2.0 * PI);
  vec3 down = vec3(-d.x * d.y / level, level, -d.z * d.y / level) / PI;
  vec2 dx = vec2(dot(across, ddx.xz), dot(down, ddx)), dy = vec2(dot(across, ddy.xz), dot(down, ddy));
  vec3 seen = textureGrad(u_picture, uv, dx, dy).rgb;
  result = vec4(mix(u_ground, seen, shown), 1.0);
}`,
};
