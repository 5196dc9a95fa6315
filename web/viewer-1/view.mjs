// @ts-check
/**
 * Where the viewer looks: directions and projections, as docs/conventions.md has them.
 *
 * Axes are +x right, +y down, +z forward. Yaw + turns right, pitch + looks up, roll + is clockwise;
 * R = Ry Rx Rz. The shader in painter.mjs computes the same rays.
 */

const RAD = Math.PI / 180;

/** @typedef {"rectilinear" | "planet" | "flat"} Projection */
/** @typedef {{yaw: number, pitch: number, roll: number, fov: number}} View degrees; fov is the vertical one */

/** Vertical angle of view in degrees: least, most, first. */
export const FOV = {
  rectilinear: [15, 130, 75],
  planet: [90, 340, 250],
  flat: [10, 180, 180],
};

export const DIRECTIONS = {
  front: [0, 0],
  right: [90, 0],
  back: [180, 0],
  left: [-90, 0],
  up: [0, 90],
  down: [0, -90],
};

/**
 * A fresh view of a projection; a little planet looks down.
 * @param {Projection} projection
 * @returns {View}
 */
export function startView(projection) {
  return { yaw: 0, pitch: projection === "planet" ? -90 : 0, roll: 0, fov: FOV[projection][2] };
}

/** Degrees in -180 (excluded) to 180. */
export function wrapDegrees(degrees) {
  const turned = ((degrees % 360) + 360) % 360;
  return turned > 180 ? turned - 360 : turned;
}

/**
 * The same view inside its limits.
 * @param {View} view
 * @param {Projection} projection
 * @returns {View}
 */
export function limited(view, projection) {
  const [least, most] = FOV[projection];
  const fov = Math.min(most, Math.max(least, view.fov));
  // A flat picture that is zoomed in may be moved until its edge is reached.
  const reach = projection === "flat" ? (180 - fov) / 2 : 90;
  return {
    yaw: wrapDegrees(view.yaw),
    pitch: Math.min(reach, Math.max(-reach, view.pitch)),
    roll: projection === "rectilinear" ? wrapDegrees(view.roll) : 0,
    fov,
  };
}

/**
 * World from camera, row by row.
 * @param {View} view
 */
export function rotation({ yaw, pitch, roll }) {
  const [sy, cy] = [Math.sin(yaw * RAD), Math.cos(yaw * RAD)];
  const [sp, cp] = [Math.sin(pitch * RAD), Math.cos(pitch * RAD)];
  const [sr, cr] = [Math.sin(roll * RAD), Math.cos(roll * RAD)];
  return [
    [cy * cr + sy * sp * sr, -cy * sr + sy * sp * cr, sy * cp],
    [cp * sr, cp * cr, -sp],
    [-sy * cr + cy * sp * sr, sy * sr + cy * sp * cr, cy * cp],
  ];
}

/** What the shader multiplies half a picture height by: the tangent that belongs to the projection. */
export function halfHeight(view, projection) {
  return Math.tan((view.fov * RAD) / (projection === "planet" ? 4 : 2));
}

/**
 * Longitude and latitude (degrees) under a point of the picture, or null outside a flat one.
 * @param {View} view
 * @param {Projection} projection
 * @param {number} x of the point, pixels from the left
 * @param {number} y from the top
 */
export function directionAt(view, projection, x, y, width, height) {
  const [px, py] = [(2 * x - width) / height, (2 * y - height) / height];
  if (projection === "flat") {
    const scale = flatScale(view, width, height);
    const [lon, lat] = [(x - width / 2) * scale, view.pitch - (y - height / 2) * scale];
    return Math.abs(lon) > 180 || Math.abs(lat) > 90 ? null : [wrapDegrees(lon + view.yaw), lat];
  }
  const half = halfHeight(view, projection);
  const [qx, qy] = [px * half, py * half];
  const square = qx * qx + qy * qy;
  const ray = projection === "planet" ? [2 * qx, 2 * qy, 1 - square] : [qx, qy, 1];
  const length = Math.hypot(...ray);
  const [wx, wy, wz] = rotation(view).map((row) => row.reduce((sum, one, i) => sum + one * ray[i], 0) / length);
  return [Math.atan2(wx, wz) / RAD, Math.atan2(-wy, Math.hypot(wx, wz)) / RAD];
}

/** Degrees per pixel of the flat picture, which at full angle fits into the frame. */
export function flatScale(view, width, height) {
  return Math.max(view.fov / height, (2 * view.fov) / width);
}

/** Degrees that a drag by one pixel turns the view, so that the picture's middle follows the pointer. */
export function degreesPerPixel(view, projection, width, height) {
  if (projection === "flat") return flatScale(view, width, height);
  const perUnit = projection === "planet" ? 2 : 1;
  return ((2 * halfHeight(view, projection)) / height / RAD) * perUnit;
}

/**
 * The view of a device whose back looks into the scene, from its orientation event (degrees).
 * Yaw counts from where the sensor has its zero, so only its change means something.
 * @param {number} screen angle of the screen against the device
 */
export function viewOfDevice(alpha, beta, gamma, screen) {
  const [a, b, c, s] = [alpha, beta, gamma, -screen].map((angle) => angle * RAD);
  const aboutZ = (angle) => [
    [Math.cos(angle), -Math.sin(angle), 0],
    [Math.sin(angle), Math.cos(angle), 0],
    [0, 0, 1],
  ];
  const aboutX = [
    [1, 0, 0],
    [0, Math.cos(b), -Math.sin(b)],
    [0, Math.sin(b), Math.cos(b)],
  ];
  const aboutY = [
    [Math.cos(c), 0, Math.sin(c)],
    [0, 1, 0],
    [-Math.sin(c), 0, Math.cos(c)],
  ];
  // East, north, up from screen axes right, up, out.
  const earth = [aboutZ(a), aboutX, aboutY, aboutZ(s)].reduce(multiply);
  // To our axes: right = east, down = -up, forward = north; camera right, down, forward = right, -up, -out.
  const [east, north, up] = earth.map(([r, u, o]) => [r, -u, -o]);
  const world = [east, up.map((one) => -one), north];
  return {
    yaw: Math.atan2(world[0][2], world[2][2]) / RAD,
    pitch: Math.asin(Math.max(-1, Math.min(1, -world[1][2]))) / RAD,
    roll: Math.atan2(world[1][0], world[1][1]) / RAD,
  };
}

function multiply(left, right) {
  return left.map((row) => right[0].map((_, j) => row.reduce((sum, one, k) => sum + one * right[k][j], 0)));
}
