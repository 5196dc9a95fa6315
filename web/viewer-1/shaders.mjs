// @ts-check
/** One triangle over the whole picture; every pixel finds its ray, the ray its place in the panorama. */

export const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;

const float PI = 3.14159265358979;
const int RECTILINEAR = 0, PLANET = 1, FLAT = 2;

uniform sampler2D u_left, u_right;
uniform vec2 u_size;          // pixels
uniform int u_projection;
uniform mat3 u_world_camera;
uniform float u_half_height;  // tangent, see halfHeight in view.mjs
uniform vec2 u_flat_centre;   // texture coordinates
uniform vec2 u_flat_step;     // texture coordinates per pixel
uniform bool u_wraps;         // the picture goes on at its other edge
uniform float u_split;        // left of it A, right of it B; fraction of the width
uniform float u_stretch;      // how much longer than wide a texel's footprint may be
uniform float u_grid;         // 0 none, 1 shown
uniform float u_pixel_ratio;
uniform vec3 u_accent;
out vec4 colour;

vec3 look(sampler2D picture, vec2 uv, vec2 dx, vec2 dy) {
  // Towards a pole a pixel covers a long, thin piece of the panorama. What the filter cannot do anisotropically
  // it would blur in both directions; there the rows hold many texels for the same direction, so cutting the
  // length short costs nothing.
  vec2 size = vec2(textureSize(picture, 0));
  float wide = max(abs(dx.x), abs(dy.x)) * size.x;
  float high = max(max(abs(dx.y), abs(dy.y)) * size.y, 1e-6);
  float shorter = min(1.0, u_stretch * high / max(wide, 1e-6));
  // The gradients are given, so no mip level is guessed from the jump of the longitude at 180 degrees.
  return textureGrad(picture, uv, dx * vec2(shorter, 1.0), dy * vec2(shorter, 1.0)).rgb;
}

float line(float place, float width) {
  float away = abs(fract(place - 0.5) - 0.5) / max(width, 1e-6);
  return (1.0 - smoothstep(0.4 * u_pixel_ratio, 1.1 * u_pixel_ratio, away)) * (1.0 - smoothstep(0.1, 0.3, width));
}

void main() {
  vec2 pixel = vec2(gl_FragCoord.x, u_size.y - gl_FragCoord.y);
  vec2 uv, dx, dy;
  bool inside = true;
  if (u_projection == FLAT) {
    vec2 offset = (pixel - 0.5 * u_size) * u_flat_step;
    uv = u_flat_centre + offset;
    dx = vec2(u_flat_step.x, 0.0);
    dy = vec2(0.0, u_flat_step.y);
    inside = abs(u_wraps ? offset.x : uv.x - 0.5) <= 0.5 && abs(uv.y - 0.5) <= 0.5;
  } else {
    vec2 q = (2.0 * pixel - u_size) / u_size.y * u_half_height;
    vec3 ray = u_projection == PLANET ? vec3(2.0 * q, 1.0 - dot(q, q)) : vec3(q, 1.0);
    vec3 d = normalize(u_world_camera * ray);
    vec3 ddx = dFdx(d), ddy = -dFdy(d);
    float level2 = max(dot(d.xz, d.xz), 1e-10), level = sqrt(level2);
    float lon = level2 > 1e-9 ? atan(d.x, d.z) : 0.0;
    uv = vec2(lon / (2.0 * PI) + 0.5, atan(d.y, level) / PI + 0.5);
    vec2 across = vec2(d.z, -d.x) / (level2 * 2.0 * PI);
    vec3 along = vec3(-d.x * d.y / level, level, -d.z * d.y / level) / PI;
    dx = vec2(dot(across, ddx.xz), dot(along, ddx));
    dy = vec2(dot(across, ddy.xz), dot(along, ddy));
  }
  if (!inside) {
    colour = vec4(0.0);
    return;
  }
  vec3 seen;
  if (gl_FragCoord.x < u_split * u_size.x) seen = look(u_left, uv, dx, dy);
  else seen = look(u_right, uv, dx, dy);
  if (u_grid > 0.0) {
    vec2 width = vec2(abs(dx.x) + abs(dy.x), abs(dx.y) + abs(dy.y));
    float fine = max(line(uv.x * 12.0, width.x * 12.0), line(uv.y * 6.0, width.y * 6.0));
    float horizon = line(uv.y + 0.5, width.y), meridian = line(uv.x + 0.5, width.x);
    seen = mix(seen, vec3(1.0), 0.4 * fine);
    seen = mix(seen, u_accent, 0.9 * max(horizon, meridian));
  }
  colour = vec4(seen, 1.0);
}`;
