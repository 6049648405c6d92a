/** How inputs are drawn, by modality; one that is missing here is served all the same, without a picture. */

import { cloudPreview } from "./cloud.js";
import { element } from "./element.js";
import { filmPreview } from "./film.js";
import { soundPreview } from "./sound.js";

/** (file, url, model) -> {nodes, explain}: explain(input), if any, draws what the answer says of the input. */
const PREVIEWS = {
  image: picturePreview,
  audio: soundPreview,
  video: filmPreview,
  pointcloud: cloudPreview,
};

export async function preview(modality, file, url, model) {
  if (!(modality in PREVIEWS)) return { nodes: [] };
  try {
    return await PREVIEWS[modality](file, url, model);
  } catch (error) {
    const reason = error.message || "this browser cannot read the file";
    return { nodes: [element("p", { className: "note" }, `No preview: ${reason}.`)] };
  }
}

async function picturePreview(file, url) {
  const picture = element("img", { src: url, alt: file.name });
  await picture.decode().catch(() => { throw new Error("this browser does not show the file"); });
  return { nodes: [picture] };
}
