/** A video: a player and, once the server has said which frames it used, those frames. */

import { element } from "./element.js";

const MAX_FRAMES = 64;
const PATIENCE_MS = 5000; // for one frame
const THUMBNAIL = 208; // pixels wide

export async function filmPreview(file, url) {
  if (file.type === "image/gif") return { nodes: [element("img", { src: url, alt: file.name })] };
  const label = `Video ${file.name}`;
  const player = element("video", { controls: true, playsInline: true, src: url, "aria-label": label });
  await event(player, "loadedmetadata");
  return { nodes: [player], explain: (input) => usedFrames(url, input) };
}

async function usedFrames(url, input) {
  const times = timesOf(input);
  if (!times.length) return [];
  const video = element("video", { muted: true, preload: "auto", src: url });
  await event(video, "loadeddata");
  const inside = 0.5 / (input.fps || 30); // a frame is shown from its time on: aim at its middle
  const frames = element("ol", { className: "frames" });
  for (const time of times.slice(0, MAX_FRAMES)) {
    video.currentTime = Math.min(time + inside, video.duration || Infinity);
    await event(video, "seeked");
    frames.append(element("li", {}, still(video, time), `${time.toFixed(2)} s`));
  }
  const rest = times.length - frames.childElementCount;
  const title = `The ${rest ? `first ${MAX_FRAMES} of the ${times.length} ` : ""}frames that were used`;
  return [element("h3", {}, title), frames];
}

/** Of all clips; the crops of a clip see the same frames. */
function timesOf({ timestamps_s: times, views = [] }) {
  return [...new Set(times ?? views.flatMap((view) => view.timestamps_s ?? []))].sort((a, b) => a - b);
}

function still(video, time) {
  const canvas = element("canvas", { role: "img", "aria-label": `Frame at ${time.toFixed(2)} seconds` });
  canvas.width = THUMBNAIL;
  canvas.height = Math.round((THUMBNAIL * video.videoHeight) / video.videoWidth);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function event(video, name) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error("this browser does not play the file"));
    video.addEventListener(name, resolve, { once: true });
    video.addEventListener("error", fail, { once: true });
    setTimeout(fail, PATIENCE_MS);
  });
}
