/** A canvas that draws itself again when its size or the colours of the page change. */

import { element } from "./element.js";

const NAMES = ["page", "card", "ink", "muted", "line", "accent"];

/** label: what a screen reader says. ratio: width to height. draw(context, width, height, colours): device pixels. */
export function drawn(label, ratio, draw) {
  const canvas = element("canvas", { role: "img", "aria-label": label });
  canvas.style.aspectRatio = String(ratio);
  const redraw = () => {
    if (!canvas.clientWidth) return;
    canvas.width = Math.round(canvas.clientWidth * Math.min(2, devicePixelRatio));
    canvas.height = Math.round(canvas.width / ratio);
    draw(canvas.getContext("2d"), canvas.width, canvas.height, colours());
  };
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  new ResizeObserver(redraw).observe(canvas);
  scheme.addEventListener("change", function changed() {
    if (canvas.isConnected) redraw();
    else scheme.removeEventListener("change", changed);
  });
  return canvas;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** "#1d5fb8" -> [29, 95, 184] */
export const rgb = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
