/** A point cloud: seen along its three axes, all at one scale; what is nearer is stronger. */

import { drawn } from "./canvas.js";
import { readPoints } from "./cloud_file.js";
import { element, number } from "./element.js";

const LIMIT = 20_000; // points drawn
const VIEWS = [ // right, up, and towards the eye, as places of x, y, z
  { right: 0, up: 1, near: 2 },
  { right: 0, up: 2, near: 1 },
  { right: 1, up: 2, near: 0 },
];
const AXES = "xyz";

export async function cloudPreview(file) {
  const { points, total } = await readPoints(file, LIMIT);
  const box = bounds(points);
  const views = VIEWS.map((view) => {
    const name = `${AXES[view.right]} to the right, ${AXES[view.up]} up`;
    const canvas = drawn(`${number(total)} points, ${name}`, 1, (...sheet) => scatter(points, box, view, ...sheet));
    return element("figure", {}, canvas, element("figcaption", {}, name));
  });
  const count = points.length / 3;
  const told = `${number(total)} points${count < total ? `, ${number(count)} of them drawn` : ""}`;
  return { nodes: [element("div", { className: "clouds" }, ...views), element("p", { className: "note" }, told)] };
}

function bounds(points) {
  const [low, high] = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
  points.forEach((value, i) => {
    low[i % 3] = Math.min(low[i % 3], value);
    high[i % 3] = Math.max(high[i % 3], value);
  });
  const extent = Math.max(...high.map((value, axis) => value - low[axis])) || 1;
  return { middle: low.map((value, axis) => (value + high[axis]) / 2), extent, low, high };
}

function scatter(points, { middle, extent, low, high }, { right, up, near }, context, width, height, { accent }) {
  const scale = (0.9 * width) / extent;
  const size = Math.max(1, width / 160);
  const depth = high[near] - low[near] || 1;
  context.fillStyle = accent;
  for (let i = 0; i < points.length; i += 3) {
    context.globalAlpha = 0.4 + 0.6 * ((points[i + near] - low[near]) / depth);
    const x = width / 2 + scale * (points[i + right] - middle[right]);
    const y = height / 2 - scale * (points[i + up] - middle[up]);
    context.fillRect(x - size / 2, y - size / 2, size, size);
  }
}
